//! Whether a rollback's target can be put back, and what a rollback would do now.

use super::Kubernetes;
use super::calls::{Namespace, Parts};
use super::choose::{Step, choose, nothing_to_restore};
use super::difference::differences;
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
        if alike(&read, judged, target) {
            return Ok(stopped_by(nothing_to_restore(target.short())));
        }
        let stable = self.memory().stable(key);
        if let Err(why) = way(&read, &named, target, stable.as_deref())? {
            return Ok(stopped_by(why));
        }
        let template = |revision: &Revision| template(&read, &revision.name);
        let differences = match (template(target), template(judged)) {
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

/// Whether both revisions run the same pods under other labels: an image that was deployed
/// once more, or to the other side.
pub(super) fn alike(read: &Namespace, one: &Revision, other: &Revision) -> bool {
    let pods = |revision: &Revision| template(read, &revision.name)?.spec.as_ref();
    pods(one).is_some_and(|spec| pods(other) == Some(spec))
}

fn template<'a>(
    read: &'a Namespace,
    set: &str,
) -> Option<&'a k8s_openapi::api::core::v1::PodTemplateSpec> {
    let found = read.sets.iter().find(|one| one.metadata.name.as_deref() == Some(set))?;
    found.spec.as_ref()?.template.as_ref()
}
