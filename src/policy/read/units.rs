//! The units and statistics of CloudWatch.

use schemars::{Schema, json_schema};

use super::cloudwatch::Statistic;
use super::scalar::Scalar;
use crate::model::MetricUnit;
use crate::policy::Unit;
use crate::policy::diagnostic::Mistake;

/// A unit as a policy names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct MetricWord(&'static str, Unit, MetricUnit);

const WORDS: [MetricWord; 10] = [
    MetricWord("percent", Unit::Ratio, MetricUnit::Percent),
    MetricWord("ratio", Unit::Ratio, MetricUnit::Base),
    MetricWord("seconds", Unit::Seconds, MetricUnit::Base),
    MetricWord("milliseconds", Unit::Seconds, MetricUnit::Milliseconds),
    MetricWord("microseconds", Unit::Seconds, MetricUnit::Microseconds),
    MetricWord("bytes", Unit::Bytes, MetricUnit::Base),
    MetricWord("kilobytes", Unit::Bytes, MetricUnit::Kilobytes),
    MetricWord("megabytes", Unit::Bytes, MetricUnit::Megabytes),
    MetricWord("gigabytes", Unit::Bytes, MetricUnit::Gigabytes),
    MetricWord("count", Unit::Number, MetricUnit::Base),
];

/// What AWS's own services say of their metrics, where it is a time or a size: by
/// namespace, how the metric's name ends, and the unit.
const KNOWN: [(&str, &str, &str); 14] = [
    ("AWS/ApplicationELB", "Time", "seconds"),
    ("AWS/ELB", "Latency", "seconds"),
    ("AWS/RDS", "Latency", "seconds"),
    ("AWS/RDS", "FreeStorageSpace", "bytes"),
    ("AWS/RDS", "FreeableMemory", "bytes"),
    ("AWS/RDS", "SwapUsage", "bytes"),
    ("AWS/ApiGateway", "Latency", "milliseconds"),
    ("AWS/Lambda", "Duration", "milliseconds"),
    ("AWS/DynamoDB", "Latency", "milliseconds"),
    ("AWS/SQS", "ApproximateAgeOfOldestMessage", "seconds"),
    ("AWS/ElastiCache", "FreeableMemory", "bytes"),
    ("ECS/ContainerInsights", "MemoryUtilized", "megabytes"),
    ("ECS/ContainerInsights", "MemoryReserved", "megabytes"),
    ("ECS/ContainerInsights", "EphemeralStorageUtilized", "gigabytes"),
];

/// The unit of a metric of AWS's own, where it is known.
pub(super) fn known_unit(namespace: &str, metric: &str) -> Option<MetricWord> {
    let fits = |(space, end, _): &&(&str, &str, &str)| *space == namespace && metric.ends_with(end);
    let (_, _, word) = KNOWN.iter().find(fits)?;
    WORDS.into_iter().find(|known| known.0 == *word)
}

impl MetricWord {
    pub fn as_str(self) -> &'static str {
        self.0
    }

    /// The unit of the limits that it can be held against.
    pub fn measures(self) -> Unit {
        self.1
    }

    pub fn unit(self) -> MetricUnit {
        self.2
    }

    /// The words that limits of this unit can be held against.
    pub fn of(unit: Unit) -> Vec<&'static str> {
        WORDS.iter().filter(|word| word.1 == unit).map(|word| word.0).collect()
    }
}

impl Scalar for MetricWord {
    const EXPECTED: &'static str = "a unit such as `percent` or `milliseconds`";

    fn parse(text: &str) -> Result<Self, Mistake> {
        WORDS.into_iter().find(|word| word.0 == text).ok_or_else(|| {
            Mistake::new(format!("`{text}` is no unit of a metric"))
                .mend_from(text, &WORDS.map(|word| word.0))
        })
    }

    fn schema() -> Schema {
        json_schema!({ "enum": WORDS.map(|word| word.0) })
    }
}

impl Scalar for Statistic {
    const EXPECTED: &'static str = "a statistic such as `Average`, `Sum` or `p95`";

    fn parse(text: &str) -> Result<Self, Mistake> {
        const WORDS: [&str; 5] = ["Average", "Sum", "Minimum", "Maximum", "SampleCount"];
        let percent = text.strip_prefix('p').filter(|rest| !rest.starts_with(['+', '-']));
        let percentile = percent
            .and_then(|rest| rest.parse::<f64>().ok())
            .is_some_and(|percent| (0.0..=100.0).contains(&percent));
        if percentile || WORDS.contains(&text) {
            return Ok(Self(text.to_owned()));
        }
        let mistake = Mistake::new(format!("`{text}` is no statistic"));
        Err(mistake.mend_from(text, &[&WORDS[..], &["p95"]].concat()))
    }
}
