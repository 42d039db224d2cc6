//! From a check to the queries that are asked, variables expanded.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use super::selector::with_matcher;
use super::template::Template;
use super::{
    Check, Counted, Gauged, Health, Heartbeat, JsonValue, LogCount, Measure, Part, Policy, Probe,
    Proof, Scrape, Stated, Watched, WebText, plain,
};
use crate::model::{
    ALARM_BEFORE, AlarmsAsk, ArmRule, Ask, BESIDE, BeatAsk, Births, Deployment, Fold, HealthAsk,
    JsonAsk, LogsAsk, Metric, MetricAsk, MetricOf, MetricStat, Page, ProbeAsk, Question,
    ScrapedAsk, Service, Shape, TASK_STOP, TasksAsk, TasksOf, Wants,
};

/// The label that Prometheus itself gives every instance that it scrapes.
pub const INSTANCE: &str = "instance";

/// The variables of a query, by name (`service`, `labels.x`, ...). `${window}`
/// is not among them: it comes with the call.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Vars {
    values: BTreeMap<String, String>,
    /// Up to when what goes wrong is not the deployment's doing.
    since: Option<Timestamp>,
    /// When the deployment came into service.
    live: Option<Timestamp>,
    /// When the grace ends.
    clear: Option<Timestamp>,
    /// When the target of a rollback came into place.
    again: Option<Timestamp>,
    /// Whose tasks are in place.
    tasks: Option<TasksOf>,
}

impl Vars {
    /// The variables of a deployment. What the deployment does not know is
    /// empty: its version before anybody announced it, its revision before the
    /// platform showed it.
    pub fn of(deployment: &Deployment) -> Self {
        let service = &deployment.service;
        let revision = deployment.revision.as_ref().map(|revision| revision.last_part().to_owned());
        let named = [
            ("service", Some(service.name.clone())),
            ("environment", Some(service.environment.clone())),
            ("cluster", Some(service.key.cluster.clone())),
            ("version", deployment.facts.version.clone()),
            ("revision", revision),
        ];
        let labels = deployment.facts.labels.iter();
        let values = named
            .into_iter()
            .filter_map(|(name, value)| Some((name.to_owned(), value?)))
            .chain(labels.map(|(name, value)| (format!("labels.{name}"), value.clone())))
            .collect();
        let revision = deployment.revision.as_ref();
        let tasks = deployment.platform_id.as_ref().zip(revision).map(|(id, revision)| TasksOf {
            service: service.key.clone(),
            deployment: id.clone(),
            task_definition: revision.name.clone(),
        });
        Self { values, since: Some(deployment.baseline_end), tasks, ..Self::default() }
    }

    /// By name.
    pub fn values(&self) -> &BTreeMap<String, String> {
        &self.values
    }

    /// What is known of a service while nothing is deployed.
    pub fn of_named(service: &Service) -> Self {
        let named = [
            ("service", &service.name),
            ("environment", &service.environment),
            ("cluster", &service.key.cluster),
        ];
        let values = named.map(|(name, value)| (name.to_owned(), value.clone()));
        Self { values: BTreeMap::from(values), ..Self::default() }
    }

    /// The same, with the end of the grace.
    #[must_use]
    pub fn clear_from(self, clear: Option<Timestamp>) -> Self {
        Self { clear, ..self }
    }

    /// The same, with when the deployment came into service, and what a rollback of it put in
    /// its place.
    #[must_use]
    pub fn in_place(self, live: Option<Timestamp>, again: Option<Timestamp>) -> Self {
        Self { live, again, ..self }
    }

    /// The same with the tasks of another deployment: of the one that is in place after a
    /// rollback.
    #[must_use]
    pub fn with_tasks_of(self, deployment: &str, task_definition: &str) -> Self {
        let tasks = self.tasks.map(|tasks| TasksOf {
            deployment: deployment.to_owned(),
            task_definition: task_definition.to_owned(),
            ..tasks
        });
        Self { tasks, ..self }
    }

    /// The same for another service.
    #[must_use]
    pub fn of_service(&self, name: &str) -> Self {
        let mut other = self.clone();
        other.values.insert("service".to_owned(), name.to_owned());
        other
    }

    pub(super) fn get(&self, name: &str) -> &str {
        self.values.get(name).map_or("", String::as_str)
    }

    /// `metric` with every variable's value in its place.
    fn metric(&self, metric: &Metric, fold: Fold) -> Ask {
        let expand = |text: &String| plain::expand(text, |name| self.get(name));
        let stat = |stat: &MetricStat| MetricStat {
            dimensions: stat
                .dimensions
                .iter()
                .map(|(name, value)| (name.clone(), expand(value)))
                .collect(),
            ..stat.clone()
        };
        let of = match &metric.of {
            MetricOf::Statistic(one) => MetricOf::Statistic(stat(one)),
            MetricOf::Math { expression, metrics } => MetricOf::Math {
                expression: expression.clone(),
                metrics: metrics.iter().map(|(name, one)| (name.clone(), stat(one))).collect(),
            },
        };
        Ask::Metric(Box::new(MetricAsk { metric: Metric { of, ..metric.clone() }, fold }))
    }

    fn health(&self, health: &Health) -> Ask {
        let Health { web, expect, depends_on, version } = health.clone();
        let web = web.fill(SignedDuration::ZERO, |name| self.get(name));
        Ask::Health(Box::new(HealthAsk { web, expect, depends_on, version }))
    }

    fn probe(&self, check: &str, probe: &Probe) -> Ask {
        Ask::Probe(Box::new(ProbeAsk {
            check: check.to_owned(),
            of: probe.fill(|name| self.get(name)),
            every: probe.every,
            values: self.values.clone(),
            since: self.since,
            live: self.live,
            clear: self.clear,
            again: self.again,
        }))
    }

    fn scraped(&self, from: &Scrape, selector: String, wants: Wants) -> Ask {
        let page = |web: &WebText| Page {
            web: web.fill(SignedDuration::ZERO, |name| self.get(name)),
            each_address: from.each_address,
        };
        let pages = from.pages.iter().map(page).collect();
        Ask::Scraped(Box::new(ScrapedAsk { pages, every: from.every, selector, wants }))
    }

    fn heartbeat(&self, heartbeat: &Heartbeat) -> Ask {
        let Heartbeat { job, schedule, time_zone, late, misses } = heartbeat.clone();
        let (job, since) = (plain::expand(&job, |name| self.get(name)), self.since);
        Ask::Beat(Box::new(BeatAsk { job, schedule, time_zone, late, misses, since }))
    }

    fn json(&self, value: &JsonValue, window: SignedDuration) -> Ask {
        let JsonValue { web, path, count } = value.clone();
        let web = web.fill(window, |name| self.get(name));
        Ask::Json(Box::new(JsonAsk { web, path, count, window }))
    }
}

/// The label by which a source tells more than numbers.
fn own_label(asks: &[Ask]) -> Option<String> {
    match asks.first()? {
        Ask::Alarms(_) => Some(ALARM_BEFORE.to_owned()),
        Ask::Tasks(_) => Some(TASK_STOP.to_owned()),
        Ask::Health(_) | Ask::Logs(_) | Ask::Probe(_) | Ask::Beat(_) => Some(BESIDE.to_owned()),
        Ask::Query(_) | Ask::Counter(_) | Ask::Metric(_) | Ask::Json(_) | Ask::Scraped(_) => None,
    }
}

impl Policy {
    /// The scheduled jobs that its checks wait for, of the service that `vars` name.
    pub fn jobs(&self, vars: &Vars) -> impl Iterator<Item = String> {
        self.checks.iter().filter_map(|check| match &check.measure {
            Measure::Status { of: Stated::Heartbeat(heartbeat) } => {
                Some(plain::expand(&heartbeat.job, |name| vars.get(name)))
            }
            Measure::Status { .. }
            | Measure::Ratio { .. }
            | Measure::Latency { .. }
            | Measure::Gauge { .. } => None,
        })
    }

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
        let (shape, asks) = self.asks(check, vars, window);
        let instance = self.labels.instance.clone().unwrap_or_else(|| INSTANCE.to_owned());
        let labels = self
            .labels
            .version
            .iter()
            .chain([&instance])
            .cloned()
            .chain(own_label(&asks))
            .collect();
        Question { shape, asks, arms, instance, births, labels }
    }

    fn asks(&self, check: &Check, vars: &Vars, window: SignedDuration) -> (Shape, Vec<Ask>) {
        let expand = |text: &str| Template::of(text).expand(window, |name| vars.get(name));
        let select = |counter: &str| {
            let selector = expand(counter);
            let selector = match &self.labels.service {
                Some(label) => with_matcher(&selector, label, vars.get("service")),
                None => selector,
            };
            match &check.from {
                Some(from) => vars.scraped(from, selector, Wants::Samples),
                None => Ask::Counter(selector),
            }
        };
        let value = |query: &str| match &check.from {
            Some(from) => vars.scraped(from, expand(query), Wants::Values),
            None => Ask::Query(expand(query)),
        };
        let count = |counted: &Counted| match counted {
            Counted::Counter(counter) => select(counter),
            Counted::Query(query) => Ask::Query(expand(query)),
            Counted::Metric(metric) => vars.metric(metric, Fold::Each),
            Counted::Json(value) => vars.json(value, window),
        };
        match &check.measure {
            Measure::Ratio { part, of, total } => {
                let shape = match part {
                    Part::Bad => Shape::BadOfTotal,
                    Part::Good => Shape::GoodOfTotal,
                };
                (shape, vec![count(of), count(total)])
            }
            Measure::Latency { counter, .. } => (Shape::Histogram, vec![select(counter)]),
            Measure::Gauge { of: Gauged::Query(query), .. }
            | Measure::Status { of: Stated::Query(query) } => (Shape::Gauge, vec![value(query)]),
            Measure::Gauge { of: Gauged::Metric(watched), .. } => {
                watched_asks(watched, check.fold(), vars)
            }
            Measure::Gauge { of: Gauged::Tasks(gauge), .. } => {
                let ask = TasksAsk { gauge: *gauge, of: vars.tasks.clone() };
                (Shape::Gauge, vec![Ask::Tasks(Box::new(ask))])
            }
            Measure::Gauge { of: Gauged::Json(value), .. } => {
                (Shape::Gauge, vec![vars.json(value, window)])
            }
            Measure::Gauge { of: Gauged::Logs(LogCount { group, pattern }), .. } => {
                let group = plain::expand(group, |name| vars.get(name));
                (Shape::Gauge, vec![Ask::Logs(LogsAsk { group, pattern: pattern.clone(), window })])
            }
            Measure::Status { of: Stated::Http(health) } => {
                (Shape::Gauge, vec![vars.health(health)])
            }
            Measure::Status { of: Stated::Probe(probe) } => {
                (Shape::Gauge, vec![vars.probe(&check.name, probe)])
            }
            Measure::Status { of: Stated::Heartbeat(heartbeat) } => {
                (Shape::Gauge, vec![vars.heartbeat(heartbeat)])
            }
            Measure::Status { of: Stated::Alarms(names) } => {
                let named = |name: &String| plain::expand(name, |name| vars.get(name));
                let names = names.iter().map(named).collect();
                (
                    Shape::Gauge,
                    vec![Ask::Alarms(AlarmsAsk { names, since: vars.since, clear: vars.clear })],
                )
            }
        }
    }
}

/// A metric, and what is counted beside it.
fn watched_asks(watched: &Watched, fold: Fold, vars: &Vars) -> (Shape, Vec<Ask>) {
    let Watched { metric, beside } = watched;
    let value = vars.metric(metric, fold);
    let count = beside.as_ref().map(|beside| vars.metric(&beside.metric, Fold::Each));
    let shape = match beside.as_ref().map(|beside| beside.proves) {
        None => Shape::Gauge,
        Some(Proof::Zero) => Shape::GaugeBeside,
        Some(Proof::Events { least }) => Shape::GaugeOf { least },
    };
    (shape, [value].into_iter().chain(count).collect())
}
