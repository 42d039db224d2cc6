//! Maintenance mode around a rollback, and by what else than the platform's call it is done.
//!
//! It is turned on with the call, and off once the target is in place, or when there is no
//! rollback any more. As long as it is on nothing is said of recovery: its refusals are no
//! errors of the target, which is measured from its end on.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::{RunStep, Said, Stage, Watch};
use crate::model::{Means, Revision, RollbackPlan};
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
    On {
        plan: Box<RollbackPlan>,
        tries: u32,
        not_before: Timestamp,
    },
    /// It could not be turned off, and people know.
    Stuck,
}

impl Maintenance {
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
            Stage::RollingBack(run) => matches!(run.step, RunStep::Recovering { .. }),
            Stage::Announced { .. } | Stage::Starting | Stage::Watching => true,
            Stage::Ended { .. } => false,
        };
        (is_over && now >= *not_before).then_some(plan)
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
        if self.is_maintained() {
            self.maintenance = Maintenance::Stuck;
            let reply = self.say_maintained("the watch has ended");
            self.reply(now, reply, said);
        }
    }
}
