//! A deployment of CodeDeploy's: what a service deployment is where CodeDeploy
//! deploys. Pure.

use aws_sdk_codedeploy::types::{DeploymentInfo, DeploymentStatus};

use super::flight::Stage;

/// The CodeDeploy deployment that created the judged task set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Release {
    pub(super) id: String,
    pub(super) application: String,
    pub(super) group: String,
    /// What its `rollback` has come to counts, where it has one.
    pub(super) stage: Stage,
    /// CodeDeploy's deployment that undoes it.
    pub(super) rollback: Option<String>,
}

impl Release {
    /// `rollback`: the deployment that undoes it, where `found` names one and it could
    /// be read. `None` for an answer without id, application or group.
    pub(super) fn of(found: &DeploymentInfo, rollback: Option<&DeploymentInfo>) -> Option<Self> {
        let named = undone_by(found).map(str::to_owned);
        let stage = match (&named, rollback) {
            (None, _) => stage(found.status()),
            (Some(_), None) => Stage::RollingBack,
            (Some(_), Some(rollback)) => match stage(rollback.status()) {
                Stage::Running | Stage::Unknown => Stage::RollingBack,
                Stage::Ended if rollback.status() == Some(&DeploymentStatus::Succeeded) => {
                    Stage::RolledBack
                }
                Stage::Ended
                | Stage::StopRequested
                | Stage::RollingBack
                | Stage::RolledBack
                | Stage::RollbackFailed => Stage::RollbackFailed,
            },
        };
        Some(Self {
            id: found.deployment_id()?.to_owned(),
            application: found.application_name()?.to_owned(),
            group: found.deployment_group_name()?.to_owned(),
            stage,
            rollback: named,
        })
    }
}

/// The id of the deployment that undoes `found`.
pub(super) fn undone_by(found: &DeploymentInfo) -> Option<&str> {
    found.rollback_info()?.rollback_deployment_id().filter(|id| !id.is_empty())
}

/// `Succeeded` comes only after the original task set is gone: until then CodeDeploy
/// can bring it back.
fn stage(status: Option<&DeploymentStatus>) -> Stage {
    use DeploymentStatus as Status;
    match status {
        Some(
            Status::Created | Status::Queued | Status::InProgress | Status::Baking | Status::Ready,
        ) => Stage::Running,
        Some(Status::Succeeded | Status::Failed | Status::Stopped) => Stage::Ended,
        Some(_) | None => Stage::Unknown,
    }
}
