//! What the guard says in a deployment's thread about people: who has not answered, who
//! holds, who could not be told.

use jiff::{SignedDuration, Timestamp};

use super::words::{clock, full, list};
use super::{Stage, Watch};
use crate::model::{Command, Offer, Recipient, Reply, Tone};
use crate::policy::OnTimeout;

impl Watch {
    pub(super) fn say_nobody_answered(&self, now: Timestamp) -> Reply {
        let headline = format!("{}: nobody has decided about {}", self.severity(), self.title());
        let resolution = match self.target() {
            Some(_) => {
                format!("waiting for a person; proposed: back to {}", self.target_in_words())
            }
            None => "waiting for a person".to_owned(),
        };
        let mut reply = self.incident_reply(Tone::Bad, headline, &resolution, "not known");
        reply.lines.extend(self.command_in_words());
        Reply { page: true, offers: self.offers_to_decide(now), ..reply }
    }

    /// How a person rolls it back without a button, while it may be.
    pub(super) fn command_in_words(&self) -> Option<String> {
        self.may_be_rolled_back().ok()?;
        Some(format!("to roll back: deployguard rollback {}", self.id))
    }

    /// What a person can press who is called.
    pub(super) fn offers_to_decide(&self, now: Timestamp) -> Vec<Offer> {
        let mut offers = self.offers(now);
        offers.retain(|offer| offer.command != Command::Cancel);
        offers
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
        // Who is only told is nobody's reason to be woken; who is called is.
        let page = self.needs_somebody() && self.calls(to);
        let lines = vec![line.to_owned()];
        Reply { lines, page, ..self.plain(Tone::Bad, headline) }
    }

    /// The fields for those who don't see the thread: the reply's, or how it stands, with
    /// what comes next.
    pub(super) fn told_fields(&self, reply: Option<&Reply>) -> Vec<(String, String)> {
        let own = reply.map(|reply| reply.fields.clone()).filter(|fields| !fields.is_empty());
        let mut fields = own.unwrap_or_else(|| match &self.pending {
            Some(pending) => {
                let eta = pending.until.map(|until| format!("decision due {}", full(until)));
                let proposed = format!("proposed: back to {}", self.target_in_words());
                self.template(&proposed, eta.as_deref().unwrap_or("not known"))
            }
            None => self.template(&self.status_line(), "not known"),
        });
        if self.has_open_incident() {
            let next = match &self.stage {
                Stage::Watching => self.next_step(),
                Stage::Announced { .. }
                | Stage::Starting
                | Stage::RollingBack(_)
                | Stage::Ended { .. } => self.status_line(),
            };
            fields.push(("What happens next".to_owned(), next));
        }
        fields
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
        // Whoever is called now has read nothing of it yet.
        let broke = self.evidence().first().cloned();
        let lines = broke.into_iter().chain(self.command_in_words()).chain(next).collect();
        Reply { lines, offers: self.offers_to_decide(now), ..self.plain(Tone::Bad, headline) }
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
