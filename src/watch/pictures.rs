//! When charts and the report are shown in the thread: as an incident begins or gets
//! worse, and when it is over. What they show is made when they are delivered.

use jiff::Timestamp;

use super::{Said, Watch};
use crate::model::{Body, Severity, Verdict};

/// Charts of one message; the worst checks first.
const MOST_CHARTS: usize = 4;
/// Messages with files of one watch, its last word among them: one that flaps does not
/// fill the thread.
const MOST_MESSAGES: u32 = 4;

impl Watch {
    /// Behind the reply that tells of a new or worse incident.
    pub(super) fn show_breach(&mut self, now: Timestamp, said: &mut Said) {
        // The last one is kept for the end.
        if self.pictures + 1 < MOST_MESSAGES {
            self.show(false, now, said);
        }
    }

    /// Behind the reply that tells that the incident is over, `last` where the watch is too.
    pub(super) fn show_end(&mut self, last: bool, now: Timestamp, said: &mut Said) {
        let room = if last { MOST_MESSAGES } else { MOST_MESSAGES - 1 };
        if self.pictures < room && self.incident.is_some() {
            self.show(true, now, said);
        }
    }

    fn show(&mut self, report: bool, now: Timestamp, said: &mut Said) {
        let charts = self.charts_worth_showing();
        self.pictures = self.pictures.saturating_add(1);
        let notice = self.notice(now, Body::Files { charts, report });
        said.notices.push(notice);
    }

    /// The checks of the incident: those in breach now first, of these the worst, and the
    /// policy's order within.
    fn charts_worth_showing(&self) -> Vec<String> {
        let Some(incident) = &self.incident else { return Vec::new() };
        let rank = |name: &String| {
            let last = self.checks.get(name).and_then(|state| state.last.as_ref());
            let breach = last.filter(|last| last.verdict == Verdict::Breach);
            let severity = breach.map(|last| last.severity.unwrap_or(Severity::Sev3));
            let place = self.policy().checks.iter().position(|check| check.name == *name);
            (severity.is_none(), severity, place)
        };
        let mut names: Vec<String> = incident.checks.iter().cloned().collect();
        names.sort_by_key(rank);
        names.truncate(MOST_CHARTS);
        names
    }
}
