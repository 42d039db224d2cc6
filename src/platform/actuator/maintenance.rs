//! Maintenance mode: on right before a rollback, off once its target is in place.
//!
//! It is a help and no condition: a rollback is done without it, and that is said. What could
//! not be turned off is told to people, because the service stands still meanwhile.

use jiff::Timestamp;

use super::Actuators;
use super::webhook::Order;
use crate::commands::{Ended, Purpose};
use crate::model::{ActFailure, Actuator, Permit, RollbackPlan, WatchId};

impl Actuators {
    /// Turns it on; what came of it, in words.
    pub(super) async fn enter(
        &self,
        on: &Actuator,
        plan: &RollbackPlan,
        permit: &Permit,
        now: Timestamp,
    ) -> String {
        match self.switch(on, "maintenance.on", plan, permit.watch(), now).await {
            Ok(()) => format!("maintenance mode was turned on by {on}"),
            Err(why) => format!("maintenance mode could not be turned on by {on}: {why}"),
        }
    }

    /// Turns it off; harmless where it is off already.
    ///
    /// # Errors
    /// Why it may still be on.
    pub async fn leave(
        &self,
        plan: &RollbackPlan,
        watch: &WatchId,
        now: Timestamp,
    ) -> Result<(), String> {
        let Some(hooks) = &plan.means.maintenance else { return Ok(()) };
        self.switch(&hooks.off, "maintenance.off", plan, watch, now).await
    }

    /// Turns it off after a rollback that was not done; the failure, also where it stays on.
    pub(super) async fn left(
        &self,
        failure: ActFailure,
        permit: &Permit,
        plan: &RollbackPlan,
        now: Timestamp,
    ) -> ActFailure {
        match self.leave(plan, permit.watch(), now).await {
            Ok(()) => failure,
            Err(why) => ActFailure::Maintained { failure: Box::new(failure), why },
        }
    }

    async fn switch(
        &self,
        actuator: &Actuator,
        event: &'static str,
        plan: &RollbackPlan,
        watch: &WatchId,
        now: Timestamp,
    ) -> Result<(), String> {
        match actuator {
            Actuator::Command(name) => {
                let ran = self.commands.run(name, Purpose::RollBack, &plan.means.values).await;
                match ran.ended {
                    Ended::Exit(0) => Ok(()),
                    ended @ (Ended::Exit(_)
                    | Ended::Signal(_)
                    | Ended::TimedOut(_)
                    | Ended::Stopped
                    | Ended::NotRun(_)) => Err(format!("the command `{name}` {ended}")),
                }
            }
            Actuator::Webhook(name) => {
                let order = Order::maintenance(event, plan, watch);
                let endpoint = self.endpoint(name).map_err(|failure| failure.to_string())?;
                endpoint.send(&order, now).await.map(drop).map_err(|failure| failure.to_string())
            }
        }
    }
}
