//! Silence of the new revision: guilt only where something else proves that there was
//! something to be heard.
//!
//! Silence alone may be a scrape that stopped, a label that changed, or a quiet night:
//! it is held and told, never acted on. There are two proofs:
//!
//! - **The old revision shows traffic**, and the new one, of which instances are
//!   measured, answers none of it.
//! - **The tasks are gone** ([`Shortage`]): the platform shows that none of the tasks
//!   which had been in service is left. Then a check that counts events, of which as
//!   many had come before that their absence says something ([`EXPECTED`]), and that
//!   gives none any more says the same as they do. It must be silent for longer than it
//!   ever was since the deployment. What else can't be measured (a source out of reach,
//!   numbers that are none) is no silence. Where a control falls silent too, hosts or a
//!   whole zone are gone, and nobody's revision is to blame.
//!
//! Both the silence and its proof must have lasted for [`SILENCE`], after the grace.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::observe::{CheckState, Judgement, Sample};
use super::value::{Part3, Pool};
use super::{Baseline, Blame, Role};
use crate::model::{Severity, Unusable, Verdict};
use crate::policy::{Against, Check};

/// How long the new revision may be silent.
const SILENCE: SignedDuration = SignedDuration::from_mins(3);

/// Events that would have come in the time of a silence that says something.
const EXPECTED: f64 = 20.0;
/// Times the longest pause between events so far that a silence must last.
const PAUSES: i32 = 3;

/// What is heard of the revision that is judged.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Hearing {
    /// When it last gave an event.
    heard_at: Option<Timestamp>,
    /// Since when samples that count have shown none.
    quiet_since: Option<Timestamp>,
    /// The longest time between two samples with events.
    #[serde(default)]
    longest_pause: SignedDuration,
}

/// Tasks of the watched deployment that were in service and are not running any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shortage {
    pub since: Timestamp,
    /// When they were last known to be gone.
    pub until: Timestamp,
    pub running: u32,
    pub desired: u32,
}

impl CheckState {
    /// Takes in whether the sample is silent.
    pub(super) fn hear(&mut self, check: &Check, sample: &Sample<'_>) {
        let events = |part| {
            let measurement = sample.reading.as_ref().ok()?;
            Some(Pool::part(check, measurement, part)?.total())
        };
        let (new, old) = (events(Part3::New), events(Part3::Old));
        self.told_apart |= new.is_some_and(|new| new > 0.0);
        let beside_old = match (new, old) {
            (Some(new), Some(old)) => {
                sample.newcomers && new <= 0.0 && old >= check.min_traffic.max(1.0)
            }
            (_, _) => false,
        };
        if sample.reading != &Err(Unusable::NothingNew) {
            self.silent_since =
                (beside_old && sample.counts).then(|| self.silent_since.unwrap_or(sample.at));
        }
        let heard = match sample.reading {
            Ok(_) => new.filter(|_| self.told_apart).or_else(|| events(Part3::All)),
            Err(Unusable::Empty | Unusable::NothingNew) => Some(0.0),
            Err(
                Unusable::NotFinite(_)
                | Unusable::TooFew(_)
                | Unusable::WrongType
                | Unusable::Unreachable(_)
                | Unusable::Refused(_),
            ) => None,
        };
        let Hearing { heard_at, quiet_since, longest_pause } = &mut self.hearing;
        match heard.filter(|_| check.counts_events()) {
            None => *quiet_since = None,
            Some(events) if events > 0.0 => {
                let pause = heard_at.map(|last| sample.at.duration_since(last));
                *longest_pause = pause.unwrap_or_default().max(*longest_pause);
                (*heard_at, *quiet_since) = (Some(sample.at), None);
            }
            Some(_) if sample.counts => *quiet_since = quiet_since.or(Some(sample.at)),
            Some(_) => {}
        }
    }

    /// A breach, where the silence is proven.
    pub(super) fn silence(&mut self, check: &Check, sample: &Sample<'_>) -> Option<Judgement> {
        let (blame, reason) =
            self.silent_beside_old(sample).or_else(|| self.silent_without_tasks(sample))?;
        // What was measured before it is no streak that goes on after it.
        self.forget_streaks();
        // A revision that answers nothing is as bad as it gets.
        let relative = check.baseline.as_ref().map(|rule| rule.severity);
        let severity = check.breach.keys().copied().chain(relative).min();
        let severity = severity.unwrap_or(Severity::Sev2);
        Some(Judgement {
            at: sample.at,
            verdict: Verdict::Breach,
            severity: Some(severity),
            blame: Some(blame),
            value: None,
            traffic: Some(0.0),
            limit: None,
            weight: None,
            back_to_normal: false,
            reason,
        })
    }

    fn silent_beside_old(&self, sample: &Sample<'_>) -> Option<(Blame, String)> {
        let since = self.silent_since.filter(|since| has_lasted(*since, sample.at))?;
        sample.reading.as_ref().ok()?;
        let reason = format!(
            "the new revision has answered no request since {}, the old one does",
            clock(since)
        );
        Some((Blame::Deployment, reason))
    }

    fn silent_without_tasks(&self, sample: &Sample<'_>) -> Option<(Blame, String)> {
        let since = self.hearing.quiet_since.filter(|since| has_lasted(*since, sample.at))?;
        let gone = sample.shortage.filter(|gone| has_lasted(gone.since, gone.until))?;
        if !self.is_missed(since, sample.at) {
            return None;
        }
        // Where a dependency broke first, or others broke too, tasks may be gone for that.
        let blame = self.beside(since.min(gone.since), false, sample);
        let blame = blame.or_else(|| self.silent_beside(since, sample));
        let blame = blame.unwrap_or(Blame::Deployment);
        let reason = format!(
            "no requests measured since {} and {} of {} tasks running since {}",
            clock(self.hearing.heard_at.unwrap_or(since)),
            gone.running,
            gone.desired,
            clock(gone.since)
        );
        Some((blame, reason))
    }

    /// Whether as many events had come before that a silence since then says something.
    fn is_missed(&self, since: Timestamp, at: Timestamp) -> bool {
        let lasted = at.duration_since(since);
        let before = self.baselines.get(&Against::Before).and_then(Baseline::reference);
        let expected = match before {
            Some(before) => before.events_per_second * lasted.as_secs_f64() >= EXPECTED,
            None => self.measured > 0,
        };
        expected && lasted >= self.hearing.longest_pause * PAUSES
    }

    /// A control that was measured before and gives nothing any more either.
    fn silent_beside(&self, since: Timestamp, sample: &Sample<'_>) -> Option<Blame> {
        let mut others = self.controls.iter().filter(|(_, one)| one.role != Role::OldRevision);
        let (name, _) =
            others.find(|(_, control)| control.is_silent(sample.at, sample.interval))?;
        Some(Blame::Shared { with: name.clone(), since })
    }

    /// Since when it is silent, as long as a silence is what it breaches by.
    pub fn silent_from(&self) -> Option<Timestamp> {
        let last = self.last.as_ref().filter(|last| last.is_of_silence());
        last.and(self.silent_since.or(self.hearing.quiet_since))
    }

    /// After a gap in the guard's own life only fresh samples may make a breach.
    pub fn interrupted(&mut self) {
        self.forget_streaks();
        self.silent_since = None;
        self.hearing.quiet_since = None;
    }
}

impl Judgement {
    /// Whether it speaks of silence, and so of nothing measured.
    pub(super) fn is_of_silence(&self) -> bool {
        self.verdict == Verdict::Breach && self.value.is_none()
    }
}

fn has_lasted(since: Timestamp, at: Timestamp) -> bool {
    at.duration_since(since) >= SILENCE
}

fn clock(at: Timestamp) -> String {
    at.strftime("%H:%M:%S UTC").to_string()
}
