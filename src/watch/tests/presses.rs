//! Buttons of a message that tells of what is so no longer.

use super::world::{Guard, at, policy, revision};
use crate::model::{Body, Command, Inspection, Offer};
use crate::watch::{Event, Press};

fn offer(guard: &Guard, command: Command) -> Offer {
    let offers = guard.watch.offers(at(guard.clock));
    offers.into_iter().find(|offer| offer.command == command).unwrap()
}

/// What the button of an offer carries.
fn pressed(offer: &Offer) -> Press {
    Press {
        incident: Some(offer.incident),
        spell: Some(offer.spell),
        target: offer.target.clone(),
        ..Press::new(offer.command, "dana", None)
    }
}

/// Asked about a SEV2.
fn asked() -> Guard {
    let mut guard = Guard::settled(policy());
    guard.breaks(5.0);
    assert!(guard.watch.pending.is_some(), "{:?}", guard.watch.timeline);
    guard
}

fn finds(guard: &mut Guard, number: u32) {
    let target = Ok((revision(number), "the last good one".to_owned()));
    guard.take(Event::Inspected { target, inspection: Inspection::default() }).unwrap();
}

#[test]
fn a_button_of_an_older_spell_of_the_same_incident_does_nothing_in_a_later_one() {
    let mut guard = asked();
    let old = [Command::Rollback, Command::Hold, Command::Ack].map(|one| offer(&guard, one));
    guard.lives(0.0, 300);
    assert!(!guard.watch.has_open_incident());
    while !guard.watch.has_open_incident() {
        guard.reads(5.0);
    }
    assert_eq!(guard.watch.incident.as_ref().unwrap().number, 1, "the same one");
    for old in &old {
        let why = guard.take_press(pressed(old)).unwrap_err().0;
        assert!(why.starts_with("it was well again since, and has come back at "), "{why}");
        assert!(why.contains("; now: SEV2 incident again, 2 times"), "{why}");
        assert!(why.ends_with("; press again below"), "{why}");
    }
    assert!(!guard.wants_rollback());
    let new = offer(&guard, Command::Rollback);
    guard.take_press(pressed(&new)).unwrap();
    assert!(guard.wants_rollback());
    assert_eq!(guard.replayed(), guard.watch);
}

#[test]
fn a_button_that_told_of_another_target_does_nothing_and_the_question_is_put_anew_below() {
    let mut guard = asked();
    let (old, due) = (offer(&guard, Command::Rollback), guard.watch.pending.clone().unwrap().until);
    let pages = guard.pages();
    finds(&mut guard, 0);
    let why = guard.take_press(pressed(&old)).unwrap_err().0;
    assert_eq!(why, "the target is now api:0; press again below");
    assert!(!guard.wants_rollback());
    let last = guard.notices.iter().rev().find_map(|notice| match &notice.body {
        Body::Reply(reply) => Some(reply.clone()),
        Body::Card(_) | Body::Signal { .. } | Body::Files { .. } | Body::GitHub(_) => None,
    });
    let last = last.unwrap();
    assert!(last.headline.contains("the target is now api:0; roll api"), "{}", last.headline);
    let below = last.offers.iter().find(|one| one.command == Command::Rollback).unwrap();
    assert_eq!(below.target.as_deref(), Some("api:0"));
    let card = guard.notices.iter().rev().find_map(|notice| match &notice.body {
        Body::Card(card) => Some(card.offers.clone()),
        Body::Reply(_) | Body::Signal { .. } | Body::Files { .. } | Body::GitHub(_) => None,
    });
    assert!(card.unwrap().contains(below), "the card offers the same");
    assert_eq!(guard.pages(), pages, "nobody is paged twice");
    assert_eq!(guard.watch.pending.as_ref().unwrap().until, due, "and it is due as before");
    let said = guard.said().len();
    finds(&mut guard, 0);
    assert_eq!(guard.said().len(), said, "said once");
    guard.take_press(pressed(below)).unwrap();
    assert!(guard.wants_rollback());
}

#[test]
fn whoever_names_nothing_that_they_saw_means_what_is_so_now() {
    let mut guard = asked();
    finds(&mut guard, 0);
    let named = Press { target: Some(revision(0).name), ..pressed_bare() };
    assert_eq!(guard.watch.clone().handle(&Event::Pressed(named), at(guard.clock)).err(), None);
    guard.take_press(pressed_bare()).unwrap();
    assert!(guard.wants_rollback());
}

fn pressed_bare() -> Press {
    Press::new(Command::Rollback, "dana", None)
}
