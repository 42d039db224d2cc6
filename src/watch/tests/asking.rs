//! What a mode and a policy leave to people: what they are asked, and what comes of it.

use jiff::SignedDuration;

use super::escalate::{asked, heard, ladder, mentions};
use super::world::{Guard, at, policy, service, sighting};
use crate::model::{
    ActFailure, Announcement, Body, Facts, Mode, Outcome, Reply, RollOut, RollbackSafe, Severity,
    Turn,
};
use crate::policy::{Action, Actions};
use crate::watch::{Ceiling, Command, Event};

#[test]
fn observe_only_says_what_it_would_have_done() {
    let mut guard = Guard::settled(crate::policy::Policy { mode: Mode::Observe, ..policy() });
    guard.breaks(40.0);
    assert!(!guard.wants_rollback());
    assert!(guard.said()[0].contains("would have been rolled back"), "{:?}", guard.said());
    assert!(guard.presses(Command::Rollback).is_err(), "observe does nothing, pressed or not");
    while guard.watch.is_open() {
        guard.reads(40.0);
    }
    assert_eq!(guard.watch.outcome(), Some(Outcome::Breached));
}

#[test]
fn observe_says_what_mode_auto_would_have_decided_and_why_as_the_digest_does() {
    let observe = crate::policy::Policy { mode: Mode::Observe, ..policy() };
    let cases = [
        (RollbackSafe::Yes, "would have been rolled back", None),
        (RollbackSafe::Unknown, "would have been asked", Some("nobody announced")),
        (RollbackSafe::No, "would have been left to people", Some("not safe to roll back")),
    ];
    for (safe, words, why) in cases {
        let mut guard = Guard::with(observe.clone(), safe);
        guard.settle();
        guard.breaks(40.0);
        let said = guard.said();
        assert!(said.len() == 1 && said[0].contains(words), "{said:?}");
        let lines = format!("{:?}", guard.notices);
        assert_eq!(lines.contains("not rolled back because"), why.is_some(), "{lines}");
        assert!(lines.contains(why.unwrap_or_default()), "{lines}");
    }
    let mut guard = Guard::over(observe);
    guard.sees(sighting(0, "ecs-svc/2", 2, RollOut::Completed));
    guard.clock = 30;
    guard.breaks(40.0);
    guard.finds_target();
    let said = guard.said();
    assert!(said[0].contains("would have been asked"), "no target yet: {said:?}");
    assert!(said[1].contains("would have been rolled back"), "a target was found: {said:?}");
}

#[test]
fn ask_does_nothing_unpressed_and_acts_when_pressed() {
    let mut guard = Guard::settled(crate::policy::Policy { mode: Mode::Ask, ..policy() });
    guard.breaks(40.0);
    guard.waits(20 * 60);
    assert!(!guard.wants_rollback(), "a time-out is no press");
    assert!(guard.said()[1].contains("nobody has decided"), "{:?}", guard.said());
    guard.presses(Command::Rollback).unwrap();
    assert!(guard.wants_rollback());
}

#[test]
fn silence_is_answered_with_a_rollback_only_where_policy_and_mode_say_so() {
    let mut guard = Guard::settled(policy());
    guard.breaks(5.0);
    assert!(!guard.wants_rollback(), "SEV2 asks");
    guard.lives(5.0, 15 * 60);
    assert!(guard.wants_rollback(), "the policy's on_timeout is rollback");
}

#[test]
fn silence_is_never_answered_with_a_rollback_on_old_numbers() {
    let mut guard = Guard::settled(policy());
    guard.breaks(5.0);
    guard.waits(15 * 60);
    assert!(!guard.wants_rollback(), "the guard was away: what holds now is unknown");
    assert!(guard.said()[1].contains("nobody has decided"), "{:?}", guard.said());
}

#[test]
fn silence_is_not_answered_with_what_has_been_forbidden_since() {
    let mut guard = Guard::settled(policy());
    guard.breaks(5.0);
    guard.watch.deployment.facts.rollback_safe = RollbackSafe::No;
    guard.lives(5.0, 15 * 60);
    assert!(!guard.wants_rollback());
}

#[test]
fn hold_stops_the_timer_once() {
    let mut guard = Guard::settled(policy());
    guard.breaks(5.0);
    guard.presses(Command::Hold).unwrap();
    assert!(guard.presses(Command::Hold).is_err());
    guard.lives(5.0, 15 * 60);
    assert!(!guard.wants_rollback());
    guard.lives(5.0, 15 * 60);
    assert!(guard.wants_rollback());
}

#[test]
fn what_nobody_announced_as_safe_is_asked_about() {
    let mut guard = Guard::with(policy(), RollbackSafe::Unknown);
    guard.settle();
    guard.breaks(40.0);
    assert!(!guard.wants_rollback());
    assert!(guard.said()[0].contains("A person has to decide"), "{:?}", guard.said());
}

#[test]
fn a_migration_is_never_rolled_back_automatically_and_pages_at_once() {
    let mut guard = Guard::with(policy(), RollbackSafe::No);
    guard.settle();
    guard.breaks(40.0);
    assert!(!guard.wants_rollback());
    assert_eq!(guard.pages(), 1, "{:?}", guard.said());
}

#[test]
fn late_in_a_watch_the_policy_may_ask_instead() {
    let by_severity = [(Severity::Sev1, Action::Rollback)].into();
    let actions = Actions {
        by_severity,
        ask_after: Some(SignedDuration::from_secs(100)),
        hold: SignedDuration::from_mins(15),
    };
    let mut guard = Guard::settled(crate::policy::Policy { actions, ..policy() });
    guard.clock = 200;
    guard.breaks(40.0);
    assert!(!guard.wants_rollback());
    assert!(guard.said()[0].contains("A person has to decide"));
}

#[test]
fn a_ceiling_never_rises_above_the_policy_of_the_watch() {
    let mut guard = Guard::settled(crate::policy::Policy { mode: Mode::Observe, ..policy() });
    let raised = Ceiling { mode: Mode::Auto, because: None };
    guard.take(Event::CeilingChanged(raised)).unwrap();
    assert_eq!(guard.watch.ceiling.mode, Mode::Observe);
}

#[test]
fn refused_by_the_brakes_it_becomes_a_question() {
    let mut guard = Guard::settled(policy());
    guard.breaks(40.0);
    let refused = ActFailure::Refused("3 rollbacks within 10m".into());
    guard.take(Event::Acted(Err(refused))).unwrap();
    guard.waits(3000);
    assert!(!guard.wants_rollback());
    guard.presses(Command::Rollback).unwrap();
    assert!(guard.wants_rollback());
}

#[test]
fn while_it_is_paused_an_open_question_promises_no_rollback() {
    let mut guard = Guard::settled(policy());
    guard.breaks(5.0);
    assert!(guard.watch.status_line().contains("rolls back at "), "{}", guard.watch.status_line());
    let paused = Ceiling { mode: Mode::Observe, because: Some("paused by eve".into()) };
    guard.take(Event::CeilingChanged(paused)).unwrap();
    let line = guard.watch.status_line();
    assert!(line.contains("a person decides; paged again at "), "{line}");
    let card = guard.notices.iter().rev().find_map(|notice| match &notice.body {
        Body::Card(card) => Some(format!("{:?}", card.incident)),
        Body::Reply(_) | Body::Signal { .. } | Body::Files { .. } | Body::GitHub(_) => None,
    });
    assert!(!card.as_ref().unwrap().contains("rolled back at"), "{card:?}");
    guard.presses(Command::Hold).unwrap();
    let held = format!("{:?}", guard.notices.iter().rev().nth(1).unwrap().body);
    assert!(held.contains("people are paged again then"), "{held}");
    guard.lives(5.0, 31 * 60);
    assert!(!guard.wants_rollback());
    assert!(guard.said().iter().any(|line| line.contains("nobody has decided")));
}

fn last_reply(guard: &Guard) -> Reply {
    let reply = guard.notices.iter().rev().find_map(|notice| match &notice.body {
        Body::Reply(reply) => Some(reply.clone()),
        Body::Card(_) | Body::Signal { .. } | Body::Files { .. } | Body::GitHub(_) => None,
    });
    reply.unwrap()
}

#[test]
fn whoever_is_called_reads_what_broke_and_what_to_press_or_type() {
    let mut guard = super::escalate::asked(super::escalate::ladder());
    guard.waits(300);
    let rung = last_reply(&guard);
    assert!(rung.headline.contains("nobody has acknowledged"), "{rung:?}");
    assert!(rung.lines[0].starts_with("errors 5%, limit > 1%"), "{rung:?}");
    let command = format!("to roll back: deployguard rollback {}", guard.watch.id);
    assert!(rung.lines.contains(&command), "{rung:?}");
    assert!(rung.offers.iter().any(|offer| offer.command == Command::Rollback));
    assert!(!rung.offers.iter().any(|offer| offer.command == Command::Cancel));
    let told = |text: &str| guard.watch.timeline.iter().any(|one| one.text == text);
    assert!(told("called: S0ONCALL and pagerduty:oncall"), "{:?}", guard.watch.timeline);
    assert!(told("called: U0MANAGER and email:manager"), "{:?}", guard.watch.timeline);
}

#[test]
fn that_nobody_has_decided_is_said_with_the_proposal_and_what_to_press() {
    let mut guard = super::escalate::asked(crate::policy::Policy { mode: Mode::Ask, ..policy() });
    guard.waits(900);
    let page = last_reply(&guard);
    assert!(page.headline.contains("nobody has decided"), "{page:?}");
    assert!(format!("{:?}", page.fields).contains("proposed: back to api:1"), "{page:?}");
    assert!(page.lines.iter().any(|line| line.contains("deployguard rollback ")), "{page:?}");
    assert!(page.offers.iter().any(|offer| offer.command == Command::Rollback), "{page:?}");
}

#[test]
fn that_the_only_hold_is_used_is_said_where_the_time_stands() {
    let mut guard = super::escalate::asked(policy());
    assert!(guard.watch.status_line().ends_with("unless held"), "{}", guard.watch.status_line());
    guard.presses(Command::Hold).unwrap();
    let held = guard.watch.status_line();
    assert!(held.ends_with("held once already") && !held.contains("unless held"), "{held}");
}

/// Asked with a rollback announced for when nobody decides; dana acknowledged meanwhile.
fn promised() -> Guard {
    let mut guard = asked(ladder());
    guard.lives(5.0, 10 * 60);
    guard.presses(Command::Ack).unwrap();
    guard
}

#[test]
fn a_rollback_that_was_promised_and_does_not_come_is_told_of_and_calls_whoever_acknowledged() {
    let mut guard = promised();
    let due = guard.watch.pending.as_ref().unwrap().until.unwrap();
    guard.waits(5 * 60);
    assert!(!guard.wants_rollback(), "what holds now is unknown");
    let last = guard.said().pop().unwrap();
    let when = crate::watch::words::clock(due);
    assert!(last.contains(&format!("not rolled back at {when}")), "{last}");
    let said = format!("{:?}", guard.notices);
    assert!(said.contains("no breach is measured now"), "{said}");
    assert_eq!(mentions(&guard.notices).last().unwrap(), "S0ONCALL");
    assert_eq!(heard(&guard, "pagerduty:oncall").last(), Some(&Turn::Called));
    guard.waits(5 * 60);
    assert_eq!(mentions(&guard.notices).last().unwrap(), "U0MANAGER");
    assert_eq!(guard.replayed(), guard.watch);
}

#[test]
fn a_rollback_that_the_mode_forbids_by_then_says_which_mode() {
    let mut guard = promised();
    let paused = Ceiling { mode: Mode::Observe, because: Some("paused by eve".into()) };
    guard.take(Event::CeilingChanged(paused)).unwrap();
    guard.lives(5.0, 5 * 60);
    let said = format!("{:?}", guard.notices);
    assert!(said.contains("the mode is observe: paused by eve"), "{said}");
    assert_eq!(mentions(&guard.notices).last().unwrap(), "S0ONCALL", "a pause stops no calls");
}

#[test]
fn what_is_announced_as_unsafe_is_told_at_once_whoever_has_it_in_hand() {
    for held in [false, true] {
        let mut guard = asked(ladder());
        guard.lives(5.0, 60);
        guard.presses(if held { Command::Hold } else { Command::Ack }).unwrap();
        let pages = guard.pages();
        let announcement = Announcement {
            id: "gha-8".into(),
            service: service(),
            revision: None,
            platform_id: None,
            at: at(0),
            facts: Facts { rollback_safe: RollbackSafe::No, ..Facts::default() },
        };
        guard.take(Event::Announced(Box::new(announcement))).unwrap();
        let last = guard.said().pop().unwrap();
        assert!(last.contains("CANNOT be rolled back"), "{last}");
        assert_eq!(guard.pages(), pages + 1);
        assert_eq!(mentions(&guard.notices), ["S0ONCALL", "S0ONCALL"]);
        guard.lives(5.0, 5 * 60);
        assert_eq!(mentions(&guard.notices).last().unwrap(), "U0MANAGER");
        assert!(!guard.wants_rollback());
    }
}
