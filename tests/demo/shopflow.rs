//! ShopFlow on ECS (document 001): v2 fails a third of its requests, far beyond any limit.

use std::path::Path;
use std::time::Duration;

use crate::narrator::Narrator;
use crate::world::system::{SHOPFLOW, Staged};

pub async fn play(binary: &Path) -> anyhow::Result<()> {
    println!(
        "Starting Prometheus, a shop of three tasks under load, and stand-ins for ECS and Slack ..."
    );
    let staged = Staged::start(binary, SHOPFLOW).await?;
    println!(
        "deployguard watches shopflow-api, which runs v1. Now v2 is deployed, and v2 is bad.\n"
    );
    let narrator = Narrator::start(&staged.world, &staged.daemon, "Prometheus");
    staged.deploy("v2", &[("ERROR_RATE", "0.35"), ("LATENCY_MS", "90")]).await?;
    let watch = staged.daemon.outcome_of("v2", Duration::from_secs(100)).await?;
    super::finish(&staged, narrator, &watch).await
}
