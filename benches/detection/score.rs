//! What the table says about a rule in a cell.

use serde::Serialize;

use crate::generator::{HEALTHY_RATE, Plan, SIGMA, STEP, share_of_new};
use crate::scenario::{Chance, Scenario, Who};

/// False rollbacks that the bound's test allows itself.
const ALPHA: f64 = 0.01;
/// Two-sided 95 %.
const Z: f64 = 1.959_963_984_540_054;

/// A rate with its Wilson interval.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Rate {
    pub of: f64,
    pub low: f64,
    pub high: f64,
}

/// How soon a rule found what was bad. Times in minutes from its beginning.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Recall {
    pub in_3: f64,
    pub in_5: f64,
    pub in_10: f64,
    /// In the watch; of a leak, before it has come to its 80 %.
    pub at_end: Rate,
    /// Acted before anything was bad: neither found nor missed.
    pub early: f64,
    /// Of those found; `None`: none was.
    pub median: Option<f64>,
    /// The median as a multiple of [`bound`]; `None` where either is missing.
    pub of_bound: Option<f64>,
}

/// Wilson's interval of a binomial rate (Wilson 1927):
/// `(p + z^2/2n +- z sqrt(p(1-p)/n + z^2/4n^2)) / (1 + z^2/n)`.
pub fn wilson(hits: usize, of: usize) -> Rate {
    let (p, n) = (hits as f64 / of as f64, of as f64);
    let centre = p + Z * Z / (2.0 * n);
    let half = Z * (p * (1.0 - p) / n + Z * Z / (4.0 * n * n)).sqrt();
    let scale = 1.0 + Z * Z / n;
    Rate { of: p, low: (centre - half).max(0.0) / scale, high: (centre + half) / scale }
}

/// Scores when a rule acted, in seconds after the deployment, in a bad cell.
pub fn recall(plan: &Plan, acted: &[Option<f64>]) -> Recall {
    let onset = plan.scenario.onset();
    let mut found: Vec<f64> =
        acted.iter().flatten().map(|at| (at - onset) / 60.0).filter(|at| *at > 0.0).collect();
    found.sort_by(f64::total_cmp);
    let runs = acted.len();
    let within = |minutes: f64| {
        found.iter().filter(|at| **at <= minutes + 1e-9).count() as f64 / runs as f64
    };
    let median = median(&found);
    Recall {
        in_3: within(3.0),
        in_5: within(5.0),
        in_10: within(10.0),
        at_end: wilson(found.len(), runs),
        early: (acted.iter().flatten().count() - found.len()) as f64 / runs as f64,
        median,
        of_bound: median.zip(bound(plan)).map(|(median, bound)| median / bound),
    }
}

/// The lower of the middle two, so that it is a time that occurred.
pub fn median(sorted: &[f64]) -> Option<f64> {
    sorted.get(sorted.len().checked_sub(1)? / 2).copied()
}

/// Minutes that Wald's test needs on the average, which knows both rates (Wald
/// 1945): samples until the expected evidence
///
/// ```text
/// sum of n_t KL_t >= ln(1/alpha),   alpha = 0.01
/// KL = p1 ln(p1/p0) + (1-p1) ln((1-p1)/(1-p0)) + (ln f)^2 / (2 sigma^2)
/// ```
///
/// over the new revision's requests `n_t`, errors rising from `p0` to `p1` and
/// lognormal latency by the factor `f`; a silent revision gives one nat for each
/// request that it should have had. Never less than one sample. `None`: beyond
/// the watch, and for leaks.
pub fn bound(plan: &Plan) -> Option<f64> {
    if matches!(plan.scenario, Scenario::Leak(_)) {
        return None;
    }
    let onset = plan.scenario.onset();
    let steps = (plan.scenario.watch() * 60.0 / STEP) as usize;
    let mut evidence = 0.0;
    for step in 0..steps {
        let at = step as f64 * STEP;
        let effect = plan.scenario.effect(Who::New, at, &Chance::default());
        let (p0, p1) = (HEALTHY_RATE, HEALTHY_RATE + effect.errors);
        let errors = p1 * (p1 / p0).ln() + (1.0 - p1) * ((1.0 - p1) / (1.0 - p0)).ln();
        let latency = effect.latency.ln().powi(2) / (2.0 * SIGMA * SIGMA);
        let silence = 1.0 - effect.traffic;
        let requests = plan.traffic * STEP / 60.0 * share_of_new(at);
        evidence += requests * (errors + latency + silence);
        if evidence >= ALPHA.recip().ln() {
            let needed = at + STEP - onset;
            return Some((needed / plan.interval).ceil() * plan.interval / 60.0);
        }
    }
    None
}
