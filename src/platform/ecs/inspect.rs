//! Whether a rollback's target can be put back, and what that would not restore.

use aws_sdk_ecs::types::{TaskDefinition, TaskDefinitionStatus};

use super::Ecs;
use super::choose::external;
use super::compare::{moved_tags, not_restored};
use super::decode::{Deployer, deployer};
use super::difference;
use crate::aws::{Fault, Kind};
use crate::model::{Inspection, Revision, ServiceKey};
use crate::platform::LookError;

impl Ecs {
    pub(super) async fn inspect_target(
        &self,
        key: &ServiceKey,
        judged: &Revision,
        target: &Revision,
        pin_digests: bool,
    ) -> Result<Inspection, LookError> {
        let stopped_by = |words| Inspection { obstacle: Some(words), ..Inspection::default() };
        let pins = pin_digests && target.needs_pin(judged);
        if target.name == judged.name && !pins {
            let needs_pin = target.needs_pin(judged);
            let words = if needs_pin { pin_words(target) } else { nothing_to_restore(target) };
            return Ok(stopped_by(words));
        }
        let Some(service) = self.describe_one(key).await? else {
            return Ok(stopped_by(format!("{key} does not exist")));
        };
        let by = deployer(&service);
        if by == Deployer::External {
            return Ok(stopped_by(external(target)));
        }
        if pins && by == Deployer::CodeDeploy {
            return Ok(stopped_by(nothing_to_restore(target)));
        }
        if let Some(words) = self.unplaceable(target).await? {
            return Ok(stopped_by(words));
        }
        let then = self.definition(&target.name).await?.0;
        let images = self.images(&images_of(&then, target, pins)).await;
        if !images.gone.is_empty() {
            let gone = images.gone.join(", ");
            return Ok(stopped_by(format!("the image {gone} is gone from the registry")));
        }
        let mut differences = match self.definition(&judged.name).await {
            Ok((now, _)) => difference::differences(&then, &now),
            Err(fault) => {
                tracing::debug!(fault = fault.words, "the task definitions are not compared");
                Vec::new()
            }
        };
        let moved = target.moved_tags(judged).into_iter();
        differences.extend(moved.map(|(image, digest)| format!("image {image} was {digest}")));
        Ok(Inspection {
            obstacle: None,
            not_restored: self.not_restored(judged, target, pins).await,
            differences,
            unasked: images.unasked.into_iter().collect(),
            pins,
        })
    }

    /// Why `target` can't be placed, in words; `None` when it can.
    pub(super) async fn unplaceable(&self, target: &Revision) -> Result<Option<String>, Fault> {
        let asked = self.inner.client.describe_task_definition();
        let sent = asked.task_definition(&target.name).send().await;
        let name = target.short();
        match sent.map_err(|e| Fault::of("DescribeTaskDefinition", &e)) {
            Ok(answer) => Ok(match answer.task_definition().and_then(|found| found.status()) {
                None | Some(TaskDefinitionStatus::Active) => None,
                Some(status) => Some(format!("task definition {name} is {}", status.as_str())),
            }),
            // What ECS answers for a task definition that it does not have.
            Err(fault) if fault.kind == Kind::Refused && fault.is("ClientException") => {
                Ok(Some(format!("task definition {name} does not exist ({})", fault.words)))
            }
            Err(fault) => Err(fault),
        }
    }

    /// Best effort: what can't be read is not compared.
    async fn not_restored(&self, judged: &Revision, target: &Revision, pins: bool) -> Vec<String> {
        let mut words = if pins { Vec::new() } else { moved_tags(judged, target) };
        let (Some(now), Some(then)) = (&judged.service_revision, &target.service_revision) else {
            return words;
        };
        let arns = [now.clone(), then.clone()];
        let described =
            self.inner.history.describe_revisions(&arns).await.unwrap_or_else(|fault| {
                tracing::debug!(fault = fault.words, "the revisions are not compared");
                Vec::new()
            });
        let by_arn = |arn: &str| described.iter().find(|r| r.service_revision_arn() == Some(arn));
        if let (Some(now), Some(then)) = (by_arn(now), by_arn(then)) {
            words.extend(not_restored(now, then));
        }
        words
    }
}

/// What placing `target` would pull.
fn images_of(definition: &TaskDefinition, target: &Revision, pins: bool) -> Vec<String> {
    if pins {
        return target.digests.clone();
    }
    let containers = definition.container_definitions().iter();
    containers.filter_map(|one| one.image()).map(str::to_owned).collect()
}

/// Why the target can't be put back without pinning, and how to allow that.
pub(super) fn pin_words(target: &Revision) -> String {
    format!(
        "both sides are {}, whose tags mean other images now: putting it back would restore \
         nothing. `rollback: {{ pin_digests: true }}` in the policy lets deployguard register a \
         revision pinned to the known-good digests",
        target.short()
    )
}

/// Why a rollback to the same task definition is none.
pub(super) fn nothing_to_restore(target: &Revision) -> String {
    format!("both sides are {}: putting it back would restore nothing", target.short())
}
