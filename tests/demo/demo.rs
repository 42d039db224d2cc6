//! `make demo SYSTEM=...`: the main job, for real, on one machine and in about a minute.
//!
//! A service runs v1; v2 is deployed and is bad; deployguard notices, says so, v1 is put back,
//! and the numbers recover. Exits 0 only if v1 is in place, exactly one rollback was made and
//! the incident is resolved.
//!
//! **To add a system**: a file beside this one with
//! `pub async fn play(binary: &Path) -> anyhow::Result<()>`, its name in [`play`], and a story in `tests/story/systems.rs`. One on ECS is a `System` of
//! `tests/world/system.rs`, staged, told of by [`Narrator`] and ended with [`finish`]. One
//! elsewhere brings its own stand-ins, sends what they do to a `Timeline`, ends with a bad
//! version brought back by exactly one rollback, and fails if it was not.

mod narrator;
mod shopflow;
mod taskflow;
mod taskflow_k8s;
mod taskforge;
mod unifocus;

#[path = "../world/mod.rs"]
mod world;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, bail, ensure};
use serde_json::Value;

use narrator::{Narrator, plain};
use world::World;
use world::daemon::{CI_TOKEN, Daemon, OPS_TOKEN};
use world::system::Staged;

/// The systems of `policies/`, as `SYSTEM` names them.
const SYSTEMS: &str = "shopflow, taskflow, taskflow-k8s, unifocus, taskforge";

#[tokio::main]
async fn main() -> ExitCode {
    let system = std::env::args().nth(1).filter(|name| !name.is_empty());
    match play(system.as_deref().unwrap_or("shopflow")).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("\nThe demo failed: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn play(system: &str) -> anyhow::Result<()> {
    let binary = binary()?;
    match system {
        "shopflow" => shopflow::play(&binary).await,
        "taskflow" => taskflow::play(&binary).await,
        "unifocus" => unifocus::play(&binary).await,
        "taskflow-k8s" => taskflow_k8s::play(&binary).await,
        "taskforge" => taskforge::play(&binary).await,
        other => bail!("there is no SYSTEM={other}; there are {SYSTEMS}"),
    }
}

/// The daemon beside this program, built in the same run.
fn binary() -> anyhow::Result<PathBuf> {
    let own = std::env::current_exe()?;
    let folder = own.ancestors().nth(2).context("a target folder")?;
    let binary = folder.join("deployguard");
    ensure!(binary.exists(), "{} is not built: cargo build", binary.display());
    Ok(binary)
}

/// Tells the end, and whether it is the one that was promised.
async fn finish(staged: &Staged, narrator: Narrator, watch: &Value) -> anyhow::Result<()> {
    staged.world.wait_stable().await;
    narrator.stop().await;
    let verdict = report(&staged.world, &staged.daemon, watch).await;
    if std::env::var_os("KEEP").is_some_and(|keep| !keep.is_empty() && keep != "0") {
        keep(&staged.world, &staged.daemon).await?;
    }
    verdict
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
