//! A source that shows its samples late.

use std::collections::{BTreeMap, BTreeSet};

use jiff::SignedDuration;

use super::world::{Guard, at, counts, policy};
use crate::judge::Baseline;
use crate::model::{Measured, Newer, Revision};
use crate::policy::{Against, LabelNames, Policy};
use crate::watch::{BaselineMeasured, Event, Purpose, Sampled, Tick, Want, Watch};

const OFFSET: i64 = 120;

/// The samples that are wanted by `second` are taken, each as of its own time.
fn samples(guard: &mut Guard, bad: f64, until: i64) -> Vec<(i64, usize)> {
    let mut taken = Vec::new();
    while guard.clock < until {
        guard.clock += 1;
        let now = at(guard.clock);
        for want in guard.watch.wants(now) {
            let Want::Sample { tick, interval } = want else { continue };
            let ticks = guard.watch.ticks(tick, interval);
            let read = |at| Tick {
                readings: BTreeMap::from([("errors".to_owned(), counts(bad))]),
                ..Tick::at(at)
            };
            let mut made: Vec<Tick> = ticks.times().map(read).collect();
            taken.push((now.as_second() - tick.as_second(), made.len()));
            let latest = made.pop().unwrap();
            let (born, rivals) = (BTreeSet::new(), Vec::new());
            let sampled = Sampled { earlier: made, born, rivals, ..Sampled::of(latest) };
            guard.take(Event::Sampled(Box::new(sampled))).unwrap();
        }
    }
    taken
}

#[test]
fn a_late_source_is_asked_late_tick_by_tick_and_its_breach_is_of_now() {
    let mut guard = Guard::over(policy());
    let Event::Opened { query_offset, .. } = &mut guard.journal[0].1 else { panic!("opened") };
    *query_offset = Some(SignedDuration::from_secs(OFFSET));
    (guard.watch, _) = Watch::open(&guard.journal[0].1.clone(), at(0)).unwrap();
    guard.settle();
    let taken = samples(&mut guard, 0.0, 400);
    assert!(taken.iter().all(|one| *one == (OFFSET, 1)), "{taken:?}");
    assert!(taken.len() >= 25, "each tick by itself: {}", taken.len());
    samples(&mut guard, 40.0, 480);
    assert!(guard.wants_rollback());
    guard.clock += 3 * 60;
    assert!(!guard.wants_rollback(), "two minutes late is now, five are not");
    assert_eq!(guard.replayed(), guard.watch);
}

fn telling() -> Policy {
    let labels = LabelNames { instance: Some("pod".into()), ..LabelNames::default() };
    Policy { labels, ..policy() }
}

fn pods(count: usize) -> BTreeSet<String> {
    (0..count).map(|number| format!("pod-{number}")).collect()
}

fn knows(guard: &mut Guard, count: usize) {
    let known = BTreeMap::from([("pod".to_owned(), pods(count))]);
    let checks = BTreeMap::from([("errors".to_owned(), Baseline::unnamed().into())]);
    let measured = BaselineMeasured {
        purpose: Purpose::Compare(Against::Before),
        checks,
        left_out: SignedDuration::ZERO,
        known,
        looks: BTreeMap::new(),
    };
    guard.take(Event::BaselineMeasured(Box::new(measured))).unwrap();
}

#[test]
fn a_label_with_more_values_than_are_kept_tells_nothing() {
    let mut guard = Guard::settled(telling());
    knows(&mut guard, Measured::MOST_VALUES);
    assert!(guard.watch.arms().is_some() && guard.watch.births().is_some());
    let mut guard = Guard::settled(telling());
    knows(&mut guard, Measured::MOST_VALUES + 1);
    assert!(guard.watch.arms().is_none(), "old instances would look new");
    assert!(guard.watch.births().is_none(), "and newborn");
    let last = &guard.watch.timeline.last().unwrap().text;
    assert!(last.contains("`pod` has more than 1000 values"), "{last}");
    knows(&mut guard, 3);
    assert!(guard.watch.arms().is_none(), "once too many, always too many");
}

#[test]
fn more_newcomers_than_are_kept_tell_nothing_either() {
    let mut guard = Guard::settled(telling());
    knows(&mut guard, 0);
    for count in [Measured::MOST_VALUES, Measured::MOST_VALUES + 1] {
        guard.clock += 10;
        let latest = Tick::at(at(guard.clock));
        let (earlier, rivals, born) = (Vec::new(), Vec::new(), pods(count));
        guard
            .take(Event::Sampled(Box::new(Sampled {
                earlier,
                born,
                rivals,
                ..Sampled::of(latest)
            })))
            .unwrap();
        assert_eq!(guard.watch.births().is_some(), count == Measured::MOST_VALUES);
    }
}

#[test]
fn instances_that_ran_before_the_announcement_are_new_by_their_version() {
    let labels = LabelNames { version: Some("version".into()), ..telling().labels };
    let knows_versions = |versions: &[&str]| {
        let mut guard = Guard::settled(Policy { labels: labels.clone(), ..policy() });
        guard.watch.deployment.facts.version = Some("v2".into());
        let versions = versions.iter().map(|&one| one.to_owned()).collect();
        let known = BTreeMap::from([("version".to_owned(), versions), ("pod".to_owned(), pods(2))]);
        let checks = BTreeMap::from([("errors".to_owned(), Baseline::unnamed().into())]);
        let measured = BaselineMeasured {
            purpose: Purpose::Compare(Against::Before),
            checks,
            left_out: SignedDuration::ZERO,
            known,
            looks: BTreeMap::new(),
        };
        guard.take(Event::BaselineMeasured(Box::new(measured))).unwrap();
        guard.watch.arms().unwrap().newer
    };
    assert_eq!(knows_versions(&["v1", "v2"]), Newer::Is("v2".into()), "announced late");
    assert_eq!(knows_versions(&["v1"]), Newer::NotAmong(pods(2)), "announced in time");
    assert_eq!(knows_versions(&["v2"]), Newer::NotAmong(pods(2)), "the same version again");
}

#[test]
fn a_green_that_was_measured_before_its_canary_is_told_apart_by_its_pods_label() {
    let labels = LabelNames { version: Some("version".into()), ..LabelNames::default() };
    let side = |name: &str, label: &str| Revision {
        labels: BTreeMap::from([("version".to_owned(), label.to_owned())]),
        ..Revision::named(name)
    };
    let arms = |old: &str, known: &[&str]| {
        let mut guard = Guard::settled(Policy { labels: labels.clone(), ..policy() });
        guard.watch.deployment.revision = Some(side("green-1", "green"));
        guard.watch.deployment.source = Some(side("blue-1", old));
        let known = known.iter().map(|&one| one.to_owned()).collect();
        let checks = BTreeMap::from([("errors".to_owned(), Baseline::unnamed().into())]);
        let measured = BaselineMeasured {
            purpose: Purpose::Compare(Against::Before),
            checks,
            left_out: SignedDuration::ZERO,
            known: BTreeMap::from([("version".to_owned(), known)]),
            looks: BTreeMap::new(),
        };
        guard.take(Event::BaselineMeasured(Box::new(measured))).unwrap();
        guard.watch.arms().map(|rule| rule.newer)
    };
    let is_green = Some(Newer::Is("green".into()));
    assert_eq!(arms("blue", &["blue", "green"]), is_green, "scraped beside blue");
    assert_eq!(arms("blue", &["blue"]), is_green);
    assert_eq!(arms("blue", &[]), None, "nobody knows whether the series carry it");
    let versions = BTreeSet::from(["v1.0".to_owned()]);
    let of_program = arms("blue", &["v1.0"]);
    assert_eq!(of_program, Some(Newer::NotAmong(versions)), "the series mean another version");
    let both = BTreeSet::from(["green".to_owned()]);
    assert_eq!(arms("green", &["green"]), Some(Newer::NotAmong(both)), "one label on both sides");
}
