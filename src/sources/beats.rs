//! Heartbeats of scheduled jobs: what was kept of them, against their schedule.
//!
//! Missing data is never guilt. But that a job which beat regularly is silent when it was due
//! is what this check is for, so silence is a failure where, and only where, regularity is
//! proven:
//!
//! | what is known | answer |
//! | --- | --- |
//! | the newest runs that were due have beaten | up |
//! | a run that was due after the deployment began has not beaten `late` after its time, or said that it failed, and the two runs before it beat well | down |
//! | as many such runs in a row as `misses` says are needed, and there are fewer | up, and told |
//! | a run before the deployment is among those that are missing | no data: it was so before |
//! | the job has not beaten at two runs in a row before that | no data: it is not known how it beats |
//! | the newest run that was due has not beaten, and the guard did not listen all the time for it | no data; such a run is left out of all of the above |
//!
//! A run is due when it may no longer be under way, `late` after its time; one that says that it failed
//! counts at once. The state of a job lasts until its next run.

use std::collections::BTreeMap;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;

use cronexpr::{Crontab, MakeTimestamp};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use super::asked::{Answered, Tally};
use super::plan::Request;
use super::track::{Fetched, Track};
use crate::model::{Ask, BESIDE, Beat, BeatAsk, CHECK, Listened, Ticks, Unusable};

/// What they are called where requests are counted.
pub(super) const KIND: &str = "heartbeats";
/// Runs in a row that show that a job beats regularly.
const REGULAR: usize = 2;
/// How much before its time by our clock a run may end.
const EARLY: SignedDuration = SignedDuration::from_mins(1);
/// Runs that nobody may have listened for, among those that are looked at.
const UNHEARD: usize = 10;
/// That it is listened is noted so often, in the keeper's words; until then it goes on.
const NOTED: SignedDuration = SignedDuration::from_secs(30);
/// How far back runs are looked for, and how many at most at a time.
const LONGEST: SignedDuration = SignedDuration::from_hours(24 * 70);
const MOST_RUNS: usize = 2000;

/// What keeps heartbeats.
pub trait Keeper: Send + Sync {
    /// The newest of a job, oldest first; enough of them for a few runs.
    fn newest<'a>(
        &'a self,
        job: &'a str,
    ) -> Pin<Box<dyn Future<Output = Result<Vec<Beat>, String>> + Send + 'a>>;

    /// When it was listened for beats at all, oldest first.
    fn listened<'a>(
        &'a self,
    ) -> Pin<Box<dyn Future<Output = Result<Vec<Listened>, String>> + Send + 'a>>;
}

/// Heartbeats that are kept somewhere. Cheap to clone.
#[derive(Clone)]
pub struct Beats {
    keeper: Arc<dyn Keeper>,
    tally: Tally,
}

impl fmt::Debug for Beats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Beats")
    }
}

impl Beats {
    pub fn kept_by(keeper: Arc<dyn Keeper>) -> Self {
        Self { keeper, tally: Tally::default() }
    }

    pub(super) fn tally(&self) -> &Tally {
        &self.tally
    }

    /// Answers `requests` in their order. What is no heartbeat is refused.
    pub(super) async fn fetch(&self, requests: &[Request]) -> Vec<Fetched> {
        let mut fetched = Vec::with_capacity(requests.len());
        for Request { ask, ticks } in requests {
            let Ask::Beat(ask) = ask else {
                let why = Unusable::Refused("it is no heartbeat".into());
                fetched.push(Fetched::failed(*ticks, why));
                continue;
            };
            let keeper = &self.keeper;
            let heard = async { Ok((keeper.newest(&ask.job).await?, keeper.listened().await?)) };
            let asking = self.tally.begin(KIND);
            let heard = heard.await;
            asking.ended(heard.as_ref().map_or(Answered::Unreachable, |_| Answered::Ok));
            fetched.push(match heard {
                Ok((beats, listened)) => told(ask, &Heard { beats, listened }, *ticks),
                Err::<_, String>(why) => Fetched::failed(*ticks, Unusable::Unreachable(why)),
            });
        }
        fetched
    }
}

/// What was heard of one job, and when it was listened.
#[derive(Debug, Clone, Default)]
struct Heard {
    beats: Vec<Beat>,
    listened: Vec<Listened>,
}

impl Heard {
    /// Whether it was listened all the time, as it is known at `now`.
    fn listened(&self, from: Timestamp, until: Timestamp, now: Timestamp) -> bool {
        let mut known = from;
        let newest = self.listened.last();
        for stretch in &self.listened {
            if stretch.from <= known {
                // One that another follows is over, however short ago.
                let goes_on = Some(stretch) == newest && now.duration_since(stretch.until) <= NOTED;
                known = known.max(if goes_on { now } else { stretch.until });
            }
        }
        known >= until
    }
}

/// Of now, and nothing new of earlier ticks.
fn told(ask: &BeatAsk, heard: &Heard, ticks: Ticks) -> Fetched {
    let Some(last) = ticks.count.checked_sub(1) else { return Fetched::default() };
    let now = ticks.part(last..ticks.count).first;
    let (up, words) = match standing(ask, heard, now) {
        Ok(standing) => standing,
        Err(why) => return Fetched::failed(ticks, Unusable::Refused(why)),
    };
    let label = |name: &str, value: String| BTreeMap::from([(name.to_owned(), value)]);
    let value = f64::from(u8::from(up));
    let track =
        Track { labels: label(CHECK, ask.job.clone()), samples: vec![(ticks.at_ms(last), value)] };
    let beside = Track { labels: label(BESIDE, words), samples: Vec::new() };
    let failed = (last > 0).then_some((0..last, Unusable::NothingNew));
    Fetched { tracks: vec![track, beside], failed: Vec::from_iter(failed) }
}

/// What is known of one run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Run {
    Well,
    Failed,
    Missed,
    /// It did not beat, and nobody may have listened.
    Unheard,
}

/// Whether the job is up at `now`, and why, in words.
///
/// # Errors
/// Why nothing can be said.
fn standing(ask: &BeatAsk, heard: &Heard, now: Timestamp) -> Result<(bool, String), String> {
    let crontab = crontab(&ask.schedule, &ask.time_zone)?;
    let misses = usize::try_from(ask.misses.max(1)).unwrap_or(usize::MAX);
    // One may be under way still.
    let mut runs = known(ask, heard, &times(&crontab, now, misses + REGULAR + UNHEARD + 1)?, now);
    let unheard = runs.last().filter(|(_, run)| *run == Run::Unheard).map(|(due, _)| *due);
    runs.retain(|(_, run)| *run != Run::Unheard);
    let at = runs.iter().rposition(|(_, run)| *run == Run::Well);
    let missing = runs.split_off(at.map_or(0, |last| last + 1));
    let job = &ask.job;
    let zone = TimeZone::get(&ask.time_zone).unwrap_or(TimeZone::UTC);
    let clock = |at: Timestamp| at.to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M %Z").to_string();
    if let Some(due) = unheard {
        let due = clock(due);
        return Err(format!(
            "{job}, due at {due}, was not heard, nor was it listened all that time"
        ));
    }
    let Some((first, last)) = missing.first().zip(missing.last()) else {
        return Ok(match runs.last() {
            Some((at, _)) => (true, format!("{job} ran at {}", clock(*at))),
            None => return Err(format!("{job} was never due yet")),
        });
    };
    let how = match last.1 {
        Run::Failed => "says that it failed",
        Run::Missed | Run::Unheard | Run::Well => "did not beat",
    };
    let words = format!("{job} {how}, due at {}", clock(last.0));
    if ask.since.is_none_or(|since| first.0 <= since) {
        return Err(format!("{words}: it was so before the deployment"));
    }
    let regular = runs.iter().rev().take(REGULAR).filter(|(_, run)| *run == Run::Well).count();
    if regular < REGULAR {
        return Err(format!("{words}, and did not beat regularly before: it is not known how"));
    }
    if missing.len() < misses {
        let so_far = format!("{words}: {} of {misses} runs", missing.len());
        return Ok((true, so_far));
    }
    Ok((false, words))
}

/// What became of each run, oldest first; without the one that may be under way still.
fn known(
    ask: &BeatAsk,
    heard: &Heard,
    times: &[Timestamp],
    now: Timestamp,
) -> Vec<(Timestamp, Run)> {
    let shifted = |at: Timestamp, by: SignedDuration| at.checked_add(by).unwrap_or(at);
    let of = |due: Timestamp| {
        let (from, until) = (shifted(due, -EARLY), shifted(due, ask.late));
        let own: Vec<bool> = heard
            .beats
            .iter()
            .filter(|beat| from <= beat.at && beat.at <= until)
            .map(|beat| beat.well)
            .collect();
        match (own.is_empty(), own.contains(&true)) {
            (true, _) if now <= until => None,
            (true, _) if !heard.listened(from, until, now) => Some(Run::Unheard),
            (true, _) => Some(Run::Missed),
            // It may have been run again.
            (false, true) => Some(Run::Well),
            (false, false) => Some(Run::Failed),
        }
    };
    times.iter().filter_map(|due| Some((*due, of(*due)?))).collect()
}

/// The newest times of the schedule up to `until`, oldest first: `least`, if there are.
fn times(crontab: &Crontab, until: Timestamp, least: usize) -> Result<Vec<Timestamp>, String> {
    let mut span = SignedDuration::from_hours(1);
    loop {
        let from = until.checked_sub(span).map_err(|error| error.to_string())?;
        let all = crontab.iter_after(MakeTimestamp(from)).map_err(|error| error.to_string())?;
        let mut found = Vec::new();
        for next in all.take(MOST_RUNS) {
            let at = next.map_err(|error| error.to_string())?.timestamp();
            if at > until {
                break;
            }
            found.push(at);
        }
        if found.len() >= least || span >= LONGEST {
            return Ok(found.split_off(found.len().saturating_sub(least)));
        }
        span = (span * 4).min(LONGEST);
    }
}

fn crontab(schedule: &str, zone: &str) -> Result<Crontab, String> {
    cronexpr::parse_crontab(&format!("{schedule} {zone}")).map_err(|error| error.to_string())
}

#[cfg(test)]
#[path = "beats_tests.rs"]
mod tests;
