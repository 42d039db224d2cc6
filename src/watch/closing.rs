//! The end of a watch whose incident is still open: whether a person has to see to it, or
//! those who have heard of it only hear that nobody watches it any more.

use jiff::Timestamp;

use super::{Answer, Decided, Said, Stage, Watch};
use crate::model::{Body, Mode, Outcome, Recipient, Reply, Tone, Turn};

impl Watch {
    /// Whether nobody is asked, and no rollback is missing: what is open was only noted, or
    /// only observed, or is not the deployment's doing.
    pub fn is_only_noted(&self) -> bool {
        let noted = |decided: &Decided| match decided.answer {
            Answer::Note | Answer::NotOurs => true,
            Answer::RollBack | Answer::Ask | Answer::Page => decided.would,
        };
        let acts = self.pending.is_some() || self.rollback_accepted;
        !acts && self.rollback_spent.is_none() && self.decided.last().is_some_and(noted)
    }

    /// What is open as the watch ends. `noted`: as [`Watch::is_only_noted`] had it.
    pub(super) fn end_open(&mut self, noted: bool, now: Timestamp, said: &mut Said) {
        if self.needs_somebody() && !(noted && self.has_no_rungs()) {
            // Somebody has to see to it: a pager keeps it.
            self.leave_open(noted, now, said);
            self.close_at(|to| matches!(to, Recipient::Webhook(_)), now, said);
        } else {
            let reply = self.say_ended_open(false, noted);
            self.reply_after_quiet(reply, now, said);
            self.note(now, "nobody watches the incident any more");
            self.close_at(|_| true, now, said);
            self.escalation = None;
        }
    }

    /// Says in the thread what no person has to act on: in quiet hours at their end, which the
    /// watch need not live to see.
    pub(super) fn reply_after_quiet(&mut self, reply: Reply, now: Timestamp, said: &mut Said) {
        self.note(now, reply.headline.clone());
        let notice = self.notice(self.quiet_until(now), Body::Reply(reply));
        said.notices.push(notice);
    }

    /// `now`, or the end of the quiet hours that something waits for.
    pub(super) fn quiet_until(&self, now: Timestamp) -> Timestamp {
        self.hushed.as_ref().map_or(now, |hushed| hushed.until.max(now))
    }

    /// How the watch ended over an open incident. `calls`: people are called who were not
    /// yet. `noted`: nobody has to act on it.
    pub(super) fn say_ended_open(&self, calls: bool, noted: bool) -> Reply {
        let headline = format!("{}: {}", self.title(), self.status_line());
        let nobody = self.ceiling.mode == Mode::Observe && self.escalation.is_none();
        let page = self.needs_somebody() && !noted && self.hushed.is_none() && !nobody;
        let resolution = match &self.stage {
            Stage::Ended { .. } if calls => "open: the watch is over; nobody has acknowledged, so \
                 whoever is left to be called is called now"
                .to_owned(),
            Stage::Announced { .. }
            | Stage::Starting
            | Stage::Watching
            | Stage::RollingBack(_)
            | Stage::Ended { .. } => self.left_open_in_words(noted),
        };
        let reply = self.incident_reply(Tone::Warn, headline, &resolution, "not known");
        Reply { page, broadcast: false, ..reply }
    }

    /// What becomes of an incident that was open at the end.
    pub(super) fn left_open_in_words(&self, noted: bool) -> String {
        let Stage::Ended { outcome, because, .. } = &self.stage else {
            return if noted { "open, and calls nobody" } else { "open" }.to_owned();
        };
        let incident = self.incident.as_ref();
        match outcome {
            Outcome::Cancelled => format!("not resolved: the watch was {because}"),
            Outcome::Superseded => format!(
                "not resolved: {because}; what is measured from now on is judged as that \
                 deployment's"
            ),
            Outcome::RolledBack if self.succeeded_by.is_some() => {
                format!(
                    "not seen resolved: {because}; what is measured from now on is judged as that \
                     deployment's"
                )
            }
            Outcome::Passed
            | Outcome::RolledBack
            | Outcome::RollbackFailed
            | Outcome::Breached
            | Outcome::Inconclusive
                if noted =>
            {
                let why = match incident.map(|one| (one.called_at(), &one.excused)) {
                    Some((_, Some(_))) => "it is not this deployment's doing".to_owned(),
                    Some(_) if self.ceiling.mode == Mode::Observe => "mode observe".to_owned(),
                    Some((severity, None)) => format!("{severity} only notes"),
                    None => "nothing is open".to_owned(),
                };
                format!("not resolved: the watch is over; {why}, and calls nobody")
            }
            Outcome::Passed
            | Outcome::RolledBack
            | Outcome::RollbackFailed
            | Outcome::Breached
            | Outcome::Inconclusive => "not resolved: open when the watch ended".to_owned(),
        }
    }

    /// The end of it for those who have heard of it, as far as `whom` goes.
    fn close_at(&mut self, whom: fn(&Recipient) -> bool, now: Timestamp, said: &mut Said) {
        let to = self.hearers().into_iter().filter(whom).collect();
        self.signal(Turn::Closed, to, now, said);
    }
}
