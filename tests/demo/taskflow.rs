//! TaskFlow on ECS (document 000): its own trigger, an error rate above 5 %.

use std::path::Path;
use std::time::Duration;

use crate::narrator::Narrator;
use crate::world::system::{Staged, TASKFLOW};

pub async fn play(binary: &Path) -> anyhow::Result<()> {
    println!(
        "Starting Prometheus, TaskFlow's API under load, and stand-ins for ECS, CloudWatch, \
         Sentry and Slack ..."
    );
    let staged = Staged::start(binary, TASKFLOW).await?;
    println!(
        "deployguard watches taskflow-api by {}, in a hurry: error rate > 5 % or p95 > 2 s rolls \
         back.\nNow v2 is deployed, and fails 15 % of its requests.\n",
        staged.system.policy
    );
    let narrator = Narrator::start(&staged.world, &staged.daemon, "Prometheus");
    staged.deploy("v2", &[("ERROR_RATE", "0.15")]).await?;
    let watch = staged.daemon.outcome_of("v2", Duration::from_secs(100)).await?;
    super::finish(&staged, narrator, &watch).await
}
