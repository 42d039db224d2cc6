//! What a rollback does with what it finds: the decision table. Pure.

use super::decode::InPlace;
use super::way::Way;
use crate::model::RollbackPlan;

/// What is guarded, as it is right before acting.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Seen {
    pub(super) found: InPlace,
    /// How the plan's target can be put back, or why not.
    pub(super) way: Result<Way, String>,
    /// Whether that would restore nothing: the target's pods are those of the judged revision.
    pub(super) alike: bool,
}

/// What is to be done. Only the last one changes something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    /// The target is back, or on its way back: nothing is left to do.
    InPlace {
        deployment: String,
    },
    /// Something else than the judged deployment is in place.
    Superseded(String),
    /// It must not or can't be done.
    Refuse(String),
    /// Kubernetes has not taken up the latest change yet.
    Wait(String),
    Go(Way),
}

/// The first rule that fits counts:
///
/// 1. The controller has not seen the latest change of the Deployment: nobody knows what is
///    in place, wait.
/// 2. The target is in place, by another change than the judged one: in place.
/// 3. What is in place is not the judged deployment: superseded.
/// 4. The target is what runs already, under its own name or another: refused.
/// 5. As the target can be put back: that change, or why there is none.
pub(super) fn choose(seen: &Seen, plan: &RollbackPlan) -> Step {
    let primary = &seen.found.primary;
    if !seen.found.observed {
        let words = format!("Kubernetes has not taken up the latest change of {}", plan.service);
        return Step::Wait(words);
    }
    if primary.id != plan.judged && primary.revision.name == plan.target.name {
        return Step::InPlace { deployment: primary.id.clone() };
    }
    if !judged_stands(&seen.found, plan) {
        return Step::Superseded(format!(
            "{} has been in place since {:.0}, not {} ({})",
            primary.revision.short(),
            primary.created_at,
            plan.judged_revision.short(),
            plan.judged,
        ));
    }
    if plan.target.name == plan.judged_revision.name || seen.alike {
        return Step::Refuse(nothing_to_restore(plan.target.short()));
    }
    match &seen.way {
        Ok(way) => Step::Go(way.clone()),
        Err(why) => Step::Refuse(why.clone()),
    }
}

/// Whether the judged deployment is in place, and not the same one put there anew after the
/// decision.
fn judged_stands(found: &InPlace, plan: &RollbackPlan) -> bool {
    found.primary.id == plan.judged && found.again_since.is_none_or(|at| at <= plan.decided_at)
}

pub(super) fn nothing_to_restore(target: &str) -> String {
    format!("both sides run the same pods as {target}: putting it back would restore nothing")
}

#[cfg(test)]
#[path = "choose_tests.rs"]
mod tests;
