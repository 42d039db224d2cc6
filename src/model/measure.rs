//! What is asked of a source, and what a source's answer is worth.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::ops::Range;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::{
    AlarmsAsk, BeatAsk, HealthAsk, JsonAsk, LogsAsk, MetricAsk, ProbeAsk, ScrapedAsk, TasksAsk,
    Wants,
};

/// One check's question to a metric source: a few asks, and how their answers
/// make one measurement of a stretch of time.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Question {
    pub shape: Shape,
    /// In the order that the shape names.
    pub asks: Vec<Ask>,
    /// How the series of the old and the new revision are told apart, where they
    /// can be.
    pub arms: Option<ArmRule>,
    /// The label that names the instance of a series.
    pub instance: String,
    /// What is known of instances that begin; nothing, unless somebody says so.
    pub births: Option<Births>,
    /// The labels whose values are wanted back in [`Measured::seen`].
    pub labels: BTreeSet<String>,
}

/// Which instances are newborn: their counters began at zero and not where they
/// were first seen.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Births {
    /// When the roll-out began: nobody seen before it is newborn.
    pub since: Timestamp,
    /// The instances seen before the deployment, and those seen since in earlier
    /// measurements: one that comes back after a gap is not born again.
    pub known: BTreeSet<String>,
}

/// A grid of times. Each tick ends a stretch that begins, exclusive, a step
/// before it: stretches touch and never overlap.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticks {
    pub first: Timestamp,
    /// At least a millisecond; what is finer is cut off.
    pub step: SignedDuration,
    pub count: usize,
}

/// What a question's answers came to.
#[derive(Debug, Clone, PartialEq)]
pub struct Measured {
    /// One for each tick.
    pub readings: Vec<Reading>,
    /// The values of the labels that the question names, on any series of it,
    /// also shortly before the first stretch. Of a label with more than
    /// [`Measured::MOST_VALUES`] values one more than that are given: whoever finds so
    /// many must not tell anything by them, because the others would look new.
    pub seen: BTreeMap<String, BTreeSet<String>>,
}

/// One thing to ask a source for, expanded.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ask {
    /// PromQL, evaluated at the end of the stretch.
    Query(String),
    /// A selector of counters, whose raw samples the guard differences itself.
    Counter(String),
    /// A metric that CloudWatch keeps.
    Metric(Box<MetricAsk>),
    /// The states of CloudWatch alarms.
    Alarms(AlarmsAsk),
    /// The tasks of a deployment, as the platform shows them.
    Tasks(Box<TasksAsk>),
    /// What a health endpoint says.
    Health(Box<HealthAsk>),
    /// Numbers out of the answer of a JSON API.
    Json(Box<JsonAsk>),
    /// How many events of a log match a pattern.
    Logs(LogsAsk),
    /// A smoke test or a user flow.
    Probe(Box<ProbeAsk>),
    /// Series of metrics pages that the guard reads itself.
    Scraped(Box<ScrapedAsk>),
    /// Whether a scheduled job runs.
    Beat(Box<BeatAsk>),
}

impl Ask {
    /// What it asks of metrics pages; `None`: it asks something else.
    pub fn into_scraped(self) -> Option<ScrapedAsk> {
        match self {
            Self::Scraped(asked) => Some(*asked),
            Self::Query(_)
            | Self::Counter(_)
            | Self::Metric(_)
            | Self::Alarms(_)
            | Self::Tasks(_)
            | Self::Health(_)
            | Self::Json(_)
            | Self::Logs(_)
            | Self::Beat(_)
            | Self::Probe(_) => None,
        }
    }
}

/// Which series belong to the new revision.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ArmRule {
    /// The label that tells.
    pub label: String,
    pub newer: Newer,
}

/// What the label says of a series of the new revision.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Newer {
    /// This value: the version that was announced.
    Is(String),
    /// None of the values that were seen before the deployment.
    NotAmong(BTreeSet<String>),
}

/// How the answers to a question's asks are put together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Shape {
    /// `[bad, total]`. Empty `bad` beside `total` is zero.
    BadOfTotal,
    /// `[good, total]`. Empty `good` is no data.
    GoodOfTotal,
    /// `[buckets]`: cumulative counts by `le`, in seconds.
    Histogram,
    /// `[value]`. Of several series the worst counts.
    Gauge,
    /// `[count, proof]`: a count that its source leaves out where it is zero. Empty
    /// `count` beside a `proof` above zero is zero.
    GaugeBeside,
    /// `[value, events]`: a value that says something only where it is made of so many
    /// events.
    GaugeOf { least: u32 },
}

/// One measurement of a check over a stretch of time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Measurement {
    Counts(Split<Counts>),
    Histogram(Split<Histogram>),
    /// One finite value per series, by a short name of the series; never empty.
    Gauge {
        values: BTreeMap<String, f64>,
    },
}

/// The same measurement of all series, and of the old and the new revision
/// apart where they can be told apart.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Split<T> {
    pub all: T,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub arms: Option<Arms<T>>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Arms<T> {
    pub new: T,
    pub old: T,
}

/// Events in a stretch. Fractional where a source extrapolates; finite, and
/// `0 <= bad <= total`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Counts {
    pub bad: f64,
    pub total: f64,
}

/// Latencies in a stretch, as a histogram has them.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Histogram {
    /// Upper bounds in seconds, ascending and finite; `+Inf` is `total`.
    pub bounds: Vec<f64>,
    /// Requests at or below each bound; as many as bounds, never falling.
    pub within: Vec<f64>,
    /// All requests.
    pub total: f64,
}

/// Why a source's answer says nothing about the check. Never health, never guilt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
pub enum Unusable {
    #[error("the query returns no series")]
    Empty,
    /// The series are there, and none has a new sample in the stretch: the
    /// source is asked more often than it measures.
    #[error("no new sample")]
    NothingNew,
    /// The value is there, and made of fewer events than the check needs.
    #[error("only {0} events")]
    TooFew(u64),
    #[error("the query returns {0}")]
    NotFinite(String),
    #[error("the answer is not an instant vector or scalar")]
    WrongType,
    /// The source could not be asked; another try may succeed.
    #[error("{0}")]
    Unreachable(String),
    /// The source refused the question; the same question will be refused again.
    #[error("{0}")]
    Refused(String),
}

/// A check's measurement at a time, or why there is none.
pub type Reading = Result<Measurement, Unusable>;

impl Ask {
    /// The PromQL of it; `None` where it is asked of another source.
    pub fn promql(&self) -> Option<&str> {
        match self {
            Self::Query(text) | Self::Counter(text) => Some(text),
            Self::Metric(_)
            | Self::Alarms(_)
            | Self::Tasks(_)
            | Self::Health(_)
            | Self::Json(_)
            | Self::Logs(_)
            | Self::Probe(_)
            | Self::Beat(_)
            | Self::Scraped(_) => None,
        }
    }

    /// Whether its answer is raw samples of counters, which the guard differences itself.
    pub fn is_counter(&self) -> bool {
        match self {
            Self::Counter(_) => true,
            Self::Scraped(asked) => asked.wants == Wants::Samples,
            Self::Query(_)
            | Self::Metric(_)
            | Self::Alarms(_)
            | Self::Tasks(_)
            | Self::Health(_)
            | Self::Json(_)
            | Self::Logs(_)
            | Self::Beat(_)
            | Self::Probe(_) => false,
        }
    }
}

impl fmt::Display for Ask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Query(text) | Self::Counter(text) => f.write_str(text),
            Self::Metric(asked) => write!(f, "{}", asked.metric),
            Self::Alarms(asked) => write!(f, "alarms {}", asked.names.join(", ")),
            Self::Tasks(asked) => write!(f, "tasks {}", asked.gauge),
            Self::Health(asked) => write!(f, "{}", asked.web),
            Self::Json(asked) => write!(f, "{} {}", asked.web, asked.path),
            Self::Logs(asked) => write!(f, "{asked}"),
            Self::Probe(asked) => write!(f, "{asked}"),
            Self::Scraped(asked) => write!(f, "{asked}"),
            Self::Beat(asked) => write!(f, "{asked}"),
        }
    }
}

/// How long after its tick a stretch is asked for, where ticks are `interval`
/// apart: a source shows what it has measured a moment later.
pub fn settle(interval: SignedDuration) -> SignedDuration {
    (interval / 5).clamp(SignedDuration::ZERO, SignedDuration::from_secs(5))
}

impl Question {
    /// A question whose asks are all it needs: without arms, births and labels.
    pub fn plain(shape: Shape, asks: Vec<Ask>) -> Self {
        let (instance, labels) = ("instance".to_owned(), BTreeSet::new());
        Self { shape, asks, arms: None, instance, births: None, labels }
    }
}

impl Measured {
    /// The most values of a label that things can be told by.
    pub const MOST_VALUES: usize = 1_000;
}

impl Ticks {
    /// One tick that ends `stretch`.
    pub fn once(at: Timestamp, stretch: SignedDuration) -> Self {
        Self { first: at, step: stretch, count: 1 }
    }

    /// The `count` ticks of which `last` is the last one; fewer where time has no
    /// room for them.
    pub fn ending_at(last: Timestamp, step: SignedDuration, count: usize) -> Self {
        let back = i32::try_from(count.max(1) - 1).unwrap_or(i32::MAX);
        let first = step.checked_mul(back).and_then(|back| last.checked_sub(back).ok());
        match first {
            Some(first) => Self { first, step, count },
            None => Self { first: last, step, count: count.min(1) },
        }
    }

    /// The length of a stretch in milliseconds.
    pub fn step_ms(&self) -> i64 {
        i64::try_from(self.step.as_millis()).unwrap_or(i64::MAX).max(1)
    }

    /// The tick of this index, in milliseconds since the epoch.
    pub fn at_ms(&self, index: usize) -> i64 {
        let index = i64::try_from(index).unwrap_or(i64::MAX);
        self.first.as_millisecond().saturating_add(self.step_ms().saturating_mul(index))
    }

    pub fn times(self) -> impl Iterator<Item = Timestamp> {
        (0..self.count).filter_map(move |i| Timestamp::from_millisecond(self.at_ms(i)).ok())
    }

    /// The index of the stretch that this time (in milliseconds) lies in.
    pub fn stretch_of(&self, ms: i64) -> Option<usize> {
        usize::try_from(self.next_after(ms)).ok().filter(|index| *index < self.count)
    }

    /// The index that the first tick at or after this time (in milliseconds) has on
    /// the grid, which goes on beyond its ends.
    pub fn next_after(&self, ms: i64) -> i64 {
        let since = ms.saturating_sub(self.first.as_millisecond());
        let step = self.step_ms();
        since.div_euclid(step) + i64::from(since.rem_euclid(step) > 0)
    }

    /// Some of the ticks, by index.
    #[must_use]
    pub fn part(&self, range: Range<usize>) -> Self {
        let first = Timestamp::from_millisecond(self.at_ms(range.start)).unwrap_or(self.first);
        Self { first, step: self.step, count: range.len() }
    }

    /// The same ticks in pieces of at most `size` (and at least one): what is
    /// fetched for a piece is all that measuring keeps in memory.
    pub fn chunks(self, size: usize) -> impl Iterator<Item = Self> {
        let size = size.max(1);
        (0..self.count)
            .step_by(size)
            .map(move |start| self.part(start..self.count.min(start.saturating_add(size))))
    }
}

impl<T> From<T> for Split<T> {
    fn from(all: T) -> Self {
        Self { all, arms: None }
    }
}

impl Measurement {
    /// Counts without arms.
    pub fn counts(bad: f64, total: f64) -> Self {
        Self::Counts(Counts { bad, total }.into())
    }
}

impl Counts {
    /// The share of bad events, 0-1; `None` without events.
    pub fn share(&self) -> Option<f64> {
        (self.total > 0.0).then(|| self.bad / self.total)
    }
}

impl std::ops::AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.bad += other.bad;
        self.total += other.total;
    }
}

impl Histogram {
    /// The quantile `q` (0-1) in seconds, interpolated within its bucket as
    /// Prometheus' `histogram_quantile` does; of requests beyond the last bound
    /// that bound. `None` without requests or bounds.
    pub fn quantile(&self, q: f64) -> Option<f64> {
        let last = *self.bounds.last()?;
        if self.total <= 0.0 {
            return None;
        }
        let rank = q * self.total;
        let Some(index) = self.within.iter().position(|within| *within >= rank) else {
            return Some(last);
        };
        let (upper, within) = (self.bounds[index], self.within[index]);
        let (lower, below) = match index {
            0 if upper <= 0.0 => return Some(upper),
            0 => (0.0, 0.0),
            _ => (self.bounds[index - 1], self.within[index - 1]),
        };
        let inside = within - below;
        Some(if inside > 0.0 { lower + (upper - lower) * ((rank - below) / inside) } else { upper })
    }

    /// Requests slower than the bound of this index.
    pub fn slower_than(&self, index: usize) -> f64 {
        self.within.get(index).map_or(0.0, |within| (self.total - within).max(0.0))
    }

    /// Adds another stretch. Buckets that only one of both has are dropped: a
    /// new revision may have changed them.
    pub fn add(&mut self, other: &Self) {
        if self.bounds.is_empty() && self.total == 0.0 {
            self.clone_from(other);
            return;
        }
        if other.bounds.is_empty() && other.total == 0.0 {
            return;
        }
        if self.bounds == other.bounds {
            self.within.iter_mut().zip(&other.within).for_each(|(sum, more)| *sum += more);
        } else {
            let own = self.bounds.iter().zip(&self.within);
            let both: Vec<(f64, f64)> = own
                .filter_map(|(bound, within)| {
                    let place =
                        other.bounds.iter().position(|b| (b - bound).abs() < f64::EPSILON)?;
                    Some((*bound, within + other.within[place]))
                })
                .collect();
            (self.bounds, self.within) = both.into_iter().unzip();
        }
        self.total += other.total;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ticks(count: usize) -> Ticks {
        let first = Timestamp::from_second(100).unwrap();
        Ticks { first, step: SignedDuration::from_secs(10), count }
    }

    #[test]
    fn a_stretch_is_open_at_its_start_and_closed_at_its_end() {
        let of = |ms| ticks(3).stretch_of(ms);
        let cases = [
            (90_000, None),
            (90_001, Some(0)),
            (100_000, Some(0)),
            (100_001, Some(1)),
            (120_000, Some(2)),
            (120_001, None),
            (i64::MIN, None),
            (i64::MAX, None),
        ];
        for (ms, stretch) in cases {
            assert_eq!(of(ms), stretch, "{ms}");
        }
    }

    #[test]
    fn chunks_are_the_same_ticks_in_pieces() {
        let whole: Vec<_> = ticks(7).times().collect();
        for size in [0, 1, 3, 7, 100] {
            let pieces: Vec<_> = ticks(7).chunks(size).flat_map(Ticks::times).collect();
            assert_eq!(pieces, whole, "{size}");
        }
        assert_eq!(ticks(0).chunks(3).count(), 0);
        let last = Timestamp::from_second(160).unwrap();
        assert_eq!(Ticks::ending_at(last, ticks(1).step, 7), ticks(7));
        assert_eq!(Ticks::ending_at(last, SignedDuration::MAX, 7).count, 1);
    }

    #[test]
    fn what_is_measured_settles_for_a_fifth_of_the_interval_but_not_for_long() {
        let settles = [(0, 0), (5, 1), (15, 3), (300, 5)];
        for (interval, settled) in settles {
            let settle = settle(SignedDuration::from_secs(interval));
            assert_eq!(settle, SignedDuration::from_secs(settled));
        }
        assert_eq!(settle(SignedDuration::from_secs(-15)), SignedDuration::ZERO);
    }
}
