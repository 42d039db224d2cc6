//! The end of a watch whose incident is still open.

use std::collections::BTreeMap;

use super::escalate::{asked, ends, heard, ladder, mentions};
use super::world::{Guard, at, policy, sighting};
use crate::model::{Body, Outcome, Reply, RollOut, Route, Severity, Turn};
use crate::policy::{Action, Bound, Limit, Policy, Side, Unit};
use crate::watch::{Came, Command, Digest, Event, report, tell};

/// A SEV3 above 0.5 %, of which the policy asks for no action.
fn noting(mut policy: Policy) -> Policy {
    let bound = Bound { side: Side::Above, value: 0.005, unit: Unit::Ratio };
    policy.checks[0].breach.insert(Severity::Sev3, Limit { bound, hold: None });
    policy.phases.truncate(1);
    policy
}

fn last_reply(guard: &Guard) -> (Reply, jiff::Timestamp) {
    let replies = guard.notices.iter().rev().find_map(|notice| match &notice.body {
        Body::Reply(reply) => Some((reply.clone(), notice.at)),
        Body::Card(_) | Body::Signal { .. } | Body::Files { .. } | Body::GitHub(_) => None,
    });
    replies.unwrap()
}

fn runs_out(guard: &mut Guard, bad: f64) {
    while guard.watch.is_open() {
        guard.reads(bad);
        guard.waits(0);
    }
    assert_eq!(guard.watch.outcome(), Some(Outcome::Breached));
}

#[test]
fn the_end_over_a_sev3_that_is_only_noted_is_a_word_in_the_thread_and_calls_nobody() {
    let mut guard = Guard::settled(noting(ladder()));
    runs_out(&mut guard, 0.9);
    assert_eq!((guard.pages(), mentions(&guard.notices)), (0, vec![]));
    let (word, _) = last_reply(&guard);
    let said = format!("{:?}", word.fields);
    assert!(said.contains("not resolved: the watch is over; SEV3 only notes"), "{said}");
    assert_eq!(heard(&guard, "webhook:audit"), [Turn::Opened, Turn::Closed], "one end");
    assert_eq!(heard(&guard, "pagerduty:oncall"), []);
    let told = report(&tell(&guard.journal, None).unwrap());
    assert!(told.contains("SEV3 only notes") && !told.contains("has to see to it"), "{told}");
}

#[test]
fn a_watch_that_ends_in_quiet_hours_says_so_in_the_morning_though_it_has_ended() {
    let mut policy = noting(ladder());
    policy.notify.quiet = BTreeMap::from([(Severity::Sev3, "22:00-23:00 UTC".parse().unwrap())]);
    let mut guard = Guard::settled(policy);
    runs_out(&mut guard, 0.9);
    let morning = at(46 * 60 + 40);
    assert!(at(guard.clock) < morning);
    let by_night: Vec<_> = guard.notices.iter().filter(|one| one.at < morning).collect();
    let posts = |body: &Body| matches!(body, Body::Reply(_) | Body::Files { .. });
    assert!(!by_night.iter().any(|one| posts(&one.body)), "{:?}", guard.said());
    let waiting: Vec<_> = guard.notices.iter().skip_while(|one| !posts(&one.body)).collect();
    assert_eq!(waiting.len(), 2, "the word and the report, behind the card: {waiting:?}");
    assert!(waiting.iter().all(|one| one.at == morning));
    assert_eq!(guard.watch.next_wake(), None, "nothing wakes it");
    assert_eq!(guard.replayed(), guard.watch);
}

#[test]
fn what_is_only_noted_calls_the_rungs_of_its_severity_and_pages_nobody_else() {
    let mut policy = ladder();
    policy.actions.by_severity.insert(Severity::Sev2, Action::Notify);
    policy.phases.truncate(1);
    let mut guard = Guard::settled(policy);
    guard.breaks(5.0);
    assert_eq!((guard.pages(), mentions(&guard.notices)), (0, vec!["S0ONCALL".to_owned()]));
    guard.presses(Command::Ack).unwrap();
    runs_out(&mut guard, 5.0);
    assert_eq!((guard.pages(), mentions(&guard.notices).len()), (0, 1), "{:?}", guard.said());
    assert_eq!(heard(&guard, "pagerduty:oncall").last(), Some(&Turn::NeedsHelp), "it stays open");
}

#[test]
fn who_was_called_about_what_is_watched_no_longer_hears_that_it_is_not_resolved() {
    let mut cancelled = asked(ladder());
    cancelled.presses(Command::Cancel).unwrap();
    let mut superseded = asked(ladder());
    superseded.take(Event::Superseded { by: "api:3".into(), older: false }).unwrap();
    for (guard, why) in [
        (&cancelled, "not resolved: the watch was cancelled by dana"),
        (&superseded, "not resolved: superseded by api:3"),
    ] {
        assert_eq!(heard(guard, "pagerduty:oncall"), [Turn::Opened, Turn::Closed]);
        assert_eq!(heard(guard, "webhook:audit"), [Turn::Opened, Turn::Closed]);
        let (word, _) = last_reply(guard);
        assert!(format!("{:?}", word.fields).contains(why), "{:?}", word.fields);
        assert!(!guard.watch.timeline.iter().any(|one| one.text.contains("is over")));
    }
}

#[test]
fn a_receiver_of_events_hears_the_end_where_a_pager_keeps_what_a_person_has_to_see_to() {
    let mut guard = asked(super::escalate::short_ladder());
    ends(&mut guard);
    assert_eq!(heard(&guard, "webhook:audit"), [Turn::Opened, Turn::NeedsHelp, Turn::Closed]);
    assert_eq!(heard(&guard, "pagerduty:oncall").last(), Some(&Turn::NeedsHelp));
}

/// Rolled back, and its target in place.
fn back(policy: Policy, bad: f64) -> Guard {
    let mut guard = Guard::settled(policy);
    guard.breaks(bad);
    if !guard.wants_rollback() {
        guard.presses(Command::Rollback).unwrap();
    }
    guard.accepts(Route::UpdateService);
    guard.sees(sighting(70, "ecs-svc/3", 1, RollOut::Completed));
    guard
}

#[test]
fn a_rollback_in_place_was_one_though_another_deployment_came_before_the_recovery() {
    for (by, bad) in [("guard", 40.0), ("person", 5.0)] {
        let mut guard = back(ladder(), bad);
        guard.take(Event::Superseded { by: "v12 (api:3)".into(), older: false }).unwrap();
        assert_eq!(guard.watch.outcome(), Some(Outcome::RolledBack), "{by}");
        let mut digest = Digest::new(at(guard.clock), at(guard.clock));
        digest.add(&guard.watch);
        assert_eq!(digest.policies[0].came[&Came::RolledBack], 1, "{by}");
        let told = report(&tell(&guard.journal, None).unwrap());
        let unconfirmed = "rolled back: api:1 was back in place; superseded by v12 (api:3) before \
                           the numbers were seen to recover";
        assert!(told.contains(unconfirmed), "{told}");
        assert!(!told.contains("has to see to it") && !told.contains("is over"), "{told}");
        assert_eq!(heard(&guard, "webhook:audit").last(), Some(&Turn::Closed));
        assert_eq!(guard.replayed(), guard.watch);
    }
}

#[test]
fn a_rollback_that_was_not_in_place_yet_is_none() {
    let mut guard = Guard::settled(policy());
    guard.breaks(40.0);
    guard.accepts(Route::UpdateService);
    guard.take(Event::Superseded { by: "v12".into(), older: false }).unwrap();
    assert_eq!(guard.watch.outcome(), Some(Outcome::Superseded));
}

#[test]
fn what_is_rolled_back_after_a_hold_was_not_left_without_an_answer() {
    let mut guard = asked(policy());
    guard.presses(Command::Hold).unwrap();
    guard.lives(5.0, 31 * 60);
    assert!(guard.wants_rollback(), "{:?}", guard.said());
    let told = report(&tell(&guard.journal, None).unwrap());
    assert!(told.contains("nobody decided") && !told.contains("nobody answered"), "{told}");
}
