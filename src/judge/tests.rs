//! The judge's rules as sentences.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use super::{Baseline, CheckState};
use crate::model::{Measurement, Reading, Severity, Unusable, Verdict};
use crate::policy::{
    Against, BaselineRule, Bound, Check, Counted, Limit, Measure, Part, Side, Unit,
};

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + second).unwrap()
}

fn bound(side: Side, value: f64, unit: Unit) -> Bound {
    Bound { side, value, unit }
}

fn error_rate() -> Check {
    let limit = |value, hold| Limit { bound: bound(Side::Above, value, Unit::Ratio), hold };
    Check {
        name: "error rate".into(),
        measure: Measure::Ratio {
            part: Part::Bad,
            of: Counted::Counter("errors".into()),
            total: Counted::Counter("all".into()),
        },
        normal: Some(bound(Side::Below, 0.001, Unit::Ratio)),
        breach: BTreeMap::from([
            (Severity::Sev1, limit(0.10, None)),
            (Severity::Sev2, limit(0.01, Some(SignedDuration::from_secs(60)))),
        ]),
        baseline: None,
        leak: None,
        min_traffic: 20.0,
        window: None,
    }
}

#[expect(clippy::unnecessary_wraps, reason = "a reading is what the judge takes in")]
fn counts(bad: f64, total: f64) -> Reading {
    Ok(Measurement::counts(bad, total))
}

fn verdicts(check: &Check, readings: &[Reading]) -> Vec<(Verdict, Option<Severity>)> {
    let mut state = CheckState::new(check);
    readings
        .iter()
        .zip(0..)
        .map(|(reading, i)| {
            let judgement = state.observe(check, at(i * 15), reading, true);
            (judgement.verdict, judgement.severity)
        })
        .collect()
}

#[test]
fn a_limit_without_for_needs_two_samples_running() {
    let check = error_rate();
    let bad = || counts(30.0, 100.0);
    let seen = verdicts(&check, &[bad(), counts(0.0, 100.0), bad(), bad()]);
    let breach = (Verdict::Breach, Some(Severity::Sev1));
    let elevated = (Verdict::Elevated, None);
    assert_eq!(seen, [elevated, (Verdict::Healthy, None), elevated, breach]);
}

#[test]
fn a_limit_with_for_breaches_when_it_has_held_that_long() {
    let seen = verdicts(&error_rate(), &vec![counts(5.0, 100.0); 5]);
    assert_eq!(seen[3], (Verdict::Elevated, None), "45 s are not 60 s");
    assert_eq!(seen[4], (Verdict::Breach, Some(Severity::Sev2)));
}

#[test]
fn missing_data_is_neither_health_nor_guilt_and_breaks_a_streak() {
    let check = error_rate();
    let bad = || counts(30.0, 100.0);
    let seen = verdicts(&check, &[bad(), Err(Unusable::Empty), bad(), counts(9.0, 19.0), bad()]);
    let said: Vec<_> = seen.iter().map(|(verdict, _)| *verdict).collect();
    assert_eq!(
        said,
        [
            Verdict::Elevated,
            Verdict::NoData,
            Verdict::Elevated,
            Verdict::LowTraffic,
            Verdict::Elevated
        ]
    );
}

#[test]
fn one_or_two_bad_events_are_never_a_breach() {
    let seen = verdicts(&error_rate(), &vec![counts(2.0, 20.0); 10]);
    assert!(seen.iter().all(|(verdict, _)| *verdict == Verdict::Elevated));
}

#[test]
fn readings_in_the_grace_are_shown_but_are_no_evidence() {
    let check = error_rate();
    let mut state = CheckState::new(&check);
    for i in 0..10 {
        let judgement = state.observe(&check, at(i * 15), &counts(90.0, 100.0), false);
        assert_eq!(judgement.verdict, Verdict::Elevated);
    }
    assert_eq!((state.due, state.measured), (0, 0));
}

#[test]
fn coverage_counts_the_readings_that_measured_something() {
    let check = error_rate();
    let mut state = CheckState::new(&check);
    for reading in [counts(0.0, 100.0), counts(0.0, 3.0), Err(Unusable::Empty), counts(0.0, 99.0)] {
        state.observe(&check, at(0), &reading, true);
    }
    assert!((state.coverage() - 0.5).abs() < f64::EPSILON);
}

fn against_before(mut check: Check, worse_by: f64) -> Check {
    check.breach.clear();
    check.baseline =
        Some(BaselineRule { against: vec![Against::Before], worse_by, severity: Severity::Sev2 });
    check
}

#[test]
fn a_baseline_breach_counts_only_outside_normal() {
    let check = against_before(error_rate(), 2.0);
    let mut state = CheckState::new(&check);
    state.baseline = Baseline::of(&check, &counts(10.0, 100_000.0));
    for i in 0..3 {
        let inside = state.observe(&check, at(i), &counts(90.0, 100_000.0), true);
        assert_eq!(inside.verdict, Verdict::Healthy, "0.09% is nine times as bad, and normal");
    }
    state.observe(&check, at(3), &counts(900.0, 100_000.0), true);
    let judgement = state.observe(&check, at(4), &counts(900.0, 100_000.0), true);
    assert_eq!((judgement.verdict, judgement.severity), (Verdict::Breach, Some(Severity::Sev2)));
    assert!(judgement.reason.contains("before the deployment (0.01%)"), "{}", judgement.reason);
}

#[test]
fn a_service_that_was_as_bad_before_is_elevated_not_in_breach() {
    let check = against_before(error_rate(), 2.0);
    let mut state = CheckState::new(&check);
    state.baseline = Baseline::of(&check, &counts(300.0, 10_000.0));
    for i in 0..5 {
        let judgement = state.observe(&check, at(i), &counts(330.0, 10_000.0), true);
        assert_eq!(judgement.verdict, Verdict::Elevated);
        assert!(judgement.back_to_normal, "no worse than before is what recovery asks for");
    }
}

#[test]
fn a_check_that_has_only_a_baseline_is_not_back_while_it_is_worse() {
    let mut check = against_before(error_rate(), 2.0);
    check.normal = None;
    let mut state = CheckState::new(&check);
    let judgement = state.observe(&check, at(0), &counts(90.0, 100.0), true);
    assert_eq!(judgement.verdict, Verdict::NoData, "there is nothing to judge it by yet");
    state.baseline = Baseline::of(&check, &counts(100.0, 10_000.0));
    for i in 1..4 {
        let judgement = state.observe(&check, at(i), &counts(900.0, 10_000.0), true);
        assert!(!judgement.back_to_normal);
    }
    assert_eq!(state.verdict(), Some(Verdict::Breach));
}

#[test]
fn a_baseline_on_too_little_traffic_is_missing_and_says_so() {
    let check = against_before(error_rate(), 2.0);
    let baseline = Baseline::of(&check, &counts(0.0, 5.0));
    assert!(matches!(baseline, Baseline::Missing { because } if because.contains("traffic")));
}

#[test]
fn of_several_series_the_worst_counts_and_is_named() {
    let mut check = error_rate();
    check.measure = Measure::Gauge { query: "cpu".into(), unit: Unit::Ratio };
    let values =
        BTreeMap::from([("{task=\"a\"}".to_owned(), 0.2), ("{task=\"b\"}".to_owned(), 0.5)]);
    let reading = Ok(Measurement::Gauge { values });
    let mut state = CheckState::new(&check);
    state.observe(&check, at(0), &reading, true);
    let judgement = state.observe(&check, at(15), &reading, true);
    assert_eq!(judgement.verdict, Verdict::Breach);
    assert!(judgement.reason.contains("task=\"b\""), "{}", judgement.reason);
}
