// Keeps a page as the daemon's: fetches anew what has changed, says how long ago things are,
// and tells the values of a chart at the pointer. Without it every page still says all it does.
'use strict';
(() => {
  const byId = (id) => document.getElementById(id);
  const all = (query, from = document) => [...from.querySelectorAll(query)];

  const span = (ms) => {
    const s = Math.max(0, Math.round(ms / 1000));
    if (s < 60) return s + ' s';
    if (s < 3600) return Math.round(s / 60) + ' min';
    if (s < 172800) return Math.floor(s / 3600) + ' h ' + Math.round(s % 3600 / 60) + ' min';
    return Math.round(s / 86400) + ' days';
  };
  const put = (element, text) => { if (element.textContent !== text) element.textContent = text; };
  function tick() {
    const now = Date.now();
    for (const ago of all('.ago')) {
      const at = ago.previousElementSibling;
      const ms = now - Date.parse(at && at.dateTime);
      if (!isNaN(ms)) put(ago, ms < 0 ? 'in ' + span(-ms) : span(ms) + ' ago');
    }
    for (const left of all('[data-left]')) {
      const ms = Date.parse(left.dataset.left) - now;
      put(left, ms > 0 ? span(ms) + ' left' : 'over');
    }
    for (const bar of all('progress[data-to]')) {
      const from = Date.parse(bar.dataset.from), to = Date.parse(bar.dataset.to);
      if (to > from) bar.value = Math.min(100, Math.max(0, (now - from) / (to - from) * 100));
    }
  }

  // Changes what is shown into what was fetched and leaves alone what stays, so that focus,
  // scroll and what somebody opened are kept. What has a name is found by it, and what has
  // none by its kind; what has gone is taken away before anything is moved.
  const key = (node) => node.nodeType === 1 && (node.id || node.nodeName === 'SECTION' && node.getAttribute('aria-labelledby')) || '';
  const fits = (old, fresh) => old.nodeName === fresh.nodeName && key(old) === key(fresh) &&
    (key(old) || old.nodeType !== 1 || old.classList[0] === fresh.classList[0]);
  const isKept = (element, name) =>
    name === 'open' && element.nodeName === 'DETAILS' ||
    element.matches('.plot') && /^(role|tabindex|aria-)/.test(name);
  function morph(old, fresh) {
    if (!fits(old, fresh)) return old.replaceWith(fresh);
    if (old.nodeType !== 1) {
      if (old.data !== fresh.data) old.data = fresh.data;
      return;
    }
    for (const { name } of [...old.attributes]) {
      if (!fresh.hasAttribute(name) && !isKept(old, name)) old.removeAttribute(name);
    }
    for (const { name, value } of [...fresh.attributes]) {
      if (old.getAttribute(name) !== value && !isKept(old, name)) old.setAttribute(name, value);
    }
    if (old.matches('[data-own],input,select,textarea')) return;
    const to = [...fresh.childNodes], names = new Set(to.map(key));
    const keyed = new Map([...old.children].filter(key).map((child) => [key(child), child]));
    let at = old.firstChild;
    const skip = () => { const gone = at; at = at.nextSibling; gone.remove(); };
    to.forEach((next, index) => {
      const isWanted = (one) => key(one) ? names.has(key(one)) : to.slice(index).some((other) => fits(one, other));
      let known = keyed.get(key(next));
      for (let one = at; !known && !key(next) && one; one = one.nextSibling) if (fits(one, next)) known = one;
      if (!known) return old.insertBefore(next, at);
      while (at && at !== known && !isWanted(at)) skip();
      if (known === at) at = at.nextSibling; else old.insertBefore(known, at);
      morph(known, next);
    });
    while (at) skip();
  }
  const stands = () => new Map(all('[data-watch]').map((one) =>
    [one.dataset.watch, one.dataset.status + '|' + one.dataset.title]));
  function change(old, fresh) {
    const before = stands(), focused = document.activeElement;
    morph(old, fresh);
    if (focused && focused !== document.activeElement && focused.isConnected) focused.focus({ preventScroll: true });
    const said = all('[data-watch]').filter((one) => before.size &&
      before.get(one.dataset.watch) !== one.dataset.status + '|' + one.dataset.title);
    if (said.length) put(byId('said'), said.slice(0, 3).map((one) => one.dataset.title + ': ' + one.dataset.status).join('. '));
    tick();
    all('.plot').forEach(plot);
  }

  // What is fetched: a watch's own piece, or the whole of a list. One at a time each, and
  // again if something has changed meanwhile.
  const LEAST = 400, LEAST_WHOLE = 1000, PAUSE = 2000;
  const under = new Map();
  async function refresh(name, address, take) {
    const known = under.get(name);
    if (known) { known.again = true; return; }
    const turn = { again: false }, began = Date.now();
    under.set(name, turn);
    let pause = 0;
    try {
      const answer = await fetch(address, { credentials: 'same-origin', redirect: 'manual' });
      // The session is over: its page says so.
      if (answer.status === 401 || answer.type === 'opaqueredirect') return location.reload();
      if (answer.ok) take(new DOMParser().parseFromString(await answer.text(), 'text/html'));
      else if (answer.status >= 500) pause = PAUSE;
    } catch { pause = PAUSE; }
    // What failed is asked again, and what costs much is not asked often.
    if (pause) turn.again = true;
    setTimeout(() => {
      under.delete(name);
      if (turn.again) refresh(name, address, take);
    }, Math.max(pause, name ? LEAST : LEAST_WHOLE, (name ? 3 : 15) * (Date.now() - began)));
  }
  const whole = () => refresh('', location.href, (page) => {
    const main = page.querySelector('main');
    if (main) change(byId('main'), main);
  });
  function part(element) {
    refresh(element.id, element.dataset.part, (page) => {
      const fresh = page.querySelector('[data-watch]');
      if (!fresh || !element.isConnected) return whole();
      const moved = fresh.dataset.rank !== element.dataset.rank;
      change(element, fresh);
      if (moved && !element.matches('.watch')) whole();
    });
  }
  const alone = () => document.querySelector('.watch[data-watch]');
  function changed(id) {
    const here = all('[data-watch]').find((one) => one.dataset.watch === id);
    if (here) part(here); else if (!alone()) whole();
  }
  const everything = () => { if (alone()) part(alone()); else whole(); };

  // The stream says which watch has changed, and that it is there. A page that nobody looks
  // at has none: a browser has few connections to one daemon.
  const live = byId('live');
  let isOn = false, source, deadline, retry;
  function tell(on) {
    isOn = on;
    live.className = 'live ' + (on ? 'on' : 'off');
    put(live, on ? 'Live' : 'Not live: read anew every 15 s');
  }
  function close() {
    clearTimeout(deadline);
    clearTimeout(retry);
    if (source) source.close();
    source = null;
  }
  function listen() {
    close();
    if (document.hidden) return;
    source = new EventSource('/events');
    const again = () => { close(); tell(false); retry = setTimeout(listen, 3000); };
    const on = (name, then) => source.addEventListener(name, ({ data }) => {
      // The browser has an `open` of its own, before the daemon has looked.
      if (!data) return;
      clearTimeout(deadline);
      deadline = setTimeout(again, 35000);
      if (!isOn) tell(true);
      then(JSON.parse(data));
    });
    source.onerror = again;
    // What has changed before it was open is not told.
    on('open', everything);
    on('beat', () => {});
    on('watch', ({ id }) => changed(id));
    on('fleet', () => { if (!alone()) whole(); });
  }
  document.addEventListener('visibilitychange', listen);

  // A chart's values, by pointer, finger and keys.
  const chosen = new WeakMap();
  function plot(box) {
    const points = JSON.parse(box.dataset.points || '[]');
    if (!points.length) return;
    const out = box.parentNode.querySelector('.readout');
    const say = (index) => {
      const text = new Date(points[index][0]).toISOString().slice(11, 19) + ' UTC  ' + points[index][2];
      box.setAttribute('aria-valuenow', index);
      box.setAttribute('aria-valuetext', text);
      return text;
    };
    const show = (index) => {
      all('.cross,.spot', box).forEach((one) => one.remove());
      if (index === null) { chosen.delete(box); put(out, ''); return; }
      const [at, value] = points[index];
      chosen.set(box, at);
      put(out, say(index));
      for (const drawing of all('[data-frame]', box)) {
        const [left, right, top, bottom, from, to, low, high] = drawing.dataset.frame.split(',').map(Number);
        const svg = drawing.querySelector('svg');
        const make = (name, attributes) => {
          const one = document.createElementNS(svg.namespaceURI, name);
          for (const [key, text] of Object.entries(attributes)) one.setAttribute(key, text);
          svg.append(one);
        };
        const x = left + (at - from) / (to - from) * (right - left);
        make('path', { class: 'cross', d: `M${x} ${top}V${bottom}` });
        if (value === null) continue;
        const share = Math.min(1, Math.max(0, (value - low) / (high - low)));
        make('circle', { class: 'spot', r: 4, cx: x, cy: bottom - share * (bottom - top) });
      }
    };
    const nearest = (at) => points.reduce((best, point, index) =>
      Math.abs(point[0] - at) < Math.abs(points[best][0] - at) ? index : best, 0);
    const last = points.length - 1;
    for (const [name, value] of [['role', 'slider'], ['tabindex', 0], ['aria-valuemin', 0],
      ['aria-valuemax', last], ['aria-label', box.dataset.plot + ', values over time']]) box.setAttribute(name, value);
    const now = () => chosen.has(box) ? nearest(chosen.get(box)) : last;
    say(now());
    box.onpointermove = box.onpointerdown = (event) => {
      const drawing = all('[data-frame]', box).find((one) => one.getBoundingClientRect().width);
      const svg = drawing.querySelector('svg'), edge = svg.getBoundingClientRect();
      const [left, right, , , from, to] = drawing.dataset.frame.split(',').map(Number);
      const x = (event.clientX - edge.left) / edge.width * svg.viewBox.baseVal.width;
      show(nearest(from + (x - left) / (right - left) * (to - from)));
    };
    // A finger that is lifted leaves too.
    box.onpointerleave = box.onblur = ({ pointerType }) => {
      if (pointerType !== 'touch' && document.activeElement !== box) show(null);
    };
    box.onfocus = () => { if (box.matches(':focus-visible')) show(now()); };
    box.onkeydown = (event) => {
      const step = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1, PageDown: -10, PageUp: 10, Home: -1e9, End: 1e9 }[event.key];
      if (event.key === 'Escape') show(null);
      if (!step) return;
      event.preventDefault();
      show(Math.min(last, Math.max(0, now() + step)));
    };
    if (chosen.has(box)) show(now());
  }

  tick();
  setInterval(tick, 5000);
  all('.plot').forEach(plot);
  if (live) {
    listen();
    setInterval(() => { if (!isOn && !document.hidden) everything(); }, 15000);
  }
})();
