//! What is said at the start of a watch, before anything burns; and what a pinned
//! rollback leaves behind.

use super::world::*;
use crate::model::{
    Acted, Body, Controller, Inspection, Mode, Outcome, Reply, Revision, RollOut, RollbackSafe,
    Route, Standing,
};
use crate::policy::{Policy, RollbackRule};
use crate::watch::{Command, Event, IntakeStep, PreflightState, Want, on_sighting};

fn pinning() -> Policy {
    let policy = policy();
    let rollback = RollbackRule { pin_digests: true, ..policy.rollback.clone() };
    Policy { rollback, ..policy }
}

fn of_images(mut revision: Revision, digest: &str) -> Revision {
    revision.digests = vec![format!("api:latest@sha256:{digest}")];
    revision
}

/// The one definition api:2 on both sides; its tag has moved from image a to image b.
fn forced(policy: Policy) -> Guard {
    let mut guard = Guard::over(policy);
    let mut seen = sighting(0, "ecs-svc/2", 2, RollOut::Completed);
    seen.primary.revision = of_images(revision(2), "b");
    guard.sees(seen);
    let target = Ok((of_images(revision(2), "a"), "known-good".to_owned()));
    let inspection = Inspection { pins: true, ..Inspection::default() };
    guard.take(Event::Inspected { target, inspection }).unwrap();
    guard.clock = 30;
    guard
}

fn replies(guard: &Guard) -> Vec<&Reply> {
    let said = guard.notices.iter().map(|notice| &notice.body);
    said.filter_map(|body| match body {
        Body::Reply(reply) => Some(reply),
        Body::Card(_) | Body::Signal { .. } | Body::Files { .. } | Body::GitHub(_) => None,
    })
    .collect()
}

fn accepts_pinned(guard: &mut Guard) {
    let mut pinned = revision(7);
    pinned.digests = vec!["api@sha256:a".into()];
    let acted = Acted {
        deployment: Some("ecs-svc/3".into()),
        pinned: Some(pinned),
        ..Acted::by(Route::UpdateService)
    };
    guard.take(Event::Acted(Ok(acted))).unwrap();
}

#[test]
fn a_pinned_revision_is_followed_to_recovery_and_known_good_from_then_on() {
    let mut guard = forced(pinning());
    guard.breaks(40.0);
    guard.presses(Command::Rollback).unwrap();
    let plan = guard.wants().into_iter().find_map(|want| match want {
        Want::RollBack { plan, .. } => Some(plan),
        _ => None,
    });
    assert!(plan.unwrap().pins());
    accepts_pinned(&mut guard);
    let told = replies(&guard);
    let pinned = told.iter().find(|reply| reply.headline.contains("api:7 is api:2")).unwrap();
    assert!(pinned.lines[0].contains("force-new-deployment"), "{pinned:?}");
    assert!(pinned.lines[1].contains("to unpin"), "{pinned:?}");
    guard.sees(sighting(100, "ecs-svc/3", 7, RollOut::Completed));
    guard.lives(0.0, 600);
    assert_eq!(guard.watch.outcome(), Some(Outcome::RolledBack));
    let last = guard.ledger.last().unwrap();
    assert_eq!((last.revision.short(), last.standing), ("api:7", Standing::Provisional));
    assert_eq!(guard.replayed(), guard.watch);
}

#[test]
fn a_pinned_revision_is_no_deployment_of_its_own_before_its_answer_is_known() {
    let mut guard = forced(pinning());
    guard.breaks(40.0);
    guard.presses(Command::Rollback).unwrap();
    let mut back = sighting(60, "ecs-svc/3", 7, RollOut::InProgress);
    for digests in [vec![], vec!["api@sha256:a".to_owned()]] {
        back.primary.revision.digests = digests;
        let steps = on_sighting(&back, None, &[&guard.watch], &service());
        assert!(matches!(&steps[..], [IntakeStep::Deliver(..)]), "{steps:?}");
    }
    back.primary.revision.digests = vec!["api@sha256:c".into()];
    let steps = on_sighting(&back, None, &[&guard.watch], &service());
    assert!(
        matches!(&steps[0], IntakeStep::Deliver(_, e) if matches!(**e, Event::Superseded { .. }))
    );
}

#[test]
fn of_one_definition_on_both_sides_the_images_tell_a_return_from_a_deployment() {
    let mut guard = forced(policy());
    guard.watch.deployment.source = Some(of_images(revision(2), "a"));
    let mut next = sighting(60, "ecs-svc/3", 2, RollOut::InProgress);
    for (digest, is_return) in [("a", true), ("c", false)] {
        next.primary.revision = of_images(revision(2), digest);
        let steps = on_sighting(&next, None, &[&guard.watch], &service());
        let superseded = matches!(&steps[0],
            IntakeStep::Deliver(_, event) if matches!(**event, Event::Superseded { .. }));
        assert_eq!(superseded, !is_return, "{digest}");
    }
}

#[test]
fn an_old_task_set_that_gets_the_requests_again_is_a_return_and_watched_for_recovery() {
    let mut guard = Guard::settled(policy());
    guard.watch.deployment.started_at = at(10);
    let mut back = sighting(60, "ecs-svc/1", 2, RollOut::Completed);
    back.controller = Controller::CodeDeploy;
    back.primary.created_at = at(5);
    let steps = on_sighting(&back, None, &[&guard.watch], &service());
    assert!(matches!(&steps[..], [IntakeStep::Deliver(_, e)] if matches!(**e, Event::Sighted(_))));
    guard.sees(back);
    assert!(
        guard.said()[0].contains("CodeDeploy put the former revision back"),
        "{:?}",
        guard.said()
    );
}

#[test]
fn a_quiet_deployment_gets_its_card_and_no_message() {
    let mut guard = Guard::over(policy());
    guard.sees(sighting(0, "ecs-svc/2", 2, RollOut::Completed));
    let inspection = Inspection {
        differences: vec!["image of app: api:1 -> api:2".into()],
        unasked: vec!["whether the image is still there could not be asked".into()],
        ..Inspection::default()
    };
    let target = Ok((revision(1), "known-good".to_owned()));
    guard.take(Event::Inspected { target, inspection }).unwrap();
    assert_eq!(guard.said(), Vec::<String>::new());
    let card = guard.notices.iter().rev().find_map(|notice| match &notice.body {
        Body::Card(card) => Some(card),
        Body::Reply(_) | Body::Signal { .. } | Body::Files { .. } | Body::GitHub(_) => None,
    });
    let about = &card.unwrap().about;
    assert!(about.iter().any(|line| line == "changes image of app: api:1 -> api:2"), "{about:?}");
    assert!(guard.watch.timeline.iter().any(|entry| entry.text.contains("could not be asked")));
}

#[test]
fn what_disarms_the_guard_is_said_at_the_start_once_and_with_the_reason() {
    let mut guard = Guard::with(policy(), RollbackSafe::No);
    guard.sees(sighting(0, "ecs-svc/2", 2, RollOut::Completed));
    let inspection = Inspection {
        not_restored: vec!["subnets: stays a, was b".into()],
        ..Inspection::default()
    };
    for _ in 0..2 {
        let target = Ok((revision(1), "known-good".to_owned()));
        guard.take(Event::Inspected { target, inspection: inspection.clone() }).unwrap();
    }
    let told = guard.said();
    assert_eq!(told.len(), 2, "{told:?}");
    let lost = "by itself: a rollback would not restore: subnets: stays a, was b";
    assert!(told[0].ends_with(lost), "{told:?}");
    assert!(told[1].contains("rollback_safe: false"), "{told:?}");
    assert_eq!(guard.pages(), 0);

    let observing = Policy { mode: Mode::Observe, ..policy() };
    let mut guard = Guard::with(observing, RollbackSafe::No);
    guard.sees(sighting(0, "ecs-svc/2", 2, RollOut::Completed));
    let target = Ok((revision(1), "known-good".to_owned()));
    guard.take(Event::Inspected { target, inspection }).unwrap();
    assert_eq!(guard.said(), Vec::<String>::new(), "nothing is done there anyway");
    assert!(matches!(guard.watch.preflight, PreflightState::Ready { .. }));
}

#[test]
fn a_target_is_looked_for_again_once_the_images_tell_the_two_apart() {
    let mut guard = Guard::over(pinning());
    guard.watch.deployment.source = Some(of_images(revision(2), "a"));
    let wants = |guard: &Guard| guard.wants().contains(&Want::Inspect);
    let mut seen = sighting(0, "ecs-svc/2", 2, RollOut::InProgress);
    seen.primary.running = 0;
    guard.sees(seen.clone());
    assert!(!wants(&guard), "nothing tells the two apart before the first task runs");
    seen.primary.running = 1;
    guard.sees(seen.clone());
    assert!(wants(&guard), "the images may stay unknown: it is looked for without them");
    let none = "both sides are the same task definition".to_owned();
    guard.take(Event::Inspected { target: Err(none), inspection: Inspection::default() }).unwrap();
    assert!(!wants(&guard));
    seen.primary.revision = of_images(revision(2), "b");
    guard.sees(seen);
    assert!(wants(&guard), "now they are known");
}
