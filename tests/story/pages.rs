//! A service without a Prometheus: the page of its metrics is read directly.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, ensure};
use serde_json::{Value, json};

use crate::BINARY;
use crate::world::daemon::{Daemon, announcement};
use crate::world::page::Collected;
use crate::world::{World, WorldConfig};

const MINUTE: Duration = Duration::from_mins(1);
const POLICY: &str = r#"
version: 1
policy: shopflow
environment: production
match: { cluster: shopflow-production, service: "shopflow-*" }
mode: auto
source: { scrape: "PAGE/metrics", every: 1s }
labels: { service: service, version: version }
phases:
  immediate:  { until: 7s, interval: 1s }
  short-term: { until: 11s, interval: 1s }
grace: 2s
checks:
  error rate:
    ratio:
      bad: { counter: 'http_requests_total{status=~"5.."}' }
      total: { counter: http_requests_total }
    normal: "< 0.1%"
    breach: { SEV2: "> 1% for 8s", SEV1: "> 5%" }
    baseline: { against: [before], worse_by: 2x, severity: SEV3 }
    window: 4s
  p95 latency:
    latency: { counter: http_request_duration_seconds_bucket, quantile: 0.95 }
    breach: { SEV1: "> 2s for 4s" }
    window: 4s
  memory:
    query: 'process_resident_memory_bytes{service="${service}"}'
    normal: "< 350MiB"
    breach: { SEV2: "> 450MiB for 8s" }
actions: { SEV1: rollback, SEV2: { ask: 15m, on_timeout: escalate }, SEV3: notify }
rollback: { to: known-good, known_good_after: immediate, fallback: previous, recover_within: 60s, cooldown: 1h }
notify: { slack: { channel: C0DEPLOYS01, page: [S0ONCALL] } }
"#;

async fn guarded(world: &World, page: &str) -> anyhow::Result<Daemon> {
    let mut daemon = Daemon::at_home(Path::new(BINARY), world, &POLICY.replace("PAGE", page))?;
    daemon.settle(|settings| {
        settings.as_object_mut().map(|settings| settings.remove("prometheus"));
        settings["outbound"] = json!({ "allow": [page] });
    })?;
    daemon.start().await?;
    daemon.knows_its_world(world).await?;
    Ok(daemon)
}

fn check<'a>(watch: &'a Value, name: &str) -> Option<&'a Value> {
    watch["checks"].as_array()?.iter().find(|one| one["name"] == name)
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_prometheus_a_bad_deployment_is_rolled_back_with_numbers_in_words()
-> anyhow::Result<()> {
    let world = World::start(WorldConfig::default()).await?;
    let page = Collected::start(world.ecs.in_service()).await?;
    let daemon = guarded(&world, &page.url()).await?;

    world.deploy("v2", &[])?;
    daemon.announce(&announcement("v2", "shopflow-api:2")).await?;
    let good = daemon.outcome_of("v2", 2 * MINUTE).await?;
    assert_eq!(good["outcome"], "passed", "{good:#}");
    for name in ["error rate", "p95 latency", "memory"] {
        let told = check(&good, name).context("a check")?;
        assert_eq!(told["verdict"], "healthy", "{good:#}");
    }

    world.deploy("v3", &[("ERROR_RATE", "0.3")])?;
    daemon.announce(&announcement("v3", "shopflow-api:3")).await?;
    let bad = daemon.outcome_of("v3", 2 * MINUTE).await?;
    assert_eq!(bad["outcome"], "rolled_back", "{bad:#}");
    assert_eq!(world.task_definition_in_place(), "shopflow-api:2");
    let messages = world.slack.messages();
    let said: Vec<String> = messages.iter().map(|message| format!("{message:?}")).collect();
    let numbers = said.iter().find(|one| one.contains("error rate") && one.contains(" of "));
    ensure!(numbers.is_some_and(|one| one.contains('%')), "{said:?}");

    let metrics = daemon.text("/metrics").await?;
    let counted = r#"deployguard_source_requests_total{result="ok",source="scrape"}"#;
    assert!(metrics.contains(counted), "{metrics}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_cannot_be_read_is_told_and_rolls_nothing_back() -> anyhow::Result<()> {
    let world = World::start(WorldConfig::default()).await?;
    let page = Collected::start(world.ecs.in_service()).await?;
    // Nothing of this name is there.
    let root = format!("{}/nowhere", page.url());
    let mut daemon = Daemon::at_home(Path::new(BINARY), &world, &POLICY.replace("PAGE", &root))?;
    daemon.settle(|settings| {
        settings.as_object_mut().map(|settings| settings.remove("prometheus"));
        settings["outbound"] = json!({ "allow": [page.url()] });
    })?;
    daemon.start().await?;
    daemon.knows_its_world(&world).await?;
    world.deploy("v2", &[("ERROR_RATE", "0.5")])?;
    daemon.announce(&announcement("v2", "shopflow-api:2")).await?;
    let ended = daemon.outcome_of("v2", 2 * MINUTE).await?;
    assert_eq!(ended["outcome"], "inconclusive", "{ended:#}");
    assert!(world.mutations_by_client().is_empty());
    let why = check(&ended, "error rate").context("a check")?["reason"].to_string();
    assert!(why.contains("/nowhere/metrics: it answers 404"), "{why}");
    let ready = daemon.get("/readyz").await?.to_string();
    assert!(ready.contains("/nowhere/metrics can't be asked since"), "{ready}");
    Ok(())
}
