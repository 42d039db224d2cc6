//! From a check to the queries that are asked, variables expanded.

use std::collections::BTreeMap;

use jiff::SignedDuration;

use super::selector::with_matcher;
use super::template::Template;
use super::{Check, Counted, Measure, Part, Policy};
use crate::model::{ArmRule, Ask, Births, Deployment, Question, Shape};

/// The label that Prometheus itself gives every instance that it scrapes.
pub const INSTANCE: &str = "instance";

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

    /// The same for another service.
    #[must_use]
    pub fn of_service(&self, name: &str) -> Self {
        let mut other = self.clone();
        other.0.insert("service".to_owned(), name.to_owned());
        other
    }

    fn get(&self, name: &str) -> &str {
        self.0.get(name).map_or("", String::as_str)
    }
}

impl Policy {
    /// What `check` asks its source about stretches of length `window`. Pure: the
    /// same arguments give the same question, so equal questions of several
    /// watches can share a request.
    ///
    /// `arms` and `births` are what is known of the deployment; without them the
    /// revisions are not told apart, and an instance that appears counts from
    /// its second sample on.
    pub fn question(
        &self,
        check: &Check,
        vars: &Vars,
        window: SignedDuration,
        arms: Option<ArmRule>,
        births: Option<Births>,
    ) -> Question {
        let expand = |text: &str| Template::of(text).expand(window, |name| vars.get(name));
        let select = |counter: &str| {
            let selector = expand(counter);
            Ask::Counter(match &self.labels.service {
                Some(label) => with_matcher(&selector, label, vars.get("service")),
                None => selector,
            })
        };
        let count = |counted: &Counted| match counted {
            Counted::Counter(counter) => select(counter),
            Counted::Query(query) => Ask::Query(expand(query)),
        };
        let (shape, asks) = match &check.measure {
            Measure::Ratio { part, of, total } => {
                let shape = match part {
                    Part::Bad => Shape::BadOfTotal,
                    Part::Good => Shape::GoodOfTotal,
                };
                (shape, vec![count(of), count(total)])
            }
            Measure::Latency { counter, .. } => (Shape::Histogram, vec![select(counter)]),
            Measure::Gauge { query, .. } | Measure::Status { query } => {
                (Shape::Gauge, vec![Ask::Query(expand(query))])
            }
        };
        let instance = self.labels.instance.clone().unwrap_or_else(|| INSTANCE.to_owned());
        let labels = self.labels.version.iter().chain([&instance]).cloned().collect();
        Question { shape, asks, arms, instance, births, labels }
    }
}
