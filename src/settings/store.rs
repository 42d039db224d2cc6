//! Where the store is, and with what right it is opened.

use std::fmt;
use std::path::Path;

use anyhow::{Context, bail};
use reqwest::Url;
use serde::{Deserialize, Deserializer};

use super::Secret;

/// `store:`: a URL, or a URL with a user and a password.
#[derive(Clone)]
pub struct StoreSettings {
    url: String,
    user: Option<String>,
    password: Option<Secret>,
}

impl Default for StoreSettings {
    fn default() -> Self {
        Self { url: "sqlite://deployguard.db".to_owned(), user: None, password: None }
    }
}

impl<'de> Deserialize<'de> for StoreSettings {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Parts {
            url: Place,
            user: Option<String>,
            password: Option<Secret>,
        }
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Place {
            Text(String),
            Named(serde_norway::Value),
        }
        use serde::de::Error as _;
        let value = serde_norway::Value::deserialize(deserializer)?;
        if let Some(url) = value.as_str() {
            return in_clear(url.to_owned()).map_err(D::Error::custom);
        }
        let Parts { url, user, password } = serde_norway::from_value(value)
            .map_err(|error| D::Error::custom(format!("store: {error}")))?;
        let settings = match url {
            Place::Text(url) => in_clear(url).map_err(D::Error::custom)?,
            // A URL that is a secret itself may have its password in it.
            Place::Named(named) => {
                let secret: Secret = serde_norway::from_value(named)
                    .map_err(|error| D::Error::custom(format!("store.url: {error}")))?;
                Self { url: secret.expose().to_owned(), user: None, password: None }
            }
        };
        Ok(Self { user, password, ..settings })
    }
}

fn in_clear(url: String) -> Result<StoreSettings, &'static str> {
    if Url::parse(&url).is_ok_and(|url| {
        url.password().is_some() || url.query_pairs().any(|(key, _)| key == "password")
    }) {
        return Err("the store's URL has a password in it: give it as \
                    `store: { url: ..., password: { env: NAME } }`, never as text");
    }
    Ok(StoreSettings { url, user: None, password: None })
}

impl StoreSettings {
    /// A relative path counts from the settings' folder.
    pub(super) fn count_from(&mut self, folder: &Path) {
        if let Some(file) = self.url.strip_prefix("sqlite://")
            && Path::new(file).is_relative()
            && !file.starts_with(':')
        {
            self.url = format!("sqlite://{}", folder.join(file).display());
        }
    }

    /// # Errors
    /// It is no URL of a store, or its parts don't go together; no password is told.
    pub(super) fn check(&self) -> anyhow::Result<()> {
        let scheme = self.url.split_once(':').map(|(scheme, _)| scheme);
        if !matches!(scheme, Some("sqlite" | "postgres" | "postgresql")) {
            // What looks like a file was meant as one; anything else may be a secret.
            if !self.url.contains(['@', ':']) {
                let file = &self.url;
                bail!(
                    "store: `{file}` is no URL: write sqlite://{file}, or postgres://HOST/DATABASE"
                );
            }
            bail!(
                "store: this is no URL of a store: write sqlite://PATH or postgres://HOST/DATABASE"
            );
        }
        self.expose().map(|_| ())
    }

    /// The URL with everything in it, for the store alone.
    ///
    /// # Errors
    /// The parts don't go together; the password is not told.
    pub fn expose(&self) -> anyhow::Result<String> {
        if self.user.is_none() && self.password.is_none() {
            return Ok(self.url.clone());
        }
        let mut url = Url::parse(&self.url).context("store.url")?;
        let user = self.user.as_ref().is_none_or(|user| url.set_username(user).is_ok());
        let password = self
            .password
            .as_ref()
            .is_none_or(|secret| url.set_password(Some(secret.expose())).is_ok());
        if !(user && password) || url.scheme() == "sqlite" {
            bail!("store: a user and a password go with postgres://HOST/DATABASE only");
        }
        Ok(url.into())
    }
}

/// For people: without a password, wherever it came from.
impl fmt::Display for StoreSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match Url::parse(&self.url) {
            Ok(mut url) if url.scheme() != "sqlite" => {
                url.set_query(None);
                let _ = url.set_password(None);
                write!(f, "{url}")
            }
            Ok(_) => f.write_str(&self.url),
            Err(_) => f.write_str("the store"),
        }
    }
}

impl fmt::Debug for StoreSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StoreSettings({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<StoreSettings, String> {
        serde_norway::from_str(text).map_err(|error| error.to_string())
    }

    fn with_secret(text: &str, secret: &str) -> Result<StoreSettings, String> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("secret");
        std::fs::write(&file, secret).unwrap();
        read(&text.replace("FILE", &format!("{{ file: '{}' }}", file.display())))
    }

    #[test]
    fn a_password_is_put_into_the_url_as_it_must_be_written_there() {
        let text = "{ url: 'postgres://db.internal:5433/guard?sslmode=verify-full', user: guard, password: FILE }";
        let store = with_secret(text, "p@ss/w:rd?").unwrap();
        let url = store.expose().unwrap();
        assert_eq!(
            url,
            "postgres://guard:p%40ss%2Fw%3Ard%3F@db.internal:5433/guard?sslmode=verify-full"
        );
        assert_eq!(store.to_string(), "postgres://db.internal:5433/guard");
        let whole = with_secret("{ url: FILE }", "postgres://guard:hidden@db/guard").unwrap();
        assert_eq!(whole.expose().unwrap(), "postgres://guard:hidden@db/guard");
        assert!(!format!("{store:?} {store} {whole:?} {whole}").contains("hidden"));
    }

    #[test]
    fn a_file_is_written_as_a_url() {
        let wrong = read("dg.db").unwrap().check().unwrap_err().to_string();
        assert!(wrong.contains("write sqlite://dg.db"), "{wrong}");
        let wrong = read("'mysql://db/guard'").unwrap().check().unwrap_err().to_string();
        assert!(wrong.contains("postgres://HOST/DATABASE") && !wrong.contains("mysql"), "{wrong}");
        assert!(read("'postgres://db/guard'").unwrap().check().is_ok());
    }

    #[test]
    fn a_password_is_never_taken_as_text_and_never_shown() {
        for text in [
            "'postgres://guard:hidden@db/guard'",
            "{ url: 'postgres://guard:hidden@db/guard' }",
            "{ url: 'postgres://db/guard?password=hidden' }",
            "{ url: 'postgres://db/guard', password: hidden }",
        ] {
            let wrong = read(text).unwrap_err();
            assert!(wrong.contains("never as text") && !wrong.contains("hidden"), "{wrong}");
        }
        let sqlite = with_secret("{ url: 'sqlite://a.db', password: FILE }", "hidden").unwrap();
        let wrong = sqlite.expose().unwrap_err().to_string();
        assert!(wrong.contains("postgres://") && !wrong.contains("hidden"), "{wrong}");
    }
}
