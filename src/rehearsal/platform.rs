//! A platform that does as it is told: what a look at it would show.

use jiff::{SignedDuration, Timestamp};

use crate::model::{
    ActFailure, Acted, Controller, Deployment, PlatformDeployment, Revision, RollOut, Route,
    ServiceKey, Sighting,
};

/// How the platform behaves. Times count from the start of a roll-out.
#[derive(Debug, Clone)]
pub struct Platform {
    /// Until the first new task is in service.
    pub in_service_after: SignedDuration,
    /// Until the roll-out is complete.
    pub complete_after: SignedDuration,
    /// Whether the roll-out then fails, and why in the platform's words.
    pub fails: Option<String>,
    /// Until its tasks are gone, one and all; `None`: they stay.
    pub tasks_gone_after: Option<SignedDuration>,
    /// What it says to a rollback.
    pub answer: Answer,
    /// From an accepted rollback until the target is in place.
    pub back_after: SignedDuration,
    /// Why the target can't be placed; `None`: it can.
    pub obstacle: Option<String>,
}

/// What the platform says to a rollback.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    Accept,
    Fail(ActFailure),
}

impl Default for Platform {
    /// All at once, and willing.
    fn default() -> Self {
        Self {
            in_service_after: SignedDuration::ZERO,
            complete_after: SignedDuration::ZERO,
            fails: None,
            tasks_gone_after: None,
            answer: Answer::Accept,
            back_after: SignedDuration::from_mins(2),
            obstacle: None,
        }
    }
}

/// Tasks of a made-up service.
const TASKS: u32 = 3;
/// Looks at a service whose tasks are gone, and how far apart: news of it grow old.
const LOOKS_AT_GONE: i32 = 60;
const LOOKS_APART: SignedDuration = SignedDuration::from_mins(1);

impl Platform {
    /// What looks at the roll-out of `deployment` show, and when.
    pub(super) fn roll_out(&self, deployment: &Deployment) -> Vec<(Timestamp, Sighting)> {
        let (Some(id), Some(new)) = (&deployment.platform_id, &deployment.revision) else {
            return Vec::new();
        };
        let (key, old, began) =
            (&deployment.service.key, deployment.source.as_ref(), deployment.started_at);
        let complete_after = self.complete_after.max(self.in_service_after);
        let looks = [
            (SignedDuration::ZERO, RollOut::InProgress, 0),
            (self.in_service_after, RollOut::InProgress, 1),
            (complete_after, RollOut::Completed, TASKS),
        ];
        let rolls = looks.len();
        let shown = looks.into_iter().enumerate().filter(|(index, (after, ..))| {
            // What happens at one moment is seen as one.
            looks.iter().take(rolls).skip(index + 1).all(|(later, ..)| later != after)
        });
        shown
            .map(|(_, shown)| shown)
            .chain(self.looks_at_gone(complete_after))
            .filter_map(|(after, roll_out, running)| {
                let at = began.checked_add(after).ok()?;
                let failed = self.fails.as_ref().filter(|_| roll_out == RollOut::Completed);
                let roll_out = if failed.is_some() { RollOut::Failed } else { roll_out };
                let mut sighting = look(key, at, id, new, began, roll_out, running);
                sighting.primary.reason = failed.cloned();
                if roll_out != RollOut::Completed {
                    sighting.others.extend(old.map(|old| draining(old, began)));
                }
                Some((at, sighting))
            })
            .collect()
    }

    /// What is seen of tasks that are gone.
    fn looks_at_gone(
        &self,
        complete_after: SignedDuration,
    ) -> impl Iterator<Item = (SignedDuration, RollOut, u32)> {
        self.tasks_gone_after.into_iter().flat_map(move |after| {
            (0..LOOKS_AT_GONE).filter_map(move |look| {
                let at = after.checked_add(LOOKS_APART.checked_mul(look)?)?;
                let rolling = at < complete_after;
                Some((at, if rolling { RollOut::InProgress } else { RollOut::Completed }, 0))
            })
        })
    }

    /// What the platform says to a rollback at `now`, and what looks show after that.
    pub(super) fn roll_back(
        &self,
        key: &ServiceKey,
        target: &Revision,
        now: Timestamp,
    ) -> (Result<Acted, ActFailure>, Vec<(Timestamp, Sighting)>) {
        match &self.answer {
            Answer::Fail(failure) => (Err(failure.clone()), Vec::new()),
            Answer::Accept => {
                let id = "rehearsed/back";
                let acted =
                    Acted { deployment: Some(id.to_owned()), ..Acted::by(Route::UpdateService) };
                let looks = [
                    (SignedDuration::ZERO, RollOut::InProgress),
                    (self.back_after, RollOut::Completed),
                ];
                let shown = looks.into_iter().filter_map(|(after, roll_out)| {
                    let at = now.checked_add(after).ok()?;
                    Some((at, look(key, at, id, target, now, roll_out, TASKS)))
                });
                (Ok(acted), shown.collect())
            }
        }
    }
}

fn look(
    key: &ServiceKey,
    at: Timestamp,
    id: &str,
    revision: &Revision,
    created_at: Timestamp,
    roll_out: RollOut,
    running: u32,
) -> Sighting {
    Sighting {
        service: key.clone(),
        at,
        controller: Controller::Ecs,
        primary: PlatformDeployment {
            id: id.to_owned(),
            revision: revision.clone(),
            created_at,
            roll_out,
            reason: None,
            weight: None,
            desired: TASKS,
            running,
            failed: 0,
        },
        others: Vec::new(),
        in_flight: None,
        native_rollback: None,
        coming: None,
        source: None,
    }
}

fn draining(old: &Revision, created_at: Timestamp) -> PlatformDeployment {
    PlatformDeployment {
        id: "rehearsed/before".to_owned(),
        revision: old.clone(),
        created_at,
        roll_out: RollOut::Completed,
        reason: None,
        weight: None,
        desired: TASKS,
        running: TASKS,
        failed: 0,
    }
}
