//! Pages of metrics that the guard reads itself.

use jiff::SignedDuration;
use serde::{Deserialize, Serialize};

use super::WebText;

/// Where a check's counters and values are read, instead of asking a Prometheus.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scrape {
    /// Never empty.
    pub pages: Vec<WebText>,
    /// From one reading to the next.
    pub every: SignedDuration,
    /// Whether each address of a page's name is an instance of its own.
    pub each_address: bool,
}
