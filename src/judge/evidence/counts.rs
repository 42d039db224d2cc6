//! Counts of bad events among all: errors, failed orders, and requests slower
//! than a bound.
//!
//! Under "nothing changed" the share of bad events is at most `p*`. An
//! alternative multiplies its odds by a factor. `b` bad and `g` good events of a
//! sample then have the log likelihood ratio
//!
//! ```text
//! ln L_j = (b/phi) ln(p_j/p*) + (g/phi) ln((1-p_j)/(1-p*))
//! ```
//!
//! which rises in `b`: for every share below `p*` its expectation stays at most
//! one. `phi` (>= 1) is how much more the baseline's samples vary than independent
//! events would (Pearson's dispersion, quasi-likelihood: `McCullagh` and Nelder).

use statrs::function::beta::beta_reg;

use super::onset::ALTERNATIVES;
use super::series::median;
use crate::model::Counts;

/// Odds of an alternative over the null's. Together they cover everything from
/// twice as bad to an outage within a fraction of a nat.
const ODDS: [f64; ALTERNATIVES] = [2.0, 3.5, 6.0, 12.0, 40.0, 200.0, 2000.0];

/// What `counts` say against "at most `null`" (0-1, exclusive): the log likelihood ratio
/// of each alternative.
pub fn ratios(counts: Counts, null: f64, phi: f64) -> [f64; ALTERNATIVES] {
    let null = null.clamp(1e-9, 1.0 - 1e-9);
    let (bad, good) = (counts.bad.max(0.0) / phi, (counts.total - counts.bad).max(0.0) / phi);
    ODDS.map(|odds| {
        // p_j = odds p* / (1 - p* + odds p*), so both logarithms share a term.
        let shared = (1.0 + (odds - 1.0) * null).ln();
        bad * (odds.ln() - shared) - good * shared
    })
}

/// The upper bound of a share that `bad` of `total` events leave room for, with
/// probability `level` (Jeffreys' interval, thinned by the dispersion).
pub fn upper_share(counts: Counts, phi: f64, level: f64) -> f64 {
    // Halving always ends, which the library's inverse does not where shares are small.
    let (mut low, mut high) = (0.0, 1.0);
    for _ in 0..60 {
        let middle = f64::midpoint(low, high);
        if chance_above(middle, counts, phi) > 1.0 - level { low = middle } else { high = middle }
    }
    high
}

/// The probability (0-1) that the share is above `limit`, after these events.
pub fn chance_above(limit: f64, counts: Counts, phi: f64) -> f64 {
    let (bad, good) = thinned(counts, phi);
    if limit >= 1.0 {
        return 0.0;
    }
    if limit <= 0.0 {
        return 1.0;
    }
    // The upper tail as a lower one: exact where it is small.
    beta_reg(good + 0.5, bad + 0.5, 1.0 - limit)
}

fn thinned(counts: Counts, phi: f64) -> (f64, f64) {
    // Beyond this many events nothing more is learned, and the functions stay exact.
    const MOST: f64 = 1e9;
    let scale = (MOST / (counts.total / phi).max(1.0)).min(1.0) / phi;
    (counts.bad.max(0.0) * scale, (counts.total - counts.bad).max(0.0) * scale)
}

/// The share that would be found with these events: the smallest one whose
/// expected evidence reaches `ln(1/alpha)`. `None` if none would.
pub fn smallest_detectable(null: f64, total: f64, phi: f64, alpha: f64) -> Option<f64> {
    let needed = (1.0 / alpha).ln() + 2.0;
    let gain = |p: f64| {
        (total / phi) * (p * (p / null).ln() + (1.0 - p) * ((1.0 - p) / (1.0 - null)).ln())
    };
    let (mut low, mut high) = (null, 0.999);
    if null <= 0.0 || gain(high) < needed {
        return None;
    }
    for _ in 0..40 {
        let middle = f64::midpoint(low, high);
        if gain(middle) >= needed { high = middle } else { low = middle }
    }
    Some(high)
}

/// How much more the counts of neighbouring samples vary than independent events would:
/// Pearson's dispersion, at least 1. The worst twentieth is left out: one incident must
/// not make the guard blind. What varies slowly is [`wander`].
#[expect(clippy::cast_precision_loss, reason = "a few hundred samples")]
pub fn dispersion(samples: &[Counts]) -> f64 {
    const BLOCKS: [usize; 2] = [1, 3];
    const MOST: f64 = 50.0;
    let total = sum(samples);
    let Some(share) = total.share().filter(|share| *share > 0.0 && *share < 1.0) else {
        return 1.0;
    };
    let of_blocks = |size: usize| {
        // Rarer events than one a block can't show it.
        if total.bad * size as f64 / (samples.len() as f64) < 1.0 {
            return 1.0;
        }
        let mut terms: Vec<f64> = samples
            .chunks(size)
            .filter_map(|block| {
                let sum = sum(block);
                let expected = sum.total * share;
                (sum.total > 0.0).then(|| (sum.bad - expected).powi(2) / (expected * (1.0 - share)))
            })
            .collect();
        terms.sort_by(f64::total_cmp);
        let kept = terms.len() - terms.len() / 20;
        if kept < LEAST_BLOCKS {
            return 1.0;
        }
        let degrees = (kept - 1) as f64;
        // What chance alone may add to it is no dispersion.
        let by_chance = 1.0 + (2.0 / degrees).sqrt() / 2.0;
        terms[..kept].iter().sum::<f64>() / degrees / by_chance
    };
    BLOCKS.iter().map(|size| of_blocks(*size)).fold(1.0, f64::max).min(MOST)
}

/// Blocks that a spread is read off.
const LEAST_BLOCKS: usize = 8;

/// How far the share wanders for minutes at a time: the standard deviation of the shares
/// of blocks of samples, from their median deviation, less what chance alone makes of
/// it. Blocks of several lengths, because a service's moods have their own.
#[expect(clippy::cast_precision_loss, reason = "a few hundred samples")]
pub fn wander(samples: &[Counts], phi: f64) -> f64 {
    const BLOCKS: [usize; 4] = [6, 12, 24, 48];
    const SURELY: f64 = 2.0;
    let of_blocks = |size: usize| {
        let blocks: Vec<Counts> = samples.chunks_exact(size).map(sum).collect();
        let shares: Vec<f64> = blocks.iter().filter_map(Counts::share).collect();
        if shares.len() < LEAST_BLOCKS {
            return 0.0;
        }
        let middle = median(&shares);
        let deviations: Vec<f64> = shares.iter().map(|share| (share - middle).abs()).collect();
        let events = sum(&blocks).total / blocks.len() as f64;
        // A median deviation is worth 0.37 of a variance's degrees of freedom.
        let surely = 1.0 + SURELY * (2.0 / (0.37 * blocks.len() as f64)).sqrt();
        let by_chance = surely * phi * middle * (1.0 - middle) / events.max(1.0);
        ((1.4826 * median(&deviations)).powi(2) - by_chance).max(0.0).sqrt()
    };
    BLOCKS.iter().map(|size| of_blocks(*size)).fold(0.0, f64::max)
}

fn sum(samples: &[Counts]) -> Counts {
    samples.iter().fold(Counts::default(), |mut sum, one| {
        sum += *one;
        sum
    })
}
