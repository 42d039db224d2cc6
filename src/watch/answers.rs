//! What the guard says in a deployment's thread about people: who has not answered, who
//! holds, who could not be told.

use jiff::{SignedDuration, Timestamp};

use super::Watch;
use super::words::{clock, full, list};
use crate::model::{Recipient, Reply, Tone};
use crate::policy::OnTimeout;

impl Watch {
    pub(super) fn say_nobody_answered(&self) -> Reply {
        let headline = format!("{}: nobody has decided about {}", self.severity(), self.title());
        let reply = self.incident_reply(Tone::Bad, headline, "waiting for a person", "not known");
        Reply { page: true, ..reply }
    }

    /// A rollback was announced for `when`, and does not come.
    pub(super) fn say_not_rolled_back(&self, when: Timestamp, because: &str) -> Reply {
        let (when, severity) = (clock(when), self.severity());
        let title = self.title();
        let headline = format!(
            "{severity}: nobody has decided about {title}; it is not rolled back at {when}"
        );
        let mut reply =
            self.incident_reply(Tone::Bad, headline, "a person has to decide", "not known");
        reply.lines.push(format!("not rolled back because {because}"));
        Reply { page: true, ..reply }
    }

    /// Who was to be called elsewhere, and has not heard of it.
    pub(super) fn say_untold(&self, to: &Recipient, because: &str, given_up: bool) -> Reply {
        let who = to.in_words();
        let (headline, line) = if given_up {
            (format!("{who} could not be told: {because}"), "It is not tried again.")
        } else {
            (format!("{who} could not be told yet: {because}"), "It is tried on.")
        };
        let (lines, page) = (vec![line.to_owned()], self.needs_somebody());
        Reply { lines, page, ..self.plain(Tone::Bad, headline) }
    }

    pub(super) fn say_unacknowledged(&self, now: Timestamp) -> Reply {
        let open = self.open_incident().map(|incident| now.duration_since(incident.opened_at));
        let for_ = open.map(|open| format!(" for {:#}", SignedDuration::from_secs(open.as_secs())));
        let headline = format!(
            "{}: nobody has acknowledged {}{}",
            self.severity(),
            self.title(),
            for_.unwrap_or_default()
        );
        let next = self.next_call_at().map(|at| {
            let names: Vec<String> = self.next_called().iter().map(ToString::to_string).collect();
            format!("unless somebody does, {} is called at {}", list(&names), clock(at))
        });
        Reply { lines: next.into_iter().collect(), ..self.plain(Tone::Bad, headline) }
    }

    pub(super) fn say_held(&self, by: &str, reason: &str) -> Reply {
        let until = self.pending.as_ref().and_then(|pending| pending.until);
        let until = until.map(full).unwrap_or_default();
        let headline = format!("{by} holds the decision until {until}{reason}");
        let then = match self.pending.as_ref().map(|pending| self.unanswered(pending)) {
            Some(OnTimeout::Rollback) => "it is rolled back then, unless a fix is in place",
            Some(OnTimeout::Escalate) | None => "people are paged again then",
        };
        Reply {
            lines: vec![format!("a fix is on the way; {then}")],
            ..self.plain(Tone::Warn, headline)
        }
    }

    pub(super) fn say_resumed(&self, by: &str, reason: &str) -> Reply {
        let until = self.pending.as_ref().and_then(|pending| pending.until);
        let until = until.map(full).unwrap_or_default();
        self.plain(Tone::Warn, format!("{by} holds the decision no longer; due {until}{reason}"))
    }
}
