//! Nothing of AWS answers for a while, before and while a bad deployment is to be rolled back.

use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use serde_json::Value;

use crate::world::aws::Fault;
use crate::world::daemon::{Daemon, STORY, announcement};
use crate::world::{World, WorldConfig};
use crate::{BINARY, ending};

const MINUTE: Duration = Duration::from_mins(1);

/// From now on every call meets this; returns once one has.
async fn strikes(world: &World, fault: Fault) -> anyhow::Result<()> {
    world.ecs.storm(Some(fault.clone()));
    let before = world.ecs.calls().len();
    let deadline = tokio::time::Instant::now() + MINUTE;
    while world.ecs.calls().len() == before {
        anyhow::ensure!(tokio::time::Instant::now() < deadline, "no call met {fault:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(())
}

/// The watch over v2, once it is as it should be.
async fn watch_until(
    daemon: &Daemon,
    what: &str,
    enough: impl Fn(&Value) -> bool,
) -> anyhow::Result<Value> {
    daemon
        .wait_for(what, MINUTE, async |daemon| {
            let watches = daemon.watches().await?;
            let watch = watches.into_iter().find(|watch| watch["version"] == "v2");
            let id = watch.as_ref().and_then(|watch| watch["id"].as_str()).context("an id")?;
            let detail = daemon.get(&format!("/api/v1/watches/{id}")).await?;
            Ok(Some(detail).filter(|detail| enough(detail)))
        })
        .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_storm_over_every_call_of_aws_delays_a_rollback_and_loses_and_repeats_nothing()
-> anyhow::Result<()> {
    let world = World::start(WorldConfig::default()).await?;
    let mut daemon = Daemon::at_home(Path::new(BINARY), &world, STORY)?;
    daemon.start().await?;
    daemon.knows_its_world(&world).await?;

    // It begins before anything of the deployment can be seen.
    world.ecs.storm(Some(Fault::Throttle));
    world.deploy("v2", &[("ERROR_RATE", "0.4")])?;
    let (status, answer) = daemon.announce(&announcement("v2", "shopflow-api:2")).await?;
    assert_eq!(status, 202, "what is announced is kept: {answer}");
    let told = daemon
        .wait_for("words about the storm", MINUTE, async |daemon| {
            let ready = daemon.get("/readyz").await?;
            let all = ready["obstacles"].as_array().into_iter().flatten();
            let mut all = all.filter_map(|one| one.as_str().map(str::to_owned));
            let place = "default/shopflow-production could not be looked at since";
            Ok(all.find(|one| one.starts_with(place)).map(|told| (told, ready["ready"] == true)))
        })
        .await?;
    assert!(told.1, "a restart mends nothing: {told:?}");
    world.ecs.storm(None);

    // And again from when its tasks are in service until the rollback was tried in vain.
    watch_until(&daemon, "a target", |watch| {
        watch["rollback"].to_string().contains("shopflow-api:1")
    })
    .await?;
    world.ecs.storm(Some(Fault::Throttle));
    watch_until(&daemon, "a first try", |watch| tries(watch) > 0).await?;
    assert!(world.mutations_by_client().is_empty(), "nothing has had an effect");
    for fault in [Fault::Error5xx, Fault::Expired, Fault::Skewed] {
        strikes(&world, fault).await?;
    }
    world.ecs.storm(None);

    let watch = daemon.outcome_of("v2", 2 * MINUTE).await?;
    assert_eq!(watch["outcome"], "rolled_back", "{watch:#}");
    assert_eq!(watch["incident"]["status"], "resolved", "{watch:#}");
    ending::rolled_back_once(&world);
    ending::outbox_is_empty(&daemon).await?;
    ending::thread_is_whole(&world);
    let metrics = daemon.text("/metrics").await?;
    let failed = "deployguard_platform_looks_total{result=\"failed\"} ";
    let failed = metrics.lines().find_map(|line| line.strip_prefix(failed)?.parse::<f64>().ok());
    assert!(failed.is_some_and(|count| count >= 3.0), "{failed:?}");
    let ready = daemon.get("/readyz").await?;
    assert_eq!(ready["obstacles"], serde_json::json!([]), "it is over: {ready:#}");
    daemon.terminate().await?;
    let path = daemon.home().join("deployguard.db");
    let id = watch["id"].as_str().unwrap_or_default();
    ending::journal_tells_the_state(&format!("sqlite://{}", path.display()), id).await
}

/// How often the rollback was tried in vain.
fn tries(watch: &Value) -> usize {
    let lines = watch["timeline"].as_array().into_iter().flatten();
    lines.filter(|line| line.to_string().contains("of the rollback: ")).count()
}
