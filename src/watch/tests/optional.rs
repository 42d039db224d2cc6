//! Checks that nobody promised can be measured, and probes of the new revision alone.

use std::collections::BTreeMap;

use jiff::SignedDuration;

use super::world::{Guard, at, counts, policy, sighting};
use crate::judge::Baseline;
use crate::model::{
    Body, Measurement, Outcome, Reading, RollOut, Route, Severity, Standing, Unusable, Verdict,
};
use crate::policy::{
    Against, Bound, Check, Gauged, Limit, Measure, Policy, Probe, Probed, Side, Stated, Unit,
};
use crate::watch::{BaselineMeasured, Command, Event, Purpose, Sampled, Tick};

fn with_sentry(optional: bool) -> Policy {
    let mut policy = policy();
    let bound = Bound { side: Side::Above, value: 100.0, unit: Unit::Number };
    let measure = Measure::Gauge { of: Gauged::Query("sentry".into()), unit: Unit::Number };
    policy.checks.push(Check {
        name: "sentry".into(),
        measure,
        normal: None,
        breach: BTreeMap::from([(Severity::Sev2, Limit { bound, hold: None })]),
        optional,
        ..policy.checks[0].clone()
    });
    policy
}

/// Ten seconds later the errors are none, and Sentry says this.
fn reads(guard: &mut Guard, sentry: Reading) {
    guard.clock += 10;
    let readings =
        BTreeMap::from([("errors".to_owned(), counts(0.0)), ("sentry".to_owned(), sentry)]);
    let latest = Tick { readings, ..Tick::at(at(guard.clock)) };
    guard.take(Event::Sampled(Box::new(Sampled::of(latest)))).unwrap();
}

fn refused() -> Reading {
    Err(Unusable::Refused("no such project".into()))
}

#[expect(clippy::unnecessary_wraps, reason = "it stands for what a source says")]
fn value(value: f64) -> Reading {
    Ok(Measurement::Gauge { values: BTreeMap::from([("sentry".to_owned(), value)]) })
}

fn until_the_end(guard: &mut Guard, mut sentry: impl FnMut() -> Reading) {
    while guard.watch.outcome().is_none() {
        assert!(guard.clock < 4000, "{:?}", guard.said());
        reads(guard, sentry());
    }
}

#[test]
fn an_optional_check_that_nobody_measured_keeps_nothing_from_passing() {
    let mut guard = Guard::settled(with_sentry(true));
    until_the_end(&mut guard, refused);
    assert_eq!(guard.watch.outcome(), Some(Outcome::Passed));
    let standings: Vec<Standing> = guard.ledger.iter().map(|entry| entry.standing).collect();
    assert_eq!(standings, [Standing::Provisional, Standing::Good]);
    assert!(guard.said().iter().all(|words| !words.contains("sentry")), "{:?}", guard.said());
    let (_, because) = guard.watch.comes_to();
    let others = "every other check was measured all the time";
    assert_eq!(because, format!("{others}; optional and not measured: sentry"));
    let tile = guard.notices.iter().rev().find_map(|notice| match &notice.body {
        Body::Card(card) => card.tiles.iter().find(|tile| tile.name == "sentry"),
        Body::Reply(_) | Body::Signal { .. } | Body::Files { .. } | Body::GitHub(_) => None,
    });
    let tile = tile.unwrap();
    let told = (tile.value.as_str(), tile.note.as_str(), tile.verdict);
    assert_eq!(told, ("no such project", "optional", Verdict::NoData));
    assert_eq!(guard.replayed(), guard.watch);
}

#[test]
fn a_check_that_is_not_optional_still_must_be_measured() {
    let mut guard = Guard::settled(with_sentry(false));
    until_the_end(&mut guard, refused);
    assert_eq!(guard.watch.outcome(), Some(Outcome::Inconclusive));
}

#[test]
fn an_optional_check_that_has_answered_counts_as_every_other() {
    let mut guard = Guard::settled(with_sentry(true));
    let mut left = 3;
    until_the_end(&mut guard, || {
        left -= 1;
        if left > 0 { value(5.0) } else { refused() }
    });
    assert_eq!(guard.watch.outcome(), Some(Outcome::Inconclusive));
    assert!(guard.said().iter().any(|words| words.contains("sentry")), "{:?}", guard.said());
    let mut guard = Guard::settled(with_sentry(true));
    (0..5).for_each(|_| reads(&mut guard, refused()));
    (0..4).for_each(|_| reads(&mut guard, value(500.0)));
    assert!(guard.watch.has_open_incident(), "{:?}", guard.said());
}

fn smoke(new_only: bool) -> Policy {
    let bound = Bound { side: Side::AtLeast, value: 2.0, unit: Unit::Failures };
    let probe = Probe {
        of: Probed::Command("smoke".into()),
        every: SignedDuration::from_secs(10),
        new_only,
    };
    let mut policy = policy();
    policy.checks = vec![Check {
        name: "sentry".into(),
        measure: Measure::Status { of: Stated::Probe(Box::new(probe)) },
        normal: None,
        breach: BTreeMap::from([(Severity::Sev1, Limit { bound, hold: None })]),
        ..policy.checks[0].clone()
    }];
    policy
}

fn fails_from_the_first_run(policy: Policy) -> Guard {
    let mut guard = Guard::over(policy);
    guard.finds_target();
    let mut look = sighting(0, "ecs-svc/2", 2, RollOut::InProgress);
    look.primary.running = 0;
    guard.sees(look);
    reads(&mut guard, value(0.0));
    guard.sees(sighting(guard.clock, "ecs-svc/2", 2, RollOut::Completed));
    guard.clock += 30;
    (0..2).for_each(|_| reads(&mut guard, value(0.0)));
    guard
}

#[test]
fn what_asks_the_new_revision_alone_counts_from_its_first_run_on() {
    let guard = fails_from_the_first_run(smoke(true));
    assert!(guard.wants_rollback(), "{:?}", guard.said());
    assert_eq!(guard.replayed(), guard.watch);
    // Of all others nobody knows what it was before.
    let guard = fails_from_the_first_run(smoke(false));
    assert!(!guard.watch.has_open_incident());
}

/// The smoke test beside the errors; it has failed, and the target is in place again.
fn brought_back(new_only: bool) -> Guard {
    let mut both = smoke(new_only);
    both.checks.insert(0, policy().checks[0].clone());
    let mut guard = Guard::over(both);
    guard.finds_target();
    let mut look = sighting(0, "ecs-svc/2", 2, RollOut::InProgress);
    look.primary.running = 0;
    guard.sees(look);
    reads(&mut guard, value(1.0));
    guard.sees(sighting(guard.clock, "ecs-svc/2", 2, RollOut::Completed));
    guard.clock += 30;
    (0..2).for_each(|_| reads(&mut guard, value(0.0)));
    assert!(guard.wants_rollback(), "{:?}", guard.said());
    guard
}

fn back_in_place(guard: &mut Guard) {
    guard.accepts(Route::UpdateService);
    guard.sees(sighting(guard.clock, "ecs-svc/3", 1, RollOut::Completed));
}

#[test]
fn what_asks_the_new_revision_alone_says_nothing_of_the_target_that_is_back() {
    let mut guard = brought_back(true);
    back_in_place(&mut guard);
    until_the_end(&mut guard, || value(0.0));
    assert_eq!(guard.watch.outcome(), Some(Outcome::RolledBack), "{:?}", guard.said());
    assert!(guard.said().iter().any(|words| words.contains("Recovered")), "{:?}", guard.said());
}

#[test]
fn what_a_probe_said_of_the_bad_revision_is_no_recovery_on_the_target() {
    let mut guard = brought_back(false);
    // By chance it is good once more before the target is there.
    reads(&mut guard, value(1.0));
    back_in_place(&mut guard);
    (0..8).for_each(|_| guard.reads(0.0));
    assert!(guard.watch.is_open(), "nothing was run on the target: {:?}", guard.said());
    reads(&mut guard, value(1.0));
    assert_eq!(guard.watch.outcome(), Some(Outcome::RolledBack), "{:?}", guard.said());
}

#[test]
fn what_nobody_ever_measured_keeps_no_recovery_from_being_seen() {
    let mut guard = Guard::settled(with_sentry(true));
    (0..3).for_each(|_| reads(&mut guard, refused()));
    guard.presses(Command::Rollback).unwrap();
    back_in_place(&mut guard);
    until_the_end(&mut guard, refused);
    assert_eq!(guard.watch.outcome(), Some(Outcome::RolledBack), "{:?}", guard.said());
    assert!(guard.said().iter().any(|words| words.contains("Recovered")), "{:?}", guard.said());
}

#[test]
fn what_was_measured_before_the_deployment_and_vanished_with_it_is_missing() {
    let mut guard = Guard::settled(with_sentry(true));
    let check = guard.watch.policy().check("sentry").unwrap().clone();
    let before: Vec<_> = (0..240).map(|i| (at(15 * i - 3600), value(5.0))).collect();
    let measured = Baseline::of(&check, &before, 15.0);
    assert!(measured.reference().is_some());
    let came = BaselineMeasured {
        purpose: Purpose::Compare(Against::Before),
        checks: BTreeMap::from([("sentry".to_owned(), measured.into())]),
        left_out: SignedDuration::ZERO,
        known: BTreeMap::new(),
        looks: BTreeMap::new(),
    };
    guard.take(Event::BaselineMeasured(Box::new(came))).unwrap();
    until_the_end(&mut guard, refused);
    assert_eq!(guard.watch.outcome(), Some(Outcome::Inconclusive));
    assert!(guard.said().iter().any(|words| words.contains("sentry")), "{:?}", guard.said());
}

#[test]
fn a_watch_of_which_nothing_at_all_was_measured_has_not_passed() {
    let mut policy = with_sentry(true);
    policy.checks.remove(0);
    let mut guard = Guard::settled(policy);
    until_the_end(&mut guard, refused);
    assert_eq!(guard.watch.outcome(), Some(Outcome::Inconclusive), "{:?}", guard.watch.comes_to());
}

#[test]
fn what_is_shown_and_does_not_count_yet_was_not_never_measured() {
    let mut policy = with_sentry(false);
    policy.checks[1].measure = Measure::Gauge {
        of: Gauged::Query("count_over_time(sentry[${window}])".into()),
        unit: Unit::Number,
    };
    policy.checks[1].window = Some(SignedDuration::from_mins(5));
    let mut guard = Guard::settled(policy);
    for _ in 0..3 {
        reads(&mut guard, value(7.0));
    }
    let (outcome, because) = guard.watch.comes_to();
    assert_eq!(outcome, Outcome::Inconclusive);
    assert_eq!(
        because,
        "too little was measured of sentry (measured, and nothing of it counts yet: too little of \
         its window of 5m lies after the grace)"
    );
}
