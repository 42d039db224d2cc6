//! What was read of one page.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use jiff::SignedDuration;

use super::Metrics;
use super::kept::Kept;
use super::text::Sample;
use crate::model::{Page, Unusable};
use crate::sources::counters::LOOKBACK_MS;
use crate::sources::track::Mark;

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
/// A reading that does not come back is given up after this.
const LONGEST_MS: i64 = 60 * 1000;
/// What a reading came to: all was read; nothing; some, and what is missing must be known.
const GOOD: f64 = 1.0;
const NOTHING: f64 = 0.0;
const SPOILT: f64 = -1.0;

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
    /// What was asked for when it was read last.
    asked: Metrics,
    instances: BTreeMap<String, Instance>,
    /// What each reading came to.
    readings: Kept,
}

#[derive(Debug, Default)]
struct Instance {
    series: HashMap<Labels, Series>,
    /// Whether its address is one of the page's still.
    is_present: bool,
    /// When it was read last, and what was asked for then.
    read: i64,
    asked: Option<Metrics>,
    /// Since when it can't be read, and why.
    trouble: Option<(i64, Unusable)>,
    started: Option<f64>,
    /// When another process, which began earlier, answered in its place.
    turns: Vec<i64>,
}

/// What is known of the counters of an instance that answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Past {
    /// They go on.
    Same,
    /// They began at zero after they were read last.
    Began,
    /// Another process counted them.
    Unknown,
}

#[derive(Debug, Default)]
struct Series {
    kept: Kept,
    /// The reading that had it last.
    seen: i64,
    /// The page says itself of when its samples are: they end by their age alone.
    own_times: bool,
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
            asked: Metrics::default(),
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

    /// All series, with those that are there no longer.
    pub fn series(&self) -> usize {
        self.instances.values().map(|one| one.series.len()).sum()
    }

    /// The series that there are now: of addresses that the name leads to, when each was read
    /// last.
    pub fn present(&self) -> usize {
        self.instances.values().map(Instance::present).sum()
    }

    pub fn all_series(&self) -> impl Iterator<Item = (&Labels, &Kept)> {
        let all = self.instances.values().flat_map(|one| &one.series);
        all.map(|(labels, one)| (labels, &one.kept))
    }

    /// Begins a reading of these instances. Returns what is asked for.
    pub fn begin(&mut self, instances: &BTreeSet<String>) -> Metrics {
        for (name, one) in &mut self.instances {
            one.is_present = instances.contains(name);
        }
        for name in instances {
            self.instances.entry(name.clone()).or_default().is_present = true;
        }
        self.metrics.clone()
    }

    /// Takes in what one instance said `at`, of what was `asked` for; with `room` for so many
    /// series of the page.
    pub fn keep(
        &mut self,
        at: i64,
        instance: &str,
        samples: Result<Vec<Sample>, Unusable>,
        (asked, room): (&Metrics, usize),
    ) {
        let taken = samples.and_then(|samples| self.take(at, instance, samples, (asked, room)));
        let Some(own) = self.instances.get_mut(instance) else { return };
        own.trouble = taken.err().map(|why| {
            let since = own.trouble.as_ref().map_or(at, |(since, _)| *since);
            (since, why)
        });
        own.end(at);
    }

    /// Ends a reading, in which it was `asked` for this.
    pub fn finish(&mut self, at: i64, asked: Metrics) {
        self.under_way_until = 0;
        let present = || self.instances.iter().filter(|(_, one)| one.is_present);
        let several = present().count() > 1;
        let good = present().any(|(_, one)| one.trouble.is_none());
        let told = |(name, why): (&String, &Unusable)| match why {
            why if !several => why.clone(),
            Unusable::Refused(why) => Unusable::Refused(format!("{name}: {why}")),
            why => Unusable::Unreachable(format!("{name}: {why}")),
        };
        // One that does not answer may be gone before its address is; one that is refused is
        // there, and may be the new revision.
        let is_refused = |why: &Unusable| matches!(why, Unusable::Refused(_));
        let troubles = present().filter_map(|(name, one)| {
            let (since, why) = one.trouble.as_ref()?;
            let counts = !good || is_refused(why) || at.saturating_sub(*since) >= LOOKBACK_MS;
            counts.then_some((name, why))
        });
        let trouble = troubles.max_by_key(|(_, why)| is_refused(why)).map(told);
        self.readings.push(
            at,
            match (good, &trouble) {
                (true, None) => GOOD,
                (true, Some(_)) => SPOILT,
                (false, _) => NOTHING,
            },
        );
        if good {
            self.asked = asked;
        }
        self.trouble = trouble;
        self.forget(at);
    }

    /// Notes that nothing could be read `at`.
    pub fn fail(&mut self, at: i64, why: Unusable) {
        self.under_way_until = 0;
        self.trouble = Some(why);
        self.readings.push(at, NOTHING);
        for instance in self.instances.values_mut() {
            instance.end(at);
        }
        self.forget(at);
    }

    /// Drops what nothing is known of any more, and ends what is there no longer.
    fn forget(&mut self, now: i64) {
        for instance in self.instances.values_mut() {
            if !instance.is_present {
                instance.end(now);
            }
            for series in instance.series.values_mut() {
                series.kept.forget(now);
            }
            instance.series.retain(|_, one| !one.kept.is_empty());
            instance.turns.retain(|turn| now - turn < TURNS_MS);
        }
        let is_known =
            |one: &Instance| one.is_present || !one.series.is_empty() || !one.turns.is_empty();
        self.instances.retain(|_, one| is_known(one));
    }

    /// Forgets series that are there no longer, those that were seen longest ago first, where
    /// there are more than `most`.
    fn make_room(&mut self, most: usize) {
        let Some(many) = self.series().checked_sub(most + 1) else { return };
        let former = |one: &Instance, series: &Series| !one.is_present || series.seen != one.read;
        let seen = self.instances.values().flat_map(|one| {
            let gone = one.series.values().filter(|series| former(one, series));
            gone.map(|series| series.seen)
        });
        let mut seen: Vec<i64> = seen.collect();
        seen.sort_unstable();
        let Some(last) = seen.get(many).or(seen.last()).copied() else { return };
        for one in self.instances.values_mut() {
            let (is_present, read) = (one.is_present, one.read);
            let stays = |series: &Series| is_present && series.seen == read || series.seen > last;
            one.series.retain(|_, series| stays(series));
        }
    }

    fn take(
        &mut self,
        at: i64,
        instance: &str,
        samples: Vec<Sample>,
        (asked, room): (&Metrics, usize),
    ) -> Result<(), Unusable> {
        self.make_room((2 * room).saturating_sub(samples.len()));
        let all = self.present();
        let asked_before = self.asked.clone();
        let own = self.instances.entry(instance.to_owned()).or_default();
        let others = all.saturating_sub(own.present());
        if others + samples.len() > room {
            return Err(Unusable::Refused(format!(
                "it has {} series of what is asked for, and there is room for {room}: name \
                 metrics with fewer labels",
                others + samples.len()
            )));
        }
        let past = own.process(at, &samples)?;
        let asked_before = own.asked.replace(asked.clone()).unwrap_or(asked_before);
        own.read = at;
        for Sample { mut labels, value, at: own_time } in samples {
            if own_time.is_some_and(|own| own > at.saturating_add(AHEAD_MS)) {
                continue;
            }
            let name = labels.get("__name__").map_or("", String::as_str);
            let mark = match past {
                Past::Began => Some(Mark::Zero),
                Past::Unknown => Some(Mark::Unknown),
                // What nobody asked for until now was there, and nobody looked.
                Past::Same => (!asked_before.takes(name)).then_some(Mark::Unknown),
            };
            labels.entry("instance".to_owned()).or_insert_with(|| instance.to_owned());
            let series = own.series.entry(labels).or_default();
            series.seen = at;
            series.own_times = own_time.is_some();
            let time = own_time.unwrap_or(at);
            if let Some(mark) = mark {
                series.kept.push(time.saturating_sub(1), mark.value());
            }
            series.kept.push(time, value);
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
        let is_spoilt = lately.last().is_some_and(|(_, read)| *read < NOTHING);
        if !is_spoilt && lately.iter().any(|(_, read)| *read > NOTHING) {
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
    /// Series that were there when it was read last.
    fn present(&self) -> usize {
        let there = self.series.values().filter(|one| one.seen == self.read);
        if self.is_present { there.count() } else { 0 }
    }

    /// Ends the series that were not seen `at`.
    fn end(&mut self, at: i64) {
        for series in self.series.values_mut() {
            if series.seen != at && !series.own_times {
                series.kept.end(at);
            }
        }
    }

    /// What is known of its counters' past, as far as it says when its process began. One that
    /// began earlier than the one before, or before it was read last, has counted what was
    /// never read: its past is another's.
    fn process(&mut self, at: i64, samples: &[Sample]) -> Result<Past, Unusable> {
        let is_start =
            |one: &&Sample| one.labels.get("__name__").is_some_and(|name| name == STARTED);
        let mut all = samples.iter().filter(is_start).map(|one| one.value);
        // Several are of several instances that the page shows.
        let started = all.next().filter(|_| all.next().is_none());
        let before = self.started;
        self.started = started.or(before);
        let past = match (before, started) {
            (Some(before), Some(now)) if now < before - SAME => {
                self.turns.push(at);
                Past::Unknown
            }
            (Some(before), Some(now)) if now > before + SAME => {
                let read = SignedDuration::from_millis(self.read).as_secs_f64();
                let is_new = now > read - SAME && at.saturating_sub(self.read) <= LOOKBACK_MS;
                if is_new { Past::Began } else { Past::Unknown }
            }
            (Some(_) | None, Some(_) | None) => Past::Same,
        };
        self.turns.retain(|turn| at - turn < TURNS_MS);
        if self.turns.len() < TURNS {
            return Ok(past);
        }
        Err(Unusable::Refused(
            "several processes answer in turn, so its counters jump: name the page of each \
             instance, or with `each_address: true` a name that leads to all of them"
                .to_owned(),
        ))
    }
}
