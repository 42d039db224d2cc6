//! What a rollback would do now: the reading and the choice of `roll_back`, without the
//! call.

use super::Ecs;
use super::choose::{Step, choose};
use crate::model::{ActFailure, RollbackPlan};

impl Ecs {
    pub(super) async fn would(&self, plan: &RollbackPlan) -> Result<String, ActFailure> {
        let seen = self.see(plan).await?.seen;
        let target = plan.target.short();
        match choose(&seen, plan) {
            Step::Stop { arn } => Ok(format!("StopServiceDeployment of {arn}")),
            Step::Continue { arn, hook } => {
                Ok(format!("ContinueServiceDeployment of {arn}, back from its hook {hook}"))
            }
            Step::Update if plan.pins() => {
                Ok(format!("UpdateService to {target}, pinned to the digests of its images"))
            }
            Step::Update => Ok(format!("UpdateService to {target}")),
            Step::StopRelease { id } => Ok(format!("CodeDeploy StopDeployment of {id}")),
            Step::Deploy { release } => {
                Ok(format!("CodeDeploy CreateDeployment of {target}, after {}", release.id))
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
