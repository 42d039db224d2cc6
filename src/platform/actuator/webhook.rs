//! A webhook that is asked to do something, signed as the ones that are told.

use std::fmt;
use std::time::Duration;

use jiff::Timestamp;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::redirect::Policy;
use reqwest::{Client, StatusCode};
use serde_json::{Value, json};

use crate::model::{ActFailure, RollbackPlan, WatchId};
use crate::outbound::signature;

const EVENT: HeaderName = HeaderName::from_static("x-deployguard-event");
const SIGNATURE: HeaderName = HeaderName::from_static("x-deployguard-signature");
/// The same for the same order: a receiver that has seen it does nothing a second time.
const DELIVERY: HeaderName = HeaderName::from_static("x-deployguard-delivery");
const TIME_OUT: Duration = Duration::from_secs(30);
/// The most of an answer that is read, and told.
const MOST_ANSWERED: usize = 300;

/// Where orders go. Cheap to clone.
#[derive(Clone)]
pub struct Endpoint {
    client: Client,
    url: String,
    secret: String,
    headers: HeaderMap,
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoint").finish_non_exhaustive()
    }
}

/// What is asked of a receiver.
pub(super) struct Order {
    event: &'static str,
    key: String,
    body: Value,
}

impl Order {
    pub(super) fn roll_back(plan: &RollbackPlan, watch: &WatchId) -> Self {
        Self::of("rollback", plan, watch)
    }

    pub(super) fn maintenance(event: &'static str, plan: &RollbackPlan, watch: &WatchId) -> Self {
        Self::of(event, plan, watch)
    }

    fn of(event: &'static str, plan: &RollbackPlan, watch: &WatchId) -> Self {
        let body = json!({
            "event": event,
            "watch": watch,
            "service": plan.service,
            "judged": { "deployment": plan.judged, "revision": plan.judged_revision.name },
            "target": { "revision": plan.target.name, "because": plan.target_because },
            "values": plan.means.values,
        });
        Self { event, key: format!("{watch}/{event}"), body }
    }
}

impl Endpoint {
    /// Nothing is sent.
    ///
    /// # Errors
    /// The client could not be built.
    pub fn new(url: &str, secret: &str, headers: HeaderMap) -> reqwest::Result<Self> {
        let client = Client::builder().timeout(TIME_OUT).redirect(Policy::none()).build()?;
        Ok(Self { client, url: url.to_owned(), secret: secret.to_owned(), headers })
    }

    /// Sends an order once; the beginning of what was answered.
    pub(super) async fn send(&self, order: &Order, now: Timestamp) -> Result<String, ActFailure> {
        let body = order.body.to_string().into_bytes();
        let signed = signature(&self.secret, now, &body);
        let header = |text: String| {
            HeaderValue::try_from(text).map_err(|why| ActFailure::Permanent(why.to_string()))
        };
        let mut headers = self.headers.clone();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(EVENT, HeaderValue::from_static(order.event));
        headers.insert(DELIVERY, header(order.key.clone())?);
        headers.insert(SIGNATURE, header(signed.map_err(ActFailure::Permanent)?)?);
        let sent = self.client.post(&self.url).headers(headers).body(body).send().await;
        // Where it goes may carry a token: it is not told.
        let unknown = |why: reqwest::Error| ActFailure::Transient(why.without_url().to_string());
        let mut answer = sent.map_err(unknown)?;
        let (status, mut said) = (answer.status(), Vec::new());
        while said.len() < MOST_ANSWERED
            && let Ok(Some(chunk)) = answer.chunk().await
        {
            said.extend_from_slice(&chunk);
        }
        let said: String = String::from_utf8_lossy(&said).chars().take(MOST_ANSWERED).collect();
        judge(status, &said)
    }
}

/// What an answer means: whoever could not take it now may be asked again under its key.
fn judge(status: StatusCode, said: &str) -> Result<String, ActFailure> {
    let words = format!("HTTP {} {said}", status.as_u16()).trim_end().to_owned();
    if status.is_success() {
        Ok(words)
    } else if status.is_server_error()
        || matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT)
    {
        Err(ActFailure::Transient(words))
    } else {
        Err(ActFailure::Permanent(words))
    }
}
