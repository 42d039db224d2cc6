//! What others do, for comparison only. All hold the new revision against the
//! same limits: errors over 1 %, p95 over 1.5 x the baseline's, memory over 85 %.

use crate::mann_whitney::{Class, Z_98, classify};
use crate::promql::{histogram_quantile, increase};
use crate::run::{BOUNDS, BUCKETS, Instance, Interval, Rule, Run, Scrape, Series};

const MOST_ERRORS: f64 = 0.01;
const MOST_LATENCY: f64 = 1.5;
const MOST_MEMORY: f64 = 0.85;

/// All of them, in the order of the table.
pub fn all() -> Vec<Box<dyn Rule>> {
    vec![
        Box::new(Prometheus),
        Box::new(Argo),
        Box::new(Flagger),
        Box::new(CloudWatch),
        Box::new(Kayenta),
    ]
}

/// A minute's values of errors, p95 and memory over their limits. `None`: there
/// is no such value (no data, no requests).
type Exceeded = [Option<bool>; 3];

/// A minute of the watch: what is exceeded, or `None` without any data.
fn minutes(run: &Run) -> Vec<Option<Exceeded>> {
    let p95s = &run.p95_by_minute[run.before / run.a_minute()..];
    by_minute(run, &run.new[run.before..])
        .into_iter()
        .zip(p95s)
        .map(|(minute, p95)| {
            let minute = minute?;
            Some([
                minute.error_rate().map(|rate| rate > MOST_ERRORS),
                p95.map(|p95| p95 > MOST_LATENCY * run.baseline_p95),
                minute.memory.map(|memory| memory > MOST_MEMORY),
            ])
        })
        .collect()
}

/// Sums of whole minutes, of what is known of them.
fn by_minute(run: &Run, series: &[Option<Interval>]) -> Series {
    let sum = |minute: &[Option<Interval>]| {
        minute.iter().flatten().copied().reduce(|mut sum, next| {
            sum.add(&next);
            sum
        })
    };
    series.chunks(run.a_minute()).map(sum).collect()
}

/// Alerting rules on `rate[5m]` with `for: 5m`, one a limit.
struct Prometheus;

const WINDOW: f64 = 300.0;
const FOR: f64 = 300.0;

impl Rule for Prometheus {
    fn name(&self) -> &'static str {
        "Prometheus"
    }

    fn acts_at(&self, run: &Run) -> Option<f64> {
        let mut before = [0.0; BUCKETS];
        for interval in run.all[..run.before].iter().flatten() {
            before.iter_mut().zip(interval.buckets).for_each(|(sum, own)| *sum += own as f64);
        }
        let most_latency = histogram_quantile(0.95, &BOUNDS, &before).map(|p95| p95 * MOST_LATENCY);
        let mut pending_since = [None; 3];
        for interval in run.before..run.len() {
            let now = run.end_of(interval);
            let [requests, errors] = [|it: &Scrape| it.requests, |it: &Scrape| it.errors]
                .map(|of| rate(run, interval, of));
            let mut buckets = [0.0; BUCKETS];
            for (index, bucket) in buckets.iter_mut().enumerate() {
                *bucket = rate(run, interval, |it| it.buckets[index]);
            }
            let p95 = histogram_quantile(0.95, &BOUNDS, &buckets);
            let memory = run.new[interval].and_then(|interval| interval.memory);
            let firing = [
                requests > 0.0 && errors / requests > MOST_ERRORS,
                p95.zip(most_latency).is_some_and(|(p95, most)| p95 > most),
                memory.is_some_and(|memory| memory > MOST_MEMORY),
            ];
            for (since, firing) in pending_since.iter_mut().zip(firing) {
                *since = firing.then(|| since.unwrap_or(now));
                if since.is_some_and(|since| now - since >= FOR) {
                    return Some(now);
                }
            }
        }
        None
    }
}

/// `sum(increase(counter[5m]))` over the new revision's instances.
fn rate(run: &Run, interval: usize, counter: impl Fn(&Scrape) -> u64) -> f64 {
    let samples_a_window = (WINDOW / run.interval) as usize;
    let of = |instance: &Instance| {
        let samples: Vec<(f64, f64)> = (interval + 1 - samples_a_window..=interval)
            .filter_map(|at| {
                let scrape = instance.scrapes[at].as_ref()?;
                Some((run.end_of(at), counter(scrape) as f64))
            })
            .collect();
        increase(&samples, run.end_of(interval), WINDOW)
    };
    run.instances.iter().filter(|instance| instance.of_new).filter_map(of).sum()
}

/// An analysis with `failureLimit: 3` and a measurement a minute: it fails once
/// more than three measurements of one metric have failed, in a row or not. NaN
/// fails no `failureCondition`; no answer at all is an error, and more than four
/// of those in a row (`consecutiveErrorLimit`) end it, too.
struct Argo;

const FAILURE_LIMIT: u32 = 3;
const CONSECUTIVE_ERROR_LIMIT: u32 = 4;

impl Rule for Argo {
    fn name(&self) -> &'static str {
        "Argo 3"
    }

    fn acts_at(&self, run: &Run) -> Option<f64> {
        let mut failed = [0; 3];
        let mut errors = 0;
        for (minute, exceeded) in minutes(run).into_iter().enumerate() {
            let Some(exceeded) = exceeded else {
                errors += 1;
                if errors > CONSECUTIVE_ERROR_LIMIT {
                    return Some(after(minute));
                }
                continue;
            };
            errors = 0;
            for (failed, exceeded) in failed.iter_mut().zip(exceeded) {
                *failed += u32::from(exceeded == Some(true));
            }
            if failed.iter().any(|failed| *failed > FAILURE_LIMIT) {
                return Some(after(minute));
            }
        }
        None
    }
}

/// A canary with `threshold: 5` and a check a minute. A check fails if any metric
/// is over its limit or has no value; a success takes nothing back; it is rolled
/// back at the check after the one that made five.
struct Flagger;

const THRESHOLD: u32 = 5;

impl Rule for Flagger {
    fn name(&self) -> &'static str {
        "Flagger 5"
    }

    fn acts_at(&self, run: &Run) -> Option<f64> {
        let mut failed = 0;
        for (minute, exceeded) in minutes(run).into_iter().enumerate() {
            if failed >= THRESHOLD {
                return Some(after(minute));
            }
            let passed = exceeded.is_some_and(|values| values.iter().all(|it| *it == Some(false)));
            failed += u32::from(!passed);
        }
        None
    }
}

/// Alarms, one a limit, with 3 of 3 datapoints of a minute. Missing datapoints
/// are passed over (`TreatMissingData: missing`).
struct CloudWatch;

const DATAPOINTS: u32 = 3;

impl Rule for CloudWatch {
    fn name(&self) -> &'static str {
        "CloudWatch"
    }

    fn acts_at(&self, run: &Run) -> Option<f64> {
        let mut in_a_row = [0; 3];
        for (minute, exceeded) in minutes(run).into_iter().enumerate() {
            for (row, exceeded) in in_a_row.iter_mut().zip(exceeded.unwrap_or_default()) {
                match exceeded {
                    Some(true) => *row += 1,
                    Some(false) => *row = 0,
                    None => {}
                }
                if *row >= DATAPOINTS {
                    return Some(after(minute));
                }
            }
        }
        None
    }
}

/// A judgement every five minutes on all minutes so far against the hour before:
/// Mann-Whitney at 98 %, tolerance 0.25, any metric high is enough. Each look is a
/// test of its own. Latency and memory must also be higher by the limits' factor.
struct Kayenta;

/// Reads a metric off a minute.
type Value = fn(&Interval) -> Option<f64>;

const LOOK: usize = 5;
const TOLERANCE: f64 = 0.25;
/// Minutes of its control.
const CONTROL: usize = 60;

impl Rule for Kayenta {
    fn name(&self) -> &'static str {
        "Kayenta"
    }

    fn acts_at(&self, run: &Run) -> Option<f64> {
        let before = run.before / run.a_minute();
        let mut minutes = by_minute(run, &run.all[..run.before]);
        minutes.extend(by_minute(run, &run.new[run.before..]));
        for (minute, p95) in minutes.iter_mut().zip(&run.p95_by_minute) {
            if let Some(minute) = minute {
                minute.p95 = *p95;
            }
        }
        let control = &minutes[before - CONTROL..before];
        let values = |minutes: &[Option<Interval>], of: Value| {
            minutes.iter().flatten().filter_map(of).collect::<Vec<f64>>()
        };
        let memory = values(control, |minute| minute.memory);
        let used = memory.iter().sum::<f64>() / memory.len() as f64;
        let metrics: [(Value, f64); 3] = [
            (Interval::error_rate, 1.0),
            (|minute| minute.p95, MOST_LATENCY),
            (|minute| minute.memory, MOST_MEMORY / used),
        ];
        (LOOK..=minutes.len() - before).step_by(LOOK).find_map(|look| {
            let experiment = &minutes[before..before + look];
            let high = metrics.iter().any(|(of, increase)| {
                let (experiment, control) = (values(experiment, *of), values(control, *of));
                classify(&experiment, &control, Z_98, TOLERANCE, *increase) == Class::High
            });
            high.then(|| after(look - 1))
        })
    }
}

/// Seconds after the deployment at the end of a minute.
fn after(minute: usize) -> f64 {
    (minute as f64 + 1.0) * 60.0
}
