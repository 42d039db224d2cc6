//! Task health: what becomes of the tasks decides, with no metric at all.

use std::collections::{BTreeMap, BTreeSet};

use jiff::SignedDuration;

use super::world::{Guard, at, policy, sighting};
use crate::model::{
    Ask, Body, Measurement, Outcome, Reading, RollOut, Route, Severity, StopKind, TaskGauge,
    TaskStop, Unusable,
};
use crate::policy::{Bound, Check, Gauged, Limit, Measure, Policy, Side, Unit};
use crate::watch::{Event, Sampled, Stage, Tick, Want};

/// More than two failures are a SEV1, and logs are shown.
fn tasks() -> Policy {
    let bound = Bound { side: Side::Above, value: 2.0, unit: Unit::Number };
    let limit = Limit { bound, hold: Some(SignedDuration::ZERO) };
    let mut policy = policy();
    policy.checks.push(Check {
        name: "task failures".into(),
        measure: Measure::Gauge { of: Gauged::Tasks(TaskGauge::Failures), unit: Unit::Number },
        normal: None,
        breach: BTreeMap::from([(Severity::Sev1, limit)]),
        baseline: None,
        leak: None,
        min_traffic: 20.0,
        window: None,
        from: None,
        optional: false,
    });
    policy.notify.logs = true;
    policy
}

fn stop(number: i64, kind: StopKind) -> TaskStop {
    TaskStop {
        at: at(number),
        task: format!("task{number}"),
        definition: "api:2".into(),
        kind,
        container: Some("app".into()),
        reason: "x".into(),
        memory: Some(512),
    }
}

fn rolling_out(running: u32) -> Guard {
    let mut guard = Guard::over(tasks());
    guard.finds_target();
    let mut look = sighting(0, "ecs-svc/2", 2, RollOut::InProgress);
    look.primary.running = running;
    guard.sees(look);
    guard
}

/// Ten seconds pass, then so many tasks have failed.
fn fails(guard: &mut Guard, count: i64) {
    let values = BTreeMap::from([("value".to_owned(), f64::from(i32::try_from(count).unwrap()))]);
    reads(guard, Ok(Measurement::Gauge { values }), count);
}

fn reads(guard: &mut Guard, reading: Reading, stops: i64) {
    guard.clock += 10;
    let readings = BTreeMap::from([("task failures".to_owned(), reading)]);
    let latest = Tick { readings, ..Tick::at(at(guard.clock)) };
    let stops: BTreeSet<TaskStop> =
        (0..stops).map(|number| stop(number, StopKind::OutOfMemory)).collect();
    let _ = guard.take(Event::Sampled(Box::new(Sampled { stops, ..Sampled::of(latest) })));
}

#[test]
fn a_crash_loop_is_rolled_back_before_a_task_is_in_service_and_replays_exactly() {
    let mut guard = rolling_out(0);
    assert!(matches!(guard.watch.stage, Stage::Starting));
    assert!(guard.watch.next_tick.is_some(), "tasks are looked at from the start");
    fails(&mut guard, 2);
    assert!(!guard.watch.has_open_incident());
    fails(&mut guard, 3);
    assert!(guard.wants_rollback(), "{:?}", guard.said());
    let evidence = guard.watch.incident.as_ref().unwrap().evidence.join("; ");
    let words = "3 tasks of api:2 were killed: out of memory (memory 512 MiB)";
    assert!(evidence.contains(words), "{evidence}");
    assert_eq!(guard.replayed(), guard.watch);
}

#[test]
fn failures_count_within_the_grace_while_metrics_do_not() {
    let mut guard = rolling_out(1);
    fails(&mut guard, 3);
    assert!(guard.wants_rollback());
}

#[test]
fn before_a_task_is_in_service_nothing_but_tasks_is_measured() {
    let guard = rolling_out(0);
    let measured = |name: &str| guard.watch.measures(guard.watch.policy().check(name).unwrap());
    assert!(measured("task failures") && !measured("errors"));
    assert!(rolling_out(1).watch.measures(guard.watch.policy().check("errors").unwrap()));
}

#[test]
fn without_a_check_of_tasks_nothing_is_asked_before_one_is_in_service() {
    let mut guard = Guard::over(policy());
    let mut look = sighting(0, "ecs-svc/2", 2, RollOut::InProgress);
    look.primary.running = 0;
    guard.sees(look);
    assert_eq!(guard.watch.next_tick, None);
}

#[test]
fn a_permission_that_is_missing_is_said_once_and_is_no_obstacle() {
    let mut guard = rolling_out(3);
    let denied = || Err(Unusable::Refused("ListTasks: AccessDeniedException".into()));
    for _ in 0..20 {
        guard.reads(0.0);
        reads(&mut guard, denied(), 0);
    }
    let said = guard.said();
    let told = said.iter().filter(|words| words.contains("can't be judged")).count();
    assert_eq!(told, 1, "{said:?}");
    assert!(!guard.watch.has_open_incident());
    assert!(guard.watch.thinly_covered().iter().all(|name| !name.contains("task failures")));
}

#[test]
fn after_a_rollback_the_tasks_of_the_target_are_asked_about() {
    let mut guard = rolling_out(1);
    fails(&mut guard, 3);
    guard.accepts(Route::UpdateService);
    guard.sees(sighting(40, "ecs-svc/3", 1, RollOut::Completed));
    let check = guard.watch.policy().check("task failures").unwrap();
    let question =
        guard.watch.policy().question(check, &guard.watch.vars(), SignedDuration::ZERO, None, None);
    let [Ask::Tasks(ask)] = &question.asks[..] else { panic!("{question:?}") };
    assert_eq!(ask.of.as_ref().unwrap().deployment, "ecs-svc/3");
    for _ in 0..12 {
        fails(&mut guard, 0);
    }
    assert_eq!(guard.watch.outcome(), Some(Outcome::RolledBack), "{:?}", guard.said());
}

#[test]
fn the_log_of_the_latest_task_that_ran_is_wanted_once_and_shown_as_it_was_written() {
    let mut guard = rolling_out(1);
    fails(&mut guard, 3);
    let wanted = |guard: &Guard| {
        guard.wants().into_iter().find_map(|want| match want {
            Want::ReadLog(stop) => Some(stop.task),
            Want::Sample { .. }
            | Want::Baseline(_)
            | Want::Inspect
            | Want::RollBack { .. }
            | Want::Shift(_)
            | Want::LeaveMaintenance(_) => None,
        })
    };
    assert_eq!(wanted(&guard).as_deref(), Some("task2"));
    let lines = Ok(vec!["boom".to_owned()]);
    guard.take(Event::LogRead { task: "task2".into(), lines }).unwrap();
    assert_eq!(wanted(&guard), None);
    let code = guard.notices.iter().find_map(|notice| match &notice.body {
        Body::Reply(reply) if !reply.code.is_empty() => Some(reply.code.clone()),
        Body::Reply(_)
        | Body::Card(_)
        | Body::Signal { .. }
        | Body::Files { .. }
        | Body::GitHub(_) => None,
    });
    assert_eq!(code, Some(vec!["boom".to_owned()]));
    let mut quiet = tasks();
    quiet.notify.logs = false;
    let mut guard = Guard::settled(quiet);
    fails(&mut guard, 3);
    assert!(guard.watch.has_open_incident());
    assert_eq!(wanted(&guard), None, "off by default");
}
