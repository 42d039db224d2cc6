//! What a rollback would do now: the reading and the choice of `roll_back`, without the calls.

use super::Render;
use super::choose::{Step, choose};
use super::wire::short;
use crate::model::{ActFailure, RollbackPlan};

impl Render {
    pub(super) async fn would(&self, plan: &RollbackPlan) -> Result<String, ActFailure> {
        let seen = self.see(plan).await?;
        match choose(&seen.members, plan) {
            Step::RollBack(moves) => {
                let moves = moves
                    .iter()
                    .map(|one| format!("{} to {} ({})", one.name, short(&one.content), one.deploy));
                let moves = moves.collect::<Vec<_>>().join(", ");
                let on = seen.services.iter().filter(|service| service.deploys_by_itself());
                let on: Vec<&str> = on.map(|service| service.name.as_str()).collect();
                let hold = match on.as_slice() {
                    [] => String::new(),
                    on => format!("; then auto-deploy off for {}", on.join(", ")),
                };
                Ok(format!("Render's rollback of {moves}{hold}"))
            }
            Step::InPlace { .. } => {
                let words = format!("{} is in place already", plan.target.short());
                Err(ActFailure::Refused(words))
            }
            Step::Superseded(words) => Err(ActFailure::Superseded(words)),
            Step::Refuse(words) => Err(ActFailure::Refused(words)),
        }
    }
}
