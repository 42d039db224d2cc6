//! What holds of every made deployment.

use crate::generator::{self, HEALTHY_RATE, Plan};
use crate::run::{BUCKETS, Interval, Run, Series};
use crate::scenario::Scenario;

fn made(scenario: Scenario, interval: f64, seed: u64) -> Run {
    generator::run(Plan { scenario, traffic: 300.0, interval, seed })
}

fn sum(series: &[Option<Interval>]) -> Interval {
    series.iter().flatten().fold(Interval::default(), |mut sum, next| {
        sum.add(next);
        sum
    })
}

#[test]
fn a_seed_makes_one_world_whatever_the_interval() {
    let [coarse, again, fine, other] = [(60.0, 1), (60.0, 1), (15.0, 1), (60.0, 2)]
        .map(|(interval, seed)| made(Scenario::Errors(0.02), interval, seed));
    assert_eq!(coarse.all, again.all);
    assert_ne!(coarse.all, other.all);
    assert_eq!(coarse.p95_by_minute, fine.p95_by_minute);
    for series in [|run: &Run| run.new.clone(), |run: &Run| run.control.clone()] {
        let (coarse, fine): (Series, Series) = (series(&coarse), series(&fine));
        assert_eq!(sum(&coarse).requests, sum(&fine).requests);
        assert_eq!(sum(&coarse).buckets, sum(&fine).buckets);
    }
}

#[test]
fn the_new_revision_takes_over() {
    let run = made(Scenario::Healthy, 60.0, 3);
    let through = run.before + 6;
    assert_eq!(sum(&run.new[..run.before]).requests, 0);
    assert_eq!(sum(&run.old[through..]).requests, 0);
    for at in 0..run.len() {
        let [all, new, old] = [&run.all, &run.new, &run.old].map(|series| series[at].unwrap());
        assert_eq!(all.requests, new.requests + old.requests);
        assert_eq!(all.requests, all.buckets[BUCKETS - 1]);
        assert_eq!(all.p95.is_some(), all.requests > 0);
    }
}

#[test]
fn errors_and_latency_are_what_the_scenario_says() {
    let table = [
        (Scenario::Healthy, HEALTHY_RATE, 1.0),
        (Scenario::Errors(0.02), HEALTHY_RATE + 0.02, 1.0),
        (Scenario::Latency(1.5), HEALTHY_RATE, 1.5),
        (Scenario::BadResets, HEALTHY_RATE + 0.02, 1.0),
    ];
    for (scenario, rate, latency) in table {
        let mut found = Interval::default();
        let mut slower = 0.0;
        for seed in 0..8 {
            let run = made(scenario, 60.0, seed);
            found.add(&sum(&run.new));
            let p95: Vec<f64> = run.p95_by_minute[run.before..].iter().flatten().copied().collect();
            slower += p95.iter().sum::<f64>() / p95.len() as f64 / run.baseline_p95 / 8.0;
        }
        let errors = found.error_rate().unwrap();
        assert!((errors / rate - 1.0).abs() < 0.15, "{scenario:?}: errors {errors}");
        assert!((slower / latency - 1.0).abs() < 0.1, "{scenario:?}: p95 x{slower}");
    }
}

#[test]
fn missed_scrapes_are_gaps() {
    let run = made(Scenario::Gaps, 60.0, 4);
    let watch = &run.all[run.before..];
    let missing = watch.iter().filter(|interval| interval.is_none()).count();
    assert!((6..30).contains(&missing), "{missing} of {}", watch.len());
    let longest = watch.split(Option::is_some).map(<[_]>::len).max();
    assert!(longest >= Some(5), "{longest:?}");
}
