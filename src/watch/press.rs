//! What people do to a watch, and what changes its ceiling.

use jiff::Timestamp;

use super::{Actor, Ceiling, Command, Illegal, PreflightState, Press, RunStep, Said, Stage, Watch};
use crate::model::{Mode, Outcome, RollbackPlan};

impl Watch {
    pub(super) fn pressed(
        &mut self,
        press: &Press,
        now: Timestamp,
        said: &mut Said,
    ) -> Result<(), Illegal> {
        let reason = press.reason.as_deref().map(|text| format!(": {text}")).unwrap_or_default();
        match press.command {
            Command::Ack => {
                let pending = self.pending.as_mut().ok_or_else(nothing_pending)?;
                pending.acked_by = Some(press.by.clone());
                self.note(now, format!("{} acknowledged{reason}", press.by));
            }
            Command::Hold => self.hold(&press.by, &reason, now, said)?,
            Command::Cancel => {
                if matches!(self.stage, Stage::RollingBack(_)) && !self.is_stopped() {
                    return Err(Illegal::because(
                        "a rollback is on its way and is followed to its end",
                    ));
                }
                let because = format!("cancelled by {}{reason}", press.by);
                self.end(Outcome::Cancelled, because, now, said);
            }
            Command::Rollback => {
                self.may_be_rolled_back()?;
                let because = format!("{} asked for it{reason}", press.by);
                self.pending = None;
                self.begin_rollback(Actor::Person(press.by.clone()), because, now, said);
            }
        }
        Ok(())
    }

    /// What a person's rollback would be at `now`, and why it would not be begun, if so.
    pub fn would_roll_back(&self, now: Timestamp) -> (Option<RollbackPlan>, Option<String>) {
        let refused = if self.is_open() {
            self.may_be_rolled_back().err().map(|why| why.0)
        } else {
            Some("the watch has ended".to_owned())
        };
        (self.plan(now), refused)
    }

    fn may_be_rolled_back(&self) -> Result<(), Illegal> {
        if self.ceiling.mode == Mode::Observe {
            let because = self.ceiling.because.as_deref().unwrap_or("the policy's mode");
            return Err(Illegal::because(format!(
                "the mode is observe ({because}): nothing is done"
            )));
        }
        if self.rollback_accepted {
            return Err(Illegal::because(
                "it was rolled back once; that is done once a deployment",
            ));
        }
        match (&self.stage, &self.preflight) {
            (Stage::RollingBack(_), _) if !self.is_stopped() => {
                Err(Illegal::because("a rollback is on its way already"))
            }
            (Stage::Announced { .. }, _) => {
                Err(Illegal::because("the platform has not shown the deployment yet"))
            }
            (_, PreflightState::Impossible { because }) => Err(Illegal::because(because.clone())),
            (_, PreflightState::Unknown) => {
                Err(Illegal::because("no rollback target has been found yet"))
            }
            (_, PreflightState::Ready { .. }) => Ok(()),
        }
    }

    /// Whether a rollback was decided, and the ceiling was lowered before the
    /// platform accepted it: then a person may take over, or cancel.
    fn is_stopped(&self) -> bool {
        matches!(&self.stage, Stage::RollingBack(run)
            if matches!(run.step, RunStep::Acting { .. }) && !self.may_act(&run.by))
    }

    /// What becomes of a rollback that is on its way when the ceiling is lowered.
    fn of_the_rollback(&self) -> Option<String> {
        let Stage::RollingBack(run) = &self.stage else { return None };
        let target = run.plan.target.short();
        match (&run.step, &run.by) {
            (RunStep::Acting { .. }, by) if !self.may_act(by) => Some(format!(
                "the rollback to {target} is stopped before its call; if the call was sent \
                 already, that is told here"
            )),
            (RunStep::Settling { .. }, Actor::Guard | Actor::Person(_)) => Some(format!(
                "the rollback to {target} is with the platform already: it goes on, and is followed"
            )),
            (
                RunStep::Acting { .. } | RunStep::Settling { .. } | RunStep::Recovering { .. },
                Actor::Guard | Actor::Person(_) | Actor::Platform,
            ) => None,
        }
    }

    /// Stops the timer for as long as it had been set, once.
    fn hold(
        &mut self,
        by: &str,
        reason: &str,
        now: Timestamp,
        said: &mut Said,
    ) -> Result<(), Illegal> {
        let pending = self.pending.as_mut().ok_or_else(nothing_pending)?;
        if pending.held {
            return Err(Illegal::because("it has been held once already"));
        }
        let Some(until) = pending.until else {
            return Err(Illegal::because("its time is over: nothing follows by itself"));
        };
        pending.held = true;
        let wait = until.duration_since(pending.asked_at);
        pending.until = until.checked_add(wait).ok();
        let reply = self.say_held(by, reason);
        self.reply(now, reply, said);
        Ok(())
    }

    pub(super) fn ceiling_changed(&mut self, ceiling: &Ceiling, now: Timestamp, said: &mut Said) {
        // A watch never gets more than its policy allowed when it began.
        let mode = ceiling.mode.min(self.policy().mode);
        let ceiling = Ceiling { mode, because: ceiling.because.clone() };
        if ceiling == self.ceiling {
            return;
        }
        let lowered = mode < self.ceiling.mode;
        self.ceiling = ceiling;
        let mut reply = self.say_ceiling(lowered);
        reply.lines.extend(self.of_the_rollback().filter(|_| lowered));
        self.reply(now, reply, said);
        // What was only observed while it was lower is decided now, if it still
        // holds; if nobody has looked lately, the next sample decides.
        self.reconsider(now, said);
    }
}

fn nothing_pending() -> Illegal {
    Illegal::because("no decision is pending")
}
