//! Labels that queries ask for, announced and not.

use std::collections::BTreeMap;

use jiff::SignedDuration;

use super::world::*;
use crate::judge::Baseline;
use crate::model::{Announcement, Body, Facts, Reply, RollOut};
use crate::policy::{Against, Counted, Measure, Part, Policy, Stated};
use crate::watch::{BaselineMeasured, Event, Purpose, Unlabelled, Want};

/// Its one check needs two labels.
fn labelled() -> Policy {
    let mut policy = policy();
    policy.checks[0].measure = Measure::Ratio {
        part: Part::Bad,
        of: Counted::Query("sum(rate(bad{alb=\"${labels.alb}\"}[${window}]))".into()),
        total: Counted::Counter("all{az=\"${labels.zone}\",service=\"${service}\"}".into()),
    };
    policy
}

fn announcement(labels: &[(&str, &str)]) -> Event {
    let labels = labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Event::Announced(Box::new(Announcement {
        id: "gha-7".into(),
        service: service(),
        revision: None,
        platform_id: None,
        at: at(0),
        facts: Facts { labels: labels.collect(), ..Facts::default() },
    }))
}

fn last(guard: &Guard) -> &Reply {
    let mut replies = guard.notices.iter().rev().filter_map(|notice| match &notice.body {
        Body::Reply(reply) => Some(reply),
        Body::Card(_) | Body::Signal { .. } | Body::Files { .. } | Body::GitHub(_) => None,
    });
    replies.next().unwrap()
}

fn blind(guard: &Guard) -> Option<String> {
    guard.watch.unasked(&guard.watch.policy().checks[0])
}

#[test]
fn a_deployment_that_nobody_announced_is_told_to_be_blind_when_it_is_in_service() {
    let mut guard = Guard::over(labelled());
    let mut rolling = sighting(0, "ecs-svc/2", 2, RollOut::InProgress);
    rolling.primary.running = 0;
    guard.sees(rolling);
    guard.finds_target();
    assert_eq!(guard.said(), Vec::<String>::new(), "a hook may still come");
    guard.sees(sighting(5, "ecs-svc/2", 2, RollOut::InProgress));
    let told = last(&guard);
    let words = "api api:2 in production: a check is blind, because nobody announced the labels \
                 `alb` and `zone`";
    assert_eq!(told.headline, words);
    assert_eq!(told.lines[0], "without the label `alb` these are blind: errors");
    assert!(told.lines[2].contains("labels: { \"alb\": \"...\", \"zone\": \"...\" }"), "{told:?}");
    assert_eq!(blind(&guard).unwrap(), "not announced: the labels `alb` and `zone`");
    guard.finds_target();
    assert_eq!(guard.said().len(), 1, "once");
    assert_eq!(guard.replayed(), guard.watch);
}

#[test]
fn an_announcement_that_lacks_a_label_is_told_at_once_and_what_it_brings_is_not() {
    let mut guard = Guard::over(labelled());
    guard.take(announcement(&[("alb", "app/shop/1"), ("zone", " ")])).unwrap();
    assert_eq!(
        guard.watch.unlabelled(),
        [Unlabelled { label: "zone".into(), checks: vec!["errors".into()] }],
        "an empty label is none"
    );
    assert!(last(&guard).headline.ends_with("nobody announced the label `zone`"));
    assert!(last(&guard).lines[1].starts_with("gha-7 was announced without"));

    let mut whole = Guard::over(labelled());
    whole.take(announcement(&[("alb", "app/shop/1"), ("zone", "a")])).unwrap();
    whole.settle();
    assert_eq!((whole.said(), blind(&whole)), (Vec::new(), None));
}

#[test]
fn labels_that_come_later_open_the_eyes_for_the_past_too() {
    let mut guard = Guard::settled(labelled());
    let before = guard.wants();
    let missing = crate::judge::Baseline::Missing { because: "not announced".into() };
    for state in guard.watch.checks.values_mut() {
        state.baselines.values_mut().for_each(|one| one.clone_from(&missing));
        state.transients = Some(crate::judge::Transients::default());
    }
    assert_ne!(guard.wants(), before, "nothing of the past is wanted any more");
    guard.take(announcement(&[("alb", "app/shop/1"), ("zone", "a")])).unwrap();
    assert!(last(&guard).headline.ends_with("the labels came; measured from now on: errors"));
    assert_eq!(guard.wants(), before, "it is asked for again");
}

#[test]
fn what_a_status_was_before_is_asked_for_again_once_its_label_has_come() {
    let mut policy = labelled();
    policy.checks[0].measure = Measure::Status {
        of: Stated::Query("up{alb=\"${labels.alb}\",zone=\"${labels.zone}\"}".into()),
    };
    let mut guard = Guard::settled(policy);
    let asks = |guard: &Guard| {
        guard.wants().iter().any(|want| match want {
            Want::Baseline(ask) => ask.purpose == Purpose::Compare(Against::Before),
            Want::Sample { .. }
            | Want::Shift(_)
            | Want::Inspect
            | Want::ReadLog(_)
            | Want::LeaveMaintenance(_)
            | Want::RollBack { .. } => false,
        })
    };
    assert!(asks(&guard));
    let nothing = BaselineMeasured {
        purpose: Purpose::Compare(Against::Before),
        checks: BTreeMap::from([("errors".to_owned(), Baseline::unnamed().into())]),
        left_out: SignedDuration::ZERO,
        known: BTreeMap::new(),
        looks: BTreeMap::from([("errors".to_owned(), None)]),
    };
    guard.take(Event::BaselineMeasured(Box::new(nothing))).unwrap();
    assert!(!asks(&guard));
    guard.take(announcement(&[("alb", "app/shop/1"), ("zone", "a")])).unwrap();
    assert!(asks(&guard), "what was down before the deployment is not its doing");
}
