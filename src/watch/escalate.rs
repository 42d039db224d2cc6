//! Who is called about an incident, and when: rung by rung, until somebody has
//! acknowledged or it is over. Those who are reached elsewhere than in the thread get
//! every turn of the incident as a [`Signal`], so that what was opened there is closed.
//!
//! A pause stops what deployguard does, and not whom it calls: an incident that was open
//! before goes on climbing, and at the end of the watch whoever is left is called. What began
//! while the mode was observe calls nobody.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::{Illegal, Said, Watch};
use crate::model::{Acked, Body, Incident, Lead, Mode, Recipient, Reply, Severity, Signal, Turn};
use crate::policy::Rung;

/// The calls about one incident.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Escalation {
    /// Whose rungs are climbed.
    pub severity: Severity,
    /// The rungs' times count from here.
    pub since: Timestamp,
    /// Rungs that have been called.
    pub called: usize,
    /// Who was called elsewhere than in Slack.
    pub reached: BTreeSet<Recipient>,
}

impl Watch {
    /// An incident began, or got worse: `tell` hears of it, and where people are to act,
    /// the first rungs are called with the reply that says so.
    pub(super) fn alarm(&mut self, calls: bool, now: Timestamp, said: &mut Said) {
        let Some(incident) = self.incident.as_mut().filter(|one| one.resolved_at.is_none()) else {
            return;
        };
        let (severity, acked, again) =
            (incident.called_at(), incident.acked.is_some(), incident.returns > 0);
        // People are called by the incident that this one is part of.
        let calls = calls && !incident.is_led();
        let heard = incident.alarmed.is_some_and(|worst| worst <= severity);
        if again && heard && (!calls || self.escalation.is_some()) {
            return;
        }
        incident.alarmed = incident.alarmed.min(Some(severity)).or(Some(severity));
        if calls && self.escalation.as_ref().is_none_or(|one| severity < one.severity) {
            let reached = self.escalation.take().map(|one| one.reached).unwrap_or_default();
            self.escalation = Some(Escalation { severity, since: now, called: 0, reached });
        }
        let mut tell: BTreeSet<Recipient> = self.told_of_all().collect();
        if again && !acked {
            // What comes back is opened again where it was closed.
            tell.extend(self.escalation.iter().flat_map(|one| one.reached.iter().cloned()));
        }
        if !heard {
            self.signal(Turn::Opened, tell, now, said);
        }
        if said.last_reply().is_none() {
            return self.climb(now, said);
        }
        let due = self.rungs_due(now);
        self.call(&due, Turn::Opened, now, said);
        said.mention(slack_ids(&due));
    }

    /// The first rungs are called with the latest reply, where nobody was called before.
    pub(super) fn call_from_now(&mut self, calls: bool, now: Timestamp, said: &mut Said) {
        let alone = self.open_incident().filter(|incident| !incident.is_led());
        let severity = alone.map(Incident::called_at);
        let Some(severity) = severity.filter(|_| calls && self.escalation.is_none()) else {
            return;
        };
        let reached = BTreeSet::new();
        self.escalation = Some(Escalation { severity, since: now, called: 0, reached });
        let due = self.rungs_due(now);
        self.call(&due, Turn::Opened, now, said);
        said.mention(slack_ids(&due));
    }

    /// Calls the rungs whose time has come.
    pub(super) fn climb(&mut self, now: Timestamp, said: &mut Said) {
        let due = self.rungs_due(now);
        if due.is_empty() {
            return;
        }
        let mentions = slack_ids(&due);
        let reply = Reply { mentions, ..self.say_unacknowledged(now) };
        self.reply(now, reply, said);
        self.call(&due, Turn::Called, now, said);
    }

    /// When the next rung is called.
    pub(super) fn next_call_at(&self) -> Option<Timestamp> {
        let escalation = self.climbing()?;
        escalation.since.checked_add(self.rungs().get(escalation.called)?.after).ok()
    }

    /// Who is called then.
    pub(super) fn next_called(&self) -> Vec<Recipient> {
        let rung = self.climbing().and_then(|one| self.rungs().get(one.called));
        rung.map(|rung| rung.call.clone()).unwrap_or_default()
    }

    /// Somebody has it in hand: nobody else is called.
    pub(super) fn acknowledge(
        &mut self,
        by: &str,
        now: Timestamp,
        said: &mut Said,
    ) -> Result<(), Illegal> {
        if let Some(incident) = self.incident.as_mut().filter(|one| one.resolved_at.is_none()) {
            let first = incident.acked.is_none();
            incident.acked =
                Some(Acked { by: by.to_owned(), at: now, by_hold: false, beside: false });
            if first {
                self.pass_on(Turn::Acknowledged { by: by.to_owned() }, now, said);
            }
            return Ok(());
        }
        match &self.incident {
            _ if self.pending.is_some() => Ok(()),
            Some(Incident { resolved_at: Some(at), .. }) => Err(Illegal::because(format!(
                "the incident is over: resolved at {}",
                super::words::full(*at)
            ))),
            Some(_) | None => Err(Illegal::because("no incident is open, and no decision pending")),
        }
    }

    /// The hold is over, and nothing was decided: whoever held it has it in hand no longer,
    /// and people are called anew: each of them once.
    pub(super) fn call_again(&mut self, now: Timestamp, said: &mut Said) {
        if let Some(incident) = self.incident.as_mut()
            && incident.acked.as_ref().is_some_and(|acked| acked.by_hold)
        {
            incident.acked = None;
            if let Some(escalation) = self.escalation.as_mut() {
                (escalation.since, escalation.called) = (now, 0);
            }
        }
        let (apart, first) = self.stand_apart(now);
        let due = self.rungs_due(now);
        self.call_for_help(apart, &first, &due, now, said);
        self.call(&due, Turn::Called, now, said);
        said.mention(slack_ids(&due));
    }

    /// Calls the rungs whose time has come, with the latest reply.
    pub(super) fn call_due(&mut self, now: Timestamp, said: &mut Said) {
        let due = self.rungs_due(now);
        self.call(&due, Turn::Called, now, said);
        said.mention(slack_ids(&due));
    }

    /// What was acknowledged before something is asked is none of it: whether people are to
    /// be called anew.
    pub(super) fn forget_ack(&mut self, now: Timestamp) -> bool {
        let open = self.incident.as_mut().filter(|one| one.resolved_at.is_none());
        let forgot = open.and_then(|incident| incident.acked.take()).is_some();
        match self.escalation.as_mut().filter(|_| forgot) {
            Some(escalation) => {
                (escalation.since, escalation.called) = (now, 0);
                true
            }
            None => false,
        }
    }

    /// The hold is given up: the calls go on where they stood when it began.
    pub(super) fn unhold(&mut self, now: Timestamp) {
        let open = self.incident.as_mut().filter(|one| one.resolved_at.is_none());
        let held = open.and_then(|incident| incident.acked.take_if(|acked| acked.by_hold));
        if let (Some(held), Some(escalation)) = (held, self.escalation.as_mut()) {
            let stood = now.duration_since(held.at);
            escalation.since = escalation.since.checked_add(stood).unwrap_or(now);
        }
    }

    /// Whether somebody sees to the question that is open. An acknowledgement from before it
    /// was asked is none of it: it stops calls, and decides nothing.
    pub(super) fn is_in_hands(&self) -> bool {
        let held = self.pending.as_ref().is_some_and(|pending| pending.held);
        held || (self.pending.is_some() && self.is_acknowledged())
    }

    /// Whether somebody has acknowledged what is open now, and has not only asked for time.
    pub(super) fn is_acknowledged(&self) -> bool {
        let Some(incident) = self.open_incident() else { return false };
        let asked = self.pending.as_ref().map(|pending| pending.asked_at);
        let since = asked.unwrap_or_else(|| incident.spell_began());
        incident.acked.as_ref().is_some_and(|acked| !acked.by_hold && acked.at >= since)
    }

    /// A turn for everybody who has heard of the incident.
    pub(super) fn pass_on(&mut self, turn: Turn, now: Timestamp, said: &mut Said) {
        let to = self.hearers();
        self.signal(turn, to, now, said);
    }

    pub(super) fn hearers(&self) -> BTreeSet<Recipient> {
        let reached = self.escalation.iter().flat_map(|one| one.reached.iter().cloned());
        reached.chain(self.told_of_all()).collect()
    }

    /// A person has to act: whoever was called hears of it. What is part of another incident
    /// is called about by itself from now on, because the end of that one is not its end.
    pub(super) fn need_help(&mut self, now: Timestamp, said: &mut Said) {
        let (apart, first) = self.stand_apart(now);
        self.call_for_help(apart, &first, &[], now, said);
    }

    /// The watch is over, and its incident is not: nobody climbs any more, so whoever is left
    /// to be called is called now, unless somebody has it in hand.
    /// What was only `noted` calls none but the rungs of its severity.
    pub(super) fn leave_open(&mut self, noted: bool, now: Timestamp, said: &mut Said) {
        let (apart, mut last) = self.stand_apart(now);
        let acked = self.incident.as_ref().and_then(|incident| incident.acked.as_ref());
        if acked.is_none_or(|acked| acked.by_hold) {
            last.extend(self.take_rungs(SignedDuration::MAX));
        }
        let reply = self.say_ended_open(!last.is_empty(), noted);
        self.reply(now, reply, said);
        self.call_for_help(apart, &last, &[], now, said);
    }

    /// `called` are called with it; `but`: who is called in the same step all the same.
    fn call_for_help(
        &mut self,
        apart: bool,
        called: &[Recipient],
        but: &[Recipient],
        now: Timestamp,
        said: &mut Said,
    ) {
        self.reach(called);
        self.note_called(called, now);
        said.mention(slack_ids(called));
        let to = self.hearers().into_iter().filter(|to| !but.contains(to)).collect();
        self.signal(Turn::NeedsHelp, to, now, said);
        let acked = self.incident.as_ref().and_then(|incident| incident.acked.as_ref());
        let by = acked.filter(|acked| apart && !acked.by_hold).map(|acked| acked.by.clone());
        if let Some(by) = by {
            self.pass_on(Turn::Acknowledged { by }, now, said);
        }
    }

    /// Ends being called about by another's incident: whether it was. Nobody has heard of
    /// it by itself, and who has the lead in hand is not known to have this.
    pub(super) fn leave_lead(&mut self) -> bool {
        let open = self.incident.as_mut().filter(|one| one.resolved_at.is_none() && one.is_led());
        let Some(incident) = open else { return false };
        (incident.apart, incident.alarmed) = (true, None);
        incident.acked.take_if(|acked| acked.beside);
        true
    }

    /// The same, and the first rungs of its own.
    fn stand_apart(&mut self, now: Timestamp) -> (bool, Vec<Recipient>) {
        if !self.leave_lead() {
            return (false, Vec::new());
        }
        let Some(incident) = self.incident.as_mut() else { return (true, Vec::new()) };
        let severity = incident.called_at();
        incident.alarmed = Some(severity);
        if self.is_only_observed() || self.hushed.is_some() {
            return (true, Vec::new());
        }
        let reached = BTreeSet::new();
        self.escalation = Some(Escalation { severity, since: now, called: 0, reached });
        (true, self.take_rungs(SignedDuration::ZERO))
    }

    /// Whether nothing but watching was ever decided about the open incident. A pause
    /// that comes later stops acts, and no calls.
    fn is_only_observed(&self) -> bool {
        let began = self.open_incident().map(|incident| incident.opened_at);
        let acted = self.decided.iter().any(|one| !one.would && began <= Some(one.at));
        self.ceiling.mode == Mode::Observe && !acted
    }

    /// The incident is over for those who were called.
    pub(super) fn call_off(&mut self, now: Timestamp, said: &mut Said) {
        if let Some(opened_at) = self.incident.as_ref().map(|incident| incident.opened_at) {
            let lasted = SignedDuration::from_secs(now.duration_since(opened_at).as_secs());
            self.note(now, format!("the incident is over after {lasted:#}"));
            self.pass_on(Turn::Resolved, now, said);
        }
        self.escalation = None;
    }

    pub(super) fn open_incident(&self) -> Option<&Incident> {
        self.incident.as_ref().filter(|incident| incident.resolved_at.is_none())
    }

    fn climbing(&self) -> Option<&Escalation> {
        let unseen = self.open_incident().is_some_and(|incident| incident.acked.is_none());
        let unseen = unseen && self.is_in_breach();
        self.escalation.as_ref().filter(|_| unseen && self.is_open())
    }

    pub(super) fn has_no_rungs(&self) -> bool {
        self.rungs().is_empty()
    }

    fn rungs(&self) -> &[Rung] {
        let severity = self.escalation.as_ref().map(|one| one.severity);
        let ladder = severity.and_then(|one| self.policy().notify.escalate.get(&one));
        ladder.map(Vec::as_slice).unwrap_or_default()
    }

    /// Takes the next rungs, those of up to `after`, whoever has acknowledged.
    fn take_rungs(&mut self, after: SignedDuration) -> Vec<Recipient> {
        let called = self.escalation.as_ref().map_or(0, |one| one.called);
        let next = self.rungs().iter().skip(called).take_while(|rung| rung.after <= after);
        let next: Vec<Rung> = next.cloned().collect();
        if let Some(escalation) = self.escalation.as_mut() {
            escalation.called += next.len();
        }
        next.into_iter().flat_map(|rung| rung.call).collect()
    }

    /// Takes the rungs that are due.
    fn rungs_due(&mut self, now: Timestamp) -> Vec<Recipient> {
        let mut due = Vec::new();
        while self.next_call_at().is_some_and(|at| at <= now) {
            due.extend(self.next_called());
            if let Some(escalation) = self.escalation.as_mut() {
                escalation.called += 1;
            }
        }
        self.note_called(&due, now);
        due
    }

    /// Keeps who was called, for the report.
    fn note_called(&mut self, called: &[Recipient], now: Timestamp) {
        if !called.is_empty() {
            let names: Vec<String> = called.iter().map(ToString::to_string).collect();
            self.note(now, format!("called: {}", super::words::list(&names)));
        }
    }

    fn call(&mut self, due: &[Recipient], turn: Turn, now: Timestamp, said: &mut Said) {
        let to = self.reach(due);
        self.signal(turn, to, now, said);
    }

    /// Keeps who is called elsewhere than in Slack.
    fn reach(&mut self, called: &[Recipient]) -> BTreeSet<Recipient> {
        let elsewhere = |to: &&Recipient| match to {
            Recipient::Slack(_) => false,
            Recipient::PagerDuty(_)
            | Recipient::Webhook(_)
            | Recipient::Email(_)
            | Recipient::GitHub(_) => true,
        };
        let to: BTreeSet<Recipient> = called.iter().filter(elsewhere).cloned().collect();
        if let Some(escalation) = self.escalation.as_mut() {
            escalation.reached.extend(to.iter().cloned());
        }
        to
    }

    /// Whether the policy calls them, and does not only tell them.
    pub(super) fn calls(&self, who: &Recipient) -> bool {
        let rungs = self.policy().notify.escalate.values().flatten();
        rungs.flat_map(|rung| &rung.call).any(|called| called == who)
    }

    fn told_of_all(&self) -> impl Iterator<Item = Recipient> {
        self.policy().notify.tell.iter().cloned()
    }

    /// Whether a turn calls people once more who had it in hand, or may have taken it where
    /// nothing is heard of it. Keeps who has heard that somebody has.
    fn calls_anew(&mut self, turn: &Turn, to: &BTreeSet<Recipient>) -> bool {
        let goes_on = self.is_open();
        let Some(incident) = self.incident.as_mut() else { return false };
        let in_hand = incident.acked.as_ref().is_some_and(|acked| !acked.by_hold);
        match turn {
            Turn::Acknowledged { .. } => incident.calmed.extend(to.iter().cloned()),
            Turn::Resolved | Turn::Closed => incident.calmed.clear(),
            // At the end of the watch whoever has it in hand keeps it.
            Turn::NeedsHelp if goes_on || !in_hand => {
                incident.calmed.retain(|one| !to.contains(one));
                return true;
            }
            Turn::Opened | Turn::Called if !in_hand => {
                let before = incident.calmed.len();
                incident.calmed.retain(|one| !to.contains(one));
                return incident.calmed.len() < before;
            }
            Turn::Opened | Turn::Called | Turn::NeedsHelp | Turn::RolledBack { .. } => {}
        }
        false
    }

    /// Words as in the thread: those of the latest reply of this change, where there is one.
    pub(super) fn signal(
        &mut self,
        turn: Turn,
        to: BTreeSet<Recipient>,
        now: Timestamp,
        said: &mut Said,
    ) {
        let Some(incident) = self.incident.as_ref().filter(|_| !to.is_empty()) else { return };
        let of_its_own = match turn {
            Turn::Called | Turn::Acknowledged { .. } | Turn::Resolved | Turn::Closed => true,
            Turn::Opened | Turn::RolledBack { .. } | Turn::NeedsHelp => false,
        };
        // Elsewhere there is but the lead's incident, and it ends when that does.
        if incident.is_led() && of_its_own {
            return;
        }
        let anew = self.calls_anew(&turn, &to);
        let Some(incident) = self.incident.as_ref() else { return };
        let own = || format!("{}#{}", self.id, incident.number);
        let reply = said.last_reply();
        let signal = Signal {
            incident: incident
                .with
                .as_ref()
                .filter(|_| incident.is_led())
                .map_or_else(own, Lead::key),
            severity: incident.called_at(),
            opened_at: incident.opened_at,
            title: self.title(),
            headline: match (&turn, reply) {
                (Turn::Acknowledged { by }, _) => format!("{by} acknowledged {}", self.title()),
                (_, Some(reply)) => reply.headline.clone(),
                (Turn::Resolved, None) => format!("{} is back to normal by itself", self.title()),
                (_, None) => format!("{}: {}", self.title(), self.status_line()),
            },
            fields: self.told_fields(reply),
            evidence: incident.evidence.clone(),
            deployment: Box::new(self.deployment.clone()),
            policy: self.policy().name.clone(),
            turn,
            anew,
        };
        let body = Body::Signal { to: to.into_iter().collect(), signal: Box::new(signal) };
        let notice = self.notice(now, body);
        said.notices.push(notice);
    }
}

impl Said {
    /// What was said until here is no word of the incident's.
    pub(super) fn goes_on_about_the_incident(&mut self) {
        self.own_from = self.notices.len();
    }

    /// The latest reply of the incident's.
    fn last_reply(&self) -> Option<&Reply> {
        self.notices.iter().skip(self.own_from).rev().find_map(|notice| match &notice.body {
            Body::Reply(reply) => Some(reply),
            Body::Card(_) | Body::Signal { .. } | Body::Files { .. } | Body::GitHub(_) => None,
        })
    }

    /// What was said from `first` on calls nobody.
    pub(super) fn call_nobody(&mut self, first: usize) {
        for notice in self.notices.iter_mut().skip(first) {
            if let Body::Reply(reply) = &mut notice.body {
                (reply.page, reply.broadcast) = (false, false);
                reply.mentions.clear();
            }
        }
    }

    /// The latest reply of the incident's mentions them too.
    fn mention(&mut self, ids: Vec<String>) {
        let own = self.notices.iter_mut().skip(self.own_from);
        let latest = own.rev().find_map(|notice| match &mut notice.body {
            Body::Reply(reply) => Some(reply),
            Body::Card(_) | Body::Signal { .. } | Body::Files { .. } | Body::GitHub(_) => None,
        });
        if let Some(reply) = latest {
            reply.mentions.extend(ids);
        }
    }
}

fn slack_ids(recipients: &[Recipient]) -> Vec<String> {
    let ids = recipients.iter().filter_map(|to| match to {
        Recipient::Slack(id) => Some(id.clone()),
        Recipient::PagerDuty(_)
        | Recipient::Webhook(_)
        | Recipient::Email(_)
        | Recipient::GitHub(_) => None,
    });
    ids.collect()
}
