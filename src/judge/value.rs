//! What one sample or several samples together come to: the value that limits are
//! held against, and the counts of bad events under it.

use serde::{Deserialize, Serialize};

use crate::model::{Counts, Histogram, Measurement, Split};
use crate::policy::{Bound, Check, Measure, Part};

/// One sample, or the sum of several.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Pool {
    Counts(Counts),
    Histogram(Histogram),
    /// Of a gauge or status: one value per series, with the series' name.
    Values(Vec<(String, f64)>),
}

impl Default for Pool {
    fn default() -> Self {
        Self::Values(Vec::new())
    }
}

/// Which series of a measurement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part3 {
    All,
    New,
    Old,
}

impl Pool {
    /// Everything that `measurement` counts.
    pub fn of(check: &Check, measurement: &Measurement) -> Option<Self> {
        Self::part(check, measurement, Part3::All)
    }

    /// The part of `measurement`; `None` where it has none, does not fit the check, or is
    /// none that can be.
    pub fn part(check: &Check, measurement: &Measurement, part: Part3) -> Option<Self> {
        Self::whatever(check, measurement, part)?.sound()
    }

    /// Itself without what is no number; `None` where it can't be a measurement. Sources
    /// promise as much; one number that is none would stay in the state for good.
    fn sound(mut self) -> Option<Self> {
        // Sums and squares of more are no numbers.
        const MOST: f64 = 1e100;
        let events = |number: f64| (0.0..=MOST).contains(&number);
        match &mut self {
            Self::Counts(counts) => {
                let is_sound = events(counts.bad) && events(counts.total);
                counts.bad = counts.bad.min(counts.total);
                is_sound.then_some(self)
            }
            Self::Histogram(Histogram { bounds, within, total }) => {
                let is_sound = events(*total)
                    && bounds.len() == within.len()
                    && bounds.iter().all(|bound| bound.abs() <= MOST)
                    && bounds.is_sorted_by(|a, b| a < b)
                    && within.iter().all(|within| events(*within))
                    && within.is_sorted();
                for within in within {
                    *within = within.min(*total);
                }
                is_sound.then_some(self)
            }
            Self::Values(values) => {
                values.retain(|(_, value)| value.abs() <= MOST);
                (!values.is_empty()).then_some(self)
            }
        }
    }

    fn whatever(check: &Check, measurement: &Measurement, part: Part3) -> Option<Self> {
        fn pick<T: Clone>(split: &Split<T>, part: Part3) -> Option<T> {
            match part {
                Part3::All => Some(split.all.clone()),
                Part3::New => split.arms.as_ref().map(|arms| arms.new.clone()),
                Part3::Old => split.arms.as_ref().map(|arms| arms.old.clone()),
            }
        }
        match (&check.measure, measurement) {
            (Measure::Ratio { .. }, Measurement::Counts(split)) => {
                pick(split, part).map(Self::Counts)
            }
            (Measure::Latency { .. }, Measurement::Histogram(split)) => {
                pick(split, part).map(Self::Histogram)
            }
            (Measure::Gauge { .. } | Measure::Status { .. }, Measurement::Gauge { values }) => {
                (part == Part3::All).then(|| {
                    Self::Values(values.iter().map(|(name, v)| (name.clone(), *v)).collect())
                })
            }
            (
                Measure::Ratio { .. }
                | Measure::Latency { .. }
                | Measure::Gauge { .. }
                | Measure::Status { .. },
                Measurement::Counts(_) | Measurement::Histogram(_) | Measurement::Gauge { .. },
            ) => None,
        }
    }

    /// Events; 0 for gauges.
    pub fn total(&self) -> f64 {
        match self {
            Self::Counts(counts) => counts.total,
            Self::Histogram(histogram) => histogram.total,
            Self::Values(_) => 0.0,
        }
    }

    /// Adds a later sample. Values are not added but replaced.
    pub fn add(&mut self, other: &Self) {
        match (&mut *self, other) {
            (Self::Counts(sum), Self::Counts(more)) => *sum += *more,
            (Self::Histogram(sum), Self::Histogram(more)) => sum.add(more),
            (Self::Counts(_) | Self::Histogram(_) | Self::Values(_), other) => {
                *self = other.clone();
            }
        }
    }

    /// Requests slower than `seconds`, interpolated within a bucket as quantiles are.
    pub fn slower_than(&self, seconds: f64) -> Option<Counts> {
        let Self::Histogram(histogram) = self else { return None };
        Some(Counts { bad: slower(histogram, seconds), total: histogram.total })
    }

    /// The worst of the values; `None` for counts.
    pub fn worst(&self, check: &Check) -> Option<f64> {
        self.worst_of(check).map(|(_, value)| value)
    }

    /// The same, of values the worst and the lowest only, and two at least: what is remembered must not grow with the
    /// series of a query.
    #[must_use]
    pub fn worst_only(&self, check: &Check) -> Self {
        match (self, self.worst_of(check)) {
            (Self::Values(values), Some((worst, _))) if values.len() > 2 => {
                // Beside the worst one other: that there are several is worth saying.
                let down = values.iter().min_by(|a, b| a.1.total_cmp(&b.1));
                let kept = |one: &&(String, f64)| {
                    one.0 == worst || down.is_some_and(|down| down.0 == one.0)
                };
                let mut few: Vec<_> = values.iter().filter(kept).cloned().collect();
                if few.len() < 2 {
                    few.extend(values.iter().find(|one| one.0 != worst).cloned());
                }
                Self::Values(few)
            }
            (Self::Counts(_) | Self::Histogram(_) | Self::Values(_), _) => self.clone(),
        }
    }

    pub fn worst_of(&self, check: &Check) -> Option<(&str, f64)> {
        let Self::Values(values) = self else { return None };
        // Of a status 0 is down, though its limits count failures.
        let upward = check.higher_is_worse() && !matches!(check.measure, Measure::Status { .. });
        let worst = values.iter().reduce(|worst, next| {
            let worse = if upward { next.1 > worst.1 } else { next.1 < worst.1 };
            if worse { next } else { worst }
        })?;
        Some((&worst.0, worst.1))
    }
}

/// The check's value, in its unit and on the side that its limits speak of; `None`
/// without events.
pub fn of(check: &Check, pool: &Pool) -> Option<f64> {
    match (pool, &check.measure) {
        (Pool::Counts(counts), Measure::Ratio { part: Part::Good, .. }) => {
            counts.share().map(|bad| 1.0 - bad)
        }
        (Pool::Counts(counts), _) => counts.share(),
        (Pool::Histogram(histogram), Measure::Latency { quantile, .. }) => {
            histogram.quantile(*quantile)
        }
        (Pool::Histogram(_), _) => None,
        (Pool::Values(_), _) => pool.worst(check),
    }
}

/// The value of one measurement alone; `None` where it has none that is a number.
pub fn value_of(check: &Check, measurement: &Measurement) -> Option<f64> {
    of(check, &Pool::of(check, measurement)?).filter(|value| value.is_finite())
}

/// A share of bad events on the side that the check's limits speak of.
pub fn shown(check: &Check, bad: f64) -> f64 {
    match &check.measure {
        Measure::Ratio { part: Part::Good, .. } => 1.0 - bad,
        Measure::Ratio { part: Part::Bad, .. }
        | Measure::Latency { .. }
        | Measure::Gauge { .. }
        | Measure::Status { .. } => bad,
    }
}

/// `bound` as a share of bad events and the counts that it speaks of: a ratio's
/// limit on its bad part, a latency's as "the share of requests slower than it".
pub fn against(check: &Check, pool: &Pool, bound: f64) -> Option<(f64, Counts)> {
    match (pool, &check.measure) {
        (Pool::Counts(counts), Measure::Ratio { part: Part::Good, .. }) => {
            Some((1.0 - bound, *counts))
        }
        (Pool::Counts(counts), _) => Some((bound, *counts)),
        (Pool::Histogram(_), Measure::Latency { quantile, .. }) => {
            Some((1.0 - quantile, pool.slower_than(bound)?))
        }
        (Pool::Histogram(_) | Pool::Values(_), _) => None,
    }
}

/// A bound of a ratio as a share of bad events.
pub fn bad_share(check: &Check, bound: &Bound) -> f64 {
    match &check.measure {
        Measure::Ratio { part: Part::Good, .. } => 1.0 - bound.value,
        Measure::Ratio { part: Part::Bad, .. }
        | Measure::Latency { .. }
        | Measure::Gauge { .. }
        | Measure::Status { .. } => bound.value,
    }
}

fn slower(histogram: &Histogram, seconds: f64) -> f64 {
    let Some(index) = histogram.bounds.iter().position(|bound| *bound >= seconds) else {
        // How much slower than the last bound is not known: never guilt.
        return 0.0;
    };
    let (lower, below) = match index {
        0 => (0.0, 0.0),
        _ => (histogram.bounds[index - 1], histogram.within[index - 1]),
    };
    let (upper, within) = (histogram.bounds[index], histogram.within[index]);
    let inside = if upper > lower { (seconds - lower) / (upper - lower) } else { 1.0 };
    (histogram.total - (below + (within - below) * inside.clamp(0.0, 1.0))).max(0.0)
}
