//! Maintenance mode around a rollback, and by what else than the platform's call it is done.
//!
//! It is turned on with the call, and off once the target is in place, when that takes longer
//! than it may, or when there is no rollback any more; also where a call was begun and nobody
//! knows whether it came to that. As long as it is on nothing is said of recovery: its refusals are no
//! errors of the target, which is measured from its end on.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::undo::SETTLING_OVERDUE;
use super::{RunStep, Said, Stage, Watch};
use crate::model::{ActFailure, Acted, Means, Revision, RollbackPlan};
use crate::policy::Vars;

/// Tries to turn it off, before people are paged.
const ATTEMPTS: u32 = 5;
/// The first pause between two tries; doubled each time.
const FIRST_PAUSE: SignedDuration = SignedDuration::from_secs(2);

/// Whether the service is in maintenance mode for a rollback of this guard.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Maintenance {
    #[default]
    Off,
    /// A rollback with it is decided: a call that was begun may have turned it on.
    Begun,
    On {
        plan: Box<RollbackPlan>,
        tries: u32,
        not_before: Timestamp,
    },
    /// It could not be turned off, and people know.
    Stuck,
}

impl Maintenance {
    /// What it is while a rollback by `plan` is on its way to the platform.
    pub(super) fn before(plan: &RollbackPlan) -> Self {
        if plan.means.maintenance.is_some() { Self::Begun } else { Self::Off }
    }

    /// On since `now`, for a rollback by `plan`.
    pub(super) fn of(plan: RollbackPlan, now: Timestamp) -> Self {
        Self::On { plan: Box::new(plan), tries: 0, not_before: now }
    }
}

impl Watch {
    /// By what a rollback to `target` would be done.
    pub(super) fn means(&self, target: &Revision) -> Means {
        let rule = &self.policy().rollback;
        if rule.by.is_none() && rule.maintenance.is_none() {
            return Means::default();
        }
        let deployment = &self.deployment;
        let mut values = Vars::of(deployment).values().clone();
        values.insert("deployment".to_owned(), deployment.id.clone());
        values.insert("target.revision".to_owned(), target.last_part().to_owned());
        Means { by: rule.by.clone(), maintenance: rule.maintenance.clone(), values }
    }

    pub(super) fn is_maintained(&self) -> bool {
        matches!(self.maintenance, Maintenance::On { .. })
    }

    /// The plan whose maintenance mode is to be turned off now.
    pub(super) fn leave_wanted(&self, now: Timestamp) -> Option<&RollbackPlan> {
        let Maintenance::On { plan, not_before, .. } = &self.maintenance else { return None };
        let is_over = match &self.stage {
            Stage::RollingBack(run) => match run.step {
                RunStep::Acting { .. } => false,
                // Whoever is told that it takes too long wants the service back as it is.
                RunStep::Settling { .. } => self.told.contains(SETTLING_OVERDUE),
                RunStep::Recovering { .. } => true,
            },
            Stage::Announced { .. } | Stage::Starting | Stage::Watching => true,
            Stage::Ended { .. } => false,
        };
        (is_over && now >= *not_before).then_some(plan)
    }

    /// What a try's answer says of it; the answer itself.
    pub(super) fn maintained_by<'a>(
        &mut self,
        result: &'a Result<Acted, ActFailure>,
        now: Timestamp,
    ) -> Result<&'a Acted, &'a ActFailure> {
        let run = match &self.stage {
            Stage::RollingBack(run) => Some(run),
            Stage::Announced { .. } | Stage::Starting | Stage::Watching | Stage::Ended { .. } => {
                self.withdrawn.as_ref()
            }
        };
        let Some(plan) = run.map(|run| &run.plan) else { return result.as_ref() };
        match result {
            Ok(acted) if acted.maintained => self.maintenance = Maintenance::of(plan.clone(), now),
            Err(ActFailure::Maintained { failure, why }) => {
                self.maintenance = Maintenance::of(plan.clone(), now);
                self.note(now, format!("maintenance mode could not be turned off: {why}"));
                return Err(failure);
            }
            // The next try may have begun when this process ends.
            Err(ActFailure::Transient(_) | ActFailure::Stopped(_)) => {}
            Ok(_) | Err(_) if self.maintenance == Maintenance::Begun => {
                self.maintenance = Maintenance::Off;
            }
            Ok(_) | Err(_) => {}
        }
        result.as_ref()
    }

    /// There is no rollback by `plan` any more, and nobody knows what a try of it came to.
    pub(super) fn maybe_maintained(&mut self, plan: &RollbackPlan, now: Timestamp) {
        if self.maintenance == Maintenance::Begun {
            self.maintenance = Maintenance::of(plan.clone(), now);
        }
    }

    pub(super) fn maintenance_left(
        &mut self,
        result: &Result<(), String>,
        now: Timestamp,
        said: &mut Said,
    ) {
        let Maintenance::On { tries, not_before, .. } = &mut self.maintenance else { return };
        match result {
            Ok(()) => {
                self.maintenance = Maintenance::Off;
                self.note(now, "maintenance mode was turned off; measured from here on");
            }
            Err(why) if *tries + 1 < ATTEMPTS => {
                *tries += 1;
                *not_before = now.checked_add(FIRST_PAUSE * (1_i32 << *tries)).unwrap_or(now);
                let tried = format!("try {tries} to turn maintenance mode off: {why}");
                return self.note(now, tried);
            }
            Err(why) => {
                self.maintenance = Maintenance::Stuck;
                let reply = self.say_maintained(why);
                self.reply(now, reply, said);
            }
        }
        if let Stage::RollingBack(run) = &mut self.stage
            && let RunStep::Recovering { since, clean_since } = &mut run.step
        {
            (*since, *clean_since) = (now, None);
        }
    }

    /// The watch ends: nobody turns it off any more.
    pub(super) fn leave_maintained(&mut self, now: Timestamp, said: &mut Said) {
        if self.is_maintained() || self.maintenance == Maintenance::Begun {
            self.maintenance = Maintenance::Stuck;
            let reply = self.say_maintained("the watch has ended");
            self.reply(now, reply, said);
        }
    }
}
