//! An incident that comes and goes.

use std::collections::BTreeMap;

use jiff::SignedDuration;

use super::escalate::{heard, ladder};
use super::world::{Guard, at, policy};
use crate::model::{Body, Mode, Outcome, Severity, Turn};
use crate::policy::{Action, Actions, Bound, Limit, Policy, Side, Unit};
use crate::watch::{Command, Event};

/// SEV2 is only noted.
fn noted() -> Policy {
    let by_severity = BTreeMap::from([(Severity::Sev1, Action::Rollback)]);
    let hold = SignedDuration::from_mins(15);
    let mut policy = Policy { actions: Actions { by_severity, ask_after: None, hold }, ..policy() };
    policy.phases[0].until = SignedDuration::from_hours(6);
    policy.phases[1].until = SignedDuration::from_hours(12);
    policy
}

/// Breaks until it is in breach; how long that took, in seconds.
fn breaks(guard: &mut Guard, bad: f64) {
    for _ in 0..20 {
        guard.reads(bad);
        if guard.watch.is_in_breach() {
            return;
        }
    }
    panic!("no breach: {:?}", guard.watch.timeline);
}

/// Well until the incident is over; how long that took, in seconds.
fn heals(guard: &mut Guard) -> i64 {
    let from = guard.clock;
    while guard.watch.has_open_incident() {
        guard.reads(0.0);
        assert!(guard.clock - from < 7200, "{:?}", guard.watch.timeline);
    }
    guard.clock - from
}

fn cards(guard: &Guard) -> usize {
    guard.notices.iter().filter(|notice| matches!(notice.body, Body::Card(_))).count()
}

#[test]
fn repeated_breaches_of_one_incident_edit_the_card_and_a_worse_severity_posts_once() {
    let mut policy = noted();
    let bound = Bound { side: Side::Above, value: 0.01, unit: Unit::Ratio };
    policy.checks[0].breach.insert(Severity::Sev3, Limit { bound, hold: None });
    policy.checks[0].breach.remove(&Severity::Sev1);
    let limit = policy.checks[0].breach.get_mut(&Severity::Sev2).unwrap();
    limit.bound.value = 0.1;
    let mut guard = Guard::settled(policy);
    breaks(&mut guard, 5.0);
    assert_eq!(guard.said().len(), 1, "{:?}", guard.said());
    let incident = guard.watch.incident.clone().unwrap();
    assert_eq!(incident.severity, Severity::Sev3);
    guard.lives(5.0, 300);
    assert_eq!(guard.said().len(), 1, "{:?}", guard.said());
    guard.lives(40.0, 600);
    assert_eq!(guard.watch.incident.as_ref().unwrap().severity, Severity::Sev2);
    assert_eq!(guard.said().len(), 2, "{:?}", guard.said());
    guard.lives(5.0, 120);
    guard.lives(40.0, 120);
    assert_eq!(guard.said().len(), 2, "{:?}", guard.said());
    assert_eq!(guard.watch.incident.unwrap().number, incident.number);
}

#[test]
fn what_comes_back_is_the_same_incident_and_says_so_once() {
    let mut guard = Guard::settled(noted());
    breaks(&mut guard, 5.0);
    let opened = guard.watch.incident.clone().unwrap();
    heals(&mut guard);
    assert_eq!(guard.said().len(), 2, "{:?}", guard.said());
    for _ in 0..5 {
        let before = cards(&guard);
        breaks(&mut guard, 5.0);
        assert!(cards(&guard) > before, "the card shows it");
        heals(&mut guard);
    }
    let incident = guard.watch.incident.as_ref().unwrap();
    assert_eq!((incident.number, incident.opened_at), (1, opened.opened_at));
    assert_eq!(incident.returns, 5);
    let said = guard.said();
    assert_eq!(said.len(), 3, "{said:?}");
    assert!(said[2].starts_with("SEV2 again, 2 times since "), "{said:?}");
    // Only when it has stayed away people hear that it is over.
    let (last, until) = (guard.said().len(), guard.watch.steady_at().unwrap());
    while at(guard.clock) < until {
        assert_eq!(guard.said().len(), last);
        guard.lives(0.0, 10);
    }
    let said = guard.said();
    assert_eq!(said.len(), 4, "{said:?}");
    assert!(said[3].contains("has stayed so"), "{said:?}");
    assert_eq!(guard.replayed(), guard.watch);
}

#[test]
fn each_time_it_must_be_well_for_twice_as_long_and_never_longer_than_half_an_hour() {
    let mut guard = Guard::settled(noted());
    let mut calm = Vec::new();
    for _ in 0..12 {
        breaks(&mut guard, 5.0);
        calm.push(heals(&mut guard));
    }
    assert!(calm.windows(2).all(|pair| pair[0] <= pair[1]), "{calm:?}");
    assert!(calm[3] >= 4 * calm[0], "{calm:?}");
    assert!(*calm.last().unwrap() <= 1860, "{calm:?}");
    assert!(*calm.last().unwrap() >= 1800, "{calm:?}");
}

#[test]
fn what_comes_back_much_later_is_another_incident() {
    let mut guard = Guard::settled(noted());
    breaks(&mut guard, 5.0);
    heals(&mut guard);
    guard.lives(0.0, 1900);
    breaks(&mut guard, 5.0);
    let incident = guard.watch.incident.as_ref().unwrap();
    assert_eq!((incident.number, incident.returns), (2, 0));
}

#[test]
fn a_rollback_that_is_due_is_decided_in_a_flap_as_anywhere() {
    for ack in [false, true] {
        let mut guard = Guard::settled(noted());
        for _ in 0..3 {
            breaks(&mut guard, 5.0);
            if ack {
                guard.presses(Command::Ack).unwrap();
            }
            heals(&mut guard);
        }
        breaks(&mut guard, 5.0);
        guard.reads(0.0);
        assert!(!guard.wants_rollback());
        for _ in 0..8 {
            guard.reads(60.0);
        }
        assert!(guard.wants_rollback(), "{:?}", guard.watch.timeline);
    }
}

#[test]
fn a_question_is_withdrawn_when_it_is_well_and_asked_again_when_it_is_not() {
    let mut guard = Guard::settled(policy());
    breaks(&mut guard, 5.0);
    heals(&mut guard);
    breaks(&mut guard, 5.0);
    let asked = guard.watch.pending.clone().unwrap();
    assert_eq!(asked.asked_at, at(guard.clock), "it has its whole time");
    for _ in 0..4 {
        guard.reads(0.0);
    }
    assert!(guard.watch.has_open_incident(), "not over before it has lasted");
    assert_eq!(guard.watch.pending, None);
    breaks(&mut guard, 5.0);
    assert!(guard.watch.pending.is_some());
    assert_eq!(guard.watch.incident.as_ref().unwrap().returns, 2);
    guard.lives(5.0, 15 * 60);
    assert!(guard.wants_rollback());
}

#[test]
fn what_comes_back_is_seen_by_nobody_yet_though_it_was_acknowledged_before() {
    let mut guard = Guard::settled(ladder());
    breaks(&mut guard, 5.0);
    guard.presses(Command::Ack).unwrap();
    heals(&mut guard);
    let acked = Turn::Acknowledged { by: "dana".into() };
    let called = [Turn::Opened, acked, Turn::Resolved];
    assert_eq!(heard(&guard, "pagerduty:oncall"), called);
    breaks(&mut guard, 5.0);
    assert_eq!(heard(&guard, "pagerduty:oncall").last(), Some(&Turn::Opened));
    assert!(guard.watch.pending.is_some());
    guard.lives(5.0, 400);
    assert_eq!(heard(&guard, "email:manager").len(), 1, "the ladder goes on");
}

#[test]
fn an_acknowledgement_from_before_holds_up_no_rollback() {
    let mut policy = ladder();
    policy.actions.by_severity.insert(Severity::Sev2, crate::policy::Action::Notify);
    let mut guard = Guard::settled(policy);
    breaks(&mut guard, 5.0);
    guard.presses(Command::Ack).unwrap();
    guard.lives(40.0, 120);
    assert!(guard.wants_rollback(), "{:?}", guard.said());
}

#[test]
fn the_calls_go_on_where_they_stood_and_stand_still_while_it_is_well() {
    let mut guard = Guard::settled(ladder());
    breaks(&mut guard, 5.0);
    guard.lives(5.0, 200);
    heals(&mut guard);
    assert_eq!(guard.watch.next_call_at(), None, "nobody is called about what is well");
    guard.lives(0.0, 300);
    breaks(&mut guard, 5.0);
    let opened = [Turn::Opened, Turn::Resolved, Turn::Opened];
    assert_eq!(heard(&guard, "pagerduty:oncall"), opened);
    let due = guard.watch.next_call_at().unwrap().duration_since(at(guard.clock));
    assert!(due.as_secs() < 100 && due.as_secs() > 20, "{due:#}");
    guard.lives(5.0, 100);
    assert_eq!(heard(&guard, "email:manager"), [Turn::Called]);
    let keys = guard.notices.iter().filter_map(|notice| match &notice.body {
        Body::Signal { signal, .. } => Some(signal.incident.clone()),
        Body::Card(_) | Body::Reply(_) | Body::Files { .. } | Body::GitHub(_) => None,
    });
    let keys: std::collections::BTreeSet<_> = keys.collect();
    assert_eq!(keys.len(), 1, "one incident for a pager: {keys:?}");
}

#[test]
fn a_watch_that_ends_while_it_is_well_again_is_not_breached() {
    let mut short = noted();
    short.phases[0].until = SignedDuration::from_secs(900);
    short.phases[1].until = SignedDuration::from_secs(1800);
    let mut guard = Guard::settled(short);
    while guard.watch.is_open() {
        let left = at(1800).duration_since(at(guard.clock)).as_secs();
        if left > 120 {
            breaks(&mut guard, 5.0);
        }
        (0..4).for_each(|_| guard.reads(0.0));
    }
    assert_eq!(guard.watch.outcome(), Some(Outcome::Passed), "{:?}", guard.watch.timeline);
    assert!(guard.watch.incident.as_ref().unwrap().returns > 3);
    assert!(guard.said().last().unwrap().contains("has stayed so"), "{:?}", guard.said());
}

#[test]
fn what_would_have_been_done_is_said_of_each_answer_once() {
    let mut guard = Guard::settled(Policy { mode: Mode::Observe, ..noted() });
    for _ in 0..3 {
        breaks(&mut guard, 40.0);
        heals(&mut guard);
    }
    let would = guard.said().iter().filter(|line| line.contains("would have been")).count();
    assert_eq!(would, 2, "the first, and that it is back: {:?}", guard.said());
}

/// In each sample something else is told first, and of most spells nothing more is.
#[test]
fn a_pager_is_told_in_the_words_of_the_incident_and_of_nothing_else_of_the_same_sample() {
    let mut policy = noted();
    policy.notify.tell = vec!["webhook:audit".parse().unwrap()];
    let mut guard = Guard::settled(policy);
    for number in 0..400 {
        guard.clock += 10;
        let mut sampled = guard.sample(if number / 20 % 2 == 0 { 5.0 } else { 0.0 });
        sampled.alarms_before = [format!("disk {number}")].into();
        let _ = guard.take(Event::Sampled(Box::new(sampled)));
    }
    let told = guard.said().iter().filter(|words| words.contains("in ALARM")).count();
    assert_eq!(told, 400, "each sample says something");
    let headlines = guard.notices.iter().filter_map(|notice| match &notice.body {
        Body::Signal { signal, .. } => Some((signal.turn.clone(), signal.headline.as_str())),
        Body::Card(_) | Body::Reply(_) | Body::Files { .. } | Body::GitHub(_) => None,
    });
    let headlines: Vec<_> = headlines.collect();
    for turn in [Turn::Opened, Turn::Resolved] {
        let of_it = headlines.iter().filter(|(one, _)| *one == turn).count();
        assert!(of_it > 2, "{turn:?}: {headlines:?}");
    }
    for (turn, headline) in &headlines {
        assert!(!headline.contains("ALARM"), "{turn:?}: {headline}");
    }
}
