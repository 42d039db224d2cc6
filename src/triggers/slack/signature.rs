//! Slack's signature: HMAC-SHA256 over `v0:TIMESTAMP:BODY`, and no older than five minutes.

use slack_morphism::SlackSigningSecret;
use slack_morphism::signature_verifier::{
    SlackEventSignatureVerifier, SlackEventSignatureVerifierError as VerifierError,
};

/// Why Slack has not sent it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Forged {
    #[error("the signature is not Slack's: see slack.signing_secret")]
    Signature,
    #[error("the timestamp is more than five minutes off")]
    Time,
    #[error("it has no headers of Slack's (X-Slack-Signature, X-Slack-Request-Timestamp)")]
    Unsigned,
    #[error("X-Slack-Request-Timestamp is no time in seconds")]
    NoTime,
}

pub(super) struct Signature(SlackEventSignatureVerifier);

impl Signature {
    pub(super) fn by(secret: &str) -> Self {
        Self(SlackEventSignatureVerifier::new(&SlackSigningSecret::new(secret.to_owned())))
    }

    pub(super) fn check(&self, signature: &str, timestamp: &str, body: &str) -> Result<(), Forged> {
        if timestamp.is_empty() || signature.is_empty() {
            return Err(Forged::Unsigned);
        }
        // Ten digits last until 2286; what is longer is no time.
        if timestamp.len() > 10 || !is_number(timestamp) {
            return Err(Forged::NoTime);
        }
        self.0.verify(signature, body, timestamp).map_err(|error| match error {
            VerifierError::IncorrectOrExpiredTimestampError(_) => Forged::Time,
            VerifierError::WrongSignatureError(_)
            | VerifierError::AbsentSignatureError(_)
            | VerifierError::CryptoInitError(_) => Forged::Signature,
        })
    }
}

fn is_number(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of Slack's own page on signatures.
    const SECRET: &str = "8f742231b10e8888abcd99yyyzzz85a5";
    const BODY: &str = "token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text=&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c";
    const SIGNED: &str = "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503";

    #[test]
    fn slacks_own_example_is_signed_and_long_past() {
        let check =
            |signature, timestamp, body| Signature::by(SECRET).check(signature, timestamp, body);
        assert_eq!(check(SIGNED, "1531420618", BODY), Err(Forged::Time));
        assert_eq!(check(SIGNED, "1531420618", &BODY[1..]), Err(Forged::Signature));
        assert_eq!(check("", "1531420618", BODY), Err(Forged::Unsigned));
        assert_eq!(check(SIGNED, "", BODY), Err(Forged::Unsigned));
        for time in ["now", "-1531420618", "99999999999999999999"] {
            assert_eq!(check(SIGNED, time, BODY), Err(Forged::NoTime), "{time}");
        }
    }
}
