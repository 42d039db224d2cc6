//! A service without a single metric: its health endpoint and a JSON API decide.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, ensure};
use serde_json::{Value, json};

use crate::BINARY;
use crate::world::daemon::{Daemon, announcement};
use crate::world::site::Site;
use crate::world::{World, WorldConfig};

const MINUTE: Duration = Duration::from_mins(1);
const SECRET: &str = "a-token-of-an-issue-tracker";
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
  health:
    http: { url: "SITE/health", depends_on: [gemini_api], version: $.version }
    breach: { SEV1: 3 failures }
  issues:
    json: { url: "SITE/issues?since=${since}", path: $.count, headers: { Authorization: "Bearer ${secrets.tracker}" } }
    breach: { SEV2: "> 10" }
    window: 2s
actions: { SEV1: rollback, SEV2: { ask: 15m, on_timeout: escalate }, SEV3: notify }
rollback: { to: known-good, known_good_after: immediate, fallback: previous, recover_within: 60s, cooldown: 1h }
notify: { slack: { channel: C0DEPLOYS01, page: [S0ONCALL] } }
"#;

/// As document 004 has it: 503 where one of the checks fails.
fn health(site: &Site, version: &str, database: bool, gemini: bool) {
    let healthy = database && gemini;
    let body = json!({
        "status": if healthy { "healthy" } else { "unhealthy" },
        "checks": { "database": database, "gemini_api": gemini },
        "version": version,
    });
    site.says("/health", if healthy { 200 } else { 503 }, &body.to_string());
}

async fn guarded(world: &World, site: &Site, allow: &str) -> anyhow::Result<Daemon> {
    let policy = POLICY.replace("SITE", &site.url());
    let mut daemon = Daemon::at_home(Path::new(BINARY), world, &policy)?;
    let file = daemon.home().join("tracker.token");
    std::fs::write(&file, SECRET)?;
    daemon.settle(|settings| {
        settings.as_object_mut().map(|settings| settings.remove("prometheus"));
        settings["outbound"] = json!({ "allow": [allow] });
        settings["secrets"] = json!({ "tracker": { "file": file, "for": [site.url()] } });
    })?;
    daemon.start().await?;
    daemon.knows_its_world(world).await?;
    Ok(daemon)
}

fn says<'a>(watch: &'a Value, check: &str) -> Option<&'a str> {
    let checks = watch["checks"].as_array()?;
    checks.iter().find(|one| one["name"] == check)?["reason"].as_str()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_goes_down_with_the_new_version_is_rolled_back_and_a_strangers_api_is_not()
-> anyhow::Result<()> {
    let world = World::start(WorldConfig::default()).await?;
    let site = Site::start().await?;
    site.says("/issues", 200, r#"{"count":2}"#);
    health(&site, "v1", true, false);
    let daemon = guarded(&world, &site, &site.url()).await?;

    world.deploy("v2", &[])?;
    daemon.announce(&announcement("v2", "shopflow-api:2")).await?;
    let good = daemon.outcome_of("v2", MINUTE).await?;
    assert_eq!(good["outcome"], "passed", "{good:#}");
    let told = says(&good, "health").context("a reason")?;
    assert!(told.starts_with("up; HTTP 503; gemini_api down, which it depends on"), "{told}");
    assert!(told.contains("v1 answers"), "{told}");

    world.deploy("v3", &[])?;
    daemon.announce(&announcement("v3", "shopflow-api:3")).await?;
    let is_up = |watch: &Value| {
        watch["version"] == "v3" && says(watch, "health").is_some_and(|told| told.starts_with("up"))
    };
    daemon
        .wait_for("v3 to be seen up", MINUTE, async |daemon| {
            Ok(daemon.watches().await?.into_iter().find(is_up))
        })
        .await?;
    health(&site, "v3", false, true);
    daemon
        .wait_for("the rollback", MINUTE, async |_| Ok(world.mutations_by_client().pop()))
        .await?;
    health(&site, "v2", true, true);
    let bad = daemon.outcome_of("v3", 2 * MINUTE).await?;
    assert_eq!(bad["outcome"], "rolled_back", "{bad:#}");
    assert_eq!(world.task_definition_in_place(), "shopflow-api:2");
    let said = format!("{:?}", world.slack.messages());
    assert!(said.contains("check=") && said.contains("database"), "{said}");

    let visits = site.visits();
    let tracker = visits.iter().filter(|visit| visit.path.starts_with("/issues?since=2"));
    let sent = |name| move |visit: &&crate::world::site::Visit| visit.headers.contains_key(name);
    assert!(
        tracker.clone().count() > 5 && tracker.clone().all(|visit| sent("authorization")(&visit))
    );
    let health = visits.iter().filter(|visit| visit.path == "/health");
    assert!(!health.clone().any(|visit| sent("authorization")(&visit)));
    for (place, text) in [
        ("the log", daemon.logs()),
        ("Slack", said),
        ("the API", bad.to_string()),
        ("the metrics", daemon.text("/metrics").await?),
    ] {
        assert!(!text.contains(SECRET), "{place} tells the secret");
    }
    let metrics = daemon.text("/metrics").await?;
    let counted = r#"deployguard_source_requests_total{result="ok",source="json"}"#;
    assert!(metrics.contains(counted), "{metrics}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_settings_do_not_allow_is_told_and_never_asked() -> anyhow::Result<()> {
    let world = World::start(WorldConfig::default()).await?;
    let site = Site::start().await?;
    let daemon = guarded(&world, &site, "https://www.shopflow.io").await?;
    let ready = daemon.get("/readyz").await?;
    let told: Vec<&str> =
        ready["obstacles"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let names = |check: &str| format!("policy shopflow: {check} is not asked: the settings don't");
    for check in ["health", "issues"] {
        ensure!(told.iter().any(|one| one.starts_with(&names(check))), "{check}: {ready:#}");
    }
    world.deploy("v2", &[])?;
    daemon.announce(&announcement("v2", "shopflow-api:2")).await?;
    let ended = daemon.outcome_of("v2", MINUTE).await?;
    assert_eq!(ended["outcome"], "inconclusive", "{ended:#}");
    assert!(world.mutations_by_client().is_empty() && site.visits().is_empty());
    Ok(())
}
