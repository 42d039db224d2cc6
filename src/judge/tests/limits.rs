//! Limits that the policy writes: when exceeding them is a breach.

use super::*;
use crate::judge::Blame;

#[test]
fn three_samples_must_agree_however_bad_they_are() {
    let mut play = Play::of(error_rate()).after(quiet);
    let outage = counts(100.0, 100.0);
    assert_eq!(play.breaches_at(5, &outage), Some(3));
}

#[test]
fn a_spike_of_two_samples_never_breaches_however_bad() {
    for total in [100.0, 10_000.0, 1e9] {
        let mut play = Play::of(error_rate()).after(quiet);
        assert_eq!(play.breaches_at(2, &counts(total, total)), None);
        assert_eq!(play.breaches_at(100, &counts(0.0, total)), None, "{total}");
    }
}

#[test]
fn a_limit_breaches_only_as_severely_as_is_sure() {
    let mut play = Play::of(error_rate()).after(quiet);
    let judgement = play.sees_often(20, &counts(3.0, 100.0));
    assert_eq!(judgement.severity, Some(Severity::Sev2), "3 % is above 1 % and not above 10 %");
    let mut play = Play::of(error_rate()).after(quiet);
    let judgement = play.sees_often(20, &counts(30.0, 100.0));
    assert_eq!(judgement.severity, Some(Severity::Sev1));
    let mut play = Play::of(error_rate()).after(quiet);
    let judgement = play.sees_often(4, &counts(11.0, 100.0));
    assert_eq!(
        judgement.severity,
        Some(Severity::Sev2),
        "44 of 400 are surely above 1 %, and above 10 % only perhaps"
    );
}

#[test]
fn the_worst_limit_may_be_the_only_one() {
    let mut check = error_rate();
    check.breach.remove(&Severity::Sev2);
    let mut play = Play::of(check).after(quiet);
    assert_eq!(play.sees_often(10, &counts(15.0, 100.0)).severity, Some(Severity::Sev1));
}

#[test]
fn one_or_two_bad_events_are_never_a_breach() {
    let mut play = Play::of(error_rate());
    play.sees_often(8, &counts(0.0, 3.0));
    for bad in [1.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0] {
        assert_ne!(play.sees(counts(bad, 3.0)).verdict, Verdict::Breach);
    }
}

#[test]
fn a_limit_with_for_breaches_when_it_has_held_that_long() {
    let mut check = error_rate();
    for limit in check.breach.values_mut() {
        limit.hold = Some(SignedDuration::from_mins(2));
    }
    let mut play = Play::of(check).after(quiet);
    let bad = counts(5.0, 100.0);
    assert_eq!(play.sees_often(8, &bad).verdict, Verdict::Elevated, "105 s are not 2 minutes");
    let judgement = play.sees(bad);
    assert_eq!((judgement.verdict, judgement.severity), (Verdict::Breach, Some(Severity::Sev2)));
    assert!(!judgement.reason.contains("by chance"), "no bound is claimed: {}", judgement.reason);
}

#[test]
fn a_gap_in_the_data_begins_the_time_of_a_limit_anew() {
    let mut check = error_rate();
    check.breach.values_mut().for_each(|limit| limit.hold = Some(SignedDuration::from_secs(60)));
    let mut play = Play::of(check).after(quiet);
    let bad = counts(5.0, 100.0);
    play.sees_often(4, &bad);
    play.sees(Err(Unusable::Empty));
    assert_eq!(play.breaches_at(10, &bad), Some(5));
}

#[test]
fn a_gauge_breaches_on_three_samples_running() {
    let mut play = Play::of(cpu());
    let high = gauge(&[("", 0.95)]);
    assert_eq!(play.breaches_at(2, &high), None);
    play.sees(gauge(&[("", 0.5)]));
    assert_eq!(play.breaches_at(4, &high), Some(3));
}

#[test]
fn of_several_series_the_worst_counts_and_is_named() {
    let mut play = Play::of(cpu());
    let judgement = play.sees_often(3, &gauge(&[("{task=\"a\"}", 0.2), ("{task=\"b\"}", 0.95)]));
    assert_eq!(judgement.verdict, Verdict::Breach);
    assert!(judgement.reason.contains("task=\"b\""), "{}", judgement.reason);
}

#[test]
fn a_limit_below_looks_downwards() {
    let mut check = cpu();
    check.breach = BTreeMap::from([(Severity::Sev2, limit(Side::Below, 2.0, Unit::Number))]);
    let mut play = Play::of(check);
    assert_eq!(play.sees_often(9, &gauge(&[("", 3.0)])).verdict, Verdict::Healthy);
    let judgement = play.sees_often(3, &gauge(&[("a", 3.0), ("b", 1.0)]));
    assert_eq!((judgement.verdict, judgement.value), (Verdict::Breach, Some(1.0)));
}

#[test]
fn the_good_part_of_a_ratio_is_judged_by_what_is_missing() {
    let mut play = Play::of(success_rate()).after(quiet);
    let fine = play.sees_often(8, &counts(0.0, 100.0));
    assert_eq!((fine.verdict, fine.value), (Verdict::Healthy, Some(1.0)));
    let judgement = play.sees_often(8, &counts(5.0, 100.0));
    assert_eq!((judgement.verdict, judgement.severity), (Verdict::Breach, Some(Severity::Sev2)));
    assert_eq!(judgement.value, Some(0.95));
    assert!(judgement.reason.starts_with("95%, limit < 99%"), "{}", judgement.reason);
    assert_eq!(judgement.blame, Some(Blame::Deployment));
}

#[test]
fn a_status_breaches_after_so_many_failures_running() {
    let mut check = check(Measure::Status { of: Stated::Query("up".into()) });
    check.breach = BTreeMap::from([(Severity::Sev1, limit(Side::AtLeast, 3.0, Unit::Failures))]);
    let mut play = Play::of(check);
    let (up, down) = (gauge(&[("a", 1.0)]), gauge(&[("a", 1.0), ("b", 0.0)]));
    assert_eq!(play.sees(up.clone()).reason, "up");
    assert_eq!(play.sees_often(2, &down).verdict, Verdict::Elevated);
    assert_eq!(play.sees(up).verdict, Verdict::Healthy, "one that is up begins anew");
    assert_eq!(play.breaches_at(5, &down), Some(3));
}

#[test]
fn being_up_is_no_failure_where_one_is_enough() {
    let mut check = check(Measure::Status { of: Stated::Alarms(vec!["cpu".into()]) });
    check.breach = BTreeMap::from([(Severity::Sev2, limit(Side::AtLeast, 1.0, Unit::Failures))]);
    let mut play = Play::of(check);
    assert_eq!(play.sees_often(9, &gauge(&[("cpu", 1.0)])).verdict, Verdict::Healthy);
    assert_eq!(play.breaches_at(2, &gauge(&[("cpu", 0.0)])), Some(1));
}

#[test]
fn failures_in_the_grace_are_not_counted() {
    let mut check = check(Measure::Status { of: Stated::Query("up".into()) });
    check.breach = BTreeMap::from([(Severity::Sev1, limit(Side::AtLeast, 3.0, Unit::Failures))]);
    let mut play = Play::of(check);
    let down = gauge(&[("", 0.0)]);
    for _ in 0..10 {
        assert_eq!(play.looks(down.clone(), false).verdict, Verdict::Elevated);
    }
    assert_eq!(play.breaches_at(5, &down), Some(2), "the last look of the grace was down as well");
}

#[test]
fn latency_breaches_on_the_share_of_slow_requests() {
    let usual = |_| requests([30.0, 10.0, 3.0, 0.0], 100.0);
    let mut play = Play::of(latency()).after(usual);
    assert_eq!(play.sees_often(40, &usual(0)).verdict, Verdict::Healthy);
    let judgement = play.sees_often(8, &requests([60.0, 40.0, 15.0, 5.0], 100.0));
    assert_eq!((judgement.verdict, judgement.severity), (Verdict::Breach, Some(Severity::Sev2)));
    assert!(judgement.value.unwrap() > 0.5);
}

#[test]
fn slower_than_before_and_below_the_limit_is_no_breach_of_it() {
    let mut play = Play::of(latency()).after(|_| requests([30.0, 3.0, 0.0, 0.0], 100.0));
    let judgement = play.sees_often(40, &requests([60.0, 12.0, 0.0, 0.0], 100.0));
    assert_eq!(judgement.verdict, Verdict::Healthy);
    assert!(judgement.weight.unwrap().ln_e > 10.0, "that it changed is sure all the same");
}

#[test]
fn a_spike_that_only_the_window_remembers_has_not_lasted() {
    for window in [60, 300] {
        let mut check = error_rate();
        check.window = Some(SignedDuration::from_secs(window));
        check.breach.values_mut().for_each(|limit| limit.hold = Some(SignedDuration::from_mins(1)));
        let mut play = Play::of(check.clone()).after(quiet);
        play.sees_often(4, &quiet(1));
        assert_eq!(play.breaches_at(2, &counts(60.0, 100.0)), None, "half a minute");
        assert_eq!(play.breaches_at(60, &quiet(1)), None, "the window of {window} s is full of it");
        let mut play = Play::of(check).after(quiet);
        assert_eq!(play.breaches_at(60, &counts(60.0, 100.0)), Some(5), "from the first look on");
    }
}

#[test]
fn buckets_that_share_no_bound_are_no_data_and_not_low_traffic() {
    let mut play = Play::of(latency());
    play.sees(requests([30.0, 10.0, 3.0, 0.0], 100.0));
    let (bounds, within) = (vec![0.2, 2.0], vec![90.0, 100.0]);
    let other = Histogram { bounds, within, total: 100.0 };
    let judgement = play.sees(Ok(Measurement::Histogram(other.into())));
    assert_eq!(judgement.verdict, Verdict::NoData);
    assert!(judgement.reason.contains("share no bound"), "{}", judgement.reason);
}

#[test]
fn a_breach_whose_latest_sample_is_better_says_what_it_rests_on() {
    let check = Check { window: Some(SignedDuration::from_secs(15)), ..error_rate() };
    let mut play = Play::of(check).after(quiet);
    play.breaches_at(10, &counts(5.0, 100.0)).unwrap();
    let plain = play.sees(counts(5.0, 100.0)).reason;
    assert!(plain.starts_with("5%, limit > 1%; by chance 1 in "), "{plain}");
    let better = play.sees(counts(0.0, 100.0));
    assert_eq!(better.verdict, Verdict::Breach);
    assert!(better.reason.starts_with("0% now, "), "{}", better.reason);
    assert!(better.reason.contains("% since ") && better.reason.contains("limit > 1%"));
}
