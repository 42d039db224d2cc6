//! An incident: what is open while a deployment does harm.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Companion, Lead, Recipient, Severity};

/// Opened by the first breach of a watch; a watch has at most one open.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Incident {
    pub opened_at: Timestamp,
    /// The worst severity seen.
    pub severity: Severity,
    pub status: IncidentStatus,
    /// The checks that have breached since it opened.
    pub checks: BTreeSet<String>,
    pub resolved_at: Option<Timestamp>,
    /// What was measured when it was at its worst, one line a check.
    pub evidence: Vec<String>,
    /// Why it is not the deployment's doing, in words; `None` where it is.
    #[serde(default)]
    pub excused: Option<String>,
    /// Another service breaks as well: after a while people are asked all the same.
    #[serde(default)]
    pub shared: bool,
    /// Which of its watch's incidents it is, from 1.
    #[serde(default = "first")]
    pub number: u32,
    /// Who has it in hand. Stops the escalation, and nothing else.
    #[serde(default)]
    pub acked: Option<Acked>,
    /// Who has heard elsewhere that somebody has it in hand, and was not called since.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub calmed: BTreeSet<Recipient>,
    /// Times that it has come back after it was well again.
    #[serde(default)]
    pub returns: u32,
    /// When it last came back.
    #[serde(default)]
    pub again_at: Option<Timestamp>,
    /// Since when it is well again, while it is open only until that has lasted.
    #[serde(default)]
    pub calm_at: Option<Timestamp>,
    /// The worst severity that others have heard of since they last heard that it is over.
    #[serde(default)]
    pub alarmed: Option<Severity>,
    /// The incident of another service that it is part of.
    #[serde(default)]
    pub with: Option<Lead>,
    /// It needed help while it was part of that: a pager has it by itself since.
    #[serde(default)]
    pub apart: bool,
    /// Incidents of other services that are part of this one.
    #[serde(default)]
    pub joins: Vec<Companion>,
    /// The worst severity of those, where people would be called about it.
    #[serde(default)]
    pub raised: Option<Severity>,
}

impl Incident {
    /// What people are called at: the worst of its own and of those that joined it. What is
    /// decided goes by its own.
    pub fn called_at(&self) -> Severity {
        self.raised.map_or(self.severity, |raised| raised.min(self.severity))
    }

    /// Whether people are called by the incident that it is part of.
    pub fn is_led(&self) -> bool {
        self.with.is_some() && !self.apart
    }

    /// When it began, or last came back.
    pub fn spell_began(&self) -> Timestamp {
        self.again_at.unwrap_or(self.opened_at)
    }
}

fn first() -> u32 {
    1
}

/// That somebody has seen an incident.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Acked {
    pub by: String,
    pub at: Timestamp,
    /// Only for as long as they hold the decision.
    #[serde(default)]
    pub by_hold: bool,
    /// In the thread of another service, whose incident is the same one to people.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub beside: bool,
}

/// Where an incident stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum IncidentStatus {
    Investigating,
    Identified,
    Monitoring,
    Resolved,
}

impl IncidentStatus {
    /// As ShopFlow's template spells it: it knows three, and monitoring is
    /// shown as identified.
    pub fn in_template(self) -> &'static str {
        match self {
            Self::Investigating => "Investigating",
            Self::Identified | Self::Monitoring => "Identified",
            Self::Resolved => "Resolved",
        }
    }
}
