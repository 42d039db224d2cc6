//! Pages of metrics, read by the guard itself: ratios, latencies and values for who has no
//! Prometheus.
//!
//! The engine reads each page that a policy names from its start on, once for all who want
//! it ([`Pages::want`], [`Pages::due`], [`Pages::read`]), and the samples are kept in memory:
//! all of the latest hours, one a minute of the day before. A question is answered out of
//! them at once ([`Pages::fetch`]), as Prometheus would answer it: raw samples of counters,
//! which [`super::counters`] differences, or the value at each tick. What is known is what
//! was read: a daemon that has just started has no past.
//!
//! - **Instances.** The series of a page that name no `instance` get one: `host:port`, or
//!   with `each_address` the address of each instance that the name leads to.
//! - **Ends.** As in Prometheus a series that is missing on a page that was read, and all
//!   series of a page that was not, end there: values don't outlive what they are about.
//! - **Times.** A sample is of the moment at which it is kept, not of the one at which it was
//!   asked for: what is asked about the time before may have been answered by then. Each
//!   instance is kept as it comes.
//! - **A page that can't be read is missing data.** Five minutes after it was last read the
//!   reason is the answer, for whatever asks for it; also where other pages are read, because
//!   a missing series of errors looks like none.
//! - **So is an instance.** One whose page can't be used makes the answer the reason at once,
//!   also where others are read: it may be the new revision. So does one that has not answered
//!   for five minutes while the name leads to it; until then it may be gone before its address.
//! - **One process.** A page whose `process_start_time_seconds` falls is answered by several
//!   processes in turn, behind a load balancer: the differences of their counters would be
//!   made up. It is not used, and the reason says what to write. A page that does not have
//!   that series can't be told from one process. Where the time rises, another process counts
//!   from zero if it began after the last reading; else its past is not known.
//! - **New asks.** A metric that nobody asked for until now has been there all the time: its
//!   first sample is only the base of the next one.
//! - **Bounds.** Only the series of metrics that somebody asks for are kept, up to
//!   [`MOST_SERIES`] a page and [`MOST_OF_ALL`], and as many again that are there no longer: a
//!   page with more is not used at all, as half of one would lie. More than [`MOST_PAGES`]
//!   pages are not read, and what asks for one more is told so.

mod kept;
mod state;
mod text;

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use promql_parser::label::Matcher;
use promql_parser::parser::{Expr, parse};
use reqwest::Url;

use super::asked::{Answered, Asked};
use super::counters::LOOKBACK_MS;
use super::track::{Fetched, Track};
use super::web::{failed, request};
use crate::model::{Page, ScrapedAsk, Ticks, Unusable, Wants};
use crate::outbound::{Failure, Outbound, Reach, Request};
use state::State;
use text::Sample;

/// What they are called where requests are counted.
pub(super) const KIND: &str = "scrape";
/// Series that one page has, and all pages.
const MOST_SERIES: usize = 2_000;
const MOST_OF_ALL: usize = 5_000;
/// The largest page that is read, in bytes.
const MOST_BYTES: usize = 8 * 1024 * 1024;
/// Pages that are read, and addresses of one.
const MOST_PAGES: usize = 200;
const MOST_ADDRESSES: usize = 50;
/// Requests under way at once, for all pages: one page with all its addresses leaves room.
const AT_ONCE: usize = 64;
/// How long a page is read on that no policy names any more, and one that was asked for.
const NAMED_MS: i64 = 2 * 60 * 1000;
const ASKED_MS: i64 = 15 * 60 * 1000;
/// What a page is asked for; text, because that is what people see who open it.
const ACCEPT: &str = "text/plain;version=0.0.4, application/openmetrics-text;version=1.0.0;q=0.5, \
                      */*;q=0.1";

/// The pages, and what was read of them. Cheap to clone; clones share all.
#[derive(Debug, Clone)]
pub struct Pages {
    way: Outbound,
    inner: Arc<Mutex<BTreeMap<Page, State>>>,
    /// It was said that there are more pages than are read.
    is_full: Arc<AtomicBool>,
}

/// What is wrong with a page, if anything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Condition {
    pub url: String,
    pub trouble: Option<String>,
}

impl Pages {
    /// The pages have turns of their own: those that hang hold up nothing else.
    pub fn of(way: &Outbound) -> Self {
        Self { way: way.apart(AT_ONCE), inner: Arc::default(), is_full: Arc::default() }
    }

    /// Takes in which pages are wanted at `now`, and for which metrics. What was wanted before
    /// and is asked for no longer is forgotten.
    pub fn want<'a>(&self, asks: impl IntoIterator<Item = &'a ScrapedAsk>, now: Timestamp) {
        let now = now.as_millisecond();
        let mut all = self.all();
        let mut left_out = None;
        for ask in asks {
            left_out = want(&mut all, ask, now, NAMED_MS).or(left_out);
        }
        all.retain(|_, state| state.wanted_until >= now);
        // Once, until there is room again: this is asked all the time.
        let was_full = self.is_full.swap(left_out.is_some(), Ordering::Relaxed);
        if let Some(page) = left_out.filter(|_| !was_full) {
            tracing::error!(%page, "{}", too_many());
        }
    }

    /// The pages that are to be read at `now`.
    pub fn due(&self, now: Timestamp) -> Vec<Page> {
        let now = now.as_millisecond();
        let mut all = self.all();
        let due =
            all.iter_mut().filter_map(|(page, state)| state.is_due(now).then(|| page.clone()));
        due.collect()
    }

    /// How long nothing has to be read from `now` on.
    pub fn rest(&self, now: Timestamp) -> Duration {
        let next = self.all().values().map(|state| state.next).min();
        let rest = next.map(|next| next.saturating_sub(now.as_millisecond()));
        rest.map_or(Duration::MAX, |ms| Duration::from_millis(u64::try_from(ms).unwrap_or(0)))
    }

    /// Reads a page, and says how each request for it went. What an instance says is kept as
    /// it comes, with the time by `clock` at which it is kept.
    pub async fn read(&self, page: &Page, clock: fn() -> Timestamp) -> Vec<Asked> {
        let request = wished(page, clock());
        let begun = tokio::time::Instant::now();
        let addresses = match self.addresses(page, &request).await {
            Ok(addresses) => addresses,
            Err(failure) => {
                let spent = spent(&Err(failure.clone()), begun.elapsed());
                self.with(page, |state, _| state.fail(in_ms(clock), unusable(&failure)));
                return vec![spent];
            }
        };
        let named = |only: &Option<IpAddr>| instance(&request.url, *only);
        let instances = addresses.iter().map(named).collect();
        let Some(asked) = self.with(page, |state, _| state.begin(&instances)) else {
            return Vec::new();
        };
        let mut asking = tokio::task::JoinSet::new();
        for only in addresses {
            let (way, request) = (self.way.clone(), request.clone());
            asking.spawn(async move {
                let begun = tokio::time::Instant::now();
                let reach = Reach { only, most_bytes: MOST_BYTES, ..Reach::default() };
                let came = way.send_within(&request, reach).await;
                (instance(&request.url, only), came, begun.elapsed())
            });
        }
        let mut all_spent = Vec::new();
        while let Some(joined) = asking.join_next().await {
            let Ok((instance, came, took)) = joined else { continue };
            all_spent.push(spent(&came.as_ref().map(|one| one.status).map_err(Clone::clone), took));
            let samples = match came {
                Ok(answer) if answer.status == 200 => {
                    text::samples(&answer.body, |name| asked.takes(name)).map_err(Unusable::Refused)
                }
                Ok(answer) => Err(Unusable::Unreachable(format!("it answers {}", answer.status))),
                Err(failure) => Err(unusable(&failure)),
            };
            self.keep(page, in_ms(clock), &instance, samples, &asked);
        }
        self.with(page, |state, _| state.finish(in_ms(clock), asked));
        all_spent
    }

    /// The addresses at which a page is asked; `None`: any that its name leads to.
    async fn addresses(
        &self,
        page: &Page,
        request: &Request,
    ) -> Result<Vec<Option<IpAddr>>, Failure> {
        if !page.each_address {
            return Ok(vec![None]);
        }
        let found = self.way.addresses(&request.url).await?;
        let many = found.len();
        if many > MOST_ADDRESSES {
            let why = format!("its name has {many} addresses, more than {MOST_ADDRESSES}");
            return Err(Failure::Refused(why));
        }
        Ok(found.into_iter().map(Some).collect())
    }

    fn keep(
        &self,
        page: &Page,
        at: i64,
        instance: &str,
        samples: Result<Vec<Sample>, Unusable>,
        asked: &Metrics,
    ) {
        self.with(page, |state, others| {
            let room = MOST_SERIES.min(MOST_OF_ALL.saturating_sub(others));
            state.keep(at, instance, samples, (asked, room));
        });
    }

    /// Does something with what is known of a page, and the number of series of all others;
    /// nothing where nobody wants it any more.
    fn with<T>(&self, page: &Page, work: impl FnOnce(&mut State, usize) -> T) -> Option<T> {
        let mut all = self.all();
        let others = all.iter().filter(|(one, _)| *one != page).map(|(_, state)| state.present());
        let others = others.sum();
        all.get_mut(page).map(|state| work(state, others))
    }

    /// What each page that is wanted is like.
    pub fn conditions(&self) -> Vec<Condition> {
        let told = |(page, state): (&Page, &State)| Condition {
            url: page.to_string(),
            trouble: state.trouble.as_ref().map(ToString::to_string),
        };
        self.all().iter().map(told).collect()
    }

    /// Answers out of what was read; what is asked for is read from now on.
    pub fn fetch(&self, ask: &ScrapedAsk, ticks: Ticks) -> Fetched {
        let matchers = match matchers(&ask.selector) {
            Ok(matchers) => matchers,
            Err(why) => return Fetched::failed(ticks, Unusable::Refused(why)),
        };
        let last = ticks.at_ms(ticks.count.saturating_sub(1));
        let first = ticks.at_ms(0).saturating_sub(LOOKBACK_MS).saturating_sub(ticks.step_ms());
        let mut all = self.all();
        let left_out = want(&mut all, ask, last, ASKED_MS);
        let left_out = left_out.map(|page| format!("{page}: {}", too_many()));
        if let Some(why) = left_out {
            return Fetched::failed(ticks, Unusable::Refused(why));
        }
        let pages = || ask.pages.iter().filter_map(|page| Some((page, all.get(page)?)));
        let mut tracks = Vec::new();
        for (labels, kept) in pages().flat_map(|(_, state)| state.all_series()) {
            let label = |name: &str| labels.get(name).map_or("", String::as_str);
            if !matchers.iter().all(|one| one.is_match(label(&one.name))) {
                continue;
            }
            let samples = match ask.wants {
                Wants::Samples => kept.between(first, last),
                Wants::Values => (0..ticks.count)
                    .filter_map(|tick| {
                        let at = ticks.at_ms(tick);
                        Some((at, kept.value(at, LOOKBACK_MS)?))
                    })
                    .collect(),
            };
            if !samples.is_empty() {
                tracks.push(Track { labels: labels.clone(), samples });
            }
        }
        let why_not =
            |tick: usize| pages().find_map(|(page, state)| state.why_not(page, ticks.at_ms(tick)));
        let failed = (0..ticks.count).filter_map(|tick| Some((tick..tick + 1, why_not(tick)?)));
        Fetched { tracks, failed: failed.collect() }
    }

    fn all(&self) -> MutexGuard<'_, BTreeMap<Page, State>> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Takes in that what `ask` asks for is wanted for so long from `now` on; returns a page of it
/// that there is no room for.
fn want<'a>(
    all: &mut BTreeMap<Page, State>,
    ask: &'a ScrapedAsk,
    now: i64,
    keep: i64,
) -> Option<&'a Page> {
    let every = i64::try_from(ask.every.as_millis()).unwrap_or(i64::MAX);
    let mut left_out = None;
    for page in &ask.pages {
        if all.len() >= MOST_PAGES && !all.contains_key(page) {
            left_out = Some(page);
            continue;
        }
        let state = all.entry(page.clone()).or_insert_with(|| State::new(now));
        state.every = if state.every == 0 { every } else { state.every.min(every) };
        state.wanted_until = state.wanted_until.max(now.saturating_add(keep));
        state.metrics.add(&ask.selector);
    }
    left_out
}

fn too_many() -> String {
    format!("more than {MOST_PAGES} pages of metrics are wanted, and it is not read: name fewer")
}

fn in_ms(clock: fn() -> Timestamp) -> i64 {
    clock().as_millisecond()
}

/// The matchers of a plain selector, that of the metric's name among them.
fn matchers(selector: &str) -> Result<Vec<Matcher>, String> {
    let odd = |why: String| format!("`{selector}` is no selector: {why}");
    match parse(selector).map_err(|why| odd(why.trim().to_owned()))? {
        Expr::VectorSelector(selector) => {
            let name = selector
                .name
                .map(|name| Matcher::new(promql_parser::label::MatchOp::Equal, "__name__", &name));
            Ok(name.into_iter().chain(selector.matchers.matchers).collect())
        }
        _ => Err(odd("it computes".to_owned())),
    }
}

fn wished(page: &Page, now: Timestamp) -> Request {
    let mut request = request(&page.web, now, SignedDuration::ZERO);
    if !request.headers.iter().any(|one| one.name.eq_ignore_ascii_case("accept")) {
        let value = vec![Ok(ACCEPT.to_owned())];
        request.headers.push(crate::outbound::Header { name: "accept".to_owned(), value });
    }
    request
}

/// `host:port`, by the address if there is one.
fn instance(url: &str, only: Option<IpAddr>) -> String {
    let Ok(url) = Url::parse(url) else { return String::new() };
    let port = url.port_or_known_default().unwrap_or_default();
    match only {
        Some(address) => SocketAddr::new(address, port).to_string(),
        None => format!("{}:{port}", url.host_str().unwrap_or_default()),
    }
}

fn unusable(failure: &Failure) -> Unusable {
    match failure {
        Failure::Refused(why) => Unusable::Refused(why.clone()),
        Failure::Unresolved(why) | Failure::NoAnswer(why) | Failure::Unusable(why) => {
            Unusable::Unreachable(why.clone())
        }
    }
}

fn spent(came: &Result<u16, Failure>, took: Duration) -> Asked {
    let result = match came {
        Ok(200) => Answered::Ok,
        Ok(_) => Answered::Error,
        Err(failure) => failed(failure),
    };
    Asked { source: KIND, result, took }
}

/// The metrics that somebody asks for.
#[derive(Debug, Clone, Default)]
struct Metrics {
    names: BTreeSet<String>,
    /// A selector names none.
    all: bool,
}

impl Metrics {
    fn add(&mut self, selector: &str) {
        let Ok(matchers) = matchers(selector) else { return };
        let is_name = |one: &&Matcher| {
            one.name == "__name__" && one.op == promql_parser::label::MatchOp::Equal
        };
        match matchers.iter().find(is_name) {
            Some(name) => drop(self.names.insert(name.value.clone())),
            None => self.all = true,
        }
    }

    fn takes(&self, name: &str) -> bool {
        self.all || name == state::STARTED || self.names.contains(name)
    }
}

#[cfg(test)]
mod tests;
