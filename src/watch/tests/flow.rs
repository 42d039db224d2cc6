//! One deployment from its start to its end.

use super::world::{Guard, at, policy, revision, service, sighting};
use crate::model::{
    ActFailure, Announcement, Controller, Facts, Inspection, Mode, Outcome, RollOut, RollbackSafe,
    Route, Standing, Unusable,
};
use crate::watch::{Came, Ceiling, Command, Digest, Event, RunStep, Stage};

#[test]
fn a_good_deployment_passes_and_is_known_good() {
    let mut guard = Guard::settled(policy());
    while guard.watch.is_open() {
        guard.reads(0.0);
    }
    assert_eq!(guard.watch.outcome(), Some(Outcome::Passed));
    let standings: Vec<_> = guard.ledger.iter().map(|entry| entry.standing).collect();
    assert_eq!(standings, [Standing::Provisional, Standing::Good]);
    assert!(guard.said().is_empty(), "a good deployment is one quiet line: {:?}", guard.said());
}

#[test]
fn a_bad_deployment_is_rolled_back_watched_to_recovery_and_closed() {
    let mut guard = Guard::settled(policy());
    guard.reads(40.0);
    guard.reads(40.0);
    assert!(!guard.wants_rollback(), "two samples are not enough");
    guard.reads(40.0);
    assert!(guard.wants_rollback());
    guard.accepts(Route::UpdateService);
    assert!(!guard.wants_rollback(), "accepted once, never wanted again");
    guard.sees(sighting(60, "ecs-svc/3", 1, RollOut::InProgress));
    guard.sees(sighting(70, "ecs-svc/3", 1, RollOut::Completed));
    guard.reads(40.0);
    for _ in 0..4 {
        guard.reads(0.0);
    }
    assert_eq!(guard.watch.outcome(), Some(Outcome::RolledBack));
    assert!(
        guard.ledger.iter().any(|entry| {
            entry.standing == Standing::Bad && entry.revision.same_as(&revision(2))
        })
    );
    let said = guard.said();
    assert!(said[0].contains("rolling back"), "{said:?}");
    assert!(said.last().unwrap().contains("Recovered"), "{said:?}");
}

#[test]
fn evidence_in_the_grace_rolls_nothing_back() {
    let mut guard = Guard::settled(policy());
    guard.clock = 0;
    guard.breaks(40.0);
    assert!(!guard.wants_rollback());
}

#[test]
fn missing_data_alerts_once_and_never_rolls_back() {
    let mut guard = Guard::settled(policy());
    for _ in 0..30 {
        guard.reads_as(Err(Unusable::Unreachable("prometheus is down".into())));
    }
    assert!(!guard.wants_rollback());
    assert_eq!(guard.said().len(), 1, "{:?}", guard.said());
    while guard.watch.is_open() {
        guard.reads_as(Err(Unusable::Empty));
    }
    assert_eq!(guard.watch.outcome(), Some(Outcome::Inconclusive), "blind is never passed");
}

#[test]
fn a_decision_that_could_not_be_carried_out_is_not_carried_out_hours_later() {
    let mut guard = Guard::settled(policy());
    guard.breaks(40.0);
    let paused = Ceiling { mode: Mode::Observe, because: Some("paused by dana".into()) };
    guard.take(Event::CeilingChanged(paused)).unwrap();
    guard.lives(0.0, 3 * 60);
    assert_eq!(guard.watch.stage, Stage::Watching);
    assert!(!guard.watch.has_open_incident(), "the numbers came back by themselves");
    let again = Ceiling { mode: Mode::Auto, because: None };
    guard.take(Event::CeilingChanged(again)).unwrap();
    assert!(!guard.wants_rollback());
}

#[test]
fn an_intent_of_a_former_life_needs_a_fresh_breach() {
    let mut guard = Guard::settled(policy());
    guard.breaks(40.0);
    guard.clock += 1800;
    assert!(!guard.wants_rollback(), "half an hour later nobody knows");
    guard.breaks(40.0);
    assert!(guard.wants_rollback());
}

#[test]
fn a_target_that_is_found_late_is_used() {
    let mut guard = Guard::over(policy());
    guard.sees(sighting(0, "ecs-svc/2", 2, RollOut::Completed));
    guard.clock = 30;
    guard.breaks(40.0);
    assert!(!guard.wants_rollback(), "no target yet");
    guard.finds_target();
    assert!(guard.wants_rollback());
}

#[test]
fn ecs_undoing_our_rollback_with_a_deployment_of_its_own_pages() {
    let mut guard = Guard::settled(policy());
    guard.breaks(40.0);
    guard.accepts(Route::UpdateService);
    guard.sees(sighting(60, "ecs-svc/3", 1, RollOut::InProgress));
    guard.sees(sighting(70, "ecs-svc/4", 2, RollOut::InProgress));
    assert!(!guard.wants_rollback(), "never fought");
    assert_eq!(guard.pages(), 1, "{:?}", guard.said());
}

#[test]
fn what_a_command_or_a_webhook_has_ordered_may_take_its_time_before_it_is_seen() {
    for (route, is_patient) in
        [(Route::Command, true), (Route::Webhook, true), (Route::UpdateService, false)]
    {
        let mut guard = Guard::settled(policy());
        guard.breaks(40.0);
        guard.accepts(route);
        guard.sees(sighting(guard.clock + 5 * 60, "ecs-svc/2", 2, RollOut::Completed));
        assert_eq!(guard.pages(), usize::from(!is_patient), "{route:?}: {:?}", guard.said());
        guard.sees(sighting(guard.clock + 60 * 60, "ecs-svc/2", 2, RollOut::Completed));
        assert_eq!(guard.pages(), 1, "{route:?}: not for ever");
    }
}

#[test]
fn days_that_nobody_looked_at_are_not_passed() {
    let mut guard = Guard::settled(policy());
    guard.lives(0.0, 600);
    guard.clock += 86_400;
    guard.waits(0);
    assert!(guard.watch.is_open(), "nothing ends without a sample");
    guard.reads(0.0);
    guard.reads(0.0);
    assert_eq!(guard.watch.outcome(), Some(Outcome::Inconclusive));
}

#[test]
fn a_revision_that_was_superseded_in_breach_is_bad() {
    let mut guard = Guard::settled(crate::policy::Policy { mode: Mode::Ask, ..policy() });
    guard.breaks(5.0);
    guard.take(Event::Superseded { by: "api:3".into(), older: false }).unwrap();
    assert!(guard.ledger.iter().any(|entry| entry.standing == Standing::Bad));
}

#[test]
fn a_pause_stops_a_rollback_that_the_platform_has_not_accepted() {
    let mut guard = Guard::settled(policy());
    guard.breaks(40.0);
    let paused = Ceiling { mode: Mode::Observe, because: Some("paused by dana".into()) };
    guard.take(Event::CeilingChanged(paused)).unwrap();
    assert!(!guard.wants_rollback());
    let again = Ceiling { mode: Mode::Auto, because: None };
    guard.take(Event::CeilingChanged(again)).unwrap();
    assert!(guard.wants_rollback());
}

#[test]
fn a_call_that_went_out_before_it_was_forbidden_is_told_with_what_forbids_it() {
    let paused = Ceiling { mode: Mode::Observe, because: Some("paused by dana".into()) };
    let lowered = Ceiling { mode: Mode::Ask, because: None };
    let facts = Facts {
        rollback_safe: RollbackSafe::No,
        announced_by: Some("ci".into()),
        ..Facts::default()
    };
    let announced = Event::Announced(Box::new(Announcement {
        id: "gha-8".into(),
        service: service(),
        revision: None,
        platform_id: None,
        at: at(0),
        facts,
    }));
    let unsafe_now = "it was announced by ci as not safe to roll back (rollback_safe: false)";
    for (event, because) in [
        (Event::CeilingChanged(paused), "paused by dana"),
        (Event::CeilingChanged(lowered), "the mode was lowered to ask"),
        (announced, unsafe_now),
    ] {
        let mut guard = Guard::settled(policy());
        guard.breaks(40.0);
        guard.take(event).unwrap();
        assert!(!guard.wants_rollback(), "{because}");
        assert_eq!(guard.watch.unwanted_because(), because);
        guard.accepts(Route::UpdateService);
        let words = format!("had been called before ({because}): it is with the platform");
        assert!(guard.said().iter().any(|said| said.contains(&words)), "{:?}", guard.said());
    }
}

#[test]
fn a_breach_that_was_seen_while_paused_is_decided_when_the_pause_ends() {
    let mut guard = Guard::settled(policy());
    let paused = Ceiling { mode: Mode::Observe, because: Some("paused by dana".into()) };
    guard.take(Event::CeilingChanged(paused)).unwrap();
    guard.breaks(40.0);
    assert!(!guard.wants_rollback());
    let again = Ceiling { mode: Mode::Auto, because: None };
    guard.take(Event::CeilingChanged(again.clone())).unwrap();
    assert!(guard.wants_rollback());

    let mut guard = Guard::settled(policy());
    let paused = Ceiling { mode: Mode::Observe, because: Some("paused by dana".into()) };
    guard.take(Event::CeilingChanged(paused)).unwrap();
    guard.breaks(40.0);
    guard.reads(0.0);
    guard.take(Event::CeilingChanged(again)).unwrap();
    assert!(!guard.wants_rollback(), "what no longer holds is no reason");
}

#[test]
fn the_platform_that_does_not_answer_is_asked_again_and_then_people_are() {
    let mut guard = Guard::settled(policy());
    guard.breaks(40.0);
    let mut tries = 0;
    while guard.wants_rollback() {
        tries += 1;
        let lost = ActFailure::Transient("time-out".into());
        guard.take(Event::Acted(Err(lost))).unwrap();
        guard.lives(40.0, 200);
    }
    assert_eq!(tries, 6);
    assert_eq!(guard.pages(), 1);
    while guard.watch.is_open() {
        guard.reads(40.0);
    }
    assert_eq!(guard.watch.outcome(), Some(Outcome::RollbackFailed));
}

#[test]
fn a_try_that_was_stopped_before_its_call_is_none() {
    let mut guard = Guard::settled(policy());
    guard.breaks(40.0);
    for _ in 0..10 {
        let stopped = ActFailure::Stopped("paused by dana".into());
        guard.take(Event::Acted(Err(stopped))).unwrap();
        assert!(guard.wants_rollback(), "at once, as soon as it may");
    }
    let Stage::RollingBack(run) = &guard.watch.stage else { panic!("{:?}", guard.watch.stage) };
    assert!(matches!(run.step, RunStep::Acting { attempt: 1, .. }), "{:?}", run.step);
    assert_eq!(guard.pages(), 0);
    let before: ActFailure =
        serde_json::from_str(r#"{"transient":"stopped before the call: paused"}"#).unwrap();
    assert!(matches!(before, ActFailure::Transient(_)), "older journals stay readable");
}

#[test]
fn without_a_target_people_are_told_at_the_start_and_paged_at_a_breach() {
    let mut guard = Guard::over(policy());
    guard.sees(sighting(0, "ecs-svc/2", 2, RollOut::Completed));
    let target = Err("api:1 is INACTIVE".to_owned());
    guard.take(Event::Inspected { target, inspection: Inspection::default() }).unwrap();
    assert!(guard.said()[0].contains("could not be rolled back"), "{:?}", guard.said());
    guard.clock = 30;
    guard.breaks(40.0);
    assert!(!guard.wants_rollback());
    assert_eq!(guard.pages(), 1);
}

#[test]
fn no_phase_ends_while_the_roll_out_goes_on() {
    let mut guard = Guard::over(policy());
    guard.sees(sighting(0, "ecs-svc/2", 2, RollOut::InProgress));
    guard.clock = 2000;
    guard.reads(0.0);
    assert_eq!(guard.watch.phase_name(), "immediate");
    guard.sees(sighting(2010, "ecs-svc/2", 2, RollOut::Completed));
    guard.reads(0.0);
    assert_eq!(guard.watch.phase_name(), "short-term");
}

#[test]
fn a_roll_out_that_never_ends_ends_the_watch_at_its_horizon() {
    let mut guard = Guard::over(policy());
    guard.sees(sighting(0, "ecs-svc/2", 2, RollOut::InProgress));
    guard.lives(0.0, 3610);
    assert_eq!(guard.watch.outcome(), Some(Outcome::Inconclusive));
}

#[test]
fn a_rollback_by_ecs_itself_is_reported_and_watched_not_fought() {
    let mut guard = Guard::settled(policy());
    let mut back = sighting(40, "ecs-svc/9", 1, RollOut::InProgress);
    back.native_rollback = Some("circuit breaker".into());
    guard.sees(back);
    assert!(!guard.wants_rollback());
    assert!(guard.said()[0].contains("circuit breaker"), "{:?}", guard.said());
    guard.sees(sighting(50, "ecs-svc/9", 1, RollOut::Completed));
    for _ in 0..4 {
        guard.reads(0.0);
    }
    assert_eq!(guard.watch.outcome(), Some(Outcome::RolledBack));
}

#[test]
fn a_rollback_that_is_undone_pages_and_is_not_repeated() {
    let mut guard = Guard::settled(policy());
    guard.breaks(40.0);
    guard.accepts(Route::UpdateService);
    guard.sees(sighting(60, "ecs-svc/3", 1, RollOut::Completed));
    guard.sees(sighting(70, "ecs-svc/2", 2, RollOut::Completed));
    assert!(!guard.wants_rollback());
    assert_eq!(guard.pages(), 1);
}

#[test]
fn numbers_that_do_not_come_back_page_and_stay_open() {
    let mut guard = Guard::settled(policy());
    guard.breaks(40.0);
    guard.accepts(Route::UpdateService);
    guard.sees(sighting(60, "ecs-svc/3", 1, RollOut::Completed));
    for _ in 0..10 {
        guard.reads(40.0);
    }
    guard.waits(1000);
    assert_eq!(guard.pages(), 1);
    assert!(guard.watch.has_open_incident());
    assert!(matches!(guard.watch.stage, Stage::RollingBack(_)));
}

#[test]
fn a_breach_that_goes_away_by_itself_is_resolved_and_withdraws_the_question() {
    let mut guard = Guard::settled(policy());
    guard.breaks(5.0);
    for _ in 0..4 {
        guard.reads(0.0);
    }
    assert!(!guard.watch.has_open_incident());
    assert!(guard.watch.pending.is_none());
    guard.waits(3000);
    assert!(!guard.wants_rollback());
}

#[test]
fn a_superseded_or_cancelled_watch_does_nothing_more() {
    let mut guard = Guard::settled(policy());
    guard.take(Event::Superseded { by: "api:3".into(), older: false }).unwrap();
    assert_eq!(guard.watch.outcome(), Some(Outcome::Superseded));
    assert!(guard.wants().is_empty());
    assert!(guard.watch.next_wake().is_none());
    let mut guard = Guard::settled(policy());
    guard.presses(Command::Cancel).unwrap();
    assert_eq!(guard.watch.outcome(), Some(Outcome::Cancelled));
    assert!(guard.watch.handle(&Event::Woke, at(99)).is_err());
}

#[test]
fn a_digest_calls_what_has_not_appeared_waiting_and_tells_no_ending_twice() {
    let mut guard = Guard::over(policy());
    let digested = |guard: &Guard| {
        let mut digest = Digest::new(at(guard.clock), at(guard.clock));
        digest.add(&guard.watch);
        digest.finished().policies.remove(0)
    };
    let waiting = digested(&guard);
    assert_eq!(waiting.came.get(&Came::Waiting), Some(&1));
    assert_eq!(waiting.in_words(), "p (auto): 1 waiting of 1 deployment");
    guard.waits(4000);
    let given_up = digested(&guard);
    assert_eq!(given_up.came.get(&Came::Inconclusive), Some(&1));
    let reason = &given_up.deployments[0].reason;
    assert_eq!(reason, "no task of the new revision ever came into service");
}

#[test]
fn codedeploy_may_shift_traffic_back_late_and_keeps_the_judged_task_set_for_long() {
    let mut guard = Guard::settled(policy());
    guard.breaks(40.0);
    guard.accepts(Route::CreateDeployment);
    let look = |second, id: &str, number, beside: bool| {
        let mut seen = sighting(second, id, number, RollOut::Completed);
        seen.controller = Controller::CodeDeploy;
        if beside {
            seen.others = vec![sighting(0, "ecs-svc/2", 2, RollOut::Completed).primary];
        }
        seen
    };
    guard.clock = 600;
    guard.sees(look(600, "ecs-svc/2", 2, false));
    assert!(guard.watch.rollback_spent.is_none(), "hooks may run before any task set is there");
    guard.sees(look(610, "ecs-svc/3", 1, true));
    for _ in 0..4 {
        guard.reads(0.0);
    }
    assert_eq!(guard.watch.outcome(), Some(Outcome::RolledBack), "{:?}", guard.said());
}
