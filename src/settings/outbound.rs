//! What policies may ask of the web, and the secrets that they may send there.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};
use serde::Deserialize;

use crate::outbound::{Allowed, Key, Keyring, Outbound};

/// `outbound: { allow: ["https://www.example.com"] }`. Nothing is allowed without it.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, expecting = "`{ allow: [\"https://www.example.com\"] }`")]
pub struct OutboundSettings {
    /// Scheme and host (exact, below `*.`, or a range of addresses), and a port where it is
    /// not the usual one.
    pub allow: Vec<String>,
    /// PEM certificates that are believed beside the system's.
    pub ca_file: Option<PathBuf>,
}

/// `{ env: SENTRY_TOKEN, for: ["https://sentry.io"] }`: `${secrets.NAME}` in the headers of
/// policies. It is read when the daemon starts; who only checks policies can do without.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, expecting = "`{ env: NAME, for: [\"https://sentry.io\"] }`")]
pub struct PolicySecret {
    pub env: Option<String>,
    pub file: Option<PathBuf>,
    /// The only hosts that it is sent to, written as in `outbound.allow`.
    #[serde(rename = "for")]
    pub only_for: Vec<String>,
}

impl PolicySecret {
    fn read(&self) -> Result<String, String> {
        let text = match (&self.env, &self.file) {
            (Some(name), None) => {
                std::env::var(name).map_err(|_| format!("the environment has no `{name}`"))?
            }
            (None, Some(path)) => std::fs::read_to_string(path)
                .map_err(|error| format!("{}: {error}", path.display()))?,
            (Some(_), Some(_)) | (None, None) => {
                return Err("give it as `{ env: NAME }` or `{ file: PATH }`".to_owned());
            }
        };
        let text = text.trim().to_owned();
        if text.is_empty() { Err("the secret is empty".to_owned()) } else { Ok(text) }
    }

    fn key(&self) -> Result<Key, String> {
        if self.only_for.is_empty() {
            return Err("say whom it is `for`: [\"https://sentry.io\"]".to_owned());
        }
        Ok(Key { value: self.read(), only_for: Allowed::parse(&self.only_for)? })
    }
}

/// What must be so before anything is asked.
///
/// # Errors
/// What is wrong, with its key.
pub(super) fn check(
    outbound: Option<&OutboundSettings>,
    secrets: &BTreeMap<String, PolicySecret>,
) -> anyhow::Result<()> {
    for (name, secret) in secrets {
        let fits = |char: char| char.is_ascii_alphanumeric() || "-_".contains(char);
        ensure!(
            !name.is_empty() && name.chars().all(fits),
            "secrets: `{name}` is no name: write letters, digits, `-` and `_`"
        );
        let key = secret.key().map_err(|why| anyhow::anyhow!("secrets.{name}: {why}"))?;
        if let Err(why) = key.value {
            bail!("secrets.{name}: {why}");
        }
    }
    if let Some(outbound) = outbound {
        Allowed::parse(&outbound.allow).map_err(|why| anyhow::anyhow!("outbound.allow: {why}"))?;
    }
    Ok(())
}

/// The way out that the settings describe; `None`: they allow nothing. Nothing is sent. A
/// secret that can't be read is told when it is needed.
///
/// # Errors
/// What is wrong in the settings.
pub fn way_out(
    outbound: Option<&OutboundSettings>,
    secrets: &BTreeMap<String, PolicySecret>,
) -> anyhow::Result<Option<Outbound>> {
    let Some(outbound) = outbound else { return Ok(None) };
    let allowed = Allowed::parse(&outbound.allow).map_err(anyhow::Error::msg)?;
    let mut keyring = Keyring::default();
    for (name, secret) in secrets {
        let key = secret.key().map_err(|why| anyhow::anyhow!("secrets.{name}: {why}"))?;
        keyring.0.insert(name.clone(), key);
    }
    let read = |path: &PathBuf| {
        std::fs::read(path).with_context(|| format!("outbound.ca_file: {}", path.display()))
    };
    let authorities = outbound.ca_file.as_ref().map(read).transpose()?;
    let way = Outbound::new(allowed, keyring, authorities.as_deref())
        .map_err(|why| anyhow::anyhow!("outbound.ca_file: {why}"))?;
    Ok(Some(way))
}

impl OutboundSettings {
    /// Counts a relative path from the settings' folder.
    pub(super) fn count_from(&mut self, folder: &Path) {
        if let Some(path) = &mut self.ca_file {
            *path = folder.join(&path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::read;

    #[test]
    fn a_secret_says_whom_it_is_for_and_is_never_shown() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        std::fs::write(&path, "very-secret-value\n").unwrap();
        let path = path.display();
        let good = read(&format!(
            "outbound: {{ allow: ['https://*.sentry.io'] }}\n\
             secrets: {{ sentry: {{ file: '{path}', for: ['https://sentry.io'] }} }}\n"
        ))
        .unwrap();
        let way = super::way_out(good.outbound.as_ref(), &good.secrets).unwrap();
        assert!(!format!("{good:?}{way:?}").contains("very-secret-value"));
        for (text, told) in [
            (format!("secrets: {{ sentry: {{ file: '{path}', for: [] }} }}\n"), "say whom"),
            (format!("secrets: {{ sentry: {{ file: '{path}' }} }}\n"), "for"),
            (format!("secrets: {{ s: {{ file: '{path}', for: ['sentry.io'] }} }}\n"), "no scheme"),
            (
                format!("secrets: {{ 'a b': {{ file: '{path}', for: ['https://a.b'] }} }}\n"),
                "no name",
            ),
            (
                "secrets: { s: { env: DEPLOYGUARD_NONE_SUCH, for: ['https://a.b'] } }\n".into(),
                "the environment has no `DEPLOYGUARD_NONE_SUCH`",
            ),
            (
                "outbound: { allow: ['www.shopflow.io'] }\n".into(),
                "outbound.allow: `www.shopflow.io` has no scheme",
            ),
            ("outbound: { deny: [] }\n".into(), "deny"),
        ] {
            let wrong = read(&text).unwrap_err();
            assert!(wrong.contains(told), "{text}: {wrong}");
            assert!(!wrong.contains("very-secret"), "{wrong}");
        }
        assert!(super::way_out(None, &good.secrets).unwrap().is_none());
    }
}
