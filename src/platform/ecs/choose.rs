//! What a rollback does with what it finds: the decision table. Pure.

use jiff::{SignedDuration, Timestamp};

use super::decode::Deployer;
use super::flight::{Flight, Stage};
use super::inspect::{nothing_to_restore, pin_words};
use super::release::Release;
use crate::model::{PlatformDeployment, Revision, RollbackPlan};

/// How far the clocks of AWS and of this machine may lie apart.
const SKEW: SignedDuration = SignedDuration::from_secs(5);

/// A service as it is right before acting.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Seen {
    pub(super) controller: Deployer,
    pub(super) primary: PlatformDeployment,
    /// What is left beside it.
    pub(super) others: Vec<PlatformDeployment>,
    /// The newest service deployment, where it can be read.
    pub(super) flight: Option<Flight>,
    /// CodeDeploy's deployment of the judged task set, where there is one.
    pub(super) release: Option<Release>,
    /// Why the plan's target can't be placed; `None`: it can, or that could not
    /// be read, and then the call will say so.
    pub(super) unplaceable: Option<String>,
    /// A revision of the target that is pinned to its digests and registered already.
    pub(super) pinned: Option<String>,
}

/// What is to be done. The last five change something, and nothing else does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    /// The target is back, or on its way back: nothing is left to do.
    InPlace { deployment: Option<String> },
    /// Something else than the judged deployment is in place.
    Superseded(String),
    /// It must not or can't be done.
    Refuse(String),
    /// The platform is about to do something, and does not say yet what.
    Wait(String),
    /// `ContinueServiceDeployment` of this ARN, which waits at the hook: ECS goes back
    /// to the plan's target.
    Continue { arn: String, hook: String },
    /// `StopServiceDeployment` of this ARN: ECS goes back to the plan's target.
    Stop { arn: String },
    /// `UpdateService` with the target's task definition, or, where it has to be
    /// pinned, with such a revision, registered first if there is none.
    Update,
    /// CodeDeploy's `StopDeployment`: the task set of the plan's target still stands.
    StopRelease { id: String },
    /// CodeDeploy's `CreateDeployment` of the plan's target.
    Deploy { release: Release },
}

/// The first rule that fits counts:
///
/// 1. The target is PRIMARY in a deployment begun after the decision, or, with
///    CodeDeploy, which keeps the old task set, at all: in place.
/// 2. The platform rolls the judged deployment back by itself: in place if it goes
///    back to the target, refused if to anything else, waited for while it can't be
///    told. This comes before rule 3 because such a rollback is a new PRIMARY.
/// 3. PRIMARY is not the judged deployment: superseded.
/// 4. The target can't be placed, is what runs already, or would start other images
///    and may not be pinned: refused.
/// 5. By the controller: ECS, see [`ecs`]; CodeDeploy, see [`code_deploy`]; any other
///    one: refused.
pub(super) fn choose(seen: &Seen, plan: &RollbackPlan) -> Step {
    let primary = &seen.primary;
    let judged_stands = primary.id == plan.judged;
    let begun_for_it = match seen.controller {
        Deployer::Ecs | Deployer::External => primary.created_at >= plan.decided_at - SKEW,
        Deployer::CodeDeploy => true,
    };
    if !judged_stands && begun_for_it && is_target(seen, plan, &primary.revision) {
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
    match seen.controller {
        Deployer::Ecs => obstacle(seen, plan).map_or_else(|| ecs(seen, plan), Step::Refuse),
        Deployer::CodeDeploy => code_deploy(seen, plan),
        Deployer::External => Step::Refuse(external(&plan.target)),
    }
}

/// Whether `revision` is what the plan puts in place.
fn is_target(seen: &Seen, plan: &RollbackPlan, revision: &Revision) -> bool {
    let registered = plan.pins() && seen.pinned.as_ref() == Some(&revision.name);
    registered || plan.is_target(revision)
}

/// Why the target's task definition can't be put in the place of the judged one.
fn obstacle(seen: &Seen, plan: &RollbackPlan) -> Option<String> {
    let same = plan.target.name == plan.judged_revision.name;
    match (same, plan.pins()) {
        (true, false) if plan.target.needs_pin(&plan.judged_revision) => {
            Some(pin_words(&plan.target))
        }
        (true, false) => Some(nothing_to_restore(&plan.target)),
        (true | false, _) => seen.unplaceable.clone(),
    }
}

/// ECS deploys, and the judged deployment stands:
///
/// 1. Somebody asked for a stop, and nobody knows yet how it ends: wait.
/// 2. The judged deployment is in flight, and came from the target and nothing else,
///    whose images come back with it: it is sent back from the hook at which it
///    waits, or stopped. ECS chooses where a stopped deployment goes back to.
/// 3. Otherwise: update. Baking is in flight; over, failed or unknown is not.
fn ecs(seen: &Seen, plan: &RollbackPlan) -> Step {
    let Some(flight) = seen.flight.as_ref().filter(|flight| is_of_judged(flight, plan)) else {
        return Step::Update;
    };
    let from_target = flight.source().is_some_and(|from| from.same_as(&plan.target));
    match flight.stage {
        Stage::StopRequested => {
            Step::Wait("a stop of this deployment has been asked for already".into())
        }
        Stage::Running if from_target && !plan.pins() => match &flight.hook {
            Some(hook) => Step::Continue { arn: flight.arn.clone(), hook: hook.clone() },
            None => Step::Stop { arn: flight.arn.clone() },
        },
        Stage::Running
        | Stage::RollingBack
        | Stage::RolledBack
        | Stage::RollbackFailed
        | Stage::Ended
        | Stage::Unknown => Step::Update,
    }
}

/// CodeDeploy deploys, and the judged task set stands:
///
/// 1. Its deployment is not known: refused.
/// 2. It is under way, and the only task set beside it is the target's: stopped with a
///    rollback, which brings that task set back. Any other target: refused, because
///    CodeDeploy makes one deployment at a time and chooses where it goes back to.
/// 3. It is over: a deployment of the target, unless that would restore nothing.
fn code_deploy(seen: &Seen, plan: &RollbackPlan) -> Step {
    let Some(release) = &seen.release else {
        return Step::Refuse(format!(
            "the task set {} names no deployment of CodeDeploy's: put {} back in CodeDeploy",
            plan.judged,
            plan.target.short()
        ));
    };
    match release.stage {
        Stage::Running => match seen.others.as_slice() {
            [old] if old.revision.name == plan.target.name => {
                Step::StopRelease { id: release.id.clone() }
            }
            [] | [_] | [_, _, ..] => Step::Refuse(format!(
                "CodeDeploy's {} is under way and would not go back to {}: stop it in CodeDeploy",
                release.id,
                plan.target.short()
            )),
        },
        Stage::Ended | Stage::RolledBack | Stage::RollbackFailed => {
            if plan.target.name == plan.judged_revision.name {
                return Step::Refuse(nothing_to_restore(&plan.target));
            }
            match &seen.unplaceable {
                Some(words) => Step::Refuse(words.clone()),
                None => Step::Deploy { release: release.clone() },
            }
        }
        Stage::StopRequested | Stage::RollingBack | Stage::Unknown => Step::Wait(format!(
            "CodeDeploy does not say yet what comes of its deployment {}",
            release.id
        )),
    }
}

/// Why a service of a third party's controller is left alone, and what a person can do.
pub(super) fn external(target: &Revision) -> String {
    format!(
        "an external controller deploys this service: ECS does not let anyone else change its \
         task definition. Have that controller put {} back: a task set of it (CreateTaskSet), \
         made primary (UpdateServicePrimaryTaskSet)",
        target.short()
    )
}

/// What the platform's own rollback of the judged deployment means, if there is one.
/// A failed one means nothing: the guard's is due then.
fn native_rollback(seen: &Seen, plan: &RollbackPlan) -> Option<Step> {
    if seen.controller == Deployer::CodeDeploy {
        return native_rollback_of_code_deploy(seen, plan);
    }
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
    let its_own = primary.id != plan.judged && primary.revision.name == back_to.name;
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

/// While CodeDeploy brings the target's task set back, the judged one may be PRIMARY.
fn native_rollback_of_code_deploy(seen: &Seen, plan: &RollbackPlan) -> Option<Step> {
    let release = seen.release.as_ref()?;
    if release.stage != Stage::RollingBack || seen.primary.id != plan.judged {
        return None;
    }
    match seen.others.as_slice() {
        [old] if old.revision.name == plan.target.name => {
            Some(Step::InPlace { deployment: Some(old.id.clone()) })
        }
        [] => None,
        [other, ..] => Some(Step::Refuse(format!(
            "CodeDeploy is rolling back by itself to {}, and the plan says {}",
            other.revision.short(),
            plan.target.short()
        ))),
    }
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
            && (plan.pins() || one.revision.name != plan.target.name)
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

#[cfg(test)]
#[path = "table_tests.rs"]
mod table;
