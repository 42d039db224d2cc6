//! Smoke tests that go wrong with a new version: a user flow, and a command of the settings.

use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use serde_json::{Value, json};

use crate::BINARY;
use crate::world::daemon::{Daemon, SOON_UP, announcement};
use crate::world::site::Site;
use crate::world::{World, WorldConfig};

const MINUTE: Duration = Duration::from_mins(1);
const SECRET: &str = "a-token-of-the-smoke-tests";
const POLICY: &str = r#"
version: 1
policy: shopflow
environment: production
match: { cluster: shopflow-production, service: "shopflow-*" }
mode: auto
phases:
  immediate:  { until: 6s, interval: 1s }
  short-term: { until: 9s, interval: 1s }
grace: 2s
checks:
  buying:
    probe:
      every: 1s
      requests:
        - { get: "SITE/", expect: { status: 200, body_contains: Cart } }
        - { post: "SITE/cart", body: '{ "sku": "${service}" }', expect: { json: { $.status: ok }, within: 2s } }
        - { get: "SITE/checkout" }
    breach: { SEV1: 2 failures }
  smoke tests:
    probe: { command: smoke, every: 1s }
    breach: { SEV1: 2 failures }
actions: { SEV1: rollback, SEV2: { ask: 15m, on_timeout: escalate }, SEV3: notify }
rollback: { to: known-good, known_good_after: immediate, fallback: previous, recover_within: 60s, cooldown: 1s }
notify: { slack: { channel: C0DEPLOYS01, page: [S0ONCALL] } }
"#;

async fn guarded(world: &World, site: &Site, command: &str) -> anyhow::Result<Daemon> {
    let policy = POLICY.replace("SITE", &site.url());
    let mut daemon = Daemon::at_home(Path::new(BINARY), world, &policy)?;
    let file = daemon.home().join("smoke.token");
    std::fs::write(&file, SECRET)?;
    let script = "echo \"$TOKEN says of $1:\"; test ! -e broken || { echo cart is empty; exit 3; }";
    let home = daemon.home().to_owned();
    daemon.settle(|settings| {
        settings.as_object_mut().map(|settings| settings.remove("prometheus"));
        settings["outbound"] = json!({ "allow": [site.url()] });
        settings["commands"] = json!({ command: {
            "run": ["sh", "-c", script, "sh", "${service}"],
            "in": home,
            "timeout": "10s",
            "env": { "TOKEN": { "file": file } },
        } });
    })?;
    daemon.start_with(&[SOON_UP]).await?;
    daemon.knows_its_world(world).await?;
    Ok(daemon)
}

fn shop(site: &Site, cart: u16) {
    site.says("/", 200, "<html>Cart</html>");
    site.says("/cart", cart, r#"{"status":"ok"}"#);
    site.says("/checkout", 200, "");
}

fn says<'a>(watch: &'a Value, check: &str) -> Option<&'a str> {
    let checks = watch["checks"].as_array()?;
    checks.iter().find(|one| one["name"] == check)?["reason"].as_str()
}

/// Deploys `version`, and returns when both probes of it were good.
async fn seen_good(world: &World, daemon: &Daemon, version: &str, n: u32) -> anyhow::Result<()> {
    world.deploy(version, &[])?;
    daemon.announce(&announcement(version, &format!("shopflow-api:{n}"))).await?;
    let is_up = |watch: &Value| {
        let up = |check| says(watch, check).is_some_and(|told| told.starts_with("up"));
        watch["version"] == version && up("buying") && up("smoke tests")
    };
    daemon
        .wait_for("both probes to be good", MINUTE, async |daemon| {
            Ok(daemon.watches().await?.into_iter().find(is_up))
        })
        .await?;
    Ok(())
}

/// Returns at the next change to ECS after `calls` of them.
async fn rolled_back_after(world: &World, daemon: &Daemon, calls: usize) -> anyhow::Result<()> {
    daemon
        .wait_for("the rollback", MINUTE, async |_| {
            Ok((world.mutations_by_client().len() > calls).then_some(()))
        })
        .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_flow_that_fails_after_a_deployment_brings_it_back_with_the_step()
-> anyhow::Result<()> {
    let world = World::start(WorldConfig::default()).await?;
    let site = Site::start().await?;
    shop(&site, 201);
    let daemon = guarded(&world, &site, "smoke").await?;
    seen_good(&world, &daemon, "v2", 2).await?;
    let good = daemon.outcome_of("v2", MINUTE).await?;
    assert_eq!(good["outcome"], "passed", "{good:#}");

    seen_good(&world, &daemon, "v3", 3).await?;
    shop(&site, 500);
    let calls = world.mutations_by_client().len();
    rolled_back_after(&world, &daemon, calls).await?;
    shop(&site, 201);
    let bad = daemon.outcome_of("v3", MINUTE).await?;
    assert_eq!(bad["outcome"], "rolled_back", "{bad:#}");
    assert_eq!(world.task_definition_in_place(), "shopflow-api:2");
    let said = format!("{:?}", world.slack.messages());
    let step = format!("step 2 of 3, POST {}/cart: 500 instead of 2xx", site.url());
    assert!(said.contains(&step), "{said}");
    let sold: Vec<_> = site.visits().into_iter().filter(|one| one.path == "/cart").collect();
    assert!(sold[0].body.contains(r#""sku": "shopflow-api""#), "{sold:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_smoke_test_that_fails_after_a_deployment_brings_it_back_with_its_last_words()
-> anyhow::Result<()> {
    let world = World::start(WorldConfig::default()).await?;
    let site = Site::start().await?;
    shop(&site, 201);
    let daemon = guarded(&world, &site, "smoke").await?;
    seen_good(&world, &daemon, "v2", 2).await?;
    let broken = daemon.home().join("broken");
    std::fs::write(&broken, "")?;
    let calls = world.mutations_by_client().len();
    rolled_back_after(&world, &daemon, calls).await?;
    std::fs::remove_file(&broken)?;
    let bad = daemon.outcome_of("v2", MINUTE).await?;
    assert_eq!(bad["outcome"], "rolled_back", "{bad:#}");
    assert_eq!(world.task_definition_in_place(), "shopflow-api:1");
    let said = format!("{:?}", world.slack.messages());
    let told = "`smoke` ended with exit code 3: *** says of shopflow-api: / cart is empty";
    assert!(said.contains(told), "{said}");
    for (place, text) in [("the log", daemon.logs()), ("Slack", said), ("the API", bad.to_string())]
    {
        assert!(!text.contains(SECRET), "{place} tells the secret");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_that_the_settings_lack_is_told_and_is_nobodys_guilt() -> anyhow::Result<()> {
    let world = World::start(WorldConfig::default()).await?;
    let site = Site::start().await?;
    shop(&site, 201);
    let daemon = guarded(&world, &site, "another").await?;
    let ready = daemon.get("/readyz").await?;
    let told: Vec<&str> =
        ready["obstacles"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let words = "policy shopflow: smoke tests is not run: the settings have no command `smoke`";
    assert!(told.iter().any(|one| one.starts_with(words)), "{ready:#}");
    world.deploy("v2", &[])?;
    daemon.announce(&announcement("v2", "shopflow-api:2")).await?;
    let ended = daemon.outcome_of("v2", MINUTE).await?;
    assert_eq!(ended["outcome"], "inconclusive", "{ended:#}");
    let why = says(&ended, "smoke tests").context("a reason")?;
    assert!(why.contains("the settings have no command `smoke`"), "{why}");
    assert!(world.mutations_by_client().is_empty());
    Ok(())
}
