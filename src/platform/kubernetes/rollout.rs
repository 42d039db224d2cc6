//! A Deployment and its `ReplicaSets`, in the guard's words. Pure.
//!
//! A revision is a `ReplicaSet`: its name is the same for the same pod template, so an undo
//! brings the same revision back. What tells one roll-out from the next is the Deployment's
//! revision number, which grows with every change of the template, undone ones too.

use jiff::Timestamp;
use k8s_openapi::api::apps::v1::{Deployment, DeploymentCondition, ReplicaSet};
use k8s_openapi::api::core::v1::PodTemplateSpec;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};

use super::calls::Namespace;
use super::fields::last_written;
use crate::model::{PlatformDeployment, Revision, RollOut};

/// Where the controller keeps a Deployment's and a `ReplicaSet`'s revision number.
pub(super) const REVISION: &str = "deployment.kubernetes.io/revision";
/// Where it keeps the numbers that a `ReplicaSet` had before it was used again.
const HISTORY: &str = "deployment.kubernetes.io/revision-history";
/// What it adds to a template, so that each `ReplicaSet` finds its own pods.
pub(super) const HASH: &str = "pod-template-hash";

/// Labels of a pod template that are kept with its revision.
const LABELS: usize = 32;

/// A Deployment with what stands of it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rolled<'a> {
    pub(super) deployment: &'a Deployment,
    /// Of the revision that the Deployment is at.
    pub(super) current: &'a ReplicaSet,
    number: u64,
}

impl<'a> Rolled<'a> {
    /// The Deployment `name`; `None`: there is none.
    ///
    /// # Errors
    /// Its controller has not caught up with it yet, in words.
    pub(super) fn of(read: &'a Namespace, name: &str) -> Result<Option<Self>, String> {
        let named = |one: &&Deployment| one.metadata.name.as_deref() == Some(name);
        read.deployments.iter().find(named).map(|found| Self::made(read, found)).transpose()
    }

    pub(super) fn made(read: &'a Namespace, deployment: &'a Deployment) -> Result<Self, String> {
        let name = self::name(&deployment.metadata);
        let missing = || format!("Kubernetes has made no ReplicaSet of {name} yet");
        let number = number(&deployment.metadata).ok_or_else(missing)?;
        let mut sets = owned(read, deployment);
        let current = sets.find(|set| self::number(&set.metadata) == Some(number));
        Ok(Self { deployment, current: current.ok_or_else(missing)?, number })
    }

    pub(super) fn name(&self) -> &'a str {
        name(&self.deployment.metadata)
    }

    pub(super) fn ready(&self) -> u32 {
        ready(self.current)
    }

    pub(super) fn revision(&self) -> Revision {
        revision(self.name(), self.current)
    }

    /// Which roll-out it is: stays so while pods come and go, and is another after every
    /// change of the template, also back to one that was there before.
    pub(super) fn id(&self) -> String {
        let uid = self.deployment.metadata.uid.as_deref().unwrap_or_default();
        format!("{uid}:{}", self.number)
    }

    /// When the roll-out began: with its `ReplicaSet`, or, where an old one is used again,
    /// when the Deployment's template was last written.
    ///
    /// # Errors
    /// The API said no time.
    pub(super) fn begun(&self) -> Result<Timestamp, String> {
        let made = time(self.current.metadata.creation_timestamp.as_ref());
        let made = made.ok_or_else(|| format!("{} has no time of creation", self.name()))?;
        if annotation(&self.current.metadata, HISTORY).is_none() {
            return Ok(made);
        }
        let written = last_written(&self.deployment.metadata, &["f:spec", "f:template"]);
        Ok(written.map_or(made, |at| at.max(made)))
    }

    /// `created_at`: what [`Rolled::begun`] said when it was first asked of this roll-out.
    pub(super) fn deployment(&self, created_at: Timestamp) -> PlatformDeployment {
        let (roll_out, reason) = self.roll_out();
        PlatformDeployment {
            id: self.id(),
            revision: self.revision(),
            created_at,
            roll_out,
            reason,
            weight: None,
            desired: self.wanted(),
            running: self.ready(),
            failed: 0,
        }
    }

    /// `ReplicaSets` of older revisions that still have pods, newest first.
    pub(super) fn leftovers(&self, read: &Namespace) -> Vec<PlatformDeployment> {
        let uid = self.deployment.metadata.uid.as_deref().unwrap_or_default();
        let mut older: Vec<_> = owned(read, self.deployment)
            .filter(|set| set.metadata.uid != self.current.metadata.uid)
            .filter(|set| pods(set) > 0)
            .filter_map(|set| Some((number(&set.metadata)?, set)))
            .collect();
        older.sort_by_key(|(number, _)| std::cmp::Reverse(*number));
        let decoded = older.into_iter().filter_map(|(number, set)| {
            let wanted = set.spec.as_ref().and_then(|spec| spec.replicas);
            Some(PlatformDeployment {
                id: format!("{uid}:{number}"),
                revision: revision(self.name(), set),
                created_at: time(set.metadata.creation_timestamp.as_ref())?,
                roll_out: RollOut::InProgress,
                reason: None,
                weight: None,
                desired: count(wanted),
                running: ready(set),
                failed: 0,
            })
        });
        decoded.collect()
    }

    /// What was in place before: the `ReplicaSet` of the revision before.
    pub(super) fn source(&self, read: &'a Namespace) -> Option<Revision> {
        let before = self.number.checked_sub(1)?;
        let mut sets = owned(read, self.deployment);
        let set = sets.find(|set| number(&set.metadata) == Some(before))?;
        Some(revision(self.name(), set))
    }

    /// Its `ReplicaSet` of this name, whatever its revision.
    pub(super) fn set(&self, read: &'a Namespace, name: &str) -> Option<&'a ReplicaSet> {
        owned(read, self.deployment).find(|set| set.metadata.name.as_deref() == Some(name))
    }

    /// Whether the controller has taken up the latest change of the Deployment.
    pub(super) fn is_observed(&self) -> bool {
        let status = self.deployment.status.as_ref();
        let seen = status.and_then(|status| status.observed_generation).unwrap_or_default();
        seen >= self.deployment.metadata.generation.unwrap_or_default()
    }

    pub(super) fn is_paused(&self) -> bool {
        self.deployment.spec.as_ref().and_then(|spec| spec.paused).unwrap_or_default()
    }

    fn wanted(&self) -> u32 {
        count(Some(self.deployment.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or(1)))
    }

    fn condition(&self, kind: &str) -> Option<&'a DeploymentCondition> {
        let status = self.deployment.status.as_ref()?;
        status.conditions.iter().flatten().find(|one| one.type_ == kind)
    }

    /// How far it is, and what Kubernetes says to that. A roll-out that was complete stays so
    /// while the Deployment is only scaled.
    pub(super) fn roll_out(&self) -> (RollOut, Option<String>) {
        let progress = self.condition("Progressing");
        let why = |one: &DeploymentCondition| one.message.clone().or_else(|| one.reason.clone());
        let is_at =
            |reason: &str| progress.is_some_and(|one| one.reason.as_deref() == Some(reason));
        if !self.is_observed() {
            return (RollOut::InProgress, None);
        }
        // Where an old ReplicaSet is used again, the controller shows for a moment how the
        // roll-out before ended.
        if is_at("ProgressDeadlineExceeded") && !self.is_of_the_one_before(progress) {
            return (RollOut::Failed, progress.and_then(why));
        }
        if is_at("NewReplicaSetAvailable") || self.is_complete() {
            return (RollOut::Completed, None);
        }
        if self.is_paused() {
            let words = "the Deployment is paused: `kubectl rollout resume` goes on with it";
            return (RollOut::InProgress, Some(words.to_owned()));
        }
        let failure = self.condition("ReplicaFailure").filter(|one| one.status == "True");
        (RollOut::InProgress, failure.and_then(why))
    }

    /// Whether a condition was last written before this roll-out began.
    fn is_of_the_one_before(&self, condition: Option<&DeploymentCondition>) -> bool {
        let written = condition.and_then(|one| time(one.last_update_time.as_ref()));
        written.zip(self.begun().ok()).is_some_and(|(written, begun)| written <= begun)
    }

    fn is_complete(&self) -> bool {
        let Some(status) = &self.deployment.status else { return false };
        let wanted = self.wanted();
        let all = [status.updated_replicas, status.replicas, status.available_replicas];
        all.into_iter().all(|number| count(number) == wanted)
    }
}

/// The `ReplicaSets` that a Deployment controls.
fn owned<'a>(
    read: &'a Namespace,
    deployment: &'a Deployment,
) -> impl Iterator<Item = &'a ReplicaSet> {
    let uid = deployment.metadata.uid.as_deref();
    read.sets.iter().filter(move |set| {
        let owners = set.metadata.owner_references.iter().flatten();
        let mut owners = owners.filter(|owner| owner.controller == Some(true));
        owners.any(|owner| Some(owner.uid.as_str()) == uid)
    })
}

fn revision(deployment: &str, set: &ReplicaSet) -> Revision {
    let template = set.spec.as_ref().and_then(|spec| spec.template.as_ref());
    let images = images(template);
    let number = number(&set.metadata).map(|number| format!(" revision {number}"));
    let image = images.first().map(|image| format!(" ({})", short(image)));
    let title = format!("{deployment}{}{}", number.unwrap_or_default(), image.unwrap_or_default());
    let mut digests: Vec<String> =
        images.into_iter().filter(|image| image.contains("@sha256:")).collect();
    digests.sort();
    let name = name(&set.metadata);
    let labels = template.and_then(|one| one.metadata.as_ref()?.labels.as_ref());
    let labels = labels.into_iter().flatten().take(LABELS);
    let labels = labels.map(|(key, value)| (key.clone(), value.clone())).collect();
    Revision { title: Some(title), digests, labels, ..Revision::named(name) }
}

/// The images of a template, the main container's first.
fn images(template: Option<&PodTemplateSpec>) -> Vec<String> {
    let containers = template.and_then(|one| one.spec.as_ref()).map(|spec| &spec.containers);
    containers.into_iter().flatten().filter_map(|one| one.image.clone()).collect()
}

/// An image without its registry, and with no more of a digest than tells it apart.
fn short(image: &str) -> String {
    let name = image.rsplit('/').next().unwrap_or(image);
    match name.split_once("@sha256:") {
        Some((name, digest)) => format!("{name}@{}", digest.get(..8).unwrap_or(digest)),
        None => name.to_owned(),
    }
}

pub(super) fn name(meta: &ObjectMeta) -> &str {
    meta.name.as_deref().unwrap_or_default()
}

pub(super) fn annotation<'a>(meta: &'a ObjectMeta, name: &str) -> Option<&'a str> {
    meta.annotations.as_ref()?.get(name).map(String::as_str)
}

/// A Deployment's or a `ReplicaSet`'s revision number.
pub(super) fn number(meta: &ObjectMeta) -> Option<u64> {
    annotation(meta, REVISION)?.parse().ok()
}

pub(super) fn time(at: Option<&Time>) -> Option<Timestamp> {
    at.map(|at| at.0)
}

fn ready(set: &ReplicaSet) -> u32 {
    count(set.status.as_ref().and_then(|status| status.ready_replicas))
}

fn pods(set: &ReplicaSet) -> u32 {
    let wanted = count(set.spec.as_ref().and_then(|spec| spec.replicas));
    wanted.max(count(set.status.as_ref().map(|status| status.replicas)))
}

fn count(number: Option<i32>) -> u32 {
    number.and_then(|number| u32::try_from(number).ok()).unwrap_or_default()
}

#[cfg(test)]
#[path = "rollout_tests.rs"]
mod tests;
