//! Acting: look again, choose, do one thing, and make sure of what came of it.

use std::time::Duration;

use aws_sdk_ecs::Config;
use aws_sdk_ecs::types::{Service, StopServiceDeploymentStopType};

use super::Ecs;
use super::choose::{Seen, Step, choose, mismatch};
use super::decode::{InPlace, controller, in_place};
use crate::aws::{Fault, Kind, without_retries};
use crate::crash;
use crate::model::{ActFailure, Acted, Permit, RollbackPlan, Route, ServiceKey};
use crate::platform::LookError;

/// How long a call of a former life may still be on its way.
const SETTLE: Duration = Duration::from_secs(2);
/// Between two looks after a call whose effect is not known.
const BETWEEN_LOOKS: Duration = Duration::from_secs(1);
/// Looks after a call whose effect is not known.
const LOOKS: usize = 3;
/// Readings of a service that changes while it is read.
const READINGS: usize = 3;

/// `StopServiceDeployment`'s ways of saying that `UpdateService` is the way: just
/// over, forgotten, or not offered here.
const TOO_LATE_TO_STOP: [&str; 4] = [
    "ConflictException",
    "ServiceDeploymentNotFoundException",
    "UnsupportedFeatureException",
    "UnknownOperationException",
];

impl Ecs {
    pub(super) async fn act(
        &self,
        permit: &Permit,
        plan: &RollbackPlan,
    ) -> Result<Acted, ActFailure> {
        if !permit.is_first() {
            tokio::time::sleep(SETTLE).await;
        }
        let seen = self.see(plan).await?;
        match choose(&seen, plan) {
            Step::Stop { arn } => match self.stop(&arn, plan).await? {
                Some(acted) => Ok(acted),
                None => self.act_after_all(plan).await,
            },
            Step::Update => self.update(plan, &seen).await,
            step => conclude(step, &seen, plan),
        }
    }

    /// The deployment could not be stopped any more: looks again, and updates if
    /// that is still due.
    async fn act_after_all(&self, plan: &RollbackPlan) -> Result<Acted, ActFailure> {
        let seen = self.see(plan).await?;
        match choose(&seen, plan) {
            Step::Stop { .. } | Step::Update => self.update(plan, &seen).await,
            step => conclude(step, &seen, plan),
        }
    }

    /// Reads everything that the choice depends on, the service itself last: it
    /// is the re-reading immediately before acting.
    pub(super) async fn see(&self, plan: &RollbackPlan) -> Result<Seen, ActFailure> {
        let key = &plan.service;
        let mut before = self.service(key).await?;
        for _ in 0..READINGS {
            let (flight, unplaceable) = tokio::join!(
                self.inner.history.flight(key, &before),
                self.unplaceable(&plan.target)
            );
            let now = self.service(key).await?;
            if marks(&now) != marks(&before) {
                before = now;
                continue;
            }
            let unplaceable = unplaceable.unwrap_or_else(|fault| {
                tracing::debug!(fault = fault.words, "the target is not checked before acting");
                None
            });
            let found = in_place(&now, flight.as_ref()).map_err(ActFailure::Transient)?;
            let Some(InPlace { primary, others }) = found else {
                return Err(ActFailure::Refused(format!("{key} has nothing in place")));
            };
            let controller = controller(&now);
            return Ok(Seen { controller, primary, others, flight, unplaceable });
        }
        Err(ActFailure::Transient(format!("{key} kept changing while it was read")))
    }

    async fn service(&self, key: &ServiceKey) -> Result<Service, ActFailure> {
        match self.describe_one(key).await {
            Ok(Some(service)) => Ok(service),
            Ok(None) => Err(ActFailure::Refused(format!("{key} does not exist any more"))),
            Err(LookError::Transient(words)) => Err(ActFailure::Transient(words)),
            Err(LookError::Permanent(words)) => Err(ActFailure::Permanent(words)),
        }
    }

    /// `None`: it is too late to stop it. The ARN fences the call: it can't hit
    /// another deployment than the judged one.
    async fn stop(&self, arn: &str, plan: &RollbackPlan) -> Result<Option<Acted>, ActFailure> {
        let call = self
            .inner
            .client
            .stop_service_deployment()
            .service_deployment_arn(arn)
            .stop_type(StopServiceDeploymentStopType::Rollback)
            .customize()
            .config_override(Config::builder().retry_config(without_retries()));
        crash::point("ecs-before-act");
        let sent = call.send().await;
        crash::point("ecs-after-act");
        let route = Route::StopServiceDeployment;
        let Err(error) = sent else {
            return Ok(Some(Acted { route, deployment: self.shown(plan).await, mismatch: None }));
        };
        let fault = Fault::of("StopServiceDeployment", &error);
        match fault.kind {
            Kind::Unknown => self.observe(plan, route, &fault).await.map(Some),
            Kind::Refused if TOO_LATE_TO_STOP.iter().any(|code| fault.is(code)) => Ok(None),
            Kind::Throttled | Kind::Refused => Err(fault.into()),
        }
    }

    /// The deployment that puts the target back, if ECS shows it already.
    async fn shown(&self, plan: &RollbackPlan) -> Option<String> {
        match choose(&self.see(plan).await.ok()?, plan) {
            Step::InPlace { deployment } => deployment,
            _ => None,
        }
    }

    async fn update(&self, plan: &RollbackPlan, seen: &Seen) -> Result<Acted, ActFailure> {
        let call = self
            .inner
            .client
            .update_service()
            .cluster(&plan.service.cluster)
            .service(&plan.service.service)
            .task_definition(&plan.target.task_definition)
            .customize()
            .config_override(Config::builder().retry_config(without_retries()));
        crash::point("ecs-before-act");
        let sent = call.send().await;
        crash::point("ecs-after-act");
        let route = Route::UpdateService;
        let fault = match sent {
            Ok(answer) => match answer.service().and_then(|s| in_place(s, None).ok().flatten()) {
                Some(found) => return Ok(updated(&found, seen, plan)),
                None => Fault::odd("UpdateService", "answered without a PRIMARY deployment"),
            },
            Err(error) => Fault::of("UpdateService", &error),
        };
        match fault.kind {
            Kind::Unknown => self.observe(plan, route, &fault).await,
            Kind::Throttled | Kind::Refused => Err(fault.into()),
        }
    }

    /// After a call whose effect is not known: never call again, look.
    async fn observe(
        &self,
        plan: &RollbackPlan,
        route: Route,
        fault: &Fault,
    ) -> Result<Acted, ActFailure> {
        for _ in 0..LOOKS {
            tokio::time::sleep(BETWEEN_LOOKS).await;
            let Ok(seen) = self.see(plan).await else { continue };
            match choose(&seen, plan) {
                Step::InPlace { deployment } => {
                    let mismatch = mismatch(&seen.others, None, plan);
                    return Ok(Acted { route, deployment, mismatch });
                }
                Step::Superseded(words) => return Err(ActFailure::Superseded(words)),
                Step::Refuse(_) | Step::Wait(_) | Step::Stop { .. } | Step::Update => {}
            }
        }
        Err(ActFailure::Transient(format!(
            "{}; after {LOOKS} looks {} is still not back in place",
            fault.words,
            plan.target.short()
        )))
    }
}

/// What the outcome is where nothing is to be called.
fn conclude(step: Step, seen: &Seen, plan: &RollbackPlan) -> Result<Acted, ActFailure> {
    match step {
        Step::InPlace { deployment } => {
            let mismatch = mismatch(&seen.others, None, plan);
            Ok(Acted { route: Route::AlreadyInPlace, deployment, mismatch })
        }
        Step::Superseded(words) => Err(ActFailure::Superseded(words)),
        Step::Refuse(words) => Err(ActFailure::Refused(words)),
        Step::Wait(words) => Err(ActFailure::Transient(words)),
        Step::Stop { .. } | Step::Update => {
            Err(ActFailure::Transient("the service changed while it was read".into()))
        }
    }
}

/// Reads `UpdateService`'s answer: is the target PRIMARY, and is what it replaced
/// what was judged?
fn updated(found: &InPlace, seen: &Seen, plan: &RollbackPlan) -> Acted {
    let primary = &found.primary;
    let as_asked = primary.id != plan.judged
        && primary.revision.task_definition == plan.target.task_definition;
    let mismatch = if as_asked {
        mismatch(&found.others, Some(seen.primary.created_at), plan)
    } else {
        Some(format!(
            "UpdateService answered that {} ({}) is in place, not {}",
            primary.id,
            primary.revision.short(),
            plan.target.short()
        ))
    };
    Acted { route: Route::UpdateService, deployment: Some(primary.id.clone()), mismatch }
}

/// What tells whether a service changed between two readings.
fn marks(service: &Service) -> (Option<&str>, Option<&str>) {
    let primary = service.deployments().iter().find(|one| one.status() == Some("PRIMARY"));
    (primary.and_then(|one| one.id()), service.current_service_deployment())
}
