//! Phases and the end of a watch.

use jiff::{SignedDuration, Timestamp};

use super::words::list;
use super::{RunStep, Said, Stage, Watch};
use crate::judge::CheckState;
use crate::model::{LedgerEntry, Outcome, Severity, Standing};
use crate::policy::{Check, LowTraffic};

/// How long the platform may take to bring the first new task up before
/// people are told.
const SERVICE_PATIENCE: SignedDuration = SignedDuration::from_mins(15);

impl Watch {
    /// When the current phase ends; `None` before the first task is in service.
    pub fn phase_ends_at(&self) -> Option<Timestamp> {
        let phase = self.policy().phases.get(self.phase)?;
        self.in_service_at?.checked_add(phase.until + self.canary.delayed).ok()
    }

    /// The name of the current phase.
    pub fn phase_name(&self) -> &str {
        let phases = &self.policy().phases;
        phases.get(self.phase).or(phases.last()).map_or("", |phase| &phase.name)
    }

    /// Ends the phases that are over, and the watch with the last one.
    pub(super) fn advance(&mut self, now: Timestamp, said: &mut Said) {
        while matches!(self.stage, Stage::Watching)
            && !self.phase_is_held()
            && self.phase_ends_at().is_some_and(|end| now >= end)
        {
            if let Some(because) = self.held_back() {
                return self.hold_back(&because, now, said);
            }
            let (name, planned) = (self.phase_name().to_owned(), self.phase_ends_at());
            if name == self.policy().rollback.known_good_after && !self.has_open_incident() {
                self.stand(Standing::Provisional, now, said);
            }
            if self.phase + 1 < self.policy().phases.len() {
                self.phase += 1;
                self.note(now, format!("{name} phase over"));
                self.weighted_phase_begun(planned, now);
                self.tell_who_moves(now, said);
                self.schedule_first_tick(now);
            } else {
                self.conclude(now, said);
            }
        }
    }

    /// Ends a watch whose roll-out has not ended by the watch's own end: no phase
    /// ends mid-roll-out, but a watch must.
    pub(super) fn give_up_roll_out(&mut self, now: Timestamp, said: &mut Said) {
        let unfinished = self.is_rolling_out() || self.awaited_weight().is_some();
        if unfinished && self.horizon_at().is_some_and(|end| now >= end) {
            if self.is_in_breach() || self.rollback_spent.is_some() {
                self.conclude(now, said);
            } else {
                let because = "the roll-out has not come to its end".to_owned();
                self.end(Outcome::Inconclusive, because, now, said);
            }
        }
    }

    /// When the last phase ends, as things are: later than planned by as long as a canary's
    /// shares were waited for.
    pub(super) fn horizon_at(&self) -> Option<Timestamp> {
        self.in_service_at?.checked_add(self.policy().horizon() + self.canary.delayed).ok()
    }

    /// The end of the last phase: what the watch comes to.
    fn conclude(&mut self, now: Timestamp, said: &mut Said) {
        let (outcome, because) = self.comes_to();
        if outcome == Outcome::Passed {
            self.stand(Standing::Good, now, said);
        }
        self.end(outcome, because, now, said);
    }

    /// What it would come to if its phases ended now, and why.
    pub fn comes_to(&self) -> (Outcome, String) {
        if let Some(why) = &self.rollback_spent {
            return (Outcome::RollbackFailed, why.clone());
        }
        if self.is_in_breach() {
            return (Outcome::Breached, self.breach_in_words());
        }
        let thin = self.thinly_covered();
        if !thin.is_empty() {
            let because = format!("too little was measured of {}", thin.join(", "));
            return (Outcome::Inconclusive, because);
        }
        let quiet = self.never_enough_traffic();
        if !quiet.is_empty() && self.policy().low_traffic == LowTraffic::Inconclusive {
            let because = format!("there was never enough traffic to tell: {}", list(&quiet));
            return (Outcome::Inconclusive, because);
        }
        if self.saw_nothing() {
            let because = "nothing of it was measured: every check is optional".to_owned();
            return (Outcome::Inconclusive, because);
        }
        (Outcome::Passed, self.coverage_in_words())
    }

    /// Whether something was to be measured, and nothing was: what is left aside keeps nothing
    /// from passing, and gives no reason to pass either.
    fn saw_nothing(&self) -> bool {
        let counts = |name: &String| self.policy().check(name).is_some_and(is_covered);
        let mut covering = self.checks.iter().filter(|(name, _)| counts(name)).peekable();
        covering.peek().is_some() && covering.all(|(_, state)| state.answered == 0)
    }

    /// The checks that were measured less often than the policy asks for.
    pub(super) fn thinly_covered(&self) -> Vec<String> {
        let least = self.policy().min_coverage;
        let measured = |name: &str| self.policy().check(name).is_none_or(is_covered);
        self.checks
            .iter()
            .filter(|(name, state)| measured(name) && (state.due == 0 || state.coverage() < least))
            .filter(|(name, _)| !self.is_left_aside(name))
            .map(|(name, state)| match (state.due, state.answered) {
                (0, _) => format!("{name} ({})", self.why_nothing_counts(name, state)),
                (_, 0) => format!("{name} (never)"),
                (_, _) => format!("{name} ({:.0}%)", state.coverage() * 100.0),
            })
            .collect()
    }

    /// Of a check of which nothing was due: what it says may be shown all the same.
    fn why_nothing_counts(&self, name: &str, state: &CheckState) -> String {
        if state.answered_at.is_none() {
            return "never".to_owned();
        }
        let back = self.policy().check(name).filter(|check| check.looks_back());
        let because = back
            .map(|check| check.window(self.interval()))
            .map(|window| format!(": too little of its window of {window:#} lies after the grace"));
        format!("measured, and nothing of it counts yet{}", because.unwrap_or_default())
    }

    /// Whether nobody promised that a check can be measured, and nobody has: neither since the
    /// deployment nor before it. What vanished with the deployment is missing.
    pub(super) fn is_left_aside(&self, name: &str) -> bool {
        let never = |state: &CheckState| {
            let unmeasured = || state.answered_at.is_none() && state.references().next().is_none();
            state.due == 0 || unmeasured()
        };
        self.policy().check(name).is_some_and(|check| check.optional)
            && self.checks.get(name).is_none_or(never)
    }

    /// The checks that the source answered, and that never had enough traffic.
    pub(super) fn never_enough_traffic(&self) -> Vec<String> {
        let quiet =
            self.checks.iter().filter(|(_, state)| state.answered > 0 && state.measured == 0);
        quiet.map(|(name, _)| name.clone()).collect()
    }

    /// Enters the revision in the ledger.
    pub(super) fn stand(&mut self, standing: Standing, now: Timestamp, said: &mut Said) {
        let Some(revision) = self.deployment.revision.clone() else { return };
        // Too little was seen to call it good, even provisionally.
        if standing == Standing::Provisional && !self.thinly_covered().is_empty() {
            return;
        }
        said.ledger.push(LedgerEntry {
            service: self.deployment.service.key.clone(),
            revision,
            standing,
            at: now,
            watch: Some(self.id.clone()),
        });
    }

    pub(super) fn end(
        &mut self,
        outcome: Outcome,
        because: String,
        now: Timestamp,
        said: &mut Said,
    ) {
        self.close_calm(now, said);
        let grave = self.has_open_incident()
            && self.incident.as_ref().is_some_and(|incident| {
                incident.severity < Severity::Sev3 && incident.excused.is_none()
            });
        if grave && outcome != Outcome::RolledBack {
            self.mark_bad(now, said);
        }
        let noted = self.is_only_noted();
        self.leave_maintained(now, said);
        self.pending = None;
        self.next_tick = None;
        self.tell_of_steadiness(now, said);
        if let Some(hushed) = self.hushed.clone().filter(|_| !self.has_open_incident()) {
            let reply = self.say_came_and_went(&hushed);
            self.reply_after_quiet(reply, now, said);
        }
        self.stage = Stage::Ended { outcome, at: now, because };
        if self.has_open_incident() {
            self.end_open(noted, now, said);
            self.show_end(true, self.quiet_until(now), said);
        } else if outcome == Outcome::Inconclusive {
            let reply = self.say_ended_open(false, noted);
            self.reply(now, reply, said);
        } else {
            self.note(now, format!("watch ended: {}", outcome.as_str()));
        }
    }

    /// Since when the guard has been waiting for the first new task.
    fn waiting_since(&self) -> Timestamp {
        self.deployment.started_at.max(self.opened_at)
    }

    pub(super) fn mark_bad(&mut self, now: Timestamp, said: &mut Said) {
        self.stand(Standing::Bad, now, said);
    }

    /// What time alone brings about.
    pub(super) fn woke(&mut self, now: Timestamp, said: &mut Said) {
        self.climb(now, said);
        self.end_quiet(now, said);
        if self.steady_at().is_some_and(|at| now >= at) {
            self.tell_of_steadiness(now, said);
        }
        match &self.stage {
            Stage::Announced { until } if now >= *until => {
                let because = "announced, never appeared".to_owned();
                self.end(Outcome::Inconclusive, because, now, said);
            }
            Stage::Starting => {
                let waited = now.duration_since(self.waiting_since());
                if waited >= self.policy().horizon() {
                    let because =
                        format!("no {} of the new revision ever came into service", self.copy());
                    self.end(Outcome::Inconclusive, because, now, said);
                } else if waited >= SERVICE_PATIENCE {
                    self.reply_once(
                        "not in service",
                        now,
                        super::state::Watch::say_not_in_service,
                        said,
                    );
                }
            }
            Stage::Watching => {
                self.answer_silence(now, said);
            }
            Stage::RollingBack(_) => self.rollback_overdue(now, said),
            Stage::Announced { .. } | Stage::Ended { .. } => {}
        }
    }

    /// When the watch must be woken, if nothing happens before. Ticks are wants,
    /// not wakes.
    pub fn next_wake(&self) -> Option<Timestamp> {
        let steady = self.steady_at().filter(|_| matches!(self.stage, Stage::Watching));
        let quiet = self.hushed.as_ref().filter(|_| self.is_open()).map(|hushed| hushed.until);
        let wakes = [self.stage_wake(), self.next_call_at(), steady, quiet];
        wakes.into_iter().flatten().min()
    }

    fn stage_wake(&self) -> Option<Timestamp> {
        match &self.stage {
            Stage::Announced { until } => Some(*until),
            Stage::Starting => {
                let patience = if self.told.contains("not in service") {
                    self.policy().horizon()
                } else {
                    SERVICE_PATIENCE
                };
                self.waiting_since().checked_add(patience).ok()
            }
            // Phases end with a sample, never without one.
            Stage::Watching => self.pending.as_ref().and_then(|pending| pending.until),
            Stage::RollingBack(run) => match &run.step {
                // Each sample asks whether the decision still stands.
                RunStep::Acting { .. } => None,
                RunStep::Settling { since, .. } | RunStep::Recovering { since, .. } => {
                    let settling = matches!(run.step, RunStep::Settling { .. });
                    let topic = if settling { "settling overdue" } else { "recovery overdue" };
                    let patience = if self.told.contains(topic) {
                        self.policy().horizon()
                    } else {
                        self.policy().rollback.recover_within
                    };
                    since.checked_add(patience).ok()
                }
            },
            Stage::Ended { .. } => None,
        }
    }
}

/// Whether a watch is to have measured it. That the tasks can't be looked at is said, and takes
/// nothing from what is measured; a job that never beat is none of the deployment's.
pub(super) fn is_covered(check: &Check) -> bool {
    !check.is_of_tasks() && !check.is_of_heartbeat()
}
