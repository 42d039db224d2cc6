//! Labels that a policy's queries ask for (`${labels.NAME}`) and that nobody announced.
//!
//! An empty label is no label: PromQL would find the series that have none, which are
//! others. So a check that lacks one is not asked at all, measures nothing, and that is
//! said: to whoever announces the deployment, in its thread and on its card. What comes
//! with a later announcement is measured from then on, its past included.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::words::list;
use super::{Said, Stage, Watch};
use crate::judge::{Baseline, CheckState};
use crate::model::{Metric, Reply, Tone};
use crate::policy::{Check, Counted, Gauged, Measure, Policy, Stated, Step};

/// A label that was not announced, and the checks that can't be measured without it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Unlabelled {
    pub label: String,
    pub checks: Vec<String>,
}

impl fmt::Display for Unlabelled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "without the label `{}` these are blind: {}", self.label, list(&self.checks))
    }
}

/// What stands between `${` and `}` in the queries of a check.
pub fn variables(check: &Check) -> BTreeSet<&str> {
    let texts = match &check.measure {
        Measure::Ratio { of, total, .. } => [of, total].into_iter().flat_map(counted).collect(),
        Measure::Latency { counter, .. } => vec![counter.as_str()],
        Measure::Gauge { of: Gauged::Query(query), .. }
        | Measure::Status { of: Stated::Query(query) } => vec![query.as_str()],
        Measure::Gauge { of: Gauged::Metric(watched), .. } => {
            let beside = watched.beside.as_ref().map(|beside| &beside.metric);
            [&watched.metric].into_iter().chain(beside).flat_map(values).collect()
        }
        Measure::Gauge { of: Gauged::Tasks(_), .. }
        | Measure::Status { of: Stated::Heartbeat(_) } => Vec::new(),
        Measure::Gauge { of: Gauged::Json(value), .. } => value.web.texts().collect(),
        Measure::Status { of: Stated::Http(health) } => health.web.texts().collect(),
        Measure::Gauge { of: Gauged::Logs(count), .. } => vec![count.group.as_str()],
        Measure::Status { of: Stated::Probe(probe) } => {
            probe.steps().iter().flat_map(Step::texts).collect()
        }
        Measure::Status { of: Stated::Alarms(names) } => names.iter().map(String::as_str).collect(),
    };
    let named = texts.into_iter().flat_map(|text| text.split("${").skip(1));
    named.filter_map(|rest| Some(rest.split_once('}')?.0)).collect()
}

fn counted(counted: &Counted) -> Vec<&str> {
    match counted {
        Counted::Counter(text) | Counted::Query(text) => vec![text],
        Counted::Metric(metric) => values(metric),
        Counted::Json(value) => value.web.texts().collect(),
    }
}

/// The values of a metric's dimensions: where variables stand.
fn values(metric: &Metric) -> Vec<&str> {
    metric.stats().flat_map(|stat| stat.dimensions.values()).map(String::as_str).collect()
}

/// The labels that a check needs and `labels` does not have.
pub fn lacking<'a>(check: &'a Check, labels: &BTreeMap<String, String>) -> Vec<&'a str> {
    let has = |name: &str| labels.get(name).is_some_and(|value| !value.trim().is_empty());
    let wanted = variables(check).into_iter().filter_map(|name| name.strip_prefix("labels."));
    wanted.filter(|name| !has(name)).collect()
}

/// The labels that `policy` needs and `labels` does not have.
pub fn unlabelled(policy: &Policy, labels: &BTreeMap<String, String>) -> Vec<Unlabelled> {
    let mut blind: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for check in &policy.checks {
        for label in lacking(check, labels) {
            blind.entry(label).or_default().push(check.name.clone());
        }
    }
    let all = blind.into_iter();
    all.map(|(label, checks)| Unlabelled { label: label.to_owned(), checks }).collect()
}

impl Watch {
    /// The labels that the policy needs and nobody announced.
    pub fn unlabelled(&self) -> Vec<Unlabelled> {
        unlabelled(self.policy(), &self.deployment.facts.labels)
    }

    /// Why nothing is asked for `check`, where it lacks a label.
    pub fn unasked(&self, check: &Check) -> Option<String> {
        let lacking = lacking(check, &self.deployment.facts.labels);
        let named: Vec<String> = lacking.into_iter().map(|name| format!("`{name}`")).collect();
        let label = if named.len() == 1 { "label" } else { "labels" };
        (!named.is_empty()).then(|| format!("not announced: the {label} {}", list(&named)))
    }

    /// Says which checks are blind: as soon as somebody has announced the deployment, or
    /// when its first task is in service and nobody has.
    pub(super) fn tell_unlabelled(&mut self, now: Timestamp, said: &mut Said) {
        let waits = self.announcement.is_none() && matches!(self.stage, Stage::Starting);
        let blind = self.unlabelled();
        if blind.is_empty() || waits {
            return;
        }
        let names: Vec<String> = blind.iter().map(|one| one.label.clone()).collect();
        let topic = format!("{TOPIC}{}", names.join(", "));
        self.reply_once(&topic, now, |watch| watch.say_unlabelled(&blind), said);
    }

    /// What lacked a label until now is measured from now on, and its past is asked for.
    /// `before`: what was blind before the announcement.
    pub(super) fn labelled(&mut self, before: &[Unlabelled], now: Timestamp, said: &mut Said) {
        let blind = |all: &[Unlabelled]| -> BTreeSet<String> {
            all.iter().flat_map(|one| one.checks.clone()).collect()
        };
        let now_blind = blind(&self.unlabelled());
        let seeing: Vec<String> = blind(before).difference(&now_blind).cloned().collect();
        for name in &seeing {
            if let Some(state) = self.checks.get_mut(name) {
                ask_past_again(state);
            }
            // Nothing was asked, so nothing was learned of it.
            self.before.remove(name);
        }
        let told = self.told.iter().any(|topic| topic.starts_with(TOPIC));
        if told && !seeing.is_empty() {
            let headline = format!(
                "{}: the labels came; measured from now on: {}",
                self.title(),
                list(&seeing)
            );
            let reply = self.plain(Tone::Quiet, headline);
            self.reply(now, reply, said);
        }
        self.tell_unlabelled(now, said);
    }

    fn say_unlabelled(&self, blind: &[Unlabelled]) -> Reply {
        let names: Vec<String> = blind.iter().map(|one| format!("`{}`", one.label)).collect();
        let checks: BTreeSet<&String> = blind.iter().flat_map(|one| &one.checks).collect();
        let checks = if checks.len() == 1 {
            "a check is".to_owned()
        } else {
            format!("{} checks are", checks.len())
        };
        let label = if names.len() == 1 { "the label" } else { "the labels" };
        let headline = format!(
            "{}: {checks} blind, because nobody announced {label} {}",
            self.title(),
            list(&names)
        );
        let mut lines: Vec<String> = blind.iter().map(ToString::to_string).collect();
        let given: Vec<String> =
            blind.iter().map(|one| format!("\"{}\": \"...\"", one.label)).collect();
        lines.push(match &self.announcement {
            Some(one) => format!(
                "{} was announced without; let the pipeline send labels: {{ {} }}",
                one.id,
                given.join(", ")
            ),
            None => format!(
                "nobody announced the deployment; POST /hooks/deployments with labels: {{ {} }}",
                given.join(", ")
            ),
        });
        Reply { lines, ..self.plain(Tone::Warn, headline) }
    }

    /// The checks that lack a label, for the card.
    pub(super) fn unlabelled_in_words(&self) -> Option<String> {
        let blind: Vec<String> = self.unlabelled().iter().map(ToString::to_string).collect();
        (!blind.is_empty() && self.is_open()).then(|| blind.join("; "))
    }
}

/// How the topics of what was said begin.
const TOPIC: &str = "unlabelled: ";

/// Nothing could be asked about its past: whatever has no baseline waits for one again.
fn ask_past_again(state: &mut CheckState) {
    let own = state.baselines.values_mut();
    let of_controls = state.controls.values_mut().map(|control| &mut control.baseline);
    for baseline in own.chain(of_controls) {
        match baseline {
            Baseline::Missing { .. } => *baseline = Baseline::Pending,
            Baseline::Pending | Baseline::Measured(_) => {}
        }
    }
    state.transients = None;
}
