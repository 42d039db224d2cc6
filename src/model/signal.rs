//! An incident as systems other than the thread hear of it: pagers, webhooks, mail.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Deployment, Severity};

/// One turn of an incident. Every signal carries the whole, because a receiver may have
/// missed the ones before.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Signal {
    /// Of one incident always the same: what a pager groups by.
    pub incident: String,
    pub turn: Turn,
    pub severity: Severity,
    pub opened_at: Timestamp,
    /// "shopflow-api v1.5.0 in production".
    pub title: String,
    /// What has happened, one line.
    pub headline: String,
    /// Label and value, in order: the incident template's six.
    pub fields: Vec<(String, String)>,
    /// What was measured, one line a check.
    pub evidence: Vec<String>,
    pub deployment: Box<Deployment>,
    /// The policy's name.
    pub policy: String,
    /// Whoever took it in hand has it no longer: who was told so is called once more.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub anew: bool,
}

/// What has happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Turn {
    /// The first breach, or a worse one.
    Opened,
    /// Nobody has acknowledged in time: the next one is called.
    Called,
    Acknowledged {
        by: String,
    },
    /// The target is in place again.
    RolledBack {
        to: String,
        by: String,
    },
    /// A person has to act: the rollback failed, was not to be had, or did not help.
    NeedsHelp,
    /// Over: back to normal, or recovered.
    Resolved,
    /// Not resolved, and nobody watches it any more: the watch has ended.
    Closed,
}
