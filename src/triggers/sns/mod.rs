//! What SNS posts to us, and whether it really is from SNS.
//!
//! Anybody can post to an open address, so a message counts only if its topic is in the
//! settings and its signature holds. The signature is checked with the certificate that
//! the message names; it names any it likes, so the certificate's address must be SNS's
//! own host in the region of the topic, over TLS: that, and not the certificate's issuer,
//! is what the trust rests on. The certificate's own dates must hold.
//!
//! The same message again is harmless: it is a hint to look, and looking twice is nothing.
//! An old one is refused all the same, so that what was recorded once can't be used to
//! keep us busy for ever. SNS repeats a delivery that failed for an hour and more; what
//! is refused then is found by the poller.

mod fetch;
mod rules;
mod signature;

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::Deserialize;
use utoipa::ToSchema;

pub(super) use signature::base64;
pub use signature::{Certificate, canonical};

use fetch::Wire;

/// A message as SNS posts it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
#[schema(as = SnsMessage)]
pub struct Envelope {
    #[serde(rename = "Type")]
    pub kind: Kind,
    pub message_id: String,
    pub topic_arn: String,
    pub subject: Option<String>,
    pub message: String,
    /// As it was written: it is part of what was signed.
    pub timestamp: String,
    pub signature_version: String,
    pub signature: String,
    #[serde(rename = "SigningCertURL", alias = "SigningCertUrl")]
    pub signing_cert_url: String,
    #[serde(rename = "SubscribeURL", alias = "SubscribeUrl")]
    pub subscribe_url: Option<String>,
    pub token: Option<String>,
}

/// What SNS posts for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[schema(as = SnsKind)]
pub enum Kind {
    Notification,
    SubscriptionConfirmation,
    UnsubscribeConfirmation,
}

/// Why a message is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It is not what it says it is, or not wanted: SNS need not try again.
    #[error("{0}")]
    Forged(String),
    /// It could not be found out; a later try may.
    #[error("{0}")]
    Unknown(String),
}

impl Refusal {
    fn forged<T>(why: impl Into<String>) -> Result<T, Self> {
        Err(Self::Forged(why.into()))
    }
}

/// Checks what is posted. One for the whole daemon: it remembers certificates.
pub struct Sns {
    topics: BTreeSet<String>,
    wire: Wire,
}

impl Sns {
    /// Takes messages of these topics (ARNs). Nothing is sent. `stand_in`: where a test
    /// build finds what is at SNS's hosts.
    ///
    /// # Errors
    /// The client can't be made.
    pub fn new(
        topics: impl IntoIterator<Item = String>,
        stand_in: Option<String>,
    ) -> Result<Self, String> {
        Ok(Self { topics: topics.into_iter().collect(), wire: Wire::new(stand_in)? })
    }

    /// Whether the message is from SNS and one of our topics, at `now`.
    pub async fn check(&self, message: &Envelope, now: Timestamp) -> Result<(), Refusal> {
        let url = rules::admitted(message, &self.topics, now)?;
        let certificate = self.wire.certificate(&url).await?;
        certificate.holds(message, now).map_err(Refusal::Forged)
    }

    /// Confirms the subscription that a checked message asks about.
    pub async fn confirm(&self, message: &Envelope) -> Result<(), Refusal> {
        let url = rules::confirmation(message)?;
        self.wire.confirm(&url).await
    }
}
