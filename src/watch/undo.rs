//! The rollback: intent, the platform's answer, progress, recovery.

use jiff::{SignedDuration, Timestamp};

use super::{
    Actor, Illegal, Maintenance, PreflightState, RollbackRun, RunStep, Said, Stage, Watch,
};
use crate::model::{
    ActFailure, Acted, Controller, IncidentStatus, LedgerEntry, Outcome, Revision, RollOut,
    RollbackPlan, Route, Severity, Sighting, Standing, Turn,
};
use crate::policy::{Check, OnTimeout};

/// How long a decision stands before the platform has accepted what it calls for;
/// after that only what is measured now may call for it.
const DECISION_STANDS: SignedDuration = SignedDuration::from_mins(2);
/// A person's decision stands longer: they know what they want.
const PRESS_STANDS: SignedDuration = SignedDuration::from_mins(10);
/// Why people are asked about a rollback that was taken back. A breach that is
/// measured anew decides again.
pub(super) const NOT_IN_TIME: &str = "the rollback was not carried out in time";
/// Tries at a platform that does not answer, before people are paged.
const ATTEMPTS: u32 = 6;
/// The first pause between two tries; doubled each time.
const FIRST_PAUSE: SignedDuration = SignedDuration::from_secs(2);

/// The topic under which it is told that the target is not in place yet.
pub(super) const SETTLING_OVERDUE: &str = "settling overdue";

/// How much older than the call before it a look may be.
const STALE_LOOK: SignedDuration = SignedDuration::from_mins(1);

impl Watch {
    /// What a rollback decided at `now` would be; `None` while there is nothing to undo or
    /// no target.
    pub(super) fn plan(&self, now: Timestamp) -> Option<RollbackPlan> {
        let PreflightState::Ready { target, because, .. } = &self.preflight else { return None };
        Some(RollbackPlan {
            service: self.deployment.service.key.clone(),
            judged: self.deployment.platform_id.clone()?,
            judged_revision: self.deployment.revision.clone()?,
            target: target.clone(),
            target_because: because.clone(),
            decided_at: now,
            pin_digests: self.policy().rollback.pin_digests,
            means: self.means(target),
        })
    }

    /// Records the intent. What is done about it is wanted, see [`Watch::wants`].
    pub(super) fn begin_rollback(
        &mut self,
        by: Actor,
        because: String,
        now: Timestamp,
        said: &mut Said,
    ) {
        let Some(plan) = self.plan(now) else { return };
        self.pending = None;
        self.identify();
        self.mark_bad(now, said);
        let step = RunStep::Acting { attempt: 1, not_before: now };
        self.maintenance = Maintenance::before(&plan);
        let run = RollbackRun { plan, by, because, step, pinned: false };
        let reply = self.say_rolling_back(&run);
        self.stage = Stage::RollingBack(Box::new(run));
        self.withdrawn = None;
        self.schedule_first_tick(now);
        self.reply(now, reply, said);
    }

    pub(super) fn acted(
        &mut self,
        result: &Result<Acted, ActFailure>,
        now: Timestamp,
        said: &mut Said,
    ) -> Result<(), Illegal> {
        let result = self.maintained_by(result, now);
        let mut despite = None;
        if matches!(self.stage, Stage::Watching | Stage::Starting)
            && let Some(run) = self.withdrawn.take()
        {
            // The call was under way when the decision was taken back.
            if result.is_err() {
                return Ok(());
            }
            self.pending = None;
            self.stage = Stage::RollingBack(run);
            despite = Some(NOT_IN_TIME.to_owned());
        }
        if let Stage::RollingBack(run) = &self.stage {
            despite = self.forbidden(&run.by).or(despite);
        }
        let Stage::RollingBack(run) = &mut self.stage else {
            return Err(Illegal::because("no rollback is on its way"));
        };
        let RunStep::Acting { attempt, .. } = run.step else {
            return Err(Illegal::because("the platform has answered already"));
        };
        match result {
            Ok(acted) => {
                self.rollback_accepted = true;
                run.step = RunStep::Settling {
                    route: acted.route,
                    deployment: acted.deployment.clone(),
                    since: now,
                };
                let placed = acted.pinned.as_ref().map(|pinned| {
                    run.pinned = true;
                    std::mem::replace(&mut run.plan.target, pinned.clone())
                });
                let by = acted.route.as_str();
                self.note(now, format!("the platform accepted the rollback ({by})"));
                self.tell_accepted(acted, placed.as_ref(), despite.as_deref(), now, said);
                // The platform may have been seen there already.
                if let Some(sighting) = self.sighting.clone() {
                    self.rollback_progressed(&sighting, now, said);
                }
            }
            Err(ActFailure::Maintained { why, .. }) => self.rollback_failed(why, now, said),
            Err(ActFailure::Transient(why)) if attempt < ATTEMPTS => {
                let pause = FIRST_PAUSE * (1_i32 << attempt.min(8));
                run.step = RunStep::Acting {
                    attempt: attempt + 1,
                    not_before: now.checked_add(pause).unwrap_or(now),
                };
                self.note(now, format!("try {attempt} of the rollback: {why}"));
            }
            // Nothing was called, so nothing is counted and nothing is waited for.
            Err(stopped @ ActFailure::Stopped(_)) => {
                self.note(now, format!("try {attempt} of the rollback: {stopped}"));
            }
            Err(ActFailure::Superseded(by)) => self.superseded(by, now, said),
            Err(ActFailure::Refused(why)) => self.rollback_refused(why, now, said),
            Err(ActFailure::Permanent(why) | ActFailure::Transient(why)) => {
                self.rollback_failed(why, now, said);
            }
        }
        Ok(())
    }

    /// What people must hear of a call that was accepted. `instead_of`: the target, where
    /// a pinned revision stands for it. `despite`: what forbids the call by now.
    fn tell_accepted(
        &mut self,
        acted: &Acted,
        instead_of: Option<&Revision>,
        despite: Option<&str>,
        now: Timestamp,
        said: &mut Said,
    ) {
        if let Some(because) = despite {
            let reply = self.say_called_before(because);
            self.reply(now, reply, said);
        }
        if let Some(mismatch) = &acted.mismatch {
            let reply = self.say_mismatch(mismatch);
            self.reply(now, reply, said);
        }
        if let Some((instead_of, pinned)) = instead_of.zip(acted.pinned.as_ref()) {
            let reply = self.say_pinned(instead_of, pinned);
            self.reply(now, reply, said);
        }
        if !acted.beside.is_empty() {
            let reply = self.say_changed_beside(&acted.beside);
            self.reply(now, reply, said);
        }
    }

    /// The brakes or the platform's rules forbid it: a question to people.
    fn rollback_refused(&mut self, why: &str, now: Timestamp, said: &mut Said) {
        self.stage = Stage::Watching;
        self.ask_for_good(format!("not done by itself: {why}"), now, said);
    }

    /// Asks what no time answers: nobody is called later, so whoever was told of the
    /// rollback hears now that it does not come.
    fn ask_for_good(&mut self, because: String, now: Timestamp, said: &mut Said) {
        let severity = self.incident.as_ref().map_or(Severity::Sev2, |i| i.severity);
        let anew = self.ask(severity, None, OnTimeout::Escalate, because, now, said);
        if !anew && self.has_open_incident() {
            self.need_help(now, said);
        }
    }

    fn rollback_failed(&mut self, why: &str, now: Timestamp, said: &mut Said) {
        if let Stage::RollingBack(run) = std::mem::replace(&mut self.stage, Stage::Watching) {
            self.maybe_maintained(&run.plan, now);
        }
        self.rollback_spent = Some(why.to_owned());
        let reply = self.say_rollback_failed(why);
        self.reply(now, reply, said);
        self.need_help(now, said);
    }

    /// Follows the target into place.
    pub(super) fn rollback_progressed(
        &mut self,
        sighting: &Sighting,
        now: Timestamp,
        said: &mut Said,
    ) {
        let recover_within = self.policy().rollback.recover_within;
        let Stage::RollingBack(run) = &mut self.stage else { return };
        let in_place = &sighting.primary;
        let definition = &in_place.revision.name;
        let is_target = *definition == run.plan.target.name && in_place.id != run.plan.judged;
        // Under its own id, or as a deployment of its own: the judged revision is back.
        let put_back = in_place.id == run.plan.judged
            || (*definition == run.plan.judged_revision.name && !is_target);
        match &mut run.step {
            RunStep::Settling { since, route, .. } if put_back => {
                // A look may be older than the call that it follows. A platform that is still
                // at work may shift traffic back only at its end, and what a command or a
                // webhook has ordered may take its time before anything is seen of it.
                let other_id = in_place.id != run.plan.judged;
                let at_work = sighting.controller == Controller::CodeDeploy
                    || sighting.in_flight.is_some()
                    || sighting.native_rollback.is_some()
                    || matches!(route, Route::Command | Route::Webhook);
                let patience = if at_work { recover_within } else { STALE_LOOK };
                if other_id || sighting.at.duration_since(*since) > patience {
                    let why = "the platform put the judged deployment back; deployguard does not fight it";
                    self.rollback_failed(why, now, said);
                }
            }
            RunStep::Settling { deployment, .. } => {
                deployment.get_or_insert_with(|| in_place.id.clone());
                if in_place.roll_out == RollOut::Failed {
                    let reason = in_place.reason.clone().unwrap_or_default();
                    let why = format!("the platform could not place the target: {reason}");
                    self.rollback_failed(&why, now, said);
                } else if is_target && is_settled(sighting) {
                    run.step = RunStep::Recovering { since: now, clean_since: None };
                    if let Some(incident) = self.incident.as_mut() {
                        incident.status = IncidentStatus::Monitoring;
                    }
                    let by = run.by.name();
                    let to = run.plan.target.short().to_owned();
                    self.note(now, "verify: the target is in place, its numbers are measured");
                    let reply = self.say_in_place();
                    self.reply(now, reply, said);
                    self.pass_on(Turn::RolledBack { to, by }, now, said);
                }
            }
            RunStep::Recovering { .. } if put_back => {
                let why = "the judged deployment is in place again; deployguard does not fight it";
                self.rollback_failed(why, now, said);
            }
            // While acting, the answer to the call is still to come: it says more
            // than a look.
            RunStep::Acting { .. } | RunStep::Recovering { .. } => {}
        }
    }

    /// Whether a decided rollback may still be carried out: soon after the
    /// decision, or while the breach is measured now.
    pub(super) fn decision_stands(&self, run: &RollbackRun, now: Timestamp) -> bool {
        // A call of a former life may have had its effect: then asking again only
        // finds it.
        let had_effect = self.sighting.as_ref().is_some_and(|sighting| {
            run.plan.is_target(&sighting.primary.revision) && sighting.primary.id != run.plan.judged
        });
        now < Self::decided_until(run) || had_effect || self.is_blamed_now(now)
    }

    pub(super) fn decided_until(run: &RollbackRun) -> Timestamp {
        let stands = match &run.by {
            Actor::Person(_) => PRESS_STANDS,
            Actor::Guard | Actor::Platform => DECISION_STANDS,
        };
        run.plan.decided_at.checked_add(stands).unwrap_or(run.plan.decided_at)
    }

    /// Takes a decision back that nothing measured calls for any more: the pause,
    /// or the guard's own absence, has lasted too long.
    fn withdraw(&mut self, now: Timestamp, said: &mut Said) {
        let before = if self.in_service_at.is_some() { Stage::Watching } else { Stage::Starting };
        if let Stage::RollingBack(run) = std::mem::replace(&mut self.stage, before) {
            self.maybe_maintained(&run.plan, now);
            self.withdrawn = Some(run);
        }
        if self.has_open_incident() && self.came_back(now) {
            return self.resolve_by_itself(now, said);
        }
        self.ask_for_good(NOT_IN_TIME.to_owned(), now, said);
    }

    /// Whether the numbers have come back: measured by the same checks.
    pub(super) fn recover(&mut self, now: Timestamp, said: &mut Said) {
        let Stage::RollingBack(run) = &self.stage else { return };
        let RunStep::Recovering { since, .. } = run.step else { return };
        if self.is_maintained() {
            return;
        }
        let blamed = self.told_by();
        let back_since = blamed
            .iter()
            .map(|name| self.checks.get(name).and_then(|state| state.back_since))
            .try_fold(since, |latest, back| back.map(|back| latest.max(back)));
        if let Stage::RollingBack(run) = &mut self.stage {
            run.step = RunStep::Recovering { since, clean_since: back_since };
        }
        // Of numbers that nobody has, nobody can say that they came back.
        if !blamed.is_empty() && self.are_back(&blamed, Some(since), now) {
            self.resolve(now);
            let reply = self.say_recovered(since);
            self.reply(now, reply, said);
            self.call_off(now, said);
            self.keep_pinned(now, said);
            self.end(Outcome::RolledBack, "the numbers recovered".to_owned(), now, said);
            self.show_end(true, now, said);
        }
    }

    /// The checks that tell of recovery: those that are blamed; without an incident (a person
    /// pressed) every one that was ever measured. A job's next run may be a day away, and what
    /// asks the new revision alone says nothing of the target: where nothing else is blamed,
    /// all that can be seen now has to be well.
    fn told_by(&self) -> Vec<String> {
        let tells = |check: &Check| {
            !check.is_of_heartbeat() && !check.probe().is_some_and(|probe| probe.new_only)
        };
        let seen = |name: &&String| self.policy().check(name.as_str()).is_none_or(tells);
        let blamed = self.incident.iter().flat_map(|incident| &incident.checks);
        let blamed: Vec<String> = blamed.filter(seen).cloned().collect();
        if blamed.is_empty() {
            let measured = self.checks.iter().filter(|(_, state)| state.answered_at.is_some());
            return measured.map(|(name, _)| name).filter(seen).cloned().collect();
        }
        blamed
    }

    /// The pinned revision stands for the target from now on: it has shown that the
    /// numbers are well on it.
    fn keep_pinned(&self, now: Timestamp, said: &mut Said) {
        let Stage::RollingBack(run) = &self.stage else { return };
        if run.pinned {
            said.ledger.push(LedgerEntry {
                service: run.plan.service.clone(),
                revision: run.plan.target.clone(),
                standing: Standing::Provisional,
                at: now,
                watch: Some(self.id.clone()),
            });
        }
    }

    /// People are paged when the platform or the numbers take too long.
    pub(super) fn rollback_overdue(&mut self, now: Timestamp, said: &mut Said) {
        let Stage::RollingBack(run) = &self.stage else { return };
        if let RunStep::Acting { .. } = run.step {
            let until = Self::decided_until(run);
            let looked = self.last_tick.is_some_and(|tick| tick >= until);
            let stands = self.may_act(&run.by) && self.decision_stands(run, now);
            if now >= until && looked && !stands {
                self.withdraw(now, said);
            }
            return;
        }
        let settling = matches!(run.step, RunStep::Settling { .. });
        let (RunStep::Settling { since, .. } | RunStep::Recovering { since, .. }) = run.step else {
            return;
        };
        let waited = now.duration_since(since);
        let topic = if settling { SETTLING_OVERDUE } else { "recovery overdue" };
        if waited >= self.policy().horizon() && self.told.contains(topic) {
            let (outcome, because) = if settling {
                (Outcome::RollbackFailed, "the platform never put the target in place")
            } else {
                (Outcome::RolledBack, "the target is in place; the numbers never recovered")
            };
            return self.end(outcome, because.to_owned(), now, said);
        }
        if waited >= self.policy().rollback.recover_within {
            let news = self.reply_once(topic, now, super::state::Watch::say_not_recovered, said);
            if news {
                self.need_help(now, said);
            }
        }
    }
}

/// Whether what is in place has come to rest. CodeDeploy keeps the former task set beside
/// it, for hours if it is told so.
fn is_settled(sighting: &Sighting) -> bool {
    match sighting.controller {
        Controller::CodeDeploy => sighting.primary.roll_out == RollOut::Completed,
        // Blue stands by for a day beside green.
        Controller::Selector | Controller::Weights => {
            sighting.primary.roll_out == RollOut::Completed
        }
        Controller::Ecs | Controller::External | Controller::Rollout | Controller::Render => {
            sighting.is_stable()
        }
    }
}
