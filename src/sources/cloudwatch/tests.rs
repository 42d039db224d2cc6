use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use super::calls::{Call, MOST_QUERIES, Wanted, What, plan};
use crate::model::{Fold, Metric, MetricAsk, MetricOf, MetricStat, MetricUnit, Ticks};

fn stat(metric: &str) -> MetricStat {
    MetricStat {
        namespace: "AWS/ApplicationELB".into(),
        metric: metric.into(),
        dimensions: BTreeMap::new(),
        stat: "Sum".into(),
    }
}

fn metric(of: MetricOf) -> Metric {
    let delay = SignedDuration::from_mins(2);
    Metric { of, period: SignedDuration::from_mins(1), delay, unit: MetricUnit::Base }
}

fn one(name: &str) -> MetricOf {
    MetricOf::Statistic(stat(name))
}

fn at(minute: i64) -> Timestamp {
    Timestamp::from_second(minute * 60).unwrap()
}

fn minutes(from: i64, until: i64) -> Ticks {
    Ticks::once(at(until), SignedDuration::from_mins(until - from))
}

fn wanted(place: usize, of: MetricOf, fold: Fold, ticks: Ticks) -> Wanted {
    Wanted { place, ask: MetricAsk { metric: metric(of), fold }, ticks }
}

fn stats(call: &Call) -> Vec<(String, i64, bool)> {
    let found = call.queries.iter().map(|query| match &query.what {
        What::Stat(stat, period) => (stat.metric.clone(), *period, query.is_returned),
        What::Math(text) => (text.clone(), 0, query.is_returned),
    });
    found.collect()
}

#[test]
fn a_thousand_watches_of_five_metrics_need_ten_calls_and_each_metric_is_asked_once() {
    let each = |index: usize| wanted(index, one(&format!("m{index}")), Fold::Each, minutes(10, 11));
    let calls = plan((0..5_000).map(each).collect());
    assert_eq!(calls.len(), 5_000_usize.div_ceil(MOST_QUERIES - 1));
    assert_eq!(calls.iter().map(Call::billed).sum::<u64>(), 5_000);
    assert!(calls.iter().all(|call| call.queries.len() <= MOST_QUERIES));
    let same = plan((0..5_000).map(|i| wanted(i, one("m"), Fold::Each, minutes(10, 11))).collect());
    assert_eq!((same.len(), same[0].billed()), (1, 1));
}

#[test]
fn a_statistic_is_asked_of_the_whole_stretch_and_counts_minute_by_minute() {
    let calls = plan(vec![
        wanted(0, one("a"), Fold::Each, minutes(10, 15)),
        wanted(1, one("b"), Fold::Whole, minutes(10, 15)),
        wanted(2, one("c"), Fold::Highest, minutes(14, 15)),
    ]);
    let [call] = &calls[..] else { panic!("{calls:?}") };
    assert_eq!((call.start, call.end), (600, 900));
    let named = |name: &str, period| (name.to_owned(), period, true);
    assert_eq!(stats(call), [named("a", 60), named("b", 300), named("c", 60)]);
}

#[test]
fn a_day_and_a_minute_are_not_asked_for_together() {
    let day = Ticks::ending_at(at(1440), SignedDuration::from_mins(1), 1440);
    let calls = plan(vec![
        wanted(0, one("a"), Fold::Each, day),
        wanted(1, one("a"), Fold::Each, minutes(1440, 1441)),
    ]);
    assert_eq!(calls.len(), 2, "{calls:?}");
    let days = (0..100).map(|index| wanted(index, one(&format!("m{index}")), Fold::Each, day));
    let calls = plan(days.collect());
    let points: Vec<usize> = calls.iter().map(|call| call.queries.len() * 1441).collect();
    assert!(points.iter().all(|points| *points <= 100_800), "{points:?}");
}

#[test]
fn a_formula_speaks_of_its_metrics_by_the_ids_of_the_call() {
    let metrics = [("m1", "RequestCount"), ("q0", "Errors")];
    let metrics = metrics.map(|(name, of)| (name.to_owned(), stat(of))).into();
    let expression = "IF(m1 > 10, 100*q0/m1, FILL(q0, 0)) + m10".to_owned();
    let math = MetricOf::Math { expression, metrics };
    let calls = plan(vec![
        wanted(0, one("First"), Fold::Each, minutes(10, 11)),
        wanted(1, math, Fold::Highest, minutes(10, 11)),
    ]);
    let [call] = &calls[..] else { panic!("{calls:?}") };
    let shown = stats(call);
    assert_eq!(shown[1], ("RequestCount".to_owned(), 60, false));
    assert_eq!(shown[2], ("Errors".to_owned(), 60, false));
    assert_eq!(shown[3].0, "IF(q1 > 10, 100*q2/q1, FILL(q2, 0)) + m10");
    assert_eq!(call.billed(), 3, "a formula costs what its metrics cost");
}

#[test]
fn periods_of_several_lengths_all_fit_the_start_that_they_share() {
    let calls = plan(vec![
        wanted(0, one("counts"), Fold::Each, minutes(7, 15)),
        wanted(1, one("five minutes"), Fold::Whole, minutes(10, 15)),
        wanted(2, one("two minutes"), Fold::Whole, minutes(12, 14)),
    ]);
    let [call] = &calls[..] else { panic!("{calls:?}") };
    assert_eq!((call.start, call.end), (0, 900), "ten minutes hold both two and five");
    let hour = wanted(1, one("hour"), Fold::Whole, minutes(60, 120));
    let calls = plan(vec![wanted(0, one("counts"), Fold::Each, minutes(119, 120)), hour]);
    assert_eq!(calls.len(), 2, "{calls:?}");
}
