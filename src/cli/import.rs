//! `deployguard import`: what a team has, as a draft of a policy.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::{Args, ValueEnum};

use super::check::count;
use crate::policy::{Frame, ImportFrom, MAX_IMPORT_BYTES, SourceFile, UNSAID, import};

/// What is imported, and what the file does not say.
#[derive(Debug, Clone, Args)]
pub struct Import {
    /// What the file is
    pub kind: Kind,
    /// `-` reads the standard input
    pub file: PathBuf,
    /// The name of the policy; else that of the first group or template
    #[arg(long)]
    pub policy: Option<String>,
    #[arg(long, default_value = "production")]
    pub environment: String,
    /// The services that the policy guards: CLUSTER/SERVICE, each a pattern
    #[arg(long = "match", value_name = "CLUSTER/SERVICE")]
    pub matches: Option<String>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum Kind {
    /// Groups of alerting rules
    PrometheusRules,
    /// `AnalysisTemplate`s of Argo Rollouts
    Argo,
    /// What `aws cloudwatch describe-alarms` prints, or a `CloudFormation` template
    CloudwatchAlarms,
}

/// Prints the draft to `out`, and what is argued to `err`. Exit 1 if no rule
/// could be made a check.
pub fn run(
    wanted: &Import,
    out: &mut impl Write,
    err: &mut impl Write,
) -> anyhow::Result<ExitCode> {
    let from = match wanted.kind {
        Kind::PrometheusRules => ImportFrom::PrometheusRules,
        Kind::Argo => ImportFrom::Argo,
        Kind::CloudwatchAlarms => ImportFrom::CloudWatchAlarms,
    };
    let (cluster, service) = match &wanted.matches {
        None => (UNSAID, UNSAID),
        Some(text) => match text.split_once('/') {
            Some((cluster, service)) if !service.contains('/') => (cluster, service),
            _ => bail!("`{text}` is not CLUSTER/SERVICE"),
        },
    };
    let frame = Frame {
        policy: wanted.policy.clone(),
        environment: wanted.environment.clone(),
        cluster: cluster.to_owned(),
        service: service.to_owned(),
    };
    let drafted = match import(from, &read(&wanted.file)?, &frame) {
        Ok(drafted) => drafted,
        Err(mistake) => {
            writeln!(err, "{mistake}")?;
            return Ok(ExitCode::FAILURE);
        }
    };
    write!(out, "{}", drafted.text)?;
    for argument in &drafted.arguments {
        writeln!(err, "{argument}")?;
    }
    writeln!(
        err,
        "{} drafted, {} not translated, {}",
        count(drafted.checks, "check", "checks"),
        count(drafted.kept, "rule", "rules"),
        count(drafted.arguments.len(), "remark", "remarks")
    )?;
    Ok(if drafted.checks == 0 { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// One byte more than allowed is enough to refuse it.
fn read(path: &Path) -> anyhow::Result<SourceFile> {
    let most = u64::try_from(MAX_IMPORT_BYTES)?.saturating_add(1);
    let mut bytes = Vec::new();
    if path == Path::new("-") {
        let input = io::stdin().lock().take(most).read_to_end(&mut bytes);
        input.context("the standard input")?;
        return Ok(SourceFile { path: "stdin".to_owned(), bytes });
    }
    File::open(path)
        .and_then(|file| file.take(most).read_to_end(&mut bytes))
        .with_context(|| path.display().to_string())?;
    Ok(SourceFile { path: path.display().to_string(), bytes })
}
