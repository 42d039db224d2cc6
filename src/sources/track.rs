//! What a source answered about a stretch of time: series with their samples.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;

use crate::model::{Ticks, Unusable};

/// What may stand between the samples of a counter, where the source itself knows of its past:
/// a NaN that no source answers with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mark {
    /// It was there before and had counted, nobody knows how much: the next sample is a base.
    Unknown,
    /// It was zero: the next sample counts whole.
    Zero,
}

impl Mark {
    const ALL: [(Self, u64); 2] =
        [(Self::Unknown, 0x7ff0_0000_0000_0003), (Self::Zero, 0x7ff0_0000_0000_0004)];

    pub fn of(value: f64) -> Option<Self> {
        let found = Self::ALL.iter().find(|(_, bits)| *bits == value.to_bits());
        found.map(|(mark, _)| *mark)
    }

    pub fn value(self) -> f64 {
        let found = Self::ALL.iter().find(|(mark, _)| *mark == self);
        found.map_or(f64::NAN, |(_, bits)| f64::from_bits(*bits))
    }
}

/// One series over time.
#[derive(Debug, Clone, PartialEq)]
pub struct Track {
    pub labels: BTreeMap<String, String>,
    /// Milliseconds since the epoch, and the value as the source gave it: NaN and
    /// infinite ones too. Ascending; what is not is skipped by whoever reads them.
    pub samples: Vec<(i64, f64)>,
}

/// The answer to one ask over a grid of ticks.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Fetched {
    pub tracks: Vec<Track>,
    /// The ticks that there is no answer for, by index, and why.
    pub failed: Vec<(Range<usize>, Unusable)>,
}

impl Track {
    /// Whether there is a sample at `range`. A [`Mark`] is none.
    pub fn has_within(&self, range: Range<i64>) -> bool {
        let next = self.samples.partition_point(|(time, _)| *time < range.start);
        let within = self.samples.iter().skip(next).take_while(|(time, _)| *time < range.end);
        within.into_iter().any(|(_, value)| Mark::of(*value).is_none())
    }

    /// When its first sample is.
    pub fn first(&self) -> Option<i64> {
        let first = self.samples.iter().find(|(_, value)| Mark::of(*value).is_none());
        first.map(|(time, _)| *time)
    }

    /// `{a="b",c="d"}` without the metric's name, or `value` for a series without
    /// labels.
    pub fn short_name(&self) -> String {
        let labels: Vec<_> = self
            .labels
            .iter()
            .filter(|(name, _)| *name != "__name__")
            .map(|(name, value)| format!("{name}={value:?}"))
            .collect();
        if labels.is_empty() { "value".into() } else { format!("{{{}}}", labels.join(",")) }
    }

    /// As [`Track::short_name`], with the metric's name in front.
    pub fn full_name(&self) -> String {
        let metric = self.labels.get("__name__").map_or("", String::as_str);
        let short = self.short_name();
        format!("{metric}{}", if short == "value" { "" } else { &short })
    }
}

impl Fetched {
    /// No answer for any tick.
    pub fn failed(ticks: Ticks, why: Unusable) -> Self {
        Self { tracks: Vec::new(), failed: vec![(0..ticks.count, why)] }
    }

    /// Puts answers about successive parts of a grid together. What both of two
    /// neighbours have, because the later one looks back, is kept once.
    pub fn join(parts: Vec<Vec<Track>>) -> Vec<Track> {
        let mut parts = parts.into_iter();
        let mut joined = parts.next().unwrap_or_default();
        let mut rest = parts.peekable();
        if rest.peek().is_none() {
            return joined;
        }
        let mut places: HashMap<BTreeMap<String, String>, usize> =
            joined.iter().enumerate().map(|(at, track)| (track.labels.clone(), at)).collect();
        for track in rest.flatten() {
            if let Some(at) = places.get(&track.labels) {
                let samples = &mut joined[*at].samples;
                let last = samples.last().map_or(i64::MIN, |(time, _)| *time);
                samples.extend(track.samples.into_iter().filter(|(time, _)| *time > last));
            } else {
                places.insert(track.labels.clone(), joined.len());
                joined.push(track);
            }
        }
        joined
    }

    /// Why there is no answer for the tick of this index, if there is none.
    pub fn why_not(&self, index: usize) -> Option<&Unusable> {
        self.failed.iter().find(|(range, _)| range.contains(&index)).map(|(_, why)| why)
    }
}
