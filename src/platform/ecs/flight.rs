//! A service deployment: ECS's own account of a roll-out, where its API offers one.

use std::collections::HashMap;

use aws_sdk_ecs::types::{
    ContainerImage, DeploymentLifecycleHookStatus, DeploymentLifecycleHookTargetType,
    ServiceDeployment, ServiceDeploymentAlarms, ServiceDeploymentStatus, ServiceRevision,
};

use crate::model::Revision;

/// A service deployment, as far as the guard needs it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Flight {
    pub(super) arn: String,
    pub(super) stage: Stage,
    /// The id of a lifecycle hook at which it waits for somebody to say how it goes on.
    pub(super) hook: Option<String>,
    /// What it puts in place; `None` where the revision could not be read.
    pub(super) target: Option<Revision>,
    /// What was in place when it began, each `None` where it could not be read.
    pub(super) sources: Vec<Option<Revision>>,
    /// What ECS puts back, once it says so.
    pub(super) back_to: Option<Revision>,
    /// Why it ended or is rolled back, in ECS's words.
    pub(super) reason: Option<String>,
}

/// How far a service deployment is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// Under way: it can be stopped.
    Running,
    /// Somebody asked for a stop, and ECS has not said yet what comes of it.
    StopRequested,
    RollingBack,
    RolledBack,
    RollbackFailed,
    /// Successful or stopped.
    Ended,
    /// A status that this version does not know.
    Unknown,
}

impl Stage {
    fn of(status: Option<&ServiceDeploymentStatus>) -> Self {
        use ServiceDeploymentStatus as Status;
        match status {
            Some(Status::Pending | Status::InProgress) => Self::Running,
            Some(Status::StopRequested) => Self::StopRequested,
            Some(Status::RollbackRequested | Status::RollbackInProgress) => Self::RollingBack,
            Some(Status::RollbackSuccessful) => Self::RolledBack,
            Some(Status::RollbackFailed) => Self::RollbackFailed,
            Some(Status::Successful | Status::Stopped) => Self::Ended,
            Some(_) | None => Self::Unknown,
        }
    }

    /// Whether ECS is still at work on it, as far as is known.
    pub(super) fn in_flight(self) -> bool {
        match self {
            Self::Running | Self::StopRequested | Self::RollingBack | Self::Unknown => true,
            Self::RolledBack | Self::RollbackFailed | Self::Ended => false,
        }
    }

    /// Whether ECS goes back, or went back, by itself.
    pub(super) fn is_rollback(self) -> bool {
        match self {
            Self::RollingBack | Self::RolledBack | Self::RollbackFailed => true,
            Self::Running | Self::StopRequested | Self::Ended | Self::Unknown => false,
        }
    }
}

impl Flight {
    /// `None` for an entry without an ARN.
    pub(super) fn of(
        found: &ServiceDeployment,
        revisions: &HashMap<String, Revision>,
    ) -> Option<Self> {
        let known = |arn: Option<&str>| arn.and_then(|arn| revisions.get(arn)).cloned();
        Some(Self {
            arn: found.service_deployment_arn()?.to_owned(),
            stage: Stage::of(found.status()),
            hook: waits_at(found),
            target: known(found.target_service_revision().and_then(|target| target.arn())),
            sources: found.source_service_revisions().iter().map(|s| known(s.arn())).collect(),
            back_to: known(found.rollback().and_then(|back| back.service_revision_arn())),
            reason: reason(found),
        })
    }

    /// What it came from, where that is one thing and known.
    pub(super) fn source(&self) -> Option<&Revision> {
        match self.sources.as_slice() {
            [one] => one.as_ref(),
            _ => None,
        }
    }

    /// Where a rollback by ECS goes, if it can be told.
    pub(super) fn goes_back_to(&self) -> Option<&Revision> {
        self.back_to.as_ref().or_else(|| self.source())
    }

    /// Whether it says how `task_definition` came to be PRIMARY.
    pub(super) fn explains(&self, task_definition: &str) -> bool {
        let is = |revision: Option<&Revision>| {
            revision.is_some_and(|revision| revision.name == task_definition)
        };
        is(self.target.as_ref()) || (self.stage.is_rollback() && is(self.goes_back_to()))
    }

    /// Over, and all of it known: it will not change any more.
    pub(super) fn is_settled(&self) -> bool {
        !self.stage.in_flight()
            && self.target.is_some()
            && self.sources.iter().all(Option::is_some)
            && (!self.stage.is_rollback() || self.back_to.is_some())
    }

    /// The revision of the PRIMARY deployment that runs `task_definition`.
    pub(super) fn revision_of_primary(&self, task_definition: &str) -> Revision {
        let back = if self.stage.is_rollback() { self.goes_back_to() } else { None };
        let candidates = back.into_iter().chain(&self.target).chain(self.sources.iter().flatten());
        pick(candidates, task_definition)
    }

    /// The revision of a deployment beside PRIMARY that runs `task_definition`.
    pub(super) fn revision_of_other(&self, task_definition: &str) -> Revision {
        let sources = self.sources.iter().flatten();
        if self.stage.is_rollback() {
            pick(self.target.iter().chain(sources), task_definition)
        } else {
            pick(sources.chain(&self.target), task_definition)
        }
    }
}

/// A PAUSE hook that awaits an action. A Lambda's answer is nobody else's to give.
fn waits_at(found: &ServiceDeployment) -> Option<String> {
    let waits = found.lifecycle_hook_details().iter().find(|hook| {
        hook.target_type() == Some(&DeploymentLifecycleHookTargetType::Pause)
            && hook.status() == Some(&DeploymentLifecycleHookStatus::AwaitingAction)
    });
    waits.and_then(|hook| hook.hook_id()).map(str::to_owned)
}

fn pick<'a>(mut candidates: impl Iterator<Item = &'a Revision>, task_definition: &str) -> Revision {
    candidates
        .find(|revision| revision.name == task_definition)
        .cloned()
        .unwrap_or_else(|| Revision::named(task_definition))
}

fn reason(found: &ServiceDeployment) -> Option<String> {
    let given = found.rollback().and_then(|back| back.reason()).or(found.status_reason());
    let alarms =
        found.alarms().map(ServiceDeploymentAlarms::triggered_alarm_names).unwrap_or_default();
    match (given, alarms) {
        (Some(given), []) => Some(given.to_owned()),
        (Some(given), alarms) => Some(format!("{given} (alarms: {})", alarms.join(", "))),
        (None, []) => None,
        (None, alarms) => Some(format!("alarms went off: {}", alarms.join(", "))),
    }
}

/// The revision behind a service revision, and whether all its digests are
/// resolved: ECS resolves them when the first task starts, and an image that is
/// pinned says it by itself. Digests that are not all there count as unknown.
pub(super) fn revision(found: &ServiceRevision) -> Option<(Revision, bool)> {
    let images = found.container_images().iter();
    let resolved: Option<Vec<String>> = images.map(|one| pinned(one.image()?, one)).collect();
    let mut digests = resolved.unwrap_or_default();
    digests.sort();
    digests.dedup();
    let complete = !digests.is_empty();
    let revision = Revision {
        service_revision: found.service_revision_arn().map(str::to_owned),
        digests,
        ..Revision::named(found.task_definition()?)
    };
    Some((revision, complete))
}

/// `image@sha256:...`; `None` while its digest is not known.
fn pinned(image: &str, found: &ContainerImage) -> Option<String> {
    if image.contains('@') {
        return Some(image.to_owned());
    }
    let digest = found.image_digest().filter(|digest| !digest.is_empty())?;
    Some(format!("{image}@{digest}"))
}
