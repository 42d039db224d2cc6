//! Health endpoints and JSON APIs.
//!
//! A tick's asks come here together, each distinct one once ([`super::plan`]). Each becomes a
//! request to [`Outbound`], which knows what may be asked and holds the secrets; the answer is
//! decoded purely (`health`, `json`) into series, as every other source gives them.
//!
//! What the answers come to:
//!
//! - **Health** is asked of now alone: at earlier ticks there is nothing new. That nobody
//!   answers is an answer, and the endpoint is down (`health` has the table). But a name that
//!   does not resolve is no data, and so is silence where two hosts or more were asked at the
//!   same moment and none answered: then it is the guard's own network that is lost.
//! - **JSON** whose request names the time can be asked of every tick, up to [`MOST_TICKS`] at
//!   a time; other of now alone. 429, 5xx, time-outs and lost connections are
//!   [`Unusable::Unreachable`]: no data now. What the settings don't allow, other codes,
//!   and what is no JSON or no number is [`Unusable::Refused`], in words.
//!
//! Nothing is retried: the next tick asks again.

mod health;
mod json;

use std::collections::BTreeSet;
use std::time::Duration;

use reqwest::Url;
use tokio::task::JoinSet;

use super::asked::{Answered, Tally};
use super::plan::Request as Due;
use super::track::Fetched;
use crate::model::{Ask, Filled, HealthAsk, Ticks, Unusable, WebAsk};
use crate::outbound::{Answer, Failure, Header, Method, Outbound, Request};

pub use health::Seen;

/// What they are called where requests are counted.
pub(super) const HEALTH: &str = "health";
pub(super) const JSON: &str = "json";
/// The longest that a policy may wait for an answer.
const LONGEST: Duration = Duration::from_secs(30);
/// Ticks of one ask that are answered; the newest.
const MOST_TICKS: usize = 60;
/// How long all requests of a moment may take beyond the longest of their time-outs: names
/// are looked up, and a host is asked for a few things at a time.
const GRACE: Duration = Duration::from_secs(6);

/// What is asked over HTTP. Cheap to clone; clones share what is counted.
#[derive(Debug, Clone)]
pub struct Web {
    way: Outbound,
    tally: Tally,
}

/// One request that is under way for a place and a tick.
struct Asked {
    place: usize,
    tick: usize,
    host: Option<String>,
    came: Result<Answer, Failure>,
}

impl Web {
    pub fn of(way: Outbound) -> Self {
        Self { way, tally: Tally::default() }
    }

    /// Whether the settings allow `url` to be asked.
    ///
    /// # Errors
    /// Why not, and what to do about it.
    pub fn allows(&self, url: &str) -> Result<(), String> {
        let url = Url::parse(url).map_err(|why| format!("it is no URL: {why}"))?;
        self.way.allowed().url(&url)
    }

    /// Whether the secret `name` can be sent to `url`.
    ///
    /// # Errors
    /// Why not, and what to do about it, without the secret.
    pub fn may_tell(&self, name: &str, url: &str) -> Result<(), String> {
        let url = Url::parse(url).map_err(|why| format!("it is no URL: {why}"))?;
        self.way.may_tell(name, &url)
    }

    /// The way out that it takes.
    pub fn way(&self) -> Outbound {
        self.way.clone()
    }

    pub(super) fn tally(&self) -> &Tally {
        &self.tally
    }

    /// Asks all of `requests`, as many at a time as the way out allows, and answers in their
    /// order. What is not asked of the web is refused.
    pub async fn fetch(&self, requests: &[Due]) -> Vec<Fetched> {
        let mut asking = JoinSet::new();
        for (place, Due { ask, ticks }) in requests.iter().enumerate() {
            let Some((source, web, window, has_past)) = parts(ask) else { continue };
            for tick in wanted(*ticks, has_past) {
                let until = ticks.part(tick..tick + 1).first;
                let request = request(web, until, window);
                let own = self.clone();
                asking.spawn(async move { own.ask(place, tick, source, request).await });
            }
        }
        let mut asked: Vec<Asked> = Vec::new();
        // Others wait for what is measured at the same moment.
        let deadline = tokio::time::Instant::now() + longest(requests) + GRACE;
        while let Ok(Some(joined)) = tokio::time::timeout_at(deadline, asking.join_next()).await {
            match joined {
                Ok(one) => asked.push(one),
                Err(error) => tracing::error!(%error, "a request ended without an answer"),
            }
        }
        own_network_is_lost(&mut asked);
        let answers = |place: usize| asked.iter().filter(move |one| one.place == place);
        let told = requests.iter().enumerate().map(|(place, Due { ask, ticks })| match ask {
            Ask::Health(ask) => {
                let came = answers(place).next().map(|one| &one.came);
                came.map_or_else(
                    || Fetched::failed(*ticks, unasked()),
                    |came| health::told(ask, *ticks, came),
                )
            }
            Ask::Json(ask) => {
                let came = answers(place).map(|one| (one.tick, &one.came));
                json::told(ask, *ticks, wanted(*ticks, ask.web.has_time()), came.collect())
            }
            Ask::Query(_)
            | Ask::Counter(_)
            | Ask::Metric(_)
            | Ask::Alarms(_)
            | Ask::Tasks(_)
            | Ask::Logs(_)
            | Ask::Probe(_)
            | Ask::Beat(_)
            | Ask::Scraped(_) => {
                let why = Unusable::Refused("it is not asked of the web".into());
                Fetched::failed(*ticks, why)
            }
        });
        told.collect()
    }

    /// What the endpoint's answer has at `now`; `None`: there is none.
    pub async fn seen(&self, ask: &HealthAsk, now: jiff::Timestamp) -> Option<Seen> {
        let request = request(&ask.web, now, jiff::SignedDuration::ZERO);
        self.way.send(&request).await.ok().map(|answer| health::seen(ask, &answer))
    }

    async fn ask(
        &self,
        place: usize,
        tick: usize,
        source: &'static str,
        request: Request,
    ) -> Asked {
        let host = Url::parse(&request.url).ok().and_then(|url| url.host_str().map(str::to_owned));
        let asking = self.tally.begin(source);
        let came = self.way.send(&request).await;
        asking.ended(match &came {
            Ok(answer) if (200..300).contains(&answer.status) => Answered::Ok,
            Ok(_) => Answered::Error,
            Err(failure) => failed(failure),
        });
        Asked { place, tick, host, came }
    }
}

/// How a request went that brought no answer of use.
pub(super) fn failed(failure: &Failure) -> Answered {
    match failure {
        Failure::Unusable(_) => Answered::Error,
        Failure::NoAnswer(_) | Failure::Unresolved(_) => Answered::Unreachable,
        Failure::Refused(_) => Answered::Refused,
    }
}

fn longest(requests: &[Due]) -> Duration {
    let all = requests.iter().filter_map(|one| parts(&one.ask));
    all.map(|(_, web, _, _)| time_out(web)).max().unwrap_or_default()
}

fn time_out(web: &WebAsk) -> Duration {
    Duration::try_from(web.timeout).unwrap_or_default().min(LONGEST)
}

fn unasked() -> Unusable {
    Unusable::Unreachable("there was no time left to ask it".into())
}

type Parts<'a> = (&'static str, &'a WebAsk, jiff::SignedDuration, bool);

fn parts(ask: &Ask) -> Option<Parts<'_>> {
    match ask {
        Ask::Health(ask) => Some((HEALTH, &ask.web, jiff::SignedDuration::ZERO, false)),
        Ask::Json(ask) => Some((JSON, &ask.web, ask.window, ask.web.has_time())),
        Ask::Query(_)
        | Ask::Counter(_)
        | Ask::Metric(_)
        | Ask::Alarms(_)
        | Ask::Tasks(_)
        | Ask::Logs(_)
        | Ask::Probe(_)
        | Ask::Beat(_)
        | Ask::Scraped(_) => None,
    }
}

/// The ticks that are asked about, by index.
fn wanted(ticks: Ticks, has_past: bool) -> std::ops::Range<usize> {
    ticks.count.saturating_sub(if has_past { MOST_TICKS } else { 1 })..ticks.count
}

pub(super) fn request(
    web: &WebAsk,
    until: jiff::Timestamp,
    window: jiff::SignedDuration,
) -> Request {
    let text = |filled: &Filled| -> String {
        // A secret stands in headers alone; elsewhere its name is all there is.
        filled.at(until, window).into_iter().map(Result::unwrap_or_default).collect()
    };
    let header = |(name, value): (&String, &Filled)| Header {
        name: name.clone(),
        value: value.at(until, window),
    };
    Request {
        method: if web.body.is_some() { Method::Post } else { Method::Get },
        url: text(&web.url),
        headers: web.headers.iter().map(header).collect(),
        body: web.body.as_ref().map(text),
        time_out: time_out(web),
    }
}

/// Where several hosts were asked and none answered it is not theirs that it is so.
fn own_network_is_lost(asked: &mut [Asked]) {
    let reached = |one: &Asked| matches!(one.came, Ok(_) | Err(Failure::Unusable(_)));
    let was_sent = |one: &&Asked| !matches!(one.came, Err(Failure::Refused(_)));
    let hosts: BTreeSet<String> =
        asked.iter().filter(was_sent).filter_map(|one| one.host.clone()).collect();
    if hosts.len() < 2 || asked.iter().any(reached) {
        return;
    }
    let count = hosts.len();
    for one in asked {
        if let Err(Failure::NoAnswer(why)) = &one.came {
            let why = format!("none of {count} hosts answers: the guard's own network? ({why})");
            one.came = Err(Failure::Unresolved(why));
        }
    }
}

#[cfg(test)]
mod tests;
