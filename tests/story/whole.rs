//! A good deployment passes, a bad one is rolled back.

use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::BINARY;
use crate::world::daemon::{Daemon, STORY, announcement};
use crate::world::postgres::{PASSWORD, Postgres};
use crate::world::{World, WorldConfig};

const MINUTE: Duration = Duration::from_mins(1);

#[tokio::test(flavor = "multi_thread")]
async fn a_good_deployment_passes_and_a_bad_one_is_rolled_back() -> anyhow::Result<()> {
    let world = World::start(WorldConfig::default()).await?;
    let mut daemon = Daemon::at_home(Path::new(BINARY), &world, STORY)?;
    passes_and_is_rolled_back(&world, &mut daemon).await
}

#[tokio::test(flavor = "multi_thread")]
async fn on_postgres_the_story_is_the_same_and_its_password_is_told_nowhere() -> anyhow::Result<()>
{
    let postgres = Postgres::start().await?;
    let world = World::start(WorldConfig::default()).await?;
    let mut daemon = Daemon::at_home(Path::new(BINARY), &world, STORY)?;
    daemon.use_postgres(&postgres)?;
    passes_and_is_rolled_back(&world, &mut daemon).await?;
    assert!(!daemon.logs().contains(PASSWORD), "the log tells the password");
    Ok(())
}

async fn passes_and_is_rolled_back(world: &World, daemon: &mut Daemon) -> anyhow::Result<()> {
    daemon.start().await?;
    daemon.knows_its_world(world).await?;

    world.deploy("v2", &[])?;
    let (status, answer) = daemon.announce(&announcement("v2", "shopflow-api:2")).await?;
    assert_eq!((status, &answer["guarded"]), (202, &json!(true)), "{answer}");
    let phase = "\ndeployguard_watches_in_phase{phase=\"immediate\"} 1\n";
    daemon
        .wait_for("the first phase in the metrics", MINUTE, async |daemon| {
            Ok(daemon.text("/metrics").await?.contains(phase).then_some(()))
        })
        .await?;
    let good = daemon.outcome_of("v2", MINUTE).await?;
    assert_eq!(good["outcome"], "passed", "{good:#}");

    world.deploy("v3", &[("ERROR_RATE", "0.4")])?;
    daemon.announce(&announcement("v3", "shopflow-api:3")).await?;
    let bad = daemon.outcome_of("v3", 2 * MINUTE).await?;
    assert_eq!(bad["outcome"], "rolled_back", "{bad:#}");
    assert_eq!(bad["incident"]["status"], "resolved", "{bad:#}");
    assert_eq!(world.task_definition_in_place(), "shopflow-api:2");
    let rollbacks = world.mutations_by_client();
    assert_eq!(rollbacks.len(), 1, "exactly one rollback");
    assert_eq!(world.slack.violations(), Vec::<String>::new());
    has_counted(daemon).await?;

    let first_bad = first_bad_scrape(world).await?;
    let took = rollbacks[0].at.duration_since(first_bad);
    println!("from the first bad scrape to the rollback call: {:.2} s", took.as_secs_f64());
    Ok(())
}

/// The metrics tell both stories, and of nobody who is watched any more.
async fn has_counted(daemon: &Daemon) -> anyhow::Result<()> {
    let metrics = daemon.text("/metrics").await?;
    let value = |series: &str| {
        let line = metrics.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        line.and_then(|value| value.parse::<f64>().ok())
    };
    assert_eq!(value("deployguard_rollbacks_total{outcome=\"rolled_back\"}"), Some(1.0));
    assert_eq!(value("deployguard_rollbacks_total{outcome=\"rollback_failed\"}"), Some(0.0));
    assert_eq!(value("deployguard_watches_ended_total{outcome=\"passed\"}"), Some(1.0));
    assert!(!metrics.contains("deployguard_watches_in_phase{"), "{metrics}");
    let asked = "deployguard_source_requests_total{result=\"ok\",source=\"prometheus\"}";
    assert!(value(asked) > Some(50.0), "{metrics}");
    let lag = |of: &str| value(&format!("deployguard_tick_lag_seconds_{of}"));
    let (late, ticks) = (lag("sum").unwrap_or_default(), lag("count").unwrap_or_default());
    // Samples are due each second: the mean is far below that, or it counts from elsewhere.
    assert!(ticks > 20.0 && late / ticks < 5.0, "{late} s in {ticks}: {metrics}");
    Ok(())
}

/// The time of the first scrape that shows an error.
async fn first_bad_scrape(world: &World) -> anyhow::Result<Timestamp> {
    let samples = world.prometheus.query("http_requests_total{status=\"500\"}[5m]").await?;
    let first = samples
        .iter()
        .filter_map(|series| series["values"].as_array())
        .flatten()
        .filter(|sample| sample[1].as_str().is_some_and(|value| value != "0"))
        .filter_map(|sample| sample[0].as_f64())
        .min_by(f64::total_cmp)
        .context("a scrape showed errors")?;
    #[expect(clippy::cast_possible_truncation)]
    Ok(Timestamp::from_millisecond((first * 1000.0) as i64)?)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deployment_that_nobody_announced_is_found_and_asked_about() -> anyhow::Result<()> {
    let world = World::start(WorldConfig::default()).await?;
    let mut daemon = Daemon::at_home(Path::new(BINARY), &world, STORY)?;
    daemon.start().await?;
    daemon.knows_its_world(&world).await?;
    world.deploy("v2", &[("ERROR_RATE", "0.4")])?;
    let asked = |watch: &Value| watch["status"].as_str().is_some_and(|s| s.contains("a person"));
    let watch = daemon
        .wait_for("the question", MINUTE, async |daemon| {
            Ok(daemon.watches().await?.into_iter().find(asked))
        })
        .await?;
    assert_eq!(watch["version"], "shopflow-api:2");
    assert!(world.mutations_by_client().is_empty(), "nobody said that it is safe");

    let id = watch["id"].as_str().unwrap_or_default();
    let path = format!("/api/v1/watches/{id}/rollback");
    let why = json!({ "reason": "no migration in it" });
    let (status, answer) = daemon.post(&path, crate::world::daemon::OPS_TOKEN, &why).await?;
    assert_eq!(status, 200, "{answer}");
    let ended = daemon.outcome_of("shopflow-api:2", 2 * MINUTE).await?;
    assert_eq!(ended["outcome"], "rolled_back", "{ended:#}");
    assert_eq!(world.task_definition_in_place(), "shopflow-api:1");
    let journal = daemon.get(&format!("/api/v1/watches/{id}/journal")).await?;
    assert!(journal.to_string().contains("\"by\":\"oncall\""), "the journal names the person");
    Ok(())
}
