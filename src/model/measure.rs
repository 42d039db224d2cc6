//! What is asked of a source, and what a source's answer is worth.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// One check's question to a metric source: a few instant queries and how
/// their answers make one measurement.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Question {
    pub shape: Shape,
    /// PromQL, expanded, in the order the shape names.
    pub queries: Vec<String>,
}

/// How the answers to a question's queries are put together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Shape {
    /// `[bad, total]`, counts in the window. Empty `bad` beside `total` is zero.
    BadOfTotal,
    /// `[good, total]`, counts in the window. Empty `good` is no data.
    GoodOfTotal,
    /// `[quantile, count]`: seconds, and how many requests they rest on.
    Quantile,
    /// `[value]`. Of several series the worst counts.
    Gauge,
}

/// One series of an instant query's answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SeriesValue {
    pub labels: BTreeMap<String, String>,
    /// As the source gave it: may be NaN or infinite.
    pub value: f64,
}

/// The answer to one query: its series, or why there are none to be had.
pub type Answer = Result<Vec<SeriesValue>, Unusable>;

/// One measurement of a check.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Measurement {
    /// Events in the window, fractional because sources extrapolate.
    /// `bad` is never above `total`.
    Counts { bad: f64, good: f64, total: f64 },
    /// A latency quantile in seconds, with the requests it rests on.
    /// `None` when there were no requests.
    Quantile { seconds: Option<f64>, count: f64 },
    /// One finite value per series, by a short name of the series; never empty.
    Gauge { values: BTreeMap<String, f64> },
}

/// Why a source's answer says nothing about the check. Never health, never guilt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
pub enum Unusable {
    #[error("the query returns no series")]
    Empty,
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
