//! Maintenance mode around a rollback.

use super::world::{Guard, policy, sighting};
use crate::model::{ActFailure, Acted, Actuator, MaintenanceHooks, Mode, Outcome, RollOut, Route};
use crate::policy::Policy;
use crate::watch::{Ceiling, Event, Maintenance, Stage, Want};

fn hooks() -> MaintenanceHooks {
    let command = |name: &str| Actuator::Command(name.to_owned());
    MaintenanceHooks { on: command("maintenance-on"), off: command("maintenance-off") }
}

fn maintained() -> Policy {
    let mut policy = policy();
    policy.rollback.maintenance = Some(hooks());
    policy
}

/// Rolled back in maintenance mode: the platform has accepted it.
fn rolling_back() -> Guard {
    let mut guard = Guard::settled(maintained());
    guard.breaks(50.0);
    assert!(guard.wants_rollback());
    let acted = Acted {
        deployment: Some("ecs-svc/3".into()),
        maintained: true,
        ..Acted::by(Route::UpdateService)
    };
    guard.take(Event::Acted(Ok(acted))).unwrap();
    guard
}

fn in_place(guard: &mut Guard) {
    guard.sees(sighting(guard.clock, "ecs-svc/3", 1, RollOut::Completed));
}

fn wants_off(guard: &Guard) -> bool {
    guard.wants().iter().any(|want| matches!(want, Want::LeaveMaintenance(_)))
}

#[test]
fn it_stays_on_until_the_target_is_in_place() {
    let mut guard = rolling_back();
    assert!(!wants_off(&guard));
    in_place(&mut guard);
    assert!(wants_off(&guard));
    guard.take(Event::MaintenanceLeft(Ok(()))).unwrap();
    assert!(!wants_off(&guard));
    assert_eq!(guard.replayed(), guard.watch);
}

#[test]
fn what_is_measured_while_it_is_on_is_no_recovery_and_counts_against_nobody() {
    let mut guard = rolling_back();
    in_place(&mut guard);
    // Refusals of maintenance mode would be errors, and silence no recovery either.
    guard.lives(0.0, 600);
    assert_eq!(guard.watch.outcome(), None);
    guard.take(Event::MaintenanceLeft(Ok(()))).unwrap();
    guard.reads(0.0);
    assert_eq!(guard.watch.outcome(), None, "two windows from its end on");
    guard.lives(0.0, 300);
    assert_eq!(guard.watch.outcome(), Some(Outcome::RolledBack));
}

#[test]
fn what_can_not_be_turned_off_is_tried_a_few_times_and_then_people_are_paged() {
    let mut guard = rolling_back();
    in_place(&mut guard);
    let pages = guard.pages();
    for _ in 0..5 {
        while !wants_off(&guard) {
            guard.reads(50.0);
        }
        guard.take(Event::MaintenanceLeft(Err("exit code 1".into()))).unwrap();
    }
    assert_eq!((wants_off(&guard), guard.pages()), (false, pages + 1));
    assert_eq!(guard.watch.maintenance, Maintenance::Stuck);
    guard.lives(0.0, 300);
    assert_eq!(guard.watch.outcome(), Some(Outcome::RolledBack));
}

#[test]
fn a_watch_that_ends_with_it_on_says_so() {
    let mut guard = rolling_back();
    guard.take(Event::Superseded { by: "api:4".into(), older: false }).unwrap();
    assert!(guard.said().iter().any(|said| said.contains("may still be in maintenance mode")));
}

#[test]
fn a_command_is_told_of_the_deployment_and_of_the_target() {
    let guard = {
        let mut guard = Guard::settled(maintained());
        guard.breaks(50.0);
        guard
    };
    let wants = guard.wants();
    let plan = wants.iter().find_map(|want| match want {
        Want::RollBack { plan, .. } => Some(plan),
        Want::Sample { .. }
        | Want::Baseline(_)
        | Want::Inspect
        | Want::ReadLog(_)
        | Want::Shift(_)
        | Want::LeaveMaintenance(_) => None,
    });
    let means = &plan.unwrap().means;
    let said = |name: &str| means.values.get(name).map(String::as_str);
    assert_eq!(said("service"), Some("api"));
    assert_eq!((said("revision"), said("target.revision")), (Some("api:2"), Some("api:1")));
    assert_eq!(means.maintenance, Some(hooks()));
}

/// Decided, and a call of it may have been begun.
fn decided() -> Guard {
    let mut guard = Guard::settled(maintained());
    guard.breaks(50.0);
    assert!(guard.wants_rollback());
    guard
}

#[test]
fn what_a_decision_may_have_turned_on_is_turned_off_when_it_is_taken_back() {
    let mut guard = decided();
    assert!(!wants_off(&guard), "a call may be under way");
    let why = "the platform did not answer".to_owned();
    guard.take(Event::Acted(Err(ActFailure::Transient(why)))).unwrap();
    let paused = Ceiling { mode: Mode::Observe, because: Some("paused by dana".into()) };
    guard.take(Event::CeilingChanged(paused)).unwrap();
    guard.lives(0.0, 3 * 60);
    assert_eq!(guard.watch.stage, Stage::Watching, "taken back");
    assert!(wants_off(&guard));
    assert_eq!(guard.replayed(), guard.watch);
}

#[test]
fn an_answer_that_nothing_was_done_leaves_nothing_to_turn_off() {
    let mut guard = decided();
    guard.take(Event::Acted(Err(ActFailure::Refused("the brakes".into())))).unwrap();
    assert!(!wants_off(&guard));
}

#[test]
fn what_could_not_be_turned_off_with_a_failed_try_is_tried_again() {
    let mut guard = decided();
    let failure = Box::new(ActFailure::Permanent("no such revision".into()));
    let failure = ActFailure::Maintained { failure, why: "no answer".into() };
    guard.take(Event::Acted(Err(failure))).unwrap();
    assert!(guard.said().iter().any(|said| said.contains("NOT rolled back: no such revision")));
    assert!(wants_off(&guard));
}

#[test]
fn whoever_deploys_before_the_answer_is_told_that_it_may_be_on() {
    let mut guard = decided();
    let by = "v3".to_owned();
    guard.take(Event::Superseded { by, older: false }).unwrap();
    assert!(guard.watch.outcome().is_some());
    let said = guard.said();
    assert!(said.iter().any(|said| said.contains("may still be in maintenance mode")), "{said:?}");
}

#[test]
fn it_is_turned_off_when_the_target_takes_too_long_to_come() {
    let mut guard = rolling_back();
    guard.lives(50.0, 16 * 60);
    let said = format!("{:?}", guard.notices);
    assert!(said.contains("has not put"), "{said}");
    assert!(said.contains("maintenance mode is being turned off"), "{said}");
    assert!(wants_off(&guard));
}
