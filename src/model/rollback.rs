//! A rollback from plan to outcome, as data.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, OnceLock};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Revision, ServiceKey, WatchId};

/// What a rollback is to do. Written to the journal before anything is done.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RollbackPlan {
    pub service: ServiceKey,
    /// The platform's id of the deployment that was judged.
    pub judged: String,
    pub judged_revision: Revision,
    pub target: Revision,
    /// Where the target came from, in words ("watched to passed on ...").
    pub target_because: String,
    /// When it was decided: a deployment of the target begun after this is ours.
    pub decided_at: Timestamp,
    /// Whether a revision pinned to the target's image digests may be registered.
    #[serde(default)]
    pub pin_digests: bool,
    #[serde(default, skip_serializing_if = "Means::is_usual")]
    pub means: Means,
}

/// By what else than the platform's own call a rollback is done.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Means {
    /// `None`: the platform's own call.
    pub by: Option<Actuator>,
    pub maintenance: Option<MaintenanceHooks>,
    /// What a command's arguments may ask for, by variable.
    pub values: BTreeMap<String, String>,
}

impl Means {
    fn is_usual(&self) -> bool {
        *self == Self::default()
    }
}

/// Something that the settings name, and that can be set off.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Actuator {
    Command(String),
    Webhook(String),
}

impl fmt::Display for Actuator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Command(name) => write!(f, "the command `{name}`"),
            Self::Webhook(name) => write!(f, "the webhook `{name}`"),
        }
    }
}

/// What turns a service's maintenance mode on and off.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MaintenanceHooks {
    pub on: Actuator,
    pub off: Actuator,
}

impl RollbackPlan {
    /// Whether the target comes back only pinned to its digests, and that is allowed.
    pub fn pins(&self) -> bool {
        self.pin_digests && self.target.needs_pin(&self.judged_revision)
    }

    /// Whether `revision` is what the plan puts in place, under whatever name: a pinned
    /// one is known by its images alone.
    pub fn is_target(&self, revision: &Revision) -> bool {
        if self.pins() {
            revision.same_images(&self.target)
        } else {
            revision.name == self.target.name
        }
    }
}

/// Which call put the target back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Route {
    StopServiceDeployment,
    /// Of a service deployment that waits at a lifecycle hook.
    ContinueServiceDeployment,
    UpdateService,
    /// CodeDeploy's, with a rollback, of a deployment that was under way.
    StopDeployment,
    /// CodeDeploy's, of the target, because the judged deployment was over.
    CreateDeployment,
    /// A Kubernetes Deployment gets the target's pod template back.
    UndoRollout,
    /// A Kubernetes Service selects the target's pods again.
    SwitchSelector,
    /// A Kubernetes route sends all traffic to the target.
    ResetWeights,
    RenderRollback,
    /// One of the settings, to its end.
    Command,
    /// One of the settings has taken the order.
    Webhook,
    /// The target was found in place already: a former attempt had its effect.
    AlreadyInPlace,
}

impl Route {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::StopServiceDeployment => "StopServiceDeployment",
            Self::ContinueServiceDeployment => "ContinueServiceDeployment",
            Self::UpdateService => "UpdateService",
            Self::StopDeployment => "CodeDeploy StopDeployment",
            Self::CreateDeployment => "CodeDeploy CreateDeployment",
            Self::UndoRollout => "rollout undo",
            Self::SwitchSelector => "patch of the Service's selector",
            Self::ResetWeights => "patch of the route's weights",
            Self::RenderRollback => "Render's rollback",
            Self::Command => "a command",
            Self::Webhook => "a webhook",
            Self::AlreadyInPlace => "already in place",
        }
    }
}

/// A rollback that the platform has accepted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Acted {
    pub route: Route,
    /// The platform's id of the deployment that puts the target back; `None`
    /// where the platform has not shown it yet.
    pub deployment: Option<String>,
    /// Set when what was replaced is not what was judged: people must look.
    pub mismatch: Option<String>,
    /// What was placed instead of the target itself: a revision registered for this
    /// rollback, the same but for its images, which are pinned to the target's digests.
    #[serde(default)]
    pub pinned: Option<Revision>,
    /// What else was changed for it, and what people must do about that: told in the thread.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub beside: Vec<String>,
    /// Set when maintenance mode may be on, and is to be turned off.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub maintained: bool,
    /// What a command said, bounded and without its secrets: for the journal, not for Slack.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<String>,
}

impl Acted {
    /// Done by `route`; nothing else is known.
    pub fn by(route: Route) -> Self {
        Self {
            route,
            deployment: None,
            mismatch: None,
            pinned: None,
            beside: Vec::new(),
            maintained: false,
            output: None,
        }
    }
}

/// A canary's next share of the traffic.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShiftPlan {
    pub service: ServiceKey,
    /// The platform's id of the deployment that is judged.
    pub judged: String,
    /// Percent, 1 to 100.
    pub weight: u8,
}

/// Why a rollback was not done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
pub enum ActFailure {
    /// The judged deployment is no longer the one in place.
    #[error("superseded: {0}")]
    Superseded(String),
    /// It must not be done: the brakes, another permit, the platform's rules.
    #[error("refused: {0}")]
    Refused(String),
    /// The platform said no, and will say so again.
    #[error("failed: {0}")]
    Permanent(String),
    /// Nobody knows whether it had an effect, or the platform was out of reach.
    #[error("unknown: {0}")]
    Transient(String),
    /// It was stopped before this try called anything; it is no try that failed.
    #[error("stopped before the call: {0}")]
    Stopped(String),
    /// It was not done for `failure`; the maintenance mode that was turned on for it is still
    /// on, because of `why`.
    #[error("{failure}; maintenance mode is still on: {why}")]
    Maintained { failure: Box<Self>, why: String },
}

impl ActFailure {
    /// The failure by itself, whatever became of maintenance mode.
    pub fn itself(&self) -> &Self {
        match self {
            Self::Maintained { failure, .. } => failure.itself(),
            Self::Superseded(_)
            | Self::Refused(_)
            | Self::Permanent(_)
            | Self::Transient(_)
            | Self::Stopped(_) => self,
        }
    }
}

/// What an actuator saw of a rollback's target.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inspection {
    /// Why the target can't be placed; `None`: it can.
    pub obstacle: Option<String>,
    /// What putting the target's code back would not restore: people decide then.
    pub not_restored: Vec<String>,
    /// What the judged deployment changed, in words; names, never values.
    #[serde(default)]
    pub differences: Vec<String>,
    /// What could not be asked, and why: no obstacle.
    #[serde(default)]
    pub unasked: Vec<String>,
    /// Whether a revision pinned to digests has to be registered for it.
    #[serde(default)]
    pub pins: bool,
}

/// The right to roll one deployment back, once each time that it is in place. Only the store
/// makes one, from a row that is unique for the deployment and held until its watch has ended;
/// `tests/tidy.rs` holds that.
#[derive(Debug)]
pub struct Permit {
    watch: WatchId,
    first: bool,
    stop: StopSwitch,
}

/// Stops a rollback that is decided and not called yet; clones share it. Once stopped it
/// stays so: a later try has another one.
#[derive(Debug, Clone, Default)]
pub struct StopSwitch(Arc<OnceLock<String>>);

impl StopSwitch {
    pub fn stop(&self, why: &str) {
        let _ = self.0.set(why.to_owned());
    }

    /// Why it is stopped, if it is.
    pub fn stopped(&self) -> Option<&str> {
        self.0.get().map(String::as_str)
    }
}

impl Permit {
    /// For the store alone.
    pub fn issued_by_store(watch: WatchId, first: bool) -> Self {
        Self { watch, first, stop: StopSwitch::default() }
    }

    /// The same, until `stop` is thrown.
    #[must_use]
    pub fn unless(self, stop: StopSwitch) -> Self {
        Self { stop, ..self }
    }

    /// Whether the call may still be made: to be asked right before each call that changes
    /// something.
    ///
    /// # Errors
    /// It was stopped; nothing has been called by this try.
    pub fn stands(&self) -> Result<(), ActFailure> {
        match self.stop.stopped() {
            None => Ok(()),
            Some(why) => Err(ActFailure::Stopped(why.to_owned())),
        }
    }

    pub fn watch(&self) -> &WatchId {
        &self.watch
    }

    /// False when an earlier life of this process, or an earlier try, held it:
    /// then its call may still be on its way, and must be looked for first.
    pub fn is_first(&self) -> bool {
        self.first
    }
}
