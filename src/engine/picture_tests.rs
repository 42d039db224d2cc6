//! Charts and files of watches that were lived through.
//!
//! `LOOK=FOLDER` leaves the pictures there for people.

use super::*;
use crate::chart::Limit;
use crate::model::{Body, RollOut, Route, Unusable};
use crate::watch::tests::world::{Guard, at, policy, sighting};

/// Broken, rolled back, and well again.
fn rolled_back() -> Guard {
    let mut guard = Guard::settled(policy());
    guard.lives(0.0, 600);
    for _ in 0..3 {
        guard.reads_as(Err(Unusable::Unreachable("down".into())));
    }
    while !guard.wants_rollback() {
        guard.reads(40.0);
    }
    guard.accepts(Route::UpdateService);
    guard.reads(43.0);
    guard.sees(sighting(guard.clock, "ecs-svc/3", 1, RollOut::InProgress));
    guard.reads(38.0);
    guard.sees(sighting(guard.clock, "ecs-svc/3", 1, RollOut::Completed));
    guard.reads(20.0);
    guard.lives(0.0, 60);
    assert!(!guard.watch.is_open(), "{:?}", guard.said());
    guard
}

/// The parcels of a guard's notices, in order.
fn parcels(guard: &Guard) -> Vec<Parcel> {
    let files = guard.notices.iter().filter_map(|notice| match &notice.body {
        Body::Files { charts, report } => {
            Some(parcel(&guard.journal, notice, charts, *report).unwrap())
        }
        Body::Card(_) | Body::Reply(_) | Body::Signal { .. } | Body::GitHub(_) => None,
    });
    files.collect()
}

fn chart_at_the_end(guard: &Guard) -> Chart {
    let story = tell(&guard.journal, None).unwrap();
    chart_of(&story, &story.watch.policy().checks[0])
}

fn labels(chart: &Chart) -> Vec<&str> {
    chart.marks.iter().map(|mark| mark.label.as_str()).collect()
}

#[test]
fn a_chart_shows_what_was_measured_with_limits_and_what_happened() {
    let chart = chart_at_the_end(&rolled_back());
    let happened = ["deployed", "in service", "SEV1 breach", "rolled back", "recovered"];
    assert_eq!(labels(&chart), happened);
    let sev1 = Limit { label: "SEV1 > 10%".into(), value: 0.1 };
    assert!(chart.limits.contains(&sev1), "{:?}", chart.limits);
    let points = &chart.lines[0].points;
    assert_eq!(points.iter().filter(|(_, value)| value.is_none()).count(), 3, "the gap");
    assert!(points.iter().any(|(_, value)| *value == Some(0.4)), "{points:?}");
    assert!(chart.from < at(0) && chart.to > points[points.len() - 1].0);
}

#[test]
fn the_first_files_know_nothing_of_what_came_later() {
    let guard = rolled_back();
    let [first, last] = &parcels(&guard)[..] else { panic!("two messages with files") };
    let alt = first.files[0].alt.as_deref().unwrap();
    assert!(alt.contains("Breach at") && !alt.contains("Rolled back at"), "{alt}");
    assert_eq!(first.files.len(), 1);
    let kinds: Vec<&str> = last.files.iter().map(|file| file.extension).collect();
    assert_eq!(kinds, ["md", "png"]);
    assert!(last.files[0].bytes.starts_with(b"# Incident report: api api:2 in production"));
    let alt = last.files[1].alt.as_deref().unwrap();
    assert!(alt.contains("Rolled back at") && alt.contains("Recovered at"), "{alt}");
    if let Ok(folder) = std::env::var("LOOK") {
        std::fs::write(format!("{folder}/lived-first.png"), &first.files[0].bytes).unwrap();
        std::fs::write(format!("{folder}/lived-last.png"), &last.files[1].bytes).unwrap();
    }
}

#[test]
fn the_same_notice_gives_the_same_files_however_often_it_is_delivered() {
    let guard = rolled_back();
    assert_eq!(parcels(&guard), parcels(&guard));
}

#[test]
fn of_a_long_watch_the_chart_shows_the_incident() {
    let mut policy = policy();
    policy.phases[1].until = SignedDuration::from_hours(8);
    let mut guard = Guard::settled(policy);
    guard.lives(0.0, 5 * 3600);
    while !guard.wants_rollback() {
        guard.reads(40.0);
    }
    let chart = chart_at_the_end(&guard);
    let opened = guard.watch.incident.as_ref().unwrap().opened_at;
    let before = opened.duration_since(chart.from);
    assert!(before > BEFORE && before < BEFORE * 2, "{before:#}");
    assert!(chart.to > opened);
}

#[tokio::test]
async fn work_that_breaks_off_is_told_and_gives_its_seat_back() {
    for _ in 0..4 {
        let broken = drawn(|| assert_eq!(1, 2, "a mistake")).await;
        assert!(broken.is_err());
    }
    assert_eq!(drawn(|| 7).await, Ok(7));
}
