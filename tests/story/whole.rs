//! A good deployment passes, a bad one is rolled back.

use std::path::Path;
use std::time::Duration;

use serde_json::json;

use crate::world::daemon::{Daemon, STORY};
use crate::world::{World, WorldConfig};

pub const BINARY: &str = env!("CARGO_BIN_EXE_deployguard");
const MINUTE: Duration = Duration::from_mins(1);

/// What a pipeline announces for a version.
fn announcement(version: &str, task_definition: &str) -> serde_json::Value {
    json!({
        "id": format!("gha-{version}"),
        "service": "shopflow-api",
        "environment": "production",
        "platform": { "ecs": {
            "cluster": "shopflow-production",
            "task_definition": task_definition,
        }},
        "version": version,
        "commit": "4f1c2aa",
        "author": "dana",
        "rollback_safe": true,
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_good_deployment_passes_and_a_bad_one_is_rolled_back() -> anyhow::Result<()> {
    let world = World::start(WorldConfig::default()).await?;
    let mut daemon = Daemon::at_home(Path::new(BINARY), &world, STORY)?;
    daemon.start().await?;

    world.deploy("v2", &[])?;
    let (status, answer) = daemon.announce(&announcement("v2", "shopflow-api:2")).await?;
    assert_eq!((status, &answer["guarded"]), (202, &json!(true)), "{answer}");
    let good = daemon.outcome_of("v2", MINUTE).await?;
    assert_eq!(good["outcome"], "passed", "{good:#}");

    world.deploy("v3", &[("ERROR_RATE", "0.4")])?;
    daemon.announce(&announcement("v3", "shopflow-api:3")).await?;
    let bad = daemon.outcome_of("v3", 2 * MINUTE).await?;
    assert_eq!(bad["outcome"], "rolled_back", "{bad:#}");
    assert_eq!(bad["incident"]["status"], "resolved", "{bad:#}");
    assert_eq!(world.task_definition_in_place(), "shopflow-api:2");
    assert_eq!(world.mutations_by_client().len(), 1, "exactly one rollback");
    println!("{}", daemon.logs());
    for thread in world.slack.threads() {
        println!("{thread:#?}");
    }
    Ok(())
}
