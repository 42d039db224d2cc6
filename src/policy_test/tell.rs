//! What tests came to, in words: a failure with what was expected, what was got, and
//! what was measured and said around it.

use std::fmt::Write;

use jiff::{SignedDuration, Timestamp};

use super::expect::{Expect, Miss, in_words};
use super::read::Test;
use super::run::{Outcome, What};
use crate::judge::Judgement;
use crate::policy::{Check, Measure, Unit};
use crate::rehearsal::Report;

/// Whether the reader is a terminal that shows colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Paint {
    Plain,
    Colours,
}

impl Paint {
    fn wrap(self, code: &str, text: &str) -> String {
        match self {
            Self::Plain => text.to_owned(),
            Self::Colours => format!("\u{1b}[{code}m{text}\u{1b}[0m"),
        }
    }

    fn good(self, text: &str) -> String {
        self.wrap("32", text)
    }

    fn bad(self, text: &str) -> String {
        self.wrap("31", text)
    }

    fn faint(self, text: &str) -> String {
        self.wrap("2", text)
    }
}

/// Changes of a verdict that are shown.
const MOST_CHANGES: usize = 8;
/// Messages around a failure that are shown.
const MOST_SAID: usize = 6;

/// One test with its failures, in lines. `file` is shown in front of places.
pub fn told(file: &str, test: &Test, outcome: &Outcome, paint: Paint) -> String {
    let mut text = String::new();
    if outcome.failures.is_empty() {
        let _ = writeln!(text, "  {}  {}", paint.good("ok  "), test.name);
        return text;
    }
    let _ = writeln!(text, "  {}  {}", paint.bad("FAIL"), test.name);
    for failure in &outcome.failures {
        let (line, column) = failure.place;
        let _ = write!(text, "    {file}:{line}:{column}: ");
        match &failure.what {
            What::Unasked(name) => {
                let _ = writeln!(text, "no check asks for `{name}`");
            }
            What::Refused(why) => {
                let _ = writeln!(text, "what was pressed was not taken: {why}");
            }
            What::NoWatch(why) => {
                let _ = writeln!(text, "no watch began: {why}");
            }
            What::Missed { expect, misses } => {
                missed(&mut text, test, expect, misses, paint);
                if let Some(report) = &outcome.report {
                    evidence(&mut text, test, expect, misses, report, paint);
                }
            }
        }
    }
    text
}

fn missed(text: &mut String, test: &Test, expect: &Expect, misses: &[Miss], paint: Paint) {
    let at = misses.first().map_or(test.start, |miss| miss.at);
    let of = expect.check.as_deref().map(|check| format!(": {check}")).unwrap_or_default();
    let _ = writeln!(text, "{}{of}", moment(test, at));
    let wanted: Vec<&str> = misses.iter().map(|miss| miss.wanted.as_str()).collect();
    let mut got: Vec<&str> = misses.iter().map(|miss| miss.got.as_str()).collect();
    got.dedup();
    let _ = writeln!(text, "      {}", paint.good(&format!("expected  {}", wanted.join(", "))));
    let _ = writeln!(text, "      {}", paint.bad(&format!("got       {}", got.join("; "))));
}

/// `12:05:00 UTC, 5m after the deployment`.
fn moment(test: &Test, at: Timestamp) -> String {
    let since = at.duration_since(test.scene.deployment.started_at);
    let side = if since.is_negative() { "before" } else { "after" };
    let clock = at.strftime("%a %H:%M:%S UTC");
    format!("{clock}, {:#} {side} the deployment", since.abs())
}

fn evidence(
    text: &mut String,
    test: &Test,
    expect: &Expect,
    misses: &[Miss],
    report: &Report,
    paint: Paint,
) {
    let at = misses.first().map_or(test.start, |miss| miss.at);
    let mut lines = Vec::new();
    let policy = &test.scene.pinned.policy;
    let checks = policy.checks.iter();
    for check in checks.filter(|one| expect.check.as_ref().is_none_or(|name| *name == one.name)) {
        match report.judgement(&check.name, at) {
            Some(judgement) => lines.extend(judged(check, judgement)),
            None => lines.push(format!("{}: not judged by then", check.name)),
        }
        let state = report.watch.checks.get(&check.name).filter(|_| expect.check.is_some());
        lines.extend(state.into_iter().flat_map(|state| {
            state.baselines.iter().map(|(against, baseline)| {
                format!("baseline {}: {}", against.in_words(), of_baseline(check, baseline))
            })
        }));
        if expect.check.is_some() {
            lines.push(format!("verdicts: {}", course(test, report, &check.name)));
        }
    }
    let shown = expect.check.is_none() || !report.acts.is_empty();
    let said: Vec<_> = report.replies().filter(|_| shown).collect();
    let near = said.iter().rposition(|(when, _)| *when <= at).map_or(0, |last| last + 1);
    let first = near.saturating_sub(MOST_SAID / 2);
    for (when, reply) in said.iter().skip(first).take(MOST_SAID) {
        lines.push(format!("said {}: {}", offset(test, *when), reply.headline));
    }
    for line in lines {
        let _ = writeln!(text, "      {}", paint.faint(&line));
    }
}

/// A judgement in words and numbers.
fn judged(check: &Check, judgement: &Judgement) -> Vec<String> {
    let shown = |value: f64| check.show(value);
    let clock = |at: &Timestamp| at.strftime("%H:%M:%S").to_string();
    let mut first = format!(
        "{} at {}: {} ({})",
        check.name,
        clock(&judgement.at),
        in_words(judgement),
        judgement.reason
    );
    if let Some(value) = judgement.value {
        let _ = write!(first, "; value {}", shown(value));
    }
    if let Some(traffic) = judgement.traffic {
        let _ = write!(first, " of {traffic:.0} events in the window");
    }
    let limits: Vec<String> =
        check.breach.iter().map(|(severity, limit)| format!("{severity} {limit}")).collect();
    let normal = check.normal.map(|normal| format!("normal {normal}"));
    let mut lines = vec![first];
    let bounds: Vec<String> = normal.into_iter().chain(limits).collect();
    if !bounds.is_empty() {
        lines.push(format!("limits: {}", bounds.join(", ")));
    }
    if let Some(weight) = &judgement.weight {
        let since = weight.since.as_ref().map(|at| format!(", since {}", clock(at)));
        lines.push(format!(
            "evidence: ln E {:.1} of {:.1} needed, against {}{}",
            weight.ln_e,
            weight.needed,
            null(check, weight.null),
            since.unwrap_or_default()
        ));
    }
    lines
}

/// What would still be "nothing changed": of events the share of bad ones.
fn null(check: &Check, null: f64) -> String {
    match &check.measure {
        Measure::Ratio { .. } => format!("{} bad", Unit::Ratio.show(null)),
        Measure::Latency { .. } => format!("{} slow", Unit::Ratio.show(null)),
        Measure::Gauge { .. } | Measure::Status { .. } => check.show(null),
    }
}

fn of_baseline(check: &Check, baseline: &crate::judge::Baseline) -> String {
    use crate::judge::Baseline;
    match baseline {
        Baseline::Pending => "not measured".to_owned(),
        Baseline::Missing { because } => format!("none ({because})"),
        Baseline::Measured(reference) => {
            let value = check.show(reference.value);
            let began = reference.began.map(|at| format!(", worse since {}", at.strftime("%H:%M")));
            format!("{value} of {} samples{}", reference.samples, began.unwrap_or_default())
        }
    }
}

/// How the verdict changed: `healthy from +15s, elevated from +4m`.
fn course(test: &Test, report: &Report, check: &str) -> String {
    let mut course: Vec<String> = Vec::new();
    let mut last = None;
    for judgement in report.judged.get(check).into_iter().flatten() {
        let words = in_words(judgement);
        if last.as_ref() != Some(&words) {
            course.push(format!("{words} from {}", offset(test, judgement.at)));
            last = Some(words);
        }
    }
    let more = course.len().saturating_sub(MOST_CHANGES);
    course.truncate(MOST_CHANGES);
    let more = if more > 0 { format!(", and {more} more changes") } else { String::new() };
    course.join(", ") + &more
}

/// `+5m`, from the deployment.
fn offset(test: &Test, at: Timestamp) -> String {
    let since: SignedDuration = at.duration_since(test.scene.deployment.started_at);
    if since.is_negative() { format!("{since:#}") } else { format!("+{since:#}") }
}
