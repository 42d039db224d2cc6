//! What an earlier deployment broke is no normal for the next one.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use super::world::{Guard, at, counts, key, pinned, policy, revision, service, sighting};
use crate::model::{Deployment, Inspection, Mode, RollOut, RollbackSafe, Route, Span, Unsafe};
use crate::policy::{Against, Policy};
use crate::watch::baselines::Stretch;
use crate::watch::{
    BaselineAsk, BaselineMeasured, Ceiling, Event, IntakeStep, Poison, Purpose, Samples, Seen,
    Watch, on_sighting,
};

/// Bad from its roll-out on, rolled back after 130 s, and recovered.
fn undone() -> Guard {
    let mut guard = Guard::settled(policy());
    guard.lives(40.0, 40);
    guard.accepts(Route::UpdateService);
    guard.sees(sighting(70, "ecs-svc/3", 1, RollOut::Completed));
    guard.lives(40.0, 60);
    guard.lives(0.0, 60);
    assert!(!guard.watch.is_open(), "{:?}", guard.said());
    guard
}

fn seen(spoiled: Vec<Span>, poison: Option<Poison>) -> Seen {
    let platform_id = "ecs-svc/3".to_owned();
    Seen { service: key(), platform_id, revision: revision(1), poison, spoiled }
}

/// What opens when the next deployment is seen an hour later.
fn next(seen: &Seen) -> Deployment {
    let mut newer = sighting(3600, "ecs-svc/4", 4, RollOut::InProgress);
    newer.primary.created_at = at(3600);
    let steps = on_sighting(&newer, Some(seen), &[], &service());
    let Some(IntakeStep::Open(deployment, _)) = steps.into_iter().next() else {
        panic!("a new deployment opens a watch")
    };
    *deployment
}

fn watched(deployment: Deployment) -> Watch {
    watched_under(deployment, policy())
}

fn watched_under(deployment: Deployment, policy: Policy) -> Watch {
    let event = Event::Opened {
        repository: None,
        query_offset: None,
        others: Vec::new(),
        deployment: Box::new(deployment),
        pinned: Box::new(pinned(policy)),
        ceiling: Ceiling { mode: Mode::Auto, because: None },
        announcement: None,
    };
    Watch::open(&event, at(3600)).unwrap().0
}

/// What was measured up to the end of what is asked for: 10 % bad in `bad`, else nothing.
fn measured(ask: &BaselineAsk, bad: Span) -> Samples {
    let times = (0..i32::try_from(ask.count).unwrap()).rev();
    let times = times.map(|back| ask.until[0] - ask.step * back);
    let in_it = |at: Timestamp| at > bad.from && bad.until.is_none_or(|until| at <= until);
    let samples = times.map(|at| (at, counts(if in_it(at) { 10.0 } else { 0.0 }))).collect();
    Samples::from([("errors".to_owned(), samples)])
}

#[test]
fn a_rolled_back_deployment_leaves_behind_when_it_did_harm() {
    let guard = undone();
    let span = guard.watch.harm_done().unwrap();
    let until = guard.watch.incident.as_ref().unwrap().resolved_at;
    assert!(until.is_some());
    assert_eq!(span, Span { from: at(0), until });
    let left = seen(Vec::new(), None).spoiled_by(Some(span), at(guard.clock));
    assert_eq!(next(&left).inherited.spoiled, [span]);
    let again = left.clone().spoiled_by(Some(span), at(guard.clock));
    assert_eq!(again.spoiled, [span], "each deployment once");
    let later = at(guard.clock) + SignedDuration::from_hours(9 * 24);
    assert_eq!(again.spoiled_by(None, later).spoiled, [], "nothing is measured so far back");
}

#[test]
fn what_was_not_its_doing_and_what_was_no_incident_stay_in_the_baseline() {
    let good = Guard::settled(policy());
    assert_eq!(good.watch.harm_done(), None);
    let mut guard = undone();
    guard.watch.incident.as_mut().unwrap().excused = Some("it broke before".into());
    assert_eq!(guard.watch.harm_done(), None);
}

#[test]
fn harm_that_goes_on_ends_with_the_next_deployment() {
    let mut guard = Guard::settled(policy());
    guard.breaks(5.0);
    let open = guard.watch.harm_done().unwrap();
    assert_eq!(open.until, None);
    let inherited = next(&seen(vec![open], None)).inherited;
    assert_eq!(inherited.spoiled, [Span { until: Some(at(3600)), ..open }]);
}

#[test]
fn what_was_measured_meanwhile_is_no_normal_and_passed_not_by_itself() {
    let bad = Span { from: at(3000), until: Some(at(3600)) };
    let clean = watched(next(&seen(Vec::new(), None)));
    let mut watch = watched(next(&seen(vec![bad], None)));
    let usual = clean.baseline_wanted(at(3600)).unwrap();
    let ask = watch.baseline_wanted(at(3600)).unwrap();
    assert_eq!(ask.purpose, Purpose::Compare(Against::Before));
    assert!(ask.count >= usual.count + 60, "what is cut is made up for: {}", ask.count);
    let of = |ask: &BaselineAsk, bad: Span| {
        let samples = measured(ask, bad);
        BaselineMeasured::of(watch.policy(), ask.clone(), &samples, BTreeMap::new())
    };
    let value = |came: &BaselineMeasured| match &came.checks["errors"] {
        Stretch::Baseline(baseline) => baseline.reference().map(|one| one.value),
        Stretch::Transients(_) => None,
    };
    assert!(value(&of(&usual, bad)).unwrap() > 0.01, "it would be normal");
    let before = of(&ask, bad);
    assert!(value(&before).unwrap() < 0.001);
    assert_eq!(before.left_out, SignedDuration::from_mins(10));

    let step = SignedDuration::from_mins(1);
    let ask = BaselineAsk { purpose: Purpose::Transients, step, count: 1440, ..ask };
    assert_eq!(of(&ask, bad).left_out, SignedDuration::from_mins(10), "nor did it pass by itself");

    watch.handle(&Event::BaselineMeasured(Box::new(before)), at(3610)).unwrap();
    let told = "before: 10m left out, when an earlier deployment did harm";
    assert!(watch.timeline.iter().any(|one| one.text == told), "{:?}", watch.timeline);
}

#[test]
fn the_samples_of_a_control_are_left_whole() {
    let bad = Span { from: at(3000), until: Some(at(3150)) };
    let mut policy = policy();
    policy.depends_on = vec!["auth".into()];
    let mut watch = watched_under(next(&seen(vec![bad], None)), policy);
    let ask = watch.baseline_wanted(at(3600)).unwrap();
    let samples = measured(&ask, bad);
    let before = BaselineMeasured::of(watch.policy(), ask, &samples, BTreeMap::new());
    watch.handle(&Event::BaselineMeasured(Box::new(before)), at(3600)).unwrap();
    let ask = watch.baseline_wanted(at(3600)).unwrap();
    assert_eq!((ask.purpose, ask.spoiled), (Purpose::Control("auth".into()), Vec::new()));
}

#[test]
fn which_deployment_forbids_a_rollback_by_itself_is_named() {
    let unsafe_one = Some(Unsafe { version: "v12".into(), by: Some("ci".into()) });
    let poison = Poison { clean_until: at(0), safe: RollbackSafe::No, unsafe_one };
    let mut watch = watched(next(&seen(Vec::new(), Some(poison))));
    let target = Ok((revision(1), "what was there".to_owned()));
    let inspection = Inspection::default();
    let said = watch.handle(&Event::Inspected { target, inspection }, at(3601)).unwrap();
    let said = format!("{:?}", said.notices);
    let words = "api api:4 in production will not be rolled back by itself: v12, which it would \
                 undo too, was announced by ci as not safe to roll back (rollback_safe: false)";
    assert!(said.contains(words), "{said}");
    assert_eq!(watch.poison().unwrap().unsafe_one.unwrap().version, "v12", "and inherited on");
}
