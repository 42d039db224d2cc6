//! The systems of the documents, with the policies of `policies/` and their documents' own
//! trigger values: a good deployment passes, a bad one is brought back, once.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, ensure};
use serde_json::{Value, json};

use crate::BINARY;
use crate::world::daemon::OPS_TOKEN;
use crate::world::system::{SHOPFLOW, Staged, System, TASKFLOW, UNIFOCUS};

const MINUTE: Duration = Duration::from_mins(1);

/// A world in which v2 has passed its watch.
async fn with_a_good_v2(system: System) -> anyhow::Result<Staged> {
    let staged = Staged::start(Path::new(BINARY), system).await?;
    staged.deploy("v2", &[]).await?;
    let good = staged.daemon.outcome_of("v2", MINUTE).await?;
    ensure!(good["outcome"] == "passed", "{good:#}");
    ensure!(staged.world.mutations_by_client().is_empty(), "a good deployment is left alone");
    Ok(staged)
}

/// v3 was brought back to v2 by exactly one rollback, and the numbers recovered.
async fn is_brought_back(staged: &Staged, check: &str) -> anyhow::Result<()> {
    let bad = staged.daemon.outcome_of("v3", MINUTE).await?;
    ensure!(bad["outcome"] == "rolled_back", "{bad:#}");
    ensure!(bad["incident"]["status"] == "resolved", "{bad:#}");
    ensure!(staged.world.version_in_place()? == "v2", "v2 is not in place");
    let rollbacks = staged.world.mutations_by_client();
    ensure!(rollbacks.len() == 1, "{} rollbacks", rollbacks.len());
    let said = format!("{:?}", staged.world.slack.messages());
    ensure!(said.contains(check), "nothing was said of {check}: {said}");
    ensure!(staged.world.slack.violations().is_empty(), "{:?}", staged.world.slack.violations());
    Ok(())
}

/// The on-call answers the question about v3: back.
async fn is_asked_and_answered(staged: &Staged) -> anyhow::Result<()> {
    let asks = |watch: &Value| {
        watch["version"] == "v3" && watch["status"].as_str().is_some_and(|s| s.contains("a person"))
    };
    let watch = staged
        .daemon
        .wait_for("the question", MINUTE, async |daemon| {
            Ok(daemon.watches().await?.into_iter().find(asks))
        })
        .await?;
    ensure!(staged.world.mutations_by_client().is_empty(), "nobody has answered yet");
    let id = watch["id"].as_str().context("an id")?;
    let why = json!({ "reason": "no fix within 15 minutes" });
    let path = format!("/api/v1/watches/{id}/rollback");
    let (status, answer) = staged.daemon.post(&path, OPS_TOKEN, &why).await?;
    ensure!(status == 200, "{answer}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn taskflow_is_brought_back_above_5_percent_of_errors() -> anyhow::Result<()> {
    let staged = with_a_good_v2(TASKFLOW).await?;
    staged.deploy("v3", &[("ERROR_RATE", "0.15")]).await?;
    is_brought_back(&staged, "error rate").await
}

#[tokio::test(flavor = "multi_thread")]
async fn shopflow_asks_above_1_percent_of_errors_and_is_brought_back_by_a_person()
-> anyhow::Result<()> {
    let staged = with_a_good_v2(SHOPFLOW).await?;
    staged.deploy("v3", &[("ERROR_RATE", "0.03")]).await?;
    is_asked_and_answered(&staged).await?;
    is_brought_back(&staged, "error rate").await
}

#[tokio::test(flavor = "multi_thread")]
async fn unifocus_asks_at_its_own_alarm_and_is_brought_back_by_a_person() -> anyhow::Result<()> {
    let staged = with_a_good_v2(UNIFOCUS).await?;
    // Four of 80 requests a second: 20 in five of them, where ten are their alarm.
    staged.deploy("v3", &[("ERROR_RATE", "0.05")]).await?;
    is_asked_and_answered(&staged).await?;
    is_brought_back(&staged, "5xx errors").await
}
