//! A bad deployment, seen from the page and turned back there.

use anyhow::{Context, ensure};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::driver::{Browser, Screen};
use crate::house::{House, long_story};
use crate::world::daemon::OPS_TOKEN;

/// Notes when a check first has the look of a breach. No page that is loaded anew has it.
const WATCHFUL: &str = "
    window.breached = null;
    const look = () => {
        const bad = document.querySelector('.checks .mark.bad');
        if (bad && !window.breached) window.breached = Date.now();
    };
    new MutationObserver(look).observe(document.body,
        { subtree: true, childList: true, attributes: true, characterData: true });
    look();";

/// A breach of the story is a person's decision.
fn asking() -> String {
    long_story().replace("SEV1: rollback", "SEV1: { ask: 15m, on_timeout: escalate }")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_breach_appears_by_itself_and_what_is_pressed_on_the_page_turns_it_back()
-> anyhow::Result<()> {
    let house = House::open(&asking(), |_| ()).await?;
    house.daemon.knows_its_world(&house.world).await?;
    let browser = Browser::open().await?;
    let url = house.daemon.url().to_owned();
    browser.log_in(&url, OPS_TOKEN).await?;
    browser.go(&url).await?;
    browser.until("an empty list", "document.body.innerText.includes('No deployment is')").await?;
    browser.until("a live page", "document.querySelector('#live.on')").await?;
    browser.run(WATCHFUL).await?;

    let id = house.deploy("v2", &[("ERROR_RATE", "0.4")]).await?;
    browser.until("its card", &format!("document.querySelector('[data-watch=\"{id}\"]')")).await?;
    browser.until("the breach", "window.breached").await?;
    let seen = browser.run("return window.breached").await?;
    let seen = Timestamp::from_millisecond(seen.as_i64().context("a time")?)?;
    let took = seen.duration_since(breached_at(&house, &id).await?);
    println!("from the verdict to the page: {} ms", took.as_millis());
    ensure!(took.as_millis() < 2000, "a breach was seen after {took:?}");

    browser.until("the question", "document.querySelector('.asked')").await?;
    assert_eq!(
        browser.run("return document.body.innerText.includes('Needs a person')").await?,
        true
    );
    browser.press(&format!("[data-watch=\"{id}\"] h3 a")).await?;
    browser
        .until("its own page", "document.querySelector('article.watch .plot[role=slider]')")
        .await?;
    browser.run(WATCHFUL).await?;
    browser.until("the urged act", "document.querySelector('.deeds .urged')").await?;
    browser.picture("asked", Screen::Desktop).await?;

    browser.press(".deeds a[href$='/act/rollback']").await?;
    browser.until("the question", "document.querySelector('form.confirm')").await?;
    let question = browser.run("return document.querySelector('main').innerText").await?;
    let question = question.as_str().unwrap_or_default();
    for words in
        ["UpdateService", "shopflow-api:2 → shopflow-api:1", "written down with the name oncall"]
    {
        ensure!(question.contains(words), "no {words:?} in {question}");
    }
    browser.picture("confirm", Screen::Desktop).await?;
    browser.press("form.confirm button").await?;
    browser.until("that it is done", "document.querySelector('#done')").await?;
    browser.run("window.same = true").await?;
    browser.until("the recovery", "document.body.innerText.includes('incident, resolved')").await?;
    browser
        .until("the end", "document.querySelector('.status').innerText.includes('rolled back')")
        .await?;
    assert_eq!(browser.run("return window.same").await?, true, "no page was loaded anew");
    browser.picture("recovered", Screen::Desktop).await?;

    assert_eq!(house.world.task_definition_in_place(), "shopflow-api:1");
    let ended = house.watch_until("v2", "the end", |watch| !watch["outcome"].is_null()).await?;
    assert_eq!(ended["outcome"], "rolled_back", "{ended:#}");
    assert_eq!(browser.complaints().await?, Vec::<String>::new());
    only_the_daemon_was_asked(&browser, &url).await
}

/// When its incident began.
async fn breached_at(house: &House, id: &str) -> anyhow::Result<Timestamp> {
    let watch = house.daemon.get(&format!("/api/v1/watches/{id}")).await?;
    let at = watch["incident"]["opened_at"].as_str();
    Ok(at.with_context(|| format!("no incident in {watch:#}"))?.parse()?)
}

async fn only_the_daemon_was_asked(browser: &Browser, url: &str) -> anyhow::Result<()> {
    let asked =
        browser.run("return performance.getEntriesByType('resource').map((one) => one.name)");
    let asked: Vec<String> = serde_json::from_value(asked.await?)?;
    ensure!(!asked.is_empty() && asked.iter().all(|one| one.starts_with(url)), "{asked:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_says_that_it_is_not_live_and_catches_up_when_the_daemon_is_back()
-> anyhow::Result<()> {
    let mut house = House::open(&long_story(), |settings| {
        // The page's address stays what it was.
        let port = crate::world::prometheus::free_port().expect("a port");
        settings["listen"] = json!(format!("127.0.0.1:{port}"));
    })
    .await?;
    let id = house.deploy("v2", &[]).await?;
    let browser = Browser::open().await?;
    let url = house.daemon.url().to_owned();
    browser.go(&format!("{url}/watches/{id}")).await?;
    browser.until("a live page", "document.querySelector('#live.on')").await?;
    browser.run("window.same = true").await?;
    house.daemon.kill();
    browser.until("that it is not live", "document.querySelector('#live.off')").await?;
    house.start().await?;
    house.act(&format!("/api/v1/watches/{id}/cancel"), &json!({ "reason": "enough" })).await?;
    browser
        .until("the end", "document.querySelector('.status').innerText.includes('cancelled')")
        .await?;
    assert_eq!(browser.run("return window.same").await?, Value::Bool(true));
    Ok(())
}
