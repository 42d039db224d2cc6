//! Metrics and what was put into them.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};

/// What names a metric: exactly these dimensions, never more or fewer.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Metric {
    /// Such as `AWS/ECS`.
    pub namespace: String,
    /// Such as `CPUUtilization`.
    pub name: String,
    /// By their names.
    pub dimensions: BTreeMap<String, String>,
}

impl Metric {
    /// A metric of these dimensions.
    pub fn new(namespace: &str, name: &str, dimensions: &[(&str, &str)]) -> Self {
        let pair = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        let dimensions = dimensions.iter().map(pair).collect();
        Self { namespace: namespace.into(), name: name.into(), dimensions }
    }

    /// As `ListMetrics` answers it.
    pub fn view(&self) -> Value {
        let dimensions: Vec<Value> = (self.dimensions.iter())
            .map(|(name, value)| json!({ "Name": name, "Value": value }))
            .collect();
        json!({ "Namespace": self.namespace, "MetricName": self.name, "Dimensions": dimensions })
    }
}

/// What became of many values in one data point.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StatisticSet {
    pub count: f64,
    pub sum: f64,
    pub minimum: f64,
    pub maximum: f64,
}

/// What one data point holds.
#[derive(Debug, Clone, PartialEq)]
pub enum Content {
    /// Each value, and how often it occurred.
    Values(Vec<(f64, f64)>),
    /// Their summary alone.
    Set(StatisticSet),
}

/// When a data point's values can be read: its first value this long after its time, its last one
/// that long, the others evenly between them. A single value comes last.
#[derive(Debug, Clone, Copy, Default)]
pub struct Lag {
    pub first: Duration,
    pub last: Duration,
}

impl Lag {
    /// When the value number `index` of `count` is there, in milliseconds after its time.
    fn of(self, index: usize, count: usize) -> u128 {
        let (first, last) = (self.first.as_millis(), self.last.as_millis());
        match count {
            0 | 1 => last,
            _ => first + (last.saturating_sub(first)) * index as u128 / (count as u128 - 1),
        }
    }
}

/// What a result says instead of `Complete`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// `PartialData`: as many of the newest data points are left out, and no page brings them.
    Partial { without_newest: usize },
    /// `InternalError`, and no data point.
    Internal,
    /// `Forbidden`, and no data point.
    Forbidden,
}

/// Makes the values of a time.
type Generator = Box<dyn Fn(Timestamp) -> Vec<f64> + Send>;

/// Everything about one metric.
#[derive(Default)]
pub struct Series {
    points: BTreeMap<i64, Vec<Content>>,
    generator: Option<(i64, Generator)>,
    /// Stored by the second, not by the minute.
    pub high_resolution: bool,
    pub lag: Lag,
    pub trouble: Option<Trouble>,
    pub unit: Option<String>,
}

impl Series {
    /// Adds a data point.
    pub fn put(&mut self, at: Timestamp, content: Content) {
        let at = self.stamp(at.as_second());
        self.points.entry(at).or_default().push(content);
    }

    /// From now on a function makes the data points, one `every` so often.
    pub fn generate(&mut self, every: Duration, values: Generator) {
        let every = i64::try_from(every.as_secs()).unwrap_or(i64::MAX).max(1);
        self.generator = Some((every, values));
    }

    /// What is stored from `from` (inclusive) until `until` (exclusive), seconds since 1970, as
    /// far as it can be read at `now`.
    pub fn stored(&self, from: i64, until: i64, now: Timestamp) -> Vec<(i64, Content)> {
        // A minute that has begun before the end counts as a whole.
        let until = if self.high_resolution { until } else { (until + 59).div_euclid(60) * 60 };
        let put = self
            .points
            .range(from..until.max(from))
            .flat_map(|(at, contents)| contents.iter().map(|content| (*at, content.clone())));
        let mut found: Vec<(i64, Content)> = put.collect();
        if let Some((every, values)) = &self.generator {
            let first = from.div_euclid(*every) * every;
            let ticks = (0..).map(|n| first + n * every).take_while(|at| *at < until);
            for at in ticks.filter(|at| *at >= from) {
                let made = Timestamp::from_second(at).map(values).unwrap_or_default();
                let made = made.into_iter().map(|value| (value, 1.0)).collect::<Vec<_>>();
                if !made.is_empty() {
                    found.push((self.stamp(at), Content::Values(made)));
                }
            }
        }
        found
            .into_iter()
            .filter_map(|(at, content)| Some((at, self.seen(at, content, now)?)))
            .collect()
    }

    /// Whether there is a data point since `from`, seconds since 1970.
    pub fn has_data_since(&self, from: i64, now: Timestamp) -> bool {
        let until = now.as_second() + 1;
        self.points.range(from..until.max(from)).next_back().is_some()
            || self.generator.as_ref().is_some_and(|(every, values)| {
                let newest = until.div_euclid(*every) * every;
                let ticks = (0..).map(|n| newest - n * every).take_while(|at| *at >= from);
                ticks.flat_map(Timestamp::from_second).any(|at| !values(at).is_empty())
            })
    }

    /// Whether there was ever a data point.
    pub fn is_known(&self) -> bool {
        self.generator.is_some() || !self.points.is_empty()
    }

    fn stamp(&self, at: i64) -> i64 {
        if self.high_resolution { at } else { at.div_euclid(60) * 60 }
    }

    /// The part of a data point that has arrived.
    fn seen(&self, at: i64, content: Content, now: Timestamp) -> Option<Content> {
        let age = i128::from(now.as_millisecond()) - i128::from(at) * 1000;
        let there =
            |index, count| i128::try_from(self.lag.of(index, count)).is_ok_and(|lag| lag <= age);
        match content {
            Content::Set(_) => there(0, 1).then_some(content),
            Content::Values(values) => {
                let count = values.len();
                let arrived = values.into_iter().enumerate().filter(|(n, _)| there(*n, count));
                let arrived: Vec<(f64, f64)> = arrived.map(|(_, value)| value).collect();
                (!arrived.is_empty()).then_some(Content::Values(arrived))
            }
        }
    }
}

/// Every metric of the account.
#[derive(Default)]
pub struct Metrics(BTreeMap<Metric, Series>);

impl Metrics {
    pub fn get(&self, metric: &Metric) -> Option<&Series> {
        self.0.get(metric)
    }

    pub fn entry(&mut self, metric: &Metric) -> &mut Series {
        self.0.entry(metric.clone()).or_default()
    }

    pub fn iter(&self) -> impl Iterator<Item = (&Metric, &Series)> {
        self.0.iter()
    }
}
