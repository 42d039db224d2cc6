//! A page for each deployment, and one that lists them all.

use std::fs;
use std::io;
use std::path::PathBuf;

use jiff::Timestamp;
use sha2::{Digest, Sha256};

use super::finding::{Action, Finding, Truth};
use super::picture::chart;
use super::recorded::Series;
use super::setup::Setup;
use super::summary::Summary;
use crate::chart::{Cell, Chart, Link, Listing, Section, Theme, Width, linked_page, listing, svg};
use crate::model::{Outcome, Tone, Verdict};
use crate::policy::{Against, Check};
use crate::rehearsal::Report;
use crate::watch::chance;

/// Where pictures go.
#[derive(Debug, Clone, Default)]
pub struct Pages {
    pub html: Option<PathBuf>,
    pub svg: Option<PathBuf>,
}

impl Pages {
    /// Makes the folders.
    ///
    /// # Errors
    /// A folder can't be made.
    pub fn prepare(&self) -> io::Result<()> {
        self.html.iter().chain(&self.svg).try_for_each(fs::create_dir_all)
    }

    pub(super) fn are_wanted(&self) -> bool {
        self.html.is_some() || self.svg.is_some()
    }

    /// Whether everything about the deployment is drawn already.
    pub(super) fn have(&self, finding: &Finding) -> bool {
        let there = |folder: &PathBuf| folder.join(file_name(&finding.id, "html")).exists();
        let drawn = |folder: &PathBuf| {
            finding.check.is_none() || folder.join(file_name(&finding.id, "svg")).exists()
        };
        self.html.as_ref().is_none_or(there) && self.svg.as_ref().is_none_or(drawn)
    }

    pub(super) fn draw(
        &self,
        setup: &Setup,
        finding: &Finding,
        report: &Report,
        series: &Series,
    ) -> io::Result<()> {
        let checks = &setup.written.policy.checks;
        let chart = |check: &Check| chart(check, finding, report, series);
        if let Some(folder) = &self.html {
            let mut ordered: Vec<&Check> = checks.iter().collect();
            // What was acted on first, then what else was in breach.
            ordered.sort_by_key(|check| {
                (finding.check.as_ref() != Some(&check.name), !breached(report, check))
            });
            let mut told = verdict(finding);
            let mut of_checks: Vec<Section> =
                ordered.into_iter().map(|check| of_check(check, report, chart(check))).collect();
            // What it rests on is seen without scrolling.
            let first = of_checks.first_mut().filter(|_| finding.check.is_some());
            told.charts
                .extend(first.map(|first| std::mem::take(&mut first.charts)).into_iter().flatten());
            let mut sections = vec![told, facts(setup, finding)];
            sections.append(&mut of_checks);
            let back = Link { words: "All deployments".to_owned(), href: "index.html".to_owned() };
            let page = linked_page(&title(finding), &back, &sections);
            fs::write(folder.join(file_name(&finding.id, "html")), page)?;
        }
        let worst = checks.iter().find(|check| finding.check.as_ref() == Some(&check.name));
        if let (Some(folder), Some(check)) = (&self.svg, worst) {
            let drawn = svg(&chart(check), Theme::Auto, Width::Desktop);
            fs::write(folder.join(file_name(&finding.id, "svg")), drawn)?;
        }
        Ok(())
    }

    /// The page that lists them all.
    ///
    /// # Errors
    /// It can't be written.
    pub fn index(&self, setup: &Setup, all: &[Finding], summary: &Summary) -> io::Result<()> {
        let Some(folder) = &self.html else { return Ok(()) };
        let policy = &setup.written.policy;
        let overall = Section {
            heading: "Summary".to_owned(),
            tone: Tone::Quiet,
            lines: [format!(
                "Policy {}, mode {}: what it would have done about {}.",
                policy.name,
                setup.mode,
                many(all.len(), "deployment")
            )]
            .into_iter()
            .chain(summary.warnings.iter().map(|warning| format!("Warning: {warning}")))
            .collect(),
            rows: summary.in_words(),
            charts: Vec::new(),
        };
        let known = all.iter().any(|finding| finding.truth.is_some());
        let mut columns = vec!["Deployment", "Deployed (UTC)", "Outcome", "Acted after", "Check"];
        columns.extend(known.then_some("Truth"));
        let rows = all.iter().map(|finding| row(finding, known)).collect();
        let listed = Listing { columns: columns.iter().map(ToString::to_string).collect(), rows };
        let title = format!("Backtest of {}", policy.name);
        fs::write(folder.join("index.html"), listing(&title, &[overall], &listed))
    }
}

fn row(finding: &Finding, known: bool) -> Vec<Cell> {
    let href = Some(file_name(&finding.id, "html"));
    let cell = |words: String| Cell { words, href: None, tone: Tone::Quiet };
    let acted = finding.done_at().map(|at| {
        let verb = finding.action.as_str();
        format!("{verb}, {}", lasted(finding.at, at))
    });
    let mut cells = vec![
        Cell { words: finding.id.clone(), href, tone: Tone::Quiet },
        cell(clock(finding.at)),
        Cell { words: spaced(finding.outcome), href: None, tone: tone(finding.outcome) },
        cell(acted.unwrap_or_default()),
        cell(finding.check.clone().unwrap_or_default()),
    ];
    if known {
        let words = finding.truth.map_or("", Truth::as_str).to_owned();
        let tone = match finding.truth {
            Some(Truth::FalsePositive | Truth::FalseNegative) => Tone::Bad,
            Some(Truth::TruePositive | Truth::TrueNegative) => Tone::Good,
            Some(Truth::TooLate) | None => Tone::Quiet,
        };
        cells.push(Cell { words, href: None, tone });
    }
    cells
}

fn title(finding: &Finding) -> String {
    let what = match finding.action {
        Action::Rollback => "would be rolled back".to_owned(),
        Action::Ask => format!("people would be asked ({})", spaced(finding.outcome)),
        Action::Notify | Action::None => spaced(finding.outcome),
    };
    format!("{}: {what}", finding.id)
}

/// In words: what would have been done, why, and whether it was right.
fn verdict(finding: &Finding) -> Section {
    let mut lines = Vec::new();
    if let Some(at) = finding.acted_at {
        let after = lasted(finding.at, at);
        let what = match finding.action {
            Action::Rollback => "would have called a rollback",
            Action::Ask => "would have asked people whether to roll back",
            Action::Notify | Action::None => "would have told people",
        };
        lines.push(format!("The guard {what} at {} UTC, {after} after the deployment.", clock(at)));
    } else if let Some(at) = finding.told_at {
        let after = lasted(finding.at, at);
        lines.push(format!(
            "The guard would have told people at {} UTC, {after} after the deployment, and done \
             nothing else.",
            clock(at)
        ));
    } else {
        lines.push("The guard would have done nothing.".to_owned());
    }
    lines.push(finding.reason.clone());
    lines.extend(finding.truth.map(|truth| match (truth, finding.bad_from) {
        (Truth::TruePositive, Some(bad)) => {
            let after = finding.first_acted_at().map(|at| lasted(bad, at)).unwrap_or_default();
            format!(
                "That is right: it was bad from {} UTC on, and {after} later this was done.",
                clock(bad)
            )
        }
        (Truth::FalsePositive, Some(bad)) => {
            format!("That is wrong: it was bad only from {} UTC on.", clock(bad))
        }
        (Truth::FalseNegative, Some(bad)) => {
            format!("That is wrong: it was bad from {} UTC on.", clock(bad))
        }
        (Truth::FalsePositive | Truth::FalseNegative, None) => {
            "That is wrong: it was healthy.".to_owned()
        }
        (Truth::TrueNegative | Truth::TruePositive, _)
            if finding.outcome == Outcome::Inconclusive =>
        {
            "It was healthy, and nothing was done; but too little was known to say so.".to_owned()
        }
        (Truth::TrueNegative | Truth::TruePositive, _) => {
            "That is right: it was healthy.".to_owned()
        }
        (Truth::TooLate, _) => "It went bad when it was no longer watched.".to_owned(),
    }));
    let tone = match finding.truth {
        Some(Truth::FalsePositive | Truth::FalseNegative) => Tone::Warn,
        Some(Truth::TruePositive | Truth::TrueNegative | Truth::TooLate) | None => {
            tone(finding.outcome)
        }
    };
    Section {
        heading: "What would have happened".to_owned(),
        tone,
        lines,
        rows: Vec::new(),
        charts: Vec::new(),
    }
}

fn facts(setup: &Setup, finding: &Finding) -> Section {
    let time = |at: Option<Timestamp>| at.map(|at| format!("{} UTC", clock(at)));
    let shown = finding
        .check
        .as_ref()
        .and_then(|name| Some(setup.written.policy.check(name)?.show(finding.value?)));
    let over = match (&finding.check, shown, &finding.limit) {
        (Some(check), Some(value), Some(limit)) => {
            Some(format!("{check} was {value}, limit {limit}"))
        }
        (Some(check), Some(value), None) => Some(format!("{check} was {value}")),
        (check, _, _) => check.clone(),
    };
    let rows = [
        ("Outcome", Some(finding.outcome.as_str().to_owned())),
        ("Service", Some(format!("{} ({})", finding.service, finding.environment))),
        ("Version", finding.version.clone()),
        ("Deployed", time(Some(finding.at))),
        ("Bad from", time(finding.bad_from)),
        ("First breach", time(finding.first_breach_at)),
        ("Would have told people", time(finding.told_at)),
        ("Would have asked", time(finding.asked_at)),
        (
            "Would have rolled back",
            time(finding.acted_at.filter(|_| finding.action == Action::Rollback)),
        ),
        ("Breach", over),
        ("Severity", finding.severity.map(|severity| severity.to_string())),
        ("Whose doing", finding.blame.clone()),
        ("Watched until", time(Some(finding.ended_at))),
        ("Policy", Some(format!("{}, mode {}", setup.written.policy.name, setup.mode))),
    ];
    let rows = rows.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
    Section {
        heading: "The deployment".to_owned(),
        tone: Tone::Quiet,
        lines: Vec::new(),
        rows: rows.collect(),
        charts: Vec::new(),
    }
}

fn of_check(check: &Check, report: &Report, chart: Chart) -> Section {
    let state = report.watch.checks.get(&check.name);
    let last = state.and_then(|state| state.last.as_ref());
    let mut rows = Vec::new();
    if let Some(judgement) = last {
        let verdict = judgement.verdict.as_str().replace('_', " ");
        let value = judgement.value.map(|value| format!(", {}", check.show(value)));
        rows.push(("At the end".to_owned(), format!("{verdict}{}", value.unwrap_or_default())));
    }
    if let Some(reference) = state
        .and_then(|state| state.baselines.get(&Against::Before))
        .and_then(crate::judge::Baseline::reference)
    {
        let samples = many(reference.samples as usize, "sample");
        rows.push(("Before".to_owned(), format!("{} ({samples})", check.show(reference.value))));
    }
    if let Some(weight) = last.and_then(|last| last.weight) {
        rows.push(("Evidence".to_owned(), chance(weight.ln_e, weight.needed)));
    }
    let tone = match last.map(|last| last.verdict) {
        Some(Verdict::Breach) => Tone::Bad,
        Some(Verdict::Elevated | Verdict::NoData) => Tone::Warn,
        Some(Verdict::Healthy) => Tone::Good,
        Some(Verdict::LowTraffic) | None => Tone::Quiet,
    };
    Section {
        heading: check.name.clone(),
        tone,
        lines: last.map(|last| last.reason.clone()).into_iter().collect(),
        rows,
        charts: vec![chart],
    }
}

fn breached(report: &Report, check: &Check) -> bool {
    let judged = report.judged.get(&check.name).into_iter().flatten();
    judged.into_iter().any(|one| one.verdict == Verdict::Breach)
}

fn tone(outcome: Outcome) -> Tone {
    match outcome {
        Outcome::Passed => Tone::Good,
        Outcome::RolledBack | Outcome::RollbackFailed | Outcome::Breached => Tone::Bad,
        Outcome::Inconclusive => Tone::Warn,
        Outcome::Superseded | Outcome::Cancelled => Tone::Quiet,
    }
}

fn spaced(outcome: Outcome) -> String {
    outcome.as_str().replace('_', " ")
}

fn clock(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M:%S").to_string()
}

/// "3m 15s".
pub(super) fn lasted(from: Timestamp, to: Timestamp) -> String {
    long(to.duration_since(from).as_secs())
}

/// The same of seconds.
pub(super) fn long(seconds: i64) -> String {
    let (hours, minutes, rest) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    match (hours, minutes) {
        (0, 0) => format!("{rest}s"),
        (0, _) => format!("{minutes}m {rest}s"),
        (_, _) => format!("{hours}h {minutes}m {rest}s"),
    }
}

pub(super) fn many(number: usize, one: &str) -> String {
    format!("{number} {one}{}", if number == 1 { "" } else { "s" })
}

/// The id where it can stand in a file's name, or else what is left of it and a digest.
fn file_name(id: &str, extension: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let kept: String = id.chars().filter(|c| plain(*c)).take(80).collect();
    // `index` lists them all; and not every file system tells cases apart.
    if kept == id
        && !id.starts_with('.')
        && id != "index"
        && !id.contains(|c: char| c.is_ascii_uppercase())
    {
        return format!("{kept}.{extension}");
    }
    let digest = Sha256::digest(id);
    let tail = u32::from_be_bytes([digest[0], digest[1], digest[2], digest[3]]);
    format!("{}-{tail:08x}.{extension}", kept.trim_start_matches('.').to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn no_id_leads_out_of_the_folder_or_to_the_page_of_another() {
        let ids = ["../../etc/passwd", "a/b", "ab", "AB", "index", "..", ".", "a b", "ü", "a.html"];
        let names: BTreeSet<String> = ids.iter().map(|id| file_name(id, "html")).collect();
        assert_eq!(names.len(), ids.len(), "{names:?}");
        assert!(names.iter().all(|name| !name.contains('/') && !name.starts_with('.')));
        assert!(!names.contains("index.html"));
        assert_eq!(file_name("gha-18231-1", "html"), "gha-18231-1.html");
    }
}
