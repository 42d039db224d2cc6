//! `deployguard digest`: what each policy did, or would have done, in the last days.

use std::io::Write;
use std::process::ExitCode;

use super::client::Server;
use crate::watch::{Digest, Digested};

pub fn run(
    server: &Server,
    days: u32,
    json: bool,
    out: &mut impl Write,
) -> anyhow::Result<ExitCode> {
    let digest: Digest = server.ask(&["api", "v1", "digest"], &format!("days={days}"))?;
    if json {
        serde_json::to_writer_pretty(&mut *out, &digest)?;
        writeln!(out)?;
        return Ok(ExitCode::SUCCESS);
    }
    let stretch = if days == 1 { "day".to_owned() } else { format!("{days} days") };
    if digest.policies.is_empty() {
        writeln!(out, "no deployment was watched in the last {stretch}")?;
    }
    for policy in &digest.policies {
        writeln!(out, "{} in the last {stretch}", policy.in_words())?;
        for one in &policy.deployments {
            writeln!(out, "{}", line(one))?;
        }
    }
    if digest.cut {
        writeln!(out, "there were more deployments than these; ask for fewer days")?;
    }
    Ok(ExitCode::SUCCESS)
}

fn line(one: &Digested) -> String {
    let would = if one.would { "would have: " } else { "" };
    format!(
        "  {}  {} {} ({}, {})  {would}{}  {}",
        one.at.strftime("%Y-%m-%d %H:%M UTC"),
        one.service,
        one.version,
        one.environment,
        one.deployment,
        one.came.in_words(),
        one.reason
    )
}
