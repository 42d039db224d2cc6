//! What was read of one page.

use std::collections::{BTreeMap, HashMap};

use super::Metrics;
use super::kept::Kept;
use super::text::Sample;
use crate::model::{Page, Unusable};
use crate::sources::counters::LOOKBACK_MS;

/// When the process began that answers, in seconds since the epoch.
pub(super) const STARTED: &str = "process_start_time_seconds";
/// A clock may be set back a little while the process runs.
const SAME: f64 = 2.0;
/// Processes that begin earlier than the one before, within this: they answer in turn. Once
/// may be a switch back to what ran before.
const TURNS: usize = 2;
const TURNS_MS: i64 = 10 * 60 * 1000;
/// What a page says of its own times may be so much ahead of the guard's.
const AHEAD_MS: i64 = 60 * 1000;
/// An instance that was not read for longer is a former one.
const FORMER_MS: i64 = 10 * 60 * 1000;
/// A reading that does not come back is given up after this.
const LONGEST_MS: i64 = 60 * 1000;

pub(super) type Labels = BTreeMap<String, String>;

/// A page that is read.
#[derive(Debug)]
pub(super) struct State {
    /// Milliseconds from one reading to the next.
    pub every: i64,
    pub wanted_until: i64,
    /// When it is read next.
    pub next: i64,
    pub metrics: Metrics,
    /// Why it could not be read the last time.
    pub trouble: Option<Unusable>,
    since: i64,
    under_way_until: i64,
    instances: BTreeMap<String, Instance>,
    /// Each reading: 1 if it could be read.
    readings: Kept,
}

#[derive(Debug, Default)]
struct Instance {
    series: HashMap<Labels, Series>,
    started: Option<f64>,
    /// When another process, which began earlier, answered in its place.
    turns: Vec<i64>,
}

#[derive(Debug, Default)]
struct Series {
    kept: Kept,
    /// The reading that had it last.
    seen: i64,
    /// The page says itself of when its samples are: they end by their age alone.
    own_times: bool,
}

/// What came of one instance.
#[derive(Debug)]
pub(super) struct Read {
    pub instance: String,
    pub samples: Result<Vec<Sample>, Unusable>,
}

impl State {
    pub fn new(now: i64) -> Self {
        Self {
            every: 0,
            wanted_until: now,
            next: now,
            metrics: Metrics::default(),
            trouble: None,
            since: now,
            under_way_until: 0,
            instances: BTreeMap::new(),
            readings: Kept::default(),
        }
    }

    /// Whether it is to be read now; then it is under way.
    pub fn is_due(&mut self, now: i64) -> bool {
        if now < self.next || now < self.under_way_until {
            return false;
        }
        // On its grid, and not again and again for what was missed.
        let missed = (now - self.next) / self.every.max(1);
        self.next += (missed + 1) * self.every.max(1);
        self.under_way_until = now.saturating_add(LONGEST_MS);
        true
    }

    pub fn series(&self) -> usize {
        self.instances.values().map(|one| one.series.len()).sum()
    }

    pub fn all_series(&self) -> impl Iterator<Item = (&Labels, &Kept)> {
        let all = self.instances.values().flat_map(|one| &one.series);
        all.map(|(labels, one)| (labels, &one.kept))
    }

    /// Takes in what was read `at`; with `room` for so many series.
    pub fn keep(&mut self, at: i64, read: Result<Vec<Read>, Unusable>, room: usize) {
        self.under_way_until = 0;
        let all = read.unwrap_or_else(|why| {
            self.trouble = Some(why);
            Vec::new()
        });
        let (mut good, mut trouble) = (false, None);
        for Read { instance, samples } in all {
            let kept = samples.and_then(|samples| self.take(at, &instance, samples, room));
            match kept {
                Ok(()) => good = true,
                Err(why) => trouble = Some(why),
            }
        }
        // One of several instances may be gone before its address is.
        if good {
            self.trouble = None;
        } else if let Some(why) = trouble {
            self.trouble = Some(why);
        }
        self.readings.push(at, f64::from(u8::from(good)));
        for instance in self.instances.values_mut() {
            for series in instance.series.values_mut() {
                series.kept.forget(at);
                if series.seen != at && !series.own_times {
                    series.kept.end(at);
                }
            }
        }
        self.forget(at);
    }

    /// Drops what nothing is known of any more.
    fn forget(&mut self, now: i64) {
        for instance in self.instances.values_mut() {
            instance.series.retain(|_, one| !one.kept.is_empty());
            instance.turns.retain(|turn| now - turn < TURNS_MS);
        }
        self.instances.retain(|_, one| !one.series.is_empty() || !one.turns.is_empty());
    }

    /// Forgets former instances, the oldest first, where there are more series than `room`.
    fn make_room(&mut self, now: i64, room: usize) {
        let seen = |one: &Instance| one.series.values().map(|one| one.seen).max();
        let former = |one: &Instance| seen(one).is_some_and(|seen| now - seen > FORMER_MS);
        while self.series() > room {
            let gone = self.instances.iter().filter(|(_, one)| former(one));
            let oldest = gone.min_by_key(|(_, one)| seen(one)).map(|(name, _)| name.clone());
            let Some(oldest) = oldest else { return };
            self.instances.remove(&oldest);
        }
    }

    fn take(
        &mut self,
        at: i64,
        instance: &str,
        samples: Vec<Sample>,
        room: usize,
    ) -> Result<(), Unusable> {
        self.make_room(at, room.saturating_sub(samples.len()));
        let others = self.series();
        let own = self.instances.entry(instance.to_owned()).or_default();
        own.process(at, &samples)?;
        let named = |mut labels: Labels| {
            labels.entry("instance".to_owned()).or_insert_with(|| instance.to_owned());
            labels
        };
        let samples: Vec<(Labels, Sample)> =
            samples.into_iter().map(|one| (named(one.labels.clone()), one)).collect();
        let more = samples.iter().filter(|(labels, _)| !own.series.contains_key(labels)).count();
        if others + more > room {
            return Err(Unusable::Refused(format!(
                "it has {} series of what is asked for, and there is room for {room}: name \
                 metrics with fewer labels",
                others + more
            )));
        }
        for (labels, Sample { value, at: own_time, .. }) in samples {
            if own_time.is_some_and(|own| own > at.saturating_add(AHEAD_MS)) {
                continue;
            }
            let series = own.series.entry(labels).or_default();
            series.seen = at;
            series.own_times = own_time.is_some();
            series.kept.push(own_time.unwrap_or(at), value);
        }
        Ok(())
    }

    /// Why nothing is known of the time `at`, in words.
    pub fn why_not(&self, page: &Page, at: i64) -> Option<Unusable> {
        let Some((first, _)) = self.readings.first().filter(|(first, _)| *first <= at) else {
            // Before it was wanted it has no past, as in a Prometheus that did not know it.
            let was_wanted = at >= self.since && self.readings.is_empty();
            let why = || Unusable::Unreachable(format!("{page} has not been read yet"));
            return was_wanted.then(why);
        };
        let lately = self.readings.between(at.saturating_sub(LOOKBACK_MS - 1), at);
        if lately.iter().any(|(_, read)| *read > 0.0) {
            return None;
        }
        let last = self.readings.last().map_or(first, |(last, _)| last);
        let words = |why: &str| format!("{page}: {why}");
        Some(match &self.trouble {
            Some(why) if last.saturating_sub(at) < LOOKBACK_MS => match why {
                Unusable::Refused(why) => Unusable::Refused(words(why)),
                why => Unusable::Unreachable(words(&why.to_string())),
            },
            Some(_) | None => Unusable::Unreachable(words("it could not be read then")),
        })
    }
}

impl Instance {
    /// Whether one process answers, as far as it says when it began. One that began earlier
    /// than the one before has counted what was never read: its past is another's.
    fn process(&mut self, at: i64, samples: &[Sample]) -> Result<(), Unusable> {
        let is_start =
            |one: &&Sample| one.labels.get("__name__").is_some_and(|name| name == STARTED);
        let started = samples.iter().find(is_start).map(|one| one.value);
        let before = std::mem::replace(&mut self.started, started);
        if let (Some(before), Some(now)) = (before, started)
            && now < before - SAME
        {
            self.turns.push(at);
            self.series.clear();
        }
        self.turns.retain(|turn| at - turn < TURNS_MS);
        if self.turns.len() < TURNS {
            return Ok(());
        }
        Err(Unusable::Refused(
            "several processes answer in turn, so its counters jump: name the page of each \
             instance, or with `each_address: true` a name that leads to all of them"
                .to_owned(),
        ))
    }
}
