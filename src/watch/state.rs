//! What a watch knows. Plain data, one JSON document in the store.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::baselines::controls;
use super::intake::JOIN_WITHIN;
use super::{
    AtGitHub, Canary, Decided, Escalation, Event, Hushed, Illegal, Lost, Maintenance, Tasks,
};
use crate::judge::{Before, CheckState, Rival, Role};
use crate::model::{
    Alert, Announcement, Body, Deployment, Incident, Lead, LedgerEntry, Mode, Notice, Outcome,
    Reply, Revision, RollbackPlan, Route, Severity, Sighting, TaskStop, WatchId,
};
use crate::policy::{Against, OnTimeout, Policy};

/// The guard's run over one deployment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Watch {
    pub id: WatchId,
    pub deployment: Deployment,
    pub pinned: Pinned,
    pub ceiling: Ceiling,
    pub opened_at: Timestamp,
    /// How long after its time a sample is asked for; `None`: as [`settle`] has it.
    ///
    /// [`settle`]: crate::model::settle
    #[serde(default)]
    pub query_offset: Option<SignedDuration>,
    /// The hook that announced it, if one did.
    pub announcement: Option<Announcement>,
    pub stage: Stage,
    /// The first new task in service: phases count from here.
    pub in_service_at: Option<Timestamp>,
    /// Index of the current phase.
    pub phase: usize,
    pub checks: BTreeMap<String, CheckState>,
    #[serde(default)]
    pub maintenance: Maintenance,
    #[serde(default)]
    pub canary: Canary,
    /// What was down before, by check, of those that are looked at from the start.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub before: BTreeMap<String, Before>,
    /// Services that are measured beside it, and why.
    #[serde(default)]
    pub controls: BTreeMap<String, Role>,
    /// Other deployments of the same time, as of the latest sample.
    #[serde(default)]
    pub rivals: Vec<Rival>,
    /// Values of the telling labels before the deployment, by label.
    #[serde(default)]
    pub known: BTreeMap<String, BTreeSet<String>>,
    /// Instances that appeared since.
    #[serde(default)]
    pub born: BTreeSet<String>,
    /// Labels with too many values to tell anything by.
    #[serde(default)]
    pub untold: BTreeSet<String>,
    /// When the baselines that follow the clock were last measured.
    #[serde(default)]
    pub followed: BTreeMap<Against, Timestamp>,
    pub incident: Option<Incident>,
    /// What was decided about breaches, or would have been.
    #[serde(default)]
    pub decided: Vec<Decided>,
    /// A decision that waits for a person.
    pub pending: Option<Pending>,
    /// The calls about the open incident.
    #[serde(default)]
    pub escalation: Option<Escalation>,
    /// Since when nothing can be asked.
    #[serde(default)]
    pub lost: Option<Lost>,
    /// What the incident that the next sample opens is part of.
    #[serde(default)]
    pub joining: Option<Lead>,
    /// The deployment that is in place after it, and is watched instead.
    #[serde(default)]
    pub succeeded_by: Option<String>,
    /// What waits for the end of the quiet hours.
    #[serde(default)]
    pub hushed: Option<Hushed>,
    /// Presses that were taken, by their keys: one that comes again is none.
    #[serde(default)]
    pub presses: BTreeSet<String>,
    pub preflight: PreflightState,
    /// A rollback was due or tried and is not to be had: why. One per watch.
    pub rollback_spent: Option<String>,
    /// The platform has accepted a rollback: there is never a second one.
    pub rollback_accepted: bool,
    /// A rollback that was taken back; the answer to its call may still come.
    pub withdrawn: Option<Box<RollbackRun>>,
    pub sighting: Option<Sighting>,
    #[serde(default)]
    pub tasks: Tasks,
    /// Tasks of the judged deployment that came to harm, as of the latest sample that found
    /// some.
    #[serde(default)]
    pub stops: BTreeSet<TaskStop>,
    /// What one of them logged last, where the policy shows logs.
    #[serde(default)]
    pub log: Option<LogExcerpt>,
    /// Alerts of other systems since it began.
    #[serde(default)]
    pub alerts: Vec<Alert>,
    pub next_tick: Option<Timestamp>,
    pub last_tick: Option<Timestamp>,
    /// Outages of others that were told.
    #[serde(default)]
    pub theirs_told: u32,
    /// What people were told once and need not hear again.
    pub told: BTreeSet<String>,
    /// What happened, for people; the journal has it all.
    pub timeline: Vec<Entry>,
    /// Messages with files so far.
    #[serde(default)]
    pub pictures: u32,
    /// Notices said so far: part of each one's key.
    pub notices: u32,
    /// What is written at GitHub.
    #[serde(default)]
    pub github: AtGitHub,
    /// What the last card showed, so that only a change edits it.
    pub card_shown: String,
    /// When that was.
    #[serde(default)]
    pub card_shown_at: Option<Timestamp>,
}

/// The policy that a watch runs under, frozen at its start.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Pinned {
    pub policy: Policy,
    pub file: String,
    /// The whole policy after merging, as YAML.
    pub text: String,
    /// Git commit of the folder; `None` outside a checkout.
    pub commit: Option<String>,
    /// Whether policy files differed from the commit.
    pub dirty: bool,
}

/// The most that the guard may do, and what lowered it below the policy's mode.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ceiling {
    pub mode: Mode,
    pub because: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// A hook announced it; the platform has not shown it yet.
    Announced {
        until: Timestamp,
    },
    /// Rolling out, no new task in service yet.
    Starting,
    Watching,
    RollingBack(Box<RollbackRun>),
    Ended {
        outcome: Outcome,
        at: Timestamp,
        because: String,
    },
}

impl Stage {
    /// Of a watch that opens at `now`.
    fn first(deployment: &Deployment, now: Timestamp) -> Self {
        match (&deployment.platform_id, now.checked_add(JOIN_WITHIN)) {
            (None, Ok(until)) => Self::Announced { until },
            (None, Err(_)) | (Some(_), _) => Self::Starting,
        }
    }
}

/// A rollback on its way.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RollbackRun {
    pub plan: RollbackPlan,
    pub by: Actor,
    pub because: String,
    pub step: RunStep,
    /// Set when a revision registered for this rollback stands for the target.
    #[serde(default)]
    pub pinned: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Actor {
    Guard,
    Person(String),
    /// ECS's own circuit breaker or alarm, or somebody outside the guard.
    Platform,
}

impl Actor {
    pub(super) fn name(&self) -> String {
        match self {
            Self::Guard => "deployguard".to_owned(),
            Self::Person(name) => name.clone(),
            Self::Platform => "the platform".to_owned(),
        }
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunStep {
    /// The intent is recorded; the platform is to be asked, not before `not_before`.
    Acting { attempt: u32, not_before: Timestamp },
    /// The platform has accepted it and is rolling.
    Settling { route: Route, deployment: Option<String>, since: Timestamp },
    /// In place; the numbers are to come back.
    Recovering { since: Timestamp, clean_since: Option<Timestamp> },
}

/// A question put to people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pending {
    pub severity: Severity,
    pub asked_at: Timestamp,
    /// When silence is answered; `None` once it has been, or where it never is.
    pub until: Option<Timestamp>,
    pub on_timeout: OnTimeout,
    pub held: bool,
    /// When silence would have been answered, but for the hold.
    #[serde(default)]
    pub held_from: Option<Timestamp>,
    pub because: String,
    /// What people were told that a rollback would put in place; `None`: nothing was found.
    #[serde(default)]
    pub target: Option<Revision>,
}

/// Whether a rollback is possible, found when the deployment starts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum PreflightState {
    /// Not looked yet.
    Unknown,
    Ready {
        target: Revision,
        because: String,
        not_restored: Vec<String>,
        /// What the deployment changed of the target, in words.
        #[serde(default)]
        differences: Vec<String>,
    },
    Impossible {
        because: String,
    },
}

/// The last lines of a task, masked and bounded where they are read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LogExcerpt {
    pub task: String,
    pub lines: Vec<String>,
    /// Why they could not be had.
    pub unread: Option<String>,
}

/// One line of a watch's timeline.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Entry {
    pub at: Timestamp,
    pub text: String,
}

/// What must be kept together with a change of state, in one transaction.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Said {
    pub notices: Vec<Notice>,
    pub ledger: Vec<LedgerEntry>,
    /// Replies before this one are about something else than the incident: nobody is called
    /// with them.
    pub(super) own_from: usize,
}

/// Lines of a timeline that are kept; a flapping watch must not grow for ever.
const TIMELINE_LINES: usize = 500;

impl Watch {
    /// The watch that an [`Event::Opened`] begins.
    pub fn open(event: &Event, now: Timestamp) -> Result<(Watch, Said), Illegal> {
        let Event::Opened {
            deployment, pinned, ceiling, announcement, others, query_offset, ..
        } = event
        else {
            return Err(Illegal::because("a journal begins with `opened`"));
        };
        let checks = pinned
            .policy
            .checks
            .iter()
            .map(|check| (check.name.clone(), CheckState::new(check)))
            .collect();
        let mut watch = Watch {
            id: WatchId::of(&deployment.service.key, &deployment.id),
            deployment: (**deployment).clone(),
            pinned: (**pinned).clone(),
            ceiling: ceiling.clone(),
            opened_at: now,
            query_offset: *query_offset,
            stage: Stage::first(deployment, now),
            announcement: announcement.as_deref().cloned(),
            in_service_at: None,
            phase: 0,
            checks,
            maintenance: Maintenance::Off,
            canary: Canary::default(),
            before: BTreeMap::new(),
            controls: controls(&pinned.policy, &deployment.service.name, others),
            rivals: Vec::new(),
            known: BTreeMap::new(),
            born: BTreeSet::new(),
            untold: BTreeSet::new(),
            followed: BTreeMap::new(),
            incident: None,
            decided: Vec::new(),
            pending: None,
            escalation: None,
            lost: None,
            joining: None,
            succeeded_by: None,
            hushed: None,
            presses: BTreeSet::new(),
            preflight: PreflightState::Unknown,
            rollback_spent: None,
            rollback_accepted: false,
            withdrawn: None,
            sighting: None,
            tasks: Tasks::default(),
            stops: BTreeSet::new(),
            log: None,
            alerts: Vec::new(),
            next_tick: None,
            last_tick: None,
            theirs_told: 0,
            told: BTreeSet::new(),
            timeline: Vec::new(),
            pictures: 0,
            notices: 0,
            github: AtGitHub::of(event),
            card_shown: String::new(),
            card_shown_at: None,
        };
        watch.begin_controls();
        let mut said = Said::default();
        watch.note(now, "watch opened");
        watch.show_card(now, &mut said);
        watch.mark(now, &mut said);
        Ok((watch, said))
    }

    /// Takes one event in. On an error nothing has changed.
    pub fn handle(&mut self, event: &Event, now: Timestamp) -> Result<Said, Illegal> {
        let late = matches!(event, Event::Untold { .. } | Event::Unposted { .. });
        if let Stage::Ended { outcome, .. } = &self.stage
            && !late
        {
            return Err(Illegal::because(format!("the watch has ended: {}", outcome.as_str())));
        }
        let mut said = Said::default();
        match event {
            Event::Opened { .. } => return Err(Illegal::because("the watch is open already")),
            Event::Announced(announcement) => self.announced(announcement, now, &mut said),
            Event::Bound { sighting, source, baseline_end, undoes, inherited } => {
                self.bound(sighting, source.as_ref(), *baseline_end, now)?;
                self.deployment.inherited.clone_from(inherited);
                self.inherit(*undoes);
                self.sighted(sighting, now, &mut said);
            }
            Event::Sighted(sighting) => self.sighted(sighting, now, &mut said),
            Event::Superseded { by, older: false } => self.superseded(by, now, &mut said),
            Event::Superseded { by, older: true } => self.rolled_back_by_hand(by, now, &mut said),
            Event::Inspected { target, inspection } => {
                self.inspected(target, inspection, now, &mut said);
            }
            Event::Sampled(sampled) => self.sampled(sampled, now, &mut said),
            Event::BaselineMeasured(measured) => self.baseline_measured(measured, now),
            Event::LogRead { task, lines } => self.log_read(task, lines, now, &mut said),
            Event::Woke => self.woke(now, &mut said),
            Event::CeilingChanged(ceiling) => self.ceiling_changed(ceiling, now, &mut said),
            Event::Pressed(press) => self.pressed(press, now, &mut said)?,
            Event::Joined(lead) => self.joining = Some((**lead).clone()),
            Event::Leads(companion) => self.led(companion, now, &mut said),
            Event::SourceTold { by, watch } => self.source_told_by(by, watch.as_ref(), now),
            Event::SourceUntold => self.tell_of_source(now, &mut said),
            Event::LeadAcked(acked) => self.lead_acked(acked, now, &mut said),
            Event::LeadOver => self.lead_over(now, &mut said),
            Event::Alerted(alert) => self.alerted(alert, now, &mut said),
            Event::WentThrough(over) => self.went_through(over, now, &mut said),
            Event::Acted(result) => self.acted(result, now, &mut said)?,
            Event::MaintenanceLeft(result) => self.maintenance_left(result, now, &mut said),
            Event::Shifted { weight, result } => self.shifted(*weight, result, now, &mut said),
            Event::Untold { to, because, given_up } => {
                self.untold(to, because, *given_up, now, &mut said);
            }
            Event::Unposted { because } => self.unposted(because, now, &mut said),
        }
        self.show_card(now, &mut said);
        self.mark(now, &mut said);
        // What waits for the morning is in nobody's way.
        said.notices.sort_by_key(|notice| notice.at > now);
        Ok(said)
    }

    pub fn policy(&self) -> &Policy {
        &self.pinned.policy
    }

    pub fn is_open(&self) -> bool {
        !matches!(self.stage, Stage::Ended { .. })
    }

    pub fn outcome(&self) -> Option<Outcome> {
        match &self.stage {
            Stage::Ended { outcome, .. } => Some(*outcome),
            Stage::Announced { .. } | Stage::Starting | Stage::Watching | Stage::RollingBack(_) => {
                None
            }
        }
    }

    /// Whether a rollback is on its way.
    pub(super) fn is_rolling_back(&self) -> bool {
        matches!(self.stage, Stage::RollingBack(_))
    }

    /// Whether an incident is open.
    pub fn has_open_incident(&self) -> bool {
        self.incident.as_ref().is_some_and(|incident| incident.resolved_at.is_none())
    }

    pub(super) fn note(&mut self, at: Timestamp, text: impl Into<String>) {
        // How it began and what came last are worth more than a flapping middle.
        if self.timeline.len() >= TIMELINE_LINES {
            self.timeline.remove(TIMELINE_LINES / 10);
        }
        self.timeline.push(Entry { at, text: text.into() });
    }

    /// Says something in the thread.
    pub(super) fn reply(&mut self, now: Timestamp, reply: Reply, said: &mut Said) {
        self.note(now, reply.headline.clone());
        let notice = self.notice(now, Body::Reply(reply));
        said.notices.push(notice);
    }

    pub(super) fn notice(&mut self, at: Timestamp, body: Body) -> Notice {
        self.notices = self.notices.saturating_add(1);
        let key = format!("{}/{}", self.id, self.notices);
        Notice { watch: self.id.clone(), key, at, body }
    }

    /// Says something in the thread that people hear only once a watch. Whether it was news.
    pub(super) fn reply_once(
        &mut self,
        topic: &str,
        now: Timestamp,
        reply: impl FnOnce(&Watch) -> Reply,
        said: &mut Said,
    ) -> bool {
        let news = self.told.insert(topic.to_owned());
        if news {
            let reply = reply(self);
            self.reply(now, reply, said);
        }
        news
    }
}
