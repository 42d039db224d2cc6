//! Everybody can use it: axe's rules, keys alone, a phone, the dark.

use anyhow::{Context, ensure};
use fantoccini::Locator;
use fantoccini::key::Key;
use serde_json::{Value, json};

use super::driver::{Browser, Screen, axe};
use crate::house::{House, long_story};
use crate::world::daemon::OPS_TOKEN;

/// Every rule, the recommended ones too.
const CHECK: &str = "
    const done = arguments[arguments.length - 1];
    axe.run(document, { resultTypes: ['violations'] }).then(
        ({ violations }) => done(violations.map((one) =>
            one.id + ': ' + one.nodes.map((node) => node.html).slice(0, 3).join(' | '))),
        (why) => done(['axe: ' + why]));";

#[tokio::test(flavor = "multi_thread")]
async fn axe_finds_nothing_on_any_page_light_or_dark_on_a_desk_or_a_phone() -> anyhow::Result<()> {
    let house = House::open(&long_story(), |_| ()).await?;
    house.daemon.knows_its_world(&house.world).await?;
    let ended = house.deploy("v2", &[]).await?;
    is_measured(&house, &ended).await?;
    house
        .act(&format!("/api/v1/watches/{ended}/cancel"), &json!({ "reason": "seen enough" }))
        .await?;
    let open = house.deploy("v3", &[]).await?;
    is_measured(&house, &open).await?;
    house.act("/api/v1/pause", &json!({ "scope": "all", "reason": "a test" })).await?;

    let browser = Browser::open().await?;
    let url = house.daemon.url().to_owned();
    let pages = [
        ("login", "/login".to_owned()),
        ("fleet", "/".to_owned()),
        ("watch", format!("/watches/{open}")),
        ("ended", format!("/watches/{ended}")),
        ("confirm-cancel", format!("/watches/{open}/act/cancel")),
        ("history", "/history".to_owned()),
        ("history-wrong", "/history?from=yesterday&service=none".to_owned()),
        ("missing", "/watches/none".to_owned()),
    ];
    browser.log_in(&url, OPS_TOKEN).await?;
    let mut found = Vec::new();
    for (name, path) in &pages {
        for (screen, dark) in [
            (Screen::Desktop, false),
            (Screen::Desktop, true),
            (Screen::Phone, false),
            (Screen::Phone, true),
        ] {
            browser.look(screen, dark).await?;
            browser.go(&format!("{url}{path}")).await?;
            let title = format!("{name}-{screen:?}-{}", if dark { "dark" } else { "light" });
            let title = title.to_lowercase();
            browser.picture(&title, screen).await?;
            let wider = "return document.documentElement.scrollWidth - window.innerWidth";
            let wider = browser.run(wider).await?.as_i64().context("a width")?;
            ensure!(wider <= 0, "{title} is {wider} pixels wider than its screen");
            browser.run(&format!("{}; return null", axe()?)).await?;
            let wrong = browser.page.execute_async(CHECK, vec![]).await?;
            let wrong: Vec<String> = serde_json::from_value(wrong)?;
            found.extend(wrong.into_iter().map(|one| format!("{title}: {one}")));
        }
    }
    assert!(found.is_empty(), "{found:#?}");
    Ok(())
}

/// Once two checks have enough values for a chart.
async fn is_measured(house: &House, id: &str) -> anyhow::Result<()> {
    let enough = |one: &&Value| one["recent"].as_array().is_some_and(|values| values.len() > 8);
    house
        .until("samples", async |house| {
            let watch = house.daemon.get(&format!("/api/v1/watches/{id}")).await?;
            let checks = watch["checks"].as_array().context("checks")?;
            Ok((checks.iter().filter(enough).count() > 1).then_some(()))
        })
        .await
}

#[tokio::test(flavor = "multi_thread")]
async fn with_keys_alone_one_reads_a_chart_and_ends_a_watch() -> anyhow::Result<()> {
    let house = House::open(&long_story(), |_| ()).await?;
    house.daemon.knows_its_world(&house.world).await?;
    let id = house.deploy("v2", &[]).await?;
    is_measured(&house, &id).await?;
    let browser = Browser::open().await?;
    let url = house.daemon.url().to_owned();
    browser.log_in(&url, OPS_TOKEN).await?;
    browser.go(&format!("{url}/watches/{id}")).await?;
    browser.until("charts", "document.querySelector('.plot[role=slider]')").await?;
    let focus = "document.activeElement";
    keys(&browser, &[Key::Tab]).await?;
    browser.until("the way past the bar", &format!("{focus}.matches('.skip')")).await?;
    keys(&browser, &[Key::Enter]).await?;
    tab_to(&browser, ".deeds a[href$='/act/cancel']").await?;
    tab_to(&browser, ".plot").await?;
    keys(&browser, &[Key::End, Key::Left, Key::Left]).await?;
    let readout = "document.activeElement.parentNode.querySelector('.readout').textContent";
    browser.until("a value", &format!("/^\\d\\d:\\d\\d:\\d\\d UTC  \\S/.test({readout})")).await?;
    let told = format!("return [{readout}, {focus}.getAttribute('aria-valuetext')]");
    let told = browser.run(&told).await?;
    assert_eq!(told[0], told[1], "a screen reader says the same");

    // What comes meanwhile takes neither the focus nor the place away.
    let points = "return document.activeElement.dataset.points.length";
    let before = browser.run(points).await?.as_i64().context("points")?;
    let more = format!("{focus}.dataset.points && {focus}.dataset.points.length > {before}");
    browser.until("more points under the focus", &more).await?;
    browser.until("the same value", &format!("{readout} === {}", told[0])).await?;

    browser.go(&format!("{url}/watches/{id}/act/cancel")).await?;
    tab_to(&browser, "form.confirm input[name=reason]").await?;
    browser.page.active_element().await?.send_keys("by keys").await?;
    tab_to(&browser, "form.confirm button").await?;
    keys(&browser, &[Key::Enter]).await?;
    browser
        .until("the end", "document.querySelector('.status')?.innerText.includes('cancelled')")
        .await?;
    Ok(())
}

async fn keys(browser: &Browser, keys: &[Key]) -> anyhow::Result<()> {
    for key in keys {
        let focused = match browser.page.active_element().await {
            Ok(focused) => focused,
            Err(_) => browser.page.find(Locator::Css("body")).await?,
        };
        focused.send_keys(&char::from(*key).to_string()).await?;
    }
    Ok(())
}

/// Goes on by the tab key until what has the focus is this.
async fn tab_to(browser: &Browser, selector: &str) -> anyhow::Result<()> {
    let there = format!("return document.activeElement.matches({selector:?})");
    for _ in 0..60 {
        keys(browser, &[Key::Tab]).await?;
        if browser.run(&there).await? == true {
            return Ok(());
        }
    }
    anyhow::bail!("the tab key never comes to {selector}")
}

#[tokio::test(flavor = "multi_thread")]
async fn what_somebody_types_reads_or_opened_stays_when_the_page_changes_under_them()
-> anyhow::Result<()> {
    let house = House::open(&long_story(), |_| ()).await?;
    house.daemon.knows_its_world(&house.world).await?;
    let id = house.deploy("v2", &[]).await?;
    is_measured(&house, &id).await?;
    house.act("/api/v1/pause", &json!({ "scope": "all", "reason": "a test" })).await?;
    let browser = Browser::open().await?;
    let url = house.daemon.url().to_owned();
    browser.log_in(&url, OPS_TOKEN).await?;

    browser.go(&url).await?;
    browser.until("a live page", "document.querySelector('#live.on')").await?;
    browser.until("the pause", "document.body.innerText.includes('Paused: ')").await?;
    browser.page.find(Locator::Css("input[name=service]")).await?.send_keys("shop").await?;
    house.act("/api/v1/unpause", &json!({ "scope": "all" })).await?;
    browser.until("no pause", "!document.body.innerText.includes('Paused: ')").await?;
    let field = "return [document.activeElement.name, document.activeElement.value]";
    assert_eq!(browser.run(field).await?, json!(["service", "shop"]));

    browser.go(&format!("{url}/watches/{id}")).await?;
    browser.until("a live page", "document.querySelector('#live.on')").await?;
    browser.until("an act", "document.querySelector('.deeds')").await?;
    browser.run("document.querySelector('#policy-text').open = true").await?;
    browser.run("document.querySelector('.plot').focus()").await?;
    house.act(&format!("/api/v1/watches/{id}/cancel"), &json!({ "reason": "enough" })).await?;
    browser.until("the end", "!document.querySelector('.deeds')").await?;
    let kept = "return [document.activeElement.matches('.plot'), \
                document.querySelector('#policy-text').open]";
    assert_eq!(browser.run(kept).await?, json!([true, true]));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_finger_on_a_chart_reads_its_value_at_the_first_touch() -> anyhow::Result<()> {
    let house = House::open(&long_story(), |_| ()).await?;
    house.daemon.knows_its_world(&house.world).await?;
    let id = house.deploy("v2", &[]).await?;
    is_measured(&house, &id).await?;
    let browser = Browser::open().await?;
    browser.look(Screen::Phone, true).await?;
    browser.cdp("Emulation.setTouchEmulationEnabled", json!({ "enabled": true })).await?;
    browser.go(&format!("{}/watches/{id}", house.daemon.url())).await?;
    browser.until("charts", "document.querySelector('.plot[role=slider]')").await?;
    let place =
        "const plot = document.querySelector('.plot'); plot.scrollIntoView({ block: 'center' });
        const box = plot.getBoundingClientRect();
        return [box.left + box.width / 2, box.top + box.height / 2]";
    let place = browser.run(place).await?;
    let finger = json!([{ "x": place[0], "y": place[1] }]);
    for (kind, points) in [("touchStart", finger), ("touchEnd", json!([]))] {
        let touch = json!({ "type": kind, "touchPoints": points });
        browser.cdp("Input.dispatchTouchEvent", touch).await?;
    }
    let readout = "document.querySelector('.chart .readout').textContent";
    browser.until("a value", &format!("/^\\d\\d:\\d\\d:\\d\\d UTC  \\S/.test({readout})")).await?;
    browser.picture("touched", Screen::Phone).await
}
