//! What a rollback does with what it finds: the decision table. Pure.

use jiff::{SignedDuration, Timestamp};

use super::flight::{Flight, Stage};
use super::inspect::{not_ours, nothing_to_restore};
use crate::model::{Controller, PlatformDeployment, Revision, RollbackPlan};

/// How far the clocks of AWS and of this machine may lie apart.
const SKEW: SignedDuration = SignedDuration::from_secs(5);

/// A service as it is right before acting.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Seen {
    pub(super) controller: Controller,
    pub(super) primary: PlatformDeployment,
    /// What is left beside it.
    pub(super) others: Vec<PlatformDeployment>,
    /// The newest service deployment, where it can be read.
    pub(super) flight: Option<Flight>,
    /// Why the plan's target can't be placed; `None`: it can, or that could not
    /// be read, and then `UpdateService` will say so.
    pub(super) unplaceable: Option<String>,
}

/// What is to be done. Nothing but `Stop` and `Update` changes anything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    /// The target is back, or on its way back: nothing is left to do.
    InPlace { deployment: Option<String> },
    /// Something else than the judged deployment is in place.
    Superseded(String),
    /// It must not or can't be done.
    Refuse(String),
    /// ECS is about to do something, and does not say yet what.
    Wait(String),
    /// `StopServiceDeployment` of this ARN: ECS goes back to the plan's target.
    Stop { arn: String },
    /// `UpdateService` with the target's task definition.
    Update,
}

/// The first rule that fits counts:
///
/// 1. The target is PRIMARY in a deployment begun after the decision: in place.
/// 2. ECS rolls the judged deployment back by itself: in place if it goes back
///    to the target, refused if to anything else, waited for while it can't be
///    told. This comes before rule 3 because such a rollback is a new PRIMARY.
/// 3. PRIMARY is not the judged deployment: superseded.
/// 4. The target is what runs already: refused.
/// 5. ECS is not the controller, or the target can't be placed: refused.
/// 6. Somebody asked for a stop, and nobody knows yet how it ends: wait.
/// 7. The judged deployment is in flight, and came from the target and nothing
///    else: stop it. ECS chooses where a stopped deployment goes back to.
/// 8. Otherwise: update.
pub(super) fn choose(seen: &Seen, plan: &RollbackPlan) -> Step {
    let primary = &seen.primary;
    let judged_stands = primary.id == plan.judged;
    let target_is_primary = primary.revision.task_definition == plan.target.task_definition;
    let since_decision = primary.created_at >= plan.decided_at - SKEW;
    if target_is_primary && !judged_stands && since_decision {
        return Step::InPlace { deployment: Some(primary.id.clone()) };
    }
    if let Some(step) = native_rollback(seen, plan) {
        return step;
    }
    if !judged_stands {
        return Step::Superseded(format!(
            "{} ({}) has been in place since {:.0}, not {} ({})",
            primary.id,
            primary.revision.short(),
            primary.created_at,
            plan.judged,
            plan.judged_revision.short(),
        ));
    }
    if target_is_primary {
        return Step::Refuse(nothing_to_restore(&plan.target));
    }
    if let Some(words) = not_ours(seen.controller).or_else(|| seen.unplaceable.clone()) {
        return Step::Refuse(words);
    }
    match &seen.flight {
        Some(flight) if is_of_judged(flight, plan) => match flight.stage {
            Stage::StopRequested => {
                Step::Wait("a stop of this deployment has been asked for already".into())
            }
            Stage::Running if flight.source().is_some_and(|from| from.same_as(&plan.target)) => {
                Step::Stop { arn: flight.arn.clone() }
            }
            Stage::Running
            | Stage::RollingBack
            | Stage::RolledBack
            | Stage::RollbackFailed
            | Stage::Ended
            | Stage::Unknown => Step::Update,
        },
        Some(_) | None => Step::Update,
    }
}

/// What ECS's own rollback of the judged deployment means, if there is one.
/// A failed one means nothing: the guard's is due then.
fn native_rollback(seen: &Seen, plan: &RollbackPlan) -> Option<Step> {
    let flight = seen.flight.as_ref().filter(|flight| is_of_judged(flight, plan))?;
    let primary = &seen.primary;
    let under_way = match flight.stage {
        Stage::RollingBack => true,
        Stage::RolledBack => false,
        Stage::Running
        | Stage::StopRequested
        | Stage::RollbackFailed
        | Stage::Ended
        | Stage::Unknown => return None,
    };
    let Some(back_to) = flight.goes_back_to() else {
        let words = "ECS is rolling back by itself and does not say yet where to";
        return under_way.then(|| Step::Wait(words.into()));
    };
    let its_own =
        primary.id != plan.judged && primary.revision.task_definition == back_to.task_definition;
    if !under_way && !its_own {
        return None;
    }
    if under_way && primary.id != plan.judged && !its_own {
        // A third deployment has come in between.
        return None;
    }
    if back_to.same_as(&plan.target) {
        return Some(Step::InPlace { deployment: its_own.then(|| primary.id.clone()) });
    }
    under_way.then(|| {
        Step::Refuse(format!(
            "ECS is rolling back by itself to {}, and the plan says {}",
            back_to.short(),
            plan.target.short()
        ))
    })
}

/// Whether a service deployment is the one that put the judged revision in place.
fn is_of_judged(flight: &Flight, plan: &RollbackPlan) -> bool {
    flight.target.as_ref().is_some_and(|target| is_same_revision(target, &plan.judged_revision))
}

fn is_same_revision(one: &Revision, other: &Revision) -> bool {
    match (&one.service_revision, &other.service_revision) {
        (Some(one), Some(other)) => one == other,
        _ => one.same_as(other),
    }
}

/// Says so when the target replaced something else than the judged deployment:
/// `others` is what is left beside it, `judged_since` when the judged deployment
/// was created, where that is known.
pub(super) fn mismatch(
    others: &[PlatformDeployment],
    judged_since: Option<Timestamp>,
    plan: &RollbackPlan,
) -> Option<String> {
    let judged = others.iter().find(|one| one.id == plan.judged).map(|one| one.created_at);
    // Without it, only what came after the last look counts.
    let since = judged.or(judged_since).unwrap_or(plan.decided_at - SKEW);
    let stranger = others.iter().filter(|one| {
        one.id != plan.judged
            && one.revision.task_definition != plan.target.task_definition
            && one.created_at > since
    });
    stranger.max_by_key(|one| one.created_at).map(|one| {
        format!(
            "the rollback replaced {} ({}), begun at {:.0}, and not only what was judged, {} ({})",
            one.id,
            one.revision.short(),
            one.created_at,
            plan.judged,
            plan.judged_revision.short(),
        )
    })
}

#[cfg(test)]
#[path = "choose_tests.rs"]
mod tests;
