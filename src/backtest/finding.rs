//! What the policy would have done about a deployment.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::deployments::Past;
use crate::model::{Outcome, Severity, Verdict};
use crate::rehearsal::{Act, Breach, Deed, Report};
use crate::watch::Stage;

/// A deployment with what would have become of it. The first eight fields are a
/// contract: others may follow, none may go.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Finding {
    pub id: String,
    pub outcome: Outcome,
    /// The first breach, whoever's doing it is.
    pub first_breach_at: Option<Timestamp>,
    /// When a rollback would have been called; where none would, when people would have
    /// been asked about one.
    pub acted_at: Option<Timestamp>,
    /// Of the breach that was acted on, or else of the first one.
    pub check: Option<String>,
    /// In the base unit: a ratio 0-1, seconds, bytes.
    pub value: Option<f64>,
    /// As the policy writes it.
    pub limit: Option<String>,
    pub reason: String,
    /// The gravest thing done.
    pub action: Action,
    /// When people would first have been asked.
    pub asked_at: Option<Timestamp>,
    pub severity: Option<Severity>,
    /// Whose doing the breach is, in words.
    pub blame: Option<String>,
    pub service: String,
    pub environment: String,
    pub version: Option<String>,
    pub at: Timestamp,
    /// When it would have been watched no longer.
    pub ended_at: Timestamp,
    pub bad_from: Option<Timestamp>,
    /// `None` where the truth is not known.
    pub truth: Option<Truth>,
    /// Whether the first breach was put down to something else.
    pub first_breach_excused: bool,
    /// When people would first have been told, where nothing more was done.
    pub told_at: Option<Timestamp>,
    /// Checks that never had data, and why.
    pub no_data: BTreeMap<String, String>,
    /// Checks of a share that measured not one bad event, before it or since: as good as
    /// can be, or a query that finds nothing.
    pub nothing_bad: BTreeSet<String>,
}

/// What a finding rests on beside the rehearsal.
#[derive(Debug, Clone)]
pub(super) struct Source<'a> {
    /// How many measurements could not be had, and why.
    pub lost: Option<(usize, &'a str)>,
    pub nothing_bad: BTreeSet<String>,
    /// What is recorded ends here.
    pub now: Timestamp,
}

/// Kinds of action, from the mildest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    None,
    /// People are told, or paged.
    Notify,
    Ask,
    Rollback,
}

/// Whether what was done was right. Done is a rollback or a question about one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Truth {
    TruePositive,
    /// It was healthy, or still was when something was done.
    FalsePositive,
    TrueNegative,
    FalseNegative,
    /// It went bad when it was no longer watched: nobody could have told.
    TooLate,
}

/// Checks without data that a reason names.
const MOST_TOLD: usize = 3;

impl Action {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Notify => "notify",
            Self::Ask => "ask",
            Self::Rollback => "rollback",
        }
    }

    fn of(act: &Act) -> Self {
        match act.deed {
            Deed::RollBack => Self::Rollback,
            Deed::Ask => Self::Ask,
            Deed::WouldRollBack | Deed::WouldAsk | Deed::Page | Deed::Notify | Deed::Excuse => {
                Self::Notify
            }
        }
    }
}

impl Truth {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::TruePositive => "true positive",
            Self::FalsePositive => "false positive",
            Self::TrueNegative => "true negative",
            Self::FalseNegative => "false negative",
            Self::TooLate => "bad too late",
        }
    }
}

impl Finding {
    /// Reads it off a rehearsal.
    pub(super) fn of(past: &Past, report: &Report, source: Source<'_>) -> Self {
        let first = |wanted: Action| {
            report.acts.iter().find(|act| Action::of(act) == wanted).map(|act| act.at)
        };
        let action = report.acts.iter().map(Action::of).max().unwrap_or(Action::None);
        let (rolled_at, asked_at) = (first(Action::Rollback), first(Action::Ask));
        let breach = match action {
            Action::Rollback => report.breach_at_end().or_else(|| report.acted_on.clone()),
            Action::Ask => report.acted_on.clone(),
            Action::None | Action::Notify => None,
        };
        let breach = breach.or_else(|| report.first_breach.clone());
        let breach = breach.or_else(|| report.first_excused.clone());
        let found = breach.as_ref().map(in_words).unwrap_or_default();
        let acts = report.acts.iter().filter(|act| Action::of(act) == action);
        let done = acts.min_by_key(|act| act.deed).and_then(Act::why_no_more);
        let done = done.filter(|why| breach.is_some() && !found.contains(why.as_str()));
        let found = join([found, done.unwrap_or_default()]);
        let (outcome, reason) = came_to(past, report, action, found, &source);
        let first_breach = report.first_breach.iter().chain(&report.first_excused);
        let first_breach = first_breach.min_by_key(|breach| breach.judgement.at);
        let ended_at = match &report.watch.stage {
            Stage::Ended { at, .. } => *at,
            Stage::Announced { .. } | Stage::Starting | Stage::Watching | Stage::RollingBack(_) => {
                rolled_at.or(report.watch.last_tick).unwrap_or(past.at)
            }
        };
        let excused = report.watch.incident.as_ref().and_then(|one| one.excused.clone());
        let mut finding = Self {
            id: past.id.clone(),
            outcome,
            first_breach_at: first_breach.map(|breach| breach.judgement.at),
            acted_at: rolled_at.or(asked_at),
            check: breach.as_ref().map(|breach| breach.check.clone()),
            value: breach.as_ref().and_then(|breach| breach.judgement.value),
            limit: breach.as_ref().and_then(|breach| breach.judgement.limit.clone()),
            reason,
            action,
            asked_at,
            severity: breach.as_ref().and_then(|breach| breach.judgement.severity),
            blame: breach.map_or(excused, |breach| {
                Some(breach.excused.unwrap_or_else(|| "the deployment".to_owned()))
            }),
            service: past.service.clone(),
            environment: past.environment.clone(),
            version: past.labels.get("version").cloned(),
            at: past.at,
            ended_at,
            bad_from: past.bad_from.flatten(),
            truth: None,
            first_breach_excused: first_breach.is_some_and(|breach| breach.excused.is_some()),
            told_at: first(Action::Notify).filter(|_| action == Action::Notify),
            no_data: no_data(report),
            nothing_bad: source.nothing_bad,
        };
        finding.truth = past.bad_from.map(|bad_from| finding.truth(bad_from));
        finding
    }

    /// When the gravest thing was done, if only that people were told.
    pub(super) fn done_at(&self) -> Option<Timestamp> {
        self.acted_at.or(self.told_at)
    }

    /// The first moment at which something was done: a rollback, or a question.
    pub fn first_acted_at(&self) -> Option<Timestamp> {
        self.asked_at.into_iter().chain(self.acted_at).min()
    }

    fn truth(&self, bad_from: Option<Timestamp>) -> Truth {
        match (bad_from, self.first_acted_at()) {
            (None, Some(_)) => Truth::FalsePositive,
            (None, None) => Truth::TrueNegative,
            (Some(bad_from), Some(at)) if at < bad_from => Truth::FalsePositive,
            (Some(_), Some(_)) => Truth::TruePositive,
            (Some(bad_from), None) if bad_from >= self.ended_at => Truth::TooLate,
            (Some(_), None) => Truth::FalseNegative,
        }
    }
}

/// The outcome, and why in words.
fn came_to(
    past: &Past,
    report: &Report,
    action: Action,
    found: String,
    source: &Source<'_>,
) -> (Outcome, String) {
    if action == Action::Rollback {
        return (Outcome::RolledBack, found);
    }
    if let Some((ticks, why)) = source.lost {
        let ticks = format!("{ticks} measurements could not be had ({why})");
        return (Outcome::Inconclusive, join([ticks, found]));
    }
    match &report.watch.stage {
        Stage::Ended { outcome: Outcome::Inconclusive, because, .. } => {
            (Outcome::Inconclusive, join([because.clone(), found, missing(report)]))
        }
        Stage::Ended { outcome: outcome @ Outcome::Passed, because, .. } => {
            let passing = if found.is_empty() { found } else { format!("{found}, and it passed") };
            (*outcome, join([because.clone(), passing, never(report)]))
        }
        Stage::Ended { outcome, because, .. } => {
            let why = if found.is_empty() { because.clone() } else { found };
            (*outcome, join([why, never(report)]))
        }
        Stage::Announced { .. } | Stage::Starting | Stage::Watching | Stage::RollingBack(_)
            if report.watch.has_open_incident() =>
        {
            (Outcome::Breached, join([found, never(report)]))
        }
        Stage::Announced { .. } | Stage::Starting | Stage::Watching | Stage::RollingBack(_) => {
            let so_far = if past.at > source.now {
                format!("it lies in the future: nothing is recorded after {:.0}", source.now)
            } else {
                "the watch is not over yet".to_owned()
            };
            (Outcome::Inconclusive, join([so_far, found, never(report)]))
        }
    }
}

/// The breach, and whose doing it is instead.
fn in_words(breach: &Breach) -> String {
    let found = format!("{}: {}", breach.check, breach.judgement.reason);
    match &breach.excused {
        Some(excuse) if !found.contains(excuse.as_str()) => format!("{found}; {excuse}"),
        Some(_) | None => found,
    }
}

/// The checks that were asked about and never answered, with what they said last.
fn no_data(report: &Report) -> BTreeMap<String, String> {
    let silent = report.watch.checks.iter().filter_map(|(name, state)| {
        let last = state.last.as_ref().filter(|last| last.verdict == Verdict::NoData)?;
        (state.answered == 0).then(|| (name.clone(), last.reason.clone()))
    });
    silent.collect()
}

/// The same in words.
fn never(report: &Report) -> String {
    let said = no_data(report).into_iter().take(MOST_TOLD);
    let said = said.map(|(name, why)| format!("{name} never had data: {why}"));
    said.collect::<Vec<_>>().join("; ")
}

/// What the checks that measure nothing say of it.
fn missing(report: &Report) -> String {
    let checks = report.watch.checks.iter();
    let said = checks.filter_map(|(name, state)| {
        let last = state.last.as_ref().filter(|last| !last.verdict.is_measured())?;
        Some(format!("{name}: {}", last.reason))
    });
    said.take(MOST_TOLD).collect::<Vec<_>>().join("; ")
}

fn join<const N: usize>(parts: [String; N]) -> String {
    parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("; ")
}
