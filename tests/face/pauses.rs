//! Pauses: where they are shown, what is kept of them, and what they stop.

use anyhow::{Context, ensure};
use deployguard::model::ServiceKey;
use deployguard::store::Store;
use reqwest::Method;
use serde_json::{Value, json};

use crate::house::{House, READ_TOKEN, long_story};
use crate::world::daemon::announcement;

/// Half of all requests fail.
const BAD: &[(&str, &str)] = &[("ERROR_RATE", "0.5")];
/// Of the first rollback the way from the permit to the call takes long, of the second the
/// answer.
const SLOW: &str = "permit-after=1*sleep(4000)->off;ecs-after-act=1*off->1*sleep(4000)->off";

#[tokio::test(flavor = "multi_thread")]
async fn a_pause_is_shown_kept_and_stops_what_is_not_called_yet() -> anyhow::Result<()> {
    // The second rollback of the service is to come soon.
    let policy = long_story().replace("cooldown: 1h", "cooldown: 1s");
    let mut house = House::open(&policy, |_| ()).await?;
    a_pause_is_shown_wherever_people_look(&house).await?;
    what_makes_no_sense_is_answered_in_words(&house).await?;
    its_history_outlives_a_restart(&mut house).await?;
    a_rollback_that_waits_for_its_call_is_stopped_and_goes_on_afterwards(&house).await?;
    a_call_that_was_sent_is_told_as_such(&house).await?;
    Ok(())
}

async fn a_pause_is_shown_wherever_people_look(house: &House) -> anyhow::Result<()> {
    let none = house.cli(&["pause", "--list"]).await?;
    assert_eq!((none.code, none.out.as_str()), (0, "nothing is paused\n"));
    let scope = "environment:production";
    let done = house.cli(&["pause", "--scope", scope, "--reason", "the database moves"]).await?;
    assert_eq!(done.code, 0, "{done:?}");

    let shown = house.cli(&["watches"]).await?;
    let first = shown.out.lines().next().context("a line")?;
    assert!(first.starts_with("PAUSED environment:production since 20"), "{shown:?}");
    assert!(first.ends_with(" UTC, by oncall: the database moves"), "{shown:?}");
    let list = house.daemon.get("/api/v1/watches").await?;
    assert_eq!(list["paused"][0]["scope"], scope, "{list:#}");
    let ready = house.daemon.get("/readyz").await?;
    assert_eq!(ready["paused"][0]["by"], "oncall", "{ready:#}");
    assert_eq!(ready["ready"], true, "{ready:#}");
    let metric = "\ndeployguard_paused{scope=\"environment:production\"} 1\n";
    let metrics = house.daemon.text("/metrics").await?;
    assert!(metrics.contains(metric), "{metrics}");
    Ok(())
}

async fn what_makes_no_sense_is_answered_in_words(house: &House) -> anyhow::Result<()> {
    let scope = "environment:production";
    let twice = house.cli(&["pause", "--scope", scope, "--reason", "me too"]).await?;
    assert_eq!(twice.code, 0, "{twice:?}");
    assert!(twice.out.starts_with("paused already: environment:production since 20"), "{twice:?}");
    assert!(twice.out.contains("by oncall: the database moves. It stays so"), "{twice:?}");
    let other = house.cli(&["unpause"]).await?;
    assert_eq!(other.code, 1, "{other:?}");
    let words = "deployguard: `all` is not paused; paused: `environment:production`\n";
    assert_eq!(other.err, words);

    assert_eq!(house.cli(&["pause"]).await?.code, 0, "without a scope it is all");
    let one_left = house.cli(&["unpause", "--scope", scope]).await?;
    assert_eq!(one_left.code, 0, "{one_left:?}");
    let words = "no longer paused: environment:production\nstill paused: all since 20";
    assert!(one_left.out.starts_with(words), "{one_left:?}");
    assert_eq!(house.cli(&["unpause"]).await?.out, "no longer paused: all\n");
    let metrics = house.daemon.text("/metrics").await?;
    assert!(!metrics.contains("deployguard_paused{"), "{metrics}");
    let no_scope = house.act("/api/v1/unpause", &json!({ "scope": "everything" })).await?;
    no_scope.blames("scope");
    let slip = house.cli(&["pause", "--scope", "environment:prodution"]).await?;
    assert_eq!(slip.code, 1, "{slip:?}");
    assert!(slip.err.contains("did you mean `environment:production`?"), "{slip:?}");
    let anywhere = house.cli(&["pause", "--scope", "shop/shopflow-*"]).await?;
    assert!(anywhere.out.starts_with("paused: */shop/shopflow-*. "), "{anywhere:?}");
    let how = "`deployguard unpause --scope '*/shop/shopflow-*'`\n";
    assert!(anywhere.out.ends_with(how), "{anywhere:?}");
    assert_eq!(house.cli(&["unpause", "--scope", "shop/shopflow-*"]).await?.code, 0);
    Ok(())
}

async fn its_history_outlives_a_restart(house: &mut House) -> anyhow::Result<()> {
    house.daemon.kill();
    house.start_with(&[("FAILPOINTS", SLOW)]).await?;
    let path = "/api/v1/pause/history?limit=6";
    let told = house.ask(Method::GET, path, Some(READ_TOKEN), "").await?.body;
    let turns: Vec<(&str, bool, Option<&str>)> = told
        .as_array()
        .context("turns")?
        .iter()
        .filter_map(|one| {
            Some((one["scope"].as_str()?, one["paused"].as_bool()?, one["reason"].as_str()))
        })
        .collect();
    let (environment, anywhere) = ("environment:production", "*/shop/shopflow-*");
    assert_eq!(
        turns,
        [
            (anywhere, false, None),
            (anywhere, true, None),
            ("all", false, None),
            (environment, false, None),
            ("all", true, None),
            (environment, true, Some("me too")),
        ],
        "{told:#}"
    );
    let listed = house.cli(&["pause", "--list"]).await?;
    let lines: Vec<&str> = listed.out.lines().collect();
    assert_eq!(lines[..3], ["nothing is paused", "", "history (UTC)"], "{listed:?}");
    assert_eq!(lines.len(), 10, "{listed:?}");
    assert!(
        lines[9].ends_with("  paused    environment:production, by oncall: the database moves")
    );
    Ok(())
}

async fn a_rollback_that_waits_for_its_call_is_stopped_and_goes_on_afterwards(
    house: &House,
) -> anyhow::Result<()> {
    let judged = deploy(house, "v2").await?;
    let store = format!("sqlite://{}", house.daemon.home().join("deployguard.db").display());
    let store = Store::open(&store).await?;
    let key = ServiceKey {
        target: "default".into(),
        cluster: "shopflow-production".into(),
        service: "shopflow-api".into(),
    };
    house
        .until("the permit", async |_| Ok(store.permit_holder(&key, &judged).await?.map(drop)))
        .await?;
    store.close().await;
    let paused = house.cli(&["pause", "--reason", "look first"]).await?;
    assert_eq!(paused.code, 0, "{paused:?}");
    said(
        house,
        "v2",
        "try 1 of the rollback: stopped before the call: paused by oncall: look first",
    )
    .await?;
    ensure!(house.world.mutations_by_client().is_empty(), "it was not called");
    let detail = of(house, "v2").await?;
    assert_eq!(detail["mode"], "observe", "{detail:#}");
    in_thread(house, "is stopped before its call; if the call was sent already, that is told here")
        .await?;
    let metrics = house.daemon.text("/metrics").await?;
    let mut calls =
        metrics.lines().filter(|line| line.starts_with("deployguard_rollback_attempts_total{"));
    assert!(calls.all(|line| line.ends_with(" 0")), "no call: {metrics}");

    assert_eq!(house.cli(&["unpause"]).await?.code, 0);
    house
        .until("the rollback, after all", async |house| {
            let back = house.world.task_definition_in_place() == "shopflow-api:1";
            Ok((back && house.world.mutations_by_client().len() == 1).then_some(()))
        })
        .await?;
    house.world.wait_stable().await;
    let ended = |watch: &Value| watch["outcome"] == "rolled_back";
    house.watch_until("v2", "rolled back", ended).await?;
    Ok(())
}

async fn a_call_that_was_sent_is_told_as_such(house: &House) -> anyhow::Result<()> {
    deploy(house, "v3").await?;
    house
        .until("the call", async |house| {
            Ok((house.world.mutations_by_client().len() == 2).then_some(()))
        })
        .await?;
    let paused = house.cli(&["pause", "--reason", "too late"]).await?;
    assert_eq!(paused.code, 0, "{paused:?}");
    in_thread(
        house,
        "The rollback of shopflow-api v3 in production had been called before (paused by oncall: \
         too late): it is with the platform, and followed to its end",
    )
    .await?;
    let ended = |watch: &Value| watch["outcome"] == "rolled_back";
    house.watch_until("v3", "rolled back", ended).await?;
    Ok(())
}

/// Deploys a bad version and announces it; ECS's id of the deployment.
async fn deploy(house: &House, version: &str) -> anyhow::Result<String> {
    let id = house.world.deploy(version, BAD)?;
    let body = announcement(version, &house.world.task_definition_in_place());
    assert_eq!(house.hook(&body).await?.status, 202);
    Ok(id)
}

async fn of(house: &House, version: &str) -> anyhow::Result<Value> {
    let watch = house.watch_until(version, "there", |_| true).await?;
    let id = watch["id"].as_str().context("an id")?;
    house.daemon.get(&format!("/api/v1/watches/{id}")).await
}

/// Waits for a line of the timeline.
async fn said(house: &House, version: &str, words: &str) -> anyhow::Result<()> {
    house
        .until(words, async |house| {
            let detail = of(house, version).await?;
            let mut lines = detail["timeline"].as_array().into_iter().flatten();
            Ok(lines.any(|line| line["text"] == words).then_some(()))
        })
        .await
}

async fn in_thread(house: &House, words: &str) -> anyhow::Result<()> {
    house
        .until(words, async |house| {
            let mut said = house.world.slack.threads().into_iter().flat_map(|one| one.replies);
            Ok(said.any(|reply| reply.contains(words)).then_some(()))
        })
        .await
}
