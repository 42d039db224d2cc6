//! What was decided about a breach, kept for whoever asks later: a digest, above all.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Watch;
use super::decide::{Decision, Standpoint, decide};
use crate::model::{Mode, Severity, Verdict};

/// Decisions of one watch that are kept; a flapping one must not grow for ever.
const MOST: usize = 20;

/// A decision about a breach, or what it would have been in mode auto.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Decided {
    pub at: Timestamp,
    pub severity: Severity,
    pub answer: Answer,
    /// The mode is observe: nothing was done, and in mode auto this would have been.
    pub would: bool,
    /// Why the answer is less than the policy's own action; `None` where it isn't.
    pub because: Option<String>,
    pub checks: Vec<DecidedCheck>,
}

/// What was measured of a check in breach.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DecidedCheck {
    pub check: String,
    /// As people write it.
    pub value: Option<String>,
    pub limit: Option<String>,
    pub reason: String,
}

/// What follows from a breach; ordered, the gravest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    RollBack,
    Ask,
    /// A rollback is due and is not to be had: people are paged.
    Page,
    Note,
    /// It is not this deployment's doing.
    NotOurs,
}

impl Watch {
    /// Keeps a decision, unless it is the one that was made last. Where the mode only
    /// observes, what mode auto would have decided is kept: an answer that needs a
    /// person in mode auto is no rollback.
    /// Whether it was kept.
    pub(super) fn record(
        &mut self,
        decision: &Decision,
        severity: Severity,
        now: Timestamp,
    ) -> bool {
        let would = matches!(decision, Decision::Would);
        let (answer, because) = if would {
            let auto = Standpoint { ceiling: Mode::Auto, ..self.standpoint(severity, now) };
            answer(&decide(self.policy(), &auto))
        } else {
            answer(decision)
        };
        let known =
            |last: &Decided| (last.answer, last.would, last.severity) == (answer, would, severity);
        if self.decided.last().is_some_and(known) {
            return false;
        }
        // How it began and what came last are worth more than a flapping middle.
        if self.decided.len() >= MOST {
            self.decided.remove(MOST / 2);
        }
        let checks = self.checks_in_breach();
        self.decided.push(Decided { at: now, severity, answer, would, because, checks });
        true
    }

    fn checks_in_breach(&self) -> Vec<DecidedCheck> {
        let in_breach = |check: &crate::policy::Check| {
            let last = self.checks.get(&check.name)?.last.as_ref()?;
            (last.verdict == Verdict::Breach).then(|| DecidedCheck {
                check: check.name.clone(),
                value: last.value.map(|value| check.show(value)),
                limit: last.limit.clone(),
                reason: last.reason.clone(),
            })
        };
        self.policy().checks.iter().filter_map(in_breach).collect()
    }
}

fn answer(decision: &Decision) -> (Answer, Option<String>) {
    match decision {
        Decision::RollBack => (Answer::RollBack, None),
        // In mode auto there is none.
        Decision::Would => (Answer::Ask, None),
        Decision::Ask { because, .. } => (Answer::Ask, Some(because.clone())),
        Decision::Page(because) => (Answer::Page, Some(because.clone())),
        Decision::Notify => (Answer::Note, None),
        Decision::NotOurs(because) => (Answer::NotOurs, Some(because.clone())),
    }
}
