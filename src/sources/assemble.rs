//! From the answers to a question's asks to one measurement of each tick.

use std::collections::{BTreeMap, BTreeSet};

use super::buckets::Buckets;
use super::counters::{Counters, Row};
use super::track::{Fetched, Track};
use crate::model::{
    ArmRule, Arms, Ask, Counts, Measured, Measurement, Newer, Question, Reading, Shape, Split,
    Ticks, Unusable,
};

/// Puts the answers to a question's asks together, in their order, for each of
/// `ticks`. The first answer that is an error is the reading's.
///
/// What the shapes make of odd answers:
///
/// - **Counts** (`BadOfTotal`, `GoodOfTotal`): several series are added up. One
///   series of a query that is NaN, infinite or negative spoils the whole count
///   ([`Unusable::NotFinite`]); negative zero is zero. The part is clamped to the
///   total: sources extrapolate, and may put one a little above the other.
/// - `BadOfTotal`: no `bad` series beside `total` is zero, because error series
///   exist only once there was an error; and so is a `bad` counter without a new
///   sample beside a `total` counter with one, whose instance has ended. No
///   `total` is [`Unusable::Empty`].
/// - `GoodOfTotal`: no `good` series is [`Unusable::Empty`], and so is no `total`.
/// - `Histogram`: added up by `le`; it needs `le="+Inf"`.
/// - `GaugeBeside`: a gauge; no value beside a proof above zero is zero, because its source
///   leaves zeros out. No value and no proof is [`Unusable::Empty`].
/// - `GaugeOf`: a gauge; made of fewer events than it needs it is [`Unusable::TooFew`].
/// - `Gauge`: every finite series is kept, by a short name made of its labels;
///   NaN and infinite ones are dropped. If none is finite: [`Unusable::NotFinite`].
///
/// The revisions are told apart where the question has a rule and the series have
/// its label; those without it count only for the whole.
pub fn assemble(question: &Question, ticks: Ticks, fetched: &[&Fetched]) -> Measured {
    let wanted = match question.shape {
        Shape::BadOfTotal | Shape::GoodOfTotal | Shape::GaugeBeside | Shape::GaugeOf { .. } => 2,
        Shape::Histogram | Shape::Gauge => 1,
    };
    if fetched.len() != wanted || question.asks.len() != wanted {
        let (has, none) = (question.asks.len(), BTreeMap::new());
        let why = Unusable::Refused(format!("the check needs {wanted} queries and has {has}"));
        return Measured { readings: vec![Err(why); ticks.count], seen: none };
    }
    let columns: Vec<_> = fetched.iter().map(|one| Columns::of(question, &one.tracks)).collect();
    let mut rows: Vec<_> = rows(question, ticks, fetched).into_iter().map(Vec::into_iter).collect();
    let readings = (0..ticks.count)
        .map(|_| {
            let mut next = rows.iter_mut().map(|rows| rows.next().unwrap_or(Ok(Vec::new())));
            match (question.shape, &columns[..], next.next(), next.next()) {
                (Shape::BadOfTotal, [bad, total], Some(b), Some(t)) => {
                    let b = match (b, &question.asks[..]) {
                        (Err(Unusable::NothingNew), [_, Ask::Counter(_)]) => Ok(Vec::new()),
                        (b, _) => b,
                    };
                    counts(bad, &b?, total, &t?, false)
                }
                (Shape::GoodOfTotal, [good, total], Some(g), Some(t)) => {
                    counts(good, &g?, total, &t?, true)
                }
                (Shape::Histogram, [buckets], Some(row), _) => buckets.histogram(&row?),
                (Shape::Gauge, [series], Some(row), _) => series.gauge(&row?),
                (Shape::GaugeBeside, [series, proof], Some(row), Some(proofs)) => {
                    let row = row?;
                    if row.is_empty() && proof.sums(&proofs?)?.all > 0.0 {
                        let values = BTreeMap::from([("value".to_owned(), 0.0)]);
                        return Ok(Measurement::Gauge { values });
                    }
                    series.gauge(&row)
                }
                (Shape::GaugeOf { least }, [series, events], Some(row), Some(counts)) => {
                    let (row, made_of) = (row?, events.sums(&counts?)?.all);
                    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
                    if !row.is_empty() && made_of < f64::from(least) {
                        return Err(Unusable::TooFew(made_of as u64));
                    }
                    series.gauge(&row)
                }
                (_, _, _, _) => Err(Unusable::WrongType),
            }
        })
        .collect();
    Measured { readings, seen: seen(question, fetched) }
}

fn rows<'a>(question: &'a Question, ticks: Ticks, fetched: &[&'a Fetched]) -> Vec<Vec<Row>> {
    let asked = || question.asks.iter().zip(fetched);
    let raw = asked().filter(|(ask, _)| matches!(ask, Ask::Counter(_)));
    let counters = Counters::of(
        raw.map(|(_, fetched)| fetched.tracks.as_slice()),
        &question.instance,
        question.births.as_ref(),
        ticks,
    );
    asked()
        .map(|(ask, fetched)| match ask {
            Ask::Counter(_) => counters.rows(fetched),
            Ask::Query(_)
            | Ask::Metric(_)
            | Ask::Alarms(_)
            | Ask::Tasks(_)
            | Ask::Health(_)
            | Ask::Json(_)
            | Ask::Beat(_) => values(fetched, ticks),
        })
        .collect()
}

/// The values of a query's series at each tick.
fn values(fetched: &Fetched, ticks: Ticks) -> Vec<Row> {
    let mut rows = vec![Vec::new(); ticks.count];
    for (place, track) in fetched.tracks.iter().enumerate() {
        for (time, value) in &track.samples {
            if let Some(tick) = ticks.stretch_of(*time) {
                rows[tick].push((place, *value));
            }
        }
    }
    let rows = rows.into_iter().enumerate();
    rows.map(|(tick, row)| fetched.why_not(tick).map_or(Ok(row), |why| Err(why.clone()))).collect()
}

/// The values that the series have of the labels that the question names.
fn seen(question: &Question, fetched: &[&Fetched]) -> BTreeMap<String, BTreeSet<String>> {
    let tracks = || fetched.iter().flat_map(|one| &one.tracks);
    question
        .labels
        .iter()
        .map(|label| {
            let values = tracks().filter_map(|track| track.labels.get(label));
            let values: BTreeSet<&String> = values.filter(|value| !value.is_empty()).collect();
            (label.clone(), values.into_iter().take(Measured::MOST_VALUES + 1).cloned().collect())
        })
        .collect()
}

/// Which revision a series is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    New,
    Old,
    /// Nobody says.
    Neither,
}

/// What is to be known of an ask's series, worked out once for all ticks.
struct Columns<'a> {
    tracks: &'a [Track],
    sides: Vec<Side>,
    buckets: Buckets,
}

/// A sum over series, and over those of each revision.
#[derive(Debug, Default)]
struct Sums {
    all: f64,
    new: f64,
    old: f64,
    /// Whether every series is of one of the revisions, and of none.
    sided: bool,
}

impl<'a> Columns<'a> {
    fn of(question: &Question, tracks: &'a [Track]) -> Self {
        let sides = tracks.iter().map(|track| side(question.arms.as_ref(), track)).collect();
        let buckets = match question.shape {
            Shape::Histogram => Buckets::of(tracks),
            Shape::BadOfTotal
            | Shape::GoodOfTotal
            | Shape::Gauge
            | Shape::GaugeBeside
            | Shape::GaugeOf { .. } => Buckets::default(),
        };
        Self { tracks, sides, buckets }
    }

    /// A value as a count.
    fn counted(&self, place: usize, value: f64) -> Result<f64, Unusable> {
        let name = || self.tracks[place].short_name();
        if !value.is_finite() {
            return Err(Unusable::NotFinite(format!("{value} for {}", name())));
        }
        if value < 0.0 {
            return Err(Unusable::NotFinite(format!("a negative count ({value}) for {}", name())));
        }
        Ok(value)
    }

    fn sums(&self, row: &[(usize, f64)]) -> Result<Sums, Unusable> {
        let mut sums = Sums::default();
        for &(place, value) in row {
            let value = self.counted(place, value)?;
            sums.all += value;
            match self.sides[place] {
                Side::New => sums.new += value,
                Side::Old => sums.old += value,
                Side::Neither => continue,
            }
            sums.sided = true;
        }
        if sums.all.is_infinite() {
            return Err(Unusable::NotFinite("a sum beyond counting".into()));
        }
        Ok(sums)
    }

    fn histogram(&self, row: &[(usize, f64)]) -> Reading {
        let mut counted = Vec::with_capacity(row.len());
        for &(place, value) in row {
            counted.push((place, self.sides[place], self.counted(place, value)?));
        }
        Ok(Measurement::Histogram(self.buckets.split(&counted)?))
    }

    fn gauge(&self, row: &[(usize, f64)]) -> Reading {
        let Some((first, odd)) = row.first() else { return Err(Unusable::Empty) };
        let mut values = BTreeMap::new();
        for (place, value) in row.iter().filter(|(_, value)| value.is_finite()) {
            // Only series that differ in nothing but the metric's name collide.
            let short = self.tracks[*place].short_name();
            let taken = values.contains_key(&short);
            let name = if taken { self.tracks[*place].full_name() } else { short };
            values.insert(name, value + 0.0);
        }
        if values.is_empty() {
            let name = self.tracks[*first].short_name();
            return Err(Unusable::NotFinite(format!("{odd} for {name}")));
        }
        Ok(Measurement::Gauge { values })
    }
}

/// `part` of `total`, as bad of total: the part is the good one, or the bad one.
fn counts(
    of: &Columns,
    part: &[(usize, f64)],
    of_total: &Columns,
    total: &[(usize, f64)],
    part_is_good: bool,
) -> Reading {
    if total.is_empty() || (part_is_good && part.is_empty()) {
        return Err(Unusable::Empty);
    }
    let (part_known, part, total) = (!part.is_empty(), of.sums(part)?, of_total.sums(total)?);
    let bad = |part: f64, total: f64| {
        let part = part.min(total);
        Counts { bad: if part_is_good { total - part } else { part }, total }
    };
    // A part that can't be divided says nothing of the revisions.
    let arms = (total.sided && (part.sided || !part_known))
        .then(|| Arms { new: bad(part.new, total.new), old: bad(part.old, total.old) });
    Ok(Measurement::Counts(Split { all: bad(part.all, total.all), arms }))
}

fn side(rule: Option<&ArmRule>, track: &Track) -> Side {
    let Some(rule) = rule else { return Side::Neither };
    match track.labels.get(&rule.label).filter(|value| !value.is_empty()) {
        None => Side::Neither,
        Some(value) => {
            let new = match &rule.newer {
                Newer::Is(version) => value == version,
                Newer::NotAmong(before) => !before.contains(value),
            };
            if new { Side::New } else { Side::Old }
        }
    }
}

#[cfg(test)]
#[path = "assemble_tests.rs"]
mod tests;
