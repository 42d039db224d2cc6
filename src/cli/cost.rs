//! `deployguard check --cost`: what the policies ask of CloudWatch, and what AWS takes
//! for it.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use super::check::{count, told};
use crate::policy::{Policy, check};
use crate::policy_repo::collect;
use crate::watch::{Cost, DOLLARS};

/// Prints a block for each policy. Exit 1 if there is any mistake.
pub fn run(paths: &[PathBuf], out: &mut impl Write) -> anyhow::Result<ExitCode> {
    match collect(paths).and_then(|files| check(&files)) {
        Ok(set) => {
            for written in set.iter() {
                block(&written.policy, &written.file, out)?;
            }
            writeln!(
                out,
                "Priced at ${:.2} per 1,000 metrics, and per 1,000 requests for alarms, as published for us-east-1.",
                DOLLARS * 1_000.0
            )?;
            Ok(ExitCode::SUCCESS)
        }
        Err(mistakes) => {
            told(&mistakes, out)?;
            Ok(ExitCode::FAILURE)
        }
    }
}

fn block(policy: &Policy, file: &str, out: &mut impl Write) -> std::io::Result<()> {
    writeln!(out, "{} ({file})", policy.name)?;
    let cost = Cost::of(policy);
    let watch = format!("a watch of {:#}", policy.horizon());
    if cost.metrics() + cost.alarms == 0 {
        return writeln!(out, "  asks nothing of CloudWatch\n");
    }
    let widest = cost.checks.iter().map(|(name, ..)| name.chars().count()).max().unwrap_or(0);
    for (name, metrics, often) in &cost.checks {
        let metrics = count(*metrics, "metric", "metrics");
        writeln!(out, "  {name:widest$}  {metrics}, {often} times")?;
    }
    writeln!(
        out,
        "  to sample the service: {} metrics; each once, whatever checks need it",
        cost.samples
    )?;
    writeln!(out, "  to know its past: {} metrics", cost.past)?;
    if cost.controls > 0 {
        writeln!(out, "  for its peers and dependencies: {} metrics", cost.controls)?;
    }
    if cost.alarms > 0 {
        writeln!(out, "  alarms: {} requests", cost.alarms)?;
    }
    let dollars = cost.dollars();
    let alarms = match cost.alarms {
        0 => String::new(),
        some => format!(", and {some} times for alarms"),
    };
    let metrics = cost.metrics();
    writeln!(out, "  {watch} asks for {metrics} metrics{alarms}: ${dollars:.4} per deployment\n")
}
