//! Where a notice goes, and by which way.

use serde::{Deserialize, Serialize};

use super::Recipient;

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
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Way {
    Slack,
    PagerDuty,
    Webhook,
    Email,
}

impl Way {
    pub const ALL: [Self; 4] = [Self::Slack, Self::PagerDuty, Self::Webhook, Self::Email];

    /// The label in metrics and messages.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Slack => "slack",
            Self::PagerDuty => "pagerduty",
            Self::Webhook => "webhook",
            Self::Email => "email",
        }
    }
}

impl Address {
    /// Within which messages of a watch keep their order.
    pub fn route(&self) -> String {
        match self {
            Self::Slack { .. } => Way::Slack.as_str().to_owned(),
            Self::Elsewhere { recipient } => recipient.to_string(),
        }
    }
}
