//! From the raw samples of counters to what happened in each stretch of time.
//!
//! Prometheus' `increase` guesses at the edges of its range and knows no sample
//! before it, so it loses the first samples of what is born, and neighbouring
//! ranges do not add up. Here an increment between two successive samples of a
//! series belongs whole to the stretch that the *later* sample lies in: over any
//! stretches that touch, nothing is counted twice or lost.

use std::collections::HashMap;

use super::track::{Fetched, Mark, Track};
use crate::model::{Births, Ticks, Unusable};

/// A sample may be this much older (in milliseconds) than the next and still be
/// its base: as far as Prometheus itself looks back for a value. It is the same
/// for stretches of every length, so that all of them add up to the same.
pub const LOOKBACK_MS: i64 = 5 * 60 * 1000;

/// What the series of one ask come to at a tick: place of the series, and value.
pub type Row = Result<Vec<(usize, f64)>, Unusable>;

/// All the counters of one question. They are looked at together, because one
/// counter says of another that their instance was there before.
#[derive(Debug)]
pub struct Counters<'a> {
    ticks: Ticks,
    label: &'a str,
    births: Option<&'a Births>,
    /// The series of what is scraped as one: by job and instance.
    targets: HashMap<(&'a str, &'a str), Vec<&'a Track>>,
}

impl<'a> Counters<'a> {
    /// Prepares `asks`: the series of each of a question's counters, from
    /// [`LOOKBACK_MS`] before the first stretch on. `label` names the instance.
    pub fn of(
        asks: impl Iterator<Item = &'a [Track]>,
        label: &'a str,
        births: Option<&'a Births>,
        ticks: Ticks,
    ) -> Self {
        let mut targets: HashMap<_, Vec<_>> = HashMap::new();
        for track in asks.flatten() {
            if let Some(target) = target(track, label) {
                targets.entry(target).or_default().push(track);
            }
        }
        Self { ticks, label, births, targets }
    }

    /// The increments of one ask's series in each stretch, counter resets seen
    /// through: a value that falls began again at zero.
    ///
    /// A series without a sample in the lookback before counts from zero if it is
    /// new on an instance that goes on (the first 5xx), or if its instance is
    /// newborn ([`Births`]). Otherwise its first sample is only the base of the
    /// next one: an old instance that comes back has not done it all at once.
    /// A sample that is NaN, infinite or negative is skipped. A [`Mark`] goes before all this:
    /// its source knows of the past.
    ///
    /// A stretch without any series, lookback included, is an empty row.
    /// [`Unusable::NothingNew`]: there are series, and nothing to be counted in
    /// the stretch. [`Unusable::NotFinite`]: nothing but impossible samples.
    pub fn rows(&self, fetched: &'a Fetched) -> Vec<Row> {
        let count = self.ticks.count;
        let mut rows = vec![Vec::new(); count];
        let mut odd: Vec<Option<Unusable>> = vec![None; count];
        let mut about = Presence::of(count);
        let mut continuing = HashMap::new();
        for (place, track) in fetched.tracks.iter().enumerate() {
            let mut base: Option<(i64, f64)> = None;
            let mut last = i64::MIN;
            let mut was_there = None;
            for &(time, value) in &track.samples {
                if time <= last {
                    continue;
                }
                last = time;
                if let Some(mark) = Mark::of(value) {
                    (base, was_there) = match mark {
                        Mark::Unknown => (None, Some(time)),
                        Mark::Zero => (Some((time, 0.0)), None),
                    };
                    continue;
                }
                about.mark(self.ticks, time);
                let stretch = self.ticks.stretch_of(time);
                if !value.is_finite() || value < 0.0 {
                    if let Some(stretch) = stretch {
                        odd[stretch].get_or_insert_with(|| not_finite(track, value));
                    }
                    continue;
                }
                if let Some(stretch) = stretch {
                    let more = match base {
                        Some((then, before)) if time.saturating_sub(then) <= LOOKBACK_MS => {
                            Some(if value < before { value } else { value - before })
                        }
                        Some(_) | None if was_there.is_some() => None,
                        Some(_) | None => {
                            self.is_born(track, time, &mut continuing).then_some(value)
                        }
                    };
                    if let Some(more) = more {
                        add(&mut rows[stretch], place, more);
                    }
                }
                (base, was_there) = (Some((time, value)), None);
            }
        }
        let about = about.by_tick();
        let told = rows.into_iter().zip(odd).zip(about).enumerate();
        told.map(|(tick, ((row, odd), about))| match (fetched.why_not(tick), odd) {
            (Some(why), _) => Err(why.clone()),
            (None, _) if !row.is_empty() => Ok(row),
            (None, Some(odd)) => Err(odd),
            (None, None) if about => Err(Unusable::NothingNew),
            (None, None) => Ok(row),
        })
        .collect()
    }

    /// Whether the counter was zero before its sample at `time`, which has none
    /// before it that could be its base. `continuing` remembers what was found
    /// of targets.
    fn is_born(
        &self,
        track: &'a Track,
        time: i64,
        continuing: &mut HashMap<(&'a str, &'a str, i64), bool>,
    ) -> bool {
        let before = time.saturating_sub(LOOKBACK_MS)..time;
        let Some((job, instance)) = target(track, self.label) else { return false };
        let Some(siblings) = self.targets.get(&(job, instance)) else { return false };
        // Samples that can't be used: it was there, and no base is known.
        if track.has_within(before.clone()) {
            return false;
        }
        let goes_on = *continuing.entry((job, instance, time)).or_insert_with(|| {
            // One that goes on in the same scrape: else the whole target came back,
            // or its labels were changed.
            siblings.iter().any(|other| {
                other.has_within(before.clone()) && other.has_within(time..time.saturating_add(1))
            })
        });
        goes_on || self.is_newborn(instance, siblings, time)
    }

    /// Whether the instance was seen never before `time`, in spite of somebody
    /// looking: after an outage of the source everything seems new.
    fn is_newborn(&self, instance: &str, siblings: &[&Track], time: i64) -> bool {
        let Some(births) = self.births else { return false };
        let before = time.saturating_sub(LOOKBACK_MS)..time;
        births.since.as_millisecond() < time
            && !births.known.contains(instance)
            && siblings.iter().all(|other| other.first().is_none_or(|first| first >= time))
            && self.targets.values().flatten().any(|other| other.has_within(before.clone()))
    }
}

/// The job and the instance of a series; `None` for one that names no instance.
fn target<'a>(track: &'a Track, label: &str) -> Option<(&'a str, &'a str)> {
    let instance = track.labels.get(label)?;
    Some((track.labels.get("job").map_or("", String::as_str), instance))
}

fn add(row: &mut Vec<(usize, f64)>, place: usize, more: f64) {
    match row.last_mut() {
        Some((last, sum)) if *last == place => *sum += more,
        Some(_) | None => row.push((place, more)),
    }
}

fn not_finite(track: &Track, value: f64) -> Unusable {
    Unusable::NotFinite(format!("{value} for {}", track.short_name()))
}

/// In which stretches, their lookbacks included, there is any sample.
struct Presence(Vec<i64>);

impl Presence {
    fn of(ticks: usize) -> Self {
        Self(vec![0; ticks + 1])
    }

    /// Marks the stretches that a sample at `time` lies in or shortly before.
    fn mark(&mut self, ticks: Ticks, time: i64) {
        let index = |ms: i64| {
            usize::try_from(ticks.next_after(ms).max(0)).map_or(ticks.count, |i| i.min(ticks.count))
        };
        self.0[index(time)] += 1;
        self.0[index(time.saturating_add(LOOKBACK_MS).saturating_add(ticks.step_ms()))] -= 1;
    }

    fn by_tick(self) -> Vec<bool> {
        let mut about = 0;
        let mut ticks: Vec<bool> = self
            .0
            .into_iter()
            .map(|change| {
                about += change;
                about > 0
            })
            .collect();
        ticks.pop();
        ticks
    }
}

#[cfg(test)]
#[path = "counters_tests.rs"]
mod tests;
