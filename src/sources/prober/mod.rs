//! Probes: smoke tests and user flows, run beside everything else.
//!
//! Nobody waits for a probe. At each tick [`Prober::look`] only looks: it hands over what a
//! run came to since the last tick, and starts the next one where it is due; in between there
//! is [`Unusable::NothingNew`], which `watch` leaves out. So a slow smoke test delays no other
//! sample. Of one check of a service one run is under way at a time.
//!
//! A deployment is probed when its roll-out begins (what fails then is not its doing), when
//! its grace has ended, and then `every` so often. A failure is looked at again soon, because
//! only several running make a breach: ten times, and then `every` so often like all else. What
//! says nothing about the service is no failure: who is asked too often is not asked more. A run
//! that began within the grace and failed says nothing once the grace is over: it is run anew.
//!
//! When a rollback has put its target in place it is probed at once, what ran before says nothing
//! any more, and a failure is looked at again soon until a run is good, however often.
//!
//! A roll-out may be faster than its first run, which meets the new revision then. So a run for
//! the deployment before that was good, ended before this one came into service and is not older
//! than twice `every` is handed over as the first reading: it was up.
//!
//! | run | reading |
//! | --- | --- |
//! | exit code 0; every step as expected | up |
//! | another exit code, or not done in its time | down, with the last lines of its output |
//! | a step's answer is not as expected, or nobody answers | down, with the step |
//! | an answer of 401 or 403 that is not expected, and the same steps were good within the last hours | down: it lets nobody in |
//! | an answer of 401, 403, 407, 408, 425 or 429 that is not expected | no data: the guard is not let in, or asks too much |
//! | an answer too large to be read whole, where what is looked for is not at its beginning | no data |
//! | 126, 127 (a program in it could not be run), a signal | no data |
//! | no such command, a value that is no argument, the daemon stopped | no data |
//! | not allowed, name not found, no host of several answers | no data |
//!
//! When what ran last is known to this process alone: after a restart it is run again.

mod step;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use jiff::{SignedDuration, Timestamp};
use tokio::sync::oneshot;

use super::asked::{Answered, Asked, Tally};
use super::plan::Request as Due;
use super::tasks::mask::mask;
use super::track::{Fetched, Track};
use crate::commands::{Commands, Ended, Purpose, Ran};
use crate::model::{Ask, BESIDE, CHECK, PROBE, ProbeAsk, Probing, Unusable};
use crate::outbound::Outbound;

/// What it is called where runs are counted.
pub(super) const KIND: &str = "probe";
/// How soon a failure is looked at again.
const AGAIN: SignedDuration = SignedDuration::from_secs(30);
/// How many failures one after the other are looked at again so soon.
const MOST_AGAIN: u32 = 10;
/// How long it is remembered that a probe was good.
const LET_IN: SignedDuration = SignedDuration::from_hours(6);
/// Services' checks that are remembered.
const MOST_SLOTS: usize = 2_000;
/// Of a command's output in a reason: lines, and characters of each.
const MOST_LINES: usize = 5;
const LONGEST_LINE: usize = 160;

/// What is run of probes. Cheap to clone; clones share what is under way.
#[derive(Debug, Clone, Default)]
pub struct Prober {
    commands: Commands,
    /// `None`: the settings allow no requests.
    way: Option<Outbound>,
    slots: Arc<Mutex<BTreeMap<Key, Slot>>>,
    tally: Tally,
}

/// Whose probe it is: the check, and service, environment and cluster.
type Key = (String, [String; 3]);

/// What became of the latest runs of one probe.
#[derive(Debug, Default)]
struct Slot {
    /// The deployment that it is about.
    since: Option<Timestamp>,
    begun: Option<Timestamp>,
    ended: Option<Timestamp>,
    /// Whether the last one was good.
    is_good: bool,
    /// Bad ones, one after the other, up to the last one.
    bad: u32,
    /// When these steps were good last, for whichever deployment.
    let_in: Option<(Probing, Timestamp)>,
    running: Option<Run>,
}

#[derive(Debug)]
struct Run {
    since: Option<Timestamp>,
    begun: Timestamp,
    came: oneshot::Receiver<Came>,
}

/// What a run came to.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Came {
    Good,
    /// In words.
    Bad(String),
    /// It says nothing about the service.
    Unknown(Unusable),
    /// It is not let in. In words, of what was let in before and of what was not.
    Shut {
        bad: String,
        unknown: Unusable,
    },
}

impl Came {
    fn answered(&self) -> Answered {
        match self {
            Self::Good => Answered::Ok,
            Self::Bad(_) => Answered::Error,
            Self::Unknown(why) | Self::Shut { unknown: why, .. } => Answered::unusable(why),
        }
    }
}

impl Prober {
    pub fn of(commands: Commands, way: Option<Outbound>) -> Self {
        Self { commands, way, ..Self::default() }
    }

    pub(super) fn tally(&self) -> &Tally {
        &self.tally
    }

    /// Whether the settings have the command `name`, for a probe.
    ///
    /// # Errors
    /// Why it is not run, and what to do about it.
    pub fn runs(&self, name: &str) -> Result<(), String> {
        self.commands.check(name, Purpose::Probe)
    }

    /// Hands over what has come, and starts what is due. Never waits.
    pub fn look(&self, Due { ask, ticks }: &Due) -> Fetched {
        let Ask::Probe(ask) = ask else {
            return Fetched::failed(*ticks, Unusable::Refused("it is no probe".into()));
        };
        let Some(last) = ticks.count.checked_sub(1) else { return Fetched::default() };
        let came = self.came(ask, ticks.part(last..last + 1).first);
        told(came, ticks.at_ms(last), last)
    }

    fn came(&self, ask: &ProbeAsk, now: Timestamp) -> Option<Came> {
        let value = |name: &str| ask.values.get(name).cloned().unwrap_or_default();
        let key = (ask.check.clone(), ["service", "environment", "cluster"].map(value));
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        if slots.len() >= MOST_SLOTS && !slots.contains_key(&key) {
            slots.retain(|_, slot| slot.running.is_some());
        }
        let slot = slots.entry(key).or_default();
        let mut before = None;
        if slot.since != ask.since {
            before = slot.was_up(ask, now).then_some(Came::Good);
            let (running, let_in) = (slot.running.take(), slot.let_in.take());
            *slot = Slot { since: ask.since, running, let_in, ..Slot::default() };
        }
        let came = slot.take(ask, now).or(before);
        if slot.running.is_none() && slot.is_due(ask, now) {
            slot.begun = Some(now);
            slot.running = Some(Run { since: ask.since, begun: now, came: self.start(ask) });
        }
        came
    }

    fn start(&self, ask: &ProbeAsk) -> oneshot::Receiver<Came> {
        let (mut sender, receiver) = oneshot::channel();
        let (own, ask) = (self.clone(), ask.clone());
        tokio::spawn(async move {
            let begun = tokio::time::Instant::now();
            tokio::select! {
                came = own.run(&ask) => {
                    let (result, took) = (came.answered(), begun.elapsed());
                    own.tally.note(Asked { source: KIND, result, took });
                    drop(sender.send(came));
                }
                () = sender.closed() => {}
            }
        });
        receiver
    }

    async fn run(&self, ask: &ProbeAsk) -> Came {
        match (&ask.of, &self.way) {
            (Probing::Command(name), _) => {
                let ran = self.commands.run(name, Purpose::Probe, &ask.values).await;
                of_command(name, &ran)
            }
            (Probing::Requests(steps), Some(way)) => step::walk(way, steps).await,
            (Probing::Requests(_), None) => {
                let why = "the settings name no `outbound` to ask this of";
                Came::Unknown(Unusable::Refused(why.into()))
            }
        }
    }
}

impl Slot {
    /// What has come since the last look, where it says something.
    fn take(&mut self, ask: &ProbeAsk, now: Timestamp) -> Option<Came> {
        let came = match self.running.as_mut()?.came.try_recv() {
            Ok(came) => came,
            Err(oneshot::error::TryRecvError::Empty) => return None,
            Err(oneshot::error::TryRecvError::Closed) => {
                Came::Unknown(Unusable::Unreachable("the probe broke off".into()))
            }
        };
        let run = self.running.take()?;
        if run.since != ask.since {
            return None;
        }
        let in_grace = ask.clear.is_some_and(|clear| run.begun < clear && clear <= now);
        let elsewhere = ask.again.is_some_and(|again| run.begun < again);
        if (came != Came::Good && in_grace) || elsewhere {
            // It may have met what was still starting, or what was rolled back.
            self.begun = None;
            return None;
        }
        let came = self.judged(came, ask, now);
        self.ended = Some(now);
        self.is_good = came == Came::Good;
        self.bad = if matches!(came, Came::Bad(_)) { self.bad.saturating_add(1) } else { 0 };
        Some(came)
    }

    /// Who is not let in may ask with what was never right; where the same was let in before,
    /// it is the service that lets nobody in.
    fn judged(&mut self, came: Came, ask: &ProbeAsk, now: Timestamp) -> Came {
        let known = self
            .let_in
            .as_ref()
            .filter(|(of, at)| *of == ask.of && now.duration_since(*at) <= LET_IN);
        match came {
            Came::Good => {
                self.let_in = Some((ask.of.clone(), now));
                Came::Good
            }
            Came::Shut { bad, .. } if known.is_some() => Came::Bad(bad),
            Came::Shut { unknown, .. } => Came::Unknown(unknown),
            Came::Bad(_) | Came::Unknown(_) => came,
        }
    }

    /// Whether the last run shows that all was well right before the deployment that is asked
    /// about now.
    fn was_up(&self, ask: &ProbeAsk, now: Timestamp) -> bool {
        let until = ask.since.max(ask.live);
        let Some((ended, until)) = self.ended.zip(until) else { return false };
        self.is_good && ended <= until && now.duration_since(ended) <= ask.every * 2
    }

    fn is_due(&self, ask: &ProbeAsk, now: Timestamp) -> bool {
        let Some(begun) = self.begun else { return true };
        let is_over = |since: Timestamp, wait: SignedDuration| now.duration_since(since) >= wait;
        let has_come = |at: Option<Timestamp>| at.is_some_and(|at| begun < at && at <= now);
        let soon = self.bad > 0 && (self.bad < MOST_AGAIN || ask.again.is_some());
        let again = soon && self.ended.is_some_and(|ended| is_over(ended, AGAIN.min(ask.every)));
        has_come(ask.clear) || has_come(ask.again) || again || is_over(begun, ask.every)
    }
}

fn told(came: Option<Came>, now: i64, last: usize) -> Fetched {
    let mut failed = Vec::from_iter((last > 0).then_some((0..last, Unusable::NothingNew)));
    let label = |name: &str, value: String| BTreeMap::from([(name.to_owned(), value)]);
    let series =
        |value| Track { labels: label(CHECK, PROBE.to_owned()), samples: vec![(now, value)] };
    let tracks = match came {
        Some(Came::Good) => vec![series(1.0)],
        Some(Came::Bad(why)) => {
            vec![series(0.0), Track { labels: label(BESIDE, why), samples: Vec::new() }]
        }
        Some(Came::Unknown(why) | Came::Shut { unknown: why, .. }) => {
            failed.push((last..last + 1, why));
            Vec::new()
        }
        None => {
            failed.push((last..last + 1, Unusable::NothingNew));
            Vec::new()
        }
    };
    Fetched { tracks, failed }
}

fn of_command(name: &str, ran: &Ran) -> Came {
    let refused = |why: String| Came::Unknown(Unusable::Refused(why));
    let words = format!("`{name}` {}", ran.ended);
    match &ran.ended {
        Ended::Exit(0) => Came::Good,
        Ended::Exit(126 | 127) => {
            refused(format!("{words}: a program in it could not be run{}", said(ran)))
        }
        Ended::Exit(_) | Ended::TimedOut(_) => Came::Bad(format!("{words}{}", said(ran))),
        Ended::NotRun(_) => refused(words),
        Ended::Signal(_) | Ended::Stopped => Came::Unknown(Unusable::Unreachable(words)),
    }
}

/// The last lines, without what looks like a secret.
fn said(ran: &Ran) -> String {
    let lines = ran.output.last_lines(MOST_LINES);
    let short = |line: &&str| -> String { mask(line).chars().take(LONGEST_LINE).collect() };
    let lines: Vec<String> = lines.iter().map(short).collect();
    if lines.is_empty() { String::new() } else { format!(": {}", lines.join(" / ")) }
}

#[cfg(test)]
mod tests;
