//! Many questions, few requests: what is due together is asked together, and
//! every distinct query once.

use std::collections::HashMap;

use jiff::Timestamp;
use tokio::task::JoinSet;

use super::{Prometheus, assemble};
use crate::model::{Answer, Question, Reading, Unusable};

/// A question that is due, and whose it is.
#[derive(Debug, Clone, PartialEq)]
pub struct Due<K> {
    /// Comes back beside the reading.
    pub key: K,
    pub question: Question,
    /// The time the queries are evaluated at.
    pub at: Timestamp,
}

/// One request: PromQL, and the time it is evaluated at.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Ask {
    pub promql: String,
    pub at: Timestamp,
}

/// The fewest requests that answer everything due, and the way back. Cost grows
/// with distinct queries, not with watches.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan<K> {
    asks: Vec<Ask>,
    /// Each with the places of its queries among the asks.
    due: Vec<(Due<K>, Vec<usize>)>,
}

impl<K> Plan<K> {
    /// Plans `due`: equal queries at the same time become one request.
    pub fn of(due: Vec<Due<K>>) -> Self {
        let mut asks = Vec::new();
        let mut places = HashMap::new();
        let mut place = |ask: Ask| {
            *places.entry(ask).or_insert_with_key(|ask| {
                asks.push(ask.clone());
                asks.len() - 1
            })
        };
        let due = due
            .into_iter()
            .map(|one| {
                let asks = one.question.asks.iter();
                let ways = asks.map(|ask| place(Ask { promql: promql(ask), at: one.at })).collect();
                (one, ways)
            })
            .collect();
        Self { asks, due }
    }

    /// What is to be asked, each once.
    pub fn asks(&self) -> &[Ask] {
        &self.asks
    }

    /// The readings, in the order in which their questions were due. `answers`
    /// are those to [`Plan::asks`], in its order; one that is missing leaves its
    /// questions without a measurement.
    pub fn readings(self, answers: &[Answer]) -> Vec<(K, Reading)> {
        let unasked = || Err(Unusable::Unreachable("the query was not asked".into()));
        self.due
            .into_iter()
            .map(|(due, ways)| {
                let own = ways.iter().map(|way| answers.get(*way).cloned().unwrap_or_else(unasked));
                let own: Vec<Answer> = own.collect();
                (due.key, assemble(&due.question, &own))
            })
            .collect()
    }
}

/// Asks everything that is due, each distinct query once and as many at a time
/// as `source` allows, and answers in the order of `due`. Takes no longer than
/// the source's time-out; what was not answered by then is
/// [`Unusable::Unreachable`].
pub async fn measure<K>(source: &Prometheus, due: Vec<Due<K>>) -> Vec<(K, Reading)> {
    let plan = Plan::of(due);
    let mut asking = JoinSet::new();
    for (place, ask) in plan.asks().iter().cloned().enumerate() {
        let source = source.clone();
        asking.spawn(async move { (place, source.ask(&ask.promql, ask.at).await) });
    }
    let lost = || Err(Unusable::Unreachable("the query was given up".into()));
    let mut answers: Vec<Answer> = plan.asks().iter().map(|_| lost()).collect();
    while let Some(joined) = asking.join_next().await {
        match joined {
            Ok((place, answer)) => answers[place] = answer,
            Err(error) => tracing::error!(%error, "a query ended without an answer"),
        }
    }
    plan.readings(&answers)
}

fn promql(ask: &crate::model::Ask) -> String {
    match ask {
        crate::model::Ask::Query(query) => query.clone(),
        crate::model::Ask::Counter(selector) => selector.clone(),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, HashSet};

    use proptest::prelude::*;

    use super::*;
    use crate::model::{self, Measurement, SeriesValue, Shape};

    fn second(at: i64) -> Timestamp {
        Timestamp::from_second(at).unwrap()
    }

    /// An answer that no other query at no other time has.
    fn own_answer(ask: &Ask) -> f64 {
        let number: f64 = ask.promql.trim_start_matches('q').parse().unwrap();
        f64::from(i32::try_from(ask.at.as_second()).unwrap()) * 100.0 + number
    }

    proptest! {
        #[test]
        fn each_distinct_query_is_asked_once_and_every_requester_gets_its_own_answer(
            wanted in prop::collection::vec((0_u32..6, 0_i64..3), 0..40)
        ) {
            let due: Vec<_> = wanted.iter().enumerate().map(|(key, (query, at))| Due {
                key,
                question: Question { shape: Shape::Gauge, asks: vec![model::Ask::Query(format!("q{query}"))], arms: None },
                at: second(*at),
            }).collect();

            let plan = Plan::of(due);
            let distinct: HashSet<_> = wanted.iter().collect();
            prop_assert_eq!(plan.asks().len(), distinct.len());
            prop_assert_eq!(plan.asks().iter().collect::<HashSet<_>>().len(), distinct.len());

            let answers: Vec<Answer> = plan.asks().iter().map(|ask| {
                Ok(vec![SeriesValue { labels: BTreeMap::new(), value: own_answer(ask) }])
            }).collect();
            let readings = plan.readings(&answers);
            prop_assert_eq!(readings.len(), wanted.len());
            for ((key, reading), (place, (query, at))) in readings.iter().zip(wanted.iter().enumerate()) {
                let value = own_answer(&Ask { promql: format!("q{query}"), at: second(*at) });
                let values = BTreeMap::from([("value".to_owned(), value)]);
                prop_assert_eq!(*key, place);
                prop_assert_eq!(reading, &Ok(Measurement::Gauge { values }));
            }
        }
    }

    #[test]
    fn two_questions_share_the_query_that_they_have_in_common() {
        let ratio = |bad: &str| Due {
            key: bad.to_owned(),
            question: Question {
                shape: Shape::BadOfTotal,
                asks: vec![model::Ask::Query(bad.into()), model::Ask::Query("all".into())],
                arms: None,
            },
            at: second(7),
        };
        let plan = Plan::of(vec![ratio("errors"), ratio("timeouts")]);
        let asked: Vec<_> = plan.asks().iter().map(|ask| ask.promql.as_str()).collect();
        assert_eq!(asked, ["errors", "all", "timeouts"]);
    }

    #[test]
    fn an_answer_that_is_missing_is_never_a_measurement() {
        let question =
            Question { shape: Shape::Gauge, asks: vec![model::Ask::Query("q".into())], arms: None };
        let plan = Plan::of(vec![Due { key: (), question, at: second(7) }]);
        assert!(matches!(plan.readings(&[]).as_slice(), [((), Err(Unusable::Unreachable(_)))]));
    }
}
