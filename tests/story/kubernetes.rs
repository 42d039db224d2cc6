//! Document 002 on a stand-in for Kubernetes, with a real Prometheus and the real binary:
//! blue/green by the Service's selector, and a rolling update that is undone.

use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use crate::BINARY;
use crate::world::kubernetes::objects;
use crate::world::kubernetes::staged::{Staged, announcement};

const MINUTE: Duration = Duration::from_mins(1);

fn said(staged: &Staged) -> String {
    format!("{:?}", staged.world.slack.messages())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_good_green_stays_and_a_bad_blue_is_switched_back_to_it() -> anyhow::Result<()> {
    let staged = Staged::start(Path::new(BINARY)).await?;
    staged.prepare("green", "v1.1.0", &[]).await?;
    staged.switch("green", "v1.1.0").await?;
    let good = staged.daemon.outcome_of("v1.1.0", MINUTE).await?;
    assert_eq!(good["outcome"], "passed", "{good:#}");
    assert_eq!(staged.selected(), "green");
    assert!(staged.cluster.mutations().is_empty(), "a good deployment is left alone");

    staged.prepare("blue", "v1.2.0", &[("ERROR_RATE", "0.08")]).await?;
    staged.switch("blue", "v1.2.0").await?;
    let bad = staged.daemon.outcome_of("v1.2.0", 2 * MINUTE).await?;
    assert_eq!(bad["outcome"], "rolled_back", "{bad:#}");
    assert_eq!(bad["incident"]["status"], "resolved", "{bad:#}");
    assert_eq!(staged.selected(), "green");
    let changes = staged.cluster.mutations();
    assert_eq!(changes.len(), 1, "exactly one rollback: {changes:?}");
    assert_eq!(changes[0].what, "services/taskflow-api");
    let told = said(&staged);
    assert!(told.contains("taskflow-api-green revision 2 (taskflow:v1.1.0)"), "{told}");
    assert!(!told.contains("ECS") && !told.contains("task definition"), "{told}");
    assert!(staged.world.slack.violations().is_empty(), "{:?}", staged.world.slack.violations());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rolling_update_that_fails_requests_is_undone() -> anyhow::Result<()> {
    let staged = Staged::start(Path::new(BINARY)).await?;
    let labels = json!({ "app": "taskflow", "version": "blue" });
    let env = [("ERROR_RATE", "0.08")];
    let template = objects::template(&labels, "registry.example.com/taskflow:v1.2.0", &env);
    // Blue rolls over under the Service that selects it: the same revision, whoever is asked.
    let change = json!({ "spec": { "template": template } });
    staged.cluster.patch("deployments", "taskflow-api-blue", &change)?;
    let body = announcement("v1.2.0", &json!({ "service": "taskflow-api" }));
    staged.daemon.announce(&body).await?;
    let bad: Value = staged.daemon.outcome_of("v1.2.0", 2 * MINUTE).await?;
    assert_eq!(bad["outcome"], "rolled_back", "{bad:#}");
    assert_eq!(staged.cluster.image("taskflow-api-blue"), "registry.example.com/taskflow:v1.0.0");
    let changes = staged.cluster.mutations();
    assert_eq!(changes.len(), 1, "{changes:?}");
    assert_eq!(changes[0].what, "deployments/taskflow-api-blue");
    let told = said(&staged);
    assert!(told.contains("taskflow-api-blue revision 1 (taskflow:v1.0.0)"), "{told}");
    Ok(())
}
