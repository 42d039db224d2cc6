//! Two daemons on one Postgres: one leads, the other stands by, and whatever happens to
//! the leader the story ends the same, with one rollback and each message once.

use std::path::Path;
use std::time::Duration;

use nix::sys::signal::Signal;
use serde_json::json;

use crate::BINARY;
use crate::crash::seed;
use crate::pair::Pair;
use crate::world::daemon::{CI_TOKEN, Daemon, OPS_TOKEN, STORY, announcement};
use crate::world::server::Server;
use crate::world::{World, WorldConfig};

/// Each dies in turn, at the next of these that it comes to, and stands by again.
#[tokio::test(flavor = "multi_thread")]
async fn leaders_that_die_one_after_another_during_a_rollback_are_followed() -> anyhow::Result<()> {
    let points = [
        "permit-after",
        "ecs-before-act",
        "ecs-after-act",
        "act-after",
        "send-after",
        "commit-after",
    ];
    let mut points = points.map(|point| format!("{point}=1*return->off")).into_iter();
    let (first, second) = (points.next().unwrap_or_default(), points.next().unwrap_or_default());
    let mut pair = Pair::begin([&first, &second]).await?;
    pair.led = pair.epoch().await?;
    pair.deploy_bad().await?;
    let mut deaths = 0;
    // A call that the former leader has made is found by its effect, and the points around
    // it are not come to again: then the leader lives until the end.
    while let Some(dead) = pair.death(Duration::from_mins(2)).await? {
        deaths += 1;
        // The one that died; somebody may have followed it already.
        let epoch = pair.led;
        pair.start(dead, &points.next().unwrap_or_default()).await?;
        pair.is_taken_over(epoch).await?;
    }
    println!("deaths: {deaths}");
    assert!(deaths >= 2, "only {deaths} deaths");
    pair.ends_well().await
}

#[tokio::test(flavor = "multi_thread")]
async fn leaders_that_are_killed_at_random_times_are_followed() -> anyhow::Result<()> {
    let mut random = seed();
    let mut pair = Pair::begin(["", ""]).await?;
    pair.deploy_bad().await?;
    for _ in 0..5 {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        tokio::time::sleep(Duration::from_millis(random % 3000)).await;
        if pair.is_over().await? {
            break;
        }
        let leader = pair.leader().await?;
        let epoch = pair.epoch().await?;
        pair.daemons[leader].kill();
        pair.is_taken_over(epoch).await?;
        pair.start(leader, "").await?;
    }
    pair.ends_well().await
}

/// It is stopped between the permit and the call, for longer than its lease.
#[tokio::test(flavor = "multi_thread")]
async fn a_leader_that_stood_still_with_the_permit_in_hand_does_not_act_on_it() -> anyhow::Result<()>
{
    let mut pair = Pair::begin(["permit-after=1*sleep(3000)->off", ""]).await?;
    pair.deploy_bad().await?;
    while pair.postgres.sql("SELECT COUNT(*) FROM permits").await? == "0" {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let epoch = pair.epoch().await?;
    pair.daemons[0].signal(Signal::SIGSTOP)?;
    assert!(pair.world.mutations_by_client().is_empty(), "it has not called yet");
    pair.is_taken_over(epoch).await?;
    let ended = pair.daemons[1].outcome_of("v2", Duration::from_mins(2)).await?;
    assert_eq!(ended["outcome"], "rolled_back", "{ended:#}");
    let epoch = pair.epoch().await?;
    pair.daemons[0].signal(Signal::SIGCONT)?;
    pair.is(0, "standby").await?;
    assert!(pair.daemons[0].logs().contains("standing by"), "it says so");
    assert!(!pair.daemons[0].logs().contains("the platform answered"), "it did not call");
    assert_eq!(pair.epoch().await?, epoch, "it did not take the lead back");
    pair.ends_well().await
}

/// It is stopped within a transaction, with its locks in hand.
#[tokio::test(flavor = "multi_thread")]
async fn a_leader_that_stood_still_in_the_middle_of_a_step_has_not_made_it() -> anyhow::Result<()> {
    let mut pair = Pair::begin(["commit-within=8*off->1*sleep(3000)->off", ""]).await?;
    pair.deploy_bad().await?;
    let idles = "SELECT COUNT(*) FROM pg_stat_activity WHERE state = 'idle in transaction' \
                 AND state_change < clock_timestamp() - interval '1 second'";
    while pair.postgres.sql(idles).await? == "0" {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let epoch = pair.epoch().await?;
    pair.daemons[0].signal(Signal::SIGSTOP)?;
    pair.is_taken_over(epoch).await?;
    pair.daemons[0].signal(Signal::SIGCONT)?;
    pair.is(0, "standby").await?;
    pair.ends_well().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_goes_away_in_the_middle_costs_nothing() -> anyhow::Result<()> {
    let mut pair = Pair::begin(["", ""]).await?;
    pair.deploy_bad().await?;
    // Shorter than a lease, while evidence is gathered.
    pair.postgres.stop();
    tokio::time::sleep(Duration::from_secs(1)).await;
    pair.postgres.start_again().await?;
    pair.announce_until_kept().await?;
    while pair.postgres.sql("SELECT COUNT(*) FROM permits").await? == "0" {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    // Longer than one, around the call: the leader has to stand down.
    pair.postgres.stop();
    let url = format!("{}/hooks/deployments", pair.daemons[1].url());
    let body = announcement("v3", "shopflow-api:3");
    let asked = reqwest::Client::new().post(url).bearer_auth(CI_TOKEN).json(&body).send().await?;
    assert_eq!(asked.status(), 503, "nothing can be kept");
    assert!(asked.headers().contains_key("retry-after"), "{asked:?}");
    for daemon in &pair.daemons {
        assert_eq!(daemon.role().await, "standby");
    }
    pair.postgres.start_again().await?;
    pair.ends_well().await
}

/// As a deployment of deployguard itself does it.
#[tokio::test(flavor = "multi_thread")]
async fn a_new_one_comes_up_while_the_old_one_leads_and_takes_over_when_it_stops()
-> anyhow::Result<()> {
    let mut pair = Pair::begin(["", ""]).await?;
    let [old, new] = &pair.daemons;
    let ready = new.get("/readyz").await?;
    assert_eq!((&ready["ready"], &ready["leader"]), (&json!(true), &json!(old.url())), "{ready}");
    pair.world.deploy("v2", &[("ERROR_RATE", "0.4")])?;
    let body = announcement("v2", "shopflow-api:2");
    let (status, answer) = new.announce(&body).await?;
    assert_eq!(status, 202, "passed on to the leader: {answer}");
    assert_eq!(old.announce(&body).await?.0, 202, "which knows it");
    let (status, answer) = new.post("/hooks/deployments", "wrong-token", &body).await?;
    assert_eq!((status, &answer["status"]), (401, &json!(401)), "{answer}");
    let held = json!({ "scope": "*/elsewhere/*", "reason": "a rehearsal" });
    assert_eq!(new.post("/api/v1/pause", OPS_TOKEN, &held).await?.0, 200);
    assert_eq!(new.post("/api/v1/pause", CI_TOKEN, &held).await?.0, 403);
    assert_eq!(new.get("/api/v1/pause").await?[0]["by"], "oncall", "read from the store");
    assert!(new.text("/metrics").await?.contains("deployguard_leading 0"));
    pair.watch(1).await?;

    let epoch = pair.epoch().await?;
    pair.daemons[0].terminate().await?;
    let took = pair.is_taken_over(epoch).await?;
    assert!(took < Duration::from_secs(4), "the lead was given back: {took:?}");
    let metrics = pair.daemons[1].text("/metrics").await?;
    assert!(metrics.contains("deployguard_leading 1"));
    assert!(metrics.contains("deployguard_takeovers_total 1"));
    pair.ends_well().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hook_that_comes_while_nobody_leads_is_held_until_somebody_does() -> anyhow::Result<()> {
    let mut pair = Pair::begin(["", ""]).await?;
    pair.daemons[0].kill();
    pair.world.deploy("v2", &[])?;
    let body = announcement("v2", "shopflow-api:2");
    let (status, answer) = pair.daemons[1].announce(&body).await?;
    assert_eq!(status, 202, "{answer}");
    assert_eq!(pair.daemons[1].role().await, "leading");
    pair.watch(1).await.map(drop)
}

/// On ECS a task listens on every address, and learns its own from the agent.
#[tokio::test(flavor = "multi_thread")]
async fn on_ecs_the_others_are_told_the_tasks_own_address() -> anyhow::Result<()> {
    let metadata =
        json!({ "Networks": [{ "NetworkMode": "awsvpc", "IPv4Addresses": ["127.0.0.9"] }] });
    let agent = axum::Router::new().fallback(async move || axum::Json(metadata));
    let agent = Server::start(agent).await?;
    let mut pair = Pair::at_home().await?;
    pair.daemons[0].settle(|settings| settings["listen"] = json!("0.0.0.0:0"))?;
    let more = [("ECS_CONTAINER_METADATA_URI_V4", agent.url())];
    pair.daemons[0]
        .start_with(&more.each_ref().map(|(name, value)| (*name, value.as_str())))
        .await?;
    pair.is(0, "leading").await?;
    pair.start(1, "").await?;
    pair.is(1, "standby").await?;
    let port = pair.daemons[0].url().rsplit(':').next().unwrap_or_default();
    let ready = pair.daemons[1].get("/readyz").await?;
    assert_eq!(ready["leader"], json!(format!("http://127.0.0.9:{port}")), "{ready}");
    let held = json!({ "scope": "all" });
    assert_eq!(pair.daemons[1].post("/api/v1/pause", OPS_TOKEN, &held).await?.0, 200);
    Ok(())
}

/// A second one on the same file waits for the first one's end, however long it stands still.
#[tokio::test(flavor = "multi_thread")]
async fn on_sqlite_a_second_one_stands_by_until_the_first_has_ended() -> anyhow::Result<()> {
    let world = World::start(WorldConfig::default()).await?;
    let mut first = Daemon::at_home(Path::new(BINARY), &world, STORY)?;
    let mut second = Daemon::at_home(Path::new(BINARY), &world, STORY)?;
    let file = first.home().join("deployguard.db");
    second.settle(|settings| settings["store"] = json!(format!("sqlite://{}", file.display())))?;
    let led = async |daemon: &Daemon, role: &str| {
        daemon
            .wait_for(role, Duration::from_secs(10), async |daemon| {
                Ok((daemon.role().await == role).then_some(()))
            })
            .await
    };
    first.start().await?;
    led(&first, "leading").await?;
    second.start().await?;
    led(&second, "standby").await?;
    world.deploy("v2", &[])?;
    assert_eq!(second.announce(&announcement("v2", "shopflow-api:2")).await?.0, 202);
    first.signal(Signal::SIGSTOP)?;
    tokio::time::sleep(Duration::from_secs(8)).await;
    assert_eq!(second.role().await, "standby", "it lives, and may go on at any time");
    first.signal(Signal::SIGCONT)?;
    led(&first, "leading").await?;
    first.kill();
    led(&second, "leading").await?;
    assert_eq!(second.watches().await?.len(), 1);
    Ok(())
}
