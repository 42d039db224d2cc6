//! Several services that break together are one incident to people. The watch whose
//! incident was there first leads: its thread names the others, and what they may have in
//! common. A watch that joins decides about its own deployment as ever, in its own thread,
//! and calls nobody while the lead is open. Whoever acknowledges one of them has acknowledged
//! all; a hold is about its own question. One that needs help stands apart from then on: it
//! has a key of its own at the pager, so that the end of the lead does not close it. Who has
//! acknowledged the lead is not taken to have that in hand.
//!
//! Only watches that tell the same people join (`notify` of both policies is equal): else
//! nobody would be called who has to be. The engine brings the events, see `engine::joins`.

use jiff::{SignedDuration, Timestamp};

use super::words::{clock, list};
use super::{Said, Watch};
use crate::model::{Acked, Companion, Incident, Lead, Mode, Reply, Tone, Turn};

/// What begins within this time of the lead's beginning may join it.
const TOGETHER: SignedDuration = SignedDuration::from_mins(5);
/// Deployments this far apart may have a cause in common.
const DEPLOYED_TOGETHER: SignedDuration = SignedDuration::from_hours(1);
/// Incidents that one leads, at most.
const MOST: usize = 10;

impl Watch {
    /// The lead that an incident of `other` would join at `now`, if this is one.
    pub fn leads(&self, other: &Watch, now: Timestamp) -> Option<Lead> {
        let incident = self.open_incident().filter(|incident| incident.with.is_none())?;
        let (ours, theirs) = (&self.deployment.service, &other.deployment.service);
        let fits = self.is_open()
            && ours.key != theirs.key
            && ours.environment == theirs.environment
            && self.policy().notify == other.policy().notify
            // Where nobody may act nobody is called, and both must be so.
            && (self.ceiling.mode == Mode::Observe) == (other.ceiling.mode == Mode::Observe)
            && now.duration_since(incident.opened_at) <= TOGETHER
            && self.hushed.is_none()
            // Whoever is called about the lead must still be called, and about its like.
            && self.is_in_breach()
            && incident.excused.is_none()
            && incident.acked.is_none()
            && incident.joins.len() < MOST;
        fits.then(|| Lead {
            watch: self.id.clone(),
            number: incident.number,
            title: self.title(),
            opened_at: incident.opened_at,
            acked: None,
        })
    }

    /// Whether the incident that `lead` means is open here.
    pub fn still_leads(&self, lead: &Lead) -> bool {
        let open = self.open_incident().is_some_and(|incident| incident.number == lead.number);
        self.is_open() && open && self.is_in_breach()
    }

    /// This watch's incident as its lead must know it.
    pub fn companion(&self) -> Option<Companion> {
        let incident = self.incident.as_ref()?;
        Some(Companion {
            watch: self.id.clone(),
            title: self.title(),
            severity: incident.severity,
            started_at: self.deployment.started_at,
            excused: incident.excused.clone(),
            calls: self.ceiling.mode != Mode::Observe
                && incident.excused.is_none()
                && self.hushed.is_none()
                && !incident.apart,
            over: !self.is_open() || incident.resolved_at.is_some(),
            acked: incident
                .acked
                .clone()
                .filter(|acked| !acked.by_hold && !acked.beside && !incident.apart),
        })
    }

    /// Whether people are called by another's incident.
    pub(super) fn is_led(&self) -> bool {
        self.open_incident().is_some_and(Incident::is_led)
    }

    /// The lead of the open incident.
    pub(super) fn lead(&self) -> Option<&Lead> {
        self.open_incident()?.with.as_ref()
    }

    /// Another service's incident has joined this one, or stands otherwise than before.
    pub(super) fn led(&mut self, companion: &Companion, now: Timestamp, said: &mut Said) {
        let Some(incident) = self.incident.as_mut().filter(|one| one.resolved_at.is_none()) else {
            return;
        };
        let (before, first) = (incident.called_at(), incident.joins.is_empty());
        let excused = incident.excused.is_some();
        let known = incident.joins.iter().find(|one| one.watch == companion.watch);
        let heard = known.and_then(|one| one.acked.clone());
        match incident.joins.iter_mut().find(|one| one.watch == companion.watch) {
            Some(known) => known.clone_from(companion),
            // How many may join is for `leads` to say; here none must be lost.
            None => incident.joins.push(companion.clone()),
        }
        if companion.calls && !companion.over {
            let worst =
                incident.raised.map_or(companion.severity, |known| known.min(companion.severity));
            incident.raised = Some(worst);
        }
        let worse = incident.called_at() < before;
        if worse {
            // What got worse nobody has seen.
            incident.acked = None;
        }
        let calls = companion.calls && (worse || self.escalation.is_none());
        let state = if companion.over { "is over" } else { "breaks too" };
        self.note(now, format!("{} {state} ({})", companion.title, companion.severity));
        if let Some(acked) = companion.acked.as_ref().filter(|one| heard.as_ref() != Some(one)) {
            self.acked_beside(acked, &companion.title, now, said);
        }
        if (first || worse) && !companion.over {
            // Nobody was called about what was not the lead's own doing.
            let page = companion.calls && (worse || excused) && !self.is_acknowledged();
            let reply = Reply { page, ..self.say_together(companion, worse) };
            self.reply(now, reply, said);
            if calls {
                self.alarm(true, now, said);
            }
        }
    }

    /// The acknowledgement of the lead that this watch has not heard of.
    pub fn unheard_ack(&self, lead: &Watch) -> Option<Acked> {
        let known = self.lead()?.acked.as_ref();
        let acked = lead.open_incident()?.acked.as_ref().filter(|acked| !acked.by_hold)?;
        (known != Some(acked)).then(|| acked.clone())
    }

    /// Whoever has the lead in hand has this with it.
    pub(super) fn lead_acked(&mut self, acked: &Acked, now: Timestamp, said: &mut Said) {
        let open = self.incident.as_mut().filter(|one| one.resolved_at.is_none());
        let Some(incident) = open else { return };
        let Some(lead) = incident.with.as_mut() else { return };
        lead.acked = Some(acked.clone());
        let title = lead.title.clone();
        if incident.is_led() {
            self.acked_beside(acked, &title, now, said);
        }
    }

    /// Somebody has acknowledged in the thread of another service what is one incident to
    /// people.
    fn acked_beside(&mut self, acked: &Acked, of: &str, now: Timestamp, said: &mut Said) {
        let open = self.incident.as_mut().filter(|one| one.resolved_at.is_none());
        let Some(incident) = open else { return };
        if incident.acked.as_ref().is_some_and(|known| !known.by_hold) {
            return;
        }
        incident.acked = Some(Acked { beside: true, ..acked.clone() });
        let by = acked.by.clone();
        self.note(now, format!("{by} acknowledged, in the thread of {of}"));
        self.pass_on(Turn::Acknowledged { by }, now, said);
    }

    /// The lead is over: what is still open calls people by itself, in the morning what
    /// waits for that. Who had the lead in hand is not known to have this.
    pub(super) fn lead_over(&mut self, now: Timestamp, said: &mut Said) {
        let open = self.is_open();
        let Some(incident) = self.incident.as_mut() else { return };
        let Some(lead) = incident.with.take() else { return };
        let apart = std::mem::take(&mut incident.apart);
        if incident.resolved_at.is_some() || !open {
            return;
        }
        let lapsed = incident.acked.take_if(|acked| acked.beside).is_some();
        // Whoever is called about it already is not called anew.
        let anew = !apart || lapsed;
        if anew {
            incident.alarmed = None;
            if let Some(escalation) = self.escalation.as_mut() {
                (escalation.since, escalation.called) = (now, 0);
            }
        }
        let calls = self.companion().is_some_and(|one| one.calls);
        let page = calls && anew && self.pending.is_some() && !self.is_acknowledged();
        let reply = Reply { page, ..self.say_alone(&lead) };
        if self.hushed.is_some() {
            self.note(now, reply.headline);
        } else {
            self.reply(now, reply, said);
        }
        if anew && self.is_in_breach() {
            self.alarm(calls, now, said);
        }
    }

    fn say_together(&self, companion: &Companion, worse: bool) -> Reply {
        let headline = if worse {
            format!("raised to {}: {} breaks too", companion.severity, companion.title)
        } else {
            format!("{} breaks too: one incident, told of here", companion.title)
        };
        let mut lines = vec![format!("deployments in question: {}", self.in_question())];
        lines.push(self.common_cause());
        lines.push("each deployment is decided about in its own thread".to_owned());
        let tone = if worse { Tone::Bad } else { Tone::Warn };
        Reply { lines, ..self.plain(tone, headline) }
    }

    pub(super) fn say_joined(&self, lead: &Lead) -> Reply {
        let since = clock(lead.opened_at);
        let headline = format!("part of the incident of {}, open since {since}", lead.title);
        let lines = vec![format!("people are called there: watch {}", lead.watch)];
        Reply { lines, broadcast: false, ..self.plain(Tone::Warn, headline) }
    }

    fn say_alone(&self, lead: &Lead) -> Reply {
        let headline =
            format!("the incident of {} is over, {} is still in breach", lead.title, self.title());
        self.plain(Tone::Bad, headline)
    }

    fn in_question(&self) -> String {
        let joins = self.incident.iter().flat_map(|incident| &incident.joins);
        let names = std::iter::once(self.title()).chain(joins.map(|one| one.title.clone()));
        named(names.collect())
    }

    /// What the services that break together may have in common, as far as anybody knows.
    pub(super) fn common_cause(&self) -> String {
        let Some(incident) = &self.incident else { return String::new() };
        let own = incident.excused.iter().map(|why| (self.title(), why.clone()));
        let joined =
            incident.joins.iter().filter_map(|one| Some((one.title.clone(), one.excused.clone()?)));
        let blamed: Vec<String> =
            own.chain(joined).map(|(title, why)| format!("{title}: {why}")).collect();
        if !blamed.is_empty() {
            return format!("suspected common cause: {}", blamed.join("; "));
        }
        let started = || {
            let own = std::iter::once(self.deployment.started_at);
            own.chain(incident.joins.iter().map(|one| one.started_at))
        };
        let apart = started().max().zip(started().min());
        let apart = apart.map(|(last, first)| last.duration_since(first)).unwrap_or_default();
        if apart > DEPLOYED_TOGETHER {
            return "suspected common cause: no common deployment is known".to_owned();
        }
        let minutes = (apart.as_secs() + 59) / 60;
        format!(
            "suspected common cause: deployed within {}m of each other: {}",
            minutes.max(1),
            self.in_question()
        )
    }

    /// The joined ones on the card.
    pub(super) fn joins_in_words(&self) -> Option<String> {
        let joins = &self.incident.as_ref()?.joins;
        let names: Vec<String> = joins
            .iter()
            .map(|one| {
                if one.over {
                    format!("{} (over)", one.title)
                } else {
                    format!("{} ({})", one.title, one.severity)
                }
            })
            .collect();
        (!names.is_empty()).then(|| format!("with {}; {}", named(names), self.common_cause()))
    }

    /// And for those that joined, the lead.
    pub(super) fn lead_in_words(&self) -> Option<String> {
        self.lead()
            .map(|lead| format!("part of the incident of {} (watch {})", lead.title, lead.watch))
    }
}

/// As many as are named, and how many there are beside them.
fn named(mut names: Vec<String>) -> String {
    let more = names.len().saturating_sub(MOST);
    names.truncate(MOST);
    names.extend((more > 0).then(|| format!("{more} more")));
    list(&names)
}
