//! Quiet hours: a SEV3 that comes in them only edits the card, and at their end people hear
//! in one reply what is left of it. What asks, rolls back or calls for help is said at once.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Answer, Said, Stage, Watch};
use crate::model::Severity;

/// What was not said in quiet hours.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hushed {
    /// The first of it.
    pub since: Timestamp,
    /// When people are told.
    pub until: Timestamp,
    /// How many times something was not said.
    pub times: u32,
}

impl Watch {
    /// Whether the decision that was made last waits for the end of the quiet hours.
    pub(super) fn hush(&mut self, severity: Severity, loud: bool, now: Timestamp) -> bool {
        let hours = self.policy().notify.quiet.get(&severity).filter(|_| !loud);
        let Some(until) = hours.and_then(|hours| hours.end_of(now)) else {
            // What is said now leaves nothing to be said later.
            self.hushed = None;
            return false;
        };
        let hushed = self.hushed.get_or_insert(Hushed { since: now, until, times: 0 });
        hushed.times = hushed.times.saturating_add(1);
        self.note(now, format!("quiet hours until {}", super::words::full(until)));
        true
    }

    /// The quiet hours are over: what is still so is said, and what came and went too.
    pub(super) fn end_quiet(&mut self, now: Timestamp, said: &mut Said) {
        let Some(hushed) = self.hushed.take_if(|hushed| now >= hushed.until) else { return };
        match &self.stage {
            Stage::Starting | Stage::Watching => {}
            // A rollback says more, and says it by itself.
            Stage::Announced { .. } | Stage::RollingBack(_) | Stage::Ended { .. } => return,
        }
        if !self.is_in_breach() {
            let reply = self.say_came_and_went(&hushed);
            return self.reply(now, reply, said);
        }
        let severity = self.incident.as_ref().map_or(Severity::Sev3, |incident| incident.severity);
        // Said now, it is no news when it comes back.
        self.is_worth_saying(severity);
        let answer = self.decided.last().map(|decided| (decided.answer, decided.would));
        let excused = self.incident.as_ref().and_then(|incident| incident.excused.clone());
        let reply = match (answer, excused) {
            (Some((Answer::NotOurs, _)), Some(because)) => self.say_not_ours(&because),
            (Some((_, true)), _) => self.say_would(),
            (Some(_) | None, _) => self.say_noted(),
        };
        let calls = matches!(answer, Some((Answer::Note, false)));
        self.reply(now, reply, said);
        self.call_from_now(calls, now, said);
    }
}
