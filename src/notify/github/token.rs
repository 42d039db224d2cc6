//! Who asks: a personal access token, or a GitHub App that gets a token for an hour and for
//! one repository.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex};

use jiff::{SignedDuration, Timestamp};
use reqwest::Method;
use rustls::SignatureScheme;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;
use rustls::sign::SigningKey;
use serde_json::{Value, json};

use super::api::Api;
use super::fault::judge;
use crate::notify::DeliverError;

/// How long a word of the App's lasts; GitHub takes ten minutes at most.
const LASTS: SignedDuration = SignedDuration::from_mins(9);
/// By how much GitHub's clock may be behind ours.
const SKEW: SignedDuration = SignedDuration::from_mins(1);
/// A token is not used in the last of its time.
const LAST: SignedDuration = SignedDuration::from_mins(5);

/// Who asks.
#[derive(Debug)]
pub enum Credentials {
    Token(String),
    App(App),
}

/// A GitHub App.
pub struct App {
    id: String,
    key: Arc<dyn SigningKey>,
    /// What marks are made with: of the key, and as secret.
    secret: String,
    /// By repository, its token and until when it is good.
    tokens: Mutex<BTreeMap<String, (String, Timestamp)>>,
}

impl fmt::Debug for App {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the App {}", self.id)
    }
}

impl App {
    /// `pem`: its private key as GitHub gives it.
    ///
    /// # Errors
    /// It is none.
    pub fn new(id: &str, pem: &str) -> Result<Self, String> {
        let none =
            "github.app.private_key is no RSA key in PEM: download one in the App's settings";
        let der = PrivateKeyDer::from_pem_slice(pem.as_bytes()).map_err(|_| none.to_owned())?;
        let key = rustls::crypto::ring::sign::any_supported_type(&der);
        let key = key.map_err(|_| none.to_owned())?;
        key.choose_scheme(&[SignatureScheme::RSA_PKCS1_SHA256]).ok_or(none)?;
        let (id, secret) = (id.to_owned(), pem.to_owned());
        Ok(Self { id, key, secret, tokens: Mutex::default() })
    }

    /// The App's own word for who it is: a JSON Web Token, RS256.
    fn word(&self, now: Timestamp) -> Result<String, String> {
        let seconds = |by: SignedDuration| now.as_second() + by.as_secs();
        let head = json!({ "alg": "RS256", "typ": "JWT" });
        let claims = json!({ "iat": seconds(-SKEW), "exp": seconds(LASTS), "iss": self.id });
        let part = |value: &Value| base64url(value.to_string().as_bytes());
        let signed = format!("{}.{}", part(&head), part(&claims));
        let signer = self.key.choose_scheme(&[SignatureScheme::RSA_PKCS1_SHA256]);
        let signature = signer.ok_or("the key signs no RS256")?.sign(signed.as_bytes());
        let signature = signature.map_err(|why| why.to_string())?;
        Ok(format!("{signed}.{}", base64url(&signature)))
    }

    fn known(&self, repository: &str, now: Timestamp) -> Option<String> {
        let tokens = self.tokens.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let (token, until) = tokens.get(repository)?;
        (until.duration_since(now) > LAST).then(|| token.clone())
    }

    fn keep(&self, repository: &str, token: &str, until: Timestamp) {
        let mut tokens = self.tokens.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        tokens.insert(repository.to_owned(), (token.to_owned(), until));
    }
}

impl Credentials {
    /// What marks of ours are made with.
    pub(super) fn key(&self) -> &str {
        match self {
            Self::Token(token) => token,
            Self::App(app) => &app.secret,
        }
    }
}

impl Api {
    /// A token for a repository.
    pub(super) async fn token(
        &self,
        repository: &str,
        now: Timestamp,
    ) -> Result<String, DeliverError> {
        let app = match &self.credentials {
            Credentials::Token(token) => return Ok(token.clone()),
            Credentials::App(app) => app,
        };
        if let Some(token) = app.known(repository, now) {
            return Ok(token);
        }
        let granted = self.grant(app, repository, now).await?;
        let until = granted["expires_at"].as_str().and_then(|at| at.parse::<Timestamp>().ok());
        match (granted["token"].as_str(), until) {
            (Some(token), Some(until)) => {
                app.keep(repository, token, until);
                Ok(token.to_owned())
            }
            _ => Err(DeliverError::Permanent("GitHub gives the App no token".to_owned())),
        }
    }

    /// What GitHub gives the App for a repository: a token and its permissions.
    pub(super) async fn grant(
        &self,
        app: &App,
        repository: &str,
        now: Timestamp,
    ) -> Result<Value, DeliverError> {
        let word = app.word(now).map_err(DeliverError::Permanent)?;
        let (owner, name) = repository.split_once('/').unwrap_or_default();
        let url = self.at(&["repos", owner, name, "installation"])?;
        let installation = judge(&self.ask(Method::GET, url, &word, None).await?)?;
        let Some(id) = installation["id"].as_u64() else {
            let why = format!("the App is not installed at {repository}");
            return Err(DeliverError::Permanent(why));
        };
        let url = self.at(&["app", "installations", &id.to_string(), "access_tokens"])?;
        let body = json!({ "repositories": [name] });
        judge(&self.ask(Method::POST, url, &word, Some(&body)).await?)
    }
}

/// Base64 for addresses (RFC 4648, 5), without padding.
fn base64url(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let at = |index: usize| u32::from(chunk.get(index).copied().unwrap_or_default());
        let bits = at(0) << 16 | at(1) << 8 | at(2);
        for place in 0..=chunk.len() {
            let letter = (bits >> (18 - 6 * place)) & 0x3f;
            text.push(char::from(LETTERS[letter as usize]));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_as_the_rfcs_examples_have_it() {
        for (text, encoded) in [
            ("", ""),
            ("f", "Zg"),
            ("fo", "Zm8"),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg"),
            ("fooba", "Zm9vYmE"),
            ("foobar", "Zm9vYmFy"),
        ] {
            assert_eq!(base64url(text.as_bytes()), encoded);
        }
        assert_eq!(base64url(&[0xfb, 0xff]), "-_8", "not + and /");
    }

    #[test]
    fn what_is_no_key_is_refused_and_not_repeated() {
        for pem in [
            "",
            "secret",
            "-----BEGIN RSA PRIVATE KEY-----\nc2VjcmV0\n-----END RSA PRIVATE KEY-----\n",
        ] {
            let why = App::new("1", pem).unwrap_err();
            assert!(why.contains("no RSA key in PEM") && !why.contains("secret"), "{why}");
        }
    }
}
