//! What a watch wants done, read off its state. The engine does each want once
//! at a time and brings the result back as an event; a restart changes nothing.

use jiff::{SignedDuration, Timestamp};

use super::sampling::grid_at;
use super::{Actor, BaselineAsk, PreflightState, RunStep, Stage, Watch};
use crate::model::{Mode, RollbackPlan, RollbackSafe, ShiftPlan, TaskStop, Ticks, settle};
use crate::policy::{Check, Stretches};

/// One thing to be done.
#[derive(Debug, Clone, PartialEq)]
pub enum Want {
    /// Measure all the checks as of `tick` -> [`super::Event::Sampled`].
    Sample { tick: Timestamp, interval: SignedDuration },
    /// Measure what the deployment is compared with -> [`super::Event::BaselineMeasured`].
    Baseline(BaselineAsk),
    /// Look for a rollback target -> [`super::Event::Inspected`].
    Inspect,
    /// Read what this task logged last -> [`super::Event::LogRead`].
    ReadLog(Box<TaskStop>),
    /// Roll back, not before `not_before` -> [`super::Event::Acted`].
    RollBack { plan: Box<RollbackPlan>, not_before: Timestamp, attended: bool },
    /// Turn maintenance mode off again -> [`super::Event::MaintenanceLeft`].
    LeaveMaintenance(Box<RollbackPlan>),
    /// Give a canary more of the traffic -> [`super::Event::Shifted`].
    Shift(ShiftPlan),
}

/// Ticks that are made up for after the guard was away.
const MOST_BACKFILLED: i64 = 240;

impl Watch {
    /// The ticks of the sample at `tick`, with those that were missed since the last one.
    /// Stretches tile: each begins where the one before ended, so no event is counted
    /// twice and none is lost.
    pub fn ticks(&self, tick: Timestamp, interval: SignedDuration) -> Ticks {
        let Some(last) = self.last_tick.filter(|last| *last < tick) else {
            return Ticks::once(tick, interval);
        };
        let since = tick.duration_since(last);
        let missed = i64::try_from(since.as_millis() / interval.as_millis().max(1)).unwrap_or(1);
        if missed <= 1 {
            return Ticks::once(tick, since);
        }
        let count = usize::try_from(missed.clamp(1, MOST_BACKFILLED)).unwrap_or(1);
        Ticks::ending_at(tick, interval, count)
    }

    /// What is to be measured of `check` for the samples at `ticks`; `None`: nothing.
    pub fn stretches(
        &self,
        check: &Check,
        ticks: Ticks,
        interval: SignedDuration,
    ) -> Option<Stretches> {
        let last = self.checks.get(&check.name).and_then(|state| state.answered_at);
        check.stretches(ticks, interval, last, self.clear_from())
    }

    /// Whether only the image digests, which ECS resolves with the first task, can tell the
    /// deployment from what it replaces.
    fn awaits_digests(&self) -> bool {
        let (judged, source) = (&self.deployment.revision, &self.deployment.source);
        let same = judged.as_ref().zip(source.as_ref()).is_some_and(|(judged, source)| {
            judged.digests.is_empty() && judged.name == source.name
        });
        same && matches!(self.stage, Stage::Starting)
    }

    /// Whether the ceiling lets a rollback by `by` go on. A pause stops even one
    /// that has begun, as long as the platform has not accepted it.
    pub(super) fn may_act(&self, by: &Actor) -> bool {
        self.forbidden(by).is_none()
    }

    /// Why a rollback by `by` may not go on; `None`: it may.
    pub(super) fn forbidden(&self, by: &Actor) -> Option<String> {
        let mode = self.ceiling.mode;
        let lowered = || {
            let because = self.ceiling.because.clone();
            because.unwrap_or_else(|| format!("the mode was lowered to {mode}"))
        };
        match by {
            Actor::Guard if mode != Mode::Auto => Some(lowered()),
            Actor::Guard => self.announced_unsafe(),
            Actor::Person(_) => (mode == Mode::Observe).then(lowered),
            Actor::Platform => Some("the platform does it itself".to_owned()),
        }
    }

    /// Why it must not be rolled back by itself, where it was announced so: what is not safe,
    /// and who says it.
    pub(super) fn announced_unsafe(&self) -> Option<String> {
        if self.deployment.facts.rollback_safe != RollbackSafe::No {
            return None;
        }
        let unsafe_one = self.unsafe_one();
        let what = match &unsafe_one {
            Some(_) if self.is_announced_unsafe() => "it".to_owned(),
            Some(one) => format!("{}, which it would undo too,", one.version),
            None => "what it would undo too".to_owned(),
        };
        let by = unsafe_one.and_then(|one| one.by).map(|by| format!(" by {by}"));
        let by = by.unwrap_or_default();
        Some(format!("{what} was announced{by} as not safe to roll back (rollback_safe: false)"))
    }

    /// Why a rollback that was wanted is not wanted any more.
    pub fn unwanted_because(&self) -> String {
        let forbidden = match &self.stage {
            Stage::RollingBack(run) => self.forbidden(&run.by),
            Stage::Announced { .. } | Stage::Starting | Stage::Watching | Stage::Ended { .. } => {
                None
            }
        };
        forbidden.unwrap_or_else(|| "nothing calls for it any more".to_owned())
    }

    /// When the next tick is asked for: a sample that was scraped at the tick is
    /// visible only a moment later.
    pub fn tick_due_at(&self) -> Option<Timestamp> {
        self.next_tick?.checked_add(self.settles()).ok()
    }

    /// When the sample at `tick` was due, where it was asked for each `interval`.
    pub fn due_at(&self, tick: Timestamp, interval: SignedDuration) -> Timestamp {
        let settles = self.query_offset.unwrap_or_else(|| settle(interval));
        tick.checked_add(settles).unwrap_or(tick)
    }

    /// How long after a tick its sample is asked for.
    fn settles(&self) -> SignedDuration {
        self.query_offset.unwrap_or_else(|| settle(self.interval()))
    }

    /// Up to when everything could be measured by `now`: what a tick is to be compared
    /// with, where the source shows it late.
    pub(super) fn settled(&self, now: Timestamp) -> Timestamp {
        now.checked_sub(self.settles()).unwrap_or(now)
    }

    /// What is wanted now. `Sample` is wanted only when its tick has come.
    pub fn wants(&self, now: Timestamp) -> Vec<Want> {
        let mut wants = Vec::new();
        let bound = self.deployment.platform_id.is_some() && self.is_open();
        if bound && let Some(ask) = self.baseline_wanted(now) {
            wants.push(Want::Baseline(ask));
        }
        if bound && self.preflight == PreflightState::Unknown && !self.awaits_digests() {
            wants.push(Want::Inspect);
        }
        if let Stage::RollingBack(run) = &self.stage
            && let RunStep::Acting { not_before, .. } = run.step
            && self.may_act(&run.by)
            && self.decision_stands(run, now)
        {
            wants.push(Want::RollBack {
                plan: Box::new(run.plan.clone()),
                not_before,
                attended: matches!(run.by, Actor::Person(_)),
            });
        }
        wants.extend(self.shift_wanted(now).map(Want::Shift));
        let maintained = self.leave_wanted(now).cloned();
        wants.extend(maintained.map(|plan| Want::LeaveMaintenance(Box::new(plan))));
        if let Some(stop) = self.log_wanted() {
            wants.push(Want::ReadLog(Box::new(stop.clone())));
        }
        if self.tick_due_at().is_some_and(|due| now >= due) {
            // After a pause the newest tick is asked for, and what was missed with it.
            let tick = grid_at(self.settled(now), self.interval());
            wants.push(Want::Sample { tick, interval: self.interval() });
        }
        wants
    }

    /// When the next try of a rollback is due, while one is wanted.
    pub fn rollback_not_before(&self, now: Timestamp) -> Option<Timestamp> {
        let Stage::RollingBack(run) = &self.stage else { return None };
        match run.step {
            RunStep::Acting { not_before, .. }
                if self.may_act(&run.by) && self.decision_stands(run, now) =>
            {
                Some(not_before)
            }
            RunStep::Acting { .. } | RunStep::Settling { .. } | RunStep::Recovering { .. } => None,
        }
    }
}
