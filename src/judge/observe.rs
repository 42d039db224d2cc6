//! One reading at a time: limits with `for`, normal range, baseline.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::baseline::{traffic_of, value_of};
use super::{Baseline, Streak};
use crate::model::{Measurement, Reading, Severity, Verdict};
use crate::policy::{Check, Measure};

/// Bad events in a window below which a ratio is no breach: one unlucky
/// request is never a reason to roll back.
const LEAST_BAD_EVENTS: f64 = 3.0;

/// All that is remembered of a check between two readings.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct CheckState {
    pub baseline: Baseline,
    /// For each severity, since when its limit has been exceeded.
    exceeded: BTreeMap<Severity, Streak>,
    /// Since when the check has been worse than its baseline.
    worse: Option<Streak>,
    /// The latest judgement; `None` before the first reading.
    pub last: Option<Judgement>,
    /// Since when the verdict has been one that measures nothing.
    pub unmeasured_since: Option<Timestamp>,
    /// Since when the check has been inside normal, or no worse than its baseline.
    pub back_since: Option<Timestamp>,
    /// Readings that counted as evidence, and those of them that measured.
    pub due: u32,
    pub measured: u32,
}

/// What a check said at a time, with everything needed to explain it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Judgement {
    pub at: Timestamp,
    pub verdict: Verdict,
    /// Of the breach; `None` without one.
    pub severity: Option<Severity>,
    /// In the check's unit; `None` when nothing was measured.
    pub value: Option<f64>,
    /// Events in the window; `None` for gauges.
    pub traffic: Option<f64>,
    /// The limit that is exceeded, as the policy writes it.
    pub limit: Option<String>,
    /// Inside normal, or no worse than the baseline: what recovery asks for.
    pub back_to_normal: bool,
    /// In words.
    pub reason: String,
}

impl CheckState {
    pub fn new(check: &Check) -> Self {
        let baseline =
            if check.baseline.is_some() { Baseline::Pending } else { Baseline::NotAsked };
        Self { baseline, ..Self::default() }
    }

    /// Takes one reading in. `counts`: whether it is evidence, or falls into
    /// the grace and is only shown (then it is never a breach).
    pub fn observe(
        &mut self,
        check: &Check,
        at: Timestamp,
        reading: &Reading,
        counts: bool,
    ) -> &Judgement {
        let judgement = match measured(check, &self.baseline, reading) {
            Ok(measured) => self.judge(check, at, &measured, counts),
            Err((verdict, traffic, reason)) => {
                self.forget_streaks();
                Judgement {
                    at,
                    verdict,
                    severity: None,
                    value: None,
                    traffic,
                    limit: None,
                    back_to_normal: false,
                    reason,
                }
            }
        };
        if counts {
            self.due = self.due.saturating_add(1);
            if judgement.verdict.is_measured() {
                self.measured = self.measured.saturating_add(1);
            }
        }
        self.unmeasured_since = match (judgement.verdict.is_measured(), self.unmeasured_since) {
            (true, _) => None,
            (false, since) => since.or(Some(at)),
        };
        self.back_since = judgement.back_to_normal.then(|| self.back_since.unwrap_or(at));
        self.last.insert(judgement)
    }

    /// Forgets how long limits have been exceeded: after a gap, in data or in
    /// the guard's own life, only fresh samples may make a breach.
    pub fn forget_streaks(&mut self) {
        self.exceeded.clear();
        self.worse = None;
    }

    /// Counts samples that were due and never taken.
    pub fn missed(&mut self, samples: u32) {
        self.due = self.due.saturating_add(samples);
    }

    pub fn verdict(&self) -> Option<Verdict> {
        self.last.as_ref().map(|judgement| judgement.verdict)
    }

    /// The share (0-1) of the due readings that measured something; 1 before
    /// the first.
    pub fn coverage(&self) -> f64 {
        if self.due == 0 { 1.0 } else { f64::from(self.measured) / f64::from(self.due) }
    }

    fn judge(
        &mut self,
        check: &Check,
        at: Timestamp,
        measured: &Measured,
        counts: bool,
    ) -> Judgement {
        let value = measured.value;
        let outside = check.normal.is_some_and(|normal| !normal.contains(value));
        let worse = self.baseline.is_worse(check, value);
        let damning = counts && !measured.too_few_bad;
        let breach = self.breach(check, at, value, damning);
        let against_baseline = self.baseline_breach(
            check,
            at,
            damning && worse == Some(true) && (outside || check.normal.is_none()),
        );
        let exceeds = check.breach.values().any(|limit| limit.bound.contains(value));
        let unit = check.unit();
        let (severity, limit) = match (breach, against_baseline) {
            (Some((severity, limit)), Some(other)) => (Some(severity.min(other)), Some(limit)),
            (Some((severity, limit)), None) => (Some(severity), Some(limit)),
            (None, Some(severity)) => (Some(severity), self.baseline_limit(check)),
            (None, None) => (None, None),
        };
        let verdict = match severity {
            Some(_) => Verdict::Breach,
            None if outside || exceeds => Verdict::Elevated,
            None => Verdict::Healthy,
        };
        let shown = unit.show(value);
        let of = measured.of.as_deref().map(|series| format!(" ({series})")).unwrap_or_default();
        let reason = match (verdict, &limit) {
            (Verdict::Breach, Some(limit)) => format!("{shown}{of}, limit {limit}"),
            (Verdict::Elevated, _) if exceeds && measured.too_few_bad => {
                format!("{shown}{of}: too few bad events for a breach")
            }
            (Verdict::Elevated, _) if exceeds => {
                format!("{shown}{of}: over a limit, not for long enough yet")
            }
            (Verdict::Elevated, _) => format!("{shown}{of}: outside normal"),
            (Verdict::Breach, None)
            | (Verdict::Healthy | Verdict::LowTraffic | Verdict::NoData, _) => {
                format!("{shown}{of}")
            }
        };
        Judgement {
            at,
            verdict,
            severity,
            value: Some(value),
            traffic: measured.traffic,
            limit,
            back_to_normal: !exceeds
                && if check.normal.is_some() {
                    !outside || worse == Some(false)
                } else {
                    worse != Some(true)
                },
            reason,
        }
    }

    /// The worst severity whose limit has been exceeded for long enough.
    fn breach(
        &mut self,
        check: &Check,
        at: Timestamp,
        value: f64,
        damning: bool,
    ) -> Option<(Severity, String)> {
        let mut worst = None;
        for (severity, limit) in &check.breach {
            let before = self.exceeded.remove(severity);
            let streak = Streak::after(before, at, damning && limit.bound.contains(value));
            if let Some(streak) = streak {
                self.exceeded.insert(*severity, streak);
                if worst.is_none() && streak.lasted(at, limit.hold) {
                    worst = Some((*severity, limit.to_string()));
                }
            }
        }
        worst
    }

    fn baseline_breach(&mut self, check: &Check, at: Timestamp, worse: bool) -> Option<Severity> {
        self.worse = Streak::after(self.worse, at, worse);
        let rule = check.baseline.as_ref()?;
        self.worse.is_some_and(|streak| streak.lasted(at, None)).then_some(rule.severity)
    }

    fn baseline_limit(&self, check: &Check) -> Option<String> {
        let rule = check.baseline.as_ref()?;
        let before = check.unit().show(self.baseline.value()?);
        Some(format!("{}x worse than before the deployment ({before})", rule.worse_by))
    }
}

/// A reading that is worth judging.
struct Measured {
    value: f64,
    traffic: Option<f64>,
    of: Option<String>,
    too_few_bad: bool,
}

fn measured(
    check: &Check,
    baseline: &Baseline,
    reading: &Reading,
) -> Result<Measured, (Verdict, Option<f64>, String)> {
    let measurement =
        reading.as_ref().map_err(|unusable| (Verdict::NoData, None, unusable.to_string()))?;
    if check.breach.is_empty() && check.baseline.is_some() && baseline.value().is_none() {
        let reason = match baseline {
            Baseline::Missing { because } => format!("no baseline to judge by: {because}"),
            Baseline::NotAsked | Baseline::Pending | Baseline::Measured { .. } => {
                "no baseline to judge by yet".to_owned()
            }
        };
        return Err((Verdict::NoData, None, reason));
    }
    let traffic = traffic_of(measurement);
    if let Some(events) = traffic.filter(|events| *events < check.min_traffic) {
        let reason = format!("{events:.0} events, at least {} are needed", check.min_traffic);
        return Err((Verdict::LowTraffic, traffic, reason));
    }
    let too_few_bad = match measurement {
        Measurement::Counts(counts) => {
            matches!(check.measure, Measure::Ratio { .. }) && counts.all.bad < LEAST_BAD_EVENTS
        }
        Measurement::Histogram(_) | Measurement::Gauge { .. } => false,
    };
    match value_of(check, measurement) {
        Some((value, of)) => Ok(Measured { value, traffic, of, too_few_bad }),
        None => Err((Verdict::LowTraffic, traffic, "no events in the window".to_owned())),
    }
}

/// Whether so much time lies between two readings that what was seen before
/// says nothing about what holds now.
pub fn is_gap(from: Timestamp, to: Timestamp, interval: SignedDuration) -> bool {
    to.duration_since(from) > interval * 3
}
