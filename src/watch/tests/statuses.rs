//! Statuses of a query: what was down before is not the deployment's doing.

use std::collections::BTreeMap;

use super::world::{Guard, at, policy};
use crate::model::{Measurement, Reading, Severity, Unusable, Verdict};
use crate::policy::{Against, Bound, Check, Limit, Measure, Policy, Side, Stated, Unit};
use crate::watch::report::report;
use crate::watch::{BaselineMeasured, Event, Purpose, Sampled, Samples, Tick, Want, explain, tell};
use crate::web::WatchView;

fn up() -> Policy {
    let bound = Bound { side: Side::AtLeast, value: 3.0, unit: Unit::Failures };
    let mut policy = policy();
    policy.checks = vec![Check {
        name: "up".into(),
        measure: Measure::Status { of: Stated::Query("up".into()) },
        normal: None,
        breach: BTreeMap::from([(Severity::Sev1, Limit { bound, hold: None })]),
        ..policy.checks[0].clone()
    }];
    policy
}

#[expect(clippy::unnecessary_wraps, reason = "it stands for what a source says")]
fn says(series: &[(&str, f64)]) -> Reading {
    let values = series.iter().map(|(name, up)| ((*name).to_owned(), *up)).collect();
    Ok(Measurement::Gauge { values })
}

/// What it asks about the time before is answered by this.
fn before(guard: &mut Guard, look: Reading) {
    let ask = guard.wants().into_iter().find_map(|want| match want {
        Want::Baseline(ask) => Some(ask),
        Want::Sample { .. }
        | Want::Shift(_)
        | Want::Inspect
        | Want::ReadLog(_)
        | Want::LeaveMaintenance(_)
        | Want::RollBack { .. } => None,
    });
    let ask = ask.unwrap();
    assert_eq!(ask.purpose, Purpose::Compare(Against::Before));
    let samples = Samples::from([("up".to_owned(), vec![(at(-15), says(&[])), (at(0), look)])]);
    let came = BaselineMeasured::of(guard.watch.policy(), ask, &samples, BTreeMap::new());
    guard.take(Event::BaselineMeasured(Box::new(came))).unwrap();
}

fn reads(guard: &mut Guard, times: usize, reading: &Reading) {
    for _ in 0..times {
        guard.clock += 10;
        let readings = BTreeMap::from([("up".to_owned(), reading.clone())]);
        let latest = Tick { readings, ..Tick::at(at(guard.clock)) };
        guard.take(Event::Sampled(Box::new(Sampled::of(latest)))).unwrap();
    }
}

fn last(guard: &Guard) -> (Verdict, &str) {
    let last = guard.watch.checks["up"].last.as_ref().unwrap();
    (last.verdict, &last.reason)
}

#[test]
fn what_a_query_said_was_down_before_is_no_deployments_doing() {
    let mut guard = Guard::settled(up());
    before(&mut guard, says(&[("postgres", 0.0), ("api", 1.0)]));
    assert!(!guard.wants().iter().any(|want| matches!(want, Want::Baseline(_))), "once");
    reads(&mut guard, 30, &says(&[("postgres", 0.0), ("api", 1.0)]));
    let words = "up; not counted before it has been up: postgres";
    assert_eq!(last(&guard), (Verdict::Healthy, words));
    assert!(!guard.watch.has_open_incident());
    // What has been up since counts, and so does what was up before.
    reads(&mut guard, 1, &says(&[("postgres", 1.0), ("api", 1.0)]));
    reads(&mut guard, 3, &says(&[("postgres", 0.0), ("api", 1.0)]));
    assert!(guard.wants_rollback(), "{:?}", guard.said());
    assert_eq!(guard.replayed(), guard.watch);
}

#[test]
fn what_nobody_saw_before_counts_at_once() {
    let mut guard = Guard::settled(up());
    before(&mut guard, says(&[("api of v1", 1.0)]));
    reads(&mut guard, 3, &says(&[("api of v2", 0.0)]));
    assert!(guard.wants_rollback(), "{:?}", guard.said());
}

#[test]
fn a_past_that_can_not_be_had_excuses_nothing_and_is_not_asked_for_for_ever() {
    let mut guard = Guard::settled(up());
    before(&mut guard, Err(Unusable::Refused("too old".into())));
    reads(&mut guard, 3, &says(&[("api", 0.0)]));
    assert!(guard.wants_rollback(), "{:?}", guard.said());
    let mut guard = Guard::settled(up());
    let unreachable = || Err(Unusable::Unreachable("no answer".into()));
    let ask = |guard: &Guard| guard.wants().iter().any(|want| matches!(want, Want::Baseline(_)));
    for _ in 0..2 {
        let came = BaselineMeasured {
            purpose: Purpose::Compare(Against::Before),
            checks: BTreeMap::new(),
            left_out: jiff::SignedDuration::ZERO,
            known: BTreeMap::new(),
            looks: BTreeMap::new(),
        };
        assert!(ask(&guard));
        guard.take(Event::BaselineMeasured(Box::new(came))).unwrap();
        reads(&mut guard, 60, &unreachable());
    }
    assert!(!ask(&guard), "ten minutes are enough");
}

#[test]
fn a_status_is_up_or_down_wherever_what_it_measured_is_shown() {
    let shown = |guard: &Guard| WatchView::of(&guard.watch).checks[0].shown.clone();
    let mut guard = Guard::settled(up());
    before(&mut guard, says(&[("postgres", 0.0), ("api", 1.0)]));
    reads(&mut guard, 5, &says(&[("postgres", 0.0), ("api", 1.0)]));
    assert_eq!(shown(&guard).as_deref(), Some("up"), "what is not counted is not shown");
    reads(&mut guard, 4, &says(&[("api", 0.0)]));
    assert_eq!(shown(&guard).as_deref(), Some("down"));
    let story = explain(&guard.journal).unwrap();
    let moments = story.checks[0].moments.iter();
    let told: Vec<_> = moments.map(|one| (one.verdict, one.shown.as_deref())).collect();
    assert!(told.contains(&(Verdict::Healthy, Some("up"))), "{told:?}");
    assert!(told.contains(&(Verdict::Breach, Some("down"))), "{told:?}");
    let report = report(&tell(&guard.journal, None).unwrap());
    assert!(report.contains("| up | down | SEV1 3 failures |"), "{report}");
    assert!(!report.contains("0 failures"), "{report}");
}
