//! What people do from a terminal: commands to a watch, pause and unpause. Nothing is
//! decided here; the daemon's API does it.

use std::io::Write;
use std::process::ExitCode;

use clap::Args;
use serde_json::{Value, json};

use super::client::Server;
use super::watches::line;
use crate::engine::Foreseen;
use crate::web::WatchView;

/// A daemon, and why it is asked to act.
#[derive(Debug, Clone, Args)]
pub struct Act {
    /// Why: it is kept with your name
    #[arg(long)]
    reason: Option<String>,
    #[command(flatten)]
    server: Server,
}

pub fn press(
    act: &Act,
    watch: &str,
    command: &str,
    out: &mut impl Write,
) -> anyhow::Result<ExitCode> {
    let path = ["api", "v1", "watches", watch, command];
    let view: WatchView = act.server.post(&path, &json!({ "reason": act.reason }))?;
    writeln!(out, "{}", line(&view))?;
    Ok(ExitCode::SUCCESS)
}

pub fn pause(act: &Act, scope: &str, out: &mut impl Write) -> anyhow::Result<ExitCode> {
    let body = json!({ "scope": scope, "reason": act.reason });
    let _: Value = act.server.post(&["api", "v1", "pause"], &body)?;
    writeln!(
        out,
        "paused: {scope}. Nothing is rolled back by itself until `deployguard unpause --scope {scope}`"
    )?;
    Ok(ExitCode::SUCCESS)
}

pub fn unpause(act: &Act, scope: &str, out: &mut impl Write) -> anyhow::Result<ExitCode> {
    let _: Value = act
        .server
        .post(&["api", "v1", "unpause"], &json!({ "scope": scope, "reason": act.reason }))?;
    writeln!(out, "no longer paused: {scope}")?;
    Ok(ExitCode::SUCCESS)
}

/// Tells what a rollback would do. Fails where it would not be done.
pub fn foresee(act: &Act, watch: &str, out: &mut impl Write) -> anyhow::Result<ExitCode> {
    let seen: Foreseen = act.server.get(&["api", "v1", "watches", watch, "rollback"])?;
    let target = match (&seen.target, &seen.because) {
        (Some(target), Some(because)) => format!("{target} ({because})"),
        (Some(target), None) => target.clone(),
        (None, _) => "none".to_owned(),
    };
    writeln!(out, "back to       {target}")?;
    writeln!(out, "by            {}", seen.route.as_deref().unwrap_or("no call"))?;
    for what in &seen.not_restored {
        writeln!(out, "not restored  {what}")?;
    }
    for obstacle in &seen.obstacles {
        writeln!(out, "obstacle      {obstacle}")?;
    }
    writeln!(out, "nothing was done")?;
    Ok(if seen.obstacles.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
