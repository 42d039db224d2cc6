//! Prometheus, through its instant and range queries.

mod decode;
mod labels;

use std::error::Error as _;
use std::sync::Arc;
use std::time::Duration;

use prometheus_http_query::{Client, Error};
use reqwest::redirect;
use reqwest::{Response, Url};
use tokio::sync::Semaphore;

use super::asked::{Answered, Asked, Tally};
use super::counters::LOOKBACK_MS;
use super::track::{Fetched, Track};
use crate::model::{Ask, Ticks, Unusable};

pub use decode::{Fault, Kind, MAX_SERIES, decode};

/// What it is called where requests are counted.
pub(super) const KIND: &str = "prometheus";
/// How long one question may take, the wait for its turn included.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(5);
/// How many questions are asked at the same time.
pub const DEFAULT_CONCURRENT: usize = 8;
/// The largest answer that is read, in bytes.
pub const MAX_BYTES: usize = 8 * 1024 * 1024;

/// The most ticks that are asked for at once: Prometheus allows 11,000 points.
const MOST_TICKS: usize = 5_000;
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
    /// For range queries, whose times the client knows in whole seconds only.
    http: reqwest::Client,
    /// With the path prefix and credentials, where there are any.
    root: Url,
    /// `scheme://host:port`, for messages: without credentials, path and query.
    name: Arc<str>,
    timeout: Duration,
    turns: Arc<Semaphore>,
    tally: Tally,
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
        let odd = || ConnectError::Url("write it as http://HOST:9090".into());
        let mut root = Url::parse(url).map_err(|_| odd())?;
        let host = root.host_str().filter(|host| !host.is_empty());
        let (Some(host), "http" | "https") = (host, root.scheme()) else { return Err(odd()) };
        let port = root.port().map(|port| format!(":{port}")).unwrap_or_default();
        let name = format!("{}://{host}{port}", root.scheme()).into();
        let http = reqwest::Client::builder()
            .connect_timeout(CONNECT_TIMEOUT.min(timeout))
            .timeout(timeout)
            .redirect(redirect::Policy::none())
            .user_agent(concat!("deployguard/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|e| ConnectError::Client(root_cause(&e)))?;
        root.set_query(None);
        root.set_fragment(None);
        let turns = Arc::new(Semaphore::new(max_concurrent.clamp(1, Semaphore::MAX_PERMITS)));
        let client = Client::from(http.clone(), root.as_str().trim_end_matches('/'))
            .map_err(|e| ConnectError::Url(e.to_string()))?;
        Ok(Self { client, http, root, name, timeout, turns, tally: Tally::default() })
    }

    pub(super) fn tally(&self) -> &Tally {
        &self.tally
    }

    /// What was asked since the last time this was asked.
    pub fn take_asked(&self) -> Vec<Asked> {
        self.tally.take()
    }

    /// `scheme://host:port`: what messages call it. Never holds credentials.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Asks over `ticks`: of a query the value at each tick, of a counter the raw
    /// samples from its lookback before the first stretch on. No series is no
    /// failure. An answer that is too large is asked for in halves, down to one
    /// tick, unless that of a single tick is too large too: then all that is left is
    /// refused at once. Every request ends within the time-out, which begins at its turn:
    /// slow queries of one watch must not use up the time of another's.
    ///
    /// [`Unusable::Refused`]: Prometheus said no to the query, and will again.
    /// [`Unusable::Unreachable`]: it could not be asked, or what answered was not
    /// Prometheus; another try may succeed.
    pub async fn fetch(&self, ask: &Ask, ticks: Ticks) -> Fetched {
        let starts = (0..ticks.count).step_by(MOST_TICKS);
        let mut parts: Vec<_> =
            starts.map(|start| start..ticks.count.min(start + MOST_TICKS)).collect();
        parts.reverse();
        let (mut found, mut failed) = (Vec::new(), Vec::new());
        let mut is_split = false;
        while let Some(part) = parts.pop() {
            let why = match self.ask(ask, ticks.part(part.clone())).await {
                Ok(tracks) => {
                    found.push(tracks);
                    continue;
                }
                Err(Fault::Unusable(why)) => {
                    failed.push((part, why));
                    continue;
                }
                Err(Fault::TooLarge(why)) if part.len() == 1 => Some(why),
                Err(Fault::TooLarge(_)) if is_split => None,
                Err(Fault::TooLarge(_)) => self.too_large_at(ask, ticks, part.end - 1).await,
            };
            let Some(why) = why else {
                is_split = true;
                let middle = part.start + part.len() / 2;
                parts.extend([middle..part.end, part.start..middle]);
                continue;
            };
            let why = Unusable::Refused(format!("{why} (asked: {})", named(ask)));
            failed.extend(parts.drain(..).rev().map(|rest| (rest, why.clone())));
            failed.push((part, why));
        }
        Fetched { tracks: Fetched::join(found), failed }
    }

    /// Why the answer is too large at this one tick, if it is: no splitting helps then.
    async fn too_large_at(&self, ask: &Ask, ticks: Ticks, tick: usize) -> Option<String> {
        match self.ask(ask, ticks.part(tick..tick + 1)).await {
            Err(Fault::TooLarge(why)) => Some(why),
            Ok(_) | Err(Fault::Unusable(_)) => None,
        }
    }

    async fn ask(&self, ask: &Ask, ticks: Ticks) -> Result<Vec<Track>, Fault> {
        let asking = self.tally.begin(KIND);
        let answer = self.answered(ask, ticks).await;
        asking.ended(match &answer {
            Ok(_) => Answered::Ok,
            Err(Fault::TooLarge(_)) => Answered::Error,
            Err(Fault::Unusable(why)) => Answered::unusable(why),
        });
        answer
    }

    async fn answered(&self, ask: &Ask, ticks: Ticks) -> Result<Vec<Track>, Fault> {
        let closed = |_| Unusable::Unreachable(format!("{} is no longer asked", self.name));
        let _turn = self.turns.acquire().await.map_err(closed)?;
        let last = ticks.at_ms(ticks.count.saturating_sub(1));
        let answer = async {
            Ok::<_, Fault>(match ask {
                Ask::Query(query) if ticks.count == 1 => {
                    (Kind::Instant, self.answer(self.at(query, last).await?).await?)
                }
                Ask::Query(query) => {
                    (Kind::Range, self.answer(self.over(query, ticks).await?).await?)
                }
                Ask::Counter(selector) => {
                    // A range has its start in it before Prometheus 3, and not since.
                    let before = (LOOKBACK_MS + 1).saturating_add(ticks.step_ms());
                    let range = (last - ticks.at_ms(0)).saturating_add(before);
                    let raw = self.at(&format!("{selector}[{range}ms]"), last).await?;
                    (Kind::Range, self.answer(raw).await?)
                }
                Ask::Metric(_)
                | Ask::Alarms(_)
                | Ask::Tasks(_)
                | Ask::Health(_)
                | Ask::Json(_)
                | Ask::Logs(_)
                | Ask::Probe(_)
                | Ask::Beat(_)
                | Ask::Scraped(_) => {
                    return Err(Unusable::Refused("it is not asked of Prometheus".into()).into());
                }
            })
        };
        let asked = tokio::time::timeout(self.timeout, answer).await;
        let (kind, (status, body)) = asked.unwrap_or_else(|_| Err(self.too_slow().into()))?;
        decode(&self.name, kind, status, &body)
    }

    /// An instant query.
    async fn at(&self, query: &str, ms: i64) -> Result<Response, Unusable> {
        let millis = i64::try_from(self.timeout.as_millis()).unwrap_or(i64::MAX);
        let asked = self.client.query(query).timeout(millis).query("time", seconds(ms));
        let sent = if query.len() > LONGEST_IN_URL {
            asked.post_raw().await
        } else {
            asked.get_raw().await
        };
        sent.map_err(|error| match &error {
            Error::Client(client) => match client.inner() {
                Some(inner) => self.broken(inner),
                None => Unusable::Unreachable(format!("{}: {client}", self.name)),
            },
            other => Unusable::Unreachable(format!("{}: {other}", self.name)),
        })
    }

    /// A range query, to the millisecond.
    async fn over(&self, query: &str, ticks: Ticks) -> Result<Response, Unusable> {
        let last = ticks.at_ms(ticks.count.saturating_sub(1));
        let params = [
            ("query", query.to_owned()),
            ("timeout", format!("{}ms", self.timeout.as_millis())),
            ("start", seconds(ticks.at_ms(0))),
            ("end", seconds(last)),
            ("step", seconds(ticks.step_ms())),
        ];
        let mut url = self.root.clone();
        url.set_path(&format!("{}/api/v1/query_range", self.root.path().trim_end_matches('/')));
        let asked = if query.len() > LONGEST_IN_URL {
            self.http.post(url).form(&params)
        } else {
            self.http.get(url).query(&params)
        };
        asked.send().await.map_err(|error| self.broken(&error))
    }

    async fn answer(&self, mut response: Response) -> Result<(u16, Vec<u8>), Fault> {
        let status = response.status();
        if status.is_redirection() {
            return Err(self.redirected(&response).into());
        }
        let body = self.read(&mut response).await?;
        Ok((status.as_u16(), body))
    }

    /// The body, up to [`MAX_BYTES`].
    async fn read(&self, response: &mut Response) -> Result<Vec<u8>, Fault> {
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|e| self.broken(&e))? {
            if body.len() + chunk.len() > MAX_BYTES {
                return Err(Fault::TooLarge(format!(
                    "{} answered more than {} MiB: the query needs an aggregation",
                    self.name,
                    MAX_BYTES / (1024 * 1024)
                )));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
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

/// An ask in a message: enough of it to be found.
fn named(ask: &Ask) -> String {
    const MOST: usize = 200;
    let text = ask.to_string();
    let short: String = text.chars().take(MOST).collect();
    if short.len() < text.len() { format!("{short} ...") } else { short }
}

/// Milliseconds as Prometheus reads times and steps.
fn seconds(ms: i64) -> String {
    format!("{}.{:03}", ms.div_euclid(1000), ms.rem_euclid(1000))
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
