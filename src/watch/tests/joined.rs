//! Services that break together.

use super::escalate::{heard, ladder, mentions};
use super::world::{Guard, at, policy};
use crate::model::{ActFailure, Body, Companion, Lead, Mode, RollbackSafe, Severity, Turn};
use crate::policy::Policy;
use crate::watch::{Ceiling, Command, Event};

fn settled(name: &str, policy: Policy) -> Guard {
    let mut guard = Guard::of(name, policy, RollbackSafe::Yes);
    guard.settle();
    guard
}

/// Of `lead`, as the engine finds it.
fn lead_of(lead: &Guard, other: &Guard) -> Option<Lead> {
    lead.watch.leads(&other.watch, at(lead.clock))
}

/// api breaks, and web a minute later; web joins.
fn together(bad: f64) -> (Guard, Guard) {
    let (mut api, mut web) = (settled("api", ladder()), settled("web", ladder()));
    api.breaks(5.0);
    let lead = lead_of(&api, &web).expect("it is open, and of this minute");
    web.reads(bad);
    web.reads(bad);
    web.take(Event::Joined(Box::new(lead))).unwrap();
    web.reads(bad);
    assert!(web.watch.has_open_incident());
    level(&mut api, &web);
    (api, web)
}

fn level(lead: &mut Guard, joined: &Guard) {
    let companion: Companion = joined.watch.companion().unwrap();
    lead.take(Event::Leads(Box::new(companion))).unwrap();
}

fn replies(guard: &Guard) -> Vec<crate::model::Reply> {
    let replies = guard.notices.iter().filter_map(|notice| match &notice.body {
        Body::Reply(reply) => Some(reply.clone()),
        Body::Card(_) | Body::Signal { .. } | Body::Files { .. } | Body::GitHub(_) => None,
    });
    replies.collect()
}

#[test]
fn the_one_that_joins_calls_nobody_and_names_the_lead_and_decides_as_ever() {
    let (api, web) = together(5.0);
    assert_eq!(web.pages(), 0, "{:?}", web.said());
    assert!(replies(&web).iter().all(|reply| reply.mentions.is_empty() && !reply.broadcast));
    assert_eq!(heard(&web, "pagerduty:oncall"), []);
    assert_eq!(web.watch.next_call_at(), None);
    let said = web.said();
    assert!(said.iter().any(|line| line.contains("part of the incident of api api:2")), "{said:?}");
    assert!(web.watch.pending.is_some(), "its own question stands");
    let key = format!("{}#1", api.watch.id);
    let keys = web.notices.iter().filter_map(|notice| match &notice.body {
        Body::Signal { signal, .. } => Some(signal.incident.clone()),
        Body::Card(_) | Body::Reply(_) | Body::Files { .. } | Body::GitHub(_) => None,
    });
    assert!(keys.clone().count() > 0 && keys.clone().all(|one| one == key));
    assert_eq!(web.replayed(), web.watch);
}

#[test]
fn the_lead_names_the_deployments_in_question_and_what_they_may_have_in_common() {
    let (mut api, web) = together(5.0);
    let last = replies(&api).pop().unwrap();
    assert!(last.headline.contains("web api:2 in production breaks too"), "{}", last.headline);
    assert_eq!(
        last.lines[..2],
        [
            "deployments in question: api api:2 in production and web api:2 in production",
            "suspected common cause: deployed within 1m of each other: api api:2 in production \
             and web api:2 in production",
        ]
    );
    let said = api.said().len();
    level(&mut api, &web);
    assert_eq!(api.said().len(), said, "said once");
    let mut companion = web.watch.companion().unwrap();
    companion.excused = Some("db, which it needs, broke first, at 10:31:00 UTC".into());
    api.take(Event::Leads(Box::new(companion.clone()))).unwrap();
    assert!(api.watch.common_cause().contains("web api:2 in production: db, which it needs"));
    (companion.excused, companion.started_at) = (None, at(-7200));
    api.take(Event::Leads(Box::new(companion))).unwrap();
    assert!(api.watch.common_cause().contains("no common deployment is known"));
    assert_eq!(api.replayed(), api.watch);
}

#[test]
fn a_worse_one_that_joins_raises_the_lead_and_not_its_decision() {
    let mut policy = ladder();
    let rungs = policy.notify.escalate[&Severity::Sev2].clone();
    policy.notify.escalate.insert(Severity::Sev1, rungs);
    let (mut api, mut web) = (settled("api", policy.clone()), settled("web", policy));
    api.breaks(5.0);
    let lead = lead_of(&api, &web).unwrap();
    web.take(Event::Joined(Box::new(lead))).unwrap();
    for _ in 0..3 {
        web.reads(40.0);
        if web.watch.incident.is_none() {
            let lead = lead_of(&api, &web).unwrap();
            web.take(Event::Joined(Box::new(lead))).unwrap();
        }
    }
    assert!(web.wants_rollback(), "a rollback is each deployment's own");
    level(&mut api, &web);
    let incident = api.watch.incident.as_ref().unwrap();
    assert_eq!((incident.severity, incident.called_at()), (Severity::Sev2, Severity::Sev1));
    assert!(!api.wants_rollback());
    let last = replies(&api).pop().unwrap();
    assert!(last.headline.starts_with("raised to SEV1") && last.page, "{last:?}");
    assert_eq!(last.mentions, ["S0ONCALL"]);
    assert_eq!(heard(&api, "pagerduty:oncall"), [Turn::Opened, Turn::Opened]);
    assert_eq!(heard(&web, "pagerduty:oncall"), []);
}

#[test]
fn what_is_still_open_when_the_lead_is_over_calls_people_by_itself_once() {
    let (mut api, mut web) = together(5.0);
    let lead = web.watch.incident.as_ref().unwrap().with.clone().unwrap();
    api.presses(Command::Cancel).unwrap();
    assert!(!api.watch.still_leads(&lead));
    web.take(Event::LeadOver).unwrap();
    let said = web.said();
    assert!(said.last().unwrap().contains("is over, web api:2 in production is still in breach"));
    assert_eq!(web.pages(), 1);
    assert_eq!(heard(&web, "pagerduty:oncall"), [Turn::Opened]);
    web.take(Event::LeadOver).unwrap();
    assert_eq!(web.said(), said);
    web.lives(5.0, 310);
    assert_eq!(heard(&web, "email:manager"), [Turn::Called]);
    web.lives(0.0, 120);
    assert_eq!(heard(&web, "pagerduty:oncall").last(), Some(&Turn::Resolved));
}

#[test]
fn the_end_of_one_that_joined_ends_nothing_elsewhere() {
    let (mut api, mut web) = together(5.0);
    web.lives(0.0, 120);
    assert!(!web.watch.has_open_incident());
    assert!(!heard(&web, "webhook:audit").contains(&Turn::Resolved));
    level(&mut api, &web);
    assert!(api.watch.has_open_incident());
    assert!(api.watch.incident.as_ref().unwrap().joins[0].over);
}

#[test]
fn who_tells_others_or_comes_later_does_not_join() {
    let (mut api, web) = (settled("api", ladder()), settled("web", policy()));
    api.breaks(5.0);
    assert_eq!(lead_of(&api, &web), None, "other people are to be called");
    let web = settled("web", ladder());
    assert!(lead_of(&api, &web).is_some());
    api.lives(5.0, 310);
    assert_eq!(lead_of(&api, &web), None, "more than five minutes later");
}

/// What the pager was told, and under which key.
fn keys(guard: &Guard, who: &str) -> Vec<(String, Turn)> {
    let told = guard.notices.iter().filter_map(|notice| match &notice.body {
        Body::Signal { to, signal } if to.iter().any(|to| to.to_string() == who) => {
            Some((signal.incident.clone(), signal.turn.clone()))
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
fn what_needs_help_stays_open_at_the_pager_until_it_is_over_itself() {
    let (_, mut web) = together(5.0);
    web.presses(Command::Rollback).unwrap();
    web.take(Event::Acted(Err(ActFailure::Permanent("no such target".into())))).unwrap();
    let own = format!("{}#1", web.watch.id);
    let acked = Turn::Acknowledged { by: "dana".into() };
    let told = [Turn::NeedsHelp, acked].map(|turn| (own.clone(), turn));
    assert_eq!(keys(&web, "pagerduty:oncall"), told, "who pressed has it in hand");
    web.take(Event::LeadOver).unwrap();
    assert_eq!(keys(&web, "pagerduty:oncall"), told);
    web.lives(0.0, 120);
    assert_eq!(keys(&web, "pagerduty:oncall").last(), Some(&(own, Turn::Resolved)));
    assert_eq!(web.replayed(), web.watch);
}

#[test]
fn what_needs_help_and_nobody_takes_climbs_by_itself() {
    let (_, mut web) = together(5.0);
    web.watch.deployment.facts.rollback_safe = RollbackSafe::No;
    web.lives(5.0, 15 * 60);
    assert_eq!(heard(&web, "pagerduty:oncall"), [Turn::NeedsHelp], "{:?}", web.said());
    assert_eq!(heard(&web, "email:manager"), []);
    web.lives(5.0, 310);
    assert_eq!(heard(&web, "email:manager"), [Turn::Called]);
    web.presses(Command::Ack).unwrap();
    assert!(heard(&web, "pagerduty:oncall").contains(&Turn::Acknowledged { by: "dana".into() }));
    web.lives(5.0, 400);
    assert!(!mentions(&web.notices).contains(&"U0PRODUCT".to_owned()));
}

#[test]
fn one_that_makes_the_lead_worse_after_an_acknowledgement_calls_again() {
    let mut policy = ladder();
    let rungs = policy.notify.escalate[&Severity::Sev2].clone();
    policy.notify.escalate.insert(Severity::Sev1, rungs);
    let (mut api, mut web) = (settled("api", policy.clone()), settled("web", policy));
    api.breaks(5.0);
    let lead = lead_of(&api, &web).unwrap();
    web.reads(5.0);
    web.reads(5.0);
    web.take(Event::Joined(Box::new(lead))).unwrap();
    web.reads(5.0);
    level(&mut api, &web);
    api.presses(Command::Ack).unwrap();
    while web.watch.incident.as_ref().unwrap().severity > Severity::Sev1 {
        web.reads(60.0);
    }
    level(&mut api, &web);
    assert_eq!(heard(&api, "pagerduty:oncall").last(), Some(&Turn::Opened), "nobody has seen that");
    assert_eq!(mentions(&api.notices), ["S0ONCALL", "S0ONCALL"]);
    assert!(replies(&api).pop().unwrap().page);
    api.waits(310);
    assert_eq!(heard(&api, "email:manager"), [Turn::Called]);
}

#[test]
fn a_question_that_comes_later_calls_nobody_either_while_another_leads() {
    let ceiling = |mode| Event::CeilingChanged(Ceiling { mode, because: None });
    let (mut api, mut web) = (settled("api", ladder()), settled("web", ladder()));
    api.take(ceiling(Mode::Observe)).unwrap();
    web.take(ceiling(Mode::Observe)).unwrap();
    api.breaks(5.0);
    web.reads(5.0);
    web.reads(5.0);
    web.take(Event::Joined(Box::new(lead_of(&api, &web).unwrap()))).unwrap();
    web.reads(5.0);
    api.take(ceiling(Mode::Auto)).unwrap();
    web.take(ceiling(Mode::Auto)).unwrap();
    assert!(api.watch.pending.is_some() && web.watch.pending.is_some());
    assert_eq!((api.pages(), web.pages()), (1, 0), "{:?}", web.said());
    assert_eq!(mentions(&api.notices), ["S0ONCALL"]);
}

/// Both break at a SEV1, api first; somebody has acknowledged it there.
fn both_at_their_worst(safe: RollbackSafe) -> (Guard, Guard) {
    let mut policy = ladder();
    let rungs = policy.notify.escalate[&Severity::Sev2].clone();
    policy.notify.escalate.insert(Severity::Sev1, rungs);
    let (mut api, mut web) = (settled("api", policy.clone()), Guard::of("web", policy, safe));
    web.settle();
    api.breaks(40.0);
    web.reads(40.0);
    web.reads(40.0);
    web.take(Event::Joined(Box::new(lead_of(&api, &web).unwrap()))).unwrap();
    web.reads(40.0);
    assert!(web.watch.has_open_incident());
    (api, web)
}

fn acked_there(api: &mut Guard, web: &mut Guard) {
    api.presses(Command::Ack).unwrap();
    let acked = web.watch.unheard_ack(&api.watch).unwrap();
    web.take(Event::LeadAcked(acked)).unwrap();
}

/// Called about by itself, and on, until somebody acknowledges.
fn climbs(mut web: Guard) {
    let own = format!("{}#1", web.watch.id);
    let last = keys(&web, "pagerduty:oncall").pop();
    assert_eq!(last.map(|(key, _)| key), Some(own), "{:?}", web.said());
    assert_eq!(mentions(&web.notices), ["S0ONCALL"]);
    web.waits(310);
    assert_eq!(heard(&web, "email:manager"), [Turn::Called]);
    assert_eq!(web.replayed(), web.watch);
}

#[test]
fn a_rollback_that_is_refused_calls_people_by_itself_whoever_leads() {
    let (_, mut web) = both_at_their_worst(RollbackSafe::Yes);
    assert!(web.wants_rollback());
    assert_eq!(heard(&web, "pagerduty:oncall"), []);
    let refused = ActFailure::Refused("3 rollbacks within 10m".into());
    web.take(Event::Acted(Err(refused))).unwrap();
    climbs(web);
}

#[test]
fn a_rollback_that_was_not_carried_out_calls_people_by_itself_whoever_leads() {
    let (_, mut web) = both_at_their_worst(RollbackSafe::Yes);
    web.clock += 180;
    web.take(Event::Woke).unwrap();
    web.reads(0.0);
    assert!(web.watch.pending.is_some(), "{:?}", web.said());
    climbs(web);
}

#[test]
fn what_cannot_be_rolled_back_calls_people_by_itself_whoever_leads() {
    let (_, web) = both_at_their_worst(RollbackSafe::No);
    assert_eq!(heard(&web, "pagerduty:oncall"), [Turn::Opened]);
    assert!(replies(&web).iter().any(|reply| reply.page && reply.mentions == ["S0ONCALL"]));
    climbs(web);
}

#[test]
fn who_has_the_lead_in_hand_is_not_taken_to_have_a_rollback_that_failed() {
    let (mut api, mut web) = both_at_their_worst(RollbackSafe::Yes);
    acked_there(&mut api, &mut web);
    web.take(Event::Acted(Err(ActFailure::Permanent("no such target".into())))).unwrap();
    assert_eq!(heard(&web, "pagerduty:oncall"), [Turn::NeedsHelp]);
    climbs(web);
}

#[test]
fn a_pause_stops_no_call_about_a_rollback_that_it_stopped_whoever_leads() {
    let (_, mut web) = both_at_their_worst(RollbackSafe::Yes);
    let paused = Ceiling { mode: Mode::Observe, because: Some("paused by eve".into()) };
    web.take(Event::CeilingChanged(paused)).unwrap();
    web.clock += 180;
    web.take(Event::Woke).unwrap();
    web.reads(40.0);
    web.waits(0);
    assert!(!web.wants_rollback() && web.watch.pending.is_some(), "{:?}", web.said());
    climbs(web);
}
