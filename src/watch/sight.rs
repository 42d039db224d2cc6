//! What the platform shows: the roll-out's progress, and who changed what.

use jiff::{SignedDuration, Timestamp};

use super::intake::JOIN_WITHIN;
use super::{
    Actor, Event, Illegal, PreflightState, RollbackRun, RunStep, Said, Stage, Tasks, Watch,
};
use crate::model::{
    Announcement, Controller, Means, Outcome, Revision, RollOut, RollbackPlan, RollbackSafe, Route,
    Sighting,
};

impl Watch {
    /// The platform's id of the judged deployment.
    pub fn platform_id(&self) -> Option<&str> {
        self.deployment.platform_id.as_deref()
    }

    /// What people call one running copy of the service.
    pub(super) fn copy(&self) -> &'static str {
        self.sighting.as_ref().map_or("task", |seen| seen.controller.copy())
    }

    pub(super) fn announced(
        &mut self,
        announcement: &Announcement,
        now: Timestamp,
        said: &mut Said,
    ) {
        let blind = self.unlabelled();
        self.deployment.facts = Event::merged(&self.deployment.facts, &announcement.facts);
        self.inherit(self.deployment.undoes);
        self.announcement = Some(announcement.clone());
        self.note(now, format!("announced as {}", announcement.id));
        self.labelled(&blind, now, said);
        self.reconsider(now, said);
    }

    /// What a rollback would undo beside this deployment counts as its own.
    pub(super) fn inherit(&mut self, undoes: RollbackSafe) {
        self.deployment.undoes = undoes;
        let facts = &mut self.deployment.facts;
        facts.rollback_safe = facts.rollback_safe.worst(undoes);
    }

    pub(super) fn bound(
        &mut self,
        sighting: &Sighting,
        source: Option<&Revision>,
        baseline_end: Timestamp,
        now: Timestamp,
    ) -> Result<(), Illegal> {
        if !matches!(self.stage, Stage::Announced { .. }) {
            return Err(Illegal::because("the watch is bound to a deployment already"));
        }
        self.deployment.platform_id = Some(sighting.primary.id.clone());
        self.deployment.revision = Some(sighting.primary.revision.clone());
        self.deployment.source = source.cloned();
        self.deployment.started_at = sighting.primary.created_at;
        self.deployment.baseline_end = baseline_end;
        self.stage = Stage::Starting;
        self.note(now, format!("the roll-out of {} began", sighting.primary.revision.short()));
        Ok(())
    }

    pub(super) fn sighted(&mut self, sighting: &Sighting, now: Timestamp, said: &mut Said) {
        // It builds still: its announcement waits on.
        if let Stage::Announced { until } = &mut self.stage {
            *until = (*until).max(now.checked_add(JOIN_WITHIN).unwrap_or(now));
            return;
        }
        let judged_in_place = self.platform_id() == Some(sighting.primary.id.as_str());
        self.sighting = Some(sighting.clone());
        if judged_in_place {
            self.tasks.see(&sighting.primary, sighting.at);
        } else {
            self.tasks = Tasks::default();
        }
        let seen = &sighting.primary.revision;
        if judged_in_place
            && let Some(judged) = self.deployment.revision.as_mut()
            && judged.name == seen.name
        {
            // Digests may be resolved only after the first look; what a rollback
            // would restore is looked at again then.
            if judged.digests.is_empty() && !seen.digests.is_empty() {
                self.preflight = PreflightState::Unknown;
            }
            *judged = seen.clone();
        }
        match &self.stage {
            Stage::Announced { .. } | Stage::Ended { .. } => {}
            Stage::Starting | Stage::Watching if judged_in_place => {
                self.roll_out_progressed(sighting, now, said);
            }
            // What was rolled back is followed already.
            Stage::Starting | Stage::Watching if self.rollback_accepted => {}
            Stage::Starting | Stage::Watching => {
                self.undone_by_platform(sighting, now, said);
            }
            Stage::RollingBack(_) => self.rollback_progressed(sighting, now, said),
        }
    }

    fn roll_out_progressed(&mut self, sighting: &Sighting, now: Timestamp, said: &mut Said) {
        if matches!(self.stage, Stage::Starting) && self.next_tick.is_none() {
            self.begin_looking_at_tasks(now);
        }
        if matches!(self.stage, Stage::Starting) && sighting.primary.running > 0 {
            self.stage = Stage::Watching;
            self.in_service_at = Some(in_service_since(sighting, now));
            let copy = sighting.controller.copy();
            self.note(now, format!("the first new {copy} is in service"));
            self.tell_unlabelled(now, said);
            self.schedule_first_tick(now);
        }
        self.share_seen(now, said);
        if sighting.primary.roll_out == RollOut::Failed {
            let reason = sighting.primary.reason.clone();
            self.reply_once("roll-out failed", now, |w| w.say_roll_out_failed(reason), said);
        }
        if sighting.primary.roll_out == RollOut::Completed {
            self.told.remove("roll-out failed");
        }
    }

    /// What the deployment replaced is back, and not by the guard: reported,
    /// not fought, and still watched for recovery.
    fn undone_by_platform(&mut self, sighting: &Sighting, now: Timestamp, said: &mut Said) {
        let (Some(judged), Some(judged_revision)) =
            (self.deployment.platform_id.clone(), self.deployment.revision.clone())
        else {
            return;
        };
        let why = match &sighting.native_rollback {
            Some(reason) => {
                format!("{} rolled back by itself: {reason}", sighting.controller.as_str())
            }
            None if sighting.controller == Controller::CodeDeploy => {
                "CodeDeploy put the former revision back".to_owned()
            }
            None => "somebody put the former revision back".to_owned(),
        };
        let plan = RollbackPlan {
            service: self.deployment.service.key.clone(),
            judged,
            judged_revision,
            target: sighting.primary.revision.clone(),
            target_because: why.clone(),
            decided_at: now,
            pin_digests: false,
            means: Means::default(),
        };
        let step = RunStep::Settling {
            route: Route::AlreadyInPlace,
            deployment: Some(sighting.primary.id.clone()),
            since: now,
        };
        self.pending = None;
        self.mark_bad(now, said);
        self.schedule_first_tick(now);
        let run = RollbackRun { plan, by: Actor::Platform, because: why, step, pinned: false };
        let reply = self.say_undone_by_platform(&run);
        self.stage = Stage::RollingBack(Box::new(run));
        self.reply(now, reply, said);
        self.rollback_progressed(sighting, now, said);
    }

    pub(super) fn superseded(&mut self, by: &str, now: Timestamp, said: &mut Said) {
        self.succeeded(by, &format!("superseded by {by}"), now, said);
    }

    /// Another deployment is in place and judged from here on. Where the rollback had put its
    /// target in place before that, it has happened, whatever the numbers would have shown.
    fn succeeded(&mut self, by: &str, because: &str, now: Timestamp, said: &mut Said) {
        self.succeeded_by = Some(by.to_owned());
        let back = match &self.stage {
            Stage::RollingBack(run) => match run.step {
                RunStep::Recovering { .. } => Some(run.plan.target.short()),
                RunStep::Acting { .. } | RunStep::Settling { .. } => None,
            },
            Stage::Announced { .. } | Stage::Starting | Stage::Watching | Stage::Ended { .. } => {
                None
            }
        };
        let unconfirmed = back.map(|target| {
            format!("{target} was back in place; {because} before the numbers were seen to recover")
        });
        let (outcome, because) = match unconfirmed {
            Some(unconfirmed) => (Outcome::RolledBack, unconfirmed),
            None => (Outcome::Superseded, because.to_owned()),
        };
        self.end(outcome, because, now, said);
    }

    /// Somebody has put an older revision in place than the one that was replaced. It is a
    /// deployment of its own, so this watch ends; that it is a rollback is said.
    pub(super) fn rolled_back_by_hand(&mut self, to: &str, now: Timestamp, said: &mut Said) {
        let reply = self.say_rolled_back_by_hand(to);
        self.reply(now, reply, said);
        let because = format!("superseded by {to}, an older revision: somebody rolled back");
        self.succeeded(to, &because, now, said);
    }

    /// Whether the roll-out is still going on: no phase ends before it has ended.
    pub(super) fn is_rolling_out(&self) -> bool {
        self.sighting.as_ref().is_some_and(|sighting| {
            Some(sighting.primary.id.as_str()) == self.platform_id()
                && sighting.primary.roll_out == RollOut::InProgress
        })
    }
}

/// When the first new task came into service, as far as one look can tell: now,
/// or, where the guard comes late to a roll-out that is over, when it began.
fn in_service_since(sighting: &Sighting, now: Timestamp) -> Timestamp {
    let began = sighting.primary.created_at;
    let late = now.duration_since(began) > SignedDuration::from_mins(5);
    if late && sighting.primary.roll_out == RollOut::Completed { began } else { now }
}
