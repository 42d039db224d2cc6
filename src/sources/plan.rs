//! Many questions, few requests: what is due together is asked together, and
//! every distinct ask once.

use std::collections::HashMap;

use tokio::task::JoinSet;

use super::track::Fetched;
use super::{Sources, assemble};
use crate::model::{Ask, Measured, Question, ScrapedAsk, Ticks, Unusable};

/// A question that is due, and whose it is.
#[derive(Debug, Clone, PartialEq)]
pub struct Due<K> {
    /// Comes back beside what was measured.
    pub key: K,
    pub question: Question,
    /// The stretches to measure: their ends.
    pub ticks: Ticks,
}

/// One ask over a grid of ticks.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Request {
    pub ask: Ask,
    pub ticks: Ticks,
}

/// The fewest requests that answer everything due, and the way back. Cost grows
/// with distinct asks, not with watches.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan<K> {
    requests: Vec<Request>,
    /// Each with the places of its asks among the requests.
    due: Vec<(Due<K>, Vec<usize>)>,
}

impl<K> Plan<K> {
    /// Plans `due`: equal asks over the same ticks become one request.
    pub fn of(due: Vec<Due<K>>) -> Self {
        let mut requests = Vec::new();
        let mut places = HashMap::new();
        let mut place = |request: Request| {
            *places.entry(request).or_insert_with_key(|request| {
                requests.push(request.clone());
                requests.len() - 1
            })
        };
        let due = due
            .into_iter()
            .map(|one| {
                let asks = one.question.asks.iter().cloned();
                let ways = asks.map(|ask| place(Request { ask, ticks: one.ticks })).collect();
                (one, ways)
            })
            .collect();
        Self { requests, due }
    }

    /// What is to be asked, each once.
    pub fn requests(&self) -> &[Request] {
        &self.requests
    }

    /// What was measured, in the order in which the questions were due. `fetched`
    /// answers [`Plan::requests`], in its order; an answer that is missing leaves
    /// its questions without a measurement.
    pub fn measured(self, fetched: &[Fetched]) -> Vec<(K, Measured)> {
        self.due
            .into_iter()
            .map(|(Due { key, question, ticks }, ways)| {
                let missing = Fetched::failed(ticks, unasked());
                let own: Vec<_> =
                    ways.iter().map(|way| fetched.get(*way).unwrap_or(&missing)).collect();
                (key, assemble(&question, ticks, &own))
            })
            .collect()
    }
}

/// Measures everything that is due, each distinct ask once and as many at a time
/// as each of `sources` allows; answers in the order of `due`. What can't be had of some
/// ticks is an error of those alone.
///
/// All answers are in memory at once: over many ticks, measure
/// [`Ticks::chunks`] one after the other. Chunks add up to the same.
pub async fn measure<K>(sources: &Sources, due: Vec<Due<K>>) -> Vec<(K, Measured)> {
    let plan = Plan::of(due);
    let fetched = fetch(sources, plan.requests().to_vec()).await;
    plan.measured(&fetched)
}

/// The answers to `requests`, in their order. What goes to one source goes there together,
/// but for Prometheus, whose queries are requests of their own.
pub(super) async fn fetch(sources: &Sources, requests: Vec<Request>) -> Vec<Fetched> {
    let mut asking = JoinSet::new();
    let lost = |request: &Request| Fetched::failed(request.ticks, unasked());
    let mut fetched: Vec<Fetched> = requests.iter().map(lost).collect();
    let Shares { aws, tasks, logs, web, beats } =
        deal(sources, requests, &mut asking, &mut fetched);
    let mut unasked = Vec::new();
    match sources.cloudwatch.clone() {
        _ if aws.is_empty() => {}
        Some(source) => {
            asking.spawn(async move { aws.answered(source.fetch(&aws.requests).await) });
        }
        None => unasked.push((aws, no_source(sources, "aws"))),
    }
    match sources.tasks.clone() {
        _ if tasks.is_empty() => {}
        Some(source) => {
            asking.spawn(async move { tasks.answered(source.fetch(&tasks.requests).await) });
        }
        None => unasked.push((tasks, no_source(sources, "aws"))),
    }
    match sources.logs.clone() {
        _ if logs.is_empty() => {}
        Some(source) => {
            asking.spawn(async move { logs.answered(source.fetch(&logs.requests).await) });
        }
        None => unasked.push((logs, no_source(sources, "aws"))),
    }
    match sources.web.clone() {
        _ if web.is_empty() => {}
        Some(source) => {
            asking.spawn(async move { web.answered(source.fetch(&web.requests).await) });
        }
        None => unasked.push((web, no_source(sources, "outbound"))),
    }
    match sources.beats.clone() {
        _ if beats.is_empty() => {}
        Some(source) => {
            asking.spawn(async move { beats.answered(source.fetch(&beats.requests).await) });
        }
        None => unasked.push((beats, no_source(sources, "store"))),
    }
    for (share, why) in unasked {
        for (place, request) in share.places.into_iter().zip(share.requests) {
            fetched[place] = Fetched::failed(request.ticks, why.clone());
        }
    }
    while let Some(joined) = asking.join_next().await {
        match joined {
            Ok(answers) => answers.into_iter().for_each(|(place, one)| fetched[place] = one),
            Err(error) => tracing::error!(%error, "a query ended without an answer"),
        }
    }
    fetched
}

/// What goes to each source together.
#[derive(Default)]
struct Shares {
    aws: Share,
    tasks: Share,
    logs: Share,
    web: Share,
    beats: Share,
}

/// Deals out what is asked: queries begin at once, and what nobody waits for is answered.
fn deal(
    sources: &Sources,
    requests: Vec<Request>,
    asking: &mut JoinSet<Vec<(usize, Fetched)>>,
    fetched: &mut [Fetched],
) -> Shares {
    let mut shares = Shares::default();
    for (place, request) in requests.into_iter().enumerate() {
        match request.ask {
            Ask::Probe(_) => fetched[place] = probed(sources, &request),
            Ask::Metric(_) | Ask::Alarms(_) => shares.aws.add(place, request),
            Ask::Tasks(_) => shares.tasks.add(place, request),
            Ask::Logs(_) => shares.logs.add(place, request),
            Ask::Health(_) | Ask::Json(_) => shares.web.add(place, request),
            // Out of memory: nothing is waited for.
            Ask::Scraped(ref asked) => fetched[place] = read(sources, asked, request.ticks),
            Ask::Beat(_) => shares.beats.add(place, request),
            Ask::Query(_) | Ask::Counter(_) => {
                let Some(prometheus) = sources.prometheus.clone() else {
                    let why = no_source(sources, "prometheus");
                    fetched[place] = Fetched::failed(request.ticks, why);
                    continue;
                };
                asking.spawn(async move {
                    vec![(place, prometheus.fetch(&request.ask, request.ticks).await)]
                });
            }
        }
    }
    shares
}

fn read(sources: &Sources, asked: &ScrapedAsk, ticks: Ticks) -> Fetched {
    let why = || Fetched::failed(ticks, no_source(sources, "outbound"));
    sources.pages.as_ref().map_or_else(why, |pages| pages.fetch(asked, ticks))
}

/// Nothing to wait for: a probe is run beside this.
fn probed(sources: &Sources, request: &Request) -> Fetched {
    let why = || Fetched::failed(request.ticks, no_source(sources, "commands"));
    sources.prober.as_ref().map_or_else(why, |prober| prober.look(request))
}

/// What one source is asked for together, and the places of it.
#[derive(Default)]
struct Share {
    places: Vec<usize>,
    requests: Vec<Request>,
}

impl Share {
    fn add(&mut self, place: usize, request: Request) {
        self.places.push(place);
        self.requests.push(request);
    }

    fn is_empty(&self) -> bool {
        self.requests.is_empty()
    }

    fn answered(&self, answers: Vec<Fetched>) -> Vec<(usize, Fetched)> {
        self.places.iter().copied().zip(answers).collect()
    }
}

fn no_source(sources: &Sources, key: &str) -> Unusable {
    let named = || format!("the settings name no `{key}` to ask this of");
    Unusable::Refused(sources.none_because.clone().unwrap_or_else(named))
}

fn unasked() -> Unusable {
    Unusable::Unreachable("the query was not asked".into())
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, HashSet};

    use jiff::{SignedDuration, Timestamp};
    use proptest::prelude::*;

    use super::*;
    use crate::model::{Measurement, Shape};
    use crate::sources::Track;

    fn at(second: i64) -> Ticks {
        Ticks::once(Timestamp::from_second(second).unwrap(), SignedDuration::from_secs(1))
    }

    fn gauge(query: &str) -> Question {
        Question::plain(Shape::Gauge, vec![Ask::Query(query.to_owned())])
    }

    /// An answer that no other query at no other time has.
    fn own_answer(ask: &Ask, ticks: Ticks) -> f64 {
        let number: f64 = ask.to_string().trim_start_matches('q').parse().unwrap();
        f64::from(i32::try_from(ticks.first.as_second()).unwrap()) * 100.0 + number
    }

    proptest! {
        #[test]
        fn each_distinct_ask_is_asked_once_and_every_requester_gets_its_own_answer(
            wanted in prop::collection::vec((0_u32..6, 0_i64..3), 0..40)
        ) {
            let due: Vec<_> = wanted.iter().enumerate().map(|(key, (query, second))| {
                Due { key, question: gauge(&format!("q{query}")), ticks: at(*second) }
            }).collect();

            let plan = Plan::of(due);
            let distinct: HashSet<_> = wanted.iter().collect();
            prop_assert_eq!(plan.requests().len(), distinct.len());
            prop_assert_eq!(plan.requests().iter().collect::<HashSet<_>>().len(), distinct.len());

            let fetched: Vec<Fetched> = plan.requests().iter().map(|Request { ask, ticks }| {
                let samples = vec![(ticks.at_ms(0), own_answer(ask, *ticks))];
                let tracks = vec![Track { labels: BTreeMap::new(), samples }];
                Fetched { tracks, failed: Vec::new() }
            }).collect();
            let measured = plan.measured(&fetched);
            prop_assert_eq!(measured.len(), wanted.len());
            for ((key, measured), (place, (query, second))) in
                measured.iter().zip(wanted.iter().enumerate())
            {
                let value = own_answer(&Ask::Query(format!("q{query}")), at(*second));
                let values = BTreeMap::from([("value".to_owned(), value)]);
                prop_assert_eq!(*key, place);
                prop_assert_eq!(&measured.readings, &vec![Ok(Measurement::Gauge { values })]);
            }
        }
    }

    #[test]
    fn two_questions_share_the_ask_that_they_have_in_common() {
        let ratio = |bad: &str| Due {
            key: bad.to_owned(),
            question: Question::plain(
                Shape::BadOfTotal,
                vec![Ask::Counter(bad.into()), Ask::Counter("all".into())],
            ),
            ticks: at(7),
        };
        let plan = Plan::of(vec![ratio("errors"), ratio("timeouts")]);
        let asked: Vec<_> = plan.requests().iter().map(|request| request.ask.clone()).collect();
        assert_eq!(asked, ["errors", "all", "timeouts"].map(|text| Ask::Counter(text.into())));
    }

    #[test]
    fn an_answer_that_is_missing_is_never_a_measurement() {
        let plan = Plan::of(vec![Due { key: (), question: gauge("q"), ticks: at(7) }]);
        let measured = plan.measured(&[]);
        assert!(matches!(measured[0].1.readings[..], [Err(Unusable::Unreachable(_))]));
    }
}
