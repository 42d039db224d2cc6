//! Pinning: a task definition revision that names the target's images by digest, for
//! when tags alone would start other ones. Tags in the registry are never touched.

use aws_sdk_ecs::operation::register_task_definition::builders::RegisterTaskDefinitionInputBuilder as Registration;
use aws_sdk_ecs::types::{Tag, TaskDefinition, TaskDefinitionField};

use super::Ecs;
use crate::aws::{Fault, Kind};
use crate::crash;
use crate::model::{ActFailure, Revision, RollbackPlan, repository};

/// What is to be registered, and what is registered already.
pub(super) struct Pin {
    pub(super) wanted: Registration,
    /// The family's newest revision where it is just that.
    pub(super) registered: Option<String>,
}

impl Ecs {
    /// What `target`, pinned, is. Looks at the family's newest revision, so that an
    /// earlier try whose answer was lost is found.
    pub(super) async fn pin(&self, target: &Revision) -> Result<Pin, ActFailure> {
        let (given, tags) = self.definition(&target.name).await?;
        let wanted = pinned(&given, &tags, target).map_err(ActFailure::Refused)?;
        let family = wanted.get_family().clone().unwrap_or_default();
        let (newest, tags) = self.definition(&family).await?;
        let is_wanted = as_input(&newest, &tags) == wanted;
        let registered = newest.task_definition_arn.filter(|_| is_wanted);
        Ok(Pin { wanted, registered })
    }

    /// A task definition and its tags: `family:revision`, an ARN, or a family, which
    /// means its newest ACTIVE revision.
    pub(super) async fn definition(
        &self,
        named: &str,
    ) -> Result<(TaskDefinition, Vec<Tag>), Fault> {
        let asked = self.inner.client.describe_task_definition().task_definition(named);
        let sent = asked.include(TaskDefinitionField::Tags).send().await;
        let answer = sent.map_err(|e| Fault::of("DescribeTaskDefinition", &e))?;
        let tags = answer.tags.unwrap_or_default();
        let odd = || Fault::odd("DescribeTaskDefinition", "answered without a task definition");
        Ok((answer.task_definition.ok_or_else(odd)?, tags))
    }

    /// Registers it, once, and answers its ARN. A lost answer is looked for by
    /// [`Ecs::pin`], now and at the next try.
    pub(super) async fn register(
        &self,
        pin: Pin,
        plan: &RollbackPlan,
    ) -> Result<String, ActFailure> {
        crash::point("ecs-before-register");
        let sent = pin.wanted.send_with(&self.inner.once).await;
        crash::point("ecs-after-register");
        let fault = match sent {
            Ok(answer) => match answer.task_definition().and_then(|d| d.task_definition_arn()) {
                Some(arn) => return Ok(arn.to_owned()),
                None => Fault::odd("RegisterTaskDefinition", "answered without an ARN"),
            },
            Err(error) => Fault::of("RegisterTaskDefinition", &error),
        };
        if fault.kind == Kind::Unknown
            && let Ok(Pin { registered: Some(arn), .. }) = self.pin(&plan.target).await
        {
            return Ok(arn);
        }
        Err(fault.into())
    }
}

/// The revision that `arn` is: `target`, pinned.
pub(super) fn pinned_revision(target: &Revision, arn: &str) -> Revision {
    let parted = target.digests.iter().filter_map(|one| one.split_once('@'));
    let mut digests: Vec<String> =
        parted.map(|(image, digest)| format!("{}@{digest}", repository(image))).collect();
    digests.sort();
    digests.dedup();
    Revision { digests, ..Revision::named(arn) }
}

/// `given` with its images pinned to the digests of `target`; the error says which
/// one has none.
fn pinned(given: &TaskDefinition, tags: &[Tag], target: &Revision) -> Result<Registration, String> {
    let mut given = given.clone();
    for container in given.container_definitions.iter_mut().flatten() {
        let Some(image) = container.image.as_mut().filter(|image| !image.contains('@')) else {
            continue;
        };
        let digests = target.digests.iter().filter_map(|one| one.split_once('@'));
        let digest = digests.filter(|(name, _)| name == image).map(|(_, digest)| digest).next();
        let digest = digest.ok_or_else(|| {
            format!("the known-good digest of {image} is not known: it can't be pinned")
        })?;
        *image = format!("{}@{digest}", repository(image));
    }
    Ok(as_input(&given, tags))
}

/// What registers a copy of `given`. AWS sets tags that begin with `aws:` by itself.
fn as_input(given: &TaskDefinition, tags: &[Tag]) -> Registration {
    let given = given.clone();
    let ours = |tag: &&Tag| !tag.key().unwrap_or_default().starts_with("aws:");
    let mut tags: Vec<Tag> = tags.iter().filter(ours).cloned().collect();
    tags.sort_by(|a, b| a.key().cmp(&b.key()));
    Registration::default()
        .set_family(given.family)
        .set_task_role_arn(given.task_role_arn)
        .set_execution_role_arn(given.execution_role_arn)
        .set_network_mode(given.network_mode)
        .set_container_definitions(given.container_definitions)
        .set_volumes(given.volumes.filter(|list| !list.is_empty()))
        .set_placement_constraints(given.placement_constraints.filter(|list| !list.is_empty()))
        .set_requires_compatibilities(given.requires_compatibilities)
        .set_cpu(given.cpu)
        .set_memory(given.memory)
        .set_tags(Some(tags).filter(|list| !list.is_empty()))
        .set_pid_mode(given.pid_mode)
        .set_ipc_mode(given.ipc_mode)
        .set_proxy_configuration(given.proxy_configuration)
        .set_ephemeral_storage(given.ephemeral_storage)
        .set_runtime_platform(given.runtime_platform)
        .set_enable_fault_injection(given.enable_fault_injection)
}
