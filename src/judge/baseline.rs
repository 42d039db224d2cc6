//! What a check was like without the deployment: one reference per stretch that the
//! policy compares with, and how far a healthy service strayed from it.
//!
//! A stretch is measured in many samples, not one, because the question is how much
//! they vary. It is also judged itself, by the code that judges the deployment: a
//! deployment must outlast what passed by itself (calibration), and what had begun to
//! break before the roll-out is not its doing.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::evidence::series::Level;
use super::evidence::{Cap, Evidence, Transients, counts};
use super::probe::{Lift, nulls, transients as transients_in};
use super::value::{self, Pool};
use crate::model::{Counts, Histogram, Reading};
use crate::policy::{Check, Measure};

/// What the check measured in one stretch.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Baseline {
    /// Not measured yet.
    #[default]
    Pending,
    Measured(Box<Reference>),
    /// It can't be had.
    Missing {
        because: String,
    },
}

/// A usable stretch.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Reference {
    /// In the check's unit and on the side that its limits speak of.
    pub value: f64,
    /// Samples that measured something.
    pub samples: u32,
    pub usual: Usual,
    /// Since when it had been worse than the rest of it, up to its end.
    pub began: Option<Timestamp>,
    /// 0 for gauges.
    #[serde(default)]
    pub events_per_second: f64,
    /// What looked like a change in it and passed by itself.
    #[serde(default)]
    pub transients: Transients,
    /// How much of the stretch was left out, because an earlier deployment did harm then.
    #[serde(default)]
    pub left_out: SignedDuration,
}

/// What was usual, by the kind of the check.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Usual {
    Share(Share),
    /// For each bound of the histogram the share of slower requests.
    Slower {
        pooled: Histogram,
        shares: Vec<Share>,
    },
    Level(Level),
}

/// A share of bad events.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Share {
    pub mean: f64,
    /// Its upper bound: the share is below it with the probability [`LEVEL`].
    pub upper: f64,
    /// Dispersion, at least 1.
    pub phi: f64,
}

/// How sure the upper bound of a usual share is, and how many standard deviations of its
/// wandering lie above it.
const LEVEL: f64 = 0.8;
const WANDERS: f64 = 2.0;
/// How many times better the end of a stretch must be to stand for all of it.
const FAR_BETTER: f64 = 1.5;
/// Samples below which there is no baseline.
const LEAST_SAMPLES: usize = 3;
/// The end of the stretch that is asked whether something had begun: one part in this.
const TAIL: usize = 5;
/// ln E at which something had begun before the roll-out: E = 20.
const BEGUN: f64 = 3.0;
/// Seconds of a longer past that are judged by one null.
const AT_ONCE: f64 = 7200.0;
/// The strictness of that question; only its order matters.
const REPLAY_ALPHA: f64 = 0.001;
const REPLAY_AGREE: f64 = 1.5;

impl Baseline {
    /// The baseline that the samples of a stretch give, oldest first, `step` seconds
    /// apart.
    pub fn of(check: &Check, samples: &[(Timestamp, Reading)], step: f64) -> Baseline {
        Self::from(check, samples, step, Keep::Latest)
    }

    /// The same of a control: what it is like when nothing is broken, so what began in
    /// the stretch is left out.
    pub fn of_control(check: &Check, samples: &[(Timestamp, Reading)], step: f64) -> Baseline {
        Self::from(check, samples, step, Keep::Clean)
    }

    fn from(check: &Check, samples: &[(Timestamp, Reading)], step: f64, keep: Keep) -> Baseline {
        let missing = |because: String| Baseline::Missing { because };
        let usable: Vec<(Timestamp, Pool)> = samples
            .iter()
            .filter_map(|(at, reading)| Some((*at, Pool::of(check, reading.as_ref().ok()?)?)))
            .collect();
        if usable.len() < LEAST_SAMPLES {
            let error = samples.iter().rev().find_map(|(_, reading)| reading.as_ref().err());
            return missing(error.map_or_else(
                || "too few samples".to_owned(),
                |error| format!("{} of {} samples: {error}", usable.len(), samples.len()),
            ));
        }
        let traffic: f64 = usable.iter().map(|(_, pool)| pool.total()).sum();
        if check.counts_events() && traffic < check.min_traffic {
            return missing(format!("too little traffic ({traffic:.0} events)"));
        }
        match Reference::of(check, &usable, step, keep) {
            Some(reference) => Baseline::Measured(Box::new(reference)),
            None => missing("too few samples".to_owned()),
        }
    }

    /// Of a control whose query does not name the service: it would show the deployment
    /// itself once more.
    pub fn unnamed() -> Baseline {
        Baseline::Missing { because: "the query does not name the service".to_owned() }
    }

    /// What looked like a change in a longer past and passed by itself; judged two hours
    /// at a time, because a day has its own ups and downs.
    pub fn transients(check: &Check, samples: &[(Timestamp, Reading)], step: f64) -> Transients {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "hundreds")]
        let at_once = (AT_ONCE / step.max(1.0)).ceil().max(1.0) as usize;
        samples
            .chunks(at_once)
            .filter_map(|part| Some(Self::of(check, part, step).reference()?.transients))
            .fold(Transients::default(), Transients::and)
    }

    /// The same, which so much was left out of.
    #[must_use]
    pub fn without(self, left_out: SignedDuration) -> Self {
        match self {
            Self::Measured(reference) => {
                Self::Measured(Box::new(Reference { left_out, ..*reference }))
            }
            Self::Missing { because } if !left_out.is_zero() => {
                Self::Missing { because: format!("{because}; {}", left_out_in_words(left_out)) }
            }
            Self::Pending | Self::Missing { .. } => self,
        }
    }

    pub fn reference(&self) -> Option<&Reference> {
        match self {
            Baseline::Measured(reference) => Some(reference),
            Baseline::Pending | Baseline::Missing { .. } => None,
        }
    }
}

fn left_out_in_words(left_out: SignedDuration) -> String {
    format!("{left_out:#} left out, when an earlier deployment did harm")
}

/// What of a stretch counts as usual where something began in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Keep {
    /// What it has come to: a deployment is not blamed for it.
    Latest,
    /// What it was.
    Clean,
}

impl Reference {
    /// What was left out of it, where something was.
    pub fn left_out_in_words(&self) -> Option<String> {
        (!self.left_out.is_zero()).then(|| left_out_in_words(self.left_out))
    }

    /// Between what it was usually, in the check's unit and in order.
    pub fn band(&self, check: &Check) -> (f64, f64) {
        let (low, high) = match &self.usual {
            Usual::Share(share) => {
                let mean = share.mean;
                let wander = (share.upper - share.mean).max(0.0);
                let (least, most) = ((mean - wander).max(0.0), (mean + wander).min(1.0));
                (value::shown(check, least), value::shown(check, most))
            }
            Usual::Level(level) if level.log => {
                let wander = (WANDERS * level.spread).exp();
                (self.value / wander, self.value * wander)
            }
            Usual::Level(level) => {
                let wander = WANDERS * level.spread;
                (self.value - wander, self.value + wander)
            }
            // How much slower requests are than each bound gives no band of a quantile.
            Usual::Slower { .. } => (self.value, self.value),
        };
        (low.min(high), low.max(high))
    }

    fn of(check: &Check, samples: &[(Timestamp, Pool)], step: f64, keep: Keep) -> Option<Self> {
        let began = began(check, samples);
        let kept = match began {
            Some(since) => {
                let (clean, latest) =
                    samples.split_at(samples.partition_point(|(at, _)| *at < since));
                match keep {
                    Keep::Latest => latest,
                    Keep::Clean => clean,
                }
            }
            None => samples,
        };
        let mut pooled = Pool::default();
        for (_, pool) in kept {
            pooled.add(pool);
        }
        let usual = match &pooled {
            Pool::Counts(_) => Usual::Share(Share::of(&counts_of(kept))),
            Pool::Histogram(all) => Usual::Slower {
                shares: (0..all.bounds.len())
                    .map(|index| {
                        let bound = all.bounds[index];
                        let of = |pool: &Pool| pool.slower_than(bound);
                        let each: Vec<Counts> =
                            kept.iter().filter_map(|(_, pool)| of(pool)).collect();
                        Share::of(&each)
                    })
                    .collect(),
                pooled: all.clone(),
            },
            Pool::Values(_) => {
                let values: Vec<f64> =
                    kept.iter().filter_map(|(_, pool)| pool.worst(check)).collect();
                Usual::Level(Level::of(&values, step)?)
            }
        };
        let value = match &usual {
            Usual::Level(level) => level.median,
            Usual::Share(share) => value::shown(check, share.mean),
            Usual::Slower { .. } => value::of(check, &pooled)?,
        };
        #[expect(clippy::cast_precision_loss, reason = "a few hundred")]
        let seconds = step * kept.len() as f64;
        let reference = Self {
            value,
            samples: u32::try_from(kept.len()).unwrap_or(u32::MAX),
            usual,
            began,
            events_per_second: if seconds > 0.0 { pooled.total() / seconds } else { 0.0 },
            transients: Transients::default(),
            left_out: SignedDuration::ZERO,
        };
        let nulls = nulls(check, &[&reference], |_| Lift::NONE);
        Some(Self { transients: transients_in(check, kept, step, &nulls), ..reference })
    }
}

impl Share {
    /// Of the whole stretch, or of its latest quarter where that is far better: an
    /// incident that was over before the deployment is no excuse for it.
    fn of(each: &[Counts]) -> Self {
        let of = |each: &[Counts]| {
            let phi = counts::dispersion(each);
            let all = sum(each);
            let mean = all.share().unwrap_or(0.0);
            let wander = counts::wander(each, phi);
            let upper = counts::upper_share(all, phi, LEVEL) + WANDERS * wander;
            Self { mean, upper, phi }
        };
        let (whole, latest) = (of(each), of(&each[each.len() - each.len() / 4..]));
        let better = each.len() >= 4 * LEAST_SAMPLES && latest.upper * FAR_BETTER < whole.mean;
        if better { latest } else { whole }
    }
}

fn sum(each: &[Counts]) -> Counts {
    let mut all = Counts::default();
    for one in each {
        all += *one;
    }
    all
}

fn counts_of(samples: &[(Timestamp, Pool)]) -> Vec<Counts> {
    samples
        .iter()
        .filter_map(|(_, pool)| match pool {
            Pool::Counts(counts) => Some(*counts),
            Pool::Histogram(_) | Pool::Values(_) => None,
        })
        .collect()
}

/// Since when the end of a stretch is worse than what went before, judged as a deployment
/// is.
fn began(check: &Check, samples: &[(Timestamp, Pool)]) -> Option<Timestamp> {
    let slow = match &check.measure {
        Measure::Latency { quantile, .. } => {
            let mut pooled = Pool::default();
            for (_, pool) in samples {
                pooled.add(pool);
            }
            value::of(check, &pooled).filter(|_| *quantile < 1.0)
        }
        Measure::Ratio { .. } | Measure::Gauge { .. } | Measure::Status { .. } => None,
    };
    let bad = |pool: &Pool| match (pool, slow) {
        (Pool::Counts(counts), _) => Some(*counts),
        (Pool::Histogram(_), Some(slow)) => pool.slower_than(slow),
        (Pool::Histogram(_) | Pool::Values(_), _) => None,
    };
    let each: Vec<(Timestamp, Counts)> =
        samples.iter().filter_map(|(at, pool)| Some((*at, bad(pool)?))).collect();
    let (known, judged) = each.split_at(each.len() * (TAIL - 1) / TAIL);
    if known.len() < 2 * LEAST_SAMPLES {
        return None;
    }
    let known: Vec<Counts> = known.iter().map(|(_, counts)| *counts).collect();
    let usual = Share::of(&known);
    let (null, cap) = (usual.upper.max(LEAST_NULL), Cap::new(REPLAY_ALPHA, REPLAY_AGREE));
    let mut evidence = Evidence::default();
    for (at, counts) in judged {
        evidence.add(*at, counts::ratios(*counts, null, usual.phi), cap);
    }
    evidence.since().filter(|_| evidence.ln() >= BEGUN)
}

/// A null share is never below this: one bad event of a thousand is no trend.
pub(super) const LEAST_NULL: f64 = 0.0005;

impl Check {
    /// Whether it counts events, as ratios and latencies do.
    pub(crate) fn counts_events(&self) -> bool {
        match &self.measure {
            Measure::Ratio { .. } | Measure::Latency { .. } => true,
            Measure::Gauge { .. } | Measure::Status { .. } => false,
        }
    }
}
