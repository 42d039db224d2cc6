//! The names that a settings file gives, for whoever checks policies beside it: no secret
//! is read.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::Context;
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::{AwsSettings, check, words};
use crate::model::Recipient;

/// What policies can name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Names {
    /// Elsewhere than in Slack.
    pub recipients: BTreeSet<Recipient>,
    pub targets: BTreeSet<String>,
    /// Whether there is a Slack to post to.
    pub slack: bool,
}

#[expect(clippy::zero_sized_map_values, reason = "a set is not read from a mapping")]
#[derive(Deserialize)]
struct Written {
    #[serde(default)]
    pagerduty: BTreeMap<String, IgnoredAny>,
    #[serde(default)]
    webhooks: BTreeMap<String, IgnoredAny>,
    email: Option<Lists>,
    slack: Option<IgnoredAny>,
    #[serde(default)]
    targets: BTreeMap<String, IgnoredAny>,
    #[serde(default)]
    aws: AwsSettings,
}

#[expect(clippy::zero_sized_map_values, reason = "a set is not read from a mapping")]
#[derive(Deserialize)]
#[serde(
    expecting = "a mail server and lists: `{ smtp: ..., from: ADDRESS, to: { NAME: [ADDRESS] } }`"
)]
struct Lists {
    #[serde(default)]
    to: BTreeMap<String, IgnoredAny>,
}

impl Names {
    /// Of the settings at `path`.
    pub fn read(path: &Path) -> anyhow::Result<Self> {
        let what = || path.display().to_string();
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("{} can't be read", path.display()))?;
        check::keys(&text).with_context(what)?;
        let written: Written = serde_norway::from_str(&text)
            .map_err(|error| words::mistake(&error))
            .with_context(what)?;
        let lists = written.email.into_iter().flat_map(|email| email.to.into_keys());
        let recipients = written.pagerduty.into_keys().map(Recipient::PagerDuty);
        let recipients = recipients.chain(written.webhooks.into_keys().map(Recipient::Webhook));
        let mut targets: BTreeSet<String> = written.targets.into_keys().collect();
        if targets.is_empty() {
            targets.insert(written.aws.target.unwrap_or_else(|| "default".to_owned()));
        }
        Ok(Self {
            recipients: recipients.chain(lists.map(Recipient::Email)).collect(),
            targets,
            slack: written.slack.is_some(),
        })
    }
}
