//! What one sample costs: `cargo bench --bench evidence`.

#![allow(clippy::unwrap_used, reason = "a bench may end there")]

use std::collections::BTreeMap;
use std::hint::black_box;
use std::time::Duration;

use criterion::Criterion;
use deployguard::judge::{Baseline, CheckState, Control, Role, Sample};
use deployguard::model::{Arms, Counts, Histogram, Measurement, Reading, Severity, Split};
use deployguard::policy::{
    Against, BaselineRule, Bound, Check, Counted, Gauged, LeakRule, Limit, Measure, Part, Side,
    Stated, Unit,
};
use jiff::{SignedDuration, Timestamp};

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + second).unwrap()
}

fn check(measure: Measure, side: Side, value: f64, unit: Unit) -> Check {
    let limit = Limit { bound: Bound { side, value, unit }, hold: None };
    Check {
        name: "check".into(),
        baseline: (!matches!(measure, Measure::Status { .. })).then(|| BaselineRule {
            against: vec![Against::Before],
            worse_by: 2.0,
            severity: Severity::Sev2,
        }),
        measure,
        normal: None,
        breach: BTreeMap::from([(Severity::Sev2, limit)]),
        leak: None,
        min_traffic: 20.0,
        window: None,
        from: None,
        optional: false,
    }
}

fn counts(i: i64) -> Counts {
    Counts { bad: if i % 10 == 0 { 1.0 } else { 0.0 }, total: 100.0 }
}

/// Twelve bounds, each with half of the requests that are left.
fn histogram() -> Histogram {
    let bounds = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0];
    let within = (1..).map(|i| 1000.0 * (1.0 - 0.5_f64.powi(i))).take(bounds.len()).collect();
    Histogram { bounds: bounds.to_vec(), within, total: 1000.0 }
}

#[expect(clippy::unnecessary_wraps, reason = "a reading is what the judge takes in")]
fn gauge(value: f64) -> Reading {
    Ok(Measurement::Gauge { values: BTreeMap::from([("task".to_owned(), value)]) })
}

/// Cost of a sample after an hour of them, with `peers` controls that see the same.
fn bench(c: &mut Criterion, name: &str, check: &Check, peers: usize, of: impl Fn(i64) -> Reading) {
    let before: Vec<(Timestamp, Reading)> = (-240..0).map(|i| (at(i * 15), of(i))).collect();
    let mut state = CheckState::new(check);
    for baseline in state.baselines.values_mut() {
        *baseline = Baseline::of(check, &before, 15.0);
    }
    for peer in 0..peers {
        let mut control = Control::new(Role::Peer);
        control.baseline = Baseline::of_control(check, &before, 15.0);
        state.controls.insert(peer.to_string(), control);
    }
    let readings: Vec<Reading> = (0..240).map(of).collect();
    let controls: Vec<BTreeMap<String, Reading>> = readings
        .iter()
        .map(|reading| (0..peers).map(|peer| (peer.to_string(), reading.clone())).collect())
        .collect();
    let mut seen = 0_i64;
    let mut look = || {
        seen += 1;
        let index = usize::try_from(seen % 240).unwrap_or(0);
        let sample = Sample {
            at: at(seen * 15),
            interval: SignedDuration::from_secs(15),
            reading: &readings[index],
            controls: &controls[index],
            counts: true,
            alpha: 0.005,
            newcomers: true,
            shortage: None,
        };
        black_box(state.observe(black_box(check), &sample));
    };
    (0..240).for_each(|_| look());
    c.bench_function(name, |bencher| bencher.iter(&mut look));
}

fn main() {
    let mut criterion = Criterion::default()
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1))
        .configure_from_args();
    let c = &mut criterion;
    let counter = |name: &str| Counted::Counter(name.to_owned());
    let ratio = Measure::Ratio { part: Part::Bad, of: counter("bad"), total: counter("all") };
    let errors = check(ratio, Side::Above, 0.01, Unit::Ratio);
    bench(c, "counts", &errors, 0, |i| Ok(Measurement::Counts(counts(i).into())));
    bench(c, "counts, a control", &errors, 1, |i| Ok(Measurement::Counts(counts(i).into())));
    bench(c, "counts, the old revision", &errors, 0, |i| {
        let (new, old) = (counts(i), counts(i + 1));
        let mut all = new;
        all += old;
        Ok(Measurement::Counts(Split { all, arms: Some(Arms { new, old }) }))
    });
    let slow = Measure::Latency { quantile: 0.95, counter: "buckets".into() };
    let latency = check(slow, Side::Above, 0.5, Unit::Seconds);
    bench(c, "histogram", &latency, 0, |_| Ok(Measurement::Histogram(histogram().into())));
    bench(c, "histogram, a control", &latency, 1, |_| {
        Ok(Measurement::Histogram(histogram().into()))
    });
    let cpu = Measure::Gauge { of: Gauged::Query("cpu".into()), unit: Unit::Ratio };
    let mut series = check(cpu, Side::Above, 0.9, Unit::Ratio);
    let level = |i: i64| gauge(if i % 2 == 0 { 0.30 } else { 0.32 });
    bench(c, "series", &series, 0, level);
    bench(c, "series, a control", &series, 1, level);
    series.leak = Some(LeakRule {
        wall: 1.0,
        within: SignedDuration::from_hours(6),
        severity: Severity::Sev3,
    });
    bench(c, "leak", &series, 0, level);
    let up = Measure::Status { of: Stated::Query("up".into()) };
    let status = check(up, Side::AtLeast, 3.0, Unit::Failures);
    bench(c, "status", &status, 0, |_| gauge(1.0));
    criterion.final_summary();
}
