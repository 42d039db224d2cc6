//! The sequential test of one check: which shares are tested against which nulls.
//!
//! A ratio is one test. A latency is one test per chosen bound of its histogram,
//! whose mean is evidence again (a mean of e-values is one): the bounds around what
//! was usual, and the one below the limit.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::baseline::{LEAST_NULL, Reference, Usual};
use super::evidence::{ALTERNATIVES, Cap, Evidence, Search, Transients, counts, series};
use super::value::{self, Pool};
use crate::model::Counts;
use crate::policy::{Check, Measure};

/// The tests of a check with their evidence.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Probes(Vec<Probe>);

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Probe {
    /// In seconds; `None` where there is only one test.
    bound: Option<f64>,
    evidence: Evidence,
}

/// "Nothing changed" for one test.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Null {
    /// The bound that it speaks of, in seconds.
    pub bound: Option<f64>,
    pub kind: NullKind,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NullKind {
    /// The share of bad events is at most this.
    Share { at_most: f64, phi: f64 },
    /// The series stays on this side of the limit.
    Level { level: series::Level, limit: f64 },
}

/// How much worse than usual the controls are now, and so the null.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Lift {
    /// How many times, at least 1.
    pub rise: f64,
    /// By how much, at least 0: what hits a service that hardly ever fails is no multiple
    /// of anything.
    pub excess: f64,
}

impl Lift {
    pub const NONE: Self = Self { rise: 1.0, excess: 0.0 };

    fn of(self, share: f64) -> f64 {
        (share * self.rise).max(share + self.excess).min(0.99)
    }

    #[must_use]
    pub fn max(self, other: Self) -> Self {
        Self { rise: self.rise.max(other.rise), excess: self.excess.max(other.excess) }
    }
}

/// A null of a limit may lie this far below it where a baseline is known: what is
/// less than that above it is never worth a word.
const FLOOR_OF_LIMIT: f64 = 0.25;
/// Bounds that are tested of a histogram.
const MOST_BOUNDS: usize = 3;

impl Probes {
    /// Adds one sample. Tests that are new begin with it; tests that are no longer
    /// asked are dropped.
    pub fn add(&mut self, check: &Check, at: Timestamp, pool: &Pool, nulls: &[Null], cap: Cap) {
        self.0.retain(|probe| nulls.iter().any(|null| null.bound == probe.bound));
        for null in nulls {
            let index =
                self.0.iter().position(|probe| probe.bound == null.bound).unwrap_or_else(|| {
                    self.0.push(Probe { bound: null.bound, evidence: Evidence::default() });
                    self.0.len() - 1
                });
            if let Some(ratios) = null.ratios(check, pool) {
                self.0[index].evidence.add(at, ratios, cap);
            }
        }
    }

    /// ln of the mean evidence; 0 without a test.
    pub fn ln(&self) -> f64 {
        self.ln_of(Evidence::ln)
    }

    /// The same with what has not outlasted yet what passed by itself.
    pub fn ln_with_held(&self) -> f64 {
        self.ln_of(Evidence::ln_with_held)
    }

    fn ln_of(&self, ln: impl Fn(&Evidence) -> f64) -> f64 {
        if self.0.is_empty() {
            return 0.0;
        }
        #[expect(clippy::cast_precision_loss, reason = "a handful")]
        let count = self.0.len() as f64;
        let sum: f64 = self.0.iter().map(|probe| ln(&probe.evidence).exp()).sum();
        (sum / count).max(f64::MIN_POSITIVE).ln()
    }

    /// Since when the test that says most looks changed.
    pub fn since(&self) -> Option<Timestamp> {
        self.0
            .iter()
            .max_by(|a, b| a.evidence.ln().total_cmp(&b.evidence.ln()))
            .and_then(|probe| probe.evidence.since())
    }
}

impl Null {
    /// What a sample says against it: the log likelihood ratio of each alternative; `None`
    /// where it is not of that kind.
    fn ratios(&self, check: &Check, pool: &Pool) -> Option<[f64; ALTERNATIVES]> {
        match (&self.kind, counted(pool, self.bound)) {
            (NullKind::Share { at_most, phi }, Some(counts)) => {
                Some(counts::ratios(counts, *at_most, *phi))
            }
            (NullKind::Level { level, limit }, None) => {
                let limit = series::Limit { value: *limit, upward: check.higher_is_worse() };
                Some(series::ratios(level, pool.worst(check)?, limit))
            }
            (NullKind::Share { .. }, None) | (NullKind::Level { .. }, Some(_)) => None,
        }
    }
}

/// What looked like a change in samples, oldest first, each `step` seconds after the
/// other, and passed by itself.
pub fn transients(
    check: &Check,
    samples: &[(Timestamp, Pool)],
    step: f64,
    nulls: &[Null],
) -> Transients {
    let step = SignedDuration::try_from_secs_f64(step).unwrap_or_default();
    let of = |null: &Null| {
        let mut search = Search::default();
        for (at, pool) in samples {
            if let Some(ratios) = null.ratios(check, pool) {
                search.add(at.checked_sub(step).unwrap_or(*at), *at, ratios);
            }
        }
        search.found()
    };
    nulls.iter().map(of).fold(Transients::default(), Transients::max)
}

/// The bad events of a sample under a test.
pub fn counted(pool: &Pool, bound: Option<f64>) -> Option<Counts> {
    match (pool, bound) {
        (Pool::Counts(counts), None) => Some(*counts),
        (Pool::Histogram(_), Some(bound)) => pool.slower_than(bound),
        (Pool::Counts(_), Some(_)) | (Pool::Histogram(_), None) | (Pool::Values(_), _) => None,
    }
}

/// The tests of `check` against `references`, of which the laxest counts for each;
/// without any, against the mildest limit itself. `lift`: how much worse than usual the
/// control of a bound is now.
pub fn nulls(
    check: &Check,
    references: &[&Reference],
    lift: impl Fn(Option<f64>) -> Lift,
) -> Vec<Null> {
    match &check.measure {
        Measure::Ratio { .. } => share_null(check, references, lift(None)).into_iter().collect(),
        Measure::Latency { quantile, .. } => bounds(check, *quantile, references)
            .into_iter()
            .map(|bound| {
                let (usual, phi) =
                    usually_slower(references, bound).unwrap_or((1.0 - quantile, 1.0));
                let at_most = lift(Some(bound)).of(a_little_more(usual.max(LEAST_NULL)));
                Null { bound: Some(bound), kind: NullKind::Share { at_most, phi } }
            })
            .collect(),
        Measure::Gauge { .. } => {
            level_null(check, references, lift(None).rise).into_iter().collect()
        }
        Measure::Status { .. } => Vec::new(),
    }
}

/// The odds of a slow request may rise by a tenth without a word: far less than any limit
/// means, and as much as a service's mood.
fn a_little_more(share: f64) -> f64 {
    const MOOD: f64 = 1.1;
    MOOD * share / (1.0 - share + MOOD * share)
}

fn share_null(check: &Check, references: &[&Reference], lift: Lift) -> Option<Null> {
    let shares = || {
        references.iter().filter_map(|reference| match &reference.usual {
            Usual::Share(share) => Some(*share),
            Usual::Slower { .. } | Usual::Level(_) => None,
        })
    };
    let usual = shares().map(|share| share.upper).reduce(f64::max);
    let limit = mildest_share(check);
    let relative = check.baseline.as_ref().zip(shares().map(|share| share.mean).reduce(f64::max));
    let relative = relative.map(|(rule, mean)| least_rise(mean, rule.worse_by));
    let target = [limit, relative].into_iter().flatten().reduce(f64::min)?;
    let mean = shares().map(|share| share.mean).fold(0.0, f64::max);
    let at_most = match usual {
        // How far it wanders is no reason not to mind what the policy minds.
        Some(usual) if mean < target => usual.min(target).max(target * FLOOR_OF_LIMIT),
        Some(usual) => usual,
        None => limit?,
    };
    let at_most = at_most.max(LEAST_NULL);
    let phi = shares().map(|share| share.phi).fold(1.0, f64::max);
    let kind = NullKind::Share { at_most: lift.of(at_most), phi };
    Some(Null { bound: None, kind })
}

/// What a share must rise to before a baseline rule minds: the factor, and near zero,
/// where a factor says nothing, three in a thousand more.
pub fn least_rise(usual: f64, worse_by: f64) -> f64 {
    const LEAST: f64 = 0.003;
    (usual * worse_by).max(usual + LEAST)
}

/// The mildest limit as a share of bad events.
fn mildest_share(check: &Check) -> Option<f64> {
    check.breach.values().map(|limit| value::bad_share(check, &limit.bound)).reduce(f64::min)
}

/// The mildest limit of a latency or a series.
fn mildest(check: &Check) -> Option<f64> {
    let bounds = check.breach.values().map(|limit| limit.bound.value);
    if check.higher_is_worse() { bounds.reduce(f64::min) } else { bounds.reduce(f64::max) }
}

fn usually_slower(references: &[&Reference], bound: f64) -> Option<(f64, f64)> {
    references
        .iter()
        .filter_map(|reference| match &reference.usual {
            Usual::Slower { pooled, shares } => {
                // The nearest bound below: its share is at least as large.
                let index = pooled.bounds.iter().rposition(|b| *b <= bound)?;
                shares.get(index).map(|share| (share.upper, share.phi))
            }
            Usual::Share(_) | Usual::Level(_) => None,
        })
        .reduce(|a, b| (a.0.max(b.0), a.1.max(b.1)))
}

/// The bounds that are tested: the two around the usual quantile, and the last one
/// that is not above the limit.
fn bounds(check: &Check, quantile: f64, references: &[&Reference]) -> Vec<f64> {
    let nearest = references.iter().find_map(|reference| match &reference.usual {
        Usual::Slower { pooled, .. } => Some(pooled),
        Usual::Share(_) | Usual::Level(_) => None,
    });
    let limit = mildest(check);
    let Some(pooled) = nearest else { return limit.into_iter().collect() };
    let mut chosen: Vec<f64> = Vec::new();
    if let Some(usual) = pooled.quantile(quantile) {
        let above = pooled.bounds.iter().position(|bound| *bound >= usual);
        chosen.extend(above.into_iter().flat_map(|above| {
            [above.checked_sub(1), Some(above)].into_iter().flatten().map(|i| pooled.bounds[i])
        }));
    }
    let below = limit.and_then(|limit| pooled.bounds.iter().rev().find(|bound| **bound <= limit));
    chosen.extend(below);
    chosen.sort_by(f64::total_cmp);
    chosen.dedup();
    chosen.truncate(MOST_BOUNDS);
    chosen
}

fn level_null(check: &Check, references: &[&Reference], rise: f64) -> Option<Null> {
    let upward = check.higher_is_worse();
    let rule = check.baseline.as_ref()?;
    let worst = references
        .iter()
        .filter_map(|reference| match &reference.usual {
            Usual::Level(level) => Some(*level),
            Usual::Share(_) | Usual::Slower { .. } => None,
        })
        .reduce(|a, b| if (a.median < b.median) == upward { b } else { a })?;
    // Half of the change that the policy minds is never worth a word.
    let factor = 1.0 + (rule.worse_by - 1.0) / 2.0;
    let limit = if upward { worst.median * factor * rise } else { worst.median / factor / rise };
    // Of nothing every factor is nothing: what is normal is not worth a word either.
    let normal = check.normal.filter(|_| upward && worst.median <= 0.0);
    let limit = normal.map_or(limit, |normal| limit.max(normal.value));
    Some(Null { bound: None, kind: NullKind::Level { level: worst, limit } })
}
