//! The digest that is posted: where, and when.

use anyhow::bail;
use serde::Deserialize;
use serde::de::{Deserializer, Error};

use crate::policy::Every;

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DigestSettings {
    /// The id of a channel: `C0123ABC`.
    pub slack: String,
    /// `Mon 09:00 Europe/Berlin`, or `daily 09:00 UTC`.
    #[serde(deserialize_with = "every")]
    pub every: Every,
}

impl DigestSettings {
    pub(super) fn check(&self, has_slack: bool) -> anyhow::Result<()> {
        let fits = |char: char| char.is_ascii_uppercase() || char.is_ascii_digit();
        let tail = self.slack.strip_prefix(['C', 'G']).unwrap_or_default();
        if tail.len() < 2 || !tail.chars().all(fits) {
            bail!("digest.slack is a channel's id, such as C0123ABC, not `{}`", self.slack);
        }
        if !has_slack {
            bail!("digest.slack needs `slack: {{ token: ... }}`");
        }
        Ok(())
    }
}

fn every<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Every, D::Error> {
    String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
}
