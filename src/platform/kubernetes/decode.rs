//! One look at what is guarded, in the guard's words. Pure.

use super::calls::Namespace;
use super::fields::last_written;
use super::named::Named;
use super::rollout::Rolled;
use super::selector::Selected;
use super::weights::{Lever, Split};
use crate::model::{Controller, PlatformDeployment, Revision, RollOut};
use crate::platform::LookError;

/// What is in place, before what is remembered of it is put in.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct InPlace {
    pub(super) controller: Controller,
    pub(super) primary: PlatformDeployment,
    pub(super) others: Vec<PlatformDeployment>,
    pub(super) source: Option<Revision>,
    /// The id if this revision was in place before, and another one since.
    pub(super) again: Option<String>,
    /// Whether the controller has taken up the latest change of the Deployment.
    pub(super) observed: bool,
}

/// `None`: there is no such thing.
pub(super) fn in_place(read: &Namespace, named: &Named<'_>) -> Result<Option<InPlace>, LookError> {
    match named {
        Named::Deployment(name) => {
            let found = Rolled::of(read, name).map_err(LookError::Transient)?;
            found.map(|rolled| of_rollout(read, &rolled)).transpose()
        }
        Named::Service(name) => {
            Selected::of(read, name)?.map(|found| of_selector(read, &found)).transpose()
        }
        Named::Ingress(name) => {
            Split::of_ingress(read, name)?.map(|split| of_split(read, &split)).transpose()
        }
        Named::Route(name) => {
            Split::of_route(read, name)?.map(|split| of_split(read, &split)).transpose()
        }
    }
}

fn of_rollout(read: &Namespace, rolled: &Rolled<'_>) -> Result<InPlace, LookError> {
    let begun = rolled.begun().map_err(LookError::Transient)?;
    Ok(InPlace {
        controller: Controller::Rollout,
        primary: rolled.deployment(begun),
        others: rolled.leftovers(read),
        source: rolled.source(read),
        again: None,
        observed: rolled.is_observed(),
    })
}

/// The Deployment that stands by gets no requests, so nothing is beside what is in place.
fn of_selector(read: &Namespace, found: &Selected<'_>) -> Result<InPlace, LookError> {
    let begun = found.rolled.begun().map_err(LookError::Transient)?;
    let switched = found.switched();
    let created_at = switched.map_or(begun, |at| at.max(begun));
    let uid = found.service.metadata.uid.as_deref().unwrap_or_default();
    let primary = found.rolled.deployment(created_at);
    let set = &primary.revision.name;
    let at = switched.map_or(0, jiff::Timestamp::as_second);
    let id = format!("{uid}:{set}:{at}");
    Ok(InPlace {
        controller: Controller::Selector,
        primary: PlatformDeployment { id, ..primary },
        others: Vec::new(),
        source: before(read, found),
        again: None,
        observed: found.rolled.is_observed(),
    })
}

/// What a Service led to before: what its Deployment ran, where that was rolled over after
/// the switch, and otherwise what stands by.
fn before(read: &Namespace, found: &Selected<'_>) -> Option<Revision> {
    let rolled_later = found.rolled.begun().ok()? > found.switched()?;
    let former = found.rolled.source(read).filter(|_| rolled_later);
    former.or_else(|| standing_by(read, found))
}

/// What the only other Deployment runs that the selector could select.
fn standing_by(read: &Namespace, found: &Selected<'_>) -> Option<Revision> {
    match found.alternatives(read)[..] {
        [(other, _)] => Some(Rolled::made(read, other).ok()?.revision()),
        [..] => None,
    }
}

/// The canary while it gets requests; otherwise what the stable Service leads to. Its id is
/// the same over all steps of one canary, and when the stable Service leads to it at last.
fn of_split(read: &Namespace, split: &Split<'_>) -> Result<InPlace, LookError> {
    let Some(canary) = split.judged() else {
        let stable = &split.stable;
        let begun = stable.rolled.begun().map_err(LookError::Transient)?;
        let primary = stable.rolled.deployment(begun);
        let id = format!("{}:{}", split.uid, primary.revision.name);
        return Ok(InPlace {
            controller: Controller::Weights,
            primary: PlatformDeployment { id, weight: Some(100), ..primary },
            others: Vec::new(),
            source: before(read, stable),
            again: None,
            observed: stable.rolled.is_observed(),
        });
    };
    let (new, old) = (&canary.selected.rolled, &split.stable.rolled);
    let begun = new.begun().map_err(LookError::Transient)?;
    let moved = match canary.lever {
        Lever::Ingress(ingress) => {
            last_written(&ingress.metadata, &["f:metadata", "f:annotations"])
        }
        Lever::Route(route) => last_written(&route.metadata, &["f:spec", "f:rules"]),
    };
    let created_at = moved.map_or(begun, |at| at.max(begun));
    let primary = new.deployment(created_at);
    let id = format!("{}:{}", split.uid, primary.revision.name);
    let roll_out = match primary.roll_out {
        RollOut::Completed if canary.weight < 100 => RollOut::InProgress,
        reached @ (RollOut::Completed | RollOut::InProgress | RollOut::Failed) => reached,
    };
    let stable = old.deployment(old.begun().map_err(LookError::Transient)?);
    let rest = 100_u8.saturating_sub(canary.weight);
    let stable = PlatformDeployment {
        id: format!("{}:{}", split.uid, stable.revision.name),
        weight: Some(rest),
        ..stable
    };
    Ok(InPlace {
        controller: Controller::Weights,
        again: Some(format!("{id}:{}", created_at.as_second())),
        primary: PlatformDeployment { id, roll_out, weight: Some(canary.weight), ..primary },
        source: Some(stable.revision.clone()),
        others: if rest > 0 { vec![stable] } else { Vec::new() },
        observed: new.is_observed(),
    })
}
