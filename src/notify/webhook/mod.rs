//! A signed webhook, in our own words or as CDEvents.
//!
//! Every delivery is a POST with these headers:
//!
//! - `X-Deployguard-Event`: what has happened, such as `incident.opened`.
//! - `X-Deployguard-Delivery`: of one delivery, however often it is repeated, the same.
//! - `X-Deployguard-Signature`: `t=SECONDS,v1=HEX`, where HEX is the HMAC-SHA256 of
//!   `SECONDS.BODY` under the secret. A receiver compares it in constant time, refuses what
//!   is older than five minutes, and takes a delivery once.
//!
//! Any 2xx takes it. 429, 5xx, 408, a time-out and a broken connection are tried again (as
//! `Retry-After` says, else after 1 s, 2 s, 4 s ... 5 min, for 24 h); 401 and 403 every
//! five minutes, because people mend them; anything else is given up, and told in the thread.

pub mod cdevents;
pub mod generic;

use std::fmt;
use std::time::Duration;

use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use serde_json::Value;

use super::http::Poster;
use super::slack::render::mark;
use super::{Call, DeliverError, Reached};
use crate::outbound::signature;

const EVENT: HeaderName = HeaderName::from_static("x-deployguard-event");
const DELIVERY: HeaderName = HeaderName::from_static("x-deployguard-delivery");
const SIGNATURE: HeaderName = HeaderName::from_static("x-deployguard-signature");

/// In whose words it is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    Generic,
    CdEvents,
}

/// One receiver.
pub struct Webhook {
    poster: Poster,
    url: String,
    secret: String,
    format: Format,
    headers: HeaderMap,
}

/// Shows neither the secret nor the headers.
impl fmt::Debug for Webhook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Webhook").field("format", &self.format).finish_non_exhaustive()
    }
}

/// What is sent.
#[derive(Debug, Clone, PartialEq)]
pub struct Document {
    pub event: &'static str,
    pub content_type: &'static str,
    pub body: Value,
}

impl Webhook {
    /// `headers` are sent along. Sends nothing yet.
    pub fn connect(
        url: &str,
        secret: &str,
        format: Format,
        headers: HeaderMap,
    ) -> Result<Self, reqwest::Error> {
        let (url, secret) = (url.to_owned(), secret.to_owned());
        Ok(Self { poster: Poster::new()?, url, secret, format, headers })
    }

    /// The same with another bound for one call.
    #[must_use]
    pub fn with_time_out(self, time_out: Duration) -> Self {
        Self { poster: self.poster.with_time_out(time_out), ..self }
    }

    /// Delivers once. What the format has no words for is delivered as it is: not at all.
    pub async fn call(&self, call: &Call) -> Result<(), DeliverError> {
        let document = match self.format {
            Format::Generic => generic::document(call),
            Format::CdEvents => match cdevents::document(call) {
                Some(document) => document,
                None => return Ok(()),
            },
        };
        let body = document.body.to_string().into_bytes();
        let headers = self.headers(call, &document, &body).map_err(DeliverError::Permanent)?;
        self.poster.post(&self.url, headers, body).await?.judge(None)
    }

    /// Whether something answers at its address. It is told nothing.
    pub async fn probe(&self) -> Result<Reached, String> {
        let status = self.poster.probe(&self.url).await?.as_u16();
        Ok(match status {
            404 | 410 | 501 => Reached::Oddly(format!("reached, answers HTTP {status}")),
            _ => Reached::Well(format!("answers (HTTP {status})")),
        })
    }

    fn headers(&self, call: &Call, document: &Document, body: &[u8]) -> Result<HeaderMap, String> {
        let value = |text: String| HeaderValue::try_from(text).map_err(|why| why.to_string());
        let mut headers = self.headers.clone();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(document.content_type));
        headers.insert(EVENT, HeaderValue::from_static(document.event));
        headers.insert(DELIVERY, value(mark(&call.key))?);
        headers.insert(SIGNATURE, value(signature(&self.secret, call.now, body)?)?);
        Ok(headers)
    }
}
