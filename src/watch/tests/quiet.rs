//! Quiet hours for what is only noted.

use std::collections::BTreeMap;

use super::escalate::{heard, ladder};
use super::world::{Guard, at, policy};
use crate::model::{Body, RollbackSafe, Severity, Turn};
use crate::policy::{Action, Bound, Limit, Policy, Side, Unit};
use crate::watch::Event;

/// A SEV3 above 0.5 %, and a night from 22:00 to 23:15 UTC: the world's clock begins at 22:13:20.
fn at_night(mut policy: Policy) -> Policy {
    let bound = Bound { side: Side::Above, value: 0.005, unit: Unit::Ratio };
    policy.checks[0].breach.insert(Severity::Sev3, Limit { bound, hold: None });
    policy.notify.quiet = BTreeMap::from([(Severity::Sev3, "22:00-23:00 UTC".parse().unwrap())]);
    policy
}

/// The end of the night.
const MORNING: i64 = 46 * 60 + 40;

fn noted(policy: Policy) -> Guard {
    let mut guard = Guard::settled(at_night(policy));
    for _ in 0..60 {
        guard.reads(0.9);
        if guard.watch.has_open_incident() {
            break;
        }
    }
    assert_eq!(guard.watch.incident.as_ref().unwrap().severity, Severity::Sev3);
    guard
}

#[test]
fn a_sev3_at_night_edits_the_card_and_is_said_in_the_morning_if_it_is_still_so() {
    let mut guard = noted(policy());
    assert_eq!(guard.said(), Vec::<String>::new());
    let card = guard.notices.iter().rev().find_map(|notice| match &notice.body {
        Body::Card(card) => Some(card.status.clone()),
        Body::Reply(_) | Body::Signal { .. } | Body::Files { .. } | Body::GitHub(_) => None,
    });
    assert!(card.unwrap().contains("told at the end of the quiet hours, 23:00:00 UTC"));
    assert!(guard.watch.next_wake().is_some_and(|wake| wake <= at(MORNING)), "it wakes by itself");
    guard.lives(0.9, MORNING - guard.clock - 10);
    assert_eq!(guard.said(), Vec::<String>::new());
    guard.lives(0.9, 20);
    let said = guard.said();
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(said[0].contains("SEV3") && said[0].contains("is in breach"), "{said:?}");
    assert_eq!(guard.replayed(), guard.watch);
}

#[test]
fn what_came_and_went_at_night_is_one_line_in_the_morning() {
    let mut guard = noted(policy());
    guard.lives(0.0, MORNING - guard.clock + 10);
    let said = guard.said();
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(said[0].contains("a SEV3 came and went in the quiet hours, once"), "{said:?}");
}

#[test]
fn what_gets_worse_at_night_is_said_at_once() {
    let mut guard = noted(policy());
    guard.lives(40.0, 60);
    assert!(guard.wants_rollback());
    let said = guard.said();
    assert!(said[0].starts_with("SEV2: roll ") && said.len() == 2, "{said:?}");
    assert_eq!(guard.watch.hushed, None, "nothing is left to say in the morning");
}

#[test]
fn a_sev3_that_asks_is_asked_at_any_hour() {
    let mut policy = policy();
    let ask = policy.actions.by_severity[&Severity::Sev2];
    assert!(matches!(ask, Action::Ask { .. }));
    policy.actions.by_severity.insert(Severity::Sev3, ask);
    let guard = noted(policy);
    assert_eq!(guard.said().len(), 1, "{:?}", guard.said());
}

#[test]
fn at_night_nobody_is_called_about_a_sev3_and_who_is_told_of_all_is_told() {
    let mut policy = ladder();
    let rungs = policy.notify.escalate[&Severity::Sev2].clone();
    policy.notify.escalate.insert(Severity::Sev3, rungs);
    let mut guard = noted(policy);
    assert_eq!(heard(&guard, "pagerduty:oncall"), []);
    assert_eq!(heard(&guard, "webhook:audit"), [Turn::Opened]);
    guard.lives(0.9, MORNING - guard.clock + 10);
    assert_eq!(heard(&guard, "pagerduty:oncall"), [Turn::Opened]);
    assert_eq!(heard(&guard, "webhook:audit"), [Turn::Opened]);
}

#[test]
fn what_joined_at_night_waits_for_the_morning_though_its_lead_is_over() {
    let mut policy = ladder();
    let rungs = policy.notify.escalate[&Severity::Sev2].clone();
    policy.notify.escalate.insert(Severity::Sev3, rungs);
    let mut api = Guard::of("api", at_night(policy.clone()), RollbackSafe::Yes);
    let mut web = Guard::of("web", at_night(policy), RollbackSafe::Yes);
    api.settle();
    web.settle();
    api.breaks(5.0);
    let lead = api.watch.leads(&web.watch, at(api.clock)).unwrap();
    while !web.watch.has_open_incident() {
        web.take(Event::Joined(Box::new(lead.clone()))).unwrap();
        web.reads(0.9);
    }
    assert!(web.watch.hushed.is_some() && !web.watch.companion().unwrap().calls);
    web.take(Event::LeadOver).unwrap();
    assert_eq!(web.said(), Vec::<String>::new());
    assert_eq!(heard(&web, "pagerduty:oncall"), []);
    assert_eq!(heard(&web, "webhook:audit"), [Turn::Opened, Turn::Opened], "under its own key now");
    web.lives(0.9, MORNING - web.clock + 10);
    assert_eq!(web.said().len(), 1, "{:?}", web.said());
    assert_eq!(heard(&web, "pagerduty:oncall"), [Turn::Opened]);
    assert_eq!(web.replayed(), web.watch);
}

#[test]
fn what_is_open_at_night_as_its_watch_ends_is_over_for_nobody_and_wakes_nobody() {
    let mut policy = ladder();
    policy.phases.truncate(1);
    let mut guard = noted(policy);
    while guard.watch.is_open() {
        guard.reads(0.9);
    }
    assert_eq!((guard.said().len(), guard.pages()), (1, 0), "{:?}", guard.said());
    assert_eq!(heard(&guard, "webhook:audit"), [Turn::Opened, Turn::Closed]);
    assert_eq!(heard(&guard, "pagerduty:oncall"), []);
}
