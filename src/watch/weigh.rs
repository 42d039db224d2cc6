//! The incident: opened, widened, calmed down, resolved, and the same one again where it
//! comes back soon.
//!
//! One that comes back is the same incident: its number, its pager's key and whoever has
//! acknowledged it stay. What is *decided* does not know of that: each spell is answered
//! as a new incident would be. What is *said* does: a spell that brings no news edits the
//! card, and to be resolved again it must have been well for twice as long each time.

use jiff::{SignedDuration, Timestamp};

use super::sampling::Breaches;
use super::words::clock;
use super::{Answer, Said, Stage, Watch};
use crate::judge::Blame;
use crate::model::{Incident, IncidentStatus, Severity, Turn};
use crate::policy::Check;

/// What comes back within this time of being resolved is the same incident, and for as long
/// nobody says that it is over.
const SOON: SignedDuration = SignedDuration::from_mins(30);
/// The longest that an incident which came back must be well to be resolved, unless two
/// windows are longer.
const LONGEST_CALM: SignedDuration = SignedDuration::from_mins(30);

impl Watch {
    /// Opens, widens or resolves the incident, and decides where it got worse.
    pub(super) fn weigh(&mut self, now: Timestamp, said: &mut Said) {
        let Some(breaches) = self.breaches() else { return self.calm_down(now, said) };
        let severity = breaches.severity;
        let ours = breaches.blame.is_ours();
        let spell = self.incident.as_ref().filter(|_| self.is_in_breach());
        let turned = spell.is_some_and(|incident| incident.excused.is_some()) && ours;
        let worse = turned || spell.is_none_or(|incident| severity < incident.severity);
        let begins = spell.is_none();
        self.take_breaches(breaches, turned, now);
        let waits_anew =
            self.pending.as_ref().is_none_or(|p| p.because == super::undo::NOT_IN_TIME);
        if !worse && waits_anew {
            self.reconsider(now, said);
        }
        if worse && !(turned && self.is_in_hands()) {
            let evidence = self.measured_evidence();
            let again = self.again_in_words().filter(|_| begins);
            let again = again.map(|again| format!("{again}: ")).unwrap_or_default();
            self.note(now, format!("{again}assessed as {severity}: {}", evidence.join("; ")));
            if let Some(incident) = self.incident.as_mut() {
                incident.evidence = evidence;
            }
            self.respond(severity, now, said);
        }
    }

    fn take_breaches(&mut self, breaches: Breaches, turned: bool, now: Timestamp) {
        let Breaches { severity, blame, checks } = breaches;
        let excused = (!blame.is_ours()).then(|| blame.in_words());
        // What began before can't be helped by waiting; the others may turn out otherwise.
        let shared = matches!(
            blame,
            Blame::Shared { .. } | Blame::Dependency { .. } | Blame::Another { .. }
        );
        let in_breach = self.is_in_breach();
        let again = !in_breach && self.is_the_same_again(now);
        match self.incident.as_mut() {
            Some(incident) if in_breach => {
                // What got worse nobody has seen.
                if turned || severity < incident.severity {
                    incident.acked = None;
                }
                incident.severity = if turned { severity } else { incident.severity.min(severity) };
                incident.checks.extend(checks);
                // What was found to be the deployment's doing once stays so.
                if incident.excused.is_some() {
                    (incident.excused, incident.shared) = (excused, shared);
                }
            }
            Some(incident) if again => {
                incident.returns = incident.returns.saturating_add(1);
                incident.acked = None;
                let calm = incident.calm_at.take().map(|from| now.duration_since(from));
                (incident.again_at, incident.resolved_at) = (Some(now), None);
                (incident.severity, incident.status) = (severity, IncidentStatus::Investigating);
                (incident.excused, incident.shared) = (excused, shared);
                incident.checks.extend(checks);
                // The calls stood still while it was well.
                if let (Some(escalation), Some(calm)) = (self.escalation.as_mut(), calm) {
                    escalation.since = escalation.since.checked_add(calm).unwrap_or(now);
                }
            }
            last => {
                let with = self.joining.take();
                let number = last.map_or(1, |last| last.number.saturating_add(1));
                self.escalation = None;
                self.incident = Some(Incident {
                    number,
                    acked: None,
                    calmed: std::collections::BTreeSet::new(),
                    opened_at: now,
                    severity,
                    status: IncidentStatus::Investigating,
                    checks: checks.into_iter().collect(),
                    resolved_at: None,
                    evidence: Vec::new(),
                    excused,
                    shared,
                    returns: 0,
                    again_at: None,
                    calm_at: None,
                    alarmed: None,
                    with,
                    apart: false,
                    joins: Vec::new(),
                    raised: None,
                });
            }
        }
    }

    /// Whether an incident is open and has not been well for two windows.
    pub(super) fn is_in_breach(&self) -> bool {
        self.open_incident().is_some_and(|incident| incident.calm_at.is_none())
    }

    /// Whether a breach at `now` is the last incident once more.
    fn is_the_same_again(&self, now: Timestamp) -> bool {
        let calm = |incident: &Incident| match incident.resolved_at {
            Some(at) => now.duration_since(at) <= SOON,
            None => incident.calm_at.is_some(),
        };
        self.incident.as_ref().is_some_and(calm)
    }

    /// "again, 3 times since 10:31:00 UTC".
    pub(super) fn again_in_words(&self) -> Option<String> {
        let incident = self.incident.as_ref().filter(|incident| incident.returns > 0)?;
        let times = incident.returns.saturating_add(1);
        Some(format!("again, {times} times since {}", clock(incident.opened_at)))
    }

    /// Whether people are told of what was decided last about the open incident: of each
    /// answer at each severity once, and once that it has come back.
    pub(super) fn is_worth_saying(&mut self, severity: Severity) -> bool {
        let Some(incident) = &self.incident else { return true };
        let (number, came_back) = (incident.number, incident.returns > 0);
        let answer = self.decided.last().map(|decided| (decided.answer, decided.would));
        let (answer, would) = answer.unwrap_or((Answer::Note, false));
        let new = self.told.insert(format!("incident {number}: {severity} {answer:?} {would}"));
        let again = came_back && self.told.insert(format!("incident {number}: again"));
        new || again || !came_back
    }

    /// Nothing is in breach: after two windows questions are withdrawn, and an incident that
    /// has come back before is resolved only after more of them.
    fn calm_down(&mut self, now: Timestamp, said: &mut Said) {
        if !self.has_open_incident() || !self.came_back(now) {
            return;
        }
        let Some(incident) = self.incident.as_mut() else { return };
        if incident.calm_at.is_none() {
            incident.calm_at = Some(now);
            // Nothing is decided any more, so nobody holds it.
            incident.acked.take_if(|acked| acked.by_hold);
            self.pending = None;
        }
        if self.calm_until().is_none_or(|until| self.measured_by(now) >= until) {
            self.resolve_by_itself(now, said);
        }
    }

    /// It is over, and nobody did anything about it.
    pub(super) fn resolve_by_itself(&mut self, now: Timestamp, said: &mut Said) {
        self.resolve(now);
        self.pending = None;
        let came_back = self.incident.as_ref().is_some_and(|incident| incident.returns > 0);
        let incident = self.incident.as_ref();
        let lasted = incident.map(|incident| now.duration_since(incident.opened_at).as_secs());
        let lasted = SignedDuration::from_secs(lasted.unwrap_or_default());
        let reply = self.say_resolved_by_itself();
        let quietly = came_back || self.hushed.is_some();
        if quietly {
            self.note(now, reply.headline);
        } else {
            self.reply(now, reply, said);
        }
        self.note(now, format!("the incident is over after {lasted:#}"));
        self.pass_on(Turn::Resolved, now, said);
        if !quietly {
            self.show_end(false, now, said);
        }
    }

    /// When the open incident has been well for long enough, if it stays so.
    pub(super) fn calm_until(&self) -> Option<Timestamp> {
        let incident = self.open_incident()?;
        incident.calm_at?;
        let backs = incident.checks.iter().map(|name| self.checks.get(name)?.back_since);
        let back = backs.collect::<Option<Vec<_>>>()?.into_iter().max()?;
        let usual = self.two_windows(&incident.checks);
        let longer = usual * (1_i32 << incident.returns.min(16));
        back.checked_add(longer.min(LONGEST_CALM.max(usual))).ok()
    }

    /// A watch that ends closes what was well again.
    pub(super) fn close_calm(&mut self, now: Timestamp, said: &mut Said) {
        if self.has_open_incident() && !self.is_in_breach() {
            self.resolve_by_itself(now, said);
        }
    }

    /// When people are told that an incident which kept coming back is over.
    pub(super) fn steady_at(&self) -> Option<Timestamp> {
        let incident = self.incident.as_ref().filter(|incident| incident.returns > 0)?;
        let untold = !self.told.contains(&steady(incident));
        incident.resolved_at.filter(|_| untold)?.checked_add(SOON).ok()
    }

    /// Says, once, that an incident which kept coming back is over.
    pub(super) fn tell_of_steadiness(&mut self, now: Timestamp, said: &mut Said) {
        let owed = self.steady_at().and(self.incident.as_ref()).map(steady);
        // A rollback on its way says by itself how it ends.
        if let Some(topic) = owed.filter(|_| !matches!(self.stage, Stage::RollingBack(_)))
            && self.reply_once(&topic, now, Self::say_steady, said)
        {
            self.show_end(false, now, said);
        }
    }

    /// Whether every check of the incident has been back for two windows.
    pub(super) fn came_back(&self, now: Timestamp) -> bool {
        let Some(incident) = &self.incident else { return false };
        self.are_back(&incident.checks, None, now)
    }

    /// Whether all of `checks` have been back for two windows, counted not from before
    /// `since`, and by what was measured of each.
    pub(super) fn are_back<'a>(
        &self,
        checks: impl IntoIterator<Item = &'a String> + Clone,
        since: Option<Timestamp>,
        now: Timestamp,
    ) -> bool {
        let now = self.measured_by(now);
        let needed = self.two_windows(checks.clone());
        checks.into_iter().all(|name| {
            let delay = self.policy().check(name).map(Check::delay).unwrap_or_default();
            let measured_by = now.checked_sub(delay).unwrap_or(now);
            let state = self.checks.get(name);
            let back = state.and_then(|state| state.back_since);
            // Between its runs a probe that is well says what it said before.
            let is_probe = self.policy().check(name).is_some_and(Check::is_of_probe);
            let last = state.and_then(|state| state.answered_at);
            let has_run = !is_probe || since.is_none_or(|since| last > Some(since));
            has_run
                && back.is_some_and(|back| {
                    let from = since.map_or(back, |since| back.max(since));
                    measured_by.duration_since(from) >= needed
                })
        })
    }

    fn two_windows<'a>(&self, checks: impl IntoIterator<Item = &'a String>) -> SignedDuration {
        let interval = self.interval();
        let known = checks.into_iter().filter_map(|name| self.policy().check(name));
        // A probe that failed is run more often than its rhythm until it is well.
        let pace = |check: &Check| check.probe().map_or(check.pace(interval), |_| interval);
        let windows = known.map(|check| check.window(pace(check)) * 2);
        windows.max().unwrap_or_default()
    }

    pub(super) fn resolve(&mut self, now: Timestamp) {
        if let Some(incident) = self.incident.as_mut() {
            incident.status = IncidentStatus::Resolved;
            (incident.resolved_at, incident.alarmed) = (Some(now), None);
        }
    }
}

fn steady(incident: &Incident) -> String {
    format!("incident {}: over, {} times", incident.number, incident.returns)
}
