//! Counts of events in CloudWatch Logs, by a filter pattern.
//!
//! `FilterLogEvents` is asked for the whole time that an ask's ticks look back over, and what
//! it finds is counted into their stretches here: a stretch of the past costs as many calls as
//! one sample. Only times are looked at; the text of an event is dropped where it is read.
//!
//! Where so many events are found that not all are read, what was read is the oldest of them:
//! it says nothing of the newest stretch, which is asked for once more by itself.
//!
//! Events are there some seconds after they were logged. Stretches overlap, so what comes late
//! is counted by the next samples.
//!
//! | answer | reading |
//! | --- | --- |
//! | all pages read | the number of events in each stretch |
//! | so many events that no more are read | at least so many, which is told beside it; of earlier stretches no data |
//! | pages without an end | no data: a metric filter is what counts so large a log |
//! | throttled, no answer in time | no data now |
//! | no such group, not allowed, a pattern that is none | no data, in words |

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::asked::{Answered, Tally};
use super::plan::Request;
use super::track::{Fetched, Track};
use crate::aws::{Account, Fault};
use crate::model::{Ask, BESIDE, LogsAsk, Ticks, Unusable};

/// What it is called where requests are counted.
pub(super) const KIND: &str = "logs";
/// For one ask with all its pages: others wait for it.
const PATIENCE: Duration = Duration::from_secs(10);
const MOST_PAGES: usize = 10;
/// Events that are counted of one answer: more are as bad.
const ENOUGH: usize = 10_000;
/// Asks under way at once: an account may make five calls a second.
const AT_ONCE: usize = 2;

/// The logs of one account and region. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Logs {
    client: aws_sdk_cloudwatchlogs::Client,
    turns: Arc<Semaphore>,
    tally: Tally,
}

/// The times of what was found, in milliseconds since the epoch.
#[derive(Debug, Clone)]
struct Found {
    times: Vec<i64>,
    /// Whether there is more.
    is_cut: bool,
}

impl Logs {
    pub fn of(account: &Account) -> Self {
        Self {
            client: aws_sdk_cloudwatchlogs::Client::new(account.config()),
            turns: Arc::new(Semaphore::new(AT_ONCE)),
            tally: Tally::default(),
        }
    }

    pub(super) fn tally(&self) -> &Tally {
        &self.tally
    }

    /// Answers the requests, in their order.
    pub async fn fetch(&self, requests: &[Request]) -> Vec<Fetched> {
        let late = || {
            let why = format!("no answer of CloudWatch Logs within {} s", PATIENCE.as_secs());
            Unusable::Unreachable(why)
        };
        let mut fetched: Vec<Fetched> =
            requests.iter().map(|one| Fetched::failed(one.ticks, late())).collect();
        let mut asking = JoinSet::new();
        for (place, Request { ask, ticks }) in requests.iter().enumerate() {
            let Ask::Logs(ask) = ask else { continue };
            let (own, ask, ticks) = (self.clone(), ask.clone(), *ticks);
            asking.spawn(async move { (place, own.count(&ask, ticks).await) });
        }
        let deadline = tokio::time::Instant::now() + PATIENCE;
        while let Ok(Some(joined)) = tokio::time::timeout_at(deadline, asking.join_next()).await {
            match joined {
                Ok((place, answer)) => fetched[place] = answer,
                Err(error) => tracing::error!(%error, "a count ended without an answer"),
            }
        }
        fetched
    }

    async fn count(&self, ask: &LogsAsk, ticks: Ticks) -> Fetched {
        let Some(last) = ticks.count.checked_sub(1) else { return Fetched::default() };
        let window = i64::try_from(ask.window.as_millis()).unwrap_or(i64::MAX);
        let since = |tick: usize| ticks.at_ms(tick).saturating_sub(window);
        let until = ticks.at_ms(last);
        let all = self.find(ask, since(0), until).await;
        let newest = match &all {
            // In a flood the oldest are found, and what happens now is asked for by itself.
            Ok(Found { is_cut: true, .. }) | Err(Unusable::Refused(_)) if last > 0 => {
                self.find(ask, since(last), until).await
            }
            all => all.clone(),
        };
        let is_cut = newest.as_ref().is_ok_and(|found| found.is_cut);
        let mut failed = Vec::new();
        let mut samples = Vec::new();
        for tick in 0..ticks.count {
            let found = match if tick == last { &newest } else { &all } {
                Ok(found) => found,
                Err(why) => {
                    failed.push((tick..tick + 1, why.clone()));
                    continue;
                }
            };
            // Where not all was read, only what is not after the last of it is counted whole.
            let end = ticks.at_ms(tick);
            let known = found.times.iter().max().filter(|_| found.is_cut);
            if tick < last && known.is_some_and(|known| *known < end) {
                let why = format!("more than {ENOUGH} events: not all were read");
                failed.push((tick..tick + 1, Unusable::Unreachable(why)));
                continue;
            }
            let inside = |time: &&i64| **time > since(tick) && **time <= end;
            let count = found.times.iter().filter(inside).count();
            samples.push((end, f64::from(u32::try_from(count).unwrap_or(u32::MAX))));
        }
        let beside = is_cut.then(|| Track {
            labels: BTreeMap::from([(
                BESIDE.to_owned(),
                format!("at least: after {ENOUGH} events no more are read"),
            )]),
            samples: Vec::new(),
        });
        let tracks = [Track { labels: BTreeMap::new(), samples }].into_iter().chain(beside);
        Fetched { tracks: tracks.collect(), failed }
    }

    async fn find(&self, ask: &LogsAsk, since: i64, until: i64) -> Result<Found, Unusable> {
        let (mut times, mut token) = (Vec::new(), None);
        for _ in 0..MOST_PAGES {
            let asking = self.tally.begin(KIND);
            let Ok(_turn) = self.turns.acquire().await else { break };
            let asked = self.client.filter_log_events().log_group_name(&ask.group);
            let asked = asked.filter_pattern(&ask.pattern).start_time(since).end_time(until);
            let sent = asked.set_next_token(token.take()).send().await;
            let sent = sent.map_err(|e| Fault::of("FilterLogEvents", &e));
            asking.ended(Answered::call(&sent));
            let page = sent.map_err(|fault| unusable(ask, fault))?;
            times.extend(
                page.events()
                    .iter()
                    .filter_map(aws_sdk_cloudwatchlogs::types::FilteredLogEvent::timestamp),
            );
            token = page.next_token.filter(|token| !token.is_empty());
            if times.len() >= ENOUGH || token.is_none() {
                return Ok(Found { times, is_cut: token.is_some() });
            }
        }
        let why = format!(
            "{ask}: at least {} events, and more than {MOST_PAGES} pages to search: count them \
             with a metric filter, and measure that with `cloudwatch`",
            times.len()
        );
        Err(Unusable::Refused(why))
    }
}

fn unusable(ask: &LogsAsk, fault: Fault) -> Unusable {
    if fault.is("ResourceNotFoundException") {
        let why = format!(
            "there is no log group {}: is its name right, and is it in this account and region?",
            ask.group
        );
        return Unusable::Refused(why);
    }
    if fault.is_transient() {
        Unusable::Unreachable(fault.words)
    } else {
        Unusable::Refused(format!("{} (it needs logs:FilterLogEvents)", fault.words))
    }
}

#[cfg(test)]
mod tests {
    use jiff::{SignedDuration, Timestamp};

    use super::*;
    use crate::aws::AccountSettings;

    #[tokio::test]
    async fn a_turn_that_is_waited_for_belongs_to_the_request_that_it_is_for() {
        let region = Some("eu-west-1".to_owned());
        let account =
            Account::connect(AccountSettings { region, ..AccountSettings::default() }).await;
        let logs = Logs::of(&account);
        let all = u32::try_from(AT_ONCE).unwrap();
        let _others = logs.turns.clone().acquire_many_owned(all).await.unwrap();
        let window = SignedDuration::from_secs(10);
        let ask = LogsAsk { group: "/ecs/api".into(), pattern: "ERROR".into(), window };
        tokio::time::pause();
        let ticks = Ticks::once(Timestamp::from_second(2_000).unwrap(), window);
        let counting = tokio::time::timeout(Duration::from_secs(3), logs.count(&ask, ticks));
        assert!(counting.await.is_err());
        let told = logs.tally().take();
        let told: Vec<_> = told.iter().map(|one| (one.result, one.took.as_secs())).collect();
        assert_eq!(told, [(Answered::Unreachable, 3)]);
    }
}
