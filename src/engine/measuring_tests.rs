//! What a watch of 24 hours really asks of CloudWatch, and how late it is judged.

use std::collections::BTreeMap;

use super::*;
use crate::model::{Measurement, RollOut, Shape};
use crate::policy::{SourceFile, read};
use crate::sources::Plan;
use crate::sources::cloudwatch::price;
use crate::watch::tests::world::{Guard, at, sighting};
use crate::watch::{Cost, Want};

/// Five metrics of CloudWatch, with the phases that the design names.
const FIVE: &str = "
version: 1
policy: five
environment: production
match: { cluster: prod, service: api }
phases:
  immediate: { until: 15m, interval: 15s }
  short-term: { until: 1h, interval: 30s }
  long-term: { until: 24h, interval: 5m }
checks:
  error rate:
    ratio:
      bad: { cloudwatch: { namespace: AWS/ApplicationELB, metric: HTTPCode_Target_5XX_Count, dimensions: { LoadBalancer: app/web/1 } } }
      total: { cloudwatch: { namespace: AWS/ApplicationELB, metric: RequestCount, dimensions: { LoadBalancer: app/web/1 } } }
    breach: { SEV2: '> 1%' }
  latency:
    latency: { cloudwatch: { namespace: AWS/ApplicationELB, metric: TargetResponseTime, dimensions: { LoadBalancer: app/web/1 } }, quantile: 0.95 }
    breach: { SEV2: '> 500ms' }
    baseline: { against: [before], worse_by: 2x }
  errors:
    cloudwatch: { namespace: AWS/ApplicationELB, metric: HTTPCode_Target_5XX_Count, dimensions: { LoadBalancer: app/web/1 }, stat: Sum }
    breach: { SEV1: '> 1000' }
  cpu:
    cloudwatch: { namespace: AWS/ECS, metric: CPUUtilization, dimensions: { ClusterName: main }, stat: Average }
    breach: { SEV2: '> 80% for 5m' }
  memory:
    cloudwatch: { namespace: AWS/ECS, metric: MemoryUtilization, dimensions: { ClusterName: main }, stat: Average }
    breach: { SEV2: '> 80% for 5m' }
";

fn five() -> Policy {
    let file = SourceFile { path: "five.yaml".into(), bytes: FIVE.into() };
    let set = read(&[file]).unwrap();
    Policy::clone(&set.iter().next().unwrap().policy)
}

/// An answer in which each stretch that ends at a time has so many bad events.
fn measured(question: &Question, ticks: Ticks, bad: impl Fn(Timestamp) -> f64) -> Measured {
    let reading = |at: Timestamp| match question.shape {
        Shape::BadOfTotal | Shape::GoodOfTotal => Measurement::counts(bad(at), 600.0),
        Shape::Histogram | Shape::Gauge | Shape::GaugeBeside | Shape::GaugeOf { .. } => {
            Measurement::Gauge { values: [("value".to_owned(), 0.1)].into() }
        }
    };
    let readings = ticks.times().map(|at| Ok(reading(at))).collect();
    Measured { readings, seen: BTreeMap::new() }
}

/// What is due for the watch at this second; afterwards it has been answered.
fn answer(guard: &mut Guard, second: i64, bad: impl Fn(Timestamp) -> f64) -> Vec<Due<Asked>> {
    let mut asked = Vec::new();
    // A baseline that came makes room for the next one.
    for _ in 0..10 {
        let mut round = Round::default();
        for want in guard.watch.wants(at(second)) {
            match want {
                Want::Sample { tick, interval } => {
                    round.sample(&guard.watch, tick, interval, &BTreeSet::new(), Vec::new());
                }
                Want::Baseline(ask) => round.baseline(&guard.watch, ask, at(second)),
                Want::Inspect
                | Want::ReadLog(_)
                | Want::RollBack { .. }
                | Want::Shift(_)
                | Want::LeaveMaintenance(_) => {}
            }
        }
        if round.jobs.is_empty() {
            break;
        }
        let Round { jobs, due } = round;
        asked.extend(due.iter().cloned());
        let mut by_job: Vec<Vec<(Asked, Measured)>> = jobs.iter().map(|_| Vec::new()).collect();
        for Due { key, question, ticks } in due {
            let measured = measured(&question, ticks, &bad);
            by_job[key.job].push((key, measured));
        }
        guard.clock = second;
        for (job, measured) in jobs.into_iter().zip(by_job) {
            guard.take(came_to(job.goal, measured)).unwrap();
        }
    }
    asked
}

#[test]
fn a_watch_of_24_hours_with_five_metrics_asks_for_what_was_foretold_and_costs_two_cents_at_most() {
    let policy = five();
    let mut guard = Guard::over(policy.clone());
    guard.sees(sighting(0, "ecs-svc/2", 2, RollOut::Completed));
    guard.finds_target();
    let (mut asked, mut second) = (0, 0);
    while guard.watch.is_open() && second < 25 * 3600 {
        second += 5;
        let due = answer(&mut guard, second, |_| 0.0);
        asked += price(Plan::of(due).requests()).metrics;
    }
    assert!(!guard.watch.is_open(), "the watch has ended");
    let cost = Cost::of(&policy);
    let measured = f64::from(u32::try_from(asked).unwrap());
    println!("a watch of 24 hours asks for {asked} metrics, {} foretold", cost.metrics());
    assert!(measured * crate::watch::DOLLARS <= 0.02, "{asked}");
    assert!(cost.metrics().abs_diff(asked) <= 10, "{asked} are not {}: {cost:?}", cost.metrics());
}

#[test]
fn a_breach_is_found_period_by_period_and_recovery_needs_two_that_lie_after_the_rollback() {
    let text = FIVE.replace("SEV2: '> 1%'", "SEV1: '> 1%'").replace("api }", "api }\nmode: auto");
    let file = SourceFile { path: "five.yaml".into(), bytes: text.into() };
    let policy = Policy::clone(&read(&[file]).unwrap().iter().next().unwrap().policy);
    let mut guard = Guard::over(policy);
    guard.sees(sighting(0, "ecs-svc/2", 2, RollOut::Completed));
    guard.finds_target();
    // A third of the answers is bad from the tenth minute on, until the target is in place.
    let broke = at(600);
    let mut placed: Option<i64> = None;
    let mut second = 0;
    while guard.watch.is_open() && second < 3600 {
        second += 5;
        let until = placed.map_or(Timestamp::MAX, at);
        let bad = move |end: Timestamp| if end > broke && end <= until { 200.0 } else { 0.0 };
        answer(&mut guard, second, bad);
        guard.clock = second;
        if placed.is_none() && guard.wants_rollback() {
            guard.accepts(crate::model::Route::UpdateService);
            guard.sees(sighting(second, "ecs-svc/3", 1, RollOut::Completed));
            placed = Some(second);
        }
    }
    let placed = placed.unwrap();
    // Three periods agree, and each is complete two minutes after its end.
    assert!((600 + 3 * 60 + 120..=600 + 5 * 60 + 120).contains(&placed), "{placed}");
    assert_eq!(guard.watch.outcome(), Some(crate::model::Outcome::RolledBack));
    let took = second - placed;
    // The first whole period after it, two windows more, and what all of them are late.
    let whole = (placed + 59) / 60 * 60 + 60 - placed;
    assert!((whole + 120 + 120..=600).contains(&took), "recovered after {took} s");
}

#[test]
fn a_thousand_watches_at_once_share_calls_of_five_hundred() {
    let mut due = Vec::new();
    for number in 0..1_000 {
        let text = FIVE
            .replace("ClusterName: main", &format!("ClusterName: main, ServiceName: s{number}"))
            .replace("app/web/1", &format!("app/web/1, TargetGroup: targetgroup/t{number}/1"));
        let file = SourceFile { path: "five.yaml".into(), bytes: text.into() };
        let policy = Policy::clone(&read(&[file]).unwrap().iter().next().unwrap().policy);
        let mut guard = Guard::over(policy);
        guard.sees(sighting(0, "ecs-svc/2", 2, RollOut::Completed));
        // At rest: every metric is due at the same minute.
        let mut round = Round::default();
        let tick = at(0) + SignedDuration::from_secs(400);
        round.sample(
            &guard.watch,
            tick,
            SignedDuration::from_mins(5),
            &BTreeSet::new(),
            Vec::new(),
        );
        due.extend(round.due);
    }
    let requests = Plan::of(due);
    let spent = price(requests.requests());
    println!("a thousand watches ask for {} metrics in {} calls", spent.metrics, spent.calls);
    // A ratio whose sides fall into two calls is asked for a side twice.
    assert!((5_000..5_011).contains(&spent.metrics), "{spent:?}");
    assert!(spent.calls <= 11, "{spent:?}");
}

#[test]
fn what_lacks_a_label_is_not_asked_and_says_so_in_sample_and_baseline() {
    let mut policy = five();
    let text = FIVE.replace(
        "metric: TargetResponseTime, dimensions: { LoadBalancer: app/web/1 }",
        "metric: TargetResponseTime, dimensions: { LoadBalancer: '${labels.alb}' }",
    );
    let file = SourceFile { path: "five.yaml".into(), bytes: text.into() };
    policy.checks = read(&[file]).unwrap().iter().next().unwrap().policy.checks.clone();
    let mut guard = Guard::over(policy);
    guard.settle();
    let mut round = Round::default();
    // The first at which CloudWatch's newest period is complete.
    let measured = |want: &Want| match want {
        Want::Sample { tick, interval } => {
            let check = guard.watch.policy().check("latency").unwrap();
            check.measured_at(*tick, *interval, *interval).is_some()
        }
        Want::Baseline(_)
        | Want::Inspect
        | Want::ReadLog(_)
        | Want::RollBack { .. }
        | Want::Shift(_)
        | Want::LeaveMaintenance(_) => false,
    };
    let mut seconds = 300..400;
    let second = seconds.find(|second| guard.watch.wants(at(*second)).iter().any(measured));
    let second = second.unwrap();
    for want in guard.watch.wants(at(second)) {
        match want {
            Want::Sample { tick, interval } => {
                round.sample(&guard.watch, tick, interval, &BTreeSet::new(), Vec::new());
            }
            Want::Baseline(ask) => round.baseline(&guard.watch, ask, at(second)),
            Want::Inspect
            | Want::ReadLog(_)
            | Want::RollBack { .. }
            | Want::Shift(_)
            | Want::LeaveMaintenance(_) => {}
        }
    }
    let Round { jobs, due } = round;
    assert!(!due.is_empty() && due.iter().all(|due| due.key.check != "latency"));
    let mut events = jobs.into_iter().map(|job| came_to(job.goal, Vec::new()));
    let refused = Err(Unusable::Refused("not announced: the label `alb`".into()));
    let baseline = events.next().unwrap();
    let Some(Event::Sampled(sampled)) = events.next() else { panic!("the sample comes last") };
    assert_eq!(sampled.latest.readings, BTreeMap::from([("latency".to_owned(), refused)]));
    guard.clock = second;
    guard.take(Event::Sampled(sampled)).unwrap();
    assert_eq!(
        guard.watch.checks["latency"].last.as_ref().unwrap().reason,
        "not announced: the label `alb`"
    );
    guard.take(baseline).unwrap();
    let baseline = guard.watch.checks["latency"].baselines.values().next().unwrap();
    assert!(matches!(baseline, crate::judge::Baseline::Missing { .. }), "{baseline:?}");
}

/// What the watch is sampled as at `now`, with nothing measured.
fn sampled_at(watch: &Watch, now: Timestamp) -> Sampled {
    let sample = |want: Want| match want {
        Want::Sample { tick, interval } => Some((tick, interval)),
        Want::Baseline(_)
        | Want::Inspect
        | Want::ReadLog(_)
        | Want::RollBack { .. }
        | Want::Shift(_)
        | Want::LeaveMaintenance(_) => None,
    };
    let (tick, interval) = watch.wants(now).into_iter().find_map(sample).unwrap();
    let mut round = Round::default();
    round.sample(watch, tick, interval, &BTreeSet::new(), Vec::new());
    let event = came_to(round.jobs.remove(0).goal, Vec::new());
    let Event::Sampled(sampled) = event else { panic!("{event:?}") };
    *sampled
}

#[test]
fn what_is_looked_at_more_often_after_a_press_is_not_late_and_what_was_slept_through_is() {
    let text = FIVE.replace("api }", "api }\nmode: auto");
    let file = SourceFile { path: "five.yaml".into(), bytes: text.into() };
    let policy = Policy::clone(&read(&[file]).unwrap().iter().next().unwrap().policy);
    let mut guard = Guard::over(policy);
    guard.sees(sighting(0, "ecs-svc/2", 2, RollOut::Completed));
    guard.finds_target();
    let mut second = 0;
    // Four minutes into five, when nothing is due.
    while second < 2 * 3600 + 240 {
        second += 5;
        answer(&mut guard, second, |_| 0.0);
    }
    guard.clock = second;
    let waited = at(second).duration_since(guard.watch.last_tick.unwrap());
    guard.presses(crate::watch::Command::Rollback).unwrap();
    let due = guard.watch.tick_due_at().unwrap();
    let sampled = sampled_at(&guard.watch, due);
    assert!(waited.as_secs() > 60 && !sampled.earlier.is_empty(), "{waited}");
    let late = lag(&guard.watch, &sampled, due);
    assert!(late < SignedDuration::from_secs(1), "{late}");
    let asleep = due + SignedDuration::from_mins(10);
    let late = lag(&guard.watch, &sampled_at(&guard.watch, asleep), asleep);
    assert_eq!(late, SignedDuration::from_mins(10));
}
