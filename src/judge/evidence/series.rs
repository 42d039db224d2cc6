//! A series of values without counts behind it: CPU, memory, a p95 that a source
//! has computed.
//!
//! The baseline gives median, spread and lag-one correlation `rho` of the logarithm
//! (or of the value itself where it is not positive). A sample in spreads from the
//! median, `z`, is compared, with Student's t of five degrees of freedom because
//! real series have heavy tails, between "shifted by what is allowed", `a`, and
//! larger shifts:
//!
//! ```text
//! ln L_j = kappa (ln t5(z - a - s_j) - ln t5(z - a)),   kappa = (1-rho)/(1+rho)
//! ```
//!
//! `kappa` is the share of independent samples that an AR(1) series is worth. The
//! ratio is below one wherever the series was before; it is approximate for shifts
//! between nothing and `a`, and that is what the calibration is for.

use serde::{Deserialize, Serialize};
use statrs::distribution::{Continuous, StudentsT};

use super::onset::ALTERNATIVES;

/// What a series was like before.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Level {
    /// Median, in the series' unit.
    pub median: f64,
    /// Whether shifts are ratios (logarithm) or differences.
    pub log: bool,
    /// Of the logarithm, or of the value.
    pub spread: f64,
    /// Correlation of neighbours, 0-0.9.
    pub rho: f64,
    /// Theil-Sen slope, in the unit per second.
    pub slope: f64,
}

/// What a series may come to without saying anything.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limit {
    /// In the series' unit.
    pub value: f64,
    pub upward: bool,
}

/// Shifts beyond the allowed one, in spreads.
const SHIFTS: [f64; ALTERNATIVES] = [1.5, 3.0, 6.0, 12.0, 25.0, 50.0, 100.0];
/// Spreads from the level that are told apart.
const FARTHEST: f64 = 100.0;
/// A shift of less than this many spreads is none.
const LEAST_SHIFT: f64 = 1.0;
/// A spread below this share of the level is no smaller: quantised and constant
/// series would make every step a sensation.
const LEAST_SPREAD: f64 = 0.03;
/// Values needed for a level.
pub const LEAST_VALUES: usize = 10;

impl Level {
    /// The level of `values`, oldest first, `step` seconds apart. `None` for fewer
    /// than [`LEAST_VALUES`].
    pub fn of(values: &[f64], step: f64) -> Option<Self> {
        if values.len() < LEAST_VALUES {
            return None;
        }
        let log = values.iter().all(|value| *value > 0.0);
        let moved: Vec<f64> = values.iter().map(|v| if log { v.ln() } else { *v }).collect();
        let middle = median(&moved);
        let deviations: Vec<f64> = moved.iter().map(|value| (value - middle).abs()).collect();
        let floor = if log { LEAST_SPREAD } else { LEAST_SPREAD * middle.abs().max(1e-9) };
        let spread = (1.4826 * median(&deviations)).max(tail(&deviations)).max(floor);
        Some(Self {
            median: median(values),
            log,
            spread,
            rho: correlation(&moved, middle),
            slope: super::leak::slope(values, step),
        })
    }

    /// The value in spreads from the median; 0 for values that a logarithm refuses.
    fn standard(&self, value: f64) -> f64 {
        if self.log {
            if value <= 0.0 {
                // Nothing at all is as far down as it goes.
                -FARTHEST
            } else if self.median <= 0.0 {
                0.0
            } else {
                (value / self.median).ln() / self.spread
            }
        } else {
            (value - self.median) / self.spread
        }
    }
}

/// What `value` says against "no further than `limit`", upwards or downwards: the log
/// likelihood ratio of each alternative.
pub fn ratios(level: &Level, value: f64, limit: Limit) -> [f64; ALTERNATIVES] {
    let sign = if limit.upward { 1.0 } else { -1.0 };
    let z = sign * level.standard(value);
    let allowed = (sign * level.standard(limit.value)).max(LEAST_SHIFT);
    let kappa = (1.0 - level.rho) / (1.0 + level.rho);
    let Ok(student) = StudentsT::new(0.0, 1.0, 5.0) else { return [0.0; ALTERNATIVES] };
    // Beyond the largest shift the tails of both are alike, and would say nothing.
    let z = z.min(allowed + FARTHEST);
    let null = student.ln_pdf(z - allowed);
    SHIFTS.map(|shift| kappa * (student.ln_pdf(z - allowed - shift) - null))
}

pub(super) fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    match (sorted.len(), sorted.get(sorted.len() / 2)) {
        (_, None) => 0.0,
        (even, Some(upper)) if even % 2 == 0 => f64::midpoint(sorted[even / 2 - 1], *upper),
        (_, Some(middle)) => *middle,
    }
}

/// A spread from the upper tail: the 95th percentile of the deviations over what it
/// is for a normal distribution. Series that rest most of the time and jump have no
/// median deviation at all.
fn tail(deviations: &[f64]) -> f64 {
    let mut sorted = deviations.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() * 19 / 20).map_or(0.0, |deviation| deviation / 1.96)
}

fn correlation(values: &[f64], middle: f64) -> f64 {
    let total: f64 = values.iter().map(|value| (value - middle).powi(2)).sum();
    let pairs: f64 = values.windows(2).map(|two| (two[0] - middle) * (two[1] - middle)).sum();
    if total > 0.0 { (pairs / total).clamp(0.0, 0.9) } else { 0.0 }
}
