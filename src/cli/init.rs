//! `deployguard init --ecs CLUSTER`: a first policy, from what stands and was measured there.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::Args;

use super::check::count;
use crate::app::draft::{Wanted, look, reach};
use crate::policy::{Drafted, SourceFile, check};
use crate::settings::AccountsSettings;
use crate::watch::DOLLARS;

/// The settings that are read where none are named.
const SETTINGS: &str = "deployguard.yaml";

/// What is drafted, and where to.
#[derive(Debug, Clone, Args)]
pub struct Init {
    /// The cluster to look at, by its name or ARN
    #[arg(long, value_name = "CLUSTER")]
    ecs: String,
    /// Take accounts, regions and Prometheus from these settings; else deployguard.yaml where it
    /// is there, else the environment's region and credentials
    #[arg(long, value_name = "FILE", env = "DEPLOYGUARD_CONFIG")]
    config: Option<PathBuf>,
    /// The settings' name of the account and region, where there are several
    #[arg(long, value_name = "NAME")]
    target: Option<String>,
    /// The environment, where the cluster's name does not say it
    #[arg(long, value_name = "NAME")]
    environment: Option<String>,
    /// Draft for this service alone; may be repeated
    #[arg(long = "service", value_name = "NAME")]
    services: Vec<String>,
    /// Write there instead: a file, or a folder (`policies/`) with one file for each policy.
    /// Nothing is overwritten
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// Prints the draft to `out`, and what is to be said of it to `err`.
pub fn run(wanted: &Init, out: &mut impl Write, err: &mut impl Write) -> anyhow::Result<ExitCode> {
    if let Some(there) = wanted.output.as_deref().filter(|path| path.is_file()) {
        return Err(is_there(there));
    }
    let config = wanted.config.clone().or_else(|| {
        let standard = PathBuf::from(SETTINGS);
        standard.is_file().then_some(standard)
    });
    let settings = match &config {
        Some(file) => AccountsSettings::read(file)?,
        None => AccountsSettings::default(),
    };
    let asked = Wanted {
        cluster: wanted.ecs.clone(),
        target: wanted.target.clone(),
        environment: wanted.environment.clone(),
        services: wanted.services.clone(),
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut found = runtime.block_on(look(&settings, &asked))?;
    writeln!(err, "{}", found.told())?;
    let place = Place::of(wanted.output.as_deref(), &found.drafts())?;
    let metrics = found.metrics();
    if metrics > 0 {
        #[expect(clippy::cast_precision_loss, reason = "some hundreds")]
        let dollars = metrics as f64 * DOLLARS;
        let metrics = count(metrics, "metric", "metrics");
        writeln!(err, "asking CloudWatch for {metrics} of the last {}: ${dollars:.5}", reach())?;
        runtime.block_on(found.measure());
    }
    let drafts = found.drafts();
    proven(&drafts)?;
    place.write(&drafts, out)?;
    for remark in &found.remarks {
        // What AWS has said may have lines of its own.
        let words: Vec<&str> = remark.split_whitespace().collect();
        writeln!(err, "(!) {}", words.join(" "))?;
    }
    next(wanted.output.as_deref(), &drafts, err)?;
    Ok(ExitCode::SUCCESS)
}

/// What `deployguard check` has against them would be our mistake.
fn proven(drafts: &[Drafted]) -> anyhow::Result<()> {
    let file = |one: &Drafted| SourceFile {
        path: format!("{}.yaml", one.name),
        bytes: one.text.clone().into_bytes(),
    };
    let files: Vec<SourceFile> = drafts.iter().map(file).collect();
    if let Err(mistakes) = check(&files) {
        let lines: Vec<String> = mistakes.iter().map(ToString::to_string).collect();
        bail!(
            "the draft has mistakes, and was not written; please report it:\n{}",
            lines.join("\n")
        );
    }
    Ok(())
}

fn is_there(file: &Path) -> anyhow::Error {
    anyhow::anyhow!("{} is there already: nothing is overwritten", file.display())
}

/// Where the drafts go.
enum Place {
    Out,
    /// One for each draft.
    Files(Vec<PathBuf>),
}

impl Place {
    /// # Errors
    /// Several policies and no folder; files that are there already.
    fn of(output: Option<&Path>, drafts: &[Drafted]) -> anyhow::Result<Self> {
        let is_folder =
            |path: &Path| path.is_dir() || path.as_os_str().to_string_lossy().ends_with('/');
        let files = match output {
            Some(folder) if is_folder(folder) => {
                drafts.iter().map(|one| folder.join(format!("{}.yaml", one.name))).collect()
            }
            Some(_) | None if drafts.len() > 1 => {
                let of: Vec<String> = drafts
                    .iter()
                    .map(|one| format!("  {} for {}", one.name, one.services))
                    .collect();
                bail!(
                    "these are {} policies, because each load balancer needs its own, and a file \
                     holds one:\n{}\ngive a folder by `--output policies/`, or one of the services \
                     by `--service NAME`",
                    drafts.len(),
                    of.join("\n")
                );
            }
            Some(file) => vec![file.to_owned()],
            None => return Ok(Self::Out),
        };
        if let Some(there) = files.iter().find(|file| file.exists()) {
            return Err(is_there(there));
        }
        Ok(Self::Files(files))
    }

    fn write(&self, drafts: &[Drafted], out: &mut impl Write) -> anyhow::Result<()> {
        let files = match self {
            Self::Out => {
                for one in drafts {
                    write!(out, "{}", one.text)?;
                }
                return Ok(());
            }
            Self::Files(files) => files,
        };
        for (file, one) in files.iter().zip(drafts) {
            let what = || file.display().to_string();
            if let Some(folder) = file.parent() {
                std::fs::create_dir_all(folder).with_context(what)?;
            }
            let made = OpenOptions::new().write(true).create_new(true).open(file);
            let made = made.map_err(|error| match error.kind() {
                ErrorKind::AlreadyExists => {
                    anyhow::anyhow!("it is there already: nothing is overwritten")
                }
                _ => error.into(),
            });
            made.with_context(what)?.write_all(one.text.as_bytes()).with_context(what)?;
        }
        Ok(())
    }
}

fn next(output: Option<&Path>, drafts: &[Drafted], err: &mut impl Write) -> anyhow::Result<()> {
    for one in drafts {
        writeln!(err, "drafted {} for {}", one.name, one.services)?;
    }
    let path = output.map_or_else(|| "FILE".to_owned(), |path| path.display().to_string());
    writeln!(
        err,
        "next: read it (the places marked (!) first), then `deployguard check {path}`, \
         `deployguard check --live {path}`, `deployguard check --cost {path}`; commit it, and \
         `deployguard serve`. In mode observe nothing is done, only said."
    )?;
    Ok(())
}
