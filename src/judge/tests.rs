//! The judge's rules as sentences, and what must hold whatever comes in.

mod baselines;
mod blame;
mod evidence;
mod hostile;
mod limits;
mod samples;
mod silence;
mod simulated;
mod trends;

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use super::{Baseline, CheckState, Control, Judgement, Role, Sample, Shortage};
use crate::model::{
    Arms, Counts, Histogram, Measurement, Reading, Severity, Split, Unusable, Verdict,
};
use crate::policy::{
    Against, BaselineRule, Bound, Check, Counted, Gauged, Limit, Measure, Part, Side, Stated, Unit,
};

/// What every check of these tests may spend.
const ALPHA: f64 = 0.005;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + second).unwrap()
}

fn limit(side: Side, value: f64, unit: Unit) -> Limit {
    Limit { bound: Bound { side, value, unit }, hold: None }
}

fn check(measure: Measure) -> Check {
    Check {
        name: "check".into(),
        measure,
        normal: None,
        breach: BTreeMap::new(),
        baseline: None,
        leak: None,
        min_traffic: 20.0,
        window: None,
        from: None,
        optional: false,
    }
}

/// SEV1 above 10 %, SEV2 above 1 %, normal below 0.1 %.
fn error_rate() -> Check {
    let of = Counted::Counter("errors".into());
    let total = Counted::Counter("all".into());
    Check {
        normal: Some(limit(Side::Below, 0.001, Unit::Ratio).bound),
        breach: BTreeMap::from([
            (Severity::Sev1, limit(Side::Above, 0.10, Unit::Ratio)),
            (Severity::Sev2, limit(Side::Above, 0.01, Unit::Ratio)),
        ]),
        ..check(Measure::Ratio { part: Part::Bad, of, total })
    }
}

/// SEV2 below 99 %.
fn success_rate() -> Check {
    let of = Counted::Counter("ok".into());
    let total = Counted::Counter("all".into());
    let breach = BTreeMap::from([(Severity::Sev2, limit(Side::Below, 0.99, Unit::Ratio))]);
    Check { breach, ..check(Measure::Ratio { part: Part::Good, of, total }) }
}

/// SEV2 where the p95 is above half a second.
fn latency() -> Check {
    let breach = BTreeMap::from([(Severity::Sev2, limit(Side::Above, 0.5, Unit::Seconds))]);
    Check { breach, ..check(Measure::Latency { quantile: 0.95, counter: "buckets".into() }) }
}

/// SEV2 above 90 %.
fn cpu() -> Check {
    let breach = BTreeMap::from([(Severity::Sev2, limit(Side::Above, 0.9, Unit::Ratio))]);
    Check { breach, ..check(Measure::Gauge { of: Gauged::Query("cpu".into()), unit: Unit::Ratio }) }
}

/// `check` with a rule against `before` in place of its limits.
fn compared(mut check: Check, worse_by: f64, against: &[Against]) -> Check {
    check.breach.clear();
    check.baseline =
        Some(BaselineRule { against: against.to_vec(), worse_by, severity: Severity::Sev2 });
    check
}

#[expect(clippy::unnecessary_wraps, reason = "a reading is what the judge takes in")]
fn counts(bad: f64, total: f64) -> Reading {
    Ok(Measurement::counts(bad, total))
}

/// The new revision's events and the old one's.
#[expect(clippy::unnecessary_wraps, reason = "a reading is what the judge takes in")]
fn arms(new: (f64, f64), old: (f64, f64)) -> Reading {
    let of = |(bad, total)| Counts { bad, total };
    let mut all = of(new);
    all += of(old);
    let arms = Some(Arms { new: of(new), old: of(old) });
    Ok(Measurement::Counts(Split { all, arms }))
}

/// Of `total` requests so many are slower than 0.1, 0.25, 0.5 and 1 s.
#[expect(clippy::unnecessary_wraps, reason = "a reading is what the judge takes in")]
fn requests(slower: [f64; 4], total: f64) -> Reading {
    let within = slower.map(|slower| total - slower).to_vec();
    let bounds = vec![0.1, 0.25, 0.5, 1.0];
    Ok(Measurement::Histogram(Histogram { bounds, within, total }.into()))
}

#[expect(clippy::unnecessary_wraps, reason = "a reading is what the judge takes in")]
fn gauge(values: &[(&str, f64)]) -> Reading {
    let values = values.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect();
    Ok(Measurement::Gauge { values })
}

/// An hour of samples 15 s apart, made of the index; oldest first, up to `until`.
fn stretch(until: i64, of: impl Fn(i64) -> Reading) -> Vec<(Timestamp, Reading)> {
    (0..240).map(|i| (at(until - (239 - i) * 15), of(i))).collect()
}

/// A watch of one check: samples 15 s apart from second 0 on.
struct Play {
    check: Check,
    state: CheckState,
    controls: BTreeMap<String, Reading>,
    interval: i64,
    next: i64,
    shortage: Option<Shortage>,
}

impl Play {
    fn of(check: Check) -> Self {
        let state = CheckState::new(&check);
        Self { check, state, controls: BTreeMap::new(), interval: 15, next: 15, shortage: None }
    }

    /// The hour before was like this.
    fn after(mut self, of: impl Fn(i64) -> Reading) -> Self {
        self.knows(Against::Before, of);
        self
    }

    fn knows(&mut self, against: Against, of: impl Fn(i64) -> Reading) {
        let baseline = Baseline::of(&self.check, &stretch(0, of), 15.0);
        assert!(baseline.reference().is_some(), "{baseline:?}");
        self.state.baselines.insert(against, baseline);
    }

    fn beside(mut self, name: &str, role: Role, of: impl Fn(i64) -> Reading) -> Self {
        let mut control = Control::new(role);
        control.baseline = Baseline::of_control(&self.check, &stretch(0, of), 15.0);
        self.state.controls.insert(name.to_owned(), control);
        self
    }

    fn control_sees(&mut self, name: &str, reading: Reading) {
        self.controls.insert(name.to_owned(), reading);
    }

    fn sees(&mut self, reading: Reading) -> Judgement {
        self.looks(reading, true)
    }

    #[expect(clippy::needless_pass_by_value, reason = "readings are made where they are looked at")]
    fn looks(&mut self, reading: Reading, counts: bool) -> Judgement {
        let sample = Sample {
            at: at(self.next),
            interval: SignedDuration::from_secs(self.interval),
            reading: &reading,
            controls: &self.controls,
            counts,
            alpha: ALPHA,
            newcomers: true,
            shortage: self.shortage.map(|one| Shortage { until: at(self.next), ..one }),
        };
        self.next += self.interval;
        self.state.observe(&self.check, &sample).clone()
    }

    /// The same so many times; the last judgement.
    fn sees_often(&mut self, times: usize, reading: &Reading) -> Judgement {
        (0..times).map(|_| self.sees(reading.clone())).last().unwrap()
    }

    /// The first of so many samples that makes a breach, counted from 1.
    fn breaches_at(&mut self, within: usize, reading: &Reading) -> Option<usize> {
        (1..=within).find(|_| self.sees(reading.clone()).verdict == Verdict::Breach)
    }
}

/// One error in a thousand, 100 events a sample.
fn quiet(i: i64) -> Reading {
    counts(if i % 10 == 0 { 1.0 } else { 0.0 }, 100.0)
}
