//! Incidents of several services that break together: one leads, the others join it.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Acked, Severity, WatchId};

/// The incident that another one joined.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Lead {
    pub watch: WatchId,
    /// Which of that watch's.
    pub number: u32,
    /// "shopflow-api v1.5.0 in production".
    pub title: String,
    pub opened_at: Timestamp,
    /// The latest acknowledgement of it that the joined one has heard of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub acked: Option<Acked>,
}

impl Lead {
    /// What a pager groups by: the joined one has no incident of its own there.
    pub fn key(&self) -> String {
        format!("{}#{}", self.watch, self.number)
    }
}

/// An incident that joined.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Companion {
    pub watch: WatchId,
    /// "shopflow-web v7 in production".
    pub title: String,
    pub severity: Severity,
    /// When its deployment began.
    pub started_at: Timestamp,
    /// What it is put down to where it isn't its own deployment's doing.
    pub excused: Option<String>,
    /// People would be called about it, were it alone.
    pub calls: bool,
    /// It has ended, or its incident has.
    pub over: bool,
    /// Somebody has acknowledged it in its own thread: that counts for all that is open
    /// with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub acked: Option<Acked>,
}
