//! When charts and the report are shown.

use super::world::{Guard, policy, sighting};
use crate::model::{Body, Mode, Outcome, RollOut, Route};
use crate::policy::Policy;
use crate::watch::Command;

/// Charts and whether there is a report, in order.
fn shown(guard: &Guard) -> Vec<(Vec<String>, bool)> {
    let files = guard.notices.iter().filter_map(|notice| match &notice.body {
        Body::Files { charts, report } => Some((charts.clone(), *report)),
        Body::Card(_) | Body::Reply(_) | Body::Signal { .. } | Body::GitHub(_) => None,
    });
    files.collect()
}

fn errors(report: bool) -> (Vec<String>, bool) {
    (vec!["errors".to_owned()], report)
}

#[test]
fn a_breach_is_shown_behind_its_reply_and_the_report_when_it_is_over() {
    let mut guard = Guard::settled(policy());
    guard.breaks(40.0);
    assert_eq!(shown(&guard), [errors(false)]);
    let reply = guard.notices.iter().position(|one| matches!(one.body, Body::Reply(_)));
    let files = guard.notices.iter().position(|one| matches!(one.body, Body::Files { .. }));
    assert!(reply < files, "{:?}", guard.notices);
    guard.accepts(Route::UpdateService);
    guard.sees(sighting(70, "ecs-svc/3", 1, RollOut::Completed));
    guard.lives(0.0, 60);
    assert_eq!(guard.watch.outcome(), Some(Outcome::RolledBack));
    assert_eq!(shown(&guard), [errors(false), errors(true)]);
}

#[test]
fn what_gets_worse_is_shown_again() {
    let mut guard = Guard::settled(policy());
    guard.breaks(5.0);
    assert_eq!(shown(&guard), [errors(false)], "SEV2");
    guard.lives(60.0, 60);
    assert_eq!(shown(&guard), [errors(false), errors(false)], "SEV1: {:?}", guard.said());
}

#[test]
fn a_good_deployment_and_a_cancelled_one_show_nothing() {
    let mut guard = Guard::settled(policy());
    guard.lives(0.0, 120);
    guard.presses(Command::Cancel).unwrap();
    assert_eq!(shown(&guard), []);
}

#[test]
fn in_mode_observe_it_is_shown_too_and_the_report_comes_when_the_watch_ends_with_it() {
    let mut guard = Guard::settled(Policy { mode: Mode::Observe, ..policy() });
    guard.breaks(40.0);
    while guard.watch.is_open() {
        guard.reads(40.0);
    }
    assert_eq!(guard.watch.outcome(), Some(Outcome::Breached));
    assert_eq!(shown(&guard), [errors(false), errors(true)]);
}

#[test]
fn a_flapping_incident_does_not_fill_the_thread_and_its_last_report_still_comes() {
    let mut guard = Guard::settled(Policy { mode: Mode::Observe, ..policy() });
    for _ in 0..6 {
        guard.lives(40.0, 240);
        guard.lives(0.0, 200);
    }
    let returns = guard.watch.incident.as_ref().map(|incident| incident.returns);
    assert!(returns > Some(2), "it flaps: {returns:?}");
    assert!(shown(&guard).len() <= 3, "one is kept for the end: {:?}", shown(&guard));
    while guard.watch.is_open() {
        guard.reads(40.0);
    }
    assert!(shown(&guard).len() <= 4, "{:?}", shown(&guard));
    assert_eq!(shown(&guard).last(), Some(&errors(true)));
}
