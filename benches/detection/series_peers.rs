//! The peers on a single gauge: over 1.5 x the baseline's median, or under it by
//! that factor. A sample stands for what is a minute elsewhere.

use crate::mann_whitney::{Class, Z_98, classify};
use crate::run::{SeriesRule, SeriesRun};
use crate::score;

const FACTOR: f64 = 1.5;

/// All of them, in the order of the table.
pub fn all() -> Vec<Box<dyn SeriesRule>> {
    vec![
        Box::new(Prometheus),
        Box::new(Failures { name: "Argo 3", most: 3 }),
        Box::new(Failures { name: "Flagger 5", most: 4 }),
        Box::new(CloudWatch),
        Box::new(Kayenta),
    ]
}

/// Whether a value is worse than the baseline by the factor.
fn limit(run: &SeriesRun) -> impl Fn(f64) -> bool {
    let mut known: Vec<f64> = run.baseline.iter().flatten().copied().collect();
    known.sort_by(f64::total_cmp);
    let median = score::median(&known).unwrap_or_default();
    let up = run.higher_is_worse;
    move |value| if up { value > median * FACTOR } else { value < median / FACTOR }
}

/// The mean of five samples, beyond the limit for five samples.
struct Prometheus;

impl SeriesRule for Prometheus {
    fn name(&self) -> &'static str {
        "Prometheus"
    }

    fn acts_at(&self, run: &SeriesRun) -> Option<usize> {
        let exceeds = limit(run);
        let mut row = 0;
        (0..run.watch.len()).find(|at| {
            let window = &run.watch[at.saturating_sub(4)..=*at];
            let known: Vec<f64> = window.iter().flatten().copied().collect();
            let mean = known.iter().sum::<f64>() / known.len() as f64;
            row = if exceeds(mean) { row + 1 } else { 0 };
            // Pending from the first, firing five intervals later.
            row > 5
        })
    }
}

/// More than so many samples beyond the limit, in a row or not.
struct Failures {
    name: &'static str,
    most: usize,
}

impl SeriesRule for Failures {
    fn name(&self) -> &'static str {
        self.name
    }

    fn acts_at(&self, run: &SeriesRun) -> Option<usize> {
        let exceeds = limit(run);
        let failed = |at: &usize| run.watch[*at].is_some_and(&exceeds);
        (0..run.watch.len()).filter(failed).nth(self.most)
    }
}

/// Three known samples in a row.
struct CloudWatch;

impl SeriesRule for CloudWatch {
    fn name(&self) -> &'static str {
        "CloudWatch"
    }

    fn acts_at(&self, run: &SeriesRun) -> Option<usize> {
        let exceeds = limit(run);
        let mut row = 0;
        run.watch.iter().position(|value| {
            row = value.map_or(row, |value| if exceeds(value) { row + 1 } else { 0 });
            row >= 3
        })
    }
}

/// Every five samples Mann-Whitney at 98 % on all so far.
struct Kayenta;

impl SeriesRule for Kayenta {
    fn name(&self) -> &'static str {
        "Kayenta"
    }

    fn acts_at(&self, run: &SeriesRun) -> Option<usize> {
        let before: Vec<f64> = run.baseline.iter().flatten().copied().collect();
        let wanted = if run.higher_is_worse { Class::High } else { Class::Low };
        (5..=run.watch.len()).step_by(5).find_map(|look| {
            let so_far: Vec<f64> = run.watch[..look].iter().flatten().copied().collect();
            (classify(&so_far, &before, Z_98, 0.25, FACTOR) == wanted).then_some(look - 1)
        })
    }
}
