//! The watches: how many are where, what became of them, and how late they are judged.

use std::collections::BTreeMap;

use jiff::SignedDuration;
use prometheus::{HistogramVec, IntCounterVec, IntGaugeVec};

use super::Metrics;
use super::make::Maker;
use crate::engine::{Announced, Refused};
use crate::model::{ActFailure, Acted, Outcome, Verdict};
use crate::watch::{Stage, Watch};

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
const OUTCOMES: [Outcome; 7] = [
    Outcome::Passed,
    Outcome::RolledBack,
    Outcome::RollbackFailed,
    Outcome::Breached,
    Outcome::Superseded,
    Outcome::Cancelled,
    Outcome::Inconclusive,
];
const ATTEMPTS: [&str; 5] = ["accepted", "superseded", "refused", "failed", "unknown"];
/// From a tick that was judged at once to one that was made up for after an hour away.
const LAGS: [f64; 12] = [0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3600.0];

const NONE: &[&str] = &[];

impl Watching {
    pub fn made(make: &mut Maker) -> Result<Self, prometheus::Error> {
        let phases = "Open watches in service by the phase of their policies; no series: nobody \
                      is in it.";
        let rollbacks = "Watches that ended after the guard's own rollback, or without one that \
                         was due, by outcome.";
        let attempts = "Calls to the platform to roll back, by what came of them.";
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
        for outcome in OUTCOMES.map(Outcome::as_str) {
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
        in_phase.reset();
        for (phase, count) in phases {
            in_phase.with_label_values(&[phase]).set(count);
        }
    }

    /// A step has changed this watch.
    pub fn watch_moved(&self, watch: &Watch) {
        let Some(outcome) = watch.outcome() else { return };
        self.watching.ended.with_label_values(&[outcome.as_str()]).inc();
        if watch.rollback_accepted || outcome == Outcome::RollbackFailed {
            self.watching.rollbacks.with_label_values(&[outcome.as_str()]).inc();
        }
    }

    /// A sample is judged, and the verdict kept, so long after it was due.
    pub fn judged(&self, lag: SignedDuration) {
        // The clock may have been set back.
        self.watching.lag.with_label_values(NONE).observe(lag.as_secs_f64().max(0.0));
    }

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
