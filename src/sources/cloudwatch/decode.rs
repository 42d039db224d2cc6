//! From the results of a call to series.

use std::collections::{BTreeMap, HashMap};

use aws_sdk_cloudwatch::types::{MetricDataResult, StatusCode};

use super::calls::{Wanted, period};
use crate::model::{Fold, Unusable};
use crate::sources::track::{Fetched, Track};

/// The results of all pages of an answer, by id.
#[derive(Debug, Default)]
pub(super) struct Results(HashMap<String, Answer>);

#[derive(Debug, Default)]
struct Answer {
    /// The start of each period in seconds since the epoch, and its value.
    points: BTreeMap<i64, f64>,
    failed: Option<Unusable>,
}

impl Results {
    /// Takes a page in.
    pub fn take(&mut self, page: &[MetricDataResult]) {
        for one in page {
            let Some(id) = one.id() else { continue };
            let known = self.0.entry(id.to_owned()).or_default();
            let times = one.timestamps().iter().map(aws_sdk_cloudwatch::primitives::DateTime::secs);
            known.points.extend(times.zip(one.values().iter().copied()));
            known.failed = status(one);
        }
    }

    /// The data points of a query.
    pub fn of(&self, id: &str) -> Result<&BTreeMap<i64, f64>, Unusable> {
        match self.0.get(id) {
            None => Err(Unusable::Unreachable("CloudWatch left it out of its answer".into())),
            Some(Answer { failed: Some(why), .. }) => Err(why.clone()),
            Some(Answer { points, failed: None }) => Ok(points),
        }
    }
}

/// What the status of a result means; that of the last page counts.
fn status(result: &MetricDataResult) -> Option<Unusable> {
    let said: Vec<&str> = result.messages().iter().filter_map(|one| one.value()).collect();
    let said = if said.is_empty() { String::new() } else { format!(": {}", said.join("; ")) };
    match result.status_code() {
        None | Some(StatusCode::Complete) => None,
        Some(StatusCode::Forbidden) => {
            Some(Unusable::Refused(format!("CloudWatch forbids to read this metric{said}")))
        }
        Some(StatusCode::PartialData) => {
            Some(Unusable::Unreachable(format!("CloudWatch gave only a part of the data{said}")))
        }
        Some(other) => {
            Some(Unusable::Unreachable(format!("CloudWatch answered {}{said}", other.as_str())))
        }
    }
}

impl Wanted {
    /// One series of the data points, each at the end of its period and in the base unit.
    pub(super) fn fetched(&self, points: &BTreeMap<i64, f64>) -> Fetched {
        let (ticks, scale) = (self.ticks, self.ask.metric.unit.scale());
        let period = period(&self.ask, ticks).saturating_mul(1000);
        let samples = points
            .iter()
            .map(|(start, value)| {
                (start.saturating_mul(1000).saturating_add(period), value * scale)
            })
            .filter(|(at, _)| ticks.stretch_of(*at).is_some());
        let samples: Vec<(i64, f64)> = match self.ask.fold {
            Fold::Whole | Fold::Each => samples.collect(),
            Fold::Highest => folded(samples, |at| ticks.stretch_of(at), f64::max),
            Fold::Lowest => folded(samples, |at| ticks.stretch_of(at), f64::min),
        };
        let labels = BTreeMap::new();
        let tracks = if samples.is_empty() { Vec::new() } else { vec![Track { labels, samples }] };
        Fetched { tracks, failed: Vec::new() }
    }
}

/// One sample for each stretch, at the time of its last one.
fn folded(
    samples: impl Iterator<Item = (i64, f64)>,
    stretch: impl Fn(i64) -> Option<usize>,
    fold: impl Fn(f64, f64) -> f64,
) -> Vec<(i64, f64)> {
    let mut kept: Vec<(i64, f64)> = Vec::new();
    for (at, value) in samples {
        match kept.last_mut() {
            Some(last) if stretch(last.0) == stretch(at) => *last = (at, fold(last.1, value)),
            Some(_) | None => kept.push((at, value)),
        }
    }
    kept
}
