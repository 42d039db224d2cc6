//! Who could not be told, while it is watched and after.

use super::escalate::{asked, ends, heard, ladder, short_ladder, to};
use super::world::Guard;
use crate::model::{Body, Turn};
use crate::watch::{Command, Event};

fn untold(given_up: bool) -> Event {
    Event::Untold { to: to("pagerduty:oncall"), because: "HTTP 503".to_owned(), given_up }
}

fn unposted() -> Event {
    Event::Unposted { because: "is_archived".to_owned() }
}

fn replies(guard: &Guard) -> Vec<(String, bool)> {
    let replies = guard.notices.iter().filter_map(|notice| match &notice.body {
        Body::Reply(reply) => Some((reply.headline.clone(), reply.page)),
        Body::Card(_) | Body::Signal { .. } | Body::Files { .. } | Body::GitHub(_) => None,
    });
    replies.filter(|(headline, _)| headline.contains("told")).collect()
}

#[test]
fn who_could_not_be_told_is_told_of_in_the_thread_once_an_incident() {
    let mut guard = asked(ladder());
    for _ in 0..2 {
        guard.take(untold(false)).unwrap();
        guard.take(untold(true)).unwrap();
    }
    let late = ("PagerDuty `oncall` could not be told yet: HTTP 503".to_owned(), true);
    let lost = ("PagerDuty `oncall` could not be told: HTTP 503".to_owned(), true);
    assert_eq!(replies(&guard), [late, lost]);
    let (to_audit, because) = (to("webhook:audit"), "HTTP 404".to_owned());
    guard.take(Event::Untold { to: to_audit, because, given_up: true }).unwrap();
    let only_told = ("the webhook `audit` could not be told: HTTP 404".to_owned(), false);
    assert_eq!(replies(&guard).last(), Some(&only_told), "nobody is woken for it");
    assert!(guard.watch.knows_untold(&to("pagerduty:oncall"), false));
    assert!(!guard.watch.knows_untold(&to("email:manager"), true));
    assert_eq!(heard(&guard, "pagerduty:oncall"), [Turn::Opened], "it is no turn of the incident");
}

#[test]
fn after_the_end_the_thread_still_hears_who_could_not_be_told_and_pages() {
    let mut guard = asked(short_ladder());
    ends(&mut guard);
    let said = guard.said().len();
    assert!(guard.watch.has_not_heard(&untold(true)));
    guard.take(untold(true)).unwrap();
    let lost = ("PagerDuty `oncall` could not be told: HTTP 503".to_owned(), true);
    assert_eq!(replies(&guard), [lost]);
    assert_eq!(guard.said().len(), said + 1);
    assert!(!guard.watch.has_not_heard(&untold(true)), "once");
    assert!(guard.take(Event::Woke).is_err(), "nothing else comes after the end");
    assert_eq!(guard.replayed(), guard.watch);
}

#[test]
fn of_what_somebody_has_seen_to_the_thread_hears_without_a_page() {
    let mut guard = asked(ladder());
    guard.presses(Command::Cancel).unwrap();
    let pages = guard.pages();
    guard.take(untold(true)).unwrap();
    assert_eq!((replies(&guard).len(), guard.pages()), (1, pages));
    assert!(!guard.watch.has_not_heard(&unposted()), "nobody is needed");
    let mut quiet = Guard::settled(ladder());
    quiet.presses(Command::Cancel).unwrap();
    assert!(!quiet.watch.has_not_heard(&untold(true)), "there never was an incident");
}

#[test]
fn after_the_end_a_thread_that_cannot_be_posted_to_is_told_of_elsewhere_once() {
    let mut guard = asked(short_ladder());
    assert!(!guard.watch.has_not_heard(&unposted()), "the pager hears every turn by itself");
    ends(&mut guard);
    let before = heard(&guard, "pagerduty:oncall").len();
    assert!(guard.watch.has_not_heard(&unposted()));
    guard.take(unposted()).unwrap();
    assert_eq!(heard(&guard, "pagerduty:oncall")[before..], [Turn::NeedsHelp]);
    assert_eq!(heard(&guard, "email:manager"), [Turn::NeedsHelp, Turn::NeedsHelp]);
    let last = guard.notices.iter().rev().find_map(|notice| match &notice.body {
        Body::Signal { signal, .. } => Some(signal.headline.clone()),
        Body::Card(_) | Body::Reply(_) | Body::Files { .. } | Body::GitHub(_) => None,
    });
    let words = "the thread in Slack could not be told: is_archived";
    assert!(last.as_ref().unwrap().ends_with(words), "{last:?}");
    assert!(!guard.watch.has_not_heard(&unposted()));
    assert_eq!(guard.replayed(), guard.watch);
}
