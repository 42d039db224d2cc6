//! `rate` and `histogram_quantile` as Prometheus computes them.
//!
//! Facts from `prometheus/prometheus`, `promql/functions.go` and `quantile.go`.

/// Increase of a counter over a window that ends at `end` and is `window`
/// seconds long, from its samples `(seconds, value)`; `None` with fewer than two.
/// Falls are new beginnings; the ends are extrapolated to the window's by at most
/// half an average interval where a sample is missing there, and not below zero.
pub fn increase(samples: &[(f64, f64)], end: f64, window: f64) -> Option<f64> {
    let (first, last) = (samples.first()?, samples.last()?);
    if samples.len() < 2 {
        return None;
    }
    let falls = samples.windows(2).filter(|pair| pair[1].1 < pair[0].1).map(|pair| pair[0].1);
    let grown = last.1 - first.1 + falls.sum::<f64>();
    let covered = last.0 - first.0;
    let average = covered / (samples.len() - 1) as f64;
    let mut to_start = first.0 - (end - window);
    let mut to_end = end - last.0;
    if to_start >= average * 1.1 {
        to_start = average / 2.0;
    }
    if grown > 0.0 && first.1 >= 0.0 {
        to_start = to_start.min(covered * first.1 / grown);
    }
    if to_end >= average * 1.1 {
        to_end = average / 2.0;
    }
    Some(grown * (covered + to_start + to_end) / covered)
}

/// The quantile that cumulative buckets give, those of the bounds and `+Inf`: linear
/// inside a bucket; the highest bound where it lies beyond; `None` without requests.
pub fn histogram_quantile(quantile: f64, bounds: &[f64], buckets: &[f64]) -> Option<f64> {
    let total = *buckets.last()?;
    if total <= 0.0 {
        return None;
    }
    let rank = quantile * total;
    let found = buckets.iter().position(|count| *count >= rank)?;
    let Some(upper) = bounds.get(found) else { return bounds.last().copied() };
    let below = found.checked_sub(1);
    let (lower, count) = below.map_or((0.0, 0.0), |below| (bounds[below], buckets[below]));
    Some(lower + (upper - lower) * (rank - count) / (buckets[found] - count))
}
