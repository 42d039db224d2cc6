//! What people do to a watch, and what changes its ceiling.

use jiff::Timestamp;

use super::words::{clock, full};
use super::{Actor, Ceiling, Command, Illegal, PreflightState, Press, RunStep, Said, Stage, Watch};
use crate::model::{Mode, Outcome, RollbackPlan};

/// Keys of presses that are kept; each of them is a person's.
const MOST_PRESSES: usize = 1000;

impl Watch {
    pub(super) fn pressed(
        &mut self,
        press: &Press,
        now: Timestamp,
        said: &mut Said,
    ) -> Result<(), Illegal> {
        self.is_news(press)?;
        let reason = press.reason.as_deref().map(|text| format!(": {text}")).unwrap_or_default();
        match press.command {
            Command::Ack => {
                self.acknowledge(&press.by, now, said)?;
                self.note(now, format!("{} acknowledged{reason}", press.by));
            }
            Command::Hold => self.hold(press, &reason, now, said)?,
            Command::Resume => self.resume(&press.by, &reason, now, said)?,
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
                self.is_the_target_seen(press, now)?;
                let because = format!("{} asked for it{reason}", press.by);
                self.pending = None;
                // Who acts has seen it.
                if self.has_open_incident() {
                    self.acknowledge(&press.by, now, said)?;
                }
                self.begin_rollback(Actor::Person(press.by.clone()), because, now, said);
            }
        }
        if let Some(key) = &press.key
            && self.presses.len() < MOST_PRESSES
        {
            self.presses.insert(key.clone());
        }
        Ok(())
    }

    /// Whether a press was not taken before, and is about what is still so.
    fn is_news(&self, press: &Press) -> Result<(), Illegal> {
        if press.key.as_ref().is_some_and(|key| self.presses.contains(key)) {
            return Err(Illegal::because("it was pressed already"));
        }
        let Some(seen) = press.incident else { return Ok(()) };
        match &self.incident {
            _ if seen == 0 && !self.has_open_incident() => Ok(()),
            Some(_) if seen == 0 => Err(Illegal::because(format!(
                "an incident has opened since; now: {}",
                self.status_line()
            ))),
            Some(incident) if incident.number == seen => match incident.resolved_at {
                None if press.spell.is_none_or(|spell| spell == incident.returns) => Ok(()),
                None => Err(Illegal::because(format!(
                    "it was well again since, and has come back at {}; now: {}; {}",
                    clock(incident.spell_began()),
                    self.status_line(),
                    self.press_again()
                ))),
                Some(at) => Err(Illegal::because(format!("it was resolved at {}", full(at)))),
            },
            Some(_) | None => Err(Illegal::because(format!(
                "that was about another incident; now: {}",
                self.status_line()
            ))),
        }
    }

    /// Whether a rollback would put in place what the person saw that it would.
    fn is_the_target_seen(&self, press: &Press, now: Timestamp) -> Result<(), Illegal> {
        let (Some(seen), Some(plan)) = (&press.target, self.plan(now)) else { return Ok(()) };
        let target = &plan.target;
        if *seen == target.short() || *seen == target.name {
            return Ok(());
        }
        let again = self.press_again();
        Err(Illegal::because(format!("the target is now {}; {again}", target.short())))
    }

    /// Where the button is that is about what is so now.
    fn press_again(&self) -> &'static str {
        match self.pending {
            Some(_) => "press again below",
            None => "press again on the deployment's message",
        }
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

    pub(super) fn may_be_rolled_back(&self) -> Result<(), Illegal> {
        if self.ceiling.mode == Mode::Observe {
            let because = self.ceiling.because.as_deref().unwrap_or("the policy's mode");
            return Err(Illegal::because(format!(
                "the mode is observe ({because}): nothing is done"
            )));
        }
        if self.rollback_accepted {
            return Err(Illegal::because(
                "it was rolled back already; a second time is for people to do by hand",
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
    pub(super) fn is_stopped(&self) -> bool {
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

    /// That a pause stops no calls, where it can be read otherwise.
    fn calls_go_on(&self) -> Option<String> {
        let climbs = self.ceiling.mode == Mode::Observe && self.next_call_at().is_some();
        climbs.then(|| {
            "nothing is done by itself; people go on being called about what is open until \
             somebody acknowledges"
                .to_owned()
        })
    }

    /// Stops the timer, once, for no longer than the policy allows.
    fn hold(
        &mut self,
        press: &Press,
        reason: &str,
        now: Timestamp,
        said: &mut Said,
    ) -> Result<(), Illegal> {
        let most = self.policy().actions.hold;
        let pending = self.pending.as_mut().ok_or_else(nothing_pending)?;
        if pending.held {
            return Err(Illegal::because("it has been held once already"));
        }
        let Some(until) = pending.until else {
            return Err(Illegal::because("its time is over: nothing follows by itself"));
        };
        let latest = until.checked_add(most).unwrap_or(until);
        let asked = press.for_.map_or(Ok(latest), |for_| now.checked_add(for_));
        let Some(asked) = asked.ok().filter(|asked| *asked <= latest) else {
            let latest = full(latest);
            return Err(Illegal::because(format!("the policy lets it be held until {latest}")));
        };
        pending.held = true;
        pending.held_from = Some(until);
        pending.until = Some(asked.max(until));
        self.note(now, format!("hotfix: {} says that a fix is on the way", press.by));
        let reply = self.say_held(&press.by, reason);
        self.reply(now, reply, said);
        let acked_before = self.open_incident().is_some_and(|incident| incident.acked.is_some());
        if self.has_open_incident() && !acked_before {
            self.acknowledge(&press.by, now, said)?;
            if let Some(acked) = self.incident.as_mut().and_then(|one| one.acked.as_mut()) {
                acked.by_hold = true;
            }
        }
        Ok(())
    }

    /// The timer runs as it would have without the hold; what is over by then follows at once.
    fn resume(
        &mut self,
        by: &str,
        reason: &str,
        now: Timestamp,
        said: &mut Said,
    ) -> Result<(), Illegal> {
        let pending = self.pending.as_mut().ok_or_else(nothing_pending)?;
        let Some(until) = pending.held_from.take().filter(|_| pending.until.is_some()) else {
            return Err(Illegal::because("nobody holds it"));
        };
        pending.until = Some(until.max(now));
        self.unhold(now);
        let reply = self.say_resumed(by, reason);
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
        reply.lines.extend(self.calls_go_on().filter(|_| lowered));
        self.reply(now, reply, said);
        // What was only observed while it was lower is decided now, if it still
        // holds; if nobody has looked lately, the next sample decides.
        self.reconsider(now, said);
    }
}

fn nothing_pending() -> Illegal {
    Illegal::because("no decision is pending")
}
