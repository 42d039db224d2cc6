//! TaskFlow on Kubernetes (document 002): blue/green by the Service's selector, and its own
//! trigger, an error rate above 5 %.

use std::path::Path;
use std::time::Duration;

use anyhow::ensure;

use crate::narrator::{Narrator, plain};
use crate::world::kubernetes::staged::Staged;

pub async fn play(binary: &Path) -> anyhow::Result<()> {
    println!(
        "Starting Prometheus, TaskFlow's API (blue and green) under load, and stand-ins for \
         Kubernetes and Slack ..."
    );
    let staged = Staged::start(binary).await?;
    println!(
        "deployguard watches service/taskflow-api, which selects blue (v1.0.0). Green gets \
         v1.1.0, which fails 15 % of its requests, and the selector is switched to it.\n"
    );
    let narrator = Narrator::start(&staged.world, &staged.daemon, "Prometheus");
    staged.prepare("green", "v1.1.0", &[("ERROR_RATE", "0.15")]).await?;
    staged.switch("green", "v1.1.0").await?;
    let watch = staged.daemon.outcome_of("v1.1.0", Duration::from_secs(100)).await?;
    narrator.stop().await;
    println!("\nThe thread in Slack, as it reads now:\n");
    for thread in staged.world.slack.threads() {
        println!("{}", plain(&thread.text, "  "));
        for reply in &thread.replies {
            println!("    |\n{}", plain(reply, "    | "));
        }
    }
    let changes = staged.cluster.mutations();
    println!("\nReport");
    println!("  the Service selects  {}", staged.selected());
    println!("  changes made         {}", changes.len());
    for change in &changes {
        println!("    {} {}", change.what, change.patch);
    }
    println!("  incident             {}", watch["incident"]["status"].as_str().unwrap_or("none"));
    println!("  outcome              {}", watch["outcome"].as_str().unwrap_or("none"));
    ensure!(staged.selected() == "blue", "the Service does not select blue");
    ensure!(changes.len() == 1, "{} changes were made", changes.len());
    ensure!(watch["incident"]["status"] == "resolved", "the incident is not resolved");
    println!("\nBlue is back, by exactly one change, and the incident is resolved.");
    Ok(())
}
