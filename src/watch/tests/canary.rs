//! Phases that stand for a share of the traffic.

use std::collections::BTreeMap;

use jiff::SignedDuration;

use super::world::{Guard, at, counts, policy, sighting};
use crate::model::{
    ActFailure, Controller, Measurement, Mode, Outcome, RollOut, Severity, ShiftPlan, Sighting,
};
use crate::policy::{Bound, Check, Limit, Measure, MovedBy, Phase, Policy, Side, Stated, Unit};
use crate::watch::{Ceiling, Event, Sampled, Tick, Want};

/// 10 % and 50 % for 15 minutes each, all for 30 more.
fn canary(moved_by: MovedBy) -> Policy {
    let phase = |weight: u8, minutes| Phase {
        name: format!("canary-{weight}"),
        until: SignedDuration::from_mins(minutes),
        interval: SignedDuration::from_secs(10),
        weight: Some(weight),
    };
    let phases = vec![phase(10, 15), phase(50, 30), phase(100, 60)];
    let mut policy = Policy { phases, moved_by, ..policy() };
    policy.rollback.known_good_after = "canary-100".into();
    policy
}

fn at_weight(second: i64, weight: u8) -> Sighting {
    let roll_out = if weight < 100 { RollOut::InProgress } else { RollOut::Completed };
    let mut seen = sighting(second, "ecs-svc/2", 2, roll_out);
    seen.controller = Controller::Weights;
    seen.primary.weight = Some(weight);
    seen
}

fn begun(moved_by: MovedBy) -> Guard {
    let mut guard = Guard::over(canary(moved_by));
    guard.sees(at_weight(0, 10));
    guard.finds_target();
    guard.clock = 30;
    guard
}

fn moves(guard: &mut Guard, weight: u8) {
    guard.sees(at_weight(guard.clock, weight));
}

fn shift(guard: &Guard) -> Option<u8> {
    guard.wants().into_iter().find_map(|want| match want {
        Want::Shift(ShiftPlan { weight, .. }) => Some(weight),
        Want::Sample { .. }
        | Want::Baseline(_)
        | Want::Inspect
        | Want::ReadLog(_)
        | Want::LeaveMaintenance(_)
        | Want::RollBack { .. } => None,
    })
}

#[test]
fn a_good_canary_is_moved_on_at_the_end_of_each_step_and_each_step_lives_its_time() {
    let mut guard = begun(MovedBy::Deployguard);
    guard.lives(0.0, 860);
    assert_eq!((guard.watch.phase_name(), shift(&guard)), ("canary-10", None));
    guard.lives(0.0, 10);
    assert_eq!((guard.watch.phase_name(), shift(&guard)), ("canary-50", Some(50)));
    guard.take(Event::Shifted { weight: 50, result: Ok(()) }).unwrap();
    assert_eq!(shift(&guard), None, "it was set, and is to be seen");
    guard.lives(0.0, 30);
    moves(&mut guard, 50);
    assert_eq!(guard.watch.phase_ends_at(), Some(super::world::at(930 + 900)));
    guard.lives(0.0, 890);
    assert_eq!(guard.watch.phase_name(), "canary-50");
    guard.lives(0.0, 10);
    assert_eq!(shift(&guard), Some(100));
    moves(&mut guard, 100);
    guard.lives(0.0, 1800);
    assert_eq!(guard.watch.outcome(), Some(Outcome::Passed));
    assert_eq!(guard.replayed(), guard.watch);
}

#[test]
fn a_share_that_was_set_and_is_not_seen_is_set_again() {
    let mut guard = begun(MovedBy::Deployguard);
    guard.lives(0.0, 870);
    guard.take(Event::Shifted { weight: 50, result: Ok(()) }).unwrap();
    guard.lives(0.0, 50);
    assert_eq!(shift(&guard), None);
    guard.lives(0.0, 10);
    assert_eq!(shift(&guard), Some(50));
}

#[test]
fn a_bad_canary_is_turned_back_and_never_moved_on() {
    let mut guard = begun(MovedBy::Deployguard);
    guard.lives(0.0, 840);
    guard.breaks(50.0);
    guard.lives(50.0, 60);
    assert!(guard.wants_rollback());
    assert_eq!(shift(&guard), None);
}

#[test]
fn a_breach_after_the_end_of_a_step_stops_the_move_that_was_wanted() {
    let mut guard = begun(MovedBy::Deployguard);
    guard.lives(0.0, 870);
    assert_eq!(shift(&guard), Some(50));
    guard.lives(50.0, 60);
    assert_eq!(shift(&guard), None);
    assert!(guard.wants_rollback());
}

#[test]
fn a_sample_beyond_a_limit_at_the_end_of_a_step_holds_it_for_as_long() {
    let mut guard = begun(MovedBy::Deployguard);
    guard.lives(0.0, 860);
    guard.reads(20.0);
    assert_eq!((guard.watch.phase_name(), guard.watch.has_open_incident()), ("canary-10", false));
    guard.reads(0.0);
    assert_eq!(shift(&guard), Some(50));
}

#[test]
fn missing_data_holds_a_canary_where_it_is_and_says_so_once() {
    let mut guard = begun(MovedBy::Deployguard);
    for _ in 0..100 {
        guard.reads_as(Err(crate::model::Unusable::Empty));
    }
    assert_eq!((guard.watch.phase_name(), shift(&guard)), ("canary-10", None));
    assert!(!guard.wants_rollback());
    let held = guard.said().into_iter().filter(|said| said.contains("stays at 10 %")).count();
    assert_eq!(held, 1);
    // What is measured from now on makes up for it.
    guard.lives(0.0, 1200);
    assert_eq!(shift(&guard), Some(50));
}

#[test]
fn a_pipelines_canary_is_waited_for_and_each_step_counts_from_when_it_is_seen() {
    let mut guard = begun(MovedBy::Pipeline);
    guard.lives(0.0, 1500);
    assert_eq!((guard.watch.phase_name(), shift(&guard)), ("canary-50", None));
    moves(&mut guard, 50);
    guard.lives(0.0, 890);
    assert_eq!(guard.watch.phase_name(), "canary-50");
    guard.lives(0.0, 10);
    assert_eq!(guard.watch.phase_name(), "canary-100");
    assert_eq!(guard.watch.outcome(), None);
}

#[test]
fn below_mode_auto_people_are_told_to_move_it() {
    let mut guard = begun(MovedBy::Deployguard);
    let ceiling = Ceiling { mode: Mode::Ask, because: None };
    guard.take(Event::CeilingChanged(ceiling)).unwrap();
    guard.lives(0.0, 900);
    assert_eq!((guard.watch.phase_name(), shift(&guard)), ("canary-50", None));
    let told = guard.said().into_iter().filter(|said| said.contains("is to get 50 % now")).count();
    assert_eq!(told, 1);
}

#[test]
fn what_the_platform_refuses_is_told_once_and_goes_on_when_somebody_moves_it() {
    let mut guard = begun(MovedBy::Deployguard);
    guard.lives(0.0, 870);
    let pages = guard.pages();
    let result = Err(ActFailure::Permanent("forbidden: patch ingresses".into()));
    guard.take(Event::Shifted { weight: 50, result }).unwrap();
    guard.lives(0.0, 300);
    assert_eq!(shift(&guard), None);
    assert_eq!(guard.pages(), pages + 1);
    moves(&mut guard, 50);
    guard.lives(0.0, 900);
    assert_eq!(shift(&guard), Some(100), "the next step is tried again");
}

#[test]
fn a_platform_that_does_not_answer_is_tried_a_few_times() {
    let mut guard = begun(MovedBy::Deployguard);
    guard.lives(0.0, 870);
    let pages = guard.pages();
    for _ in 0..6 {
        while shift(&guard).is_none() {
            guard.lives(0.0, 10);
        }
        let result = Err(ActFailure::Transient("no answer".into()));
        guard.take(Event::Shifted { weight: 50, result }).unwrap();
    }
    assert_eq!((shift(&guard), guard.pages()), (None, pages + 1));
}

#[test]
fn a_canary_that_nobody_moves_on_ends_without_a_verdict() {
    let mut guard = begun(MovedBy::Pipeline);
    guard.lives(0.0, 3700);
    assert_eq!(guard.watch.outcome(), Some(Outcome::Inconclusive));
}

#[test]
fn weights_mean_nothing_where_the_platform_routes_by_none() {
    let mut guard = Guard::settled(canary(MovedBy::Deployguard));
    guard.lives(0.0, 3600);
    assert_eq!(guard.watch.outcome(), Some(Outcome::Passed));
    assert!(guard.said().iter().all(|said| !said.contains('%')), "{:?}", guard.said());
}

/// A canary whose cache is watched too, by a limit of so many failures.
fn with_cache(failures: f64) -> Guard {
    let mut policy = canary(MovedBy::Deployguard);
    let bound = Bound { side: Side::AtLeast, value: failures, unit: Unit::Failures };
    policy.checks.push(Check {
        name: "cache".into(),
        measure: Measure::Status { of: Stated::Query("up".into()) },
        normal: None,
        breach: BTreeMap::from([(Severity::Sev2, Limit { bound, hold: None })]),
        ..policy.checks[0].clone()
    });
    let mut guard = Guard::over(policy);
    guard.sees(at_weight(0, 10));
    guard.finds_target();
    guard.clock = 30;
    guard
}

fn lives_with_cache(guard: &mut Guard, up: f64, seconds: i64) {
    for _ in 0..seconds / 10 {
        guard.clock += 10;
        let cache = Measurement::Gauge { values: BTreeMap::from([("cache".to_owned(), up)]) };
        let readings =
            BTreeMap::from([("errors".to_owned(), counts(0.0)), ("cache".to_owned(), Ok(cache))]);
        let latest = Tick { readings, ..Tick::at(at(guard.clock)) };
        guard.take(Event::Sampled(Box::new(Sampled::of(latest)))).unwrap();
    }
}

#[test]
fn a_status_that_is_up_holds_no_canary_whatever_its_limit() {
    let mut guard = with_cache(1.0);
    lives_with_cache(&mut guard, 1.0, 870);
    assert_eq!((guard.watch.phase_name(), shift(&guard)), ("canary-50", Some(50)));
}

#[test]
fn a_status_that_is_down_holds_a_canary_though_it_is_no_breach_yet() {
    let mut guard = with_cache(3.0);
    lives_with_cache(&mut guard, 1.0, 850);
    lives_with_cache(&mut guard, 0.0, 20);
    assert_eq!((guard.watch.phase_name(), guard.watch.has_open_incident()), ("canary-10", false));
    lives_with_cache(&mut guard, 1.0, 10);
    assert_eq!(shift(&guard), Some(50));
}

#[test]
fn what_a_person_takes_back_within_a_step_is_not_set_again_and_said_once() {
    let mut guard = begun(MovedBy::Deployguard);
    guard.lives(0.0, 870);
    guard.take(Event::Shifted { weight: 50, result: Ok(()) }).unwrap();
    moves(&mut guard, 50);
    guard.lives(0.0, 300);
    for _ in 0..30 {
        moves(&mut guard, 10);
        guard.lives(0.0, 10);
        assert_eq!(shift(&guard), None);
    }
    let said = guard.said();
    let told = said.iter().filter(|said| said.contains("had 50 % of the traffic")).count();
    assert_eq!(told, 1, "{said:?}");
    assert!(said.iter().all(|said| !said.contains("is to get")), "{said:?}");
    assert_eq!(guard.watch.phase_name(), "canary-50");
    // Given back, the step lives what is left of it, and the next one is moved on to.
    moves(&mut guard, 50);
    guard.lives(0.0, 590);
    assert_eq!(guard.watch.phase_name(), "canary-50");
    guard.lives(0.0, 30);
    assert_eq!(shift(&guard), Some(100));
    assert_eq!(guard.replayed(), guard.watch);
}

#[test]
fn a_canary_that_was_held_still_lives_its_later_steps() {
    let mut guard = begun(MovedBy::Deployguard);
    for _ in 0..170 {
        guard.reads_as(Err(crate::model::Unusable::Empty));
    }
    // Held at 10 % till nearly the planned end, and moved on after that.
    guard.lives(0.0, 1720);
    assert_eq!((guard.watch.phase_name(), shift(&guard)), ("canary-50", Some(50)));
    guard.lives(0.0, 600);
    assert_eq!(guard.watch.outcome(), None, "the planned end is no end of it");
    moves(&mut guard, 50);
    guard.lives(0.0, 910);
    moves(&mut guard, 100);
    guard.lives(0.0, 1900);
    assert_eq!(guard.watch.outcome(), Some(Outcome::Passed));
}
