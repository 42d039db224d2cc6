//! What somebody else's service does is told, and counts for nothing.

use std::collections::BTreeMap;

use super::health::{health, looks};
use super::world::{Guard, at};
use crate::model::{Measurement, Reading, THEIRS, Unusable};
use crate::watch::{Event, Sampled, Tick};

fn watched() -> Guard {
    let mut guard = Guard::over(health());
    guard.finds_target();
    looks(&mut guard, 0);
    reads(&mut guard, answers(1.0), &[]);
    looks(&mut guard, 1);
    guard.clock += 30;
    guard
}

#[expect(clippy::unnecessary_wraps, reason = "it stands for what a source says")]
fn answers(up: f64) -> Reading {
    let values = BTreeMap::from([("{check=\"status\"}".to_owned(), up)]);
    Ok(Measurement::Gauge { values })
}

/// Ten seconds later; of the others these are down.
fn reads(guard: &mut Guard, reading: Reading, down: &[&str]) {
    guard.clock += 10;
    let words = (!down.is_empty()).then(|| format!("{}{THEIRS}", down.join(", ")));
    let beside = BTreeMap::from([("health".to_owned(), words.into_iter().collect())]);
    let readings = BTreeMap::from([("health".to_owned(), reading)]);
    let latest = Tick { readings, beside, ..Tick::at(at(guard.clock)) };
    guard.take(Event::Sampled(Box::new(Sampled::of(latest)))).unwrap();
}

fn told(guard: &Guard) -> Vec<String> {
    guard.said().into_iter().filter(|said| said.contains("somebody else's")).collect()
}

#[test]
fn an_outage_of_somebody_else_is_said_once_and_so_is_its_end() {
    let mut guard = watched();
    let pages = guard.pages();
    (0..20).for_each(|_| reads(&mut guard, answers(1.0), &["gemini_api", "monday_api"]));
    // Nobody can tell now; that is no end.
    reads(&mut guard, Err(Unusable::Unreachable("no such name".into())), &[]);
    reads(&mut guard, answers(0.0), &[]);
    (0..5).for_each(|_| reads(&mut guard, answers(1.0), &["gemini_api", "monday_api"]));
    let down =
        "gemini_api and monday_api are down: somebody else's, and it counts for nothing here";
    assert_eq!(told(&guard), [down]);
    (0..5).for_each(|_| reads(&mut guard, answers(1.0), &["monday_api"]));
    (0..5).for_each(|_| reads(&mut guard, answers(1.0), &[]));
    let said = guard.said();
    let back: Vec<&String> = said.iter().filter(|said| said.ends_with("up again")).collect();
    assert_eq!(back, ["gemini_api is up again", "monday_api is up again"], "{said:?}");
    assert!(!guard.watch.has_open_incident());
    assert_eq!(guard.pages(), pages);
    reads(&mut guard, answers(1.0), &["monday_api"]);
    assert_eq!(told(&guard).len(), 2, "another outage");
    assert_eq!(guard.replayed(), guard.watch);
}

#[test]
fn an_endpoint_that_is_somebody_elses_as_a_whole_goes_by_its_checks_name() {
    let mut guard = watched();
    reads(&mut guard, answers(1.0), &["status"]);
    assert_eq!(told(&guard), ["health is down: somebody else's, and it counts for nothing here"]);
}

#[test]
fn somebody_else_who_flaps_does_not_fill_the_thread() {
    let mut guard = watched();
    for _ in 0..50 {
        reads(&mut guard, answers(1.0), &["monday_api"]);
        reads(&mut guard, answers(1.0), &[]);
    }
    assert_eq!(told(&guard).len(), 6);
}
