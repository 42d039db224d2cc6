//! A Slack that is down for the whole story, and a restart in the middle of it.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context, ensure};
use serde_json::{Value, json};

use crate::house::{House, SECRETS};
use crate::world::daemon::STORY;
use crate::world::slack::{Message, SlackFault};

/// More calls than the whole story makes.
const ALL: usize = 500;

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_slack_delays_no_rollback_and_a_restart_loses_neither_watch_nor_message()
-> anyhow::Result<()> {
    let mut house = House::open(STORY, |settings| {
        settings["log"]["level"] = json!("trace");
    })
    .await?;
    let slack = &house.world.slack;
    // The first answers never come, then it refuses everything.
    slack.fault("chat.postMessage", &SlackFault::Hang(Duration::from_secs(30)), 2);
    for method in
        ["chat.postMessage", "chat.update", "conversations.history", "conversations.replies"]
    {
        slack.fault(method, &SlackFault::ServerError, ALL);
    }

    let id = house.deploy("v2", &[("ERROR_RATE", "0.5")]).await?;
    let rolling = |watch: &Value| {
        watch["status"].as_str().is_some_and(|status| status.contains("rolling out"))
    };
    house.watch_until("v2", "rolling out", rolling).await?;
    house.daemon.terminate().await?;
    let stopped = house.daemon.logs();
    ensure!(stopped.contains("\"stopped; everything is kept\""), "{stopped}");
    house.start().await?;
    let going_on = house.watch_until("v2", "goes on", |watch| watch["outcome"].is_null()).await?;
    assert_eq!(going_on["id"], Value::from(id.as_str()), "the same watch goes on");

    let ended = house.watch_until("v2", "its end", |watch| !watch["outcome"].is_null()).await?;
    assert_eq!(ended["outcome"], "rolled_back", "{ended:#}");
    assert_eq!(ended["id"], Value::from(id.as_str()), "{ended:#}");
    let rollbacks = house.world.mutations_by_client();
    assert_eq!(rollbacks.len(), 1, "{rollbacks:?}");
    let opened: jiff::Timestamp =
        ended["incident"]["opened_at"].as_str().context("an incident")?.parse()?;
    let waited = rollbacks[0].at.duration_since(opened);
    ensure!(waited.as_secs() < 3, "{waited:#} from the breach to the rollback");
    assert_eq!(house.world.task_definition_in_place(), "shopflow-api:1");
    assert_eq!(house.daemon.watches().await?.len(), 1, "a rollback is not watched as a deployment");
    ensure!(house.world.slack.messages().is_empty(), "Slack was down all the time");
    no_measurement_was_missed(&house, &id).await?;

    house.world.slack.clear_faults();
    house
        .until("all the messages", async |house| {
            let ready = house.daemon.get("/readyz").await?;
            Ok((ready["outbox"]["pending"] == 0).then_some(()))
        })
        .await?;
    every_message_came_once_and_in_order(&house, &id).await?;
    the_log_names_the_watch_and_tells_no_secret(&house, &id)?;
    Ok(())
}

/// However long Slack takes: a check a second, but for the restart.
async fn no_measurement_was_missed(house: &House, id: &str) -> anyhow::Result<()> {
    let journal = house.daemon.get(&format!("/api/v1/watches/{id}/journal")).await?;
    let events = journal["events"].as_array().context("events")?;
    assert!(events[0]["event"]["opened"].is_object(), "{journal:#}");
    let ticks: Vec<jiff::Timestamp> = events
        .iter()
        .filter_map(|event| event["event"]["sampled"]["latest"]["at"].as_str()?.parse().ok())
        .collect();
    let gaps = ticks.windows(2).map(|pair| pair[1].duration_since(pair[0]));
    let longest = gaps.max().context("ticks")?;
    ensure!(longest.as_secs() <= 5, "{longest:#} between two ticks");
    Ok(())
}

async fn every_message_came_once_and_in_order(house: &House, id: &str) -> anyhow::Result<()> {
    let messages = house.world.slack.messages();
    let (files, messages): (Vec<Message>, Vec<Message>) =
        messages.into_iter().partition(|message| !message.files.is_empty());
    assert_eq!(files.len(), 2, "the chart of the breach, and the report");
    let (replies, cards): (Vec<Message>, Vec<Message>) =
        messages.into_iter().partition(|message| message.thread_ts.is_some());
    assert_eq!(cards.len(), 1, "one message a deployment");
    assert!(cards[0].rendered().contains("rolled back"), "it reads as it is now: {cards:#?}");
    ensure!(
        replies.iter().all(|reply| reply.thread_ts.as_ref() == Some(&cards[0].ts)),
        "in its thread"
    );
    let keys: Vec<u32> = replies
        .iter()
        .filter_map(|reply| {
            let key = reply.metadata["event_payload"]["key"].as_str()?;
            key.strip_prefix(&format!("{id}/"))?.parse().ok()
        })
        .collect();
    assert_eq!(keys.len(), replies.len(), "every reply says which one it is");
    ensure!(keys.is_sorted(), "in order: {keys:?}");
    let distinct: BTreeSet<_> = keys.iter().collect();
    assert_eq!(distinct.len(), keys.len(), "none twice: {keys:?}");

    // What the timeline says was said is what was said.
    let watch = house.daemon.get(&format!("/api/v1/watches/{id}")).await?;
    let lines: Vec<&str> = watch["timeline"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|e| e["text"].as_str())
        .collect();
    let texts: Vec<String> = replies.iter().map(Message::rendered).collect();
    let mut told = texts.iter();
    for words in ["deployguard is rolling back", "is back in place", "Recovered"] {
        ensure!(lines.iter().any(|line| line.contains(words)), "no {words:?} in {lines:#?}");
        ensure!(told.any(|text| text.contains(words)), "no {words:?} in its place in {texts:#?}");
    }
    assert_eq!(house.world.slack.violations(), Vec::<String>::new());
    Ok(())
}

fn the_log_names_the_watch_and_tells_no_secret(house: &House, id: &str) -> anyhow::Result<()> {
    let log = house.daemon.logs();
    ensure!(log.contains("\"TRACE\""), "it says all that it ever says");
    for secret in SECRETS {
        ensure!(!log.contains(secret), "the log tells {secret}");
    }
    let lines: Vec<Value> = log
        .lines()
        .map(|line| serde_json::from_str(line).with_context(|| format!("no JSON: {line}")))
        .collect::<anyhow::Result<_>>()?;
    for words in
        ["rolling back", "back in place", "Recovered", "a message waits", "answered the rollback"]
    {
        let mut about = lines
            .iter()
            .filter(|line| line["message"].as_str().is_some_and(|message| message.contains(words)));
        let line = about.next().with_context(|| format!("no line about {words:?}"))?;
        assert_eq!(line["watch"], Value::from(id), "{line}");
    }
    Ok(())
}
