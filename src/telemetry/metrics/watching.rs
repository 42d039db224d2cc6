//! The watches: how many are where, what became of them, and how late they are judged.

use std::collections::BTreeMap;

use jiff::SignedDuration;
use prometheus::{HistogramVec, IntCounterVec, IntGaugeVec};

use super::Metrics;
use super::make::Maker;
use crate::engine::{Announced, Refused};
use crate::model::{ActFailure, Acted, Outcome, Verdict};
use crate::watch::{Actor, Stage, Watch};

pub(super) struct Watching {
    watches: IntGaugeVec,
    phases: IntGaugeVec,
    verdicts: IntGaugeVec,
    ended: IntCounterVec,
    rollbacks: IntCounterVec,
    attempts: IntCounterVec,
    announcements: IntCounterVec,
    lag: HistogramVec,
}

/// The stages of a watch that are shown apart.
const STAGES: [&str; 4] = ["announced", "starting", "watching", "rolling_back"];
const VERDICTS: [&str; 6] = ["none", "no_data", "low_traffic", "healthy", "elevated", "breach"];
const ATTEMPTS: [&str; 6] = ["accepted", "braked", "superseded", "refused", "failed", "unknown"];
/// From a tick that was judged at once to one that was made up for after an hour away.
const LAGS: [f64; 12] = [0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3600.0];

const NONE: &[&str] = &[];

impl Watching {
    pub fn made(make: &mut Maker) -> Result<Self, prometheus::Error> {
        let phases = "Open watches in service by the phase of their policies; no series: nobody \
                      is in it.";
        let rollbacks = "Rollbacks of the guard's own: `rollback_failed` at once, any other as \
                         the outcome of its watch.";
        let attempts = "Tries to roll back, by what came of the call to the platform; `braked`: \
                        none was made.";
        let announcements = "Announced deployments by what became of them.";
        let lag = "Time from when a sample was due, `query_offset` left out, until its verdict \
                   was kept.";
        let watching = Self {
            watches: make.gauges("watches", "Open watches by stage.", &["stage"])?,
            phases: make.gauges("watches_in_phase", phases, &["phase"])?,
            verdicts: make.gauges("checks", "Checks of open watches by verdict.", &["verdict"])?,
            ended: make.counters(
                "watches_ended_total",
                "Ended watches by outcome.",
                &["outcome"],
            )?,
            rollbacks: make.counters("rollbacks_total", rollbacks, &["outcome"])?,
            attempts: make.counters("rollback_attempts_total", attempts, &["result"])?,
            announcements: make.counters("announcements_total", announcements, &["result"])?,
            lag: make.histograms("tick_lag_seconds", lag, NONE, &LAGS)?,
        };
        for outcome in Outcome::ALL.map(Outcome::as_str) {
            watching.ended.with_label_values(&[outcome]).inc_by(0);
            // After a rollback nothing passes.
            if outcome != Outcome::Passed.as_str() {
                watching.rollbacks.with_label_values(&[outcome]).inc_by(0);
            }
        }
        for result in ATTEMPTS {
            watching.attempts.with_label_values(&[result]).inc_by(0);
        }
        for result in ["watched", "unguarded", "refused"] {
            watching.announcements.with_label_values(&[result]).inc_by(0);
        }
        let _ = watching.lag.with_label_values(NONE);
        Ok(watching)
    }
}

impl Metrics {
    /// All open watches, as they stand now.
    pub fn watches<'a>(&self, open: impl Iterator<Item = &'a Watch>) {
        let mut stages = [0_i64; STAGES.len()];
        let mut verdicts = [0_i64; VERDICTS.len()];
        let mut phases: BTreeMap<&str, i64> = BTreeMap::new();
        for watch in open {
            let stage = match &watch.stage {
                Stage::Announced { .. } => 0,
                Stage::Starting => 1,
                Stage::Watching => 2,
                Stage::RollingBack(_) => 3,
                Stage::Ended { .. } => continue,
            };
            stages[stage] += 1;
            if watch.in_service_at.is_some() {
                *phases.entry(watch.phase_name()).or_default() += 1;
            }
            for state in watch.checks.values() {
                let said = state.verdict().map_or("none", Verdict::as_str);
                if let Some(index) = VERDICTS.iter().position(|verdict| *verdict == said) {
                    verdicts[index] += 1;
                }
            }
        }
        let Watching { watches, verdicts: checks, phases: in_phase, .. } = &self.watching;
        for (stage, count) in STAGES.iter().zip(stages) {
            watches.with_label_values(&[stage]).set(count);
        }
        for (verdict, count) in VERDICTS.iter().zip(verdicts) {
            checks.with_label_values(&[verdict]).set(count);
        }
        let _still = self.still();
        in_phase.reset();
        for (phase, count) in phases {
            in_phase.with_label_values(&[phase]).set(count);
        }
    }

    /// A step has brought this watch from `before` to `after`; `None`: it began in the step.
    pub fn watch_moved(&self, before: Option<&Watch>, after: &Watch) {
        let rollback = |outcome: Outcome| {
            self.watching.rollbacks.with_label_values(&[outcome.as_str()]).inc();
        };
        let is_spent = |watch: &Watch| watch.rollback_spent.is_some();
        // The watch goes on, and may well end otherwise.
        if is_spent(after) && !before.is_some_and(is_spent) && is_own(before, after) {
            rollback(Outcome::RollbackFailed);
        }
        let Some(outcome) = after.outcome() else { return };
        self.watching.ended.with_label_values(&[outcome.as_str()]).inc();
        // One that failed is counted already.
        if after.rollback_accepted && !is_spent(after) {
            rollback(outcome);
        }
    }

    /// A sample is judged, and the verdict kept, so long after it was due.
    pub fn judged(&self, lag: SignedDuration) {
        // The clock may have been set back.
        self.watching.lag.with_label_values(NONE).observe(lag.as_secs_f64().max(0.0));
    }

    /// A rollback that nothing was called for: `why`.
    pub fn not_permitted(&self, why: &ActFailure) {
        // One that was stopped is no try.
        if matches!(why, ActFailure::Refused(_)) {
            self.watching.attempts.with_label_values(&["braked"]).inc();
        }
    }

    /// The platform's answer to a call.
    pub fn acted(&self, result: &Result<Acted, ActFailure>) {
        let result = match result.as_ref().map_err(ActFailure::itself) {
            Ok(_) => "accepted",
            Err(ActFailure::Superseded(_)) => "superseded",
            Err(ActFailure::Refused(_)) => "refused",
            Err(ActFailure::Permanent(_) | ActFailure::Maintained { .. }) => "failed",
            Err(ActFailure::Transient(_)) => "unknown",
            // No call is no attempt.
            Err(ActFailure::Stopped(_)) => return,
        };
        self.watching.attempts.with_label_values(&[result]).inc();
    }

    pub fn announced(&self, result: &Result<Announced, Refused>) {
        let result = match result {
            Ok(Announced::Watched(_)) => "watched",
            Ok(Announced::Unguarded { .. }) => "unguarded",
            Err(_) => "refused",
        };
        self.watching.announcements.with_label_values(&[result]).inc();
    }
}

/// Whether the rollback that has failed was the guard's or a person's. The platform's own is
/// never accepted, because nobody asks for it.
fn is_own(before: Option<&Watch>, after: &Watch) -> bool {
    let is_ours =
        |stage: &Stage| matches!(stage, Stage::RollingBack(run) if run.by != Actor::Platform);
    after.rollback_accepted || before.is_some_and(|before| is_ours(&before.stage))
}
