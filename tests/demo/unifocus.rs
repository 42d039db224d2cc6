//! Unifocus on ECS with nothing but CloudWatch (document 003): its own alarm, more than ten
//! 5xx in five minutes. Its document does not say that this is rolled back, so people are
//! asked; here the on-call says yes.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, ensure};
use serde_json::json;

use crate::narrator::Narrator;
use crate::world::daemon::OPS_TOKEN;
use crate::world::system::{Staged, UNIFOCUS};
use crate::world::timeline::Side;

pub async fn play(binary: &Path) -> anyhow::Result<()> {
    println!(
        "Starting Unifocus' API under load, and stand-ins for ECS, CloudWatch and Slack. \
         The guard gets no Prometheus ..."
    );
    let staged = Staged::start(binary, UNIFOCUS).await?;
    println!(
        "deployguard watches {} by {}, in a hurry: five minutes are five seconds.\n\
         Now v2 is deployed, and answers 20 requests in five seconds with 5xx; the alarm is at 10.\n",
        staged.system.service, staged.system.policy
    );
    let narrator = Narrator::start(&staged.world, &staged.daemon, "customers");
    staged.deploy("v2", &[("ERROR_RATE", "0.05")]).await?;
    approve(&staged).await?;
    let watch = staged.daemon.outcome_of("v2", Duration::from_secs(100)).await?;
    super::finish(&staged, narrator, &watch).await
}

/// The on-call answers the question with yes.
async fn approve(staged: &Staged) -> anyhow::Result<()> {
    let minute = Duration::from_mins(1);
    let watch = staged
        .daemon
        .wait_for("the question", minute, async |daemon| {
            let asks = |status: &str| status.contains("a person");
            let mut watches = daemon.watches().await?.into_iter();
            Ok(watches.find(|watch| watch["status"].as_str().is_some_and(asks)))
        })
        .await?;
    staged.world.tell(Side::World, "the on-call, asked: roll it back");
    let path = format!("/api/v1/watches/{}/rollback", watch["id"].as_str().context("an id")?);
    let why = json!({ "reason": "no fix within 15 minutes" });
    let (status, answer) = staged.daemon.post(&path, OPS_TOKEN, &why).await?;
    ensure!(status == 200, "the rollback was answered {status}: {answer}");
    Ok(())
}
