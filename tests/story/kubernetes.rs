//! Document 002 on a stand-in for Kubernetes, with its policy, a real Prometheus and the real
//! binary: blue/green by the Service's selector, a rolling update that is undone, and its canary
//! of 10, 50 and 100 %.

use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use crate::BINARY;
use crate::world::daemon::{Daemon, OPS_TOKEN};
use crate::world::kubernetes::staged::{Staged, announcement};
use crate::world::kubernetes::{Mutation, objects};

const MINUTE: Duration = Duration::from_mins(1);
/// The canary's.
const INGRESS: &str = "ingresses/taskflow-api-canary";

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

    staged.prepare("blue", "v1.2.0", &[("ERROR_RATE", "0.15")]).await?;
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
    let env = [("ERROR_RATE", "0.15")];
    let template = objects::template(&labels, "registry.example.com/taskflow:v1.2.0", &env);
    // Blue rolls over under the Service that selects it: the same revision, whoever is asked.
    let change = json!({ "spec": { "template": template } });
    staged.cluster.patch("deployments", "taskflow-api-blue", &change)?;
    let body = announcement("v1.2.0", &json!({ "service": "taskflow-api" }));
    staged.daemon.announce(&body).await?;
    let bad: Value = staged.daemon.outcome_of("v1.2.0", 2 * MINUTE).await?;
    assert_eq!(bad["outcome"], "rolled_back", "{bad:#}");
    assert_eq!(bad["incident"]["status"], "resolved", "{bad:#}");
    assert_eq!(staged.cluster.image("taskflow-api-blue"), "registry.example.com/taskflow:v1.0.0");
    let changes = staged.cluster.mutations();
    assert_eq!(changes.len(), 1, "{changes:?}");
    assert_eq!(changes[0].what, "deployments/taskflow-api-blue");
    let told = said(&staged);
    assert!(told.contains("taskflow-api-blue revision 1 (taskflow:v1.0.0)"), "{told}");
    Ok(())
}

/// The share of the customers' requests that green gets, in percent.
fn share_of_green(staged: &Staged) -> usize {
    let serving = staged.cluster.serving();
    let turns = serving.borrow();
    let green = turns.iter().filter(|pod| pod.task_definition.contains("green")).count();
    100 * green / turns.len().max(1)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_good_canary_is_given_10_50_and_100_percent_and_passes() -> anyhow::Result<()> {
    let staged = Staged::with_canary(Path::new(BINARY)).await?;
    staged.prepare("green", "v1.1.0", &[]).await?;
    assert_eq!(share_of_green(&staged), 0);
    staged.begin_canary("v1.1.0", 10).await?;
    let good = staged.daemon.outcome_of("v1.1.0", MINUTE).await?;
    assert_eq!(good["outcome"], "passed", "{good:#}");
    let moves: Vec<String> = staged.cluster.mutations().into_iter().map(|one| one.what).collect();
    assert_eq!(moves, [INGRESS, INGRESS]);
    assert_eq!((staged.weight().as_str(), share_of_green(&staged)), ("100", 100));
    let shares: Vec<String> = staged.cluster.mutations().iter().map(moved_to).collect();
    assert_eq!(shares, ["50", "100"], "and 10 is the pipeline's");
    Ok(())
}

fn moved_to(change: &Mutation) -> String {
    change.patch[0]["value"].as_str().unwrap_or_default().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_green_that_is_bad_at_10_percent_is_judged_by_its_own_requests_and_gets_none_any_more()
-> anyhow::Result<()> {
    let staged = Staged::with_canary(Path::new(BINARY)).await?;
    // Of all requests it fails 4.5 %, which is within the document's 5 %.
    staged.prepare("green", "v1.1.0", &[("ERROR_RATE", "0.45")]).await?;
    staged.begin_canary("v1.1.0", 10).await?;
    let bad = staged.daemon.outcome_of("v1.1.0", 2 * MINUTE).await?;
    assert_eq!(bad["outcome"], "rolled_back", "{bad:#}");
    assert_eq!(bad["incident"]["severity"], "SEV1", "{bad:#}");
    assert_eq!(bad["incident"]["status"], "resolved", "{bad:#}");
    let changes = staged.cluster.mutations();
    assert_eq!(changes.len(), 1, "exactly one change back: {changes:?}");
    assert_eq!((changes[0].what.as_str(), moved_to(&changes[0]).as_str()), (INGRESS, "0"));
    assert_eq!((staged.weight().as_str(), share_of_green(&staged)), ("0", 0));
    assert_eq!(staged.selected(), "blue");
    assert_eq!(staged.cluster.image("taskflow-api-blue"), "registry.example.com/taskflow:v1.0.0");
    Ok(())
}

/// The platform has one id for both tries.
#[tokio::test(flavor = "multi_thread")]
async fn a_canary_that_is_tried_again_and_is_bad_again_waits_for_a_person_and_is_turned_back()
-> anyhow::Result<()> {
    let staged = Staged::with_canary(Path::new(BINARY)).await?;
    staged.prepare("green", "v1.1.0", &[("ERROR_RATE", "0.45")]).await?;
    staged.begin_canary("v1.1.0", 10).await?;
    let first = staged.daemon.outcome_of("v1.1.0", 2 * MINUTE).await?;
    assert_eq!(first["outcome"], "rolled_back", "{first:#}");

    staged.begin_canary("v1.1.0-again", 10).await?;
    let asked = async |daemon: &Daemon| {
        let watches = daemon.watches().await?;
        let again = watches.iter().find(|watch| watch["version"] == "v1.1.0-again");
        let waits = said(&staged).contains("its cool-down is");
        Ok(again.filter(|_| waits).and_then(|watch| Some(watch["id"].as_str()?.to_owned())))
    };
    let id = staged.daemon.wait_for("the question", 2 * MINUTE, asked).await?;
    assert_eq!(staged.weight(), "10", "the brakes hold a loop");
    let path = format!("/api/v1/watches/{id}/rollback");
    let (status, answer) = staged.daemon.post(&path, OPS_TOKEN, &json!({})).await?;
    assert_eq!(status, 200, "{answer}");
    let second = staged.daemon.outcome_of("v1.1.0-again", 2 * MINUTE).await?;
    assert_eq!(second["outcome"], "rolled_back", "{second:#}");
    let shares: Vec<String> = staged.cluster.mutations().iter().map(moved_to).collect();
    assert_eq!(shares, ["0", "0"], "one rollback of each try");
    Ok(())
}
