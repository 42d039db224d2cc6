//! Who could not be told of an incident: the other channel hears of it, once an incident,
//! and after the end of the watch too, because then nobody else would.

use jiff::Timestamp;

use super::{Event, Said, Watch};
use crate::model::{Body, Outcome, Recipient, Turn};

impl Watch {
    /// Whether this is something that could not be told and that another channel has not
    /// heard of.
    pub fn has_not_heard(&self, event: &Event) -> bool {
        match event {
            Event::Untold { to, given_up, .. } => {
                let concerns = self.is_open() || self.incident.is_some();
                concerns && !self.knows_untold(to, *given_up)
            }
            // While it is watched, whoever is called elsewhere hears every turn by themselves.
            Event::Unposted { .. } => {
                !self.is_open()
                    && self.needs_somebody()
                    && !self.told.contains(&self.unposted_topic())
            }
            Event::Opened { .. }
            | Event::Announced(_)
            | Event::Bound { .. }
            | Event::Sighted(_)
            | Event::Superseded { .. }
            | Event::Inspected { .. }
            | Event::Sampled(_)
            | Event::BaselineMeasured(_)
            | Event::LogRead { .. }
            | Event::Woke
            | Event::CeilingChanged(_)
            | Event::Pressed(_)
            | Event::Joined(_)
            | Event::Leads(_)
            | Event::LeadAcked(_)
            | Event::LeadOver
            | Event::SourceTold { .. }
            | Event::SourceUntold
            | Event::Alerted(_)
            | Event::WentThrough(_)
            | Event::Acted(_)
            | Event::MaintenanceLeft(_)
            | Event::Shifted { .. } => false,
        }
    }

    /// Somebody was to be called elsewhere and could not be: the thread hears of it, once an
    /// incident.
    pub(super) fn untold(
        &mut self,
        to: &Recipient,
        because: &str,
        given_up: bool,
        now: Timestamp,
        said: &mut Said,
    ) {
        let topic = self.untold_topic(to, given_up);
        self.reply_once(&topic, now, |watch| watch.say_untold(to, because, given_up), said);
    }

    /// People were to be paged in the thread and could not be: whoever was called elsewhere
    /// hears of it, once an incident.
    pub(super) fn unposted(&mut self, because: &str, now: Timestamp, said: &mut Said) {
        if !self.told.insert(self.unposted_topic()) {
            return;
        }
        let headline =
            format!("{}: the thread in Slack could not be told: {because}", self.title());
        self.note(now, headline.clone());
        let first = said.notices.len();
        self.pass_on(Turn::NeedsHelp, now, said);
        for notice in said.notices.iter_mut().skip(first) {
            if let Body::Signal { signal, .. } = &mut notice.body {
                signal.headline.clone_from(&headline);
                signal.fields = self.template(&self.status_line(), "not known");
            }
        }
    }

    /// Whether the thread has heard of that.
    pub fn knows_untold(&self, to: &Recipient, given_up: bool) -> bool {
        self.told.contains(&self.untold_topic(to, given_up))
            || self.told.contains(&self.untold_topic(to, true))
    }

    /// Whether an incident is open that nobody else sees to.
    pub fn needs_somebody(&self) -> bool {
        let ended = matches!(self.outcome(), Some(Outcome::Superseded | Outcome::Cancelled));
        let seen_to = ended || self.succeeded_by.is_some();
        self.has_open_incident() && !seen_to
    }

    fn untold_topic(&self, to: &Recipient, given_up: bool) -> String {
        let how = if given_up { "given up" } else { "late" };
        format!("untold {to} #{} {how}", self.incident_number())
    }

    fn unposted_topic(&self) -> String {
        format!("unposted #{}", self.incident_number())
    }

    fn incident_number(&self) -> u32 {
        self.incident.as_ref().map_or(0, |incident| incident.number)
    }
}
