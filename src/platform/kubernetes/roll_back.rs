//! Acting: look again, choose, change one object as it was read, and look what came of it.
//!
//! Each change names the version of the object that it is a change of: the API refuses it
//! where anybody has changed the object since, and then everything is read anew.

use std::time::Duration;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde_json::{Value, json};

use super::Kubernetes;
use super::calls::{Namespace, Parts, Place};
use super::choose::{Seen, Step, choose};
use super::fault::{Fault, Kind, unseen};
use super::inspect::alike;
use super::named::Named;
use super::rollout::{HASH, annotation};
use super::way::{Way, keeper, way};
use super::weights::{Lever, Split};
use crate::crash;
use crate::model::{ActFailure, Acted, Permit, RollbackPlan, Route};

/// How long a call of a former life may still be on its way.
const SETTLE: Duration = Duration::from_secs(2);
/// Looks after a change whose effect is not known, and the time before each.
const LOOKS: usize = 3;
const BETWEEN_LOOKS: Duration = Duration::from_secs(1);
/// Readings of what others change at the same time: a Deployment that rolls out has its
/// status written every second.
const TRIES: usize = 10;
/// What kubectl shows as the reason of a revision.
const CAUSE: &str = "kubernetes.io/change-cause";
const CAUSE_PATH: &str = "/metadata/annotations/kubernetes.io~1change-cause";

/// What was read right before acting.
pub(super) struct Looked {
    pub(super) seen: Seen,
    read: Namespace,
}

impl Kubernetes {
    pub(super) async fn act(
        &self,
        permit: &Permit,
        plan: &RollbackPlan,
    ) -> Result<Acted, ActFailure> {
        if !permit.is_first() {
            tokio::time::sleep(SETTLE).await;
        }
        let mut done: Option<Route> = None;
        let mut beside = Vec::new();
        for _ in 0..TRIES {
            let looked = self.see(plan).await?;
            let way = match choose(&looked.seen, plan) {
                Step::Go(way) => way,
                Step::InPlace { deployment } => {
                    return Ok(acted(done, Some(deployment), beside));
                }
                // It has been told what to do, and has not begun with it yet.
                Step::Wait(_) if done.is_some() => return Ok(acted(done, None, beside)),
                Step::Wait(words) => return Err(ActFailure::Transient(words)),
                Step::Superseded(words) => return Err(ActFailure::Superseded(words)),
                Step::Refuse(words) => return Err(ActFailure::Refused(words)),
            };
            let change = self.change(plan, &looked, &way).await?;
            crash::point("kubernetes-before-act");
            permit.stands()?;
            let sent = self.send(&change, plan).await;
            crash::point("kubernetes-after-act");
            match sent {
                Ok(()) => {
                    done = Some(done.map_or(change.route, |former| further(former, change.route)));
                    beside.extend(change.beside);
                }
                Err(fault) => match fault.kind {
                    Kind::Conflict => {}
                    Kind::Unknown => return self.observe(plan, change, &fault, beside).await,
                    Kind::Throttled | Kind::Absent | Kind::Refused => return Err(fault.into()),
                },
            }
        }
        Err(ActFailure::Transient(format!("{} kept changing while it was read", plan.service)))
    }

    /// Reads all that the choice depends on.
    pub(super) async fn see(&self, plan: &RollbackPlan) -> Result<Looked, ActFailure> {
        let key = &plan.service;
        let named = Named::read(&key.service).map_err(ActFailure::Permanent)?;
        let read = self.read(&key.cluster, Parts::default().with(&named)).await?;
        self.recall(&read, key, &named, [&plan.judged_revision, &plan.target]);
        let Some(found) = self.found(&read, key, None).map_err(unseen)? else {
            return Err(ActFailure::Refused(format!("{key} does not exist any more")));
        };
        let way = way(&read, &named, &plan.target, found.stable.as_deref()).map_err(unseen)?;
        let alike = alike(&read, &plan.judged_revision, &plan.target, way.as_ref().ok());
        Ok(Looked { seen: Seen { found, way, alike }, read })
    }

    /// What has to be sent.
    async fn change(
        &self,
        plan: &RollbackPlan,
        Looked { seen, read }: &Looked,
        way: &Way,
    ) -> Result<Change, ActFailure> {
        let kept = || ActFailure::Transient(format!("{} changed while it was read", plan.service));
        match way {
            Way::Undo { deployment, set } => {
                let raw = self.raw_set(&plan.service.cluster, set).await?;
                let found = read
                    .deployments
                    .iter()
                    .find(|one| one.metadata.name.as_ref() == Some(deployment));
                let meta = &found.ok_or_else(kept)?.metadata;
                let changes = undoing(meta, &raw).ok_or_else(|| {
                    ActFailure::Refused(format!("the ReplicaSet {set} has no pod template"))
                })?;
                Ok(Change::of(Route::UndoRollout, Of::Deployment, meta, changes))
            }
            Way::Select { service, selector } => {
                let found =
                    read.services.iter().find(|one| one.metadata.name.as_ref() == Some(service));
                let meta = &found.ok_or_else(kept)?.metadata;
                let change =
                    json!({ "op": "replace", "path": "/spec/selector", "value": selector });
                Ok(Change::of(Route::SwitchSelector, Of::Service, meta, vec![change]))
            }
            Way::Reset => {
                let stable = seen.found.stable.as_deref();
                let split = split(read, &plan.service.service, stable)?.ok_or_else(kept)?;
                let lever = split.canary.ok_or_else(kept)?.lever;
                Ok(Change::of_lever(&lever, 0))
            }
        }
    }

    /// Sends a change, once.
    pub(super) async fn send(&self, change: &Change, plan: &RollbackPlan) -> Result<(), Fault> {
        self.send_to(change, &plan.service.cluster).await
    }

    pub(super) async fn send_to(&self, change: &Change, namespace: &str) -> Result<(), Fault> {
        let Change { name, version, changes, .. } = change;
        let place = Place { namespace, name, version, changes: changes.clone() };
        match change.of {
            Of::Deployment => self.patch_deployment(&place).await,
            Of::Service => self.patch_service(&place).await,
            Of::Ingress => self.patch_ingress(&place).await,
            Of::Route => self.patch_route(&place).await,
        }
    }

    /// After a change whose effect is not known: never send it again, look.
    async fn observe(
        &self,
        plan: &RollbackPlan,
        change: Change,
        fault: &Fault,
        mut beside: Vec<String>,
    ) -> Result<Acted, ActFailure> {
        for _ in 0..LOOKS {
            tokio::time::sleep(BETWEEN_LOOKS).await;
            let Ok(looked) = self.see(plan).await else { continue };
            match choose(&looked.seen, plan) {
                Step::InPlace { deployment } => {
                    beside.extend(change.beside);
                    return Ok(acted(Some(change.route), Some(deployment), beside));
                }
                Step::Superseded(words) => return Err(ActFailure::Superseded(words)),
                Step::Refuse(_) | Step::Wait(_) | Step::Go(_) => {}
            }
        }
        Err(ActFailure::Transient(format!(
            "{}; after {LOOKS} looks {} is still not back in place",
            fault.words,
            plan.target.short()
        )))
    }
}

/// Where the traffic of an Ingress or a route goes; `None`: it is gone, or neither.
pub(super) fn split<'a>(
    read: &'a Namespace,
    service: &str,
    stable: Option<&str>,
) -> Result<Option<Split<'a>>, ActFailure> {
    let named = Named::read(service).map_err(ActFailure::Permanent)?;
    match named {
        Named::Ingress(name) => Split::of_ingress(read, name, stable).map_err(unseen),
        Named::Route(name) => Split::of_route(read, name, stable).map_err(unseen),
        Named::Deployment(_) | Named::Service(_) => Ok(None),
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Of {
    Deployment,
    Service,
    Ingress,
    Route,
}

/// One change of one object, as it was read.
#[derive(Debug)]
pub(super) struct Change {
    route: Route,
    of: Of,
    name: String,
    version: String,
    changes: Vec<Value>,
    beside: Option<String>,
}

impl Change {
    fn of(route: Route, of: Of, meta: &ObjectMeta, changes: Vec<Value>) -> Self {
        Self {
            route,
            of,
            name: meta.name.clone().unwrap_or_default(),
            version: meta.resource_version.clone().unwrap_or_default(),
            changes,
            beside: keeper(meta),
        }
    }

    /// The canary's share, in percent.
    pub(super) fn of_lever(lever: &Lever<'_>, weight: u8) -> Self {
        let (of, meta) = match lever {
            Lever::Ingress(ingress) => (Of::Ingress, &ingress.metadata),
            Lever::Route(route) => (Of::Route, &route.metadata),
        };
        Self::of(Route::ResetWeights, of, meta, lever.changes(weight))
    }
}

/// As `kubectl rollout undo`: the template, without what the controller added to it, and the
/// reason that was given for that revision. Replicas stay as they are.
fn undoing(meta: &ObjectMeta, set: &Value) -> Option<Vec<Value>> {
    let mut template = set["spec"]["template"].clone();
    template.as_object()?;
    if let Some(labels) = template["metadata"]["labels"].as_object_mut() {
        labels.remove(HASH);
    }
    let mut changes = vec![json!({ "op": "replace", "path": "/spec/template", "value": template })];
    let then = set["metadata"]["annotations"][CAUSE].as_str();
    match (then, annotation(meta, CAUSE)) {
        (Some(then), Some(_)) => {
            changes.push(json!({ "op": "replace", "path": CAUSE_PATH, "value": then }));
        }
        (None, Some(_)) => changes.push(json!({ "op": "remove", "path": CAUSE_PATH })),
        (Some(_) | None, None) => {}
    }
    Some(changes)
}

/// What several changes are told as: the selector's says more than the weights'.
fn further(former: Route, now: Route) -> Route {
    if former == Route::ResetWeights { now } else { former }
}

fn acted(done: Option<Route>, deployment: Option<String>, beside: Vec<String>) -> Acted {
    let route = done.unwrap_or(Route::AlreadyInPlace);
    Acted { deployment, beside, ..Acted::by(route) }
}
