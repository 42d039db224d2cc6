//! Secrets that policies name, each for its own hosts.

use std::collections::BTreeMap;
use std::fmt;

use reqwest::Url;

use super::Allowed;

/// One secret, and whom it is for.
#[derive(Clone)]
pub struct Key {
    /// Why it can't be had, where it can't.
    pub value: Result<String, String>,
    pub only_for: Allowed,
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Key").field("only_for", &self.only_for).finish_non_exhaustive()
    }
}

/// The secrets of the settings, by name.
#[derive(Debug, Clone, Default)]
pub struct Keyring(pub BTreeMap<String, Key>);

impl Keyring {
    /// The secret `name`, to be sent to `url`.
    ///
    /// # Errors
    /// Why it can't be sent there, without the secret.
    pub(super) fn open(&self, name: &str, url: &Url) -> Result<&str, String> {
        let key = self.0.get(name).ok_or_else(|| {
            format!("the settings have no secret `{name}`: name it under `secrets`")
        })?;
        key.only_for.url(url).map_err(|_| {
            format!("the secret `{name}` is not for this host: see its `for` ({})", key.only_for)
        })?;
        key.value.as_deref().map_err(|why| format!("the secret `{name}` can't be read: {why}"))
    }

    /// `text` without any of the secrets: a server may say again what it was told.
    pub(super) fn mask(&self, text: &str) -> String {
        let values = self.0.values().filter_map(|key| key.value.as_deref().ok());
        values
            .filter(|value| !value.is_empty())
            .fold(text.to_owned(), |text, value| text.replace(value, "***"))
    }
}
