//! An alert of another system about a service: evidence that decides nothing.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::ServiceKey;

/// An alert that nobody spoke of for so long is taken to be over.
const FORGOTTEN: SignedDuration = SignedDuration::from_hours(24);

/// An alert as Alertmanager tells of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alert {
    /// Alertmanager's own, of its labels.
    pub fingerprint: String,
    pub service: ServiceKey,
    pub name: String,
    /// As it is labelled: `critical`, `warning`, ...
    pub severity: Option<String>,
    pub summary: Option<String>,
    pub since: Timestamp,
    /// When it was over.
    pub ended: Option<Timestamp>,
    /// When it was last spoken of.
    pub heard: Timestamp,
}

impl Alert {
    pub fn fires(&self, now: Timestamp) -> bool {
        self.ended.is_none() && now.duration_since(self.heard) < FORGOTTEN
    }

    pub fn is_critical(&self) -> bool {
        let severe = ["critical", "page", "sev1"];
        self.severity
            .as_ref()
            .is_some_and(|said| severe.iter().any(|one| said.eq_ignore_ascii_case(one)))
    }

    /// Whether `other` says something else of it than when it was last heard of.
    pub fn differs(&self, other: &Alert) -> bool {
        self.since != other.since || self.ended.is_some() != other.ended.is_some()
    }

    /// `alert HighErrorRate (critical) fires since 12:03 UTC (not counted)`.
    pub fn words(&self) -> String {
        let severity = self.severity.as_ref().map(|said| format!(" ({said})")).unwrap_or_default();
        let clock = |at: Timestamp| at.strftime("%H:%M UTC").to_string();
        match self.ended {
            None => {
                format!(
                    "alert {}{severity} fires since {} (not counted)",
                    self.name,
                    clock(self.since)
                )
            }
            Some(ended) => format!(
                "alert {}{severity} is over: it fired from {} to {} (not counted)",
                self.name,
                clock(self.since),
                clock(ended)
            ),
        }
    }
}
