//! Sessions: who has logged in, in a cookie that every daemon on the store believes.
//!
//! The cookie is readable and signed (HMAC-SHA-256, by the secret that the daemons share). It
//! names a token and is bound to that token's present value: with a token that is changed or
//! removed its sessions end. What somebody may do is looked up at each request.

use hmac::{Hmac, KeyInit, Mac};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use subtle::ConstantTimeEq;

use crate::web::vouch::{hex, random, unhex};

/// How long nobody has to log in again.
pub const LASTS: SignedDuration = SignedDuration::from_hours(12);

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    /// Of the token.
    pub name: String,
    /// What the token's value comes to.
    pub binds: String,
    /// When it ends.
    until: Timestamp,
    /// Tells two sessions of one token apart.
    once: String,
}

impl Session {
    /// # Errors
    /// The system has no randomness.
    pub fn begin(
        secret: &str,
        name: &str,
        token: &[u8; 32],
        now: Timestamp,
    ) -> Result<Self, String> {
        let until = now.checked_add(LASTS).map_err(|error| error.to_string())?;
        Ok(Self { name: name.to_owned(), binds: binds(secret, token), until, once: random()? })
    }

    /// As the cookie carries it.
    pub fn write(&self, secret: &str) -> String {
        let text = hex(serde_json::to_string(self).unwrap_or_default().as_bytes());
        let signature = sign(secret, "session", &text);
        format!("{text}.{signature}")
    }

    /// What a cookie says, if one of these daemons wrote it and its time is not over.
    pub fn read(secret: &str, cookie: &str, now: Timestamp) -> Option<Self> {
        let (text, signature) = cookie.split_once('.')?;
        if !is_same(&sign(secret, "session", text), signature) {
            return None;
        }
        let session: Self = serde_json::from_slice(&unhex(text)?).ok()?;
        (now < session.until).then_some(session)
    }

    /// Whether it was begun with the value that the token has now.
    pub fn is_of(&self, secret: &str, token: &[u8; 32]) -> bool {
        is_same(&binds(secret, token), &self.binds)
    }

    /// What the forms of this session carry: nobody else's page can know it.
    pub fn form_token(&self, secret: &str) -> String {
        sign(secret, "form", &self.once)
    }
}

/// The same where a proxy says who somebody is, and there is no cookie.
pub fn form_token_of(secret: &str, name: &str) -> String {
    sign(secret, "form of a proxy", name)
}

/// In constant time.
pub fn is_same(one: &str, other: &str) -> bool {
    one.as_bytes().ct_eq(other.as_bytes()).into()
}

fn binds(secret: &str, token: &[u8; 32]) -> String {
    sign(secret, "token", &hex(token))
}

/// What is signed for one purpose is no good for another.
fn sign(secret: &str, purpose: &str, text: &str) -> String {
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.as_bytes()) else {
        // HMAC takes a key of any length.
        return String::new();
    };
    mac.update(format!("deployguard page, {purpose}\n{text}").as_bytes());
    hex(&mac.finalize().into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_700_000_000 + second).unwrap()
    }

    #[test]
    fn a_session_is_believed_by_its_signature_for_half_a_day() {
        let session = Session::begin("secret", "oncall", &[7; 32], at(0)).unwrap();
        let cookie = session.write("secret");
        let hours = |hours: i64| Session::read("secret", &cookie, at(hours * 3600 - 1));
        assert_eq!(hours(12), Some(session.clone()));
        assert_eq!(Session::read("secret", &cookie, at(12 * 3600)), None, "its time is over");
        assert_eq!(Session::read("other", &cookie, at(0)), None, "another store's");
        let (text, signature) = cookie.split_once('.').unwrap();
        let forged = hex(String::from_utf8(unhex(text).unwrap())
            .unwrap()
            .replace("oncall", "boss")
            .as_bytes());
        assert_eq!(Session::read("secret", &format!("{forged}.{signature}"), at(0)), None);
        for nothing in ["", ".", text, &format!("{text}."), &format!(".{signature}")] {
            assert_eq!(Session::read("secret", nothing, at(0)), None, "{nothing}");
        }
        let purpose = session.form_token("secret");
        assert_ne!(purpose, signature);
        assert_eq!(Session::read("secret", &format!("{text}.{purpose}"), at(0)), None);
    }

    #[test]
    fn a_session_ends_with_the_value_of_its_token() {
        let session = Session::begin("secret", "oncall", &[7; 32], at(0)).unwrap();
        assert!(session.is_of("secret", &[7; 32]));
        assert!(!session.is_of("secret", &[8; 32]));
        let other = Session::begin("secret", "oncall", &[7; 32], at(0)).unwrap();
        assert_ne!(session.form_token("secret"), other.form_token("secret"));
    }
}
