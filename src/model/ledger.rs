//! The ledger: which revisions are known to be good, and which bad.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Revision, ServiceKey, WatchId};

/// What the guard knows of a revision of a service.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LedgerEntry {
    pub service: ServiceKey,
    pub revision: Revision,
    pub standing: Standing,
    /// When it was last known to stand so.
    pub at: Timestamp,
    /// The watch that says so; `None` for a revision adopted at install.
    pub watch: Option<WatchId>,
}

/// Where a revision stands, from worst to best.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// A watch found it bad. Never a target.
    Bad,
    /// It was running stably when the guard first saw the service.
    Presumed,
    /// It came through the phase that the policy names in `known_good_after`.
    Provisional,
    /// It was watched to `passed`.
    Good,
}

impl Standing {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Bad => "bad",
            Self::Presumed => "presumed",
            Self::Provisional => "provisional",
            Self::Good => "good",
        }
    }
}
