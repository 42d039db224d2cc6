//! `deployguard backtest`: what a policy would have done about past deployments.

use std::fs::File;
use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::{Args, ValueEnum};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use tokio::runtime::Runtime;

use super::check::told;
use crate::app;
use crate::backtest::{
    Bench, Finished, Format, Gone, Pages, Past, Printer, Search, Setup, Summary, backtest,
    discover, read_deployments,
};
use crate::engine::clock;
use crate::model::{Mode, Unusable};
use crate::policy::{self, Check, PolicySet, check};
use crate::policy_repo::collect;

/// What is judged, by what, and where it is written.
#[derive(Debug, Clone, Args)]
#[command(after_help = HELP)]
pub struct Backtest {
    /// A file with one policy
    #[arg(long, value_name = "FILE")]
    pub policy: PathBuf,
    /// Where the metrics were recorded
    #[arg(long, value_name = "URL", env = "DEPLOYGUARD_PROMETHEUS")]
    pub prometheus: String,
    /// CSV: `id,service,environment,at`, and where known `labels` (`k=v;k=v`; its
    /// `version` is the deployment's), `rollback_safe` (`yes`, `no` or `unknown`; empty:
    /// yes) and `bad_from` (empty: it was healthy)
    #[arg(long, value_name = "FILE.csv", required_unless_present = "discover")]
    pub deployments: Option<PathBuf>,
    /// Instead of a list: a query such as `count by (version) (up{job="api"})`; a
    /// version that appears is a deployment. Needs --service and --from, too
    #[arg(
        long,
        value_name = "QUERY",
        conflicts_with = "deployments",
        requires_all = ["from", "service"]
    )]
    pub discover: Option<String>,
    /// Search from here: a time such as 2026-11-20T10:30:00Z, or a date (its midnight, UTC)
    #[arg(long, value_name = "TIME", requires = "discover", value_parser = time)]
    pub from: Option<Timestamp>,
    /// Search up to here [default: now]
    #[arg(long, value_name = "TIME", requires = "discover", value_parser = time)]
    pub to: Option<Timestamp>,
    /// How finely to search
    #[arg(long, value_name = "DURATION", default_value = "1m", value_parser = duration)]
    pub step: SignedDuration,
    /// The service that is searched for
    #[arg(long, requires = "discover")]
    pub service: Option<String>,
    /// Its environment; else the policy's
    #[arg(long, requires = "discover")]
    pub environment: Option<String>,
    #[arg(long, value_enum, default_value = "table")]
    pub format: Format,
    /// The most that the guard may do, whatever the policy's mode is
    #[arg(long, value_enum, default_value = "auto")]
    pub mode: Ceiling,
    /// From the start of a roll-out to its first task in service
    #[arg(long, value_name = "DURATION", default_value = "0s", value_parser = duration)]
    pub in_service_after: SignedDuration,
    /// Deployments that are judged side by side
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u8).range(1..=16))]
    pub jobs: u8,
    /// Keep what was found here, and go on from there the next time
    #[arg(long, value_name = "FILE")]
    pub state: Option<PathBuf>,
    /// Write a page for each deployment, and index.html, into this folder
    #[arg(long, value_name = "DIR")]
    pub html: Option<PathBuf>,
    /// Write a picture of the breached check of each deployment into this folder
    #[arg(long, value_name = "DIR")]
    pub svg: Option<PathBuf>,
    /// How long Prometheus may take for an answer
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = duration)]
    pub timeout: SignedDuration,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Ceiling {
    Observe,
    Ask,
    Auto,
}

const HELP: &str = "\
Deployments are lived through with the code of the daemon. One is ACTED on where a rollback
would be called, or people would be asked about one; acted_at is the time of the rollback, or
where there is none of the question. It ends as rolled_back where a rollback would be called:
what was recorded later is not what would have been. The next deployment of the same service
ends a watch. With the truth given (bad_from), an action before it is a false one.
Without a column rollback_safe all may be undone, as if each had been announced so.
Deployments of one environment whose watches overlap are each other's rivals.

Exit 0 when all were judged, 1 where the policy or the list has mistakes, 3 where Prometheus
can't be asked or refuses what it is asked.";

/// Questions that Prometheus is asked at the same time.
const CONCURRENT: usize = 8;
const COULD_NOT_ASK: u8 = 3;

/// Judges the deployments; findings to `out`, all else to `err`.
pub fn run(
    wanted: &Backtest,
    out: &mut impl Write,
    err: &mut impl Write,
) -> anyhow::Result<ExitCode> {
    let policies = match collect(std::slice::from_ref(&wanted.policy)).and_then(|f| check(&f)) {
        Ok(policies) => policies,
        Err(mistakes) => {
            told(&mistakes, err)?;
            return Ok(ExitCode::FAILURE);
        }
    };
    let setup = setup(wanted, policies)?;
    let timeout = Duration::try_from(wanted.timeout).context("--timeout")?;
    let source = match app::prometheus_at(&wanted.prometheus, timeout, CONCURRENT) {
        Ok(source) => source,
        Err(why) if !wanted.prometheus.contains("://") => {
            return could_not_ask(&format!("{why}; begin it with http:// or https://"), err);
        }
        Err(why) => return could_not_ask(&why, err),
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let all = match deployments(wanted, &setup, &source, &runtime, err)? {
        Ok(all) => all,
        Err(code) => return Ok(code),
    };
    warn(&setup, &all, err)?;
    let pages = Pages { html: wanted.html.clone(), svg: wanted.svg.clone() };
    pages.prepare().context("the folder for the pages")?;
    let open = |path: &PathBuf| Finished::open(path).with_context(|| path.display().to_string());
    let finished = wanted.state.as_ref().map(open).transpose()?;
    let bench = Bench {
        setup: &setup,
        source: &source,
        runtime: runtime.handle(),
        pages: &pages,
        jobs: wanted.jobs.into(),
    };
    judged(bench, wanted.format, &all, finished, out, err)
}

fn judged(
    bench: Bench<'_>,
    format: Format,
    all: &[Past],
    finished: Option<Finished>,
    out: &mut impl Write,
    err: &mut impl Write,
) -> anyhow::Result<ExitCode> {
    let bar = bar(all.len());
    let mut summary = Summary::new();
    let mut printer = None;
    let mut listed = Vec::new();
    let mut out = Some(out);
    let done = backtest(bench, all, finished, &mut |finding| {
        if let Some(out) = out.take() {
            printer = Some(Printer::begin(out, format, all, bench.setup)?);
        }
        summary.add(&finding);
        bar.suspend(|| printer.as_mut().map_or(Ok(()), |printer| printer.row(&finding)))?;
        bar.inc(1);
        if bench.pages.html.is_some() {
            listed.push(finding);
        }
        Ok(())
    });
    bar.finish_and_clear();
    let lost = match done {
        Ok(()) => None,
        Err(Gone::Source(why)) => Some(why),
        Err(Gone::Io(error)) => return Err(error.into()),
    };
    // Nothing at all is no table; an empty list is one.
    if let (Some(out), None) = (out, &lost) {
        printer = Some(Printer::begin(out, format, all, bench.setup)?);
    }
    let summary = summary.finished(lost.is_some());
    bench.pages.index(bench.setup, &listed, &summary).context("index.html")?;
    if let Some(printer) = printer {
        printer.end(&summary)?;
    }
    for warning in &summary.warnings {
        writeln!(err, "warning: {warning}")?;
    }
    match lost {
        Some(why) => could_not_ask(&why, err),
        None => Ok(ExitCode::SUCCESS),
    }
}

fn setup(wanted: &Backtest, policies: PolicySet) -> anyhow::Result<Setup> {
    let one = policies.iter().next().cloned().filter(|_| policies.len() == 1);
    let Some(mut written) = one else {
        bail!(
            "{} holds {} policies: name a file with one",
            wanted.policy.display(),
            policies.len()
        );
    };
    let mode = match wanted.mode {
        Ceiling::Observe => Mode::Observe,
        Ceiling::Ask => Mode::Ask,
        Ceiling::Auto => Mode::Auto,
    };
    // Nobody recorded what they answered.
    Arc::make_mut(&mut written.policy).checks.retain(is_recorded);
    let (in_service_after, now) = (wanted.in_service_after, clock::now());
    Ok(Setup { policies, written, mode, in_service_after, now })
}

/// The deployments, or the exit code where there is a mistake, which is told.
fn deployments(
    wanted: &Backtest,
    setup: &Setup,
    source: &app::Prometheus,
    runtime: &Runtime,
    err: &mut impl Write,
) -> anyhow::Result<Result<Vec<Past>, ExitCode>> {
    if let Some(path) = &wanted.deployments {
        let name = path.display().to_string();
        let file = File::open(path).with_context(|| name.clone())?;
        return Ok(match read_deployments(&name, file) {
            Ok(all) => Ok(all),
            Err(mistakes) => {
                told(&mistakes, err)?;
                Err(ExitCode::FAILURE)
            }
        });
    }
    let (Some(query), Some(from), Some(service)) = (&wanted.discover, wanted.from, &wanted.service)
    else {
        bail!("say --deployments, or --discover with --from and --service");
    };
    let to = wanted.to.unwrap_or(setup.now);
    let environment = &setup.written.policy.environment;
    let search = Search {
        query: query.clone(),
        from,
        to: to.min(setup.now),
        step: wanted.step,
        service: service.clone(),
        environment: wanted.environment.as_ref().unwrap_or(environment).clone(),
    };
    match runtime.block_on(discover(source, &search)) {
        Ok(all) => {
            writeln!(err, "{} found", super::check::count(all.len(), "deployment", "deployments"))?;
            if !query.contains(service.as_str()) {
                writeln!(
                    err,
                    "note: the search does not name the service: every version in it is taken for \
                     {service}'s"
                )?;
            }
            if all.is_empty() {
                writeln!(
                    err,
                    "in all that time no version appeared beside the first ones: does the query \
                     return series there?"
                )?;
            }
            Ok(Ok(all))
        }
        // It was asked, and says itself who refused what.
        Err(Unusable::Refused(why)) => {
            writeln!(err, "deployguard: {why}")?;
            Ok(Err(ExitCode::from(COULD_NOT_ASK)))
        }
        Err(why) => Ok(Err(could_not_ask(&why.to_string(), err)?)),
    }
}

/// Whether somebody keeps what it measured.
fn is_recorded(check: &Check) -> bool {
    !check.is_of_web()
        && !check.is_of_heartbeat()
        && !check.is_of_logs()
        && !check.is_of_probe()
        && !check.is_of_pages()
}

/// What people may not have meant.
fn warn(setup: &Setup, all: &[Past], err: &mut impl Write) -> io::Result<()> {
    const MOST: usize = 5;
    let of_web = setup.policies.iter().flat_map(|one| &one.policy.checks);
    let of_web: Vec<&str> =
        of_web.filter(|check| !is_recorded(check)).map(|check| check.name.as_str()).collect();
    if !of_web.is_empty() {
        let of_web = of_web.join(", ");
        writeln!(
            err,
            "warning: {of_web}: health endpoints, JSON APIs, pages of metrics, logs and probes are not asked about the past \
             here, and left out"
        )?;
    }
    let mismatches: Vec<String> = all.iter().filter_map(|past| setup.mismatch(past)).collect();
    for mismatch in mismatches.iter().take(MOST) {
        writeln!(err, "warning: {mismatch}; it is judged all the same")?;
    }
    if let Some(more) = mismatches.len().checked_sub(MOST).filter(|more| *more > 0) {
        writeln!(err, "warning: and the same of {more} more")?;
    }
    if all.is_empty() {
        writeln!(err, "warning: there are no deployments to judge")?;
    }
    Ok(())
}

fn could_not_ask(why: &str, err: &mut impl Write) -> anyhow::Result<ExitCode> {
    writeln!(err, "deployguard: Prometheus can't be asked: {why}")?;
    Ok(ExitCode::from(COULD_NOT_ASK))
}

/// On a terminal only.
fn bar(number: usize) -> ProgressBar {
    let target = if io::stderr().is_terminal() {
        ProgressDrawTarget::stderr()
    } else {
        ProgressDrawTarget::hidden()
    };
    let bar = ProgressBar::with_draw_target(Some(number as u64), target);
    let style = ProgressStyle::with_template("{bar:30} {pos} of {len} deployments, {eta} left");
    style.map_or(bar.clone(), |style| bar.with_style(style))
}

/// A time, or a date: its midnight in UTC.
fn time(text: &str) -> Result<Timestamp, String> {
    let date = || text.parse::<Date>().ok()?.to_zoned(TimeZone::UTC).ok();
    let time = text.parse().ok().or_else(|| date().map(|midnight| midnight.timestamp()));
    time.ok_or_else(|| "give a time such as 2026-11-20T10:30:00Z, or a date".to_owned())
}

/// A duration as policies write it: `30m`.
pub fn duration(text: &str) -> Result<SignedDuration, String> {
    policy::duration(text).map_err(|(message, mend)| match mend {
        Some(mend) => format!("{message}; {mend}"),
        None => message,
    })
}
