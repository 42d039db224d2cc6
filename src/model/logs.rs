//! What is counted in logs.

use std::fmt;

use jiff::SignedDuration;
use serde::{Deserialize, Serialize};

/// How many events of a log group match a filter pattern.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct LogsAsk {
    pub group: String,
    /// As CloudWatch Logs reads it: `ERROR`.
    pub pattern: String,
    /// The length of the stretch that is counted.
    pub window: SignedDuration,
}

impl fmt::Display for LogsAsk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` in {}", self.pattern, self.group)
    }
}
