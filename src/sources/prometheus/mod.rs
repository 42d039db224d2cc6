//! Prometheus, through its instant-query API.

mod decode;

use std::error::Error as _;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use prometheus_http_query::{Client, Error};
use reqwest::redirect;
use reqwest::{Response, Url};
use tokio::sync::Semaphore;

use crate::model::{Answer, Unusable};

pub use decode::{MAX_SERIES, decode};

/// How long one question may take, the wait for its turn included.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(5);
/// How many questions are asked at the same time.
pub const DEFAULT_CONCURRENT: usize = 8;
/// The largest answer that is read, in bytes.
pub const MAX_BYTES: usize = 8 * 1024 * 1024;

/// Queries longer than this (in bytes) are posted: proxies limit URLs to 8 kB or less.
const LONGEST_IN_URL: usize = 1500;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// Why a Prometheus can't be asked at all.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConnectError {
    #[error("the Prometheus URL is not usable: {0}")]
    Url(String),
    #[error("the HTTP client can't be made: {0}")]
    Client(String),
}

/// One Prometheus server. Cheap to clone; clones share the bound on concurrency.
#[derive(Clone)]
pub struct Prometheus {
    client: Client,
    /// `scheme://host:port`, for messages: without credentials, path and query.
    name: Arc<str>,
    timeout: Duration,
    turns: Arc<Semaphore>,
}

impl std::fmt::Debug for Prometheus {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Prometheus").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Prometheus {
    /// Prepares to ask the server at `url` (which may carry a path prefix and
    /// credentials); nothing is sent. At most `max_concurrent` questions, and at
    /// least one, are asked at a time. A proxy is used only where the environment
    /// names one; redirects are not followed.
    pub fn connect(
        url: &str,
        timeout: Duration,
        max_concurrent: usize,
    ) -> Result<Self, ConnectError> {
        if rustls::crypto::CryptoProvider::get_default().is_none() {
            // reqwest panics without one.
            return Err(ConnectError::Client("no TLS provider is installed".into()));
        }
        let parsed = Url::parse(url).map_err(|e| ConnectError::Url(e.to_string()))?;
        let host = parsed.host_str().filter(|host| !host.is_empty());
        let (Some(host), "http" | "https") = (host, parsed.scheme()) else {
            return Err(ConnectError::Url("it needs to be http:// or https:// and a host".into()));
        };
        let port = parsed.port().map(|port| format!(":{port}")).unwrap_or_default();
        let name = format!("{}://{host}{port}", parsed.scheme()).into();
        let http = reqwest::Client::builder()
            .connect_timeout(CONNECT_TIMEOUT.min(timeout))
            .timeout(timeout)
            .redirect(redirect::Policy::none())
            .user_agent(concat!("deployguard/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|e| ConnectError::Client(root_cause(&e)))?;
        let client = Client::from(http, url.trim_end_matches('/'))
            .map_err(|e| ConnectError::Url(e.to_string()))?;
        let turns = Arc::new(Semaphore::new(max_concurrent.clamp(1, Semaphore::MAX_PERMITS)));
        Ok(Self { client, name, timeout, turns })
    }

    /// `scheme://host:port`: what messages call it. Never holds credentials.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Evaluates `promql` at `at`. Ends within the time-out after the wait for a
    /// turn: slow queries of one watch must not use up the time of another's. No series is `Ok` and empty.
    ///
    /// [`Unusable::Refused`]: Prometheus said no to the query, and will again.
    /// [`Unusable::Unreachable`]: it could not be asked, or what answered was not
    /// Prometheus; another try may succeed.
    pub async fn ask(&self, promql: &str, at: Timestamp) -> Answer {
        let closed = |_| Unusable::Unreachable(format!("{} is no longer asked", self.name));
        let _turn = self.turns.acquire().await.map_err(closed)?;
        let asked = tokio::time::timeout(self.timeout, self.fetch(promql, at)).await;
        let (status, body) = asked.unwrap_or_else(|_| Err(self.too_slow()))?;
        decode(&self.name, status, &body)
    }

    async fn fetch(&self, promql: &str, at: Timestamp) -> Result<(u16, Vec<u8>), Unusable> {
        let millis = i64::try_from(self.timeout.as_millis()).unwrap_or(i64::MAX);
        let query = self
            .client
            .query(promql)
            .timeout(millis)
            .query("time", format!("{}.{:03}", at.as_second(), at.subsec_millisecond().max(0)));
        let sent = if promql.len() > LONGEST_IN_URL {
            query.post_raw().await
        } else {
            query.get_raw().await
        };
        let mut response = sent.map_err(|error| self.not_sent(&error))?;
        let status = response.status();
        if status.is_redirection() {
            return Err(self.redirected(&response));
        }
        let body = self.read(&mut response).await?;
        Ok((status.as_u16(), body))
    }

    /// The body, up to [`MAX_BYTES`].
    async fn read(&self, response: &mut Response) -> Result<Vec<u8>, Unusable> {
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|e| self.broken(&e))? {
            if body.len() + chunk.len() > MAX_BYTES {
                return Err(Unusable::Refused(format!(
                    "{} answered more than {} MiB: the query needs an aggregation",
                    self.name,
                    MAX_BYTES / (1024 * 1024)
                )));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }

    fn not_sent(&self, error: &Error) -> Unusable {
        match error {
            Error::Client(client) => match client.inner() {
                Some(inner) => self.broken(inner),
                None => Unusable::Unreachable(format!("{}: {client}", self.name)),
            },
            other => Unusable::Unreachable(format!("{}: {other}", self.name)),
        }
    }

    /// Says what broke without reqwest's own words, which may hold the URL.
    fn broken(&self, error: &reqwest::Error) -> Unusable {
        if error.is_timeout() && !error.is_connect() {
            return self.too_slow();
        }
        let what = if error.is_connect() { "can't be reached" } else { "broke off" };
        Unusable::Unreachable(format!("{} {what}: {}", self.name, root_cause(error)))
    }

    fn too_slow(&self) -> Unusable {
        Unusable::Unreachable(format!("{} did not answer within {:?}", self.name, self.timeout))
    }

    fn redirected(&self, response: &Response) -> Unusable {
        let location = response.headers().get(reqwest::header::LOCATION);
        let target = location
            .and_then(|location| location.to_str().ok())
            .and_then(|location| response.url().join(location).ok())
            .and_then(|url| Some(format!(" to {}{}", url.host_str()?, url.path())))
            .unwrap_or_default();
        Unusable::Unreachable(format!(
            "{} answered {}{target}, which is not followed: is a proxy or login page in between?",
            self.name,
            response.status()
        ))
    }
}

/// The innermost cause: the only one whose words can't hold the URL.
fn root_cause(error: &reqwest::Error) -> String {
    let mut cause = error.source();
    while let Some(inner) = cause.and_then(|cause| cause.source()) {
        cause = Some(inner);
    }
    cause.map_or_else(|| "no reason given".to_owned(), ToString::to_string)
}

#[cfg(test)]
mod tests;
