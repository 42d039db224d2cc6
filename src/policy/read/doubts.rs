//! What can be read and is hardly meant: told as warnings.

use std::collections::BTreeSet;

use jiff::civil::{Date, date};
use jiff::{SignedDuration, Timestamp};
use marked_yaml::types::MarkedMappingNode;
use marked_yaml::{Marker, Node};

use super::check::Limits;
use super::desk::Desk;
use super::raw::PolicyFile;
use super::report::Report;
use crate::policy::diagnostic::{Mistake, Weight};
use crate::policy::gate::Interval;
use crate::policy::{Check, Gauged, Measure, Policy, Unit};

/// What stands in a draft for a name that only its reader knows; in ids without the dash.
const LEFT: [&str; 2] = ["FILL-IN", "FILLIN"];
/// A year with a day more at both ends, for hours that come again.
const YEAR: (Date, Date) = (date(2025, 12, 31), date(2027, 1, 1));

pub(super) fn check(text: &PolicyFile, policy: &Policy, desk: &mut Desk) {
    for check in &policy.checks {
        windows(check, policy, desk);
        units(check, text, desk);
    }
    preferred(text, desk);
    let mut lines = BTreeSet::new();
    left(desk.tree, &mut lines, desk.report);
}

fn warn(marker: Marker, words: String, mend: &str, desk: &mut Desk) {
    desk.report.remark(Weight::Warning, marker, Mistake::new(words).mend(mend));
}

/// A value that looks back counts once half of its window lies after the grace: a phase
/// that is over by then has not measured it.
fn windows(check: &Check, policy: &Policy, desk: &mut Desk) {
    let Measure::Gauge { of: Gauged::Json(_) | Gauged::Logs(_) | Gauged::Query(_), .. } =
        check.measure
    else {
        return;
    };
    let Some(window) = check.window.filter(|_| check.looks_back()) else { return };
    let from = policy.grace + window / 2;
    let over = policy.phases.iter().filter(|phase| phase.until <= from);
    let over: Vec<String> = over.map(|phase| format!("`{}`", phase.name)).collect();
    let name = &check.name;
    let words = if !over.is_empty() {
        format!(
            "`{name}` counts from {from:#} on, when half of its window ({window:#}) lies after \
             the grace: nothing of it is measured by the end of {}",
            over.join(" and ")
        )
    } else if window >= policy.horizon() {
        format!("the window of `{name}` ({window:#}) is not shorter than the watch")
    } else {
        return;
    };
    let place = desk.key(&["checks", name, "window"]);
    warn(place, words, "give it a shorter `window`, such as `1m`, or the phase more time", desk);
}

/// A number of a JSON API is compared in base units: a share of 1, or seconds.
fn units(check: &Check, text: &PolicyFile, desk: &mut Desk) {
    let Measure::Gauge { of: Gauged::Json(value), unit } = &check.measure else { return };
    let path = value.path.to_lowercase();
    let says = |words: &[&str]| words.iter().any(|word| path.contains(word));
    let (is_said, taken, mend) = match unit {
        Unit::Ratio => (
            says(&["rate", "ratio", "share", "fraction", "usage", "util"]),
            "a share from 0 to 1",
            "write a number such as `> 20`, or take a field that is named as a share",
        ),
        Unit::Seconds => (
            says(&["sec", "time", "duration", "latency", "elapsed", "delay", "age", "lag"])
                && !says(&["milli", "_ms", "millis"]),
            "seconds",
            "write a number such as `> 20`, or take a field that is named as a time in seconds",
        ),
        Unit::Bytes | Unit::Number | Unit::Failures => return,
    };
    let Some(written) = text.checks.get(&check.name).filter(|_| !is_said) else { return };
    let Some((bound, marker)) = Limits::of(written).bounds().into_iter().next() else { return };
    let words = format!(
        "nothing says that the number at `{}` is {taken}: `{bound}` compares it with {}",
        value.path, bound.value
    );
    warn(marker, words, mend, desk);
}

/// A window that is preferred and to be avoided at the same time.
fn preferred(text: &PolicyFile, desk: &mut Desk) {
    let times = &text.gate.time_intervals;
    let spells = |one: &Interval| one.spells(YEAR.0, YEAR.1);
    let mut avoided: Vec<(Timestamp, Timestamp)> =
        times.avoid.iter().flatten().flat_map(|at| spells(&at.value)).collect();
    avoided.sort_unstable();
    for prefer in times.prefer.iter().flatten() {
        let preferred = spells(&prefer.value);
        if !preferred.is_empty() && preferred.iter().all(|spell| is_within(*spell, &avoided)) {
            let words = format!("`{}` lies wholly within `avoid`", prefer.value);
            let mend = "every moment of it is warned of: change one of the two";
            warn(prefer.marker, words, mend, desk);
        }
    }
}

/// Whether `spells`, in order of their beginnings, cover all of this one.
fn is_within((from, until): (Timestamp, Timestamp), spells: &[(Timestamp, Timestamp)]) -> bool {
    let mut covered = from;
    for (begins, ends) in spells {
        if *begins <= covered {
            covered = covered.max(*ends);
        }
    }
    covered >= until
}

/// Names that nobody has filled in, each line once.
fn left(tree: &MarkedMappingNode, lines: &mut BTreeSet<(usize, usize)>, report: &mut Report) {
    for value in tree.values() {
        left_in(value, lines, report);
    }
}

fn left_in(node: &Node, lines: &mut BTreeSet<(usize, usize)>, report: &mut Report) {
    match node {
        Node::Mapping(mapping) => left(mapping, lines, report),
        Node::Sequence(all) => all.iter().for_each(|one| left_in(one, lines, report)),
        Node::Scalar(scalar) => {
            let word = LEFT.iter().find(|word| scalar.as_str().contains(**word));
            let (Some(word), Some(marker)) = (word, scalar.span().start().copied()) else { return };
            if lines.insert((marker.source(), marker.line())) {
                let mistake = Mistake::new(format!("`{word}` has not been filled in"));
                report.remark(Weight::Warning, marker, mistake.mend("write your own name or id"));
            }
        }
    }
}

/// Runs of a schedule that are looked at.
const RUNS: usize = 100;
/// Before a leap day: what comes at all comes within four years of it.
const FROM: &str = "2024-01-01T00:00:00Z";

/// How a schedule comes again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rhythm {
    Never,
    /// The shortest time between two runs; `None`: they are years apart.
    Comes(Option<SignedDuration>),
}

/// Of a schedule in cron's words with its zone; `None`: it is none.
pub(super) fn rhythm(schedule: &str) -> Option<Rhythm> {
    let runs = cronexpr::parse_crontab(schedule).ok()?.iter_after(FROM).ok()?;
    let runs: Vec<Timestamp> =
        runs.take(RUNS).map_while(Result::ok).map(|run| run.timestamp()).collect();
    if runs.is_empty() {
        return Some(Rhythm::Never);
    }
    let gaps = runs.windows(2).map(|pair| pair[1].duration_since(pair[0]));
    Some(Rhythm::Comes(gaps.min()))
}
