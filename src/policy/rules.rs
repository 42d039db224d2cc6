//! A policy after reading: every value in base units, every default filled in.
//!
//! Nothing here knows YAML. A running watch keeps its policy in this form, so a
//! later edit of the file changes nothing for it but the mode.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use jiff::SignedDuration;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::aside::{DatabaseRule, GitHubRule};
use super::gate::Gate;
use super::quiet::Hours;
use super::{Gauged, Measure, Scrape};
use crate::model::{Actuator, MaintenanceHooks, Mode, Recipient, Severity};

/// How the services that it matches are guarded.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Policy {
    pub name: String,
    pub environment: String,
    #[serde(rename = "match")]
    pub matches: Match,
    /// A ceiling on what the guard may do.
    pub mode: Mode,
    pub labels: LabelNames,
    /// In order of `until`; never empty. The last one's end is the watch's.
    pub phases: Vec<Phase>,
    #[serde(default)]
    pub moved_by: MovedBy,
    /// After the first new task is in service, before evidence counts.
    pub grace: SignedDuration,
    /// In the file's order; names are unique.
    pub checks: Vec<Check>,
    pub actions: Actions,
    /// How long a check may be without data before people are told.
    pub no_data_notify_after: SignedDuration,
    /// The share (0-1) of each check's due samples that must have been
    /// measured for the watch to end as `passed`.
    pub min_coverage: f64,
    #[serde(default)]
    pub low_traffic: LowTraffic,
    /// The chance (0-1) per deployment that the sequential evidence rolls back
    /// or asks about a deployment that changed nothing.
    #[serde(default = "one_in_a_hundred")]
    pub false_rollbacks: f64,
    /// Services on the same cluster, by their exact names, that show what is
    /// not this deployment's doing (the control). Empty: the other guarded ones.
    #[serde(default)]
    pub peers: Vec<String>,
    /// Services that this one needs: if one broke first, it is not this
    /// deployment's doing. Exact names, on the same cluster.
    #[serde(default)]
    pub depends_on: Vec<String>,
    pub rollback: RollbackRule,
    pub notify: NotifyRule,
    /// Asked before a deployment: no watch keeps it.
    #[serde(skip)]
    pub gate: Gate,
}

/// For watches that were stored before the policy said it.
fn one_in_a_hundred() -> f64 {
    0.01
}

/// Which services a policy guards. Patterns are globs over whole names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Match {
    /// The settings' name of an account and region; `None`: any.
    pub target: Option<String>,
    pub cluster: String,
    pub service: String,
}

/// The series' label for each of these, where the series carry one.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LabelNames {
    /// Added with the service's name to every `counter:` selector.
    pub service: Option<String>,
    pub version: Option<String>,
    pub instance: Option<String>,
}

/// A stretch of a watch with its own cadence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Phase {
    pub name: String,
    /// End, counted from the first new task in service.
    pub until: SignedDuration,
    /// Time from one sample to the next.
    pub interval: SignedDuration,
    /// The share of the traffic, in percent, that the deployment has in it, where the
    /// platform routes by weight.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight: Option<u8>,
}

/// Who moves the traffic of a canary from phase to phase.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MovedBy {
    /// It waits for a phase by `deployguard wait --until`.
    #[default]
    Pipeline,
    /// In mode auto.
    Deployguard,
}

/// What a check that never had enough traffic means for the end of a watch.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LowTraffic {
    /// It is said, and no obstacle to `passed`.
    #[default]
    Pass,
    /// The watch ends as inconclusive.
    Inconclusive,
}

/// One measured thing with its limits.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Check {
    pub name: String,
    pub measure: Measure,
    /// Inside it a check is healthy, whatever its baseline says.
    pub normal: Option<Bound>,
    /// From the worst severity on.
    pub breach: BTreeMap<Severity, Limit>,
    pub baseline: Option<BaselineRule>,
    /// Only of a gauge.
    #[serde(default)]
    pub leak: Option<LeakRule>,
    /// Events in the window below which the verdict is `low_traffic`; only for
    /// ratios and latencies.
    pub min_traffic: f64,
    /// The stretch that one sample looks back over. `None`: the phase's
    /// interval, but at least a minute.
    pub window: Option<SignedDuration>,
    /// Pages that its counters and values are read from, instead of a Prometheus.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Box<Scrape>>,
    /// Until it has once been answered in a watch, it is left aside there: whether it can be
    /// measured at all nobody promises.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub optional: bool,
}

/// The unit that a check's numbers are in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// 0-1, written in percent.
    Ratio,
    Seconds,
    Bytes,
    /// A bare number.
    Number,
    /// How many samples running were down.
    Failures,
}

/// `> 5%`: the values on that side of it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Bound {
    pub side: Side,
    /// In base units: ratio 0-1, seconds, bytes.
    pub value: f64,
    pub unit: Unit,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Side {
    #[serde(rename = ">")]
    Above,
    #[serde(rename = ">=")]
    AtLeast,
    #[serde(rename = "<")]
    Below,
    #[serde(rename = "<=")]
    AtMost,
}

/// A bound that must hold for a time before it is a breach.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Limit {
    pub bound: Bound,
    /// `for 5m`. `None`: what the evidence says, three samples at least.
    pub hold: Option<SignedDuration>,
}

/// When a check is worse than before.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BaselineRule {
    pub against: Vec<Against>,
    /// `2x`: a breach is a value this many times as bad.
    pub worse_by: f64,
    /// The severity of a baseline breach.
    pub severity: Severity,
}

/// What a baseline is measured on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Against {
    /// The stretch just before the roll-out began.
    Before,
    /// The same hour on earlier days.
    SameHour,
    /// The same time a week before.
    LastWeek,
    /// The old revision at the same time, where labels tell the two apart.
    OldRevision,
    /// The policy's peers at the same time.
    Peers,
}

/// When a check that worsens steadily is a leak: it will be at `wall` within
/// `within`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct LeakRule {
    /// In the check's unit.
    pub wall: f64,
    pub within: SignedDuration,
    pub severity: Severity,
}

/// What is done about a breach.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Actions {
    /// For each severity; a severity that is missing only notifies.
    pub by_severity: BTreeMap<Severity, Action>,
    /// After this long in service, a rollback is asked for instead of done.
    pub ask_after: Option<SignedDuration>,
    /// The longest that a person may hold a decision.
    #[serde(default = "hold")]
    pub hold: SignedDuration,
}

fn hold() -> SignedDuration {
    SignedDuration::from_mins(15)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    Rollback,
    Ask { wait: SignedDuration, on_timeout: OnTimeout },
    Notify,
}

/// What follows when nobody answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnTimeout {
    /// Page people again; nothing else.
    Escalate,
    /// Roll back, where the mode allows it.
    Rollback,
}

/// How a rollback chooses its target and what follows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RollbackRule {
    /// The phase at whose end a revision is provisionally known-good.
    pub known_good_after: String,
    /// A known-good revision older than this is no target.
    pub max_age: SignedDuration,
    pub fallback: Fallback,
    /// What a deployment whose `rollback_safe` nobody stated gets.
    pub unannounced: Unannounced,
    /// How long the numbers may take to come back before people are paged.
    pub recover_within: SignedDuration,
    /// How long after a rollback of a service the next one waits for a person.
    pub cooldown: SignedDuration,
    /// Whether a task definition revision pinned to known-good digests may be
    /// registered where the task definition alone would not bring the images back.
    #[serde(default)]
    pub pin_digests: bool,
    /// What brings the target back; `None`: the platform's own call.
    #[serde(default)]
    pub by: Option<Actuator>,
    #[serde(default)]
    pub maintenance: Option<MaintenanceHooks>,
    #[serde(default)]
    pub database: DatabaseRule,
}

/// The target where the ledger has none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fallback {
    /// What was in place before the deployment.
    Previous,
    /// None: a person decides.
    Ask,
}

/// What is allowed where nobody said whether a rollback is safe.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unannounced {
    Ask,
    Rollback,
}

/// Who is told.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NotifyRule {
    /// Slack channel id.
    pub slack_channel: Option<String>,
    /// Slack ids (`S0ONCALL` user group, `U0MANAGER` user) that a page mentions.
    pub page: Vec<String>,
    /// Whether the last lines of the log of a task that came to harm are shown in the thread.
    #[serde(default)]
    pub logs: bool,
    /// Who is called when about an incident that nobody acknowledges, in order of time.
    #[serde(default)]
    pub escalate: BTreeMap<Severity, Vec<Rung>>,
    /// Told of every incident from its beginning to its end, called or not. Never Slack ids.
    #[serde(default)]
    pub tell: Vec<Recipient>,
    /// When what is only noted waits; of SEV3 alone.
    #[serde(default)]
    pub quiet: BTreeMap<Severity, Hours>,
    #[serde(default)]
    pub github: GitHubRule,
}

impl NotifyRule {
    /// Everybody whom it names, for whatever severity.
    pub fn called(&self) -> BTreeSet<Recipient> {
        let rungs = self.escalate.values().flatten();
        rungs.flat_map(|rung| &rung.call).chain(&self.tell).cloned().collect()
    }
}

/// A rung of the escalation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rung {
    /// After the incident began.
    pub after: SignedDuration,
    pub call: Vec<Recipient>,
}

impl Bound {
    /// Whether `value` lies on the bound's side. NaN lies on no side.
    pub fn contains(&self, value: f64) -> bool {
        match self.side {
            Side::Above => value > self.value,
            Side::AtLeast => value >= self.value,
            Side::Below => value < self.value,
            Side::AtMost => value <= self.value,
        }
    }

    /// Whether the bound looks upwards (`>`, `>=`).
    pub fn is_upper(&self) -> bool {
        match self.side {
            Side::Above | Side::AtLeast => true,
            Side::Below | Side::AtMost => false,
        }
    }
}

impl Check {
    /// The unit that the check's values and limits are in.
    pub fn unit(&self) -> Unit {
        match &self.measure {
            Measure::Ratio { .. } => Unit::Ratio,
            Measure::Latency { .. } => Unit::Seconds,
            Measure::Gauge { unit, .. } => *unit,
            Measure::Status { .. } => Unit::Failures,
        }
    }

    /// A measured value as people write it. Of a status that is `up` (from 0.5) or `down`:
    /// failures are what its limits count.
    pub fn show(&self, value: f64) -> String {
        match &self.measure {
            Measure::Status { .. } => up_or_down(value).to_owned(),
            Measure::Ratio { .. } | Measure::Latency { .. } | Measure::Gauge { .. } => {
                self.unit().show(value)
            }
        }
    }

    /// Whether higher values, in the check's unit, are worse: a breach looks
    /// upwards, or normal downwards.
    pub fn higher_is_worse(&self) -> bool {
        match (self.breach.values().next(), &self.normal) {
            (Some(limit), _) => limit.bound.is_upper(),
            (None, Some(normal)) => !normal.is_upper(),
            (None, None) => true,
        }
    }

    /// Whether a sample looks back over a window at all; an instant value does not.
    pub fn looks_back(&self) -> bool {
        match &self.measure {
            Measure::Ratio { .. }
            | Measure::Latency { .. }
            | Measure::Gauge { of: Gauged::Metric(_) | Gauged::Logs(_), .. } => true,
            Measure::Gauge { of: Gauged::Query(query), .. } => query.contains("${window}"),
            Measure::Gauge { of: Gauged::Json(value), .. } => value.web.looks_back(),
            Measure::Gauge { of: Gauged::Tasks(_), .. } | Measure::Status { .. } => false,
        }
    }

    /// The stretch that a sample looks back over in a phase of this interval.
    pub fn window(&self, interval: SignedDuration) -> SignedDuration {
        // Tasks are as they are seen.
        let least = SignedDuration::from_mins(i64::from(!self.is_of_tasks()));
        self.window.unwrap_or_else(|| interval.max(least))
    }
}

impl Policy {
    pub fn check(&self, name: &str) -> Option<&Check> {
        self.checks.iter().find(|check| check.name == name)
    }

    /// How long a watch lasts, from the first new task in service.
    pub fn horizon(&self) -> SignedDuration {
        self.phases.last().map_or(SignedDuration::ZERO, |phase| phase.until)
    }
}

impl Actions {
    pub fn of(&self, severity: Severity) -> Action {
        self.by_severity.get(&severity).copied().unwrap_or(Action::Notify)
    }
}

/// A status in words.
pub fn up_or_down(value: f64) -> &'static str {
    if value < 0.5 { "down" } else { "up" }
}

impl Unit {
    /// A value as people write it: `0.05%`, `145ms`, `1.5 GiB`, `3 failures`. What a check
    /// measured is shown by [`Check::show`].
    pub fn show(self, value: f64) -> String {
        match self {
            Self::Ratio => format!("{}%", significant(value * 100.0)),
            Self::Seconds if value.abs() < 1.0 => format!("{}ms", significant(value * 1000.0)),
            Self::Seconds => format!("{}s", significant(value)),
            Self::Bytes => {
                const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
                let mut shown = value;
                let mut units = UNITS.iter();
                let mut unit = units.next();
                while shown.abs() >= 1024.0
                    && let Some(larger) = units.next()
                {
                    shown /= 1024.0;
                    unit = Some(larger);
                }
                format!("{} {}", significant(shown), unit.unwrap_or(&""))
            }
            Self::Number => significant(value),
            Self::Failures if value.to_bits() == 1.0_f64.to_bits() => "1 failure".to_owned(),
            Self::Failures => format!("{} failures", significant(value)),
        }
    }
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.unit == Unit::Failures {
            return f.write_str(&self.unit.show(self.value));
        }
        let side = match self.side {
            Side::Above => ">",
            Side::AtLeast => ">=",
            Side::Below => "<",
            Side::AtMost => "<=",
        };
        write!(f, "{side} {}", self.unit.show(self.value))
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.bound)?;
        match self.hold {
            Some(hold) if hold.is_zero() => Ok(()),
            Some(hold) => write!(f, " for {hold:#}"),
            None => Ok(()),
        }
    }
}

/// Three significant digits, without trailing zeros, and no digit lost of
/// numbers of 100 and more.
fn significant(value: f64) -> String {
    if value == 0.0 || !value.is_finite() {
        return format!("{value}");
    }
    let magnitude = value.abs().log10().floor();
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let decimals = (2.0 - magnitude).clamp(0.0, 9.0) as usize;
    let text = format!("{value:.decimals$}");
    if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_shown_in_the_unit_that_people_write() {
        assert_eq!(Unit::Ratio.show(0.0005), "0.05%");
        assert_eq!(Unit::Ratio.show(0.3123), "31.2%");
        assert_eq!(Unit::Seconds.show(0.145), "145ms");
        assert_eq!(Unit::Seconds.show(2.0), "2s");
        assert_eq!(Unit::Bytes.show(1_610_612_736.0), "1.5 GiB");
        assert_eq!(Unit::Number.show(342.4), "342");
        assert_eq!(Unit::Ratio.show(0.0), "0%");
        assert_eq!(Unit::Failures.show(1.0), "1 failure");
        assert_eq!(Unit::Failures.show(3.0), "3 failures");
        assert_eq!([0.0, 0.4, 0.5, 1.0].map(up_or_down), ["down", "down", "up", "up"]);
    }

    #[test]
    fn a_bound_contains_the_values_on_its_side_and_never_nan() {
        let bound = Bound { side: Side::Above, value: 0.05, unit: Unit::Ratio };
        assert!(bound.contains(0.051));
        assert!(!bound.contains(0.05));
        assert!(!bound.contains(f64::NAN));
        assert_eq!(bound.to_string(), "> 5%");
        let failures = Bound { side: Side::AtLeast, value: 3.0, unit: Unit::Failures };
        assert_eq!(failures.to_string(), "3 failures");
    }
}
