//! Heartbeats: how scheduled jobs tell that they ran.

use std::fmt;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

/// One run of a job, as it told of it at its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Beat {
    pub at: Timestamp,
    /// False: the job says that it failed.
    pub well: bool,
}

/// A stretch of time in which a beat would have been heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Listened {
    pub from: Timestamp,
    pub until: Timestamp,
}

/// Whether a scheduled job runs as it did before the deployment.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct BeatAsk {
    pub job: String,
    /// Five fields of cron.
    pub schedule: String,
    /// `Europe/Berlin`.
    pub time_zone: String,
    /// How long after its time a run may end.
    pub late: SignedDuration,
    /// Runs in a row that have to be missed or failed. At least 1.
    pub misses: u32,
    /// When the deployment began; what was missed before is not its doing.
    pub since: Option<Timestamp>,
}

impl fmt::Display for BeatAsk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "heartbeat of {} ({} {})", self.job, self.schedule, self.time_zone)
    }
}

/// Whether `name` can be a job's: letters, digits, `-`, `_` and `.`, at most 100.
pub fn is_job(name: &str) -> bool {
    let fits = |char: char| char.is_ascii_alphanumeric() || matches!(char, '-' | '_' | '.');
    !name.is_empty() && name.len() <= 100 && name.chars().all(fits)
}
