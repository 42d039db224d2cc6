//! What a rollback would do now: the reading and the choice of `roll_back`, without the
//! call.

use super::Ecs;
use super::choose::{Step, choose};
use crate::model::{ActFailure, RollbackPlan};

impl Ecs {
    pub(super) async fn would(&self, plan: &RollbackPlan) -> Result<String, ActFailure> {
        let seen = self.see(plan).await?;
        match choose(&seen, plan) {
            Step::Stop { arn } => Ok(format!("StopServiceDeployment of {arn}")),
            Step::Update => Ok(format!("UpdateService to {}", plan.target.short())),
            Step::InPlace { .. } => {
                Err(ActFailure::Refused(format!("{} is in place already", plan.target.short())))
            }
            Step::Superseded(words) => Err(ActFailure::Superseded(words)),
            Step::Refuse(words) => Err(ActFailure::Refused(words)),
            Step::Wait(words) => Err(ActFailure::Transient(words)),
        }
    }
}
