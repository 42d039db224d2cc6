//! From a check to the queries that are asked, variables expanded.

use std::collections::BTreeMap;

use jiff::SignedDuration;

use super::selector::with_matcher;
use super::template::Template;
use super::{Check, Counted, Measure, Part, Policy};
use crate::model::{Ask, Deployment, Question, Shape};

/// The variables of a query, by name (`service`, `labels.x`, ...). `${window}`
/// is not among them: it comes with the call.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Vars(BTreeMap<String, String>);

impl Vars {
    /// The variables of a deployment. What the deployment does not know is
    /// empty: its version before anybody announced it, its revision before the
    /// platform showed it.
    pub fn of(deployment: &Deployment) -> Self {
        let service = &deployment.service;
        let revision = deployment.revision.as_ref().map(|revision| revision.short().to_owned());
        let named = [
            ("service", Some(service.name.clone())),
            ("environment", Some(service.environment.clone())),
            ("cluster", Some(service.key.cluster.clone())),
            ("version", deployment.facts.version.clone()),
            ("revision", revision),
        ];
        let labels = deployment.facts.labels.iter();
        Self(
            named
                .into_iter()
                .filter_map(|(name, value)| Some((name.to_owned(), value?)))
                .chain(labels.map(|(name, value)| (format!("labels.{name}"), value.clone())))
                .collect(),
        )
    }

    fn get(&self, name: &str) -> &str {
        self.0.get(name).map_or("", String::as_str)
    }
}

impl Policy {
    /// What `check` asks about the whole `stretch` before a deployment, for its
    /// baseline: counts over all of it, the median of a gauge.
    pub fn question_before(
        &self,
        check: &Check,
        vars: &Vars,
        window: SignedDuration,
        stretch: SignedDuration,
    ) -> Question {
        match &check.measure {
            Measure::Ratio { .. } | Measure::Latency { .. } => self.question(check, vars, stretch),
            Measure::Gauge { .. } | Measure::Status { .. } => {
                let mut question = self.question(check, vars, window);
                let (stretch, step) = (stretch.as_secs().max(1), (stretch.as_secs() / 30).max(1));
                for ask in &mut question.asks {
                    if let Ask::Query(query) = ask {
                        *query = format!("quantile_over_time(0.5, ({query})[{stretch}s:{step}s])");
                    }
                }
                question
            }
        }
    }

    /// What `check` asks its source over the last `window`. Pure: the same
    /// arguments give the same question, so equal questions of several watches
    /// can share a request.
    pub fn question(&self, check: &Check, vars: &Vars, window: SignedDuration) -> Question {
        let expand = |text: &str| Template::of(text).expand(window, |name| vars.get(name));
        let select = |counter: &str| {
            let selector = expand(counter);
            match &self.labels.service {
                Some(label) => with_matcher(&selector, label, vars.get("service")),
                None => selector,
            }
        };
        // The range goes through the same writing as a `${window}` of a query.
        let increase =
            |selector: &str| format!("sum(increase({selector}{}))", expand("[${window}]"));
        let count = |counted: &Counted| match counted {
            Counted::Counter(counter) => increase(&select(counter)),
            Counted::Query(query) => expand(query),
        };
        match &check.measure {
            Measure::Ratio { part, of, total } => Question {
                shape: match part {
                    Part::Bad => Shape::BadOfTotal,
                    Part::Good => Shape::GoodOfTotal,
                },
                asks: vec![Ask::Query(count(of)), Ask::Query(count(total))],
                arms: None,
            },
            Measure::Latency { counter, .. } => {
                let range = expand("[${window}]");
                let buckets = format!("sum by (le) (increase({}{range}))", select(counter));
                Question { shape: Shape::Histogram, asks: vec![Ask::Query(buckets)], arms: None }
            }
            Measure::Gauge { query, .. } | Measure::Status { query } => {
                Question { shape: Shape::Gauge, asks: vec![Ask::Query(expand(query))], arms: None }
            }
        }
    }
}
