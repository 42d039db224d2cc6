//! `make demo`: the main job, for real, on one machine and within two minutes.
//!
//! A service runs v1; v2 is deployed and is bad; deployguard notices, says so,
//! puts v1 back and checks that the numbers recover. Exits 0 only if v1 is in
//! place, exactly one rollback was made and the incident is resolved.

#[path = "narrator.rs"]
mod narrator;
#[path = "taskflow_k8s.rs"]
mod taskflow_k8s;

#[path = "../world/mod.rs"]
mod world;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, ensure};
use serde_json::{Value, json};

use narrator::{Narrator, plain};
use world::daemon::{CI_TOKEN, Daemon, OPS_TOKEN, STORY};
use world::{World, WorldConfig};

#[tokio::main]
async fn main() -> ExitCode {
    let asked = std::env::args().nth(1);
    let played = match asked.as_deref() {
        Some("taskflow-k8s") => async { taskflow_k8s::play(&binary()?).await }.await,
        Some(_) | None => demo().await,
    };
    match played {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("\nThe demo failed: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn demo() -> anyhow::Result<()> {
    println!(
        "Starting Prometheus, a shop of three tasks under load, and stand-ins for ECS and Slack ..."
    );
    let world = World::start(WorldConfig::default()).await?;
    let mut daemon = Daemon::at_home(&binary()?, &world, STORY)?;
    daemon.start().await?;
    daemon.knows_its_world(&world).await?;
    println!(
        "deployguard watches shopflow-api, which runs v1. Now v2 is deployed, and v2 is bad.\n"
    );

    let narrator = Narrator::start(&world, &daemon);
    world.deploy("v2", &[("ERROR_RATE", "0.35"), ("LATENCY_MS", "90")])?;
    let announcement = json!({
        "id": "gha-18231-1", "service": "shopflow-api", "environment": "production",
        "platform": { "ecs": {
            "cluster": world.config().cluster, "task_definition": "shopflow-api:2",
        }},
        "version": "v2", "commit": "4f1c2aa", "author": "dana", "rollback_safe": true,
    });
    let (status, answer) = daemon.announce(&announcement).await?;
    ensure!(status == 202, "the hook was answered {status}: {answer}");
    let watch = daemon.outcome_of("v2", Duration::from_secs(100)).await?;
    world.wait_stable().await;
    narrator.stop().await;
    let verdict = report(&world, &daemon, &watch).await;
    if std::env::var_os("KEEP").is_some_and(|keep| !keep.is_empty() && keep != "0") {
        keep(&world, &daemon).await?;
    }
    verdict
}

/// The daemon beside this program, built in the same run.
fn binary() -> anyhow::Result<PathBuf> {
    let own = std::env::current_exe()?;
    let folder = own.ancestors().nth(2).context("a target folder")?;
    let binary = folder.join("deployguard");
    ensure!(binary.exists(), "{} is not built: cargo build", binary.display());
    Ok(binary)
}

async fn report(world: &World, daemon: &Daemon, watch: &Value) -> anyhow::Result<()> {
    println!("\nThe thread in Slack, as it reads now:\n");
    for thread in world.slack.threads() {
        println!("{}", plain(&thread.text, "  "));
        for reply in &thread.replies {
            println!("    |\n{}", plain(reply, "    | "));
        }
    }
    let rollbacks = world.mutations_by_client();
    let id = watch["id"].as_str().unwrap_or_default();
    let journal = daemon.get(&format!("/api/v1/watches/{id}/journal")).await?;
    println!("\nReport");
    println!(
        "  in place now      {} ({})",
        world.task_definition_in_place(),
        world.version_in_place()?
    );
    println!("  rollbacks made    {}", rollbacks.len());
    println!("  incident          {}", watch["incident"]["status"].as_str().unwrap_or("none"));
    println!("  outcome           {}", watch["outcome"].as_str().unwrap_or("none"));
    println!("  journal           {} events", journal["events"].as_array().map_or(0, Vec::len));
    println!(
        "  Slack             {} messages, {} rules broken",
        world.slack.messages().len(),
        world.slack.violations().len()
    );
    ensure!(world.version_in_place()? == "v1", "v1 is not in place");
    ensure!(rollbacks.len() == 1, "{} rollbacks were made", rollbacks.len());
    ensure!(watch["incident"]["status"] == "resolved", "the incident is not resolved");
    println!("\nv1 is back, by exactly one rollback, and the incident is resolved.");
    Ok(())
}

/// Leaves everything running until the person has seen enough.
async fn keep(world: &World, daemon: &Daemon) -> anyhow::Result<()> {
    println!("\nEverything is left running; Ctrl-C ends it.");
    println!(
        "  deployguard  {}   (export DEPLOYGUARD_URL={0} DEPLOYGUARD_TOKEN={OPS_TOKEN})",
        daemon.url()
    );
    println!("               announce with the token {CI_TOKEN}");
    println!("  settings     {}", daemon.home().join("deployguard.yaml").display());
    println!("  Prometheus   {}", world.prometheus.url());
    println!("  ECS          {}   (export AWS_ENDPOINT_URL={0})", world.ecs.url());
    println!("  Slack        {}", world.slack.url());
    tokio::signal::ctrl_c().await?;
    Ok(())
}
