//! A watch as the API shows it. Both ends of the API are ours, so the command
//! line reads the same type.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::model::{
    Companion, Facts, IncidentStatus, Lead, Mode, Outcome, Severity, TaskStop, Verdict,
};
use crate::policy::OnTimeout;
use crate::watch::{Entry, LogExcerpt, PreflightState, Stage, Unlabelled, Watch, limits_in_words};

/// Values of a check that a watch alone shows at most.
const RECENT: usize = 20;

/// A watch in a list.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct WatchView {
    pub id: String,
    pub service: String,
    pub environment: String,
    pub place: String,
    pub deployment: String,
    pub version: String,
    /// One line.
    pub status: String,
    /// `None` while it is open.
    pub outcome: Option<Outcome>,
    pub mode: Mode,
    pub mode_because: Option<String>,
    pub opened_at: Timestamp,
    pub started_at: Timestamp,
    pub in_service_at: Option<Timestamp>,
    pub phase: String,
    pub checks: Vec<CheckView>,
    pub incident: Option<IncidentView>,
    /// When the guard answers for people if they stay silent.
    pub decision_due: Option<Timestamp>,
    /// In order; empty: an older daemon, which does not tell.
    #[serde(default)]
    pub phases: Vec<PhaseView>,
    #[serde(default)]
    pub rolling_back: bool,
    /// The question that waits for a person.
    #[serde(default)]
    pub asked: Option<AskedView>,
    /// What it would come to if it ended now; `None` once it has.
    #[serde(default)]
    pub would_end: Option<WouldEnd>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PhaseView {
    pub name: String,
    /// `None` before the first new task is in service.
    pub ends_at: Option<Timestamp>,
}

/// A question put to people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AskedView {
    pub since: Timestamp,
    /// When silence is answered; `None`: it was, or never is.
    pub until: Option<Timestamp>,
    /// What silence is answered with.
    pub on_timeout: OnTimeout,
    pub because: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct WouldEnd {
    pub outcome: Outcome,
    pub because: String,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct CheckView {
    pub name: String,
    /// `None` before the first sample.
    pub verdict: Option<Verdict>,
    /// In base units: ratio 0-1, seconds, bytes.
    pub value: Option<f64>,
    /// As people write it, with the limit or why there is no value.
    pub reason: String,
    pub baseline: Option<f64>,
    /// Events in the window.
    pub traffic: Option<f64>,
    /// The share (0-1) of the due samples that measured something; `None` before one was due.
    pub coverage: Option<f64>,
    /// The value as people write it; `None` where nothing was measured.
    #[serde(default)]
    pub shown: Option<String>,
    /// "normal < 0.1% · SEV2 > 1%".
    #[serde(default)]
    pub limits: String,
    /// When it was last judged.
    #[serde(default)]
    pub judged_at: Option<Timestamp>,
    /// What each of the latest samples alone comes to, oldest first, in base units. In a
    /// watch alone only, and as far as the judge remembers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub recent: Vec<f64>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct IncidentView {
    /// Which of the watch's it is, from 1.
    #[serde(default)]
    pub number: u32,
    pub severity: Severity,
    pub status: IncidentStatus,
    pub opened_at: Timestamp,
    pub resolved_at: Option<Timestamp>,
    /// What was measured when it was at its worst, one line a check or kind of stop.
    #[serde(default)]
    pub evidence: Vec<String>,
    /// Why it is not the deployment's doing; `None` where it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub excused: Option<String>,
    /// Times that it has come back.
    #[serde(default)]
    pub returns: u32,
    /// The incident of another service that it is part of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub with: Option<Lead>,
    /// Incidents of other services that are part of it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub joins: Vec<Companion>,
}

/// A watch alone, with everything that explains it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct WatchDetail {
    #[serde(flatten)]
    pub watch: WatchView,
    pub facts: Facts,
    pub task_definition: Option<String>,
    pub source_task_definition: Option<String>,
    pub rollback: PreflightState,
    pub policy: PolicyView,
    pub timeline: Vec<Entry>,
    /// Labels that the policy needs and nobody announced.
    #[serde(default)]
    pub unlabelled: Vec<Unlabelled>,
    /// Tasks of the deployment that came to harm, oldest first.
    #[serde(default)]
    pub stops: Vec<StopView>,
    /// What one of them logged last, where the policy shows logs.
    #[serde(default)]
    pub log: Option<LogExcerpt>,
}

/// A task that came to harm.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct StopView {
    #[serde(flatten)]
    pub stop: TaskStop,
    /// What happened to it, in a few words.
    pub story: String,
}

/// The policy that a watch runs under.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct PolicyView {
    pub name: String,
    pub file: String,
    pub commit: Option<String>,
    pub dirty: bool,
    /// After merging, as YAML.
    pub text: String,
}

impl WatchView {
    pub fn of(watch: &Watch) -> Self {
        let service = &watch.deployment.service;
        Self {
            id: watch.id.to_string(),
            service: service.name.clone(),
            environment: service.environment.clone(),
            place: service.key.to_string(),
            deployment: watch.deployment.id.clone(),
            version: watch.version(),
            status: watch.status_line(),
            outcome: watch.outcome(),
            mode: watch.ceiling.mode,
            mode_because: watch.ceiling.because.clone(),
            opened_at: watch.opened_at,
            started_at: watch.deployment.started_at,
            in_service_at: watch.in_service_at,
            phase: watch.phase_name().to_owned(),
            checks: watch
                .policy()
                .checks
                .iter()
                .map(|check| CheckView::of(watch, &check.name))
                .collect(),
            incident: watch.incident.as_ref().map(|incident| IncidentView {
                number: incident.number,
                severity: incident.severity,
                status: incident.status,
                opened_at: incident.opened_at,
                resolved_at: incident.resolved_at,
                evidence: incident.evidence.clone(),
                excused: incident.excused.clone(),
                returns: incident.returns,
                with: incident.with.clone(),
                joins: incident.joins.clone(),
            }),
            decision_due: watch.pending.as_ref().and_then(|pending| pending.until),
            phases: PhaseView::all(watch),
            rolling_back: matches!(watch.stage, Stage::RollingBack(_)),
            asked: watch.pending.as_ref().map(|pending| AskedView {
                since: pending.asked_at,
                until: pending.until,
                on_timeout: pending.on_timeout,
                because: pending.because.clone(),
            }),
            would_end: watch.is_open().then(|| {
                let (outcome, because) = watch.comes_to();
                WouldEnd { outcome, because }
            }),
        }
    }
}

impl PhaseView {
    fn all(watch: &Watch) -> Vec<Self> {
        let ends_at = |until| watch.in_service_at?.checked_add(until + watch.canary.delayed).ok();
        let phases = watch.policy().phases.iter();
        phases
            .map(|phase| Self { name: phase.name.clone(), ends_at: ends_at(phase.until) })
            .collect()
    }
}

impl CheckView {
    fn of(watch: &Watch, name: &str) -> Self {
        let state = watch.checks.get(name);
        let last = state.and_then(|state| state.last.as_ref());
        let check = watch.policy().check(name);
        let value = last.and_then(|judgement| judgement.value);
        Self {
            name: name.to_owned(),
            verdict: last.map(|judgement| judgement.verdict),
            value,
            reason: last.map_or("not measured yet".to_owned(), |j| j.reason.clone()),
            baseline: state.and_then(|state| state.references().next().map(|(_, one)| one.value)),
            traffic: last.and_then(|judgement| judgement.traffic),
            coverage: state.filter(|state| state.due > 0).map(crate::judge::CheckState::coverage),
            shown: check.zip(value).map(|(check, value)| check.show(value)),
            limits: check.map(limits_in_words).unwrap_or_default(),
            judged_at: last.map(|judgement| judgement.at),
            recent: Vec::new(),
        }
    }

    fn remember(&mut self, watch: &Watch) {
        let known = watch.policy().check(&self.name).zip(watch.checks.get(&self.name));
        self.recent = known.map(|(check, state)| state.latest(check, RECENT)).unwrap_or_default();
    }
}

impl StopView {
    fn of(stop: &TaskStop) -> Self {
        Self { story: stop.story(), stop: stop.clone() }
    }
}

impl WatchDetail {
    pub fn of(watch: &Watch) -> Self {
        let deployment = &watch.deployment;
        let definition = |revision: &crate::model::Revision| revision.name.clone();
        let mut view = WatchView::of(watch);
        view.checks.iter_mut().for_each(|check| check.remember(watch));
        Self {
            watch: view,
            facts: deployment.facts.clone(),
            task_definition: deployment.revision.as_ref().map(definition),
            source_task_definition: deployment.source.as_ref().map(definition),
            rollback: watch.preflight.clone(),
            policy: PolicyView {
                name: watch.pinned.policy.name.clone(),
                file: watch.pinned.file.clone(),
                commit: watch.pinned.commit.clone(),
                dirty: watch.pinned.dirty,
                text: watch.pinned.text.clone(),
            },
            timeline: watch.timeline.clone(),
            unlabelled: watch.unlabelled(),
            stops: watch.stops.iter().map(StopView::of).collect(),
            log: watch.log.clone(),
        }
    }
}
