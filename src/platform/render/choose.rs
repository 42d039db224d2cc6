//! What a rollback does with what it finds: the decision table. Pure.

use super::wave::{Member, Wave, contents, waves};
use super::wire::{Deploy, Status, short};
use crate::model::RollbackPlan;

/// Builds that Render keeps at most (Hobby 5, Pro 15, Scale and Enterprise 30), and at least.
pub(super) const MOST_KEPT: usize = 30;
pub(super) const LEAST_KEPT: usize = 5;

/// What is to be done. Only the last one changes something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    /// Every service runs the target, or is about to.
    InPlace { deployment: Option<String> },
    /// Another deployment has come in between.
    Superseded(String),
    /// It must not or can't be done.
    Refuse(String),
    /// These go back, in this order; the others run the target.
    RollBack(Vec<Move>),
}

/// One service goes back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Move {
    /// `srv-...`
    pub(super) service: String,
    pub(super) name: String,
    /// The earlier deploy whose build is put back.
    pub(super) deploy: String,
    /// What it put in place.
    pub(super) content: String,
}

/// The first rule that fits counts:
///
/// 1. The target does not say what each service ran, or the judged deployment is no longer
///    in the history: refused.
/// 2. A service runs neither the target nor what it did when the judged deployment began:
///    superseded. It is about to do so: refused, because what builds may fail, and is left
///    alone until then.
/// 3. All run the target: in place; but if no service ever got the judged deployment, there
///    is nothing to undo: refused.
/// 4. A service has no deploy of the target that was live: refused.
/// 5. Otherwise those that do not run the target go back. Those that do are left: an earlier
///    try may have come so far.
pub(super) fn choose(members: &[Member], plan: &RollbackPlan) -> Step {
    let wanted = match contents(&plan.target, members) {
        Ok(wanted) => wanted,
        Err(why) => return Step::Refuse(why),
    };
    let waves = waves(members);
    let Some(judged) = waves.iter().find(|wave| wave.id == plan.judged) else {
        return Step::Refuse(format!("Render's history shows {} no longer", plan.judged));
    };
    let (mut moves, mut back, mut coming) = (Vec::new(), Vec::new(), None);
    for ((place, member), wanted) in members.iter().enumerate().zip(&wanted) {
        let Some(heading) = member.heading() else {
            return Step::Refuse(format!("nothing of {} was ever live", member.name));
        };
        if heading.content() == *wanted {
            if heading.created_at > judged.begun {
                back.push(heading);
            }
        } else if is_of(judged, place, heading) {
            match earlier(member, wanted) {
                Some((deploy, _)) => moves.push(Move {
                    service: member.id.clone(),
                    name: member.name.clone(),
                    deploy: deploy.id.clone(),
                    content: wanted.clone(),
                }),
                None => return Step::Refuse(unknown(member, wanted)),
            }
        } else if heading.status() == Status::Coming && !heading.rolls_back() {
            coming.get_or_insert_with(|| left_alone(member, heading, plan));
        } else {
            return Step::Superseded(stranger(member, heading, plan));
        }
    }
    if let Some(words) = coming {
        return Step::Refuse(words);
    }
    match (moves.is_empty(), back.first()) {
        (false, _) => Step::RollBack(moves),
        (true, None) => Step::Refuse(format!(
            "no service got {}: Render keeps {} live",
            plan.judged_revision.short(),
            plan.target.short()
        )),
        (true, Some(first)) => {
            let wave = waves.iter().rev().find(|wave| wave.parts.values().any(|one| one == first));
            Step::InPlace { deployment: wave.map(|wave| wave.id.to_owned()) }
        }
    }
}

/// Whether the judged deployment put it there, or left it.
fn is_of(judged: &Wave, place: usize, heading: &Deploy) -> bool {
    match judged.parts.get(&place) {
        Some(part) => *part == heading || heading.created_at <= judged.begun,
        None => heading.created_at <= judged.open_until(),
    }
}

/// The newest deploy of `content` that was live, and how many others were since it: only so
/// many builds are kept.
pub(super) fn earlier<'a>(member: &'a Member, content: &str) -> Option<(&'a Deploy, usize)> {
    let lived = member.deploys.iter().filter(|deploy| deploy.has_been_live());
    let mut lived = lived.enumerate().map(|(since, deploy)| (deploy, since));
    lived.find(|(deploy, _)| deploy.content() == content)
}

/// Why a service can't go back.
pub(super) fn unknown(member: &Member, content: &str) -> String {
    format!(
        "none of the newest {} deploys of {} had {} live: deploy that commit by hand",
        member.deploys.len(),
        member.name,
        short(content)
    )
}

fn left_alone(member: &Member, heading: &Deploy, plan: &RollbackPlan) -> String {
    format!(
        "{}: it is left alone, and judged once it is live. If it is not to come, cancel it on \
         Render and roll back then",
        stranger(member, heading, plan)
    )
}

fn stranger(member: &Member, heading: &Deploy, plan: &RollbackPlan) -> String {
    let stands = if heading.status() == Status::Coming { "comes to" } else { "is live on" };
    format!(
        "{} ({}), begun at {:.0}, {stands} {}, not {} ({})",
        heading.id,
        heading.title(),
        heading.created_at,
        member.name,
        plan.judged,
        plan.judged_revision.short()
    )
}

#[cfg(test)]
#[path = "choose_tests.rs"]
mod tests;
