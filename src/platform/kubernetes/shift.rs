//! Moving a canary's share of the traffic up, by the guard's own hand.

use super::Kubernetes;
use super::calls::Parts;
use super::fault::{Kind, unseen};
use super::named::Named;
use super::roll_back::{Change, split};
use crate::model::{ActFailure, ShiftPlan, StopSwitch};

/// Readings of what others change at the same time.
const TRIES: usize = 5;

impl Kubernetes {
    /// Gives the judged canary the plan's share, unless it has as much. A share is never
    /// taken away here, and a canary that gets nothing is not begun.
    pub(super) async fn shift_to(
        &self,
        plan: &ShiftPlan,
        stop: &StopSwitch,
    ) -> Result<(), ActFailure> {
        let key = &plan.service;
        let named = Named::read(&key.service).map_err(ActFailure::Permanent)?;
        if matches!(named, Named::Deployment(_) | Named::Service(_)) {
            return Err(ActFailure::Permanent(format!(
                "{key} has no weights: only `ingress/NAME` and `httproute/NAME` have phases \
                 with a `weight`"
            )));
        }
        for _ in 0..TRIES {
            let read = self.read(&key.cluster, Parts::default().with(&named)).await?;
            let Some(found) = self.found(&read, key, None).map_err(unseen)? else {
                return Err(ActFailure::Refused(format!("{key} does not exist any more")));
            };
            if found.primary.id != plan.judged {
                return Err(ActFailure::Superseded(format!(
                    "{} is in place, not {}",
                    found.primary.revision.short(),
                    plan.judged
                )));
            }
            if found.primary.weight.is_some_and(|weight| weight >= plan.weight) {
                return Ok(());
            }
            let stable = found.stable.as_deref();
            let canary = split(&read, &key.service, stable)?.and_then(|split| split.canary);
            let Some(canary) = canary else {
                return Err(ActFailure::Refused(format!("{key} has no canary any more")));
            };
            let change = Change::of_lever(&canary.lever, plan.weight);
            if let Some(why) = stop.stopped() {
                return Err(ActFailure::Stopped(why.to_owned()));
            }
            match self.send_to(&change, &key.cluster).await {
                Ok(()) => return Ok(()),
                Err(fault) if fault.kind == Kind::Conflict => {}
                Err(fault) => return Err(fault.into()),
            }
        }
        Err(ActFailure::Transient(format!("{key} kept changing while it was read")))
    }
}
