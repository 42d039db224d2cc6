//! TaskForge on Render (document 004): web and worker ship together, without a metrics
//! server. Version c loses its database, its health endpoint turns 503, and both go back.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, ensure};
use serde_json::Value;

use crate::world::taskforge::{BOTH, Forge};
use crate::world::timeline::{Moment, Side};

pub async fn play(binary: &Path) -> anyhow::Result<()> {
    println!("Starting stand-ins for Render and Slack, and TaskForge's health endpoint ...");
    let forge = Forge::start(binary).await?;
    println!(
        "deployguard watches {} and {} as one group; both run commit a.\n\
         Now commit c is pushed, and its database connection is broken.\n",
        BOTH[0], BOTH[1]
    );
    let mut moments = forge.timeline.listen();
    let telling = tokio::spawn(async move {
        while let Ok(Moment { side, text, .. }) = moments.recv().await {
            let who = match side {
                Side::Slack => "Slack  ",
                Side::Ecs | Side::World => "world  ",
            };
            println!("  {who} {}", text.lines().next().unwrap_or_default());
        }
    });
    let watch = broken(&forge).await?;
    telling.abort();
    println!("\nReport");
    for name in BOTH {
        let live = forge.render.live(name).map_or("nothing".into(), |commit| commit.to_string());
        println!("  {name:<17} is live with {live}");
    }
    println!("  changed           {}", forge.changes().join(", "));
    println!("  outcome           {}", watch["outcome"].as_str().unwrap_or("none"));
    verified(&forge, &watch)?;
    println!("\nBoth are back on commit a, by one rollback each, and auto-deploy is off.");
    Ok(())
}

/// Commit c comes up, loses its database, and is brought back; its watch as it ended.
pub async fn broken(forge: &Forge) -> anyhow::Result<Value> {
    let before = forge.render.live(BOTH[0]).context("something is live")?;
    database_lost(forge).await?;
    let minute = Duration::from_mins(1);
    let back = async |_: &crate::world::daemon::Daemon| {
        Ok(BOTH.iter().all(|name| forge.render.live(name) == Some(before)).then_some(()))
    };
    forge.daemon.wait_for("both to be back", minute, back).await?;
    forge.health(&before.to_string(), &[]);
    forge.daemon.outcome_of("c", minute).await
}

/// Commit c comes up, and loses its database.
pub async fn database_lost(forge: &Forge) -> anyhow::Result<()> {
    forge.ship('c', "Move to the new database driver").await?;
    forge.render.wait_live(&BOTH, 'c').await;
    forge.health("c", &[]);
    let minute = Duration::from_mins(1);
    let is_up = |watch: &Value| {
        let mut checks = watch["checks"].as_array().into_iter().flatten();
        let told = checks.find(|one| one["name"] == "health");
        let told = told.and_then(|one| one["reason"].as_str());
        watch["version"] == "c" && told.is_some_and(|told| told.starts_with("up"))
    };
    let daemon = &forge.daemon;
    let seen = async |daemon: &crate::world::daemon::Daemon| {
        Ok(daemon.watches().await?.into_iter().find(is_up))
    };
    daemon.wait_for("c to be seen up", minute, seen).await?;
    forge.health("c", &["database"]);
    Ok(())
}

/// What a rollback of the group has to come to.
pub fn verified(forge: &Forge, watch: &Value) -> anyhow::Result<()> {
    ensure!(watch["outcome"] == "rolled_back", "{watch:#}");
    ensure!(watch["incident"]["status"] == "resolved", "the incident is not resolved");
    let expected = [
        "POST /services/taskforge-web/rollback",
        "POST /services/taskforge-worker/rollback",
        "PATCH /services/taskforge-web",
        "PATCH /services/taskforge-worker",
    ];
    ensure!(forge.changes() == expected, "{:?}", forge.changes());
    ensure!(!BOTH.iter().any(|name| forge.render.auto_deploys(name)), "auto-deploy is on");
    Ok(())
}
