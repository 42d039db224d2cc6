//! Leaks, through a check.

use super::*;
use crate::policy::LeakRule;

/// SEV3 where memory will be full within a day.
fn memory() -> Check {
    let rule =
        LeakRule { wall: 1.0, within: SignedDuration::from_hours(24), severity: Severity::Sev3 };
    Check {
        leak: Some(rule),
        ..check(Measure::Gauge { of: Gauged::Query("memory".into()), unit: Unit::Ratio })
    }
}

/// The first of two hours of samples 30 s apart that makes a breach.
fn found(check: Check, of: impl Fn(f64) -> f64) -> Option<i32> {
    let mut play = Play::of(check);
    play.interval = 30;
    (0..240).find(|i| {
        let value = of(f64::from(*i) / 2.0) + f64::from(i % 3) * 1e-3;
        play.sees(gauge(&[("", value)])).verdict == Verdict::Breach
    })
}

#[test]
fn what_fills_up_steadily_is_a_leak_long_before_the_wall() {
    let sample = found(memory(), |minute| 0.3 + 0.006 * minute).unwrap();
    assert!((30..=60).contains(&sample), "{sample}: a quarter to half an hour");
}

#[test]
fn a_leak_says_when_the_wall_is_reached() {
    let mut play = Play::of(memory());
    play.interval = 60;
    let value = |i: i32| 0.3 + 0.006 * f64::from(i);
    let last = (0..60).map(|i| play.sees(gauge(&[("", value(i))]))).last().unwrap();
    assert_eq!((last.verdict, last.severity), (Verdict::Breach, Some(Severity::Sev3)));
    assert!(
        last.reason.contains(", climbs by 36% an hour, 100% is reached at 2023-11-15 "),
        "{}",
        last.reason
    );
}

#[test]
fn what_is_steady_warms_up_or_saws_is_no_leak() {
    assert_eq!(found(memory(), |_| 0.6), None);
    assert_eq!(found(memory(), |minute| 0.7 - 0.4 * (-minute / 15.0).exp()), None, "warm-up");
    assert_eq!(found(memory(), |minute| 0.3 + 0.05 * (minute % 6.0)), None, "collected garbage");
}

#[test]
fn a_leak_too_slow_for_the_time_that_is_given_is_none() {
    let mut check = memory();
    check.leak.as_mut().unwrap().within = SignedDuration::from_mins(30);
    let sample = found(check, |minute| 0.3 + 0.006 * minute).unwrap();
    assert!(sample >= 160, "{sample}: 30 minutes before the wall");
}

#[test]
fn as_steep_as_the_revision_before_is_no_news() {
    let mut play = Play::of(memory()).after(|i| {
        #[expect(clippy::cast_precision_loss, reason = "small")]
        let value = 0.2 + 0.0015 * i as f64;
        gauge(&[("", value)])
    });
    play.interval = 60;
    let bad = (0..100)
        .any(|i| play.sees(gauge(&[("", 0.2 + 0.006 * f64::from(i))])).verdict == Verdict::Breach);
    assert!(!bad);
}
