//! What can happen to a watch, and why an event is not taken.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::{BaselineMeasured, Ceiling, Pinned};
use crate::judge::Rival;
use crate::model::{
    Acked, ActFailure, Acted, Alert, Announcement, Command, Companion, Deployment, Facts,
    GateOverride, Inherited, Inspection, Lead, Reading, Recipient, Revision, RollbackSafe,
    Sighting, TaskStop, WatchId,
};

/// Everything that can happen to a watch. This is what the journal keeps.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// The first of every journal.
    Opened {
        deployment: Box<Deployment>,
        pinned: Box<Pinned>,
        ceiling: Ceiling,
        announcement: Option<Box<Announcement>>,
        /// Other guarded services that are settled.
        #[serde(default)]
        others: Vec<String>,
        /// How long after its time a sample can be had of the source, where its settings
        /// say so.
        #[serde(default)]
        query_offset: Option<SignedDuration>,
        /// The repository that it is deployed from, where the settings name one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        repository: Option<String>,
    },
    /// A hook has announced the deployment that is watched already.
    Announced(Box<Announcement>),
    /// The platform has shown the deployment that a hook had announced.
    Bound {
        sighting: Box<Sighting>,
        source: Option<Revision>,
        baseline_end: Timestamp,
        undoes: RollbackSafe,
        #[serde(default)]
        inherited: Inherited,
    },
    /// The platform shows something else than at the last look.
    Sighted(Box<Sighting>),
    /// A newer deployment is in place.
    Superseded {
        by: String,
        /// It is an older revision: somebody has rolled back by hand.
        #[serde(default)]
        older: bool,
    },
    /// A target was looked for: what was found, and why none where none was.
    Inspected { target: Result<(Revision, String), String>, inspection: Inspection },
    /// The checks were measured as of `tick`.
    Sampled(Box<Sampled>),
    /// A stretch that the deployment is compared with was measured.
    BaselineMeasured(Box<BaselineMeasured>),
    /// The log of a task that came to harm was read: its last lines, masked, or why not.
    LogRead { task: String, lines: Result<Vec<String>, String> },
    /// The time that the watch had asked to be woken at has come.
    Woke,
    /// What the guard may do at most has changed.
    CeilingChanged(Ceiling),
    /// A person acts.
    Pressed(Press),
    /// The incident that is about to open is part of another service's.
    Joined(Box<Lead>),
    /// Another service's incident is part of this one, or stands otherwise than before.
    Leads(Box<Companion>),
    /// Somebody has acknowledged the incident that this one is part of.
    LeadAcked(Acked),
    /// The incident that this one is part of is over.
    LeadOver,
    /// The source is lost, and the thread of another deployment has said so.
    SourceTold {
        by: String,
        /// Its watch.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        watch: Option<WatchId>,
    },
    /// The watch that has told of the lost source has ended.
    SourceUntold,
    /// Another system's alert about the service fires, or is over. It decides nothing.
    Alerted(Box<Alert>),
    /// A person had it deployed although the gate said no.
    WentThrough(Box<GateOverride>),
    /// The platform's answer to the rollback.
    Acted(Result<Acted, ActFailure>),
    /// Maintenance mode was turned off after a rollback, or why it may still be on.
    MaintenanceLeft(Result<(), String>),
    /// The platform's answer to moving a canary's traffic.
    Shifted {
        /// Percent.
        weight: u8,
        result: Result<(), ActFailure>,
    },
    /// Somebody who was to be called elsewhere has not heard of it: after a while, or for
    /// good. It may come after the end.
    Untold { to: Recipient, because: String, given_up: bool },
    /// A message that pages people could not be posted for a while, or ever. It may come
    /// after the end.
    Unposted { because: String },
}

/// The checks' measurements as of a tick.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Tick {
    pub at: Timestamp,
    /// By check.
    pub readings: BTreeMap<String, Reading>,
    /// By check and control.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub controls: BTreeMap<String, BTreeMap<String, Reading>>,
    /// By check, what its source says beside the numbers, in words.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub beside: BTreeMap<String, BTreeSet<String>>,
}

impl Tick {
    pub fn at(at: Timestamp) -> Self {
        let (readings, controls, beside) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        Self { at, readings, controls, beside }
    }
}

/// A sample: the newest tick, and what had been missed before it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Sampled {
    pub latest: Tick,
    /// The interval that it was asked for with; `None` in journals from before it was kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interval: Option<SignedDuration>,
    /// Ticks before it that were not looked at in time, oldest first: they are judged,
    /// and never acted on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub earlier: Vec<Tick>,
    /// Instances that had not been seen before.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub born: BTreeSet<String>,
    /// CloudWatch alarms that have been in ALARM since before the deployment.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub alarms_before: BTreeSet<String>,
    /// Other deployments that are watched at the same time.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rivals: Vec<Rival>,
    /// Tasks that came to harm lately, as many as are told of.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub stops: BTreeSet<TaskStop>,
}

impl Sampled {
    /// A sample of nothing but its newest tick.
    pub fn of(latest: Tick) -> Self {
        Self {
            latest,
            interval: None,
            earlier: Vec::new(),
            born: BTreeSet::new(),
            alarms_before: BTreeSet::new(),
            rivals: Vec::new(),
            stops: BTreeSet::new(),
        }
    }
}

/// What a person asks of a watch, with who and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Press {
    pub command: Command,
    pub by: String,
    pub reason: Option<String>,
    /// How long from now a hold is to last; `None`: as long as the policy allows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub for_: Option<SignedDuration>,
    /// The incident that the person saw open when they pressed, 0 for none; `None`: they
    /// mean whatever is open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub incident: Option<u32>,
    /// Times that it had come back, as they saw it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spell: Option<u32>,
    /// What they saw that a rollback would put in place, `family:revision`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// Of this one press, where it may be delivered twice.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
}

impl Press {
    pub fn new(command: Command, by: impl Into<String>, reason: Option<String>) -> Self {
        let (by, for_, incident) = (by.into(), None, None);
        Self { command, by, reason, for_, incident, spell: None, target: None, key: None }
    }
}

/// Why an event was not taken; the watch is unchanged.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Illegal(pub String);

impl Illegal {
    pub(super) fn because(reason: impl Into<String>) -> Self {
        Self(reason.into())
    }
}

impl Event {
    /// The facts of an announcement take precedence over what was known.
    pub(super) fn merged(known: &Facts, announced: &Facts) -> Facts {
        let mut facts = announced.clone();
        facts.version = facts.version.or_else(|| known.version.clone());
        facts.commit = facts.commit.or_else(|| known.commit.clone());
        facts.author = facts.author.or_else(|| known.author.clone());
        facts.url = facts.url.or_else(|| known.url.clone());
        facts.github = facts.github.or_else(|| known.github.clone());
        facts.database = facts.database.or_else(|| known.database.clone());
        facts
    }
}
