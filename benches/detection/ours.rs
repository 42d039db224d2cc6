//! deployguard's own judge, called as the watch calls it. It holds the service
//! against the same limits as the peers, and knows besides what they can't be told:
//! the chance of a false rollback that it may spend, and, in the rows that say so,
//! a control (an undeployed peer and a dependency) or a grace.

use std::collections::BTreeMap;

use deployguard::judge::{
    Baseline, Blame, CheckState, Control, Judgement, Rival, Role, Sample, Weight, rank,
};
use deployguard::model::{
    Arms, Counts, Histogram, Measurement, Reading, Severity, Split, Unusable, Verdict,
};
use deployguard::policy::{
    Against, BaselineRule, Bound, Check, Counted, Gauged, LeakRule, Limit, Measure, Part, Side,
    Unit,
};
use jiff::{SignedDuration, Timestamp};

use crate::run::{BOUNDS, Interval, Rule, Run, Series, SeriesRule, SeriesRun};

/// Of the whole policy: the default of `false_rollbacks`.
const FALSE_ROLLBACKS: f64 = 0.01;
/// Checks with a sequential test.
const TESTED: f64 = 2.0;

/// One way to set it up.
struct Guard {
    name: &'static str,
    control: bool,
    /// Seconds.
    grace: f64,
}

pub fn all() -> Vec<Box<dyn Rule>> {
    vec![
        Box::new(Guard { name: "deployguard", control: false, grace: 0.0 }),
        Box::new(Guard { name: "+ control", control: true, grace: 0.0 }),
        Box::new(Guard { name: "+ grace 2m", control: true, grace: 120.0 }),
    ]
}

pub fn all_of_series() -> Vec<Box<dyn SeriesRule>> {
    vec![Box::new(SeriesGuard)]
}

fn at(seconds: f64) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + seconds.round() as i64).unwrap_or_default()
}

fn limit(value: f64, unit: Unit) -> Limit {
    Limit { bound: Bound { side: Side::Above, value, unit }, hold: None }
}

fn check(name: &str, measure: Measure) -> Check {
    Check {
        name: name.into(),
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

fn rule(worse_by: f64) -> BaselineRule {
    BaselineRule { against: vec![Against::Before], worse_by, severity: Severity::Sev1 }
}

fn checks() -> Vec<Check> {
    let counter = |name: &str| Counted::Counter(name.into());
    let ratio = Measure::Ratio { part: Part::Bad, of: counter("bad"), total: counter("total") };
    let latency = Measure::Latency { quantile: 0.95, counter: "buckets".into() };
    let memory = Measure::Gauge { of: Gauged::Query("memory".into()), unit: Unit::Ratio };
    vec![
        Check {
            breach: BTreeMap::from([(Severity::Sev1, limit(0.01, Unit::Ratio))]),
            ..check("errors", ratio)
        },
        Check { baseline: Some(rule(1.5)), ..check("latency", latency) },
        Check {
            breach: BTreeMap::from([(Severity::Sev1, limit(0.85, Unit::Ratio))]),
            leak: Some(LeakRule {
                wall: 1.0,
                within: SignedDuration::from_hours(24),
                severity: Severity::Sev1,
            }),
            ..check("memory", memory)
        },
    ]
}

fn counts(of: &Interval) -> Counts {
    Counts { bad: of.errors as f64, total: of.requests as f64 }
}

fn histogram(of: &Interval) -> Histogram {
    let within = of.buckets[..BOUNDS.len()].iter().map(|count| *count as f64).collect();
    Histogram { bounds: BOUNDS.to_vec(), within, total: of.requests as f64 }
}

fn split<T>(
    all: &Interval,
    arms: Option<(&Interval, &Interval)>,
    of: impl Fn(&Interval) -> T,
) -> Split<T> {
    Split { all: of(all), arms: arms.map(|(new, old)| Arms { new: of(new), old: of(old) }) }
}

fn reading(check: &Check, all: Option<&Interval>, arms: Option<(&Interval, &Interval)>) -> Reading {
    let all = all.ok_or(Unusable::NothingNew)?;
    match check.measure {
        Measure::Ratio { .. } => Ok(Measurement::Counts(split(all, arms, counts))),
        Measure::Latency { .. } => Ok(Measurement::Histogram(split(all, arms, histogram))),
        Measure::Gauge { .. } | Measure::Status { .. } => {
            let value = all.memory.ok_or(Unusable::NothingNew)?;
            Ok(Measurement::Gauge { values: BTreeMap::from([("value".into(), value)]) })
        }
    }
}

impl Guard {
    fn begin(&self, run: &Run, check: &Check, own: &Series) -> CheckState {
        let mut state = CheckState::new(check);
        let from = run.before.saturating_sub(120 * run.a_minute());
        let samples = |series: &[Option<Interval>]| -> Vec<(Timestamp, Reading)> {
            (from..run.before)
                .map(|index| (at(run.end_of(index)), reading(check, series[index].as_ref(), None)))
                .collect()
        };
        state.baselines.insert(Against::Before, Baseline::of(check, &samples(own), run.interval));
        if std::ptr::eq(own, &raw const run.all) {
            let day: Vec<(Timestamp, Reading)> = (1..)
                .map(|minute| at(60.0 * f64::from(minute) - 86_400.0))
                .zip(run.day.iter().map(|one| reading(check, one.as_ref(), None)))
                .collect();
            state.transients = Some(Baseline::transients(check, &day, 60.0));
        }
        if self.control && !matches!(check.measure, Measure::Gauge { .. }) {
            let peer = run.control_deployed.is_none().then_some(("peer", Role::Peer, &run.control));
            let needed = ("dependency", Role::Dependency, &run.dependency);
            for (name, role, series) in peer.into_iter().chain([needed]) {
                let mut control = Control::new(role);
                control.baseline = Baseline::of_control(check, &samples(series), run.interval);
                state.controls.insert(name.into(), control);
            }
        }
        state
    }
}

/// The other service, which was deployed as well and is watched by another watch.
struct Other {
    check: Check,
    state: CheckState,
    deployed_at: f64,
}

impl Other {
    fn begin(guard: &Guard, run: &Run, check: &Check, deployed_at: f64) -> Self {
        let state = guard.begin(run, check, &run.control);
        Self { check: check.clone(), state, deployed_at }
    }

    fn sample(&mut self, run: &Run, interval: usize) {
        let reading = reading(&self.check, run.control[interval].as_ref(), None);
        let sample = Sample {
            at: at(run.end_of(interval)),
            interval: SignedDuration::from_secs(run.interval as i64),
            reading: &reading,
            controls: &BTreeMap::new(),
            counts: true,
            alpha: FALSE_ROLLBACKS / TESTED,
            newcomers: true,
            shortage: None,
        };
        self.state.observe(&self.check, &sample);
    }

    fn fits_better(&self, judgement: &Judgement) -> bool {
        let rival = |weight: Option<Weight>| Rival {
            service: String::new(),
            deployment: String::new(),
            in_service_at: at(self.deployed_at),
            ln_e: weight.map_or(0.0, |weight| weight.ln_e),
            rise: weight.map_or(1.0, |weight| weight.rise),
            since: weight.and_then(|weight| weight.since),
            needed: false,
        };
        let its = rival(self.state.last.as_ref().and_then(|last| last.weight));
        let since = judgement.weight.and_then(|weight| weight.since).unwrap_or(judgement.at);
        rank(&rival(judgement.weight), &[its], since).is_some()
    }
}

impl Rule for Guard {
    fn name(&self) -> &'static str {
        self.name
    }

    fn acts_at(&self, run: &Run) -> Option<f64> {
        let checks = checks();
        let begin = |check| self.begin(run, check, &run.all);
        let mut states: Vec<CheckState> = checks.iter().map(begin).collect();
        let mut rival = run.control_deployed.map(|at| Other::begin(self, run, &checks[0], at));
        for interval in run.before..run.len() {
            let now = run.end_of(interval);
            for (check, state) in checks.iter().zip(&mut states) {
                let nothing = Interval::default();
                let (new, old) = (run.new[interval].as_ref(), run.old[interval].as_ref());
                let arms = old.map(|old| (new.unwrap_or(&nothing), old));
                let own = reading(check, run.all[interval].as_ref(), arms);
                let controls: BTreeMap<String, Reading> =
                    [("peer", &run.control[interval]), ("dependency", &run.dependency[interval])]
                        .map(|(name, one)| (name.to_owned(), reading(check, one.as_ref(), None)))
                        .into();
                let sample = Sample {
                    at: at(now),
                    interval: SignedDuration::from_secs(run.interval as i64),
                    reading: &own,
                    controls: &controls,
                    counts: now - run.interval >= self.grace,
                    alpha: FALSE_ROLLBACKS / TESTED,
                    newcomers: true,
                    shortage: None,
                };
                let judgement = state.observe(check, &sample);
                if judgement.verdict == Verdict::Breach
                    && judgement.blame == Some(Blame::Deployment)
                    && rival.as_ref().is_none_or(|other| !other.fits_better(judgement))
                {
                    return Some(now);
                }
            }
            if let Some(other) = rival.as_mut() {
                other.sample(run, interval);
            }
        }
        None
    }
}

/// The judge on a gauge, with a baseline rule of 1.5x.
struct SeriesGuard;

impl SeriesRule for SeriesGuard {
    fn name(&self) -> &'static str {
        "deployguard"
    }

    fn acts_at(&self, run: &SeriesRun) -> Option<usize> {
        let side = if run.higher_is_worse { Side::Below } else { Side::Above };
        let query = Measure::Gauge { of: Gauged::Query("value".into()), unit: Unit::Number };
        // A normal range that nothing is inside: it only says which side is worse.
        let nowhere = if run.higher_is_worse { f64::MIN } else { f64::MAX };
        let check = Check {
            normal: Some(Bound { side, value: nowhere, unit: Unit::Number }),
            baseline: Some(rule(1.5)),
            ..check("value", query)
        };
        let reading = |value: Option<f64>| {
            let value = value.ok_or(Unusable::Empty)?;
            Ok(Measurement::Gauge { values: BTreeMap::from([("value".into(), value)]) })
        };
        let when = |index: usize| at(index as f64 * run.interval);
        let before: Vec<(Timestamp, Reading)> =
            run.baseline.iter().enumerate().map(|(i, value)| (when(i), reading(*value))).collect();
        let mut state = CheckState::new(&check);
        state.baselines.insert(Against::Before, Baseline::of(&check, &before, run.interval));
        run.watch.iter().enumerate().position(|(index, value)| {
            let reading = reading(*value);
            let sample = Sample {
                at: when(before.len() + index),
                // A sample stands for what is a minute elsewhere.
                interval: SignedDuration::from_secs((run.interval as i64).min(60)),
                reading: &reading,
                controls: &BTreeMap::new(),
                counts: true,
                alpha: FALSE_ROLLBACKS,
                newcomers: true,
                shortage: None,
            };
            state.observe(&check, &sample).verdict == Verdict::Breach
        })
    }
}
