//! Where a notice goes, and by which way.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Body, Recipient};

/// Where a notice goes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Address {
    /// A channel of Slack's; `mentions`: whom a page calls.
    Slack { channel: String, mentions: Vec<String> },
    /// Whoever is told elsewhere than in Slack.
    Elsewhere { recipient: Recipient },
}

/// Ways that messages go. A message waits for none but those of its own way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Way {
    Slack,
    PagerDuty,
    Webhook,
    Email,
    GitHub,
}

impl Way {
    pub const ALL: [Self; 5] =
        [Self::Slack, Self::PagerDuty, Self::Webhook, Self::Email, Self::GitHub];

    /// The label in metrics and messages.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Slack => "slack",
            Self::PagerDuty => "pagerduty",
            Self::Webhook => "webhook",
            Self::Email => "email",
            Self::GitHub => "github",
        }
    }
}

/// What one postman carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lane {
    /// All that goes a way but files.
    Words(Way),
    /// Pictures and reports in Slack's threads: an upload is slow, and words don't wait.
    Files,
}

impl Lane {
    pub fn way(self) -> Way {
        match self {
            Self::Words(way) => way,
            Self::Files => Way::Slack,
        }
    }

    pub fn all() -> impl Iterator<Item = Self> {
        Way::ALL.into_iter().map(Self::Words).chain([Self::Files])
    }
}

/// The route of files to Slack: one of its way, and in nobody's order but their own.
pub const FILES: &str = "slack:files";

impl Address {
    /// Within which messages of a watch keep their order.
    pub fn route(&self, body: &Body) -> String {
        match (self, body) {
            (Self::Slack { .. }, Body::Files { .. }) => FILES.to_owned(),
            (
                Self::Slack { .. },
                Body::Card(_) | Body::Reply(_) | Body::Signal { .. } | Body::GitHub(_),
            ) => Way::Slack.as_str().to_owned(),
            (Self::Elsewhere { recipient }, _) => recipient.to_string(),
        }
    }
}
