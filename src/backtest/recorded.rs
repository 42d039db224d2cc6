//! Measurements of the past, fetched as the rehearsal asks for them.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::runtime::Handle;

use super::run::Bench;
use crate::judge::value_of;
use crate::model::{Ask, Measured, Measurement, Ticks, Unusable};
use crate::rehearsal::{Asked, Readings};
use crate::sources::{Due, Prometheus, Sources, measure};

/// Waits before what could not be asked is asked again.
const AGAIN: [Duration; 2] = [Duration::from_millis(300), Duration::from_secs(2)];

/// What was measured of a check, for its picture: of the service (`None`) or a control.
/// `None` for a value: asked and not known.
pub(super) type Series = BTreeMap<(String, Option<String>), BTreeMap<Timestamp, Option<f64>>>;

/// A Prometheus as the source of a rehearsal. Must not be used on a thread of the
/// runtime: it waits.
pub(super) struct Recorded<'a> {
    source: &'a Prometheus,
    runtime: &'a Handle,
    /// Ticks that could not be asked though it was tried again.
    pub lost: usize,
    pub why: Option<String>,
    /// Checks of a share, and whether a bad event was ever measured.
    bad: BTreeMap<String, bool>,
    /// Kept only where pictures are drawn.
    pub series: Option<Series>,
}

impl Readings for Recorded<'_> {
    fn measure(&mut self, asked: &[Asked<'_>]) -> Vec<Measured> {
        let due = |place: &usize| {
            let Asked { question, ticks, .. } = &asked[*place];
            Due { key: *place, question: question.clone(), ticks: *ticks }
        };
        let sources = Sources::from(self.source.clone());
        let mut measured: Vec<Option<Measured>> = asked.iter().map(|_| None).collect();
        let mut wanted: Vec<usize> = (0..asked.len()).collect();
        for wait in [Some(Duration::ZERO)].into_iter().chain(AGAIN.map(Some)).flatten() {
            if wanted.is_empty() {
                break;
            }
            let due: Vec<Due<usize>> = wanted.iter().map(due).collect();
            let answers = self.runtime.block_on(async {
                tokio::time::sleep(wait).await;
                measure(&sources, due).await
            });
            wanted.clear();
            for (place, answer) in answers {
                if answer.readings.iter().any(|one| is_lost(one.as_ref().err())) {
                    wanted.push(place);
                }
                measured[place] = Some(answer);
            }
        }
        let none = || Measured { readings: Vec::new(), seen: BTreeMap::new() };
        let measured: Vec<Measured> =
            measured.into_iter().map(|one| one.unwrap_or_else(none)).collect();
        for (asked, measured) in asked.iter().zip(&measured) {
            self.note(asked, measured);
        }
        measured
    }
}

impl<'a> Recorded<'a> {
    pub fn of(bench: Bench<'a>, draws: bool) -> Self {
        let Bench { source, runtime, .. } = bench;
        Self {
            source,
            runtime,
            lost: 0,
            why: None,
            bad: BTreeMap::new(),
            series: draws.then(Series::new),
        }
    }

    /// The checks of a share that measured events, and not one bad.
    pub fn nothing_bad(&self) -> BTreeSet<String> {
        let good = self.bad.iter().filter(|(_, bad)| !**bad);
        good.map(|(check, _)| check.clone()).collect()
    }

    fn note(&mut self, asked: &Asked<'_>, measured: &Measured) {
        for reading in &measured.readings {
            if let Err(Unusable::Unreachable(why)) = reading {
                self.lost += 1;
                self.why.get_or_insert_with(|| why.clone());
            }
        }
        for reading in measured.readings.iter().filter(|_| asked.control.is_none()) {
            if let Ok(Measurement::Counts(counts)) = reading {
                *self.bad.entry(asked.check.name.clone()).or_default() |= counts.all.bad > 0.0;
            }
        }
        let Some(series) = &mut self.series else { return };
        let key = (asked.check.name.clone(), asked.control.map(str::to_owned));
        let kept = series.entry(key).or_default();
        for (at, reading) in asked.ticks.times().zip(&measured.readings) {
            let value = match reading {
                // The source measures less often than it is asked: no gap.
                Err(Unusable::NothingNew) => continue,
                Err(_) => None,
                Ok(found) => value_of(asked.check, found),
            };
            kept.insert(at, value);
        }
    }
}

fn is_lost(why: Option<&Unusable>) -> bool {
    matches!(why, Some(Unusable::Unreachable(_)))
}

/// Whether the source answers at all.
///
/// # Errors
/// Why it does not, in words.
pub async fn is_there(source: &Prometheus, now: Timestamp) -> Result<(), String> {
    let once = Ticks::once(now, SignedDuration::from_secs(1));
    let mut last = String::new();
    for wait in [Duration::ZERO].into_iter().chain(AGAIN) {
        tokio::time::sleep(wait).await;
        let fetched = source.fetch(&Ask::Query("vector(1)".to_owned()), once).await;
        match fetched.failed.into_iter().next() {
            None => return Ok(()),
            Some((_, why)) => last = why.to_string(),
        }
    }
    Err(last)
}
