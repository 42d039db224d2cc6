//! A canary: phases that each stand for a share of the traffic.
//!
//! Flow: a phase with a `weight` lasts from when that share is seen at the platform, so what
//! follows ends later by as long as it was waited for. At its end the next share is only gone
//! on to where the watch would pass as it is now ([`Watch::comes_to`]) and no incident is
//! open: missing data holds a canary where it is, and is no reason to turn it back. Then
//! whoever the policy names moves the traffic: the guard by [`super::Want::Shift`], in mode
//! auto alone, or the pipeline, which waits for the phase by `deployguard wait --until`. A
//! share that was seen in a phase and is less again was taken back by somebody: the guard
//! waits for it, says so, and sets it no more.
//! Where the platform routes by no weight, a weight means nothing.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::{Said, Stage, Watch};
use crate::model::{ActFailure, Mode, Outcome, Reply, ShiftPlan, Tone, Verdict};
use crate::policy::{Measure, MovedBy};

/// Tries at a platform that does not answer, before people are told.
const ATTEMPTS: u32 = 6;
/// The first pause between two tries; doubled each time.
const FIRST_PAUSE: SignedDuration = SignedDuration::from_secs(2);
/// How long a canary is held where it is before people hear of it.
const HELD_LONG: SignedDuration = SignedDuration::from_mins(1);
/// How long a share that was set may take to be seen, before it is set again.
const SEEN_WITHIN: SignedDuration = SignedDuration::from_mins(1);

/// How far the traffic of a canary is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Canary {
    /// How much later than planned the phases end, because their share was waited for.
    pub delayed: SignedDuration,
    /// Since when the current phase waits for its share.
    pub awaited_since: Option<Timestamp>,
    /// Moves in a row that the platform has not answered.
    pub tries: u32,
    /// When the next one may be tried.
    pub not_before: Option<Timestamp>,
    /// Why the guard can't move it: somebody else has to.
    pub refused: Option<String>,
    /// The current phase's share has been seen in it: where it is less again, somebody wants
    /// it so.
    #[serde(default)]
    pub seen: bool,
}

impl Watch {
    /// The share of the traffic, in percent, that the judged deployment gets; `None`: the
    /// platform does not route by weight.
    pub fn share(&self) -> Option<u8> {
        let primary = &self.sighting.as_ref()?.primary;
        primary.weight.filter(|_| self.platform_id() == Some(primary.id.as_str()))
    }

    fn weight_of(&self, phase: usize) -> Option<u8> {
        self.policy().phases.get(phase)?.weight
    }

    /// The share that the current phase is about and has not been seen yet.
    pub(super) fn awaited_weight(&self) -> Option<u8> {
        let weight = self.weight_of(self.phase)?;
        let waits = matches!(self.stage, Stage::Watching) && self.share()? < weight;
        waits.then_some(weight)
    }

    /// Whether the current phase can't end yet, whatever the time: its traffic is to come, or
    /// the roll-out goes on. A canary's goes on by its phases.
    pub(super) fn phase_is_held(&self) -> bool {
        let by_weight = self.share().is_some() && self.weight_of(self.phase).is_some();
        self.awaited_weight().is_some() || (self.is_rolling_out() && !by_weight)
    }

    /// Why the next phase, with more traffic, must not begin; `None`: it may.
    pub(super) fn held_back(&self) -> Option<String> {
        let next = self.weight_of(self.phase + 1)?;
        if self.share()? >= next {
            return None;
        }
        if self.has_open_incident() {
            return Some("an incident is open".to_owned());
        }
        let (outcome, because) = self.comes_to();
        if outcome != Outcome::Passed {
            return Some(because);
        }
        self.beyond_a_limit().map(|check| format!("{check} is beyond a limit at this moment"))
    }

    /// A check whose newest sample is beyond a limit: no breach yet, and no time for more of
    /// the traffic either.
    fn beyond_a_limit(&self) -> Option<&str> {
        let beyond = |name: &str| {
            let last = self.checks.get(name)?.last.as_ref()?;
            let check = self.policy().check(name)?;
            if let Measure::Status { .. } = check.measure {
                // Its limits count failures, and its value is 1 while it is up.
                return Some(matches!(last.verdict, Verdict::Elevated | Verdict::Breach));
            }
            let value = last.value?;
            check.breach.values().map(|limit| limit.bound.contains(value)).max()
        };
        let mut names = self.checks.keys().map(String::as_str);
        names.find(|name| beyond(name).unwrap_or(false))
    }

    /// Says once a phase that its traffic is not raised, if that lasts.
    pub(super) fn hold_back(&mut self, because: &str, now: Timestamp, said: &mut Said) {
        let planned = self.phase_ends_at().unwrap_or(now);
        if now.duration_since(planned) < HELD_LONG {
            return;
        }
        let topic = format!("held back in {}", self.phase_name());
        self.reply_once(&topic, now, |watch| watch.say_held_back(because), said);
    }

    /// The phase before it was to end at `planned`, and has ended now.
    pub(super) fn weighted_phase_begun(&mut self, planned: Option<Timestamp>, now: Timestamp) {
        if self.share().is_none() || self.weight_of(self.phase).is_none() {
            return;
        }
        let late = planned.map_or(SignedDuration::ZERO, |planned| now.duration_since(planned));
        self.canary = Canary {
            delayed: self.canary.delayed + late.max(SignedDuration::ZERO),
            ..Canary::default()
        };
        self.canary.awaited_since = self.awaited_weight().map(|_| now);
        self.canary.seen = self.has_its_share();
    }

    /// Whether the deployment has the share that the current phase is about.
    fn has_its_share(&self) -> bool {
        let both = self.share().zip(self.weight_of(self.phase));
        matches!(self.stage, Stage::Watching) && both.is_some_and(|(share, weight)| share >= weight)
    }

    /// A look at the platform: the phase's share may have come, or gone.
    pub(super) fn share_seen(&mut self, now: Timestamp, said: &mut Said) {
        match (self.awaited_weight(), self.canary.awaited_since) {
            (None, Some(since)) => {
                let waited = now.duration_since(since).max(SignedDuration::ZERO);
                let (delayed, seen) = (self.canary.delayed + waited, self.canary.seen);
                self.canary = Canary { delayed, seen, ..Canary::default() };
                let share = self.share().unwrap_or(100);
                self.note(now, format!("{share} % of the traffic goes to it"));
            }
            (Some(_), None) => self.canary.awaited_since = Some(now),
            (Some(_), Some(_)) | (None, None) => {}
        }
        self.canary.seen |= self.has_its_share();
        self.tell_who_moves(now, said);
    }

    /// Where the guard would move the traffic and may not, people hear that it waits for them;
    /// and where one of them has taken some back, that it is not fought.
    pub(super) fn tell_who_moves(&mut self, now: Timestamp, said: &mut Said) {
        let Some(weight) = self.awaited_weight() else { return };
        let by_guard = self.policy().moved_by == MovedBy::Deployguard;
        if by_guard && self.canary.seen {
            let topic = format!("less than {weight} % again");
            self.reply_once(&topic, now, |watch| watch.say_share_taken(weight), said);
        } else if by_guard && self.ceiling.mode != Mode::Auto && !self.has_open_incident() {
            let topic = format!("{weight} % is for people to set");
            self.reply_once(&topic, now, |watch| watch.say_move_it(weight), said);
        }
    }

    /// The move of the traffic that is wanted now.
    pub fn shift_wanted(&self, now: Timestamp) -> Option<ShiftPlan> {
        let weight = self.awaited_weight()?;
        let canary = &self.canary;
        let may = self.policy().moved_by == MovedBy::Deployguard
            && self.ceiling.mode == Mode::Auto
            && !self.has_open_incident()
            && !canary.seen
            && canary.refused.is_none()
            && canary.not_before.is_none_or(|at| now >= at);
        may.then(|| {
            Some(ShiftPlan {
                service: self.deployment.service.key.clone(),
                judged: self.deployment.platform_id.clone()?,
                weight,
            })
        })?
    }

    /// The platform's answer to a move.
    pub(super) fn shifted(
        &mut self,
        weight: u8,
        result: &Result<(), ActFailure>,
        now: Timestamp,
        said: &mut Said,
    ) {
        let in_a = |pause: SignedDuration| now.checked_add(pause).ok();
        match result {
            Ok(()) => {
                self.note(now, format!("deployguard set its share of the traffic to {weight} %"));
                self.canary.not_before = in_a(SEEN_WITHIN);
            }
            Err(ActFailure::Transient(why)) if self.canary.tries + 1 < ATTEMPTS => {
                self.canary.tries += 1;
                self.canary.not_before = in_a(FIRST_PAUSE * (1_i32 << self.canary.tries.min(8)));
                self.note(now, format!("try {} to set {weight} %: {why}", self.canary.tries));
            }
            // Nothing was called, or what is in place now is seen by the next look.
            Err(failure @ (ActFailure::Stopped(_) | ActFailure::Superseded(_))) => {
                self.canary.not_before = in_a(FIRST_PAUSE);
                self.note(now, format!("{weight} % was not set: {failure}"));
            }
            Err(
                ActFailure::Transient(why)
                | ActFailure::Refused(why)
                | ActFailure::Permanent(why)
                | ActFailure::Maintained { why, .. },
            ) => {
                self.canary.refused = Some(why.clone());
                let reply = self.say_not_moved(weight, why);
                self.reply(now, reply, said);
            }
        }
    }

    fn say_held_back(&self, because: &str) -> Reply {
        let share = self.share().unwrap_or_default();
        let headline = format!("{} stays at {share} % of the traffic", self.title());
        Reply { lines: vec![because.to_owned()], ..self.plain(Tone::Warn, headline) }
    }

    /// The guard would go on, and may not.
    fn say_move_it(&self, weight: u8) -> Reply {
        let share = self.share().unwrap_or_default();
        let headline = format!(
            "{} is well at {share} % of the traffic, and is to get {weight} % now",
            self.title()
        );
        let lines = vec![format!("in mode {} deployguard moves nothing: do it", self.ceiling.mode)];
        Reply { lines, ..self.plain(Tone::Warn, headline) }
    }

    /// Somebody has taken back what the guard, or they, had given it.
    fn say_share_taken(&self, weight: u8) -> Reply {
        let share = self.share().unwrap_or_default();
        let headline =
            format!("{} had {weight} % of the traffic, and has {share} % now", self.title());
        let lines = vec![format!("deployguard leaves it so; set {weight} % to go on")];
        Reply { lines, ..self.plain(Tone::Warn, headline) }
    }

    fn say_not_moved(&self, weight: u8, why: &str) -> Reply {
        let headline = format!("{} could not be given {weight} % of the traffic", self.title());
        let next = "set it by hand, or turn it back; the watch goes on once it is seen".to_owned();
        Reply { lines: vec![why.to_owned(), next], page: true, ..self.plain(Tone::Bad, headline) }
    }
}
