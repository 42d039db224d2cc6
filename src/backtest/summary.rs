//! All findings in a few numbers.

use std::collections::BTreeMap;

use serde::Serialize;

use super::finding::{Action, Finding, Truth};
use super::pages::many;
use crate::model::{Outcome, Unusable};

/// Counts and rates over all deployments.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Summary {
    pub deployments: usize,
    /// By outcome, each of them.
    pub outcomes: BTreeMap<&'static str, usize>,
    /// Rollbacks, and questions about one where none followed.
    pub acted: usize,
    pub rolled_back: usize,
    pub asked: usize,
    /// Deployments whose truth is known.
    pub known: usize,
    pub bad: usize,
    pub healthy: usize,
    pub true_positives: usize,
    pub false_positives: usize,
    pub true_negatives: usize,
    pub false_negatives: usize,
    /// Bad only when no longer watched; in none of the rates.
    pub too_late: usize,
    /// Of what was acted on, the share that was bad by then.
    pub precision: Option<f64>,
    /// Of what was bad, the share that was acted on.
    pub recall: Option<f64>,
    /// Rollbacks of what was healthy at the time.
    pub false_rollbacks: usize,
    /// Of the deployments that were healthy, at least until something was done.
    pub false_rollback_rate: Option<f64>,
    /// Its 95% Wilson interval.
    pub false_rollback_rate_low: Option<f64>,
    pub false_rollback_rate_high: Option<f64>,
    /// Seconds from `bad_from` to the first action, over the true positives.
    pub median_seconds_to_action: Option<f64>,
    pub p95_seconds_to_action: Option<f64>,
    /// Whether the source was lost before all were judged.
    pub unfinished: bool,
    /// What people should know before they trust the rest.
    pub warnings: Vec<String>,
    /// Of the checks without data: why, and in how many deployments.
    #[serde(skip)]
    no_data: BTreeMap<String, BTreeMap<String, usize>>,
    /// Checks and the deployments in which they measured nothing bad.
    #[serde(skip)]
    nothing_bad: BTreeMap<String, usize>,
    #[serde(skip)]
    seconds: Vec<f64>,
}

/// Of the normal distribution, for 95%.
const Z: f64 = 1.959_963_985;

impl Summary {
    pub fn new() -> Self {
        let outcomes = Outcome::ALL.map(|outcome| (outcome.as_str(), 0));
        Self { outcomes: outcomes.into(), ..Self::default() }
    }

    pub fn add(&mut self, finding: &Finding) {
        self.deployments += 1;
        *self.outcomes.entry(finding.outcome.as_str()).or_default() += 1;
        for (check, why) in &finding.no_data {
            let whys = self.no_data.entry(check.clone()).or_default();
            *whys.entry(why.clone()).or_default() += 1;
        }
        for check in &finding.nothing_bad {
            *self.nothing_bad.entry(check.clone()).or_default() += 1;
        }
        let rolled = finding.action == Action::Rollback;
        self.rolled_back += usize::from(rolled);
        self.asked += usize::from(finding.action == Action::Ask);
        self.acted += usize::from(finding.acted_at.is_some());
        let Some(truth) = finding.truth else { return };
        self.known += 1;
        let one = if finding.bad_from.is_some() { &mut self.bad } else { &mut self.healthy };
        *one += 1;
        match truth {
            Truth::TruePositive => self.true_positives += 1,
            Truth::FalsePositive => {
                self.false_positives += 1;
                self.false_rollbacks += usize::from(rolled);
            }
            Truth::TrueNegative => self.true_negatives += 1,
            Truth::FalseNegative => self.false_negatives += 1,
            Truth::TooLate => self.too_late += 1,
        }
        if let (Truth::TruePositive, Some(bad), Some(acted)) =
            (truth, finding.bad_from, finding.first_acted_at())
        {
            self.seconds.push(acted.duration_since(bad).as_secs_f64());
        }
    }

    /// With what follows from the counts.
    #[must_use]
    pub fn finished(mut self, unfinished: bool) -> Self {
        self.unfinished = unfinished;
        self.warnings = self.warned();
        self.precision = share(self.true_positives, self.true_positives + self.false_positives);
        // What was acted on too early is no success, though it went bad later.
        let too_early = self.bad - self.true_positives - self.false_negatives - self.too_late;
        self.recall =
            share(self.true_positives, self.true_positives + self.false_negatives + too_early);
        let exposed = self.true_negatives + self.false_positives;
        self.false_rollback_rate = share(self.false_rollbacks, exposed);
        let interval = wilson(self.false_rollbacks, exposed);
        self.false_rollback_rate_low = interval.map(|(low, _)| low);
        self.false_rollback_rate_high = interval.map(|(_, high)| high);
        self.seconds.sort_by(f64::total_cmp);
        self.median_seconds_to_action = median(&self.seconds);
        self.p95_seconds_to_action = nearest_rank(&self.seconds, 95);
        self
    }

    fn warned(&self) -> Vec<String> {
        let of = many(self.deployments, "deployment");
        let no_series = Unusable::Empty.to_string();
        let silent = self.no_data.iter().map(|(check, whys)| {
            let number: usize = whys.values().sum();
            let most = whys.iter().max_by_key(|(_, times)| **times).map(|(why, _)| why.as_str());
            let what = match (whys.len(), most) {
                (1, Some(why)) if why == no_series => "no series".to_owned(),
                (_, most) => format!("no data ({})", most.unwrap_or_default()),
            };
            format!("{check}: {what} in {number} of {of}")
        });
        // Of one that had errors at any time the query is right.
        let good = self.nothing_bad.iter().filter(|(_, number)| **number == self.deployments);
        let good = good.map(|(check, number)| {
            format!(
                "{check}: not one bad event in {number} of {of}, nor before: does its query of \
                 the bad ones find series?"
            )
        });
        silent.chain(good).collect()
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts of deployments are small")]
fn share(part: usize, of: usize) -> Option<f64> {
    (of > 0).then(|| part as f64 / of as f64)
}

/// The Wilson interval of a share.
#[expect(clippy::cast_precision_loss, reason = "counts of deployments are small")]
fn wilson(part: usize, of: usize) -> Option<(f64, f64)> {
    let (share, n) = (share(part, of)?, of as f64);
    let spread = Z * (share * (1.0 - share) / n + Z * Z / (4.0 * n * n)).sqrt();
    let middle = share + Z * Z / (2.0 * n);
    let scale = 1.0 + Z * Z / n;
    let bound = |value: f64| (value / scale).clamp(0.0, 1.0);
    let low = if part == 0 { 0.0 } else { bound(middle - spread) };
    Some((low, bound(middle + spread)))
}

fn median(sorted: &[f64]) -> Option<f64> {
    let middle = sorted.len() / 2;
    let upper = *sorted.get(middle)?;
    let even = sorted.len().is_multiple_of(2);
    Some(if even { f64::midpoint(sorted[middle - 1], upper) } else { upper })
}

fn nearest_rank(sorted: &[f64], percent: usize) -> Option<f64> {
    let rank = (sorted.len() * percent).div_ceil(100);
    sorted.get(rank.saturating_sub(1)).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_false_rollback_of_a_thousand_still_allows_a_few_of_a_thousand() {
        let (low, high) = wilson(0, 1000).unwrap();
        assert!(low.abs() < 1e-12 && (high - 0.003_827).abs() < 1e-5, "{low} {high}");
        let (low, high) = wilson(5, 10).unwrap();
        assert!((low - 0.2366).abs() < 1e-3 && (high - 0.7634).abs() < 1e-3, "{low} {high}");
        assert_eq!(wilson(0, 0), None);
    }

    #[test]
    fn the_middle_and_the_95th_of_a_hundred() {
        let all: Vec<f64> = (1..=100).map(f64::from).collect();
        assert_eq!(median(&all), Some(50.5));
        assert_eq!(nearest_rank(&all, 95), Some(95.0));
        assert_eq!((median(&[]), nearest_rank(&[], 95)), (None, None));
        assert_eq!((median(&[3.0]), nearest_rank(&[3.0], 95)), (Some(3.0), Some(3.0)));
    }
}
