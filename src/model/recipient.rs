//! Who hears of an incident beside a deployment's thread.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// One way to reach somebody, as a policy names it. What lies behind a name (a key, an
/// address, a secret) stands in the daemon's settings.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Recipient {
    /// A Slack user or group (`U0MANAGER`, `S0ONCALL`), mentioned in the thread.
    Slack(String),
    /// `pagerduty:NAME`.
    PagerDuty(String),
    /// `webhook:NAME`.
    Webhook(String),
    /// `email:NAME`.
    Email(String),
    /// `github:OWNER/NAME`: a repository, to which no policy can name the way.
    GitHub(String),
}

impl Recipient {
    /// "PagerDuty `oncall`".
    pub fn in_words(&self) -> String {
        match self {
            Self::Slack(id) => format!("Slack's {id}"),
            Self::PagerDuty(name) => format!("PagerDuty `{name}`"),
            Self::Webhook(name) => format!("the webhook `{name}`"),
            Self::Email(name) => format!("the mailbox `{name}`"),
            Self::GitHub(name) => format!("GitHub's {name}"),
        }
    }
}

/// Why a text names no recipient.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is nobody: write a Slack id (U0MANAGER, S0ONCALL), pagerduty:NAME, webhook:NAME or email:NAME"
)]
pub struct Nobody(String);

impl FromStr for Recipient {
    type Err = Nobody;

    fn from_str(text: &str) -> Result<Self, Nobody> {
        let nobody = || Nobody(text.to_owned());
        let Some((kind, name)) = text.split_once(':') else {
            let tail = text.strip_prefix(['S', 'U', 'W']).unwrap_or_default();
            let fits = |char: char| char.is_ascii_uppercase() || char.is_ascii_digit();
            let is_id = tail.len() >= 2 && tail.chars().all(fits);
            return is_id.then(|| Self::Slack(text.to_owned())).ok_or_else(nobody);
        };
        let fits = |char: char| char.is_ascii_alphanumeric() || matches!(char, '-' | '_' | '.');
        if kind == "github" {
            let is_repository = name.split_once('/').is_some_and(|(owner, name)| {
                [owner, name].iter().all(|part| !part.is_empty() && part.chars().all(fits))
            });
            return is_repository.then(|| Self::GitHub(name.to_owned())).ok_or_else(nobody);
        }
        if name.is_empty() || !name.chars().all(fits) {
            return Err(nobody());
        }
        match kind {
            "pagerduty" => Ok(Self::PagerDuty(name.to_owned())),
            "webhook" => Ok(Self::Webhook(name.to_owned())),
            "email" => Ok(Self::Email(name.to_owned())),
            _ => Err(nobody()),
        }
    }
}

impl fmt::Display for Recipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Slack(id) => f.write_str(id),
            Self::PagerDuty(name) => write!(f, "pagerduty:{name}"),
            Self::Webhook(name) => write!(f, "webhook:{name}"),
            Self::Email(name) => write!(f, "email:{name}"),
            Self::GitHub(name) => write!(f, "github:{name}"),
        }
    }
}

impl TryFrom<String> for Recipient {
    type Error = Nobody;

    fn try_from(text: String) -> Result<Self, Nobody> {
        text.parse()
    }
}

impl From<Recipient> for String {
    fn from(recipient: Recipient) -> Self {
        recipient.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recipient_reads_as_it_is_written() {
        for text in [
            "S0ONCALL",
            "U0MANAGER",
            "pagerduty:on-call",
            "webhook:audit",
            "email:ops.1",
            "github:acme/shop.flow",
        ] {
            assert_eq!(text.parse::<Recipient>().unwrap().to_string(), text);
        }
        for text in [
            "",
            "U",
            "C0CHANNEL",
            "oncall",
            "email:",
            "email:a b",
            "sms:me",
            "U0x",
            "github:acme",
            "github:a/b/c",
        ] {
            assert!(text.parse::<Recipient>().is_err(), "{text}");
        }
    }
}
