//! Pages of metrics, read by the guard itself: ratios, latencies and values for who has no
//! Prometheus.
//!
//! The engine reads each page that a policy names from its start on, once for all who want
//! it ([`Pages::want`], [`Pages::due`], [`Pages::read`]), and the samples are kept in memory:
//! all of the latest hours, one a minute of the day before. A question is answered out of
//! them at once ([`Pages::fetch`]), as Prometheus would answer it: raw samples of counters,
//! which [`super::counters`] differences, or the value at each tick. What is known is what
//! was read: a daemon that has just started has no past.
//!
//! - **Instances.** The series of a page that name no `instance` get one: `host:port`, or
//!   with `each_address` the address of each instance that the name leads to.
//! - **Ends.** As in Prometheus a series that is missing on a page that was read, and all
//!   series of a page that was not, end there: values don't outlive what they are about.
//! - **A page that can't be read is missing data.** Five minutes after it was last read the
//!   reason is the answer, for whatever asks for it; also where other pages are read, because
//!   a missing series of errors looks like none.
//! - **One process.** A page whose `process_start_time_seconds` falls is answered by several
//!   processes in turn, behind a load balancer: the differences of their counters would be
//!   made up. It is not used, and the reason says what to write. A page that does not have
//!   that series can't be told from one process.
//! - **Bounds.** Only the series of metrics that somebody asks for are kept, up to
//!   [`MOST_SERIES`] a page and [`MOST_OF_ALL`]: a page with more is not used at all, as half
//!   of one would lie.

mod kept;
mod state;
mod text;

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use promql_parser::label::Matcher;
use promql_parser::parser::{Expr, parse};
use reqwest::Url;

use super::counters::LOOKBACK_MS;
use super::track::{Fetched, Track};
use super::web::{Spent, request};
use crate::model::{Page, ScrapedAsk, Ticks, Unusable, Wants};
use crate::outbound::{Failure, Outbound, Reach, Request};
use state::{Read, State};

/// Series of one page, with those of its former instances, and of all pages.
const MOST_SERIES: usize = 2_000;
const MOST_OF_ALL: usize = 5_000;
/// The largest page that is read, in bytes.
const MOST_BYTES: usize = 8 * 1024 * 1024;
/// Pages that are read, and addresses of one.
const MOST_PAGES: usize = 200;
const MOST_ADDRESSES: usize = 50;
/// How long a page is read on that no policy names any more, and one that was asked for.
const NAMED_MS: i64 = 2 * 60 * 1000;
const ASKED_MS: i64 = 15 * 60 * 1000;
/// What a page is asked for; text, because that is what people see who open it.
const ACCEPT: &str = "text/plain;version=0.0.4, application/openmetrics-text;version=1.0.0;q=0.5, \
                      */*;q=0.1";

/// The pages, and what was read of them. Cheap to clone; clones share all.
#[derive(Debug, Clone)]
pub struct Pages {
    way: Outbound,
    inner: Arc<Mutex<BTreeMap<Page, State>>>,
}

/// What is wrong with a page, if anything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Condition {
    pub url: String,
    pub trouble: Option<String>,
}

impl Pages {
    pub fn of(way: Outbound) -> Self {
        Self { way, inner: Arc::default() }
    }

    /// Takes in which pages are wanted at `now`, and for which metrics. What was wanted before
    /// and is asked for no longer is forgotten.
    pub fn want<'a>(&self, asks: impl IntoIterator<Item = &'a ScrapedAsk>, now: Timestamp) {
        let now = now.as_millisecond();
        let mut all = self.all();
        for ask in asks {
            want(&mut all, ask, now, NAMED_MS);
        }
        all.retain(|_, state| state.wanted_until >= now);
    }

    /// The pages that are to be read at `now`.
    pub fn due(&self, now: Timestamp) -> Vec<Page> {
        let now = now.as_millisecond();
        let mut all = self.all();
        let due =
            all.iter_mut().filter_map(|(page, state)| state.is_due(now).then(|| page.clone()));
        due.collect()
    }

    /// How long nothing has to be read from `now` on.
    pub fn rest(&self, now: Timestamp) -> Duration {
        let next = self.all().values().map(|state| state.next).min();
        let rest = next.map(|next| next.saturating_sub(now.as_millisecond()));
        rest.map_or(Duration::MAX, |ms| Duration::from_millis(u64::try_from(ms).unwrap_or(0)))
    }

    /// Reads a page, at `now`, and how each request for it went.
    pub async fn read(&self, page: &Page, now: Timestamp) -> Vec<Spent> {
        let request = wished(page, now);
        let begun = tokio::time::Instant::now();
        let addresses: Vec<Option<IpAddr>> = if page.each_address {
            match self.way.addresses(&request.url).await {
                Ok(all) => all.into_iter().map(Some).collect(),
                Err(failure) => {
                    let spent = spent(&Err(failure.clone()), begun.elapsed());
                    self.keep(page, now, Err(unusable(&failure)));
                    return vec![spent];
                }
            }
        } else {
            vec![None]
        };
        if addresses.len() > MOST_ADDRESSES {
            let many = addresses.len();
            let why = format!("its name has {many} addresses, more than {MOST_ADDRESSES}");
            self.keep(page, now, Err(Unusable::Refused(why)));
            return Vec::new();
        }
        let mut asking = tokio::task::JoinSet::new();
        for only in addresses {
            let (way, request) = (self.way.clone(), request.clone());
            asking.spawn(async move {
                let begun = tokio::time::Instant::now();
                let reach = Reach { only, most_bytes: MOST_BYTES };
                let came = way.send_within(&request, reach).await;
                (instance(&request.url, only), came, begun.elapsed())
            });
        }
        let (mut read, mut all_spent) = (Vec::new(), Vec::new());
        let wanted = self.all().get(page).map(|state| state.metrics.clone()).unwrap_or_default();
        while let Some(joined) = asking.join_next().await {
            let Ok((instance, came, took)) = joined else { continue };
            all_spent.push(spent(&came.as_ref().map(|one| one.status).map_err(Clone::clone), took));
            let samples = match came {
                Ok(answer) if answer.status == 200 => {
                    text::samples(&answer.body, |name| wanted.takes(name))
                        .map_err(Unusable::Refused)
                }
                Ok(answer) => Err(Unusable::Unreachable(format!("it answers {}", answer.status))),
                Err(failure) => Err(unusable(&failure)),
            };
            read.push(Read { instance, samples });
        }
        self.keep(page, now, Ok(read));
        all_spent
    }

    fn keep(&self, page: &Page, now: Timestamp, read: Result<Vec<Read>, Unusable>) {
        let mut all = self.all();
        let others: usize =
            all.iter().filter(|(one, _)| *one != page).map(|(_, state)| state.series()).sum();
        if let Some(state) = all.get_mut(page) {
            let room = MOST_SERIES.min(MOST_OF_ALL.saturating_sub(others));
            state.keep(now.as_millisecond(), read, room);
        }
    }

    /// What each page that is wanted is like.
    pub fn conditions(&self) -> Vec<Condition> {
        let told = |(page, state): (&Page, &State)| Condition {
            url: page.to_string(),
            trouble: state.trouble.as_ref().map(ToString::to_string),
        };
        self.all().iter().map(told).collect()
    }

    /// Answers out of what was read; what is asked for is read from now on.
    pub fn fetch(&self, ask: &ScrapedAsk, ticks: Ticks) -> Fetched {
        let matchers = match matchers(&ask.selector) {
            Ok(matchers) => matchers,
            Err(why) => return Fetched::failed(ticks, Unusable::Refused(why)),
        };
        let last = ticks.at_ms(ticks.count.saturating_sub(1));
        let first = ticks.at_ms(0).saturating_sub(LOOKBACK_MS).saturating_sub(ticks.step_ms());
        let mut all = self.all();
        want(&mut all, ask, last, ASKED_MS);
        let pages = || ask.pages.iter().filter_map(|page| Some((page, all.get(page)?)));
        let mut tracks = Vec::new();
        for (labels, kept) in pages().flat_map(|(_, state)| state.all_series()) {
            let label = |name: &str| labels.get(name).map_or("", String::as_str);
            if !matchers.iter().all(|one| one.is_match(label(&one.name))) {
                continue;
            }
            let samples = match ask.wants {
                Wants::Samples => kept.between(first, last),
                Wants::Values => (0..ticks.count)
                    .filter_map(|tick| {
                        let at = ticks.at_ms(tick);
                        Some((at, kept.value(at, LOOKBACK_MS)?))
                    })
                    .collect(),
            };
            if !samples.is_empty() {
                tracks.push(Track { labels: labels.clone(), samples });
            }
        }
        let why_not =
            |tick: usize| pages().find_map(|(page, state)| state.why_not(page, ticks.at_ms(tick)));
        let failed = (0..ticks.count).filter_map(|tick| Some((tick..tick + 1, why_not(tick)?)));
        Fetched { tracks, failed: failed.collect() }
    }

    fn all(&self) -> MutexGuard<'_, BTreeMap<Page, State>> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn want(all: &mut BTreeMap<Page, State>, ask: &ScrapedAsk, now: i64, keep: i64) {
    let every = i64::try_from(ask.every.as_millis()).unwrap_or(i64::MAX);
    for page in &ask.pages {
        if all.len() >= MOST_PAGES && !all.contains_key(page) {
            tracing::error!(%page, "more than {MOST_PAGES} pages of metrics: it is not read");
            continue;
        }
        let state = all.entry(page.clone()).or_insert_with(|| State::new(now));
        state.every = if state.every == 0 { every } else { state.every.min(every) };
        state.wanted_until = state.wanted_until.max(now.saturating_add(keep));
        state.metrics.add(&ask.selector);
    }
}

/// The matchers of a plain selector, that of the metric's name among them.
fn matchers(selector: &str) -> Result<Vec<Matcher>, String> {
    let odd = |why: String| format!("`{selector}` is no selector: {why}");
    match parse(selector).map_err(|why| odd(why.trim().to_owned()))? {
        Expr::VectorSelector(selector) => {
            let name = selector
                .name
                .map(|name| Matcher::new(promql_parser::label::MatchOp::Equal, "__name__", &name));
            Ok(name.into_iter().chain(selector.matchers.matchers).collect())
        }
        _ => Err(odd("it computes".to_owned())),
    }
}

fn wished(page: &Page, now: Timestamp) -> Request {
    let mut request = request(&page.web, now, SignedDuration::ZERO);
    if !request.headers.iter().any(|one| one.name.eq_ignore_ascii_case("accept")) {
        let value = vec![Ok(ACCEPT.to_owned())];
        request.headers.push(crate::outbound::Header { name: "accept".to_owned(), value });
    }
    request
}

/// `host:port`, by the address if there is one.
fn instance(url: &str, only: Option<IpAddr>) -> String {
    let Ok(url) = Url::parse(url) else { return String::new() };
    let port = url.port_or_known_default().unwrap_or_default();
    match only {
        Some(address) => SocketAddr::new(address, port).to_string(),
        None => format!("{}:{port}", url.host_str().unwrap_or_default()),
    }
}

fn unusable(failure: &Failure) -> Unusable {
    match failure {
        Failure::Refused(why) => Unusable::Refused(why.clone()),
        Failure::Unresolved(why) | Failure::NoAnswer(why) | Failure::Unusable(why) => {
            Unusable::Unreachable(why.clone())
        }
    }
}

fn spent(came: &Result<u16, Failure>, took: Duration) -> Spent {
    let result = match came {
        Ok(200) => "ok",
        Ok(_) | Err(Failure::Unusable(_)) => "error",
        Err(Failure::NoAnswer(_) | Failure::Unresolved(_)) => "unanswered",
        Err(Failure::Refused(_)) => "refused",
    };
    Spent { source: "scrape", result, took }
}

/// The metrics that somebody asks for.
#[derive(Debug, Clone, Default)]
struct Metrics {
    names: BTreeSet<String>,
    /// A selector names none.
    all: bool,
}

impl Metrics {
    fn add(&mut self, selector: &str) {
        let Ok(matchers) = matchers(selector) else { return };
        let is_name = |one: &&Matcher| {
            one.name == "__name__" && one.op == promql_parser::label::MatchOp::Equal
        };
        match matchers.iter().find(is_name) {
            Some(name) => drop(self.names.insert(name.value.clone())),
            None => self.all = true,
        }
    }

    fn takes(&self, name: &str) -> bool {
        self.all || name == state::STARTED || self.names.contains(name)
    }
}

#[cfg(test)]
mod tests;
