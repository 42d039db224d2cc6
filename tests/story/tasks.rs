//! A deployment whose tasks die again and again is found without any metric: no Prometheus in
//! the settings, no metric of CloudWatch in the policy.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, anyhow};
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::BINARY;
use crate::world::daemon::{Daemon, announcement};
use crate::world::{World, WorldConfig};

const MINUTE: Duration = Duration::from_mins(1);
const POLICY: &str = r#"
version: 1
policy: shopflow
environment: production
match: { cluster: shopflow-production, service: "shopflow-*" }
mode: auto
phases:
  immediate:  { until: 8s, interval: 1s }
  short-term: { until: 12s, interval: 1s }
grace: 2s
checks:
  task failures:
    tasks: failures
    breach: { SEV1: "> 2" }
  running tasks:
    tasks: running
    breach: { SEV2: "< 100% for 5s" }
actions: { SEV1: rollback, SEV2: { ask: 15m, on_timeout: escalate }, SEV3: notify }
rollback: { to: known-good, known_good_after: immediate, fallback: previous, recover_within: 60s, cooldown: 1h }
notify: { logs: true, slack: { channel: C0DEPLOYS01, page: [S0ONCALL] } }
"#;

async fn guarded(world: &World) -> anyhow::Result<Daemon> {
    let mut daemon = Daemon::at_home(Path::new(BINARY), world, POLICY)?;
    daemon.settle(|settings| {
        settings.as_object_mut().map(|settings| settings.remove("prometheus"));
    })?;
    daemon.start().await?;
    daemon.knows_its_world(world).await?;
    Ok(daemon)
}

fn said(world: &World) -> String {
    format!("{:?}", world.slack.messages())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_loop_is_found_told_of_with_its_reason_and_log_and_rolled_back()
-> anyhow::Result<()> {
    let world = World::start(WorldConfig::default()).await?;
    let lines =
        ["connecting to postgres://app:hunter2@db/shop", "FATAL: <!channel> no memory left"];
    world.ecs.set_log("/ecs/shopflow-api", &lines);
    let daemon = guarded(&world).await?;

    world.deploy("v2", &[])?;
    daemon.announce(&announcement("v2", "shopflow-api:2")).await?;
    world.wait_stable().await;
    let fewer = json!({
        "cluster": "shopflow-production", "service": "shopflow-api", "desiredCount": 1,
    });
    world.ecs.call("UpdateService", &fewer).map_err(|error| anyhow!("{error:?}"))?;
    let good = daemon.outcome_of("v2", MINUTE).await?;
    assert_eq!(good["outcome"], "passed", "old tasks and a scale-in are no guilt: {good:#}");

    world.deploy("v3", &[("DIES", "oom")])?;
    daemon.announce(&announcement("v3", "shopflow-api:3")).await?;
    let bad = daemon.outcome_of("v3", 2 * MINUTE).await?;
    assert_eq!(bad["outcome"], "rolled_back", "{bad:#}");
    assert_eq!(world.task_definition_in_place(), "shopflow-api:2");
    assert_eq!(world.mutations_by_client().len(), 1, "exactly one rollback");
    let told = said(&world);
    let reason = "tasks of shopflow-api:3 were killed: out of memory (memory 512 MiB)";
    assert!(told.contains(reason), "{told}");
    let time = |value: &Value| value.as_str().and_then(|text| text.parse::<Timestamp>().ok());
    let found = time(&bad["incident"]["opened_at"]).zip(time(&bad["started_at"]));
    let (found, began) = found.context("times")?;
    assert!(found.duration_since(began).as_secs() < 60, "{bad:#}");
    assert!(told.contains("no memory left"), "{told}");
    assert!(told.contains("postgres://***@db/shop") && !told.contains("hunter2"), "{told}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn tasks_that_never_come_into_service_are_found_too() -> anyhow::Result<()> {
    let world = World::start(WorldConfig::default()).await?;
    let daemon = guarded(&world).await?;
    world.deploy("v2", &[("CRASH", "1")])?;
    daemon.announce(&announcement("v2", "shopflow-api:2")).await?;
    let bad = daemon.outcome_of("v2", 2 * MINUTE).await?;
    assert_eq!(bad["outcome"], "rolled_back", "{bad:#}");
    assert!(said(&world).contains("essential container app exited with code 1"));
    Ok(())
}
