//! What ECS shows of a service, in the guard's words. Pure.

use aws_sdk_ecs::primitives::DateTime;
use aws_sdk_ecs::types::{
    Deployment, DeploymentController, DeploymentControllerType, DeploymentRolloutState, Service,
    StabilityStatus, TaskSet,
};
use jiff::Timestamp;

use super::flight::Flight;
use crate::model::{Controller, PlatformDeployment, Revision, RollOut, ServiceKey, Sighting};

/// What a service has in place: PRIMARY, and what is left beside it.
pub(super) struct InPlace {
    pub(super) primary: PlatformDeployment,
    pub(super) others: Vec<PlatformDeployment>,
}

/// One look. `None` for a service that is gone or has nothing in place yet;
/// the error says what is missing from ECS's answer.
pub(super) fn sighting(
    key: &ServiceKey,
    service: &Service,
    flight: Option<&Flight>,
    now: Timestamp,
) -> Result<Option<Sighting>, String> {
    let Some(InPlace { primary, others }) = in_place(service, flight)? else { return Ok(None) };
    let told = flight.filter(|flight| flight.explains(&primary.revision.name));
    Ok(Some(Sighting {
        service: key.clone(),
        at: now,
        controller: deployer(service).into(),
        in_flight: in_flight(service, &primary, flight),
        native_rollback: native_rollback(&primary, told),
        coming: None,
        source: told.and_then(Flight::source).cloned(),
        primary,
        others,
    }))
}

/// What is in place; `None` and errors as for [`sighting`].
pub(super) fn in_place(
    service: &Service,
    flight: Option<&Flight>,
) -> Result<Option<InPlace>, String> {
    let entries = entries(service);
    let (Some(primary), false) = (coming(&entries), service.status() == Some("INACTIVE")) else {
        return Ok(None);
    };
    let beside = |entry: &&Entry| entry.stands() && entry.id != primary.id;
    let beside: Vec<_> = entries.iter().filter(beside).collect();
    let told = flight.filter(|f| primary.task_definition.is_some_and(|td| f.explains(td)));
    let primary = primary.decode(beside.is_empty(), |definition| match told {
        Some(flight) => flight.revision_of_primary(definition),
        None => Revision::named(definition),
    })?;
    let others = beside.into_iter().map(|entry| {
        entry.decode(false, |definition| match told {
            Some(flight) => flight.revision_of_other(definition),
            None => Revision::named(definition),
        })
    });
    Ok(Some(InPlace { primary, others: others.collect::<Result<_, _>>()? }))
}

/// Who changes the task definition of an ECS service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Deployer {
    Ecs,
    CodeDeploy,
    External,
}

impl From<Deployer> for Controller {
    fn from(deployer: Deployer) -> Self {
        match deployer {
            Deployer::Ecs => Self::Ecs,
            Deployer::CodeDeploy => Self::CodeDeploy,
            Deployer::External => Self::External,
        }
    }
}

/// A service without a named controller has ECS's; one that is not known yet is
/// not ours to change.
pub(super) fn deployer(service: &Service) -> Deployer {
    match service.deployment_controller().map(DeploymentController::r#type) {
        None | Some(DeploymentControllerType::Ecs) => Deployer::Ecs,
        Some(DeploymentControllerType::CodeDeploy) => Deployer::CodeDeploy,
        Some(_) => Deployer::External,
    }
}

fn in_flight(
    service: &Service,
    primary: &PlatformDeployment,
    flight: Option<&Flight>,
) -> Option<String> {
    let current = service.current_service_deployment();
    match (flight, current) {
        (Some(flight), _) => flight.stage.in_flight().then(|| flight.arn.clone()),
        // It can't be read: ECS's own roll-out state has to do.
        (None, Some(arn)) => (primary.roll_out == RollOut::InProgress).then(|| arn.to_owned()),
        (None, None) => None,
    }
}

fn native_rollback(primary: &PlatformDeployment, flight: Option<&Flight>) -> Option<String> {
    match flight {
        Some(flight) if flight.stage.is_rollback() => {
            let unnamed = || "ECS is rolling back and gives no reason".to_owned();
            Some(flight.reason.clone().unwrap_or_else(unnamed))
        }
        Some(_) => None,
        // What the circuit breaker writes where service deployments can't be read.
        None => primary.reason.clone().filter(|r| r.contains("rolling back to deployment")),
    }
}

/// What the platform is making true: PRIMARY, or a task set begun after it that does
/// not get the traffic yet. One that is taken away again is DRAINING.
fn coming<'a, 'b>(entries: &'b [Entry<'a>]) -> Option<&'b Entry<'a>> {
    let primary = entries.iter().find(|entry| entry.status == "PRIMARY")?;
    let newer = entries.iter().filter(|entry| {
        entry.is_task_set
            && entry.status == "ACTIVE"
            && entry.created_at.zip(primary.created_at).is_some_and(|(one, other)| one > other)
    });
    newer
        .max_by_key(|entry| entry.created_at.map(|at| (at.secs(), at.subsec_nanos())))
        .or(Some(primary))
}

/// A deployment, or a task set: what stands in its place where another
/// controller than ECS deploys.
struct Entry<'a> {
    is_task_set: bool,
    id: Option<&'a str>,
    status: &'a str,
    task_definition: Option<&'a str>,
    created_at: Option<&'a DateTime>,
    /// `None` where ECS says nothing that this version understands.
    roll_out: Option<RollOut>,
    reason: Option<&'a str>,
    desired: i32,
    running: i32,
    failed: i32,
}

fn entries(service: &Service) -> Vec<Entry<'_>> {
    if service.deployments().is_empty() {
        service.task_sets().iter().map(Entry::of_task_set).collect()
    } else {
        service.deployments().iter().map(Entry::of_deployment).collect()
    }
}

impl<'a> Entry<'a> {
    fn of_deployment(from: &'a Deployment) -> Self {
        Self {
            is_task_set: false,
            id: from.id(),
            status: from.status().unwrap_or_default(),
            task_definition: from.task_definition(),
            created_at: from.created_at().or(from.updated_at()),
            roll_out: match from.rollout_state() {
                Some(DeploymentRolloutState::Completed) => Some(RollOut::Completed),
                Some(DeploymentRolloutState::Failed) => Some(RollOut::Failed),
                Some(DeploymentRolloutState::InProgress) => Some(RollOut::InProgress),
                Some(_) | None => None,
            },
            reason: from.rollout_state_reason(),
            desired: from.desired_count(),
            running: from.running_count(),
            failed: from.failed_tasks(),
        }
    }

    fn of_task_set(from: &'a TaskSet) -> Self {
        Self {
            is_task_set: true,
            id: from.id(),
            status: from.status().unwrap_or_default(),
            task_definition: from.task_definition(),
            created_at: from.created_at().or(from.updated_at()),
            roll_out: match from.stability_status() {
                // While it is ACTIVE, the requests go elsewhere.
                Some(StabilityStatus::SteadyState) if from.status() != Some("ACTIVE") => {
                    Some(RollOut::Completed)
                }
                Some(StabilityStatus::SteadyState | StabilityStatus::Stabilizing) => {
                    Some(RollOut::InProgress)
                }
                Some(_) | None => None,
            },
            reason: None,
            desired: from.computed_desired_count(),
            running: from.running_count(),
            failed: 0,
        }
    }

    fn stands(&self) -> bool {
        matches!(self.status, "PRIMARY" | "ACTIVE" | "DRAINING")
    }

    /// `alone`: nothing is left beside it.
    fn decode(
        &self,
        alone: bool,
        revision: impl Fn(&str) -> Revision,
    ) -> Result<PlatformDeployment, String> {
        let missing = |what: &str| format!("a {} deployment without {what}", self.status);
        let roll_out = self.roll_out.unwrap_or({
            if alone && self.running == self.desired {
                RollOut::Completed
            } else {
                RollOut::InProgress
            }
        });
        Ok(PlatformDeployment {
            id: self.id.ok_or_else(|| missing("an id"))?.to_owned(),
            revision: revision(self.task_definition.ok_or_else(|| missing("task definition"))?),
            created_at: self.created_at.and_then(timestamp).ok_or_else(|| missing("a time"))?,
            roll_out,
            reason: self.reason.map(str::to_owned),
            weight: None,
            desired: count(self.desired),
            running: count(self.running),
            failed: count(self.failed),
        })
    }
}

fn count(number: i32) -> u32 {
    u32::try_from(number).unwrap_or(0)
}

/// `None` outside the years that can be told.
pub(super) fn timestamp(at: &DateTime) -> Option<Timestamp> {
    let nanos = i32::try_from(at.subsec_nanos()).ok()?;
    Timestamp::new(at.secs(), nanos).ok()
}

/// The last part of an ARN, or the name itself.
pub(super) fn last_part(arn_or_name: &str) -> &str {
    arn_or_name.rsplit('/').next().unwrap_or(arn_or_name)
}

#[cfg(test)]
#[path = "decode_tests.rs"]
mod tests;
