//! What a policy asks of the web: health endpoints and JSON APIs, variables filled in but
//! for times and secrets.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

/// The label of a health endpoint's series that says which of its checks it is.
pub const CHECK: &str = "check";
/// The series of the endpoint as a whole.
pub const STATUS: &str = "status";
/// On a series without samples: what is to be told beside the numbers.
pub const BESIDE: &str = "beside";
/// How those words end that name checks which are down and somebody else's.
pub const THEIRS: &str = " down, which it depends on: not counted";

/// Text, with what is put in only when it is asked.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Filled(pub Vec<Piece>);

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Piece {
    Text(String),
    Time(Edge, Form),
    /// By its name: the value never leaves the way out.
    Secret(String),
}

/// An edge of the stretch that is asked about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Edge {
    Since,
    Until,
}

/// How a time is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Form {
    /// `2026-11-21T18:00:00Z`.
    Rfc3339,
    /// Since the epoch.
    Seconds,
    Milliseconds,
}

/// One request.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct WebAsk {
    pub url: Filled,
    pub headers: BTreeMap<String, Filled>,
    /// JSON; with one it is a POST.
    pub body: Option<Filled>,
    pub timeout: SignedDuration,
}

/// Whether a service is up, by what its health endpoint says.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct HealthAsk {
    pub web: WebAsk,
    /// The answers that are healthy; none: 200 to 299.
    pub expect: BTreeSet<u16>,
    /// Checks of the endpoint that are somebody else's.
    pub depends_on: BTreeSet<String>,
    /// A JSONPath to the version that answers.
    pub version: Option<String>,
}

/// Numbers out of a JSON answer.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct JsonAsk {
    pub web: WebAsk,
    /// A JSONPath.
    pub path: String,
    /// The number of what the path finds, instead of its value.
    pub count: bool,
    /// The length of the stretch that is asked about.
    pub window: SignedDuration,
}

impl Filled {
    /// Whether it says for which time it asks.
    pub fn has_time(&self) -> bool {
        self.0.iter().any(|piece| matches!(piece, Piece::Time(_, _)))
    }

    /// Texts (`Ok`) and names of secrets (`Err`), for a stretch of `window` up to `until`.
    pub fn at(&self, until: Timestamp, window: SignedDuration) -> Vec<Result<String, String>> {
        let since = until.checked_sub(window).unwrap_or(until);
        let of = |piece: &Piece| match piece {
            Piece::Text(text) => Ok(text.clone()),
            Piece::Time(Edge::Since, form) => Ok(form.write(since)),
            Piece::Time(Edge::Until, form) => Ok(form.write(until)),
            Piece::Secret(name) => Err(name.clone()),
        };
        self.0.iter().map(of).collect()
    }
}

impl Form {
    fn write(self, time: Timestamp) -> String {
        match self {
            Self::Rfc3339 => {
                let whole = Timestamp::from_second(time.as_second()).unwrap_or(time);
                whole.to_string()
            }
            Self::Seconds => time.as_second().to_string(),
            Self::Milliseconds => time.as_millisecond().to_string(),
        }
    }
}

impl WebAsk {
    /// Whether it says for which time it asks: then the past can be asked for.
    pub fn has_time(&self) -> bool {
        self.url.has_time() || self.body.as_ref().is_some_and(Filled::has_time)
    }
}

/// With the names of what is filled in later; headers are not shown.
impl fmt::Display for WebAsk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let method = if self.body.is_some() { "POST" } else { "GET" };
        write!(f, "{method} {}", self.url)
    }
}

impl fmt::Display for Filled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|piece| match piece {
            Piece::Text(text) => f.write_str(text),
            Piece::Time(Edge::Since, _) => f.write_str("${since}"),
            Piece::Time(Edge::Until, _) => f.write_str("${until}"),
            Piece::Secret(name) => write!(f, "${{secrets.{name}}}"),
        })
    }
}
