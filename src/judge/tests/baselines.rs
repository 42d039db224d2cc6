//! What is compared with what was before.

use super::*;

const BOTH: [Against; 2] = [Against::Before, Against::SameHour];

#[test]
fn a_baseline_breach_counts_only_outside_normal() {
    let check = compared(error_rate(), 2.0, &[Against::Before]);
    let mut play = Play::of(check).after(|_| counts(10.0, 100_000.0));
    let inside = play.sees_often(30, &counts(90.0, 100_000.0));
    assert_eq!(inside.verdict, Verdict::Healthy, "0.09 % is nine times as bad, and normal");
    let judgement = play.sees_often(10, &counts(900.0, 100_000.0));
    assert_eq!((judgement.verdict, judgement.severity), (Verdict::Breach, Some(Severity::Sev2)));
    assert!(judgement.reason.contains("2x worse than before 0.01%"), "{}", judgement.reason);
}

#[test]
fn near_zero_a_factor_says_nothing() {
    let mut check = compared(error_rate(), 2.0, &[Against::Before]);
    check.normal = None;
    let mut play = Play::of(check).after(|_| counts(1.0, 100_000.0));
    assert_eq!(
        play.sees_often(40, &counts(100.0, 100_000.0)).verdict,
        Verdict::Healthy,
        "a hundred times as bad, and one in a thousand"
    );
    assert_eq!(play.sees_often(20, &counts(1000.0, 100_000.0)).verdict, Verdict::Breach);
}

#[test]
fn a_baseline_breach_must_hold_against_every_usable_baseline() {
    let mut check = compared(error_rate(), 2.0, &BOTH);
    check.normal = None;
    let worse = counts(3.0, 100.0);
    let mut play = Play::of(check.clone()).after(quiet);
    play.knows(Against::SameHour, quiet);
    assert_eq!(play.sees_often(30, &worse).verdict, Verdict::Breach);
    let mut play = Play::of(check.clone()).after(quiet);
    play.knows(Against::SameHour, |_| counts(2.0, 100.0));
    assert_eq!(play.breaches_at(100, &worse), None, "it is usual at this hour");
    let mut play = Play::of(check).after(quiet);
    let missing = Baseline::Missing { because: "no data".into() };
    play.state.baselines.insert(Against::SameHour, missing);
    assert_eq!(
        play.sees_often(30, &worse).verdict,
        Verdict::Breach,
        "what is missing asks nothing"
    );
}

#[test]
fn a_service_that_was_as_bad_before_is_back_where_it_was() {
    let check = compared(error_rate(), 2.0, &[Against::Before]);
    let mut play = Play::of(check).after(|_| counts(30.0, 1000.0));
    for _ in 0..40 {
        let judgement = play.sees(counts(33.0, 1000.0));
        assert_eq!(judgement.verdict, Verdict::Elevated);
        assert!(judgement.back_to_normal, "no worse than before is what recovery asks for");
    }
}

#[test]
fn a_check_that_has_only_a_baseline_is_no_data_without_it() {
    let check = compared(error_rate(), 2.0, &[Against::Before]);
    let mut play = Play::of(check);
    let judgement = play.sees_often(5, &counts(90.0, 100.0));
    assert_eq!(judgement.verdict, Verdict::NoData);
    assert_eq!(judgement.reason, "no baseline to judge by: not measured yet");
    let missing = Baseline::Missing { because: "too few samples".into() };
    play.state.baselines.insert(Against::Before, missing);
    let judgement = play.sees(counts(90.0, 100.0));
    assert_eq!(judgement.reason, "no baseline to judge by: too few samples");
}

#[test]
fn a_check_that_is_worse_than_before_is_not_back() {
    let mut check = compared(error_rate(), 2.0, &[Against::Before]);
    check.normal = None;
    let mut play = Play::of(check).after(quiet);
    for _ in 0..6 {
        assert!(!play.sees(counts(9.0, 100.0)).back_to_normal);
    }
    assert_eq!(play.state.verdict(), Some(Verdict::Breach));
}

#[test]
fn without_a_baseline_the_limit_itself_is_the_null() {
    let mut play = Play::of(error_rate());
    let judgement = play.sees(counts(0.0, 100.0));
    assert!((judgement.weight.unwrap().null - 0.01).abs() < 1e-12);
    assert_eq!(play.breaches_at(20, &counts(30.0, 100.0)), Some(3), "the limit needs no baseline");
}

#[test]
fn with_a_baseline_the_null_lies_between_what_was_usual_and_the_limit() {
    let null = |usual: f64| {
        let mut play = Play::of(error_rate()).after(|_| counts(usual, 10_000.0));
        play.sees(counts(0.0, 100.0)).weight.unwrap().null
    };
    assert!((null(1.0) - 0.0025).abs() < 1e-12, "a quarter of the limit at least");
    assert!((0.005..0.0055).contains(&null(50.0)), "or else what was usual");
    assert!((0.05..0.052).contains(&null(500.0)), "even above the limit");
}

#[test]
fn a_baseline_on_too_little_is_missing_and_says_so() {
    let because = |samples: Vec<(Timestamp, Reading)>| {
        let Baseline::Missing { because } = Baseline::of(&error_rate(), &samples, 15.0) else {
            panic!("usable")
        };
        because
    };
    let few = |count: usize, of: Reading| (0..).map(|i| (at(i), of.clone())).take(count).collect();
    assert_eq!(because(few(5, counts(0.0, 3.0))), "too little traffic (15 events)");
    assert_eq!(because(few(2, counts(0.0, 300.0))), "too few samples");
    let said = because(few(9, Err(Unusable::Empty)));
    assert_eq!(said, "0 of 9 samples: the query returns no series");
    assert_eq!(because(few(9, counts(f64::NAN, 100.0))), "too few samples");
}

/// Samples until a change to `bad` of 100 is found, after a day in which each of `minutes`
/// in the hour had 10 % bad ones.
fn found_after(minutes: std::ops::Range<i64>, bad: f64) -> Option<usize> {
    let check = error_rate();
    let of = |minute: i64| {
        let slow = minutes.contains(&(minute % 60));
        (at(minute * 60 - 86_400), counts(if slow { 40.0 } else { 0.0 }, 400.0))
    };
    let day: Vec<(Timestamp, Reading)> = (1..=1440).map(of).collect();
    let mut play = Play::of(check.clone()).after(quiet);
    play.state.transients = Some(Baseline::transients(&check, &day, 60.0));
    play.breaches_at(60, &counts(bad, 100.0))
}

#[test]
fn a_change_must_outlast_what_passed_by_itself_before() {
    let quiet_day = found_after(0..0, 10.0).unwrap();
    let slow_minutes = found_after(20..24, 10.0).unwrap();
    assert!(quiet_day <= 4, "{quiet_day}");
    assert!((17..=28).contains(&slow_minutes), "longer than sixteen samples: {slow_minutes}");
}

#[test]
fn what_is_far_worse_than_what_passed_by_itself_is_found_at_once() {
    assert!(found_after(20..24, 100.0).is_some_and(|samples| samples <= 6));
}

#[test]
fn what_lasted_long_was_no_transient_and_slows_nothing_down() {
    assert_eq!(found_after(20..45, 10.0), found_after(0..0, 10.0));
}

#[test]
fn what_varies_more_than_chance_is_thinned() {
    let phi = |of: fn(i64) -> Reading| {
        let Baseline::Measured(reference) = Baseline::of(&error_rate(), &stretch(0, of), 15.0)
        else {
            panic!("missing")
        };
        let crate::judge::baseline::Usual::Share(share) = reference.usual else { panic!() };
        share.phi
    };
    assert!((phi(quiet) - 1.0).abs() < 1e-9);
    let ripples = |i: i64| counts(if i / 2 % 2 == 0 { 20.0 } else { 0.0 }, 100.0);
    assert!(phi(ripples) > 5.0);
}

#[test]
fn a_series_is_compared_with_its_level() {
    let usual = |i: i64| gauge(&[("", if i % 2 == 0 { 0.30 } else { 0.32 })]);
    let check = compared(cpu(), 1.5, &[Against::Before]);
    let mut play = Play::of(check.clone()).after(usual);
    assert_eq!(play.breaches_at(100, &usual(0)), None);
    assert_eq!(play.breaches_at(100, &gauge(&[("", 0.40)])), None, "less than half as much again");
    let mut play = Play::of(check).after(usual);
    let found = play.breaches_at(20, &gauge(&[("", 0.8)]));
    assert!(found.is_some_and(|sample| sample >= 3), "{found:?}");
}

/// Errors of the last five minutes as somebody else counts them: normal below 10, and no limit.
fn sentry() -> Check {
    let measure = Measure::Gauge { of: Gauged::Query("sentry".into()), unit: Unit::Number };
    let normal = Some(limit(Side::Below, 10.0, Unit::Number).bound);
    compared(Check { normal, ..check(measure) }, 3.0, &[Against::Before])
}

#[test]
fn where_there_was_nothing_before_what_is_outside_normal_is_worse() {
    let mut play = Play::of(sentry()).after(|_| gauge(&[("errors", 0.0)]));
    let judgement = play.sees_often(40, &gauge(&[("errors", 9.0)]));
    assert_eq!(judgement.verdict, Verdict::Healthy, "nine are normal");
    assert_eq!(play.sees(gauge(&[("errors", 500.0)])).verdict, Verdict::Elevated, "one sample");
    let judgement = play.sees_often(12, &gauge(&[("errors", 500.0)]));
    assert_eq!((judgement.verdict, judgement.severity), (Verdict::Breach, Some(Severity::Sev2)));
    assert_eq!(judgement.limit.as_deref(), Some("normal < 10, before 0"));
    assert!(!judgement.back_to_normal);
    assert!(judgement.blame.is_some_and(|blame| blame.is_ours()));
}

#[test]
fn where_there_was_nothing_before_and_no_normal_a_factor_says_nothing() {
    let check = Check { normal: None, ..sentry() };
    let mut play = Play::of(check).after(|_| gauge(&[("errors", 0.0)]));
    assert_eq!(play.breaches_at(60, &gauge(&[("errors", 500.0)])), None);
}
