//! What a check measures, and where that comes from.

use jiff::SignedDuration;
use serde::{Deserialize, Serialize};

use super::{Health, JsonValue, Probe, Unit};
use crate::model::{Metric, TaskGauge};

/// What is measured, and in which unit its limits are.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Measure {
    /// A share of events, 0-1.
    Ratio { part: Part, of: Counted, total: Counted },
    /// A quantile (0-1) of a histogram in seconds: `counter` selects its buckets.
    Latency { quantile: f64, counter: String },
    /// A value; of several series the worst counts.
    Gauge {
        #[serde(flatten)]
        of: Gauged,
        unit: Unit,
    },
    /// Series that are 1 (up) or 0 (down). Of several one that is down is a failure;
    /// limits count failures running.
    Status {
        #[serde(flatten)]
        of: Stated,
    },
}

/// Where a value comes from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Gauged {
    /// Any instant query.
    Query(String),
    Metric(Box<Watched>),
    /// The tasks of the deployment; the platform is asked, and no source of metrics.
    Tasks(TaskGauge),
    /// Numbers out of the answer of a JSON API.
    Json(Box<JsonValue>),
    /// Events of CloudWatch Logs.
    Logs(LogCount),
}

/// How many events of a log match a filter pattern, variables not filled in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogCount {
    pub group: String,
    pub pattern: String,
}

/// A metric of CloudWatch as a value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Watched {
    pub metric: Metric,
    pub beside: Option<Beside>,
}

/// A count that is asked for beside a metric.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Beside {
    pub metric: Metric,
    pub proves: Proof,
}

/// What the count says about the value beside it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Proof {
    /// A missing value beside a count above zero is a zero.
    Zero,
    /// The value is made of so many events; of fewer it says nothing.
    Events { least: u32 },
}

/// Where a status comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stated {
    /// An instant query.
    Query(String),
    /// CloudWatch alarms, by name.
    Alarms(Vec<String>),
    /// A health endpoint.
    Http(Box<Health>),
    /// A smoke test or a user flow.
    Probe(Box<Probe>),
    /// A scheduled job.
    Heartbeat(Box<Heartbeat>),
}

/// A scheduled job that tells of its runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heartbeat {
    pub job: String,
    /// Five fields of cron.
    pub schedule: String,
    pub time_zone: String,
    /// How long after its time a run may end.
    pub late: SignedDuration,
    /// Runs in a row that have to be missed or failed.
    pub misses: u32,
}

/// Which side of a ratio the numerator counts. Limits speak of the same side.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    Bad,
    Good,
}

/// Where a count comes from; never guessed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Counted {
    /// A selector of counters, differenced by the guard.
    Counter(String),
    /// A query that contains `${window}` and counts the events in it.
    Query(String),
    /// A statistic of CloudWatch that counts the events of each period.
    Metric(Box<Metric>),
    /// A number out of the answer of a JSON API.
    Json(Box<JsonValue>),
}
