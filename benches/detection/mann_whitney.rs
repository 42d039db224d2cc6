//! The two-sample rank test that Kayenta judges by: shift, interval, class.
//!
//! Facts from `spinnaker/kayenta` (`MannWhitney`, `MannWhitneyClassifier`), which
//! follows R's `wilcox.test(conf.int = TRUE, exact = FALSE)`.

/// Standard normal quantile of its two-sided intervals at 98 %.
pub const Z_98: f64 = 2.326_347_874_040_841;

/// How far the roots are known: R's and Kayenta's.
const TOLERANCE: f64 = 1e-4;

/// Location of the experiment less that of the control.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Shift {
    pub low: f64,
    pub high: f64,
    /// Hodges and Lehmann's: about the median of all pairwise differences.
    pub estimate: f64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    Pass,
    High,
    Low,
}

/// The rank-sum statistic of `x - mu` against `y`, standardised, less `quantile`:
///
/// ```text
/// z = (W - nm/2 - sign/2) / sqrt(nm/12 (n + m + 1 - sum(t^3 - t) / ((n+m)(n+m-1))))
/// ```
///
/// with ties `t` and a continuity correction of one half. Both samples sorted.
pub fn z_of(mu: f64, quantile: f64, x: &[f64], y: &[f64]) -> f64 {
    let (n, m) = (x.len() as f64, y.len() as f64);
    let (ranks, ties) = rank_sum(mu, x, y);
    let centred = ranks - n * (n + 1.0) / 2.0 - n * m / 2.0;
    let correction = if centred == 0.0 { 0.0 } else { centred.signum() * 0.5 };
    let spread = (n * m / 12.0 * (n + m + 1.0 - ties / ((n + m) * (n + m - 1.0)))).sqrt();
    (centred - correction) / spread - quantile
}

/// The sum of the mid-ranks of `x - mu` among both, and the sum of `t^3 - t`.
fn rank_sum(mu: f64, x: &[f64], y: &[f64]) -> (f64, f64) {
    let (mut i, mut j) = (0, 0);
    let (mut ranks, mut ties) = (0.0, 0.0);
    while i < x.len() || j < y.len() {
        let next = match (x.get(i), y.get(j)) {
            (Some(x), Some(y)) => (x - mu).min(*y),
            (Some(x), None) => x - mu,
            (None, Some(y)) => *y,
            (None, None) => break,
        };
        let before = (i + j) as f64;
        let from_x = x[i..].iter().take_while(|x| **x - mu <= next).count();
        let from_y = y[j..].iter().take_while(|y| **y <= next).count();
        let tied = (from_x + from_y) as f64;
        ranks += from_x as f64 * (before + f64::midpoint(tied, 1.0));
        ties += tied.powi(3) - tied;
        i += from_x;
        j += from_y;
    }
    (ranks, ties)
}

/// The shift of an experiment against a control with its interval; `None` where
/// a sample is empty or both are constant.
pub fn shift(experiment: &[f64], control: &[f64], z: f64) -> Option<Shift> {
    let x = sorted(experiment);
    let y = sorted(control);
    let (low, high) = (x.first()? - y.last()?, x.last()? - y.first()?);
    if x.first() == x.last() && y.first() == y.last() {
        return None;
    }
    let root = |quantile: f64| {
        let (at_low, at_high) = (z_of(low, quantile, &x, &y), z_of(high, quantile, &x, &y));
        if at_low <= 0.0 {
            low
        } else if at_high >= 0.0 {
            high
        } else {
            zero(|mu| z_of(mu, quantile, &x, &y), (low, at_low), (high, at_high))
        }
    };
    Some(Shift { low: root(z), high: root(-z), estimate: root(0.0) })
}

/// Kayenta's class of an experiment: the interval lies beyond `tolerance` of the
/// estimate, and the means' ratio is at least `increase` (at most `1/increase`).
pub fn classify(
    experiment: &[f64],
    control: &[f64],
    z: f64,
    tolerance: f64,
    increase: f64,
) -> Class {
    let Some(shift) = shift(experiment, control, z).or_else(|| constant(experiment, control))
    else {
        return Class::Pass;
    };
    let bound = tolerance * shift.estimate.abs();
    let (mean, before) = (mean(experiment), mean(control));
    // No ratio can be had of zeros, and then none is asked for.
    let ratio = (mean != 0.0 && before != 0.0).then_some(mean / before);
    if sorted(experiment) == sorted(control) {
        Class::Pass
    } else if shift.low > bound && ratio.is_none_or(|ratio| ratio >= increase) {
        Class::High
    } else if shift.high < -bound && ratio.is_none_or(|ratio| ratio <= increase.recip()) {
        Class::Low
    } else {
        Class::Pass
    }
}

/// Two constants differ by what they differ, provided that there is enough of
/// them: Kayenta adds a little noise to both, which comes to the same.
fn constant(experiment: &[f64], control: &[f64]) -> Option<Shift> {
    let by = experiment.first()? - control.first()?;
    Some(Shift { low: by, high: by, estimate: by })
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

fn sorted(values: &[f64]) -> Vec<f64> {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    values
}

/// A point of a function: where, and its value there.
type Point = (f64, f64);

/// A zero between two points of different sign, by Brent's method (Brent 1973,
/// chapter 4): inverse quadratic interpolation, held together by bisection. The
/// statistic is a staircase, so which side of a step comes out depends on the
/// way; this is the way of R's `zeroin`.
fn zero(f: impl Fn(f64) -> f64, from: Point, to: Point) -> f64 {
    let (mut previous, mut best) = (from, to);
    let mut opposite = previous;
    if previous.1 == 0.0 {
        return previous.0;
    }
    for _ in 0..1_000 {
        let last_step = best.0 - previous.0;
        if opposite.1.abs() < best.1.abs() {
            (previous, best, opposite) = (best, opposite, best);
        }
        let near = 2.0 * f64::EPSILON * best.0.abs() + TOLERANCE / 2.0;
        let half = (opposite.0 - best.0) / 2.0;
        if half.abs() <= near || best.1 == 0.0 {
            return best.0;
        }
        let trusted = last_step.abs() >= near && previous.1.abs() > best.1.abs();
        let guess = trusted.then(|| interpolated(previous, best, opposite));
        let step = guess
            .filter(|step| {
                let toward = step * half.signum();
                toward > 0.0
                    && toward < 1.5 * half.abs() - near / 2.0
                    && toward < last_step.abs() / 2.0
            })
            .unwrap_or(half);
        previous = best;
        best.0 += if step.abs() < near { near.copysign(step) } else { step };
        best.1 = f(best.0);
        if best.1 * opposite.1 > 0.0 {
            opposite = previous;
        }
    }
    best.0
}

/// The step from the best point that a line, or a parabola lying on its side,
/// through the known points asks for.
fn interpolated(previous: Point, best: Point, opposite: Point) -> f64 {
    let across = opposite.0 - best.0;
    let t = best.1 / previous.1;
    if previous == opposite {
        return across * t / (t - 1.0);
    }
    let (r, s) = (previous.1 / opposite.1, best.1 / opposite.1);
    let p = t * (across * r * (r - s) - (best.0 - previous.0) * (s - 1.0));
    -p / ((r - 1.0) * (s - 1.0) * (t - 1.0))
}
