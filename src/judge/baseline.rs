//! The baseline of a check, and what being worse than it means.

use serde::{Deserialize, Serialize};

use crate::model::{Measurement, Reading, Split};
use crate::policy::{Check, Measure, Part};

/// What the check measured before the deployment.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Baseline {
    /// The policy asks for none.
    #[default]
    NotAsked,
    /// Not measured yet.
    Pending,
    /// In the check's unit, and on the side that its limits speak of.
    Measured { value: f64 },
    /// It can't be had; the check is judged by its limits alone.
    Missing { because: String },
}

/// A share of bad events below this much more than before is no news, whatever
/// the factor: near zero a factor says nothing (JUDGE: `p0 + 0.003`).
const LEAST_RISE_OF_RATIO: f64 = 0.003;

impl Baseline {
    /// The baseline that a reading over the stretch before the deployment gives.
    pub fn of(check: &Check, reading: &Reading) -> Baseline {
        let missing = |because: &str| Baseline::Missing { because: because.to_owned() };
        match reading {
            Err(unusable) => missing(&unusable.to_string()),
            Ok(measurement) if traffic_of(measurement).is_some_and(|n| n < check.min_traffic) => {
                missing("too little traffic before the deployment")
            }
            Ok(measurement) => match value_of(check, measurement) {
                Some((value, _)) => Baseline::Measured { value },
                None => missing("no requests before the deployment"),
            },
        }
    }

    pub fn value(&self) -> Option<f64> {
        match self {
            Baseline::Measured { value } => Some(*value),
            Baseline::NotAsked | Baseline::Pending | Baseline::Missing { .. } => None,
        }
    }

    /// Whether `value` is worse than the baseline by the check's factor. `None`
    /// where there is no baseline to say so.
    pub fn is_worse(&self, check: &Check, value: f64) -> Option<bool> {
        let before = self.value()?;
        let rule = check.baseline.as_ref()?;
        Some(match &check.measure {
            Measure::Ratio { part, .. } => {
                let bad = |share: f64| match part {
                    Part::Bad => share,
                    Part::Good => 1.0 - share,
                };
                let limit = (bad(before) * rule.worse_by).max(bad(before) + LEAST_RISE_OF_RATIO);
                bad(value) > limit
            }
            Measure::Latency { .. } | Measure::Gauge { .. } | Measure::Status { .. } => {
                if before <= 0.0 {
                    false
                } else if check.higher_is_worse() {
                    value > before * rule.worse_by
                } else {
                    value < before / rule.worse_by
                }
            }
        })
    }
}

/// The value that a check's limits are held against, with the series it comes
/// from where there are several. Of several series the worst counts.
pub(super) fn value_of(check: &Check, measurement: &Measurement) -> Option<(f64, Option<String>)> {
    match measurement {
        Measurement::Counts(Split { all, .. }) => {
            let share = all.share()?;
            let good = matches!(&check.measure, Measure::Ratio { part: Part::Good, .. });
            Some((if good { 1.0 - share } else { share }, None))
        }
        Measurement::Histogram(Split { all, .. }) => match &check.measure {
            Measure::Latency { quantile, .. } => Some((all.quantile(*quantile)?, None)),
            Measure::Ratio { .. } | Measure::Gauge { .. } | Measure::Status { .. } => None,
        },
        Measurement::Gauge { values } => {
            let worse = |a: f64, b: f64| if check.higher_is_worse() { a > b } else { a < b };
            let (name, value) = values
                .iter()
                .reduce(|worst, next| if worse(*next.1, *worst.1) { next } else { worst })?;
            Some((*value, (values.len() > 1).then(|| name.clone())))
        }
    }
}

/// Events that a measurement rests on; `None` for gauges.
pub(super) fn traffic_of(measurement: &Measurement) -> Option<f64> {
    match measurement {
        Measurement::Counts(Split { all, .. }) => Some(all.total),
        Measurement::Histogram(Split { all, .. }) => Some(all.total),
        Measurement::Gauge { .. } => None,
    }
}
