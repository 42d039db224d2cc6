//! One look at what is guarded, in the guard's words. Pure.

use jiff::Timestamp;

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
    /// Since when it is in place again, where something else was seen in between.
    pub(super) again_since: Option<Timestamp>,
    /// Of a split: the Service that gets what the canary does not.
    pub(super) stable: Option<String>,
    /// Whether the controller has taken up the latest change of the Deployment.
    pub(super) observed: bool,
}

/// `None`: there is no such thing.
/// `stable`: the stable Service of the last split, where one was seen.
pub(super) fn in_place(
    read: &Namespace,
    named: &Named<'_>,
    stable: Option<&str>,
) -> Result<Option<InPlace>, LookError> {
    match named {
        Named::Deployment(name) => {
            let found = Rolled::of(read, name).map_err(LookError::Transient)?;
            found.map(|rolled| of_rollout(read, &rolled)).transpose()
        }
        Named::Service(name) => {
            Selected::of(read, name)?.map(|found| of_selector(read, &found)).transpose()
        }
        Named::Ingress(name) => {
            Split::of_ingress(read, name, stable)?.map(|split| of_split(read, &split)).transpose()
        }
        Named::Route(name) => {
            Split::of_route(read, name, stable)?.map(|split| of_split(read, &split)).transpose()
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
        again_since: None,
        stable: None,
        observed: rolled.is_observed(),
    })
}

/// The Deployment that stands by gets no requests, so nothing is beside what is in place.
fn of_selector(read: &Namespace, found: &Selected<'_>) -> Result<InPlace, LookError> {
    let begun = found.rolled.begun().map_err(LookError::Transient)?;
    let uid = found.service.metadata.uid.as_deref().unwrap_or_default();
    let primary = found.rolled.deployment(found.led_since(begun));
    Ok(InPlace {
        controller: Controller::Selector,
        primary: PlatformDeployment { id: behind(uid, &primary.id), ..primary },
        others: Vec::new(),
        source: before(read, found),
        again_since: None,
        stable: None,
        observed: found.rolled.is_observed(),
    })
}

/// The id of a roll-out behind a Service or route: the same over all steps of one canary, when
/// the stable Service leads to it at last, and whenever it is read. It has the roll-out's
/// number, so the same template rolled out anew is another one. What comes back as it was,
/// after something else, has its former id: whoever remembers what was in place tells that.
fn behind(uid: &str, rolled: &str) -> String {
    format!("{uid}:{rolled}")
}

/// What a Service led to before, where its Deployment was rolled over after the switch. What
/// it was switched from stands nowhere: whoever saw that knows it.
fn before(read: &Namespace, found: &Selected<'_>) -> Option<Revision> {
    let rolled_later = found.rolled.begun().ok()? > found.switched()?;
    found.rolled.source(read).filter(|_| rolled_later)
}

/// The canary while it gets requests; otherwise what the stable Service leads to.
fn of_split(read: &Namespace, split: &Split<'_>) -> Result<InPlace, LookError> {
    let Some(canary) = split.judged() else {
        let stable = &split.stable;
        let begun = stable.rolled.begun().map_err(LookError::Transient)?;
        let primary = stable.rolled.deployment(stable.led_since(begun));
        let id = behind(&split.uid, &primary.id);
        return Ok(InPlace {
            controller: Controller::Weights,
            primary: PlatformDeployment { id, weight: Some(100), ..primary },
            others: Vec::new(),
            source: before(read, stable),
            again_since: None,
            stable: Some(stable.name().to_owned()),
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
    let id = behind(&split.uid, &primary.id);
    let roll_out = match primary.roll_out {
        RollOut::Completed if canary.weight < 100 => RollOut::InProgress,
        reached @ (RollOut::Completed | RollOut::InProgress | RollOut::Failed) => reached,
    };
    let stable = old.deployment(old.begun().map_err(LookError::Transient)?);
    let rest = 100_u8.saturating_sub(canary.weight);
    let stable =
        PlatformDeployment { id: behind(&split.uid, &stable.id), weight: Some(rest), ..stable };
    Ok(InPlace {
        controller: Controller::Weights,
        again_since: None,
        stable: Some(split.stable.name().to_owned()),
        primary: PlatformDeployment { id, roll_out, weight: Some(canary.weight), ..primary },
        source: Some(stable.revision.clone()),
        others: if rest > 0 { vec![stable] } else { Vec::new() },
        observed: new.is_observed(),
    })
}
