//! Rolling back where CodeDeploy deploys. Each change is asked for once: a stop is
//! fenced by the deployment's id, and a deployment of our own is known by its
//! description, so that a lost answer is looked for.

use aws_sdk_codedeploy::Config;
use aws_sdk_codedeploy::error::SdkError;
use aws_sdk_codedeploy::operation::create_deployment::CreateDeploymentError;
use aws_sdk_codedeploy::primitives::DateTime;
use aws_sdk_codedeploy::types::{
    AppSpecContent, DeploymentInfo, DeploymentStatus, RevisionLocation, RevisionLocationType,
    TimeRange,
};
use aws_sdk_ecs::types::{Service, TaskSet};

use super::Ecs;
use super::app_spec::{Door, app_spec};
use super::release::{Release, undone_by};
use super::roll_back::{BETWEEN_LOOKS, LOOKS};
use crate::aws::{Fault, Kind, without_retries};
use crate::crash;
use crate::model::{ActFailure, Acted, Permit, RollbackPlan, Route};

/// The most deployments that one `BatchGetDeployments` takes.
const BATCH: usize = 25;
/// How far before the decision our own deployment is looked for: clocks differ.
const SKEW_SECS: i64 = 60;

impl Ecs {
    /// CodeDeploy's deployment of the task set `judged`; `None` where that names none.
    pub(super) async fn release(
        &self,
        service: &Service,
        judged: &str,
    ) -> Result<Option<Release>, Fault> {
        let Some(id) = task_set(service, judged).and_then(TaskSet::external_id) else {
            return Ok(None);
        };
        let Some(found) = self.deployment(id).await? else { return Ok(None) };
        let rollback = match undone_by(&found) {
            Some(id) => self.deployment(id).await?,
            None => None,
        };
        Ok(Release::of(&found, rollback.as_ref()))
    }

    /// One of CodeDeploy's deployments; `None` where it has none of this id.
    async fn deployment(&self, id: &str) -> Result<Option<DeploymentInfo>, Fault> {
        let sent = self.inner.code_deploy.get_deployment().deployment_id(id).send().await;
        match sent.map_err(|error| Fault::of("GetDeployment", &error)) {
            Ok(answer) => Ok(answer.deployment_info),
            Err(fault) if fault.is("DeploymentDoesNotExistException") => Ok(None),
            Err(fault) => Err(fault),
        }
    }

    /// `None`: it is too late to stop it.
    pub(super) async fn stop_release(
        &self,
        permit: &Permit,
        id: &str,
        plan: &RollbackPlan,
    ) -> Result<Option<Acted>, ActFailure> {
        let call = self
            .inner
            .code_deploy
            .stop_deployment()
            .deployment_id(id)
            .auto_rollback_enabled(true)
            .customize()
            .config_override(Config::builder().retry_config(without_retries()));
        crash::point("ecs-before-act");
        permit.stands()?;
        let sent = call.send().await;
        crash::point("ecs-after-act");
        let route = Route::StopDeployment;
        let Err(error) = sent else {
            return Ok(Some(Acted::by(route)));
        };
        let fault = Fault::of("StopDeployment", &error);
        match fault.kind {
            Kind::Unknown => self.observe(plan, route, &fault, None).await.map(Some),
            Kind::Refused if fault.is("DeploymentAlreadyCompletedException") => Ok(None),
            Kind::Throttled | Kind::Refused => Err(fault.into()),
        }
    }

    /// Deploys the plan's target, unless an earlier try has done so already.
    pub(super) async fn deploy(
        &self,
        permit: &Permit,
        plan: &RollbackPlan,
        release: &Release,
        service: &Service,
    ) -> Result<Acted, ActFailure> {
        let mark = mark(permit, plan);
        if let Some(found) = self.ours(release, plan, &mark).await? {
            return acted(&found);
        }
        let Some(content) = self.content(plan, release, service).await? else {
            return Err(ActFailure::Refused(format!(
                "no AppSpec for {} can be made: put it back in CodeDeploy",
                plan.target.short()
            )));
        };
        crash::point("ecs-before-act");
        permit.stands()?;
        let sent = self.create(release, content, &mark).await;
        crash::point("ecs-after-act");
        let Err(error) = sent else { return Ok(deployed()) };
        let fault = Fault::of("CreateDeployment", &error);
        match fault.kind {
            Kind::Unknown => self.look_for_ours(release, plan, &mark, &fault).await,
            // Another deployment is under way; what it comes to, the next try sees.
            Kind::Refused if fault.is("DeploymentLimitExceededException") => {
                Err(ActFailure::Transient(fault.words))
            }
            Kind::Throttled | Kind::Refused => Err(fault.into()),
        }
    }

    async fn create(
        &self,
        release: &Release,
        content: String,
        mark: &str,
    ) -> Result<(), SdkError<CreateDeploymentError, aws_sdk_codedeploy::config::http::HttpResponse>>
    {
        let content = AppSpecContent::builder().content(content).build();
        let revision = RevisionLocation::builder()
            .revision_type(RevisionLocationType::AppSpecContent)
            .app_spec_content(content)
            .build();
        let call = self
            .inner
            .code_deploy
            .create_deployment()
            .application_name(&release.application)
            .deployment_group_name(&release.group)
            .revision(revision)
            .description(mark)
            .customize()
            .config_override(Config::builder().retry_config(without_retries()));
        call.send().await.map(drop)
    }

    async fn look_for_ours(
        &self,
        release: &Release,
        plan: &RollbackPlan,
        mark: &str,
        fault: &Fault,
    ) -> Result<Acted, ActFailure> {
        for _ in 0..LOOKS {
            tokio::time::sleep(BETWEEN_LOOKS).await;
            if let Ok(Some(found)) = self.ours(release, plan, mark).await {
                return acted(&found);
            }
        }
        let words = &fault.words;
        Err(ActFailure::Transient(format!("{words}; after {LOOKS} looks CodeDeploy has none")))
    }

    /// Our own deployment of the target since the decision, by its description.
    async fn ours(
        &self,
        release: &Release,
        plan: &RollbackPlan,
        mark: &str,
    ) -> Result<Option<DeploymentInfo>, Fault> {
        let start = DateTime::from_secs(plan.decided_at.as_second() - SKEW_SECS);
        let listing = self
            .inner
            .code_deploy
            .list_deployments()
            .application_name(&release.application)
            .deployment_group_name(&release.group)
            .create_time_range(TimeRange::builder().start(start).build());
        let listed = listing.send().await.map_err(|e| Fault::of("ListDeployments", &e))?;
        let ids: Vec<String> = listed.deployments().iter().take(BATCH).cloned().collect();
        if ids.is_empty() {
            return Ok(None);
        }
        let asked = self.inner.code_deploy.batch_get_deployments().set_deployment_ids(Some(ids));
        let found = asked.send().await.map_err(|e| Fault::of("BatchGetDeployments", &e))?;
        let found = found.deployments_info.unwrap_or_default();
        Ok(found.into_iter().find(|one| one.description() == Some(mark)))
    }

    /// The `AppSpec` to deploy. What can't be read is made up for, see [`app_spec`].
    async fn content(
        &self,
        plan: &RollbackPlan,
        release: &Release,
        service: &Service,
    ) -> Result<Option<String>, Fault> {
        let Some(info) = self.deployment(&release.id).await? else { return Ok(None) };
        let former = self.app_spec_of(release, info.previous_revision()).await?;
        let judged = self.app_spec_of(release, info.revision()).await?;
        let judged = judged.as_deref().zip(Some(plan.judged_revision.name.as_str()));
        let door = task_set(service, &plan.judged).and_then(door);
        let target = &plan.target.name;
        Ok(app_spec(former.as_deref(), judged, door.as_ref(), target))
    }

    async fn app_spec_of(
        &self,
        release: &Release,
        at: Option<&RevisionLocation>,
    ) -> Result<Option<String>, Fault> {
        let Some(at) = at.filter(|at| at.app_spec_content().is_some()) else { return Ok(None) };
        let asked = self.inner.code_deploy.get_application_revision();
        let sent = asked.application_name(&release.application).revision(at.clone()).send().await;
        match sent.map_err(|error| Fault::of("GetApplicationRevision", &error)) {
            Ok(answer) => {
                let spec = answer.revision().and_then(|found| found.app_spec_content());
                Ok(spec.and_then(|spec| spec.content()).map(str::to_owned))
            }
            // Not allowed, or forgotten: another one will do.
            Err(fault) if fault.kind == Kind::Refused => Ok(None),
            Err(fault) => Err(fault),
        }
    }
}

/// What our own deployment is known by, in CodeDeploy's console too.
fn mark(permit: &Permit, plan: &RollbackPlan) -> String {
    format!("deployguard rolls {} back to {}", permit.watch(), plan.target.short())
}

fn deployed() -> Acted {
    Acted::by(Route::CreateDeployment)
}

/// Whether our own deployment still comes to something.
fn acted(found: &DeploymentInfo) -> Result<Acted, ActFailure> {
    match found.status() {
        Some(status @ (DeploymentStatus::Failed | DeploymentStatus::Stopped)) => {
            let why = found.error_information().and_then(|error| error.message());
            Err(ActFailure::Permanent(format!(
                "CodeDeploy's {} is {}: {}",
                found.deployment_id().unwrap_or_default(),
                status.as_str(),
                why.unwrap_or("no reason given")
            )))
        }
        Some(_) | None => Ok(deployed()),
    }
}

pub(super) fn task_set<'a>(service: &'a Service, id: &str) -> Option<&'a TaskSet> {
    service.task_sets().iter().find(|one| one.id() == Some(id))
}

fn door(task_set: &TaskSet) -> Option<Door> {
    let balancer = task_set.load_balancers().first()?;
    let container = balancer.container_name()?.to_owned();
    Some(Door { container, port: balancer.container_port()? })
}
