//! Health endpoints: what was down before is not the deployment's doing.

use std::collections::{BTreeMap, BTreeSet};

use jiff::SignedDuration;

use super::world::{Guard, at, key, policy, revision, service, sighting};
use crate::model::{
    Ask, Inspection, Measurement, Reading, RollOut, RollbackSafe, Route, Severity, Unusable,
    Verdict,
};
use crate::policy::{
    Bound, Check, Health, Limit, Measure, Policy, Probe, Probed, Side, Stated, Unit, WebText,
};
use crate::watch::{Event, IntakeStep, Sampled, Seen, Stage, Tick, on_sighting};

pub fn health() -> Policy {
    let bound = Bound { side: Side::AtLeast, value: 3.0, unit: Unit::Failures };
    let web = WebText {
        url: "https://shop.example/health".into(),
        headers: BTreeMap::new(),
        body: None,
        timeout: SignedDuration::from_secs(5),
    };
    let (expect, depends_on, version) = (BTreeSet::new(), BTreeSet::new(), None);
    let of = Stated::Http(Box::new(Health { web, expect, depends_on, version }));
    let mut policy = policy();
    policy.checks = vec![Check {
        name: "health".into(),
        measure: Measure::Status { of },
        normal: None,
        breach: BTreeMap::from([(Severity::Sev1, Limit { bound, hold: None })]),
        baseline: None,
        leak: None,
        min_traffic: 20.0,
        window: None,
        from: None,
        optional: false,
    }];
    policy
}

fn rolling_out() -> Guard {
    let mut guard = Guard::over(health());
    guard.finds_target();
    looks(&mut guard, 0);
    guard
}

pub fn looks(guard: &mut Guard, running: u32) {
    let mut look = sighting(guard.clock, "ecs-svc/2", 2, RollOut::InProgress);
    look.primary.running = running;
    guard.sees(look);
}

/// A new task is in service, and the grace is over.
fn in_service(guard: &mut Guard) {
    looks(guard, 1);
    guard.clock += 30;
}

/// So many times, each ten seconds later.
fn answers(guard: &mut Guard, times: usize, series: &[(&str, f64)]) {
    let values = series.iter().map(|(name, up)| (format!("{{check={name:?}}}"), *up)).collect();
    for _ in 0..times {
        reads(guard, Ok(Measurement::Gauge { values: BTreeMap::clone(&values) }));
    }
}

fn reads(guard: &mut Guard, reading: Reading) {
    guard.clock += 10;
    let beside = BTreeMap::from([("health".to_owned(), ["v2 answers".to_owned()].into())]);
    let readings = BTreeMap::from([("health".to_owned(), reading)]);
    let latest = Tick { readings, beside, ..Tick::at(at(guard.clock)) };
    guard.take(Event::Sampled(Box::new(Sampled::of(latest)))).unwrap();
}

fn says(guard: &Guard) -> (Verdict, &str) {
    let last = guard.watch.checks["health"].last.as_ref().unwrap();
    (last.verdict, &last.reason)
}

const UP: [(&str, f64); 2] = [("db", 1.0), ("status", 1.0)];
const DB_DOWN: [(&str, f64); 2] = [("db", 0.0), ("status", 1.0)];

#[test]
fn what_goes_down_with_the_new_version_is_rolled_back_and_replays_exactly() {
    let mut guard = rolling_out();
    assert!(matches!(guard.watch.stage, Stage::Starting));
    assert!(guard.watch.next_tick.is_some(), "health is looked at from the start");
    answers(&mut guard, 2, &UP);
    in_service(&mut guard);
    answers(&mut guard, 2, &DB_DOWN);
    assert_eq!(
        says(&guard),
        (
            Verdict::Elevated,
            "2 failures ({check=\"db\"}): over a limit, not for long enough yet; v2 answers"
        )
    );
    answers(&mut guard, 1, &DB_DOWN);
    assert!(guard.wants_rollback(), "{:?}", guard.said());
    assert_eq!(guard.replayed(), guard.watch);
}

#[test]
fn what_was_down_before_is_never_rolled_back_until_it_has_been_up_once() {
    let mut guard = rolling_out();
    answers(&mut guard, 1, &DB_DOWN);
    in_service(&mut guard);
    answers(&mut guard, 20, &DB_DOWN);
    assert_eq!(
        says(&guard),
        (Verdict::Healthy, "up; not counted before it has been up: db; v2 answers")
    );
    assert!(!guard.watch.has_open_incident());
    assert_eq!(guard.replayed(), guard.watch);
    answers(&mut guard, 1, &UP);
    answers(&mut guard, 3, &DB_DOWN);
    assert!(guard.wants_rollback(), "{:?}", guard.said());
    assert_eq!(guard.replayed(), guard.watch);
}

/// ecs-svc/3 takes the place of what `before` watches, and is in service when it is first seen,
/// `later` seconds after the last sample.
fn replaced(before: &Guard, later: i64, running: u32) -> Guard {
    let seconds = before.clock + later;
    let mut look = sighting(seconds, "ecs-svc/3", 3, RollOut::InProgress);
    (look.primary.created_at, look.primary.running) = (at(before.clock), running);
    let known = Seen {
        service: key(),
        platform_id: "ecs-svc/2".into(),
        revision: revision(2),
        poison: None,
        spoiled: Vec::new(),
    };
    let steps = on_sighting(&look, Some(&known), &[&before.watch], &service());
    let opened = steps.into_iter().find_map(|step| match step {
        IntakeStep::Open(deployment, _) => Some(*deployment),
        IntakeStep::Adopt(_) | IntakeStep::Deliver(..) => None,
    });
    let mut deployment = opened.unwrap();
    deployment.facts.rollback_safe = RollbackSafe::Yes;
    let mut guard = Guard::begun(deployment, health(), seconds);
    let target = Ok((revision(2), "what was there".to_owned()));
    guard.take(Event::Inspected { target, inspection: Inspection::default() }).unwrap();
    guard.sees(look);
    guard.clock += 30;
    guard
}

#[test]
fn what_is_down_from_its_first_moment_and_was_up_right_before_is_rolled_back() {
    let mut before = rolling_out();
    in_service(&mut before);
    answers(&mut before, 3, &UP);
    // The last answer of the old watch is the new deployment's already.
    answers(&mut before, 1, &DB_DOWN);
    let mut guard = replaced(&before, 5, 3);
    answers(&mut guard, 3, &DB_DOWN);
    assert!(guard.wants_rollback(), "{:?}", guard.said());
    assert_eq!(guard.replayed(), guard.watch);
}

#[test]
fn what_was_down_right_before_or_not_seen_lately_is_not_the_next_deployments_doing() {
    let mut down = rolling_out();
    answers(&mut down, 1, &UP);
    in_service(&mut down);
    answers(&mut down, 2, &DB_DOWN);
    let mut long_ago = rolling_out();
    answers(&mut long_ago, 2, &UP);
    in_service(&mut long_ago);
    answers(&mut long_ago, 1, &UP);
    for (before, later) in [(down, 5), (long_ago, 600)] {
        let mut guard = replaced(&before, later, 3);
        answers(&mut guard, 20, &DB_DOWN);
        assert!(!guard.watch.has_open_incident(), "{later}");
    }
    // What comes into service under the guard's eyes is looked at itself.
    let mut before = rolling_out();
    in_service(&mut before);
    answers(&mut before, 3, &UP);
    assert!(replaced(&before, 5, 0).watch.deployment.inherited.just_before.is_empty());
}

#[test]
fn an_endpoint_that_nobody_saw_up_is_no_data_and_is_told() {
    let mut guard = rolling_out();
    in_service(&mut guard);
    answers(&mut guard, 20, &[("status", 0.0)]);
    let (verdict, reason) = says(&guard);
    assert_eq!(verdict, Verdict::NoData);
    assert!(reason.starts_with("down since before the deployment, or never seen up"), "{reason}");
    assert!(!guard.watch.has_open_incident());
    let said = guard.said();
    assert_eq!(
        said.iter().filter(|words| words.contains("can't be judged")).count(),
        1,
        "{said:?}"
    );
}

#[test]
fn an_endpoint_that_falls_silent_is_down_and_one_that_can_not_be_asked_is_not() {
    let mut guard = rolling_out();
    answers(&mut guard, 1, &UP);
    in_service(&mut guard);
    for _ in 0..5 {
        reads(&mut guard, Err(Unusable::Unreachable("none of 2 hosts answers".into())));
    }
    assert_eq!(says(&guard).0, Verdict::NoData);
    assert!(!guard.watch.has_open_incident());
    answers(&mut guard, 3, &[("status", 0.0)]);
    assert!(guard.wants_rollback(), "{:?}", guard.said());
}

#[test]
fn what_is_seen_before_a_task_is_in_service_is_no_evidence() {
    let mut guard = rolling_out();
    answers(&mut guard, 1, &UP);
    answers(&mut guard, 20, &[("status", 0.0)]);
    assert!(!guard.watch.has_open_incident());
}

#[test]
fn a_probe_is_told_when_its_deployment_came_into_service_and_when_a_rollback_took_its_place() {
    let mut guard = rolling_out();
    let asked = |guard: &Guard| {
        let of = Probed::Command("smoke".into());
        let probe = Probe { of, every: SignedDuration::from_mins(10), new_only: false };
        let check = &health().checks[0];
        let measure = Measure::Status { of: Stated::Probe(Box::new(probe)) };
        let check = Check { measure, ..check.clone() };
        let question =
            health().question(&check, &guard.watch.vars(), SignedDuration::ZERO, None, None);
        let Ask::Probe(ask) = &question.asks[0] else { panic!("{question:?}") };
        (ask.live, ask.again)
    };
    answers(&mut guard, 1, &UP);
    assert_eq!(asked(&guard), (None, None));
    in_service(&mut guard);
    let live = Some(at(guard.clock - 30));
    answers(&mut guard, 3, &DB_DOWN);
    guard.accepts(Route::UpdateService);
    assert_eq!(asked(&guard), (live, None), "it is on its way");
    guard.sees(sighting(guard.clock, "ecs-svc/3", 1, RollOut::Completed));
    assert_eq!(asked(&guard), (live, Some(at(guard.clock))));
}
