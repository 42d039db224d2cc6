//! Whether a rollback's target can be put back, and what a rollback would do now.

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::PodTemplateSpec;

use super::Kubernetes;
use super::calls::{Namespace, Parts};
use super::choose::{Step, choose, nothing_to_restore};
use super::difference::{containers, differences};
use super::named::Named;
use super::way::{Way, way};
use crate::model::{ActFailure, Inspection, Revision, RollbackPlan, ServiceKey};
use crate::platform::LookError;

impl Kubernetes {
    pub(super) async fn inspect_target(
        &self,
        key: &ServiceKey,
        judged: &Revision,
        target: &Revision,
    ) -> Result<Inspection, LookError> {
        let stopped_by = |words| Inspection { obstacle: Some(words), ..Inspection::default() };
        if target.name == judged.name {
            return Ok(stopped_by(nothing_to_restore(target.short())));
        }
        let named = Named::read(&key.service).map_err(LookError::Permanent)?;
        let read = self.read(&key.cluster, Parts::default().with(&named)).await?;
        self.recall(&read, key, &named, [judged, target]);
        let stable = self.memory().stable(key);
        let way = way(&read, &named, target, stable.as_deref())?;
        if alike(&read, judged, target, way.as_ref().ok()) {
            return Ok(stopped_by(nothing_to_restore(target.short())));
        }
        if let Err(why) = way {
            return Ok(stopped_by(why));
        }
        let template = |revision: &Revision| template(&read, &revision.name);
        let differences = match (template(target), template(judged)) {
            (Some(then), Some(now)) if same(then, now) => vec![format!(
                "what {} stands for, if anything: both sides have the same pod template, and a \
                 tag may be pushed again",
                movable(now).join(", ")
            )],
            (Some(then), Some(now)) => differences(then, now),
            (Some(_) | None, _) => Vec::new(),
        };
        Ok(Inspection { differences, ..Inspection::default() })
    }

    pub(super) async fn would(&self, plan: &RollbackPlan) -> Result<String, ActFailure> {
        let seen = self.see(plan).await?.seen;
        let target = plan.target.short();
        match choose(&seen, plan) {
            Step::Go(Way::Undo { deployment, .. }) => {
                Ok(format!("rollout undo of deployment/{deployment} to {target}"))
            }
            Step::Go(Way::Select { service, selector }) => {
                let labels = super::selector::said(&selector);
                Ok(format!("patch of service/{service}: it selects {labels} again, {target}"))
            }
            Step::Go(Way::Reset) => {
                Ok(format!("patch of {}: the canary gets 0 %, {target} all", plan.service.service))
            }
            Step::InPlace { .. } => {
                Err(ActFailure::Refused(format!("{target} is in place already")))
            }
            Step::Superseded(words) => Err(ActFailure::Superseded(words)),
            Step::Refuse(words) => Err(ActFailure::Refused(words)),
            Step::Wait(words) => Err(ActFailure::Transient(words)),
        }
    }
}

/// Whether this way back would restore nothing: both revisions have the same pods, under
/// other labels. An undo starts pods anew; any other way goes to pods that stand, and what a
/// tag stood for when they were started is not known.
pub(super) fn alike(read: &Namespace, one: &Revision, other: &Revision, way: Option<&Way>) -> bool {
    let pods = template(read, &one.name).zip(template(read, &other.name));
    let starts_anew = matches!(way, Some(Way::Undo { .. }));
    pods.is_some_and(|(one, other)| same(one, other) && (starts_anew || movable(one).is_empty()))
}

/// Whether both say the same of their pods, labels aside. Annotations may put something into
/// them.
fn same(one: &PodTemplateSpec, other: &PodTemplateSpec) -> bool {
    one.spec.is_some() && one.spec == other.spec && annotations(one).eq(annotations(other))
}

fn annotations(of: &PodTemplateSpec) -> impl Iterator<Item = (&String, &String)> {
    let meta = of.metadata.as_ref();
    meta.and_then(|meta| meta.annotations.as_ref()).into_iter().flatten()
}

/// The images that are not pinned by digest.
fn movable(of: &PodTemplateSpec) -> Vec<&str> {
    let images = containers(of).into_values().filter_map(|one| one.image.as_deref());
    let all: BTreeSet<&str> = images.filter(|image| !image.contains('@')).collect();
    all.into_iter().collect()
}

fn template<'a>(read: &'a Namespace, set: &str) -> Option<&'a PodTemplateSpec> {
    let found = read.sets.iter().find(|one| one.metadata.name.as_deref() == Some(set))?;
    found.spec.as_ref()?.template.as_ref()
}
