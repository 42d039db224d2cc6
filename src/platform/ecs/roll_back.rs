//! Acting: look again, choose, do one thing, and make sure of what came of it.

use std::time::Duration;

use aws_sdk_ecs::Config;
use aws_sdk_ecs::types::{DeploymentLifecycleHookAction, Service, StopServiceDeploymentStopType};

use super::Ecs;
use super::choose::{Seen, Step, choose, mismatch};
use super::decode::{Deployer, InPlace, deployer, in_place};
use super::flight::Flight;
use super::pin::{Pin, pinned_revision};
use super::release::Release;
use crate::aws::{Fault, Kind, without_retries};
use crate::crash;
use crate::model::{ActFailure, Acted, Permit, Revision, RollbackPlan, Route, ServiceKey};
use crate::platform::LookError;

/// How long a call of a former life may still be on its way.
const SETTLE: Duration = Duration::from_secs(2);
/// Between two looks after a call whose effect is not known.
pub(super) const BETWEEN_LOOKS: Duration = Duration::from_secs(1);
/// Looks after a call whose effect is not known.
pub(super) const LOOKS: usize = 3;
/// Readings of a service that changes while it is read.
const READINGS: usize = 3;
/// Calls that were refused because it was too late for them: at most one of each kind.
const TOO_LATE: usize = 3;

/// Ways of saying that a service deployment can't be stopped, or sent back from a
/// hook, any more: just over, past the hook, forgotten, not offered here, or not allowed,
/// where another call may be.
const TOO_LATE_TO_STOP: [&str; 7] = [
    "AccessDeniedException",
    "ConflictException",
    "ServiceDeploymentNotFoundException",
    "UnsupportedFeatureException",
    "UnknownOperationException",
    "InvalidParameterException",
    "ClientException",
];

/// What was read right before acting.
pub(super) struct Looked {
    pub(super) seen: Seen,
    service: Service,
    pin: Option<Pin>,
}

impl Ecs {
    /// Looks, chooses, and makes one call that has an effect, if the permit still stands
    /// right before it. A call that comes too
    /// late has none: then it looks again and chooses anew, but not the same.
    pub(super) async fn act(
        &self,
        permit: &Permit,
        plan: &RollbackPlan,
    ) -> Result<Acted, ActFailure> {
        if !permit.is_first() {
            tokio::time::sleep(SETTLE).await;
        }
        let mut refused: Vec<Step> = Vec::new();
        for _ in 0..=TOO_LATE {
            let looked = self.see(plan).await?;
            let step = instead(choose(&looked.seen, plan), &refused);
            let acted = match &step {
                Step::Continue { arn, hook } => self.send_back(permit, arn, hook, plan).await?,
                Step::Stop { arn } => self.stop(permit, arn, plan).await?,
                Step::StopRelease { id } => self.stop_release(permit, id, plan).await?,
                Step::Update => return Box::pin(self.update(permit, plan, looked)).await,
                Step::Deploy { release } => {
                    return self.deploy(permit, plan, release, &looked.service).await;
                }
                Step::InPlace { .. } | Step::Superseded(_) | Step::Refuse(_) | Step::Wait(_) => {
                    return conclude(step, &looked.seen, plan);
                }
            };
            match acted {
                Some(acted) => return Ok(acted),
                None => refused.push(step),
            }
        }
        Err(ActFailure::Transient(format!("{} kept changing while it was stopped", plan.service)))
    }

    /// Reads everything that the choice depends on, the service itself last: it
    /// is the re-reading immediately before acting.
    pub(super) async fn see(&self, plan: &RollbackPlan) -> Result<Looked, ActFailure> {
        let key = &plan.service;
        let mut before = self.service(key).await?;
        for _ in 0..READINGS {
            let asked = self.read(plan, &before);
            let (flight, unplaceable, release, pin) = Box::pin(asked).await;
            let (release, pin) = (release?, pin?);
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
            let pinned = pin.as_ref().and_then(|pin| pin.registered.clone());
            let controller = deployer(&now);
            let seen = Seen { controller, primary, others, flight, release, unplaceable, pinned };
            return Ok(Looked { seen, service: now, pin });
        }
        Err(ActFailure::Transient(format!("{key} kept changing while it was read")))
    }

    /// All that is read beside the service itself, at once.
    async fn read(
        &self,
        plan: &RollbackPlan,
        service: &Service,
    ) -> (
        Option<Flight>,
        Result<Option<String>, Fault>,
        Result<Option<Release>, Fault>,
        Result<Option<Pin>, ActFailure>,
    ) {
        let by = deployer(service);
        let release = async {
            match by {
                Deployer::CodeDeploy => self.release(service, &plan.judged).await,
                Deployer::Ecs | Deployer::External => Ok(None),
            }
        };
        let pin = async {
            let pins = plan.pins() && by == Deployer::Ecs;
            if pins { self.pin(&plan.target).await.map(Some) } else { Ok(None) }
        };
        let flight = self.inner.history.flight(&plan.service, service);
        tokio::join!(flight, self.unplaceable(&plan.target), release, pin)
    }

    async fn service(&self, key: &ServiceKey) -> Result<Service, ActFailure> {
        match self.describe_one(key).await {
            Ok(Some(service)) => Ok(service),
            Ok(None) => Err(ActFailure::Refused(format!("{key} does not exist any more"))),
            Err(LookError::Everywhere(words) | LookError::Transient(words)) => {
                Err(ActFailure::Transient(words))
            }
            Err(LookError::Permanent(words)) => Err(ActFailure::Permanent(words)),
        }
    }

    /// `None`: it is too late to stop it. The ARN fences the call: it can't hit
    /// another deployment than the judged one.
    async fn stop(
        &self,
        permit: &Permit,
        arn: &str,
        plan: &RollbackPlan,
    ) -> Result<Option<Acted>, ActFailure> {
        let call = self
            .inner
            .client
            .stop_service_deployment()
            .service_deployment_arn(arn)
            .stop_type(StopServiceDeploymentStopType::Rollback)
            .customize()
            .config_override(Config::builder().retry_config(without_retries()));
        crash::point("ecs-before-act");
        permit.stands()?;
        let sent = call.send().await;
        crash::point("ecs-after-act");
        let fault = sent.err().map(|error| Fault::of("StopServiceDeployment", &error));
        self.sent_back(Route::StopServiceDeployment, fault, plan).await
    }

    /// `None`: it waits at this hook no longer. Fenced like a stop, and by the hook.
    async fn send_back(
        &self,
        permit: &Permit,
        arn: &str,
        hook: &str,
        plan: &RollbackPlan,
    ) -> Result<Option<Acted>, ActFailure> {
        let call = self
            .inner
            .client
            .continue_service_deployment()
            .service_deployment_arn(arn)
            .hook_id(hook)
            .action(DeploymentLifecycleHookAction::Rollback)
            .customize()
            .config_override(Config::builder().retry_config(without_retries()));
        crash::point("ecs-before-act");
        permit.stands()?;
        let sent = call.send().await;
        crash::point("ecs-after-act");
        let fault = sent.err().map(|error| Fault::of("ContinueServiceDeployment", &error));
        self.sent_back(Route::ContinueServiceDeployment, fault, plan).await
    }

    async fn sent_back(
        &self,
        route: Route,
        fault: Option<Fault>,
        plan: &RollbackPlan,
    ) -> Result<Option<Acted>, ActFailure> {
        let Some(fault) = fault else {
            let deployment = self.shown(plan).await;
            return Ok(Some(Acted { deployment, ..Acted::by(route) }));
        };
        match fault.kind {
            Kind::Unknown => self.observe(plan, route, &fault, None).await.map(Some),
            Kind::Refused if TOO_LATE_TO_STOP.iter().any(|code| fault.is(code)) => Ok(None),
            Kind::Throttled | Kind::Refused => Err(fault.into()),
        }
    }

    /// The deployment that puts the target back, if ECS shows it already.
    async fn shown(&self, plan: &RollbackPlan) -> Option<String> {
        match choose(&self.see(plan).await.ok()?.seen, plan) {
            Step::InPlace { deployment } => deployment,
            _ => None,
        }
    }

    /// `UpdateService` with the target, or with it pinned, which is registered first
    /// where that has not been done.
    async fn update(
        &self,
        permit: &Permit,
        plan: &RollbackPlan,
        looked: Looked,
    ) -> Result<Acted, ActFailure> {
        let Looked { seen, pin, .. } = looked;
        let pinned = match (pin, seen.pinned.clone()) {
            (None, _) => None,
            (Some(_), Some(registered)) => Some(registered),
            (Some(pin), None) => {
                permit.stands()?;
                Some(self.register(pin, plan).await?)
            }
        };
        let pinned = pinned.map(|arn| pinned_revision(&plan.target, &arn));
        let placed = pinned.as_ref().unwrap_or(&plan.target);
        let call = self
            .inner
            .client
            .update_service()
            .cluster(&plan.service.cluster)
            .service(&plan.service.service)
            .task_definition(&placed.name)
            .customize()
            .config_override(Config::builder().retry_config(without_retries()));
        crash::point("ecs-before-act");
        permit.stands()?;
        let sent = call.send().await;
        crash::point("ecs-after-act");
        let fault = match sent {
            Ok(answer) => match answer.service().and_then(|s| in_place(s, None).ok().flatten()) {
                Some(found) => return Ok(updated(&found, &seen, plan, pinned)),
                None => Fault::odd("UpdateService", "answered without a PRIMARY deployment"),
            },
            Err(error) => Fault::of("UpdateService", &error),
        };
        match fault.kind {
            Kind::Unknown => self.observe(plan, Route::UpdateService, &fault, pinned).await,
            Kind::Throttled | Kind::Refused => Err(fault.into()),
        }
    }

    /// After a call whose effect is not known: never call again, look.
    pub(super) async fn observe(
        &self,
        plan: &RollbackPlan,
        route: Route,
        fault: &Fault,
        pinned: Option<Revision>,
    ) -> Result<Acted, ActFailure> {
        for _ in 0..LOOKS {
            tokio::time::sleep(BETWEEN_LOOKS).await;
            let Ok(Looked { seen, .. }) = self.see(plan).await else { continue };
            match choose(&seen, plan) {
                Step::InPlace { deployment } => {
                    let mismatch = mismatch(&seen.others, None, plan);
                    return Ok(Acted { deployment, mismatch, pinned, ..Acted::by(route) });
                }
                Step::Superseded(words) => return Err(ActFailure::Superseded(words)),
                Step::Refuse(_)
                | Step::Wait(_)
                | Step::Continue { .. }
                | Step::Stop { .. }
                | Step::Update
                | Step::StopRelease { .. }
                | Step::Deploy { .. } => {}
            }
        }
        Err(ActFailure::Transient(format!(
            "{}; after {LOOKS} looks {} is still not back in place",
            fault.words,
            plan.target.short()
        )))
    }
}

/// What to do instead of a step for which it was too late: a stop that is not offered
/// stays so, however the service deployment looks.
fn instead(step: Step, refused: &[Step]) -> Step {
    let too_late = |step: &Step| refused.contains(step);
    let step = match step {
        Step::Continue { arn, .. } if too_late(&step) => Step::Stop { arn },
        step => step,
    };
    match step {
        Step::Stop { .. } if too_late(&step) => Step::Update,
        Step::StopRelease { id } if refused.contains(&Step::StopRelease { id: id.clone() }) => {
            Step::Wait(format!("CodeDeploy says that its {id} is over, and shows it under way"))
        }
        step => step,
    }
}

/// What the outcome is where nothing is to be called.
fn conclude(step: Step, seen: &Seen, plan: &RollbackPlan) -> Result<Acted, ActFailure> {
    match step {
        Step::InPlace { deployment } => {
            let mismatch = mismatch(&seen.others, None, plan);
            let primary = &seen.primary.revision;
            let is_pinned = plan.pins()
                && seen.primary.id != plan.judged
                && seen.pinned.as_ref() == Some(&primary.name);
            let pinned = is_pinned.then(|| pinned_revision(&plan.target, &primary.name));
            Ok(Acted { deployment, mismatch, pinned, ..Acted::by(Route::AlreadyInPlace) })
        }
        Step::Superseded(words) => Err(ActFailure::Superseded(words)),
        Step::Refuse(words) => Err(ActFailure::Refused(words)),
        Step::Wait(words) => Err(ActFailure::Transient(words)),
        Step::Continue { .. }
        | Step::Stop { .. }
        | Step::Update
        | Step::StopRelease { .. }
        | Step::Deploy { .. } => {
            Err(ActFailure::Transient("the service changed while it was read".into()))
        }
    }
}

/// Reads `UpdateService`'s answer: is what was to be placed PRIMARY, and is what it
/// replaced what was judged?
fn updated(found: &InPlace, seen: &Seen, plan: &RollbackPlan, pinned: Option<Revision>) -> Acted {
    let primary = &found.primary;
    let placed = pinned.as_ref().unwrap_or(&plan.target);
    let as_asked = primary.id != plan.judged && primary.revision.name == placed.name;
    let mismatch = if as_asked {
        mismatch(&found.others, Some(seen.primary.created_at), plan)
    } else {
        Some(format!(
            "UpdateService answered that {} ({}) is in place, not {}",
            primary.id,
            primary.revision.short(),
            placed.short()
        ))
    };
    let deployment = Some(primary.id.clone());
    Acted { deployment, mismatch, pinned, ..Acted::by(Route::UpdateService) }
}

/// PRIMARY's id, the service deployment in flight, each task set with its status.
type Marks<'a> = (Option<&'a str>, Option<&'a str>, Vec<(Option<&'a str>, Option<&'a str>)>);

/// What tells whether a service changed between two readings.
fn marks(service: &Service) -> Marks<'_> {
    let primary = service.deployments().iter().find(|one| one.status() == Some("PRIMARY"));
    let sets = service.task_sets().iter().map(|one| (one.id(), one.status())).collect();
    (primary.and_then(|one| one.id()), service.current_service_deployment(), sets)
}
