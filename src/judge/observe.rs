//! One sample at a time: what a check says now, and why.
//!
//! A sample goes the same way for every kind of check. It joins the latest samples;
//! the controls take theirs in; the null is fixed from baselines and controls; the
//! evidence grows. Then the verdict is read off: a breach is evidence above the
//! threshold *and* an estimate beyond a limit, or a plain limit (`for 5m`, a gauge's)
//! that has held for long enough; whose doing it is comes beside it.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::baseline::{Baseline, Reference};
use super::control::{Control, Role, null_value};
use super::evidence::leak::Trend;
use super::evidence::{Cap, Transients, counts};
use super::probe::{Lift, Null, NullKind, Probes, counted, nulls};
use super::recent::Recent;
use super::silence::{Hearing, Shortage};
use super::value::{self, Part3, Pool};
use super::{Blame, Streak};
use crate::model::{Counts, Measurement, Reading, Severity, Unusable, Verdict};
use crate::policy::{Against, Check, Counted, Measure};

/// Samples that must agree.
const AGREE: f64 = 3.0;
/// The same where samples lie far apart: two long ones are many short ones.
const AGREE_WHEN_FAR_APART: f64 = 2.0;
const FAR_APART: SignedDuration = SignedDuration::from_mins(1);
/// What can be the time between two samples: what is computed with it stays a time.
const SHORTEST: SignedDuration = SignedDuration::from_millis(1);
const LONGEST: SignedDuration = SignedDuration::from_hours(24 * 365);

/// All that is remembered of a check between two samples.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct CheckState {
    pub baselines: BTreeMap<Against, Baseline>,
    /// What passed by itself in the day before; `None` as long as it is not known.
    pub transients: Option<Transients>,
    pub controls: BTreeMap<String, Control>,
    probes: Probes,
    pub(super) recent: Recent,
    /// For each severity, since when its limit has been exceeded.
    pub(super) exceeded: BTreeMap<Severity, Streak>,
    pub(super) trend: Trend,
    /// Running failures of a status.
    pub(super) failures: u32,
    /// What a breach was put down to that is not the deployment's doing.
    pub(super) excused: Option<Blame>,
    /// Bad events and all of the latest minutes, under the first test.
    #[serde(default)]
    lately: Counts,
    /// Events that the evidence rests on.
    weighed: f64,
    /// When the source last answered.
    #[serde(default)]
    pub answered_at: Option<Timestamp>,
    /// When the evidence last took a sample in.
    weighed_at: Option<Timestamp>,
    weighed_last: Option<Weight>,
    /// Whether the new revision has been told apart and answered.
    pub(super) told_apart: bool,
    /// Since when the new revision has answered nothing though the old one did.
    pub(super) silent_since: Option<Timestamp>,
    #[serde(default)]
    pub(super) hearing: Hearing,
    /// The latest judgement; `None` before the first reading.
    pub last: Option<Judgement>,
    /// Since when the verdict has been one that measures nothing.
    pub unmeasured_since: Option<Timestamp>,
    /// Since when the check has been inside normal, or no worse than its baseline.
    pub back_since: Option<Timestamp>,
    /// Readings that counted, those of them that the source answered, and those of
    /// them that had enough traffic to tell.
    pub due: u32,
    pub answered: u32,
    pub measured: u32,
}

/// What a check said at a time, with everything needed to explain it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Judgement {
    pub at: Timestamp,
    pub verdict: Verdict,
    /// Of the breach; `None` without one.
    pub severity: Option<Severity>,
    /// Of the breach.
    pub blame: Option<Blame>,
    /// In the check's unit; `None` when nothing was measured.
    pub value: Option<f64>,
    /// Events in the window; `None` for gauges.
    pub traffic: Option<f64>,
    /// The limit that is exceeded, as the policy writes it.
    pub limit: Option<String>,
    /// What the evidence comes to; `None` where there is no test.
    pub weight: Option<Weight>,
    /// Inside normal, or no worse than the baseline: what recovery asks for.
    pub back_to_normal: bool,
    /// In words.
    pub reason: String,
}

/// The evidence that something changed.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Weight {
    /// The natural logarithm of E.
    pub ln_e: f64,
    /// The ln E that a breach needs.
    pub needed: f64,
    /// ln E if nothing had to be outlasted.
    #[serde(default)]
    pub with_held: f64,
    /// The share, or level, that would still be "nothing changed".
    pub null: f64,
    /// How many times the null the latest samples are.
    pub rise: f64,
    /// Since when it looks changed.
    pub since: Option<Timestamp>,
    /// The smallest share of bad events that would have been found by now; only where
    /// there is too little traffic to tell.
    pub detectable: Option<f64>,
}

/// One sample of a check.
#[derive(Debug, Clone, Copy)]
pub struct Sample<'a> {
    pub at: Timestamp,
    /// Time since the sample before.
    pub interval: SignedDuration,
    pub reading: &'a Reading,
    /// The same of each control.
    pub controls: &'a BTreeMap<String, Reading>,
    /// Whether it is evidence, or falls into the grace and is only shown.
    pub counts: bool,
    /// The chance of a false breach that this check may spend on the deployment.
    pub alpha: f64,
    /// Whether instances of the new revision are measured at all: what nobody measures
    /// is not silent.
    pub newcomers: bool,
    /// Whether the tasks of the deployment are gone: a proof of silence.
    pub shortage: Option<Shortage>,
}

/// What the window holds.
pub(super) struct Window {
    pub pool: Pool,
    pub value: f64,
    pub traffic: Option<f64>,
    /// The series that the value comes from, of several.
    pub of: Option<String>,
}

impl CheckState {
    pub fn new(check: &Check) -> Self {
        let mut asked: BTreeMap<Against, Baseline> = BTreeMap::new();
        if !matches!(check.measure, Measure::Status { .. }) && check.has_past() {
            // Whose doing it is can't be said without knowing what was before.
            asked.insert(Against::Before, Baseline::Pending);
        }
        for against in check.baseline.iter().flat_map(|rule| &rule.against) {
            match against {
                Against::Before | Against::SameHour | Against::LastWeek => {
                    asked.insert(*against, Baseline::Pending);
                }
                // Controls, not stretches of the past.
                Against::OldRevision | Against::Peers => {}
            }
        }
        // Without a test nothing has to be outlasted; and nobody is asked a day long.
        let replayed = check.is_tested() && !check.is_of_web() && !check.is_of_logs();
        let transients = (!replayed).then(Transients::default);
        Self { baselines: asked, transients, ..Self::default() }
    }

    /// Takes one sample in.
    pub fn observe(&mut self, check: &Check, sample: &Sample<'_>) -> &Judgement {
        let interval = sample.interval.clamp(SHORTEST, LONGEST);
        let sample = &Sample { interval, ..*sample };
        if sample.reading.is_ok() {
            self.answered_at = Some(sample.at);
        }
        self.hear(check, sample);
        self.take_controls(check, sample);
        let judgement = match sample.reading {
            Ok(measurement) if Pool::of(check, measurement).is_none() => {
                let reason = "the answer is no measurement of this check".to_owned();
                Err((Verdict::NoData, None, reason))
            }
            Ok(measurement) => self.measured(check, sample, measurement),
            Err(unusable) => match (self.silence(check, sample), unusable) {
                (Some(silent), _) => Ok(silent),
                (None, Unusable::NothingNew) => self.nothing_new(check, sample),
                (None, few @ Unusable::TooFew(_)) => {
                    Err((Verdict::LowTraffic, None, few.to_string()))
                }
                (None, unusable) => Err((Verdict::NoData, None, unusable.to_string())),
            },
        };
        let judgement = judgement.unwrap_or_else(|(verdict, traffic, reason)| {
            self.forget_streaks();
            // Too little traffic in the window is no end of the evidence.
            let weight = self.weighed_last.filter(|_| verdict == Verdict::LowTraffic);
            Judgement { weight, ..unmeasured(sample.at, verdict, traffic, reason) }
        });
        self.count(sample, &judgement);
        self.last.insert(judgement)
    }

    fn count(&mut self, sample: &Sample<'_>, judgement: &Judgement) {
        let measured = judgement.verdict.is_measured();
        if sample.counts {
            self.due = self.due.saturating_add(1);
            let answered = judgement.verdict != Verdict::NoData;
            self.answered = self.answered.saturating_add(u32::from(answered));
            self.measured = self.measured.saturating_add(u32::from(measured));
        }
        self.unmeasured_since =
            if measured { None } else { self.unmeasured_since.or(Some(sample.at)) };
        self.back_since = judgement.back_to_normal.then(|| self.back_since.unwrap_or(sample.at));
    }

    /// Forgets how long limits have been exceeded: after a gap, in data or in the
    /// guard's own life, only fresh samples may make a breach.
    pub fn forget_streaks(&mut self) {
        self.exceeded.clear();
        self.failures = 0;
    }

    /// Adds to the latest reason what the source says beside the numbers.
    pub fn say_beside(&mut self, words: &BTreeSet<String>) {
        let Some(last) = &mut self.last else { return };
        for words in words {
            if !last.reason.contains(words.as_str()) {
                last.reason = format!("{}; {words}", last.reason);
            }
        }
    }

    /// Counts samples that were due and never taken.
    pub fn missed(&mut self, samples: u32) {
        self.due = self.due.saturating_add(samples);
    }

    pub fn verdict(&self) -> Option<Verdict> {
        self.last.as_ref().map(|judgement| judgement.verdict)
    }

    /// The share (0-1) of the due readings that the source answered; 1 before the first.
    pub fn coverage(&self) -> f64 {
        if self.due == 0 { 1.0 } else { f64::from(self.answered) / f64::from(self.due) }
    }

    /// What each of the latest samples alone comes to, oldest first, at most `most`: to show,
    /// not to judge by.
    pub fn latest(&self, check: &Check, most: usize) -> Vec<f64> {
        let values = self.recent.latest(most).filter_map(|pool| value::of(check, pool));
        let mut values: Vec<f64> = values.filter(|value| value.is_finite()).collect();
        values.reverse();
        values
    }

    /// The baselines that are known, nearest first.
    pub fn references(&self) -> impl Iterator<Item = (Against, &Reference)> {
        self.baselines.iter().filter_map(|(against, one)| Some((*against, one.reference()?)))
    }

    /// The sample brings nothing new: what was said holds as long as the window has
    /// data.
    fn nothing_new(&self, check: &Check, sample: &Sample<'_>) -> Result<Judgement, Unmeasured> {
        let window = check.window(sample.interval).max(sample.interval * 4);
        match (&self.last, self.recent.window(sample.at, window)) {
            (Some(last), Some(_))
                if last.verdict != Verdict::NoData
                    // Silence holds only while its proof does.
                    && (!last.is_of_silence() || self.silent_since.is_some()) =>
            {
                Ok(Judgement { at: sample.at, ..last.clone() })
            }
            (Some(_) | None, _) => {
                let reason = format!("no new sample for {window:#}");
                Err((Verdict::NoData, None, reason))
            }
        }
    }

    fn measured(
        &mut self,
        check: &Check,
        sample: &Sample<'_>,
        measurement: &Measurement,
    ) -> Result<Judgement, Unmeasured> {
        let subject = self.subject(check, measurement);
        let overlapping = check.overlaps();
        let width = check.window(sample.interval);
        if overlapping {
            self.recent.clear();
        }
        if sample.counts && self.weighed_at.is_none() {
            // What fell into the grace is shown, and no more.
            self.recent.clear();
        }
        if let Some(pool) = &subject {
            let least = if check.counts_events() { check.min_traffic } else { 0.0 };
            self.recent.push(sample.at, pool.worst_only(check), width, sample.interval, least);
        }
        let nulls = self.nulls(check, sample.at, sample.interval);
        let due = !overlapping
            || self.weighed_at.is_none_or(|last| sample.at.duration_since(last) >= width);
        if let Some(pool) = subject.as_ref().filter(|_| sample.counts && due) {
            let agree = if sample.interval > FAR_APART { AGREE_WHEN_FAR_APART } else { AGREE };
            let cap = Cap::new(sample.alpha, agree).outlasting(&self.passed_before());
            self.probes.add(check, sample.at, pool, &nulls, cap);
            self.remember(pool, nulls.first(), sample);
            self.weighed += pool.total();
            self.weighed_at = Some(sample.at);
        }
        if let Some(silent) = self.silence(check, sample) {
            return Ok(silent);
        }
        let low =
            self.recent.window(sample.at, width).is_none_or(|p| p.total() < check.min_traffic);
        let weight = self.weight(sample, &nulls, low);
        self.weighed_last = weight;
        let window = self.window(check, sample, width)?;
        self.judge(check, sample, &window, weight)
    }

    /// The time that a sample stands for: a source may have news less often than it is
    /// asked.
    fn apart(&self, sample: &Sample<'_>) -> SignedDuration {
        const MOST: i32 = 20;
        let since = self.weighed_at.map(|last| sample.at.duration_since(last));
        since.unwrap_or_default().clamp(sample.interval, sample.interval * MOST)
    }

    /// What has passed by itself, in all of the past that is known.
    pub fn passed_before(&self) -> Transients {
        let known = self.references().map(|(_, one)| one.transients);
        known.chain(self.transients).fold(Transients::default(), Transients::max)
    }

    /// What is judged: the new revision where it can be told apart and answers, or
    /// else everything.
    fn subject(&self, check: &Check, measurement: &Measurement) -> Option<Pool> {
        let part = |part| Pool::part(check, measurement, part);
        match (part(Part3::New), part(Part3::Old)) {
            (Some(new), Some(old)) if self.told_apart => {
                (new.total() > 0.0 || old.total() <= 0.0).then_some(new)
            }
            // Labels that do not change with a deployment make everything look old.
            (_, _) => part(Part3::All),
        }
    }

    /// What the controls show, also where the service itself shows nothing.
    fn take_controls(&mut self, check: &Check, sample: &Sample<'_>) {
        let measurement = sample.reading.as_ref().ok();
        let old = measurement.and_then(|one| Pool::part(check, one, Part3::Old));
        if let Some(pool) = old.filter(|_| self.told_apart) {
            let own = self.baselines.get(&Against::Before).cloned().unwrap_or_default();
            let control = self
                .controls
                .entry(OLD_REVISION.to_owned())
                .or_insert_with(|| Control::new(Role::OldRevision));
            control.baseline = own;
            if pool.total() > 0.0 {
                control.add(check, sample.at, pool, sample.interval);
            }
        }
        for (name, reading) in sample.controls {
            let pool = reading.as_ref().ok().and_then(|one| Pool::of(check, one));
            if let (Some(control), Some(pool)) = (self.controls.get_mut(name), pool) {
                control.add(check, sample.at, pool, sample.interval);
            }
        }
    }

    fn nulls(&self, check: &Check, at: Timestamp, interval: SignedDuration) -> Vec<Null> {
        let references: Vec<&Reference> = self.references().map(|(_, one)| one).collect();
        nulls(check, &references, |bound| {
            self.controls
                .values()
                .map(|control| control.lift(check, bound, at, interval))
                .fold(Lift::NONE, Lift::max)
        })
    }

    fn window(
        &self,
        check: &Check,
        sample: &Sample<'_>,
        width: SignedDuration,
    ) -> Result<Window, Unmeasured> {
        let nothing = || (Verdict::LowTraffic, Some(0.0), "no events in the window".to_owned());
        let pool = self.recent.window(sample.at, width).ok_or_else(nothing)?;
        let no_bound =
            matches!(&pool, Pool::Histogram(all) if all.total > 0.0 && all.bounds.is_empty());
        if no_bound {
            let reason = "the latest samples have buckets that share no bound".to_owned();
            return Err((Verdict::NoData, Some(pool.total()), reason));
        }
        let value = value::of(check, &pool).ok_or_else(nothing)?;
        let of = match &pool {
            Pool::Values(values) if values.len() > 1 => {
                pool.worst_of(check).map(|(name, _)| name.to_owned())
            }
            Pool::Values(_) | Pool::Counts(_) | Pool::Histogram(_) => None,
        };
        let traffic = check.counts_events().then(|| pool.total());
        Ok(Window { pool, value, traffic, of })
    }

    /// Of the latest minutes together; 1 for a series.
    fn rise(&self, null: &Null) -> f64 {
        match (&null.kind, self.lately.share()) {
            (NullKind::Share { at_most, .. }, Some(share)) => share / at_most,
            (NullKind::Share { .. } | NullKind::Level { .. }, _) => 1.0,
        }
    }

    /// Takes the sample into the sums of the latest minutes, in which older ones fade: a
    /// few samples alone would make a rise of chance.
    fn remember(&mut self, pool: &Pool, null: Option<&Null>, sample: &Sample<'_>) {
        const FADES: f64 = 600.0;
        let counts = null.and_then(|null| counted(pool, null.bound)).unwrap_or_default();
        let kept = (-self.apart(sample).as_secs_f64() / FADES).exp();
        self.lately.bad = self.lately.bad * kept + counts.bad;
        self.lately.total = self.lately.total * kept + counts.total;
    }

    fn weight(&self, sample: &Sample<'_>, nulls: &[Null], low: bool) -> Option<Weight> {
        let null = nulls.first()?;
        let detectable = match (&null.kind, null.bound) {
            _ if !low => None,
            (NullKind::Share { at_most, phi }, None) => {
                counts::smallest_detectable(*at_most, self.weighed, *phi, sample.alpha)
            }
            (NullKind::Share { .. } | NullKind::Level { .. }, _) => None,
        };
        Some(Weight {
            ln_e: self.probes.ln(),
            needed: (1.0 / sample.alpha).ln(),
            with_held: self.probes.ln_with_held(),
            null: null_value(&null.kind),
            rise: self.rise(null),
            since: self.probes.since(),
            detectable,
        })
    }
}

/// The name that the old revision goes by among the controls.
pub const OLD_REVISION: &str = "the old revision";

/// A verdict that measures nothing, the traffic, and why.
pub(super) type Unmeasured = (Verdict, Option<f64>, String);

fn unmeasured(at: Timestamp, verdict: Verdict, traffic: Option<f64>, reason: String) -> Judgement {
    Judgement {
        at,
        verdict,
        severity: None,
        blame: None,
        value: None,
        traffic,
        limit: None,
        weight: None,
        back_to_normal: false,
        reason,
    }
}

impl Check {
    /// Whether a sequential test stands behind it, which spends a part of the bound.
    pub(crate) fn is_tested(&self) -> bool {
        match &self.measure {
            Measure::Ratio { .. } | Measure::Latency { .. } => true,
            Measure::Gauge { .. } => self.baseline.is_some(),
            Measure::Status { .. } => false,
        }
    }

    /// Whether samples look back over the same time again: a query's window is its own,
    /// while counters are differenced from sample to sample.
    pub(crate) fn overlaps(&self) -> bool {
        match &self.measure {
            Measure::Ratio { of, total, .. } => {
                let own = |one: &Counted| matches!(one, Counted::Query(_) | Counted::Json(_));
                own(of) || own(total)
            }
            Measure::Latency { .. } | Measure::Gauge { .. } | Measure::Status { .. } => false,
        }
    }
}

impl Against {
    pub fn in_words(self) -> &'static str {
        match self {
            Self::Before => "before",
            Self::SameHour => "the same hour on earlier days",
            Self::LastWeek => "a week ago",
            Self::OldRevision => "the old revision",
            Self::Peers => "its peers",
        }
    }
}

/// Whether so much time lies between two readings that what was seen before says nothing
/// about what holds now.
pub fn is_gap(from: Timestamp, to: Timestamp, interval: SignedDuration) -> bool {
    to.duration_since(from) > interval * 3
}
