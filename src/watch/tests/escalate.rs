//! Who is called about an incident, and who hears of its end.

use std::collections::BTreeMap;

use jiff::SignedDuration;

use super::world::{Guard, at, policy};
use crate::model::{ActFailure, Body, Mode, Notice, Outcome, Recipient, Severity, Turn};
use crate::policy::{Policy, Rung};
use crate::watch::{Ceiling, Command, Event, Press};

pub(super) fn to(text: &str) -> Recipient {
    text.parse().unwrap()
}

fn rung(minutes: i64, call: &[&str]) -> Rung {
    let call = call.iter().map(|text| to(text)).collect();
    Rung { after: SignedDuration::from_mins(minutes), call }
}

/// As document 002 has it: on-call, after 5 minutes the manager, after 5 more the product
/// manager.
pub(super) fn ladder() -> Policy {
    let mut policy = policy();
    let rungs = vec![
        rung(0, &["S0ONCALL", "pagerduty:oncall"]),
        rung(5, &["U0MANAGER", "email:manager"]),
        rung(10, &["U0PRODUCT"]),
    ];
    policy.notify.escalate = BTreeMap::from([(Severity::Sev2, rungs)]);
    policy.notify.tell = vec![to("webhook:audit")];
    policy
}

/// Asked about a SEV2.
pub(super) fn asked(policy: Policy) -> Guard {
    let mut guard = Guard::settled(policy);
    guard.breaks(5.0);
    assert!(guard.watch.pending.is_some(), "{:?}", guard.watch.timeline);
    guard
}

pub(super) fn mentions(notices: &[Notice]) -> Vec<String> {
    let replies = notices.iter().filter_map(|notice| match &notice.body {
        Body::Reply(reply) => Some(reply.mentions.clone()),
        Body::Card(_) | Body::Signal { .. } | Body::Files { .. } | Body::GitHub(_) => None,
    });
    replies.flatten().collect()
}

fn signals(notices: &[Notice]) -> Vec<(String, Turn)> {
    let signals = notices.iter().filter_map(|notice| match &notice.body {
        Body::Signal { to, signal } => {
            Some(to.iter().map(|to| (to.to_string(), signal.turn.clone())))
        }
        Body::Card(_) | Body::Reply(_) | Body::Files { .. } | Body::GitHub(_) => None,
    });
    signals.flatten().collect()
}

pub(super) fn heard(guard: &Guard, who: &str) -> Vec<Turn> {
    signals(&guard.notices).into_iter().filter(|(to, _)| to == who).map(|(_, turn)| turn).collect()
}

#[test]
fn the_first_rung_is_called_with_the_question_and_the_next_when_nobody_acknowledges() {
    let mut guard = asked(ladder());
    assert_eq!(mentions(&guard.notices), ["S0ONCALL"]);
    assert_eq!(heard(&guard, "pagerduty:oncall"), [Turn::Opened]);
    assert_eq!(heard(&guard, "email:manager"), []);
    guard.waits(299);
    assert_eq!(mentions(&guard.notices), ["S0ONCALL"], "not before its time");
    guard.waits(1);
    assert_eq!(mentions(&guard.notices), ["S0ONCALL", "U0MANAGER"]);
    assert_eq!(heard(&guard, "email:manager"), [Turn::Called]);
    guard.waits(5 * 60);
    assert_eq!(mentions(&guard.notices), ["S0ONCALL", "U0MANAGER", "U0PRODUCT"]);
    guard.waits(30 * 60);
    assert_eq!(mentions(&guard.notices).len(), 3, "nobody is called twice");
}

#[test]
fn who_acknowledges_stops_the_calls_and_is_heard_of_where_people_were_called() {
    let mut guard = asked(ladder());
    let until = guard.watch.pending.as_ref().unwrap().until;
    guard.presses(Command::Ack).unwrap();
    let acked = Turn::Acknowledged { by: "dana".into() };
    assert_eq!(heard(&guard, "pagerduty:oncall"), [Turn::Opened, acked.clone()]);
    assert_eq!(heard(&guard, "webhook:audit"), [Turn::Opened, acked]);
    guard.waits(6 * 60);
    assert_eq!(mentions(&guard.notices), ["S0ONCALL"]);
    assert_eq!(guard.watch.pending.as_ref().unwrap().until, until, "the decision stays due");
    guard.presses(Command::Ack).unwrap();
    assert_eq!(heard(&guard, "pagerduty:oncall").len(), 2, "the second time is no news");
}

#[test]
fn who_holds_or_rolls_back_has_seen_it() {
    for command in [Command::Hold, Command::Rollback] {
        let mut guard = asked(ladder());
        guard.presses(command).unwrap();
        guard.waits(6 * 60);
        assert_eq!(mentions(&guard.notices), ["S0ONCALL"], "{command:?}");
    }
}

#[test]
fn the_end_is_heard_of_by_those_who_heard_of_the_beginning() {
    let mut guard = asked(ladder());
    guard.lives(0.0, 600);
    assert_eq!(heard(&guard, "pagerduty:oncall"), [Turn::Opened, Turn::Resolved]);
    assert_eq!(heard(&guard, "webhook:audit"), [Turn::Opened, Turn::Resolved]);
    assert_eq!(heard(&guard, "email:manager"), [], "was never called");
    assert_eq!(guard.watch.next_call_at(), None);
}

#[test]
fn in_mode_observe_nobody_is_called_and_a_webhook_is_told() {
    let mut guard = Guard::settled(Policy { mode: Mode::Observe, ..ladder() });
    guard.breaks(5.0);
    guard.waits(6 * 60);
    assert_eq!(mentions(&guard.notices), Vec::<String>::new());
    let told: Vec<_> = signals(&guard.notices).into_iter().map(|(to, _)| to).collect();
    assert_eq!(told, ["webhook:audit"]);
}

#[test]
fn a_press_that_comes_twice_or_about_another_incident_is_refused() {
    let mut guard = asked(ladder());
    let press = |incident, key: &str| Press {
        incident: Some(incident),
        key: Some(key.to_owned()),
        ..Press::new(Command::Ack, "dana", None)
    };
    guard.take_press(press(1, "a")).unwrap();
    assert_eq!(guard.take_press(press(1, "a")).unwrap_err().0, "it was pressed already");
    let why = guard.take_press(press(2, "b")).unwrap_err().0;
    assert!(why.starts_with("that was about another incident; now: SEV2 incident"), "{why}");
    guard.lives(0.0, 600);
    let why = guard.take_press(press(1, "c")).unwrap_err().0;
    assert!(why.starts_with("it was resolved at"), "{why}");
}

#[test]
fn a_hold_is_bounded_by_the_policy_and_can_be_given_up() {
    let hold = |minutes| Press {
        for_: Some(SignedDuration::from_mins(minutes)),
        ..Press::new(Command::Hold, "dana", None)
    };
    let mut guard = asked(ladder());
    let due = guard.watch.pending.as_ref().unwrap().until.unwrap();
    let why = guard.take_press(hold(31)).unwrap_err().0;
    assert!(why.starts_with("the policy lets it be held until"), "{why}");
    guard.take_press(hold(20)).unwrap();
    let held = guard.watch.pending.as_ref().unwrap().until.unwrap();
    assert_eq!(held.duration_since(due), SignedDuration::from_mins(5));
    guard.presses(Command::Resume).unwrap();
    assert_eq!(guard.watch.pending.as_ref().unwrap().until, Some(due));
    assert!(guard.presses(Command::Resume).is_err());
    assert!(guard.presses(Command::Hold).is_err(), "once");
}

#[test]
fn a_hold_that_ends_without_a_decision_calls_people_anew() {
    let mut guard = asked(ladder());
    guard.presses(Command::Hold).unwrap();
    guard.waits(29 * 60);
    assert_eq!(mentions(&guard.notices), ["S0ONCALL"]);
    guard.waits(60);
    assert_eq!(mentions(&guard.notices), ["S0ONCALL", "S0ONCALL"], "{:?}", guard.said());
    assert_eq!(heard(&guard, "pagerduty:oncall").last(), Some(&Turn::Called));
    let help = |turn: &Turn| *turn == Turn::NeedsHelp;
    assert!(!heard(&guard, "pagerduty:oncall").iter().any(help), "once in one step");
    assert!(heard(&guard, "webhook:audit").iter().any(help));
    guard.waits(5 * 60);
    assert_eq!(mentions(&guard.notices), ["S0ONCALL", "S0ONCALL", "U0MANAGER"]);
}

#[test]
fn what_is_offered_is_what_would_be_taken() {
    let mut guard = Guard::settled(policy());
    let offered = |guard: &Guard| -> Vec<Command> {
        guard.watch.offers(at(guard.clock)).iter().map(|offer| offer.command).collect()
    };
    assert_eq!(offered(&guard), [Command::Rollback, Command::Cancel]);
    guard.breaks(5.0);
    let asked = [Command::Rollback, Command::Ack, Command::Hold, Command::Cancel];
    assert_eq!(offered(&guard), asked);
    let offers = guard.watch.offers(at(guard.clock));
    let confirm = offers[0].confirm.as_ref().unwrap();
    assert!(confirm.text.starts_with("prod/api: api:2 → api:1, by UpdateService"), "{confirm:?}");
    let times: Vec<_> = offers[2].times.iter().map(|time| time.until).collect();
    assert_eq!(times.len(), 3, "5 and 10 minutes more, and the policy's 15: {offers:?}");
    guard
        .take_press(Press { incident: Some(1), ..Press::new(Command::Hold, "dana", None) })
        .unwrap();
    assert_eq!(
        offered(&guard),
        [Command::Rollback, Command::Ack, Command::Resume, Command::Cancel]
    );
    for offer in guard.watch.offers(at(guard.clock)) {
        let mut other = guard.watch.clone();
        let incident = Some(offer.incident);
        let press = Press { incident, ..Press::new(offer.command, "dana", None) };
        assert_eq!(other.handle(&Event::Pressed(press), at(guard.clock)).err(), None, "{offer:?}");
    }
    guard.presses(Command::Rollback).unwrap();
    assert_eq!(offered(&guard), [], "it is on its way");
}

#[test]
fn a_button_of_a_quiet_card_is_stale_once_an_incident_is_open() {
    let mut guard = Guard::settled(policy());
    let quiet = |command| Press { incident: Some(0), ..Press::new(command, "dana", None) };
    guard.breaks(5.0);
    let refused = guard.take_press(quiet(Command::Cancel)).unwrap_err();
    assert!(refused.0.starts_with("an incident has opened since; now: SEV2"), "{refused}");
    assert!(guard.watch.is_open());
    let mut other = Guard::settled(policy());
    other.take_press(quiet(Command::Cancel)).unwrap();
    assert!(!other.watch.is_open());
}

/// As it goes on to the end of the watch, its samples 30 s apart, nobody answering.
pub(super) fn ends(guard: &mut Guard) {
    while guard.watch.is_open() {
        guard.reads(5.0);
    }
}

/// Asked, and nothing follows; the watch is over before the last rungs are due.
pub(super) fn short_ladder() -> Policy {
    let mut policy = ladder();
    policy.mode = Mode::Ask;
    policy.phases.truncate(1);
    policy.phases[0].until = SignedDuration::from_secs(300);
    policy
}

#[test]
fn the_end_of_a_watch_calls_at_once_whoever_is_left_about_what_nobody_has_acknowledged() {
    let mut guard = asked(short_ladder());
    ends(&mut guard);
    assert_eq!(mentions(&guard.notices), ["S0ONCALL", "U0MANAGER", "U0PRODUCT"]);
    assert_eq!(heard(&guard, "pagerduty:oncall"), [Turn::Opened, Turn::NeedsHelp]);
    assert_eq!(heard(&guard, "email:manager"), [Turn::NeedsHelp]);
    assert_eq!(guard.watch.next_wake(), None);
    let last = guard.notices.iter().rev().find_map(|notice| match &notice.body {
        Body::Signal { signal, .. } => Some(format!("{:?}", signal.fields)),
        Body::Card(_) | Body::Reply(_) | Body::Files { .. } | Body::GitHub(_) => None,
    });
    assert!(last.as_ref().unwrap().contains("the watch is over; nobody has ack"), "{last:?}");
}

#[test]
fn the_end_of_a_watch_calls_nobody_else_about_what_somebody_has_in_hand() {
    let mut guard = asked(short_ladder());
    guard.presses(Command::Ack).unwrap();
    ends(&mut guard);
    assert_eq!(mentions(&guard.notices), ["S0ONCALL"]);
    assert_eq!(heard(&guard, "pagerduty:oncall").last(), Some(&Turn::NeedsHelp));
    assert_eq!(heard(&guard, "email:manager"), []);
    let mut guard = asked(short_ladder());
    guard.presses(Command::Hold).unwrap();
    ends(&mut guard);
    assert_eq!(heard(&guard, "email:manager"), [Turn::NeedsHelp], "a hold ends with its question");
}

#[test]
fn what_was_over_before_the_watch_ended_is_not_over_once_more() {
    let mut policy = ladder();
    policy.min_coverage = 1.0;
    let mut guard = asked(policy);
    guard.lives(0.0, 600);
    guard.clock += 600;
    while guard.watch.is_open() {
        guard.lives(0.0, 30);
    }
    assert_eq!(guard.watch.outcome(), Some(Outcome::Inconclusive), "{:?}", guard.watch.timeline);
    assert_eq!(heard(&guard, "pagerduty:oncall"), [Turn::Opened, Turn::Resolved]);
}

#[test]
fn where_nothing_is_done_nobody_is_called_at_the_end_either() {
    let mut guard = Guard::settled(Policy { mode: Mode::Observe, ..short_ladder() });
    guard.breaks(5.0);
    ends(&mut guard);
    assert_eq!(guard.pages(), 0, "{:?}", guard.said());
    assert_eq!(heard(&guard, "pagerduty:oncall"), []);
    assert_eq!(heard(&guard, "webhook:audit"), [Turn::Opened, Turn::Closed]);
}

#[test]
fn an_acknowledgement_while_it_is_held_outlasts_the_hold() {
    let mut guard = asked(Policy { mode: Mode::Ask, ..ladder() });
    guard.presses(Command::Hold).unwrap();
    guard.presses(Command::Ack).unwrap();
    guard.lives(5.0, 40 * 60);
    assert_eq!(mentions(&guard.notices), ["S0ONCALL"]);
    assert!(!heard(&guard, "pagerduty:oncall").contains(&Turn::NeedsHelp));
}

#[test]
fn once_nobody_holds_it_any_more_the_calls_go_on_where_they_stood() {
    let mut guard = asked(ladder());
    guard.waits(120);
    guard.presses(Command::Hold).unwrap();
    guard.waits(600);
    guard.presses(Command::Resume).unwrap();
    guard.waits(170);
    assert_eq!(mentions(&guard.notices), ["S0ONCALL"]);
    guard.waits(10);
    assert_eq!(mentions(&guard.notices), ["S0ONCALL", "U0MANAGER"], "five minutes unheld");
}

#[test]
fn a_question_that_comes_after_an_acknowledgement_calls_people_anew() {
    let mut policy = ladder();
    let rungs = policy.notify.escalate[&Severity::Sev2].clone();
    policy.notify.escalate.insert(Severity::Sev1, rungs);
    let mut guard = Guard::settled(policy);
    guard.breaks(40.0);
    guard.presses(Command::Ack).unwrap();
    guard.waits(60);
    let refused = ActFailure::Refused("3 rollbacks within 10m".into());
    guard.take(Event::Acted(Err(refused))).unwrap();
    assert_eq!(mentions(&guard.notices), ["S0ONCALL", "S0ONCALL"]);
    assert_eq!(heard(&guard, "pagerduty:oncall").last(), Some(&Turn::Called));
    guard.waits(300);
    assert_eq!(heard(&guard, "email:manager"), [Turn::Called]);
}

#[test]
fn a_pause_stops_no_calls_about_what_was_open_before_it() {
    let mut guard = asked(ladder());
    let paused = Ceiling { mode: Mode::Observe, because: Some("paused by eve".into()) };
    guard.take(Event::CeilingChanged(paused)).unwrap();
    let said = format!("{:?}", guard.notices);
    assert!(said.contains("people go on being called about what is open"), "{said}");
    guard.waits(300);
    assert_eq!(mentions(&guard.notices), ["S0ONCALL", "U0MANAGER"]);
}

/// Whether the pager was called once more at each of its turns.
fn anew(guard: &Guard) -> Vec<(Turn, bool)> {
    let oncall = to("pagerduty:oncall");
    let told = guard.notices.iter().filter_map(|notice| match &notice.body {
        Body::Signal { to, signal } if to.contains(&oncall) => {
            Some((signal.turn.clone(), signal.anew))
        }
        Body::Signal { .. }
        | Body::Card(_)
        | Body::Reply(_)
        | Body::Files { .. }
        | Body::GitHub(_) => None,
    });
    told.collect()
}

#[test]
fn whom_a_hold_had_calmed_its_end_calls_once_more() {
    let mut guard = asked(ladder());
    assert_eq!(anew(&guard), [(Turn::Opened, false)]);
    guard.presses(Command::Hold).unwrap();
    guard.waits(30 * 60);
    let held = Turn::Acknowledged { by: "dana".into() };
    assert_eq!(anew(&guard), [(Turn::Opened, false), (held, false), (Turn::Called, true)]);
    assert_eq!(guard.replayed(), guard.watch);
}

#[test]
fn a_rollback_that_failed_calls_once_more_whoever_took_it_in_hand_at_the_pager() {
    let mut policy = ladder();
    let rungs = policy.notify.escalate[&Severity::Sev2].clone();
    policy.notify.escalate.insert(Severity::Sev1, rungs);
    let mut guard = Guard::settled(policy);
    guard.breaks(40.0);
    guard.take(Event::Acted(Err(ActFailure::Permanent("no such target".into())))).unwrap();
    assert_eq!(anew(&guard), [(Turn::Opened, false), (Turn::NeedsHelp, true)]);
}

#[test]
fn the_end_of_a_watch_calls_nobody_once_more_who_has_it_in_hand() {
    let mut guard = asked(short_ladder());
    guard.presses(Command::Ack).unwrap();
    ends(&mut guard);
    assert_eq!(anew(&guard).last(), Some(&(Turn::NeedsHelp, false)));
}
