//! Task health: the checks that ask the platform about tasks, and what they found.
//!
//! They, and those of health endpoints (`watch::before`), are measured from the moment the roll-out is seen, before a first task is in service
//! and without grace: a task that dies at its start is all there may ever be to see. What is
//! asked about is the deployment in place, so that recovery after a rollback is measured on
//! the tasks that came back. The stops behind a breach stay known when the platform has
//! forgotten them.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::{LogExcerpt, Said, Stage, Watch};
use crate::model::TaskStop;
use crate::policy::{Check, Vars};

/// The topic under which a log is told of.
const LOG: &str = "the log of a task";
/// Lines that tell of stops.
const MOST_LINES: usize = 4;

impl Watch {
    /// The variables of the watch's questions.
    pub fn vars(&self) -> Vars {
        let vars =
            Vars::of(&self.deployment).in_place(self.in_service_at, self.target_in_place_at());
        match (&self.stage, &self.sighting) {
            (Stage::RollingBack(_), Some(seen)) => {
                let primary = &seen.primary;
                vars.with_tasks_of(&primary.id, &primary.revision.name)
            }
            (
                Stage::Announced { .. }
                | Stage::Starting
                | Stage::Watching
                | Stage::RollingBack(_)
                | Stage::Ended { .. },
                _,
            ) => vars,
        }
    }

    /// Whether `check` can be measured now: without a task in service only the tasks, and
    /// the health of what runs still.
    pub fn measures(&self, check: &Check) -> bool {
        check.is_of_tasks() || check.is_of_health() || !matches!(self.stage, Stage::Starting)
    }

    pub(super) fn begin_looking_at_tasks(&mut self, now: Timestamp) {
        let early = |check: &Check| check.is_of_tasks() || check.is_of_health();
        if self.policy().checks.iter().any(early) {
            self.schedule_first_tick(now);
        }
    }

    /// What came to harm of the judged deployment. What the one put back suffers is counted
    /// by its check alone.
    pub(super) fn note_stops(&mut self, stops: &BTreeSet<TaskStop>) {
        let judged = matches!(self.stage, Stage::Starting | Stage::Watching);
        if judged && !stops.is_empty() {
            self.stops.clone_from(stops);
        }
    }

    /// The stop whose log is wanted: the latest of an open incident of tasks that ran, once a
    /// watch, and only where the policy shows logs at all. Nothing waits for it.
    pub(super) fn log_wanted(&self) -> Option<&TaskStop> {
        let wanted = self.policy().notify.logs
            && self.has_open_incident()
            && self.is_of_tasks()
            && !self.told.contains(LOG);
        self.stops.iter().rev().find(|stop| wanted && stop.kind.has_run())
    }

    pub(super) fn log_read(
        &mut self,
        task: &str,
        lines: &Result<Vec<String>, String>,
        now: Timestamp,
        said: &mut Said,
    ) {
        self.log = Some(LogExcerpt {
            task: task.to_owned(),
            lines: lines.clone().unwrap_or_default(),
            unread: lines.clone().err(),
        });
        self.reply_once(LOG, now, |watch| watch.say_log(task, lines), said);
    }

    /// Whether a check of tasks is in the incident.
    fn is_of_tasks(&self) -> bool {
        let of_tasks = |name: &String| self.policy().check(name).is_some_and(Check::is_of_tasks);
        self.incident.as_ref().is_some_and(|one| one.checks.iter().any(of_tasks))
    }

    /// The reasons behind an incident of tasks.
    pub(super) fn stops_in_words(&self) -> Vec<String> {
        if !self.is_of_tasks() {
            return Vec::new();
        }
        let stops: Vec<TaskStop> = self.stops.iter().cloned().collect();
        TaskStop::in_words(&stops, MOST_LINES)
    }
}
