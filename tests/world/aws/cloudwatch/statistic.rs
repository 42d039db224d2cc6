//! The statistics: what becomes of the values of one period.

use super::metric::{Content, StatisticSet};

/// A statistic that the stand-in computes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Statistic {
    SampleCount,
    Average,
    Sum,
    Minimum,
    Maximum,
    /// 0 to 100.
    Percentile(f64),
}

/// Statistics of real CloudWatch that are not computed here.
const NOT_MODELLED: [&str; 9] = ["tm", "TM", "wm", "WM", "tc", "TC", "ts", "PR", "IQM"];

impl Statistic {
    /// Reads `p95` or `Sum`: `Err(true)` is one that CloudWatch knows and the stand-in does not.
    pub fn read(text: &str) -> Result<Self, bool> {
        Ok(match text {
            "SampleCount" => Self::SampleCount,
            "Average" => Self::Average,
            "Sum" => Self::Sum,
            "Minimum" => Self::Minimum,
            "Maximum" => Self::Maximum,
            other => match other.strip_prefix('p') {
                Some(share) => Self::Percentile(percentile(share).ok_or(false)?),
                None => return Err(NOT_MODELLED.iter().any(|known| other.starts_with(known))),
            },
        })
    }

    /// The value over these contents; `None` when they do not give one, such as a percentile of
    /// nothing but summaries.
    pub fn of(self, contents: &[Content]) -> Option<f64> {
        let set = summary(contents)?;
        match self {
            Self::SampleCount => Some(set.count),
            Self::Average => Some(set.sum / set.count),
            Self::Sum => Some(set.sum),
            Self::Minimum => Some(set.minimum),
            Self::Maximum => Some(set.maximum),
            Self::Percentile(share) => quantile(contents, share / 100.0),
        }
    }
}

/// At most two decimals, from 0 to 100.
fn percentile(text: &str) -> Option<f64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let share: f64 = (digits(whole) && digits(fraction) && fraction.len() <= 2)
        .then(|| text.parse().ok())
        .flatten()?;
    (0.0..=100.0).contains(&share).then_some(share)
}

fn summary(contents: &[Content]) -> Option<StatisticSet> {
    let sets = contents.iter().flat_map(|content| match content {
        Content::Set(set) => vec![*set],
        Content::Values(values) => values
            .iter()
            .map(|(value, count)| StatisticSet {
                count: *count,
                sum: value * count,
                minimum: *value,
                maximum: *value,
            })
            .collect(),
    });
    let sum = |a: StatisticSet, b: StatisticSet| StatisticSet {
        count: a.count + b.count,
        sum: a.sum + b.sum,
        minimum: a.minimum.min(b.minimum),
        maximum: a.maximum.max(b.maximum),
    };
    sets.reduce(sum).filter(|set| set.count > 0.0)
}

/// Between two neighbouring values in proportion. CloudWatch has no percentiles of negative
/// values, nor of a summary unless all its values are the same.
fn quantile(contents: &[Content], share: f64) -> Option<f64> {
    let mut values = Vec::new();
    for content in contents {
        match content {
            Content::Values(some) => values.extend(some.iter().copied()),
            Content::Set(set) if all_alike(set) => values.push((set.minimum, set.count)),
            Content::Set(_) => return None,
        }
    }
    values.sort_by(|a, b| a.0.total_cmp(&b.0));
    if values.first()?.0 < 0.0 {
        return None;
    }
    let count: f64 = values.iter().map(|(_, count)| count).sum();
    let rank = share * (count - 1.0).max(0.0);
    let below = at_rank(&values, rank.floor())?;
    let above = at_rank(&values, rank.ceil())?;
    Some(below + (above - below) * rank.fract())
}

/// The value number `rank`, counted from 0, each as often as it occurred.
fn at_rank(values: &[(f64, f64)], rank: f64) -> Option<f64> {
    let mut seen = 0.0;
    let found = values.iter().find(|(_, count)| {
        seen += count;
        rank < seen
    });
    found.or(values.last()).map(|(value, _)| *value)
}

#[allow(clippy::float_cmp)] // The documented condition is equality.
fn all_alike(set: &StatisticSet) -> bool {
    set.minimum == set.maximum && set.sum == set.minimum * set.count
}
