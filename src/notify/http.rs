//! One post of a document, bounded in time and in what is read of the answer, and what an
//! answer means for the outbox.

use std::error::Error;
use std::time::Duration;

use jiff::fmt::rfc2822;
use reqwest::header::{DATE, HeaderMap, HeaderName, RETRY_AFTER};
use reqwest::redirect::Policy;
use reqwest::{Client, Method, StatusCode};

use super::slack::text::line;
use super::{DeliverError, LIMITED, LONGEST_WAIT, MENDING};

pub(super) const TIME_OUT: Duration = Duration::from_secs(10);
/// What is read of an answer, in bytes.
const ANSWER: usize = 4096;

const REDIRECTS: &str = "it redirects, which is not followed; give the address that it is at";

/// Posts; follows no redirect, because what is sent is for one receiver.
#[derive(Debug, Clone)]
pub(super) struct Poster {
    http: Client,
    time_out: Duration,
}

/// What came back.
#[derive(Debug)]
pub(super) struct Answer {
    pub status: StatusCode,
    pub retry_after: Option<Duration>,
    /// Its beginning.
    pub body: Vec<u8>,
}

impl Poster {
    /// Nothing is sent.
    pub(super) fn new() -> Result<Self, reqwest::Error> {
        let agent = concat!("deployguard/", env!("CARGO_PKG_VERSION"));
        let http = Client::builder().redirect(Policy::none()).user_agent(agent).build()?;
        Ok(Self { http, time_out: TIME_OUT })
    }

    pub(super) fn with_time_out(self, time_out: Duration) -> Self {
        Self { time_out, ..self }
    }

    /// Posts once.
    ///
    /// # Errors
    /// There was no answer; the post may have arrived.
    pub(super) async fn post(
        &self,
        url: &str,
        headers: HeaderMap,
        body: Vec<u8>,
    ) -> Result<Answer, DeliverError> {
        let request = self.http.post(url).headers(headers).body(body).timeout(self.time_out);
        let unanswered = |error: reqwest::Error| DeliverError::Transient {
            reason: format!("no answer: {}", self.why(error)),
            retry_after: None,
        };
        let mut response = request.send().await.map_err(unanswered)?;
        let (status, retry_after) = (response.status(), wait_asked_for(response.headers()));
        let mut body = Vec::new();
        // The status has come: what is missing of the rest changes nothing.
        while body.len() < ANSWER
            && let Ok(Some(piece)) = response.chunk().await
        {
            body.extend_from_slice(&piece);
        }
        body.truncate(ANSWER);
        Ok(Answer { status, retry_after, body })
    }

    /// Whether something answers there, and over TLS where the address says so; it is told
    /// nothing. A status other than that of a dead back end or a redirect proves nothing: who
    /// takes posts need not know what was asked here.
    pub(super) async fn probe(&self, url: &str) -> Result<StatusCode, String> {
        let request = self.http.request(Method::HEAD, url).timeout(self.time_out);
        let status = request.send().await.map_err(|error| self.why(error))?.status();
        match status.as_u16() {
            502..=504 => Err(format!("HTTP {status}: what stands in front of it can't reach it")),
            300..=399 => Err(format!("HTTP {status}: {REDIRECTS}")),
            _ => Ok(status),
        }
    }

    /// Without the address, which may be a secret by itself.
    fn why(&self, error: reqwest::Error) -> String {
        if error.is_timeout() {
            return format!("time-out after {:?}", self.time_out);
        }
        let error = error.without_url();
        let mut said = vec![error.to_string()];
        let mut cause = error.source();
        while let Some(error) = cause {
            said.push(error.to_string());
            cause = error.source();
        }
        line(&said.join(": "), 300)
    }
}

impl Answer {
    /// What it means. `said`: what the receiver says about it, if that can be shown.
    pub(super) fn judge(&self, said: Option<&str>) -> Result<(), DeliverError> {
        let status = self.status;
        let said = said.map(|said| format!(": {}", line(said, 300))).unwrap_or_default();
        let transient = |reason, retry_after| Err(DeliverError::Transient { reason, retry_after });
        match status.as_u16() {
            200..=299 => Ok(()),
            429 => transient(format!("{LIMITED} (HTTP 429)"), self.retry_after),
            408 | 425 | 500..=599 => transient(format!("HTTP {status}{said}"), self.retry_after),
            401 | 403 | 407 => {
                let reason = format!("HTTP {status}{said} (see its secret and headers)");
                transient(reason, Some(MENDING))
            }
            300..=399 => Err(DeliverError::Permanent(format!("HTTP {status}: {REDIRECTS}"))),
            _ => Err(DeliverError::Permanent(format!("HTTP {status}{said}"))),
        }
    }
}

/// `Retry-After`, bounded: in seconds, or as a time by the service's own clock.
fn wait_asked_for(headers: &HeaderMap) -> Option<Duration> {
    let text = |name: HeaderName| headers.get(name)?.to_str().ok().map(str::trim);
    let asked = text(RETRY_AFTER)?;
    let wait = if let Ok(seconds) = asked.parse() {
        Duration::from_secs(seconds)
    } else {
        let read = |text| rfc2822::DateTimeParser::new().parse_timestamp(text).ok();
        Duration::try_from(read(asked)?.duration_since(read(text(DATE)?)?)).ok()?
    };
    Some(wait.min(LONGEST_WAIT))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(status: u16, retry_after: Option<Duration>) -> Result<(), DeliverError> {
        let status = StatusCode::from_u16(status).unwrap();
        Answer { status, retry_after, body: Vec::new() }.judge(Some("why\r\nnot"))
    }

    #[test]
    fn what_may_get_better_is_tried_again_and_what_does_not_is_given_up() {
        let asked = Some(Duration::from_secs(30));
        for status in [408, 425, 429, 500, 502, 503, 504] {
            let Err(DeliverError::Transient { retry_after, .. }) = judged(status, asked) else {
                panic!("{status}");
            };
            assert_eq!(retry_after, asked, "{status}");
        }
        for status in [400, 404, 405, 409, 410, 413, 422, 301, 308] {
            let judged = judged(status, None);
            assert!(matches!(judged, Err(DeliverError::Permanent(_))), "{status}: {judged:?}");
        }
        for status in [401, 403, 407] {
            let Err(DeliverError::Transient { retry_after, .. }) = judged(status, None) else {
                panic!("{status}");
            };
            assert_eq!(retry_after, Some(MENDING), "people mend it");
        }
        assert_eq!(judged(202, None), Ok(()));
        let Err(DeliverError::Permanent(why)) = judged(400, None) else { panic!() };
        assert_eq!(why, "HTTP 400 Bad Request: why not");
    }

    #[test]
    fn a_wait_is_read_in_both_notations_and_bounded() {
        let asked = |pairs: &[(HeaderName, &str)]| {
            let headers = pairs.iter().map(|(name, value)| (name.clone(), value.parse().unwrap()));
            wait_asked_for(&headers.collect())
        };
        let of = |text| asked(&[(RETRY_AFTER, text)]);
        assert_eq!(of("30"), Some(Duration::from_secs(30)));
        assert_eq!(of("99999999999"), Some(LONGEST_WAIT));
        assert_eq!(of("soon"), None);
        let later = (RETRY_AFTER, "Wed, 21 Oct 2026 07:30:00 GMT");
        assert_eq!(asked(std::slice::from_ref(&later)), None, "whose clock?");
        let now = (DATE, "Wed, 21 Oct 2026 07:28:00 GMT");
        assert_eq!(asked(&[later, now]), Some(Duration::from_mins(2)));
    }
}
