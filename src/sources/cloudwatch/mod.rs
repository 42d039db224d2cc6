//! CloudWatch, through `GetMetricData` and `DescribeAlarms`.
//!
//! All that is due at one moment is asked together (`calls`): a call takes up to 500
//! metrics, and each is billed. What the answers come to:
//!
//! - `Complete` without a data point is [`Unusable::Empty`]: no data, unless the shape of the
//!   question says that it is a zero.
//! - `PartialData` at the last page, `InternalError`, throttling, time-outs and 5xx are
//!   [`Unusable::Unreachable`]: no data now, and another try may succeed.
//! - `Forbidden`, a missing permission and what CloudWatch calls invalid are
//!   [`Unusable::Refused`]. A call that is refused for one of its metrics is asked again in
//!   halves, so that the others are not lost with it.

mod alarms;
mod calls;
mod decode;
mod probe;
mod survey;

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_sdk_cloudwatch::Client;
use aws_sdk_cloudwatch::config::timeout::TimeoutConfig;
use aws_sdk_cloudwatch::primitives::DateTime;
use aws_sdk_cloudwatch::types::{MetricDataQuery, ScanBy};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use self::calls::{Call, Wanted};
use self::decode::Results;
use super::asked::{Answered, Tally};
use super::plan::Request;
use super::track::Fetched;
use crate::aws::{Account, Fault};
use crate::model::{AlarmsAsk, Ask, MetricAsk, Ticks, Unusable};

/// What it is called where requests are counted.
pub(super) const KIND: &str = "cloudwatch";
/// A try of a call, and the call with its tries: a tick waits for nothing longer.
const ATTEMPT: Duration = Duration::from_secs(4);
const OPERATION: Duration = Duration::from_secs(9);
/// Calls under way at once; an account has 50 a second.
const AT_ONCE: usize = 4;
/// Until when everything that is asked for together has to be answered.
const DEADLINE: Duration = Duration::from_secs(15);
/// How long a metric that was called invalid is not asked for, and how many are known.
const REFUSED_FOR: Duration = Duration::from_mins(10);
const MOST_REFUSED: usize = 1_000;
/// Pages of one answer that are read.
const MOST_PAGES: usize = 50;

/// CloudWatch in one account and region. Cheap to clone; clones share what is counted.
#[derive(Clone)]
pub struct CloudWatch {
    client: Client,
    turns: Arc<Semaphore>,
    asked: Arc<Counters>,
    tally: Tally,
    /// Why the latest call failed, if it did.
    trouble: Arc<Mutex<Option<String>>>,
    /// What CloudWatch has called invalid, until when that is believed, and why.
    refused: Arc<Mutex<Refusals>>,
}

type Refusals = HashMap<MetricAsk, (tokio::time::Instant, Unusable)>;

/// What was asked and not told yet.
#[derive(Debug, Default)]
struct Counters {
    metrics: AtomicU64,
    calls: AtomicU64,
}

/// What was asked of CloudWatch.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Spent {
    /// Metrics in `GetMetricData`: what is billed.
    pub metrics: u64,
    /// Requests of any kind.
    pub calls: u64,
}

impl fmt::Debug for CloudWatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CloudWatch").field("asked", &self.asked).finish_non_exhaustive()
    }
}

impl CloudWatch {
    /// CloudWatch of this account. Nothing is sent.
    pub fn of(account: &Account) -> Self {
        let timeouts = TimeoutConfig::builder()
            .operation_attempt_timeout(ATTEMPT)
            .operation_timeout(OPERATION)
            .build();
        let config = aws_sdk_cloudwatch::config::Builder::from(account.config());
        let client = Client::from_conf(config.timeout_config(timeouts).build());
        Self {
            client,
            turns: Arc::new(Semaphore::new(AT_ONCE)),
            asked: Arc::default(),
            tally: Tally::default(),
            refused: Arc::default(),
            trouble: Arc::default(),
        }
    }

    /// Why CloudWatch could not be asked lately; `None`: it could.
    pub fn trouble(&self) -> Option<String> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn tally(&self) -> &Tally {
        &self.tally
    }

    /// Takes down how a call went. What was wrong with the question is nobody's trouble.
    fn note<T>(&self, answer: &Result<T, Fault>) {
        let failed = match answer {
            Err(fault) if is_invalid(fault) => return,
            Err(fault) => Some(fault.words.clone()),
            Ok(_) => None,
        };
        *self.trouble.lock().unwrap_or_else(PoisonError::into_inner) = failed;
    }

    /// What was asked since the last time this was asked.
    pub fn take_spent(&self) -> Spent {
        Spent {
            metrics: self.asked.metrics.swap(0, Ordering::Relaxed),
            calls: self.asked.calls.swap(0, Ordering::Relaxed),
        }
    }

    /// Asks all of `requests` in as few calls as CloudWatch allows, and answers in their
    /// order. What is not CloudWatch's is refused.
    pub async fn fetch(&self, requests: &[Request]) -> Vec<Fetched> {
        let unasked = || Unusable::Refused("it is not asked of CloudWatch".into());
        let mut fetched: Vec<Fetched> =
            requests.iter().map(|one| Fetched::failed(one.ticks, unasked())).collect();
        let mut wanted = Vec::new();
        let mut alarms: Vec<(usize, &AlarmsAsk, Ticks)> = Vec::new();
        for (place, Request { ask, ticks }) in requests.iter().enumerate() {
            match ask {
                Ask::Metric(ask) => match self.known_refusal(ask) {
                    Some(why) => fetched[place] = Fetched::failed(*ticks, why),
                    None => wanted.push(Wanted { place, ask: (**ask).clone(), ticks: *ticks }),
                },
                Ask::Alarms(ask) => alarms.push((place, ask, *ticks)),
                Ask::Query(_)
                | Ask::Counter(_)
                | Ask::Tasks(_)
                | Ask::Health(_)
                | Ask::Json(_)
                | Ask::Logs(_)
                | Ask::Probe(_)
                | Ask::Beat(_)
                | Ask::Scraped(_) => {}
            }
        }
        let mut asking = JoinSet::new();
        for call in calls::plan(wanted) {
            let this = self.clone();
            asking.spawn(async move { this.ask(call).await });
        }
        if !alarms.is_empty() {
            let states = self.states(alarms.iter().map(|(_, ask, _)| *ask)).await;
            for (place, ask, ticks) in alarms {
                fetched[place] = alarms::told(ask, ticks, &states);
            }
        }
        let late = || Unusable::Unreachable("CloudWatch did not answer in time".into());
        let deadline = tokio::time::Instant::now() + DEADLINE;
        loop {
            match tokio::time::timeout_at(deadline, asking.join_next()).await {
                Ok(Some(Ok(answers))) => {
                    for (place, one) in answers {
                        fetched[place] = one;
                    }
                }
                Ok(Some(Err(error))) => tracing::error!(%error, "a call ended without an answer"),
                Ok(None) => return fetched,
                // Others wait for what is measured at the same moment.
                Err(_) => break,
            }
        }
        for (one, Request { ask, ticks }) in fetched.iter_mut().zip(requests) {
            let is_unasked = one.failed.iter().any(|(_, why)| *why == unasked());
            if is_unasked && ask.promql().is_none() {
                *one = Fetched::failed(*ticks, late());
            }
        }
        fetched
    }

    /// Why `ask` need not be asked: a value is missing in it, or CloudWatch has called it
    /// invalid lately, and with it all that was asked beside it.
    fn known_refusal(&self, ask: &MetricAsk) -> Option<Unusable> {
        let dimensions = ask.metric.stats().flat_map(|stat| &stat.dimensions);
        if let Some((name, _)) = { dimensions }.find(|(_, value)| value.is_empty()) {
            let why =
                format!("the dimension {name} is empty: the deployment announced no label for it");
            return Some(Unusable::Refused(why));
        }
        let mut refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        let now = tokio::time::Instant::now();
        refused.retain(|_, (until, _)| now < *until);
        refused.get(ask).map(|(_, why)| why.clone())
    }

    fn refuse(&self, ask: &MetricAsk, why: &Unusable) {
        let mut refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        if refused.len() < MOST_REFUSED {
            let until = tokio::time::Instant::now() + REFUSED_FOR;
            refused.insert(ask.clone(), (until, why.clone()));
        }
    }

    /// The answers to all that a call is made for, by its place.
    async fn ask(&self, call: Call) -> Vec<(usize, Fetched)> {
        let mut calls = vec![call];
        let mut answers = Vec::new();
        while let Some(call) = calls.pop() {
            match self.pages(&call).await {
                Ok(results) => answers.extend(call.answers(&results)),
                Err(fault) if is_invalid(&fault) && call.wanted.len() > 1 => {
                    calls.extend(call.halves());
                }
                Err(fault) => {
                    if let (true, [only]) = (is_invalid(&fault), &call.wanted[..]) {
                        self.refuse(&only.ask, &unusable(&fault));
                    }
                    let failed = call
                        .wanted
                        .iter()
                        .map(|one| (one.place, Fetched::failed(one.ticks, unusable(&fault))));
                    answers.extend(failed);
                }
            }
        }
        answers
    }

    async fn pages(&self, call: &Call) -> Result<Results, Fault> {
        const NAME: &str = "GetMetricData";
        let queries: Vec<MetricDataQuery> = call.queries.iter().filter_map(calls::query).collect();
        let mut results = Results::default();
        let mut token = None;
        for _ in 0..MOST_PAGES {
            let asking = self.tally.begin(KIND);
            let Ok(_turn) = self.turns.acquire().await else { break };
            let first = token.is_none();
            let sent = self
                .client
                .get_metric_data()
                .set_metric_data_queries(Some(queries.clone()))
                .start_time(DateTime::from_secs(call.start))
                .end_time(DateTime::from_secs(call.end))
                .scan_by(ScanBy::TimestampAscending)
                .set_next_token(token.take())
                .send()
                .await;
            // What is refused is not billed, and of several pages the metrics are once.
            self.count(if first && sent.is_ok() { call.billed() } else { 0 });
            let sent = sent.map_err(|error| Fault::of(NAME, &error));
            asking.ended(Answered::call(&sent));
            self.note(&sent);
            let answer = sent?;
            token = answer.next_token().map(str::to_owned).filter(|token| !token.is_empty());
            results.take(answer.metric_data_results());
            if token.is_none() {
                return Ok(results);
            }
        }
        Err(Fault::odd(NAME, "the answer has no end"))
    }

    /// The alarms of these names.
    async fn states<'a>(
        &self,
        asks: impl Iterator<Item = &'a AlarmsAsk>,
    ) -> Result<alarms::States, Fault> {
        let mut names: Vec<String> = asks.flat_map(|ask| ask.names.iter().cloned()).collect();
        names.sort_unstable();
        names.dedup();
        let mut states = HashMap::new();
        for part in names.chunks(alarms::AT_ONCE) {
            self.count(0);
            let asking = self.tally.begin(KIND);
            let sent = alarms::question(&self.client, part).send().await;
            let sent = sent.map_err(|error| Fault::of("DescribeAlarms", &error));
            asking.ended(Answered::call(&sent));
            self.note(&sent);
            let answer = sent?;
            states.extend(alarms::read(&answer));
        }
        Ok(states)
    }

    fn count(&self, metrics: u64) {
        self.asked.calls.fetch_add(1, Ordering::Relaxed);
        self.asked.metrics.fetch_add(metrics, Ordering::Relaxed);
    }
}

/// Whether the call was refused for what it asks, and not for who asks.
fn is_invalid(fault: &Fault) -> bool {
    let codes = ["ValidationError", "ValidationException", "InvalidParameterValue"];
    let more = [
        "InvalidParameterCombination",
        "InvalidParameterValueException",
        "InvalidParameterCombinationException",
    ];
    codes.iter().chain(&more).any(|code| fault.is(code))
}

/// What asking all of `requests` at once takes: calls of `GetMetricData`, and the metrics in
/// them.
pub fn price(requests: &[Request]) -> Spent {
    let wanted =
        requests.iter().enumerate().filter_map(|(place, Request { ask, ticks })| match ask {
            Ask::Metric(ask) => Some(Wanted { place, ask: (**ask).clone(), ticks: *ticks }),
            Ask::Query(_)
            | Ask::Counter(_)
            | Ask::Alarms(_)
            | Ask::Tasks(_)
            | Ask::Health(_)
            | Ask::Json(_)
            | Ask::Logs(_)
            | Ask::Probe(_)
            | Ask::Beat(_)
            | Ask::Scraped(_) => None,
        });
    let calls = calls::plan(wanted.collect());
    Spent { metrics: calls.iter().map(Call::billed).sum(), calls: calls.len() as u64 }
}

fn unusable(fault: &Fault) -> Unusable {
    let words = fault.words.clone();
    if fault.is_transient() { Unusable::Unreachable(words) } else { Unusable::Refused(words) }
}

#[cfg(test)]
mod tests;
