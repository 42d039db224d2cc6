//! `deployguard check --live`: asks the real source what the daemon will ask it, and
//! says which query finds nothing, and why.

mod cause;
mod controls;
mod health;
mod look;
mod pages;
mod services;
mod unasked;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use jiff::{SignedDuration, Timestamp};

use crate::engine::clock;
use crate::model::{Unusable, settle};
use crate::policy::{Check, Glob, Policy, PolicySet, Probe, check};
use crate::policy_repo::collect;
use crate::settings::{CommandLabels, PrometheusSettings, SourceSettings, is_region};
use crate::sources::Sources;
use crate::watch::unlabelled;
use look::{Finding, Status};

/// The source could not be asked.
const NOT_ASKED: u8 = 3;
/// Checks that Prometheus is not reached for before no more are tried: each waits a time-out.
const IN_VAIN: usize = 2;
/// How far back names and values of labels are looked for.
const KNOWN_WITHIN: SignedDuration = SignedDuration::from_hours(1);

/// Which source is asked, and about which services.
#[derive(Debug, Clone, Default, Args)]
pub struct Live {
    /// Ask the source whether every query returns series
    #[arg(long = "live", id = "live", conflicts_with_all = ["diff", "expand"])]
    wanted: bool,
    /// The Prometheus to ask
    #[arg(long, value_name = "URL", requires = "live")]
    prometheus: Option<String>,
    /// The region whose CloudWatch to ask; otherwise the environment's
    #[arg(
        long,
        value_name = "REGION",
        requires = "live",
        conflicts_with = "config",
        value_parser = region
    )]
    aws_region: Option<String>,
    /// Whether these settings know the recipients, channels and targets that policies name;
    /// with --live, take Prometheus and region from them
    #[arg(long, value_name = "FILE", conflicts_with_all = ["prometheus", "diff", "cost"])]
    config: Option<PathBuf>,
    /// Ask about this service, instead of those that are found; may be repeated
    #[arg(long = "service", value_name = "NAME", requires = "live")]
    services: Vec<String>,
    /// A label as a deployment would announce it, for `${labels.NAME}`; may be repeated
    #[arg(long = "label", value_name = "NAME=VALUE", requires = "live", value_parser = label)]
    labels: Vec<(String, String)>,
}

fn label(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.trim().is_empty() && !value.trim().is_empty() => {
            Ok((name.trim().to_owned(), value.trim().to_owned()))
        }
        Some(_) | None => Err("write NAME=VALUE".to_owned()),
    }
}

fn region(text: &str) -> Result<String, String> {
    if is_region(text) {
        return Ok(text.to_owned());
    }
    Err("that is no name of a region: write it as eu-west-1".to_owned())
}

impl Live {
    /// Whether it is asked for at all.
    pub fn is_wanted(&self) -> bool {
        self.wanted
    }

    /// The settings beside which policies are checked.
    pub fn config(&self) -> Option<&Path> {
        self.config.as_deref()
    }

    fn settings(&self) -> anyhow::Result<SourceSettings> {
        Ok(match (&self.prometheus, &self.config) {
            (Some(url), _) => SourceSettings {
                prometheus: Some(PrometheusSettings::at(url)),
                ..SourceSettings::default()
            },
            (None, Some(file)) => SourceSettings::read(file)?,
            (None, None) => SourceSettings::default(),
        })
    }

    /// What the policies of `set` ask.
    async fn sources(&self, set: &PolicySet, settings: SourceSettings) -> anyhow::Result<Sources> {
        let checks = || set.iter().flat_map(|written| &written.policy.checks);
        if settings.prometheus.is_none() && checks().any(Check::is_of_prometheus) {
            anyhow::bail!("say whom to ask: --prometheus URL or --config FILE");
        }
        if self.prometheus.is_some() && !checks().any(Check::is_of_prometheus) {
            anyhow::bail!(
                "no check asks Prometheus: leave --prometheus out; CloudWatch is asked in the \
                 region of the environment, or of --aws-region REGION"
            );
        }
        let region = self.aws_region.clone().or(settings.aws.region);
        let of_aws = |check: &Check| check.is_of_cloudwatch() || check.is_of_logs();
        let aws = if checks().any(of_aws) {
            let aws = crate::app::cloudwatch(region).await;
            // Where others can be asked they are, and these are refused by name.
            anyhow::ensure!(aws.is_some() || !checks().all(of_aws), unasked::NO_REGION);
            aws
        } else {
            None
        };
        let prometheus = settings.prometheus.as_ref().map(crate::app::prometheus).transpose()?;
        let web = crate::app::web_of(settings.outbound.as_ref(), &settings.secrets)?;
        let (cloudwatch, logs) = aws.unzip();
        let pages = crate::app::pages_of(settings.outbound.as_ref(), &settings.secrets)?;
        Ok(Sources { prometheus, cloudwatch, logs, web, pages, ..Sources::default() })
    }
}

/// A source, as of a moment.
struct Asked<'a> {
    sources: &'a Sources,
    now: Timestamp,
    /// As a deployment would announce them.
    labels: BTreeMap<String, String>,
    /// The commands of the settings; `None`: no settings were given.
    commands: Option<&'a BTreeMap<String, CommandLabels>>,
}

impl Asked<'_> {
    /// The stretch that names and values of labels are looked for in.
    fn known_within(&self) -> (Timestamp, Timestamp) {
        (self.now.checked_sub(KNOWN_WITHIN).unwrap_or(self.now), self.now)
    }
}

/// Asks every query of every policy. Exit 1 if one is refused or finds nothing, or a
/// policy has a mistake; 3 if a source can't be reached.
pub fn run(paths: &[PathBuf], live: &Live, out: &mut impl Write) -> anyhow::Result<ExitCode> {
    let standard = [PathBuf::from("policies")];
    let paths = if paths.is_empty() { &standard[..] } else { paths };
    let set = match collect(paths).and_then(|files| check(&files)) {
        Ok(set) => set,
        Err(mistakes) => {
            super::check::told(&mistakes, out)?;
            return Ok(ExitCode::FAILURE);
        }
    };
    super::check::remarked(&set, "", out)?;
    guarded(&set, &live.services)?;
    let labels: BTreeMap<String, String> = live.labels.iter().cloned().collect();
    let settings = live.settings()?;
    let commands = live.config.is_some().then(|| settings.commands.clone());
    are_asked_for(&set, &labels, commands.as_ref())?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let sources = runtime.block_on(live.sources(&set, settings))?;
    let mut worst = Status::Ok;
    for written in set.iter() {
        let (now, labels) = (asked_as_of(&written.policy), labels.clone());
        let asked = Asked { sources: &sources, now, labels, commands: commands.as_ref() };
        writeln!(out, "{} ({})", written.policy.name, written.file)?;
        match runtime.block_on(policy(&asked, &written.policy, &live.services)) {
            Ok(found) => worst = worst.max(told(&found, out)?),
            Err(Unusable::Unreachable(why)) => {
                writeln!(out, "  not asked: {why}")?;
                worst = Status::Unreached;
            }
            Err(why) => {
                writeln!(out, "  {why}")?;
                worst = worst.max(Status::Refused);
            }
        }
    }
    Ok(match worst {
        Status::Ok | Status::Skipped | Status::Doubt => ExitCode::SUCCESS,
        Status::Empty | Status::Refused => ExitCode::FAILURE,
        Status::Unreached => ExitCode::from(NOT_ASKED),
    })
}

/// Whether each service that is named has a policy: nothing asked is no success.
fn guarded(set: &PolicySet, services: &[String]) -> anyhow::Result<()> {
    let patterns: Vec<&str> =
        set.iter().map(|written| written.policy.matches.service.as_str()).collect();
    let matched = |name: &str| {
        patterns.iter().any(|pattern| Glob::parse(pattern).is_ok_and(|glob| glob.matches(name)))
    };
    if let Some(name) = services.iter().find(|name| !matched(name)) {
        let of: Vec<String> = set
            .iter()
            .map(|one| format!("`{}` matches `{}`", one.policy.name, one.policy.matches.service))
            .collect();
        anyhow::bail!("no policy guards a service `{name}`: {}", of.join(", "));
    }
    Ok(())
}

/// Whether each label that is given is asked for: a mistyped one would change nothing.
fn are_asked_for(
    set: &PolicySet,
    labels: &BTreeMap<String, String>,
    commands: Option<&BTreeMap<String, CommandLabels>>,
) -> anyhow::Result<()> {
    let none = BTreeMap::new();
    let all = set.iter().flat_map(|written| unlabelled(&written.policy, &none));
    let checks = set.iter().flat_map(|written| &written.policy.checks);
    let named = checks.filter_map(|check| check.probe().and_then(Probe::command));
    let of_commands = named.filter_map(|name| commands?.get(name)).flat_map(|one| one.0.clone());
    let wanted: BTreeSet<String> = all.map(|one| one.label).chain(of_commands).collect();
    let Some(name) = labels.keys().find(|name| !wanted.contains(*name)) else { return Ok(()) };
    let wanted: Vec<&str> = wanted.iter().map(String::as_str).collect();
    if wanted.is_empty() {
        anyhow::bail!("no query or command asks for the label `{name}`, or for any other");
    }
    anyhow::bail!(
        "no query or command asks for the label `{name}`; asked for: {}",
        wanted.join(", ")
    )
}

/// As the daemon does: a source shows what it has measured a moment later.
fn asked_as_of(policy: &Policy) -> Timestamp {
    let interval = policy.phases.first().map_or(SignedDuration::ZERO, |phase| phase.interval);
    let now = clock::now();
    now.checked_sub(settle(interval)).unwrap_or(now)
}

/// What was found of each service.
struct Found {
    services: Vec<(String, Vec<Finding>)>,
    /// Services that are not asked about, or why there are none.
    note: Option<String>,
    /// Services that the policy names and the source does not know.
    unknown: Vec<String>,
    /// The labels that have to be given to ask the rest.
    lacking: Vec<String>,
}

async fn policy(asked: &Asked<'_>, policy: &Policy, named: &[String]) -> Result<Found, Unusable> {
    let (names, note) = services::of(asked, policy, named).await?;
    let now = pages::read(asked, policy, &names).await.unwrap_or(asked.now);
    let asked = &Asked { now, labels: asked.labels.clone(), ..*asked };
    let mut services = Vec::new();
    // How often Prometheus was asked, and not reached, since it last answered.
    let mut in_vain = 0;
    for name in names {
        let mut findings = Vec::new();
        // Tasks are asked of the platform, which this command does not ask.
        for check in policy.checks.iter().filter(|check| !check.is_of_tasks()) {
            let is_lost = check.is_of_prometheus() && in_vain >= IN_VAIN;
            let finding = if is_lost {
                unasked::as_before(check)
            } else {
                look::at(asked, policy, check, &name).await
            };
            if check.is_of_prometheus() {
                let missed = finding.status == Status::Unreached;
                in_vain = if missed { in_vain + 1 } else { 0 };
            }
            findings.push(finding);
        }
        services.push((name, findings));
    }
    let unknown = controls::unknown(asked, policy).await?;
    let lacking = unlabelled(policy, &asked.labels).iter().map(|one| one.label.clone()).collect();
    Ok(Found { services, note, unknown, lacking })
}

/// Prints what was found; the worst of it.
fn told(found: &Found, out: &mut impl Write) -> io::Result<Status> {
    let mut worst = Status::Ok;
    for (service, findings) in &found.services {
        writeln!(out, "  {service}")?;
        let width = findings.iter().map(|one| one.check.chars().count()).max().unwrap_or(0);
        for one in findings {
            worst = worst.max(one.status);
            let (status, check, said) = (one.status.as_str(), &one.check, &one.said);
            let line = format!("    {status:<7}  {check:width$}  {said}");
            writeln!(out, "{}", line.trim_end())?;
            for note in &one.notes {
                writeln!(out, "      {}", note.query)?;
                writeln!(out, "        {}", note.mend)?;
            }
        }
    }
    if !found.lacking.is_empty() {
        let given = found.lacking.iter().map(|name| format!(" --label {name}=..."));
        let given: String = given.collect();
        writeln!(out, "  only what needs no label was asked; to ask the rest, give{given}")?;
    }
    for words in &found.unknown {
        writeln!(out, "  {words}")?;
        worst = worst.max(Status::Doubt);
    }
    if let Some(note) = &found.note {
        writeln!(out, "  {note}")?;
        if found.services.is_empty() {
            worst = worst.max(Status::Empty);
        }
    }
    Ok(worst)
}

#[cfg(test)]
mod tests;
