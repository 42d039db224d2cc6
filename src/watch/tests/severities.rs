//! The way from a breach to its end, as the documents draw it.

use super::escalate::{heard, ladder, mentions};
use super::world::{Guard, policy, sighting};
use crate::model::{Body, Outcome, Reply, RollOut, Route, Severity, Turn};
use crate::watch::{Command, Event, Press};

fn traces(guard: &Guard, steps: &[&str]) {
    let mut lines = guard.watch.timeline.iter().map(|entry| &entry.text);
    for step in steps {
        assert!(
            lines.any(|line| line.contains(step)),
            "no `{step}` in its turn: {:#?}",
            guard.watch.timeline
        );
    }
}

fn replies(guard: &Guard) -> Vec<Reply> {
    let replies = guard.notices.iter().filter_map(|notice| match &notice.body {
        Body::Reply(reply) => Some(reply.clone()),
        Body::Card(_) | Body::Signal { .. } | Body::Files { .. } | Body::GitHub(_) => None,
    });
    replies.collect()
}

fn recovers(guard: &mut Guard) {
    guard.accepts(Route::UpdateService);
    guard.sees(sighting(60, "ecs-svc/3", 1, RollOut::Completed));
    (0..60).for_each(|_| guard.reads(0.0));
    assert_eq!(guard.watch.outcome(), Some(Outcome::RolledBack));
}

#[test]
fn a_sev1_is_traced_from_its_assessment_over_the_immediate_rollback_to_the_verified_end() {
    let mut guard = Guard::settled(policy());
    guard.breaks(40.0);
    recovers(&mut guard);
    traces(
        &guard,
        &[
            "assessed as SEV1",
            "decided: immediate rollback",
            "the platform accepted the rollback",
            "verify: the target is in place",
            "Recovered",
            "the incident is over after ",
        ],
    );
}

#[test]
fn a_sev2_says_how_long_a_fix_may_take_and_the_hold_that_one_is_on_the_way() {
    let mut guard = Guard::settled(policy());
    guard.breaks(5.0);
    let question = replies(&guard).remove(0);
    let left = "15m to fix it or to decide; hold it, for 15m at most, if a fix is on the way";
    assert!(question.lines.contains(&left.to_owned()), "{:#?}", question.lines);
    let hold = Press::new(Command::Hold, "dana", Some("hotfix in review".into()));
    guard.take_press(hold).unwrap();
    let held = replies(&guard).remove(1);
    assert_eq!(
        held.lines,
        ["a fix is on the way; it is rolled back then, unless a fix is in place"]
    );
    traces(
        &guard,
        &[
            "assessed as SEV2",
            "decided: evaluate the fix time, hotfix or rollback until ",
            "hotfix: dana says that a fix is on the way",
        ],
    );
    guard.lives(5.0, 30 * 60);
    assert!(guard.wants_rollback());
    recovers(&mut guard);
    traces(&guard, &["hotfix: ", "verify: ", "the incident is over after "]);
}

#[test]
fn a_hotfix_that_is_deployed_closes_the_incident_as_superseded_by_it() {
    let mut guard = Guard::settled(ladder());
    guard.breaks(5.0);
    guard.presses(Command::Hold).unwrap();
    guard.take(Event::Superseded { by: "v1.5.1 (api:3, ecs-svc/3)".into(), older: false }).unwrap();
    assert_eq!(guard.watch.outcome(), Some(Outcome::Superseded));
    let last = replies(&guard).pop().unwrap();
    assert!(last.headline.contains("superseded by v1.5.1"), "{}", last.headline);
    assert!(!last.page, "somebody has seen to it");
    assert_eq!(heard(&guard, "pagerduty:oncall").last(), Some(&Turn::Closed));
    assert_eq!(heard(&guard, "webhook:audit").last(), Some(&Turn::Closed));
    let resolved = guard.notices.iter().rev().find_map(|notice| match &notice.body {
        Body::Signal { signal, .. } => Some(signal.headline.clone()),
        Body::Card(_) | Body::Reply(_) | Body::Files { .. } | Body::GitHub(_) => None,
    });
    assert!(resolved.unwrap().contains("superseded by v1.5.1"));
    let poison = guard.watch.poison().expect("its guilt is not washed");
    assert_eq!(poison.clean_until, guard.watch.deployment.baseline_end);
    traces(&guard, &["superseded by v1.5.1", "nobody watches the incident any more"]);
}

#[test]
fn a_sev3_is_noted_and_nothing_follows() {
    let mut policy = policy();
    let sev2 = policy.checks[0].breach.remove(&crate::model::Severity::Sev2).unwrap();
    policy.checks[0].breach.insert(crate::model::Severity::Sev3, sev2);
    let mut guard = Guard::settled(policy);
    guard.breaks(5.0);
    guard.lives(5.0, 3600);
    assert_eq!(guard.watch.outcome(), Some(Outcome::Breached));
    traces(&guard, &["assessed as SEV3", "decided: noted only"]);
    assert!(guard.watch.pending.is_none() && !guard.wants_rollback());
}

#[test]
fn what_gets_worse_after_an_acknowledgement_calls_again() {
    let mut policy = ladder();
    let rungs = policy.notify.escalate[&Severity::Sev2].clone();
    policy.notify.escalate.insert(Severity::Sev1, rungs);
    let mut guard = Guard::settled(policy);
    guard.breaks(5.0);
    guard.presses(Command::Ack).unwrap();
    guard.lives(60.0, 60);
    assert_eq!(guard.watch.incident.as_ref().unwrap().severity, Severity::Sev1);
    assert_eq!(mentions(&guard.notices), ["S0ONCALL", "S0ONCALL"]);
    assert_eq!(heard(&guard, "pagerduty:oncall").last(), Some(&Turn::Opened));
    guard.waits(300);
    assert_eq!(heard(&guard, "email:manager"), [Turn::Called]);
}
