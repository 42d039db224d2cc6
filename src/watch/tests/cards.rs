//! What the card shows of numbers, and of when they are.

use jiff::{SignedDuration, Timestamp};

use super::world::{Guard, at, policy};
use crate::model::{Body, Card};

fn cards(guard: &Guard) -> Vec<(Timestamp, &Card)> {
    let cards = guard.notices.iter().filter_map(|notice| match &notice.body {
        Body::Card(card) => Some((notice.at, card)),
        Body::Reply(_) | Body::Signal { .. } | Body::Files { .. } | Body::GitHub(_) => None,
    });
    cards.collect()
}

fn as_of(card: &Card) -> Option<&str> {
    card.head.iter().find(|(label, _)| label == "Numbers as of").map(|(_, time)| time.as_str())
}

#[test]
fn in_quiet_hours_the_numbers_are_never_older_than_ten_minutes_and_say_of_when_they_are() {
    let mut policy = policy();
    policy.phases[0].until = SignedDuration::from_hours(6);
    policy.phases[1].until = SignedDuration::from_hours(12);
    let mut guard = Guard::settled(policy);
    assert_eq!(as_of(cards(&guard)[0].1), None, "nothing is measured yet");
    for minutes in 1..=180 {
        guard.lives(0.0, 60);
        let (shown, card) = cards(&guard).pop().unwrap();
        if minutes > 10 {
            let age = at(guard.clock).duration_since(shown);
            assert!(age <= SignedDuration::from_mins(10), "{minutes} min: {age:#}");
            let time = shown.strftime("%Y-%m-%d %H:%M UTC").to_string();
            assert_eq!(as_of(card), Some(time.as_str()));
        }
    }
    // Slack takes some fifty edits a minute, of a hundred watches and more.
    let edits = cards(&guard).len();
    assert!((18..=22).contains(&edits), "{edits} edits in three hours");
    assert_eq!(guard.said().len(), 0, "{:?}", guard.said());
    assert_eq!(guard.replayed(), guard.watch);
}

#[test]
fn where_nothing_new_is_measured_no_card_is_edited_for_its_numbers() {
    let mut guard = Guard::settled(policy());
    guard.reads(0.0);
    let shown = cards(&guard).len();
    guard.clock += 1200;
    guard.presses(crate::watch::Command::Ack).unwrap_err();
    assert!(!guard.watch.is_card_stale(at(guard.clock)));
    guard.reads(0.0);
    assert!(cards(&guard).len() > shown);
}
