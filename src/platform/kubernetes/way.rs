//! How a rollback's target can be put back, if it can. Pure.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::calls::Namespace;
use super::named::Named;
use super::rollout::{Rolled, annotation};
use super::selector::Selected;
use super::weights::Split;
use crate::model::Revision;
use crate::platform::LookError;

/// One change that brings a target back, or nearer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Way {
    /// The Deployment gets the pod template of this `ReplicaSet`.
    Undo { deployment: String, set: String },
    /// The Service gets this selector.
    Select { service: String, selector: BTreeMap<String, String> },
    /// The canary gets no requests any more.
    Reset,
}

/// The next change that brings `target` back to what `named` leads to. The inner error says
/// why there is none, and what people can do. `stable`: the stable Service of the last split.
pub(super) fn way(
    read: &Namespace,
    named: &Named<'_>,
    target: &Revision,
    stable: Option<&str>,
) -> Result<Result<Way, String>, LookError> {
    let gone = || Ok(Err("it does not exist any more".to_owned()));
    match named {
        Named::Deployment(name) => match Rolled::of(read, name).map_err(LookError::Transient)? {
            Some(rolled) => Ok(undo(read, &rolled, target)),
            None => gone(),
        },
        Named::Service(name) => match Selected::of(read, name)? {
            Some(found) => Ok(switch(read, &found, target)),
            None => gone(),
        },
        Named::Ingress(name) => match Split::of_ingress(read, name, stable)? {
            Some(split) => Ok(reset(read, &split, target)),
            None => gone(),
        },
        Named::Route(name) => match Split::of_route(read, name, stable)? {
            Some(split) => Ok(reset(read, &split, target)),
            None => gone(),
        },
    }
}

fn undo(read: &Namespace, rolled: &Rolled<'_>, target: &Revision) -> Result<Way, String> {
    let deployment = rolled.name().to_owned();
    if rolled.is_paused() {
        return Err(format!(
            "the Deployment {deployment} is paused, and would not roll out what is put back: \
             `kubectl rollout resume deployment/{deployment}`"
        ));
    }
    match rolled.set(read, &target.name) {
        Some(_) => Ok(Way::Undo { deployment, set: target.name.clone() }),
        None => Err(gone_set(rolled, target)),
    }
}

fn gone_set(rolled: &Rolled<'_>, target: &Revision) -> String {
    let keeps = rolled.deployment.spec.as_ref().and_then(|spec| spec.revision_history_limit);
    format!(
        "the ReplicaSet {} of {} is gone: the Deployment keeps {} old ones \
         (`revisionHistoryLimit`); deploy that version anew",
        target.name,
        target.short(),
        keeps.unwrap_or(10)
    )
}

/// The selector goes to the other Deployment that runs the target; one that the selected
/// Deployment itself ran before is brought back by an undo.
fn switch(read: &Namespace, found: &Selected<'_>, target: &Revision) -> Result<Way, String> {
    if found.rolled.set(read, &target.name).is_some() {
        return undo(read, &found.rolled, target);
    }
    let service = found.name();
    for (deployment, selector) in found.alternatives(read) {
        let Ok(other) = Rolled::made(read, deployment) else { continue };
        if other.revision().name == target.name {
            if other.ready() == 0 {
                let name = other.name();
                return Err(format!(
                    "{name}, which runs {}, has no pod that is ready: `kubectl scale \
                     deployment/{name} --replicas=N` before the selector can go back to it",
                    target.short()
                ));
            }
            return Ok(Way::Select { service: service.to_owned(), selector });
        }
        if other.set(read, &target.name).is_some() {
            return Err(format!(
                "{} runs {} now, and no more {}",
                other.name(),
                other.revision().short(),
                target.short()
            ));
        }
    }
    Err(format!("no Deployment that service/{service} could select runs {}", target.short()))
}

/// While a canary is judged, all requests go back to the stable Service; once the stable
/// Service leads to it, its selector has to go back as well.
fn reset(read: &Namespace, split: &Split<'_>, target: &Revision) -> Result<Way, String> {
    let stable = &split.stable;
    if split.judged().is_none() {
        let shares = split.canary.as_ref().is_some_and(|canary| canary.weight > 0);
        return if shares { Ok(Way::Reset) } else { switch(read, stable, target) };
    }
    let runs = stable.rolled.revision();
    if runs.name != target.name {
        return Err(format!(
            "the stable service/{} leads to {}, and not to {}",
            stable.name(),
            runs.short(),
            target.short()
        ));
    }
    if stable.rolled.ready() == 0 {
        let name = stable.rolled.name();
        return Err(format!(
            "{name}, which runs {}, has no pod that is ready: `kubectl scale deployment/{name} \
             --replicas=N` before the requests can go back to it",
            target.short()
        ));
    }
    Ok(Way::Reset)
}

/// Who writes an object again and again from somewhere else, and what people must do there.
pub(super) fn keeper(meta: &ObjectMeta) -> Option<String> {
    let label = |name: &str| meta.labels.as_ref().and_then(|all| all.get(name)).is_some();
    let who = if annotation(meta, "argocd.argoproj.io/tracking-id").is_some()
        || label("argocd.argoproj.io/instance")
    {
        "Argo CD"
    } else if label("kustomize.toolkit.fluxcd.io/name") || label("helm.toolkit.fluxcd.io/name") {
        "Flux"
    } else {
        return None;
    };
    Some(format!(
        "{who} keeps {} as its git repository says, and may put the judged version back: revert \
         it there too",
        meta.name.as_deref().unwrap_or_default()
    ))
}
