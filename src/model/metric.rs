//! A metric that CloudWatch keeps, and how it is asked for.

use std::collections::BTreeMap;
use std::fmt;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

/// A statistic of one metric, or a formula over several. In a policy its texts hold
/// variables; in an [`super::Ask`] their values.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Metric {
    pub of: MetricOf,
    /// How long the stretch is that one data point speaks of: a multiple of a minute, or 1,
    /// 5, 10, 20 or 30 seconds where the metric has that resolution.
    pub period: SignedDuration,
    /// How long after its end a period is complete.
    pub delay: SignedDuration,
    pub unit: MetricUnit,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MetricOf {
    Statistic(MetricStat),
    /// A metric math expression over metrics by name.
    Math {
        expression: String,
        metrics: BTreeMap<String, MetricStat>,
    },
}

/// What CloudWatch calls a metric stat, its period aside.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct MetricStat {
    pub namespace: String,
    pub metric: String,
    pub dimensions: BTreeMap<String, String>,
    /// `Average`, `Sum`, `p95`, ...
    pub stat: String,
}

/// The unit that CloudWatch keeps a metric in. It does not say so with the data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MetricUnit {
    /// 0-100.
    Percent,
    /// As it is: counts, seconds, bytes, a share 0-1.
    Base,
    Milliseconds,
    Microseconds,
    Kilobytes,
    Megabytes,
    Gigabytes,
}

/// How several data points in one stretch become one number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fold {
    /// CloudWatch is asked for the statistic of the whole stretch.
    Whole,
    /// They are counts: each as it is, to be added up.
    Each,
    /// The greatest.
    Highest,
    /// The smallest.
    Lowest,
}

/// What is asked of CloudWatch for one number a stretch.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct MetricAsk {
    pub metric: Metric,
    pub fold: Fold,
}

/// Alarms by name: each is one series, 0 in ALARM and 1 in OK.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct AlarmsAsk {
    pub names: Vec<String>,
    /// An alarm that has been in ALARM since before this is left out: it is not held
    /// against the deployment that began then.
    pub since: Option<Timestamp>,
    /// The end of the grace. What went off in it is left out for a while after it: it may
    /// be about the start-up alone.
    pub clear: Option<Timestamp>,
}

/// The label of an alarm's series that says its name.
pub const ALARM: &str = "alarm";
/// The same, only on alarms that were in ALARM before.
pub const ALARM_BEFORE: &str = "alarm_before";

impl Metric {
    /// Statistics that are asked for: what CloudWatch bills.
    pub fn stats(&self) -> impl Iterator<Item = &MetricStat> {
        let (one, many) = match &self.of {
            MetricOf::Statistic(stat) => (Some(stat), None),
            MetricOf::Math { metrics, .. } => (None, Some(metrics.values())),
        };
        one.into_iter().chain(many.into_iter().flatten())
    }

    /// The smallest multiple of the period that is no shorter than `step`.
    pub fn stretch(&self, step: SignedDuration) -> SignedDuration {
        let period = self.period.as_millis().max(1);
        let times = step.as_millis().max(1).saturating_add(period - 1) / period;
        self.period.checked_mul(i32::try_from(times).unwrap_or(i32::MAX)).unwrap_or(self.period)
    }
}

impl MetricUnit {
    /// What one of it is in the base unit: a share 0-1, seconds, bytes, a number.
    pub fn scale(self) -> f64 {
        match self {
            Self::Percent => 0.01,
            Self::Base => 1.0,
            Self::Milliseconds => 1e-3,
            Self::Microseconds => 1e-6,
            Self::Kilobytes => 1024.0,
            Self::Megabytes => 1024.0 * 1024.0,
            Self::Gigabytes => 1024.0 * 1024.0 * 1024.0,
        }
    }
}

impl fmt::Display for MetricUnit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Percent => "percent",
            Self::Base => "its base unit",
            Self::Milliseconds => "milliseconds",
            Self::Microseconds => "microseconds",
            Self::Kilobytes => "kilobytes",
            Self::Megabytes => "megabytes",
            Self::Gigabytes => "gigabytes",
        })
    }
}

impl fmt::Display for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.of {
            MetricOf::Statistic(stat) => write!(f, "{stat}"),
            MetricOf::Math { expression, .. } => f.write_str(expression),
        }
    }
}

impl fmt::Display for MetricStat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { namespace, metric, dimensions, stat } = self;
        write!(f, "{stat} of {namespace} {metric}")?;
        let of: Vec<String> =
            dimensions.iter().map(|(name, value)| format!("{name}={value}")).collect();
        if of.is_empty() { Ok(()) } else { write!(f, " ({})", of.join(", ")) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stretch_is_made_of_whole_periods() {
        let metric = |seconds| Metric {
            of: MetricOf::Math { expression: "1".into(), metrics: BTreeMap::new() },
            period: SignedDuration::from_secs(seconds),
            delay: SignedDuration::ZERO,
            unit: MetricUnit::Base,
        };
        let cases = [
            (60, 15, 60),
            (60, 60, 60),
            (60, 61, 120),
            (60, 300, 300),
            (300, 30, 300),
            (60, 0, 60),
        ];
        for (period, step, stretch) in cases {
            let stretched = metric(period).stretch(SignedDuration::from_secs(step));
            assert_eq!(stretched, SignedDuration::from_secs(stretch), "{period} {step}");
        }
    }
}
