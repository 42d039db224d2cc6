//! What is asked of the last days of a service, and what the answers come to.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use super::{Before, Seen};
use crate::model::{Fold, Metric, MetricAsk, MetricOf, MetricStat, MetricUnit, Ticks};

/// How far back is looked: CloudWatch keeps single minutes for 15 days.
pub const DAYS: i32 = 7;
const HOUR: SignedDuration = SignedDuration::from_hours(1);
const FIVE_MINUTES: SignedDuration = SignedDuration::from_mins(5);
const DAY_MILLIS: i64 = 24 * 3600 * 1000;
/// Requests of an hour below which its share of errors and its percentile say little.
pub(super) const ENOUGH: f64 = 100.0;

/// Milliseconds since the epoch with values in base units, ascending; or why there are none.
/// Nothing measured is no error.
pub type History = Result<Vec<(i64, f64)>, String>;

/// One thing that is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Figure {
    /// Requests of each hour.
    Requests,
    /// Answers with 5xx of each hour; hours without any are left out.
    Errors,
    /// The 95th percentile of each hour, in seconds.
    P95,
    /// The mean of all tasks in each five minutes, as a share.
    Cpu,
    Memory,
    /// Container Insights': the share of the ephemeral storage that is used.
    Disk,
}

impl Figure {
    /// What CloudWatch is asked for, and as of when; the last stretch has ended well before `now`.
    pub fn ask(self, cluster: &str, service: &Seen, now: Timestamp) -> Option<(MetricAsk, Ticks)> {
        let own = || {
            let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
            BTreeMap::from([pair("ClusterName", cluster), pair("ServiceName", &service.name)])
        };
        let stat = |namespace: &str, metric: &str, stat: &str, dimensions| MetricStat {
            namespace: namespace.to_owned(),
            metric: metric.to_owned(),
            dimensions,
            stat: stat.to_owned(),
        };
        let before = |metric: &str, of: &str| {
            Some(stat("AWS/ApplicationELB", metric, of, dimensions(&service.before)?))
        };
        let insights = |metric: &str| stat("ECS/ContainerInsights", metric, "Average", own());
        let (of, unit, step) = match self {
            Self::Requests => {
                (MetricOf::Statistic(before("RequestCount", "Sum")?), MetricUnit::Base, HOUR)
            }
            Self::Errors => {
                let stat = before("HTTPCode_Target_5XX_Count", "Sum")?;
                (MetricOf::Statistic(stat), MetricUnit::Base, HOUR)
            }
            Self::P95 => {
                (MetricOf::Statistic(before("TargetResponseTime", "p95")?), MetricUnit::Base, HOUR)
            }
            Self::Cpu => {
                let stat = stat("AWS/ECS", "CPUUtilization", "Average", own());
                (MetricOf::Statistic(stat), MetricUnit::Percent, FIVE_MINUTES)
            }
            Self::Memory => {
                let stat = stat("AWS/ECS", "MemoryUtilization", "Average", own());
                (MetricOf::Statistic(stat), MetricUnit::Percent, FIVE_MINUTES)
            }
            Self::Disk => {
                let metrics = BTreeMap::from([
                    ("used".to_owned(), insights("EphemeralStorageUtilized")),
                    ("reserved".to_owned(), insights("EphemeralStorageReserved")),
                ]);
                let expression = "used / reserved".to_owned();
                (MetricOf::Math { expression, metrics }, MetricUnit::Base, FIVE_MINUTES)
            }
        };
        let metric = Metric { of, period: step, delay: SignedDuration::ZERO, unit };
        let ask = MetricAsk { metric, fold: Fold::Whole };
        let hour = now.as_second().div_euclid(3600) * 3600;
        let last = Timestamp::from_second(hour).ok()?;
        let count = i64::from(DAYS) * 24 * 3600 / step.as_secs();
        Some((ask, Ticks::ending_at(last, step, usize::try_from(count).ok()?)))
    }

    pub fn all() -> [Self; 6] {
        [Self::Requests, Self::Errors, Self::P95, Self::Cpu, Self::Memory, Self::Disk]
    }
}

/// The dimensions of a load balancer's metrics.
pub(super) fn dimensions(before: &Before) -> Option<BTreeMap<String, String>> {
    let Before::Balancer { balancer, group } = before else { return None };
    let group = group.iter().map(|group| ("TargetGroup".to_owned(), group.clone()));
    Some([("LoadBalancer".to_owned(), balancer.clone())].into_iter().chain(group).collect())
}

/// Requests and errors of the days.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Errors {
    pub requests: f64,
    /// 0-1.
    pub share: f64,
    /// Of the hours with enough requests; `None`: there is none.
    pub hours: Option<Usual>,
}

/// `None`: no request was made, or nobody could say.
pub(super) fn errors(service: &Seen) -> Option<Errors> {
    let requests = values(service, Figure::Requests)?;
    let total: f64 = requests.iter().map(|(_, count)| count).sum();
    if total <= 0.0 {
        return None;
    }
    // A count that is left out is a zero.
    let known = |figure| service.measured.get(&figure)?.as_ref().ok();
    let bad: BTreeMap<i64, f64> = known(Figure::Errors)?.iter().copied().collect();
    let share = |bad: f64, of: f64| (bad / of).clamp(0.0, 1.0);
    let busy = requests.iter().filter(|(_, count)| *count >= ENOUGH);
    let hours: Vec<(i64, f64)> = busy
        .map(|(at, count)| (*at, share(bad.get(at).copied().unwrap_or_default(), *count)))
        .collect();
    let share = share(bad.values().sum(), total);
    Some(Errors { requests: total, share, hours: Usual::of(&hours) })
}

/// What was measured, in three numbers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Usual {
    pub median: f64,
    /// The worst of a day, on the day in the middle: what comes daily is in it, and an
    /// outage is not.
    pub daily: f64,
    pub worst: f64,
}

impl Usual {
    /// Of values with their times; `None`: there is none.
    fn of(values: &[(i64, f64)]) -> Option<Self> {
        let mut days: BTreeMap<i64, f64> = BTreeMap::new();
        for (at, value) in values {
            let top = days.entry(at.div_euclid(DAY_MILLIS)).or_default();
            *top = top.max(*value);
        }
        let sorted = |mut values: Vec<f64>| {
            values.sort_by(f64::total_cmp);
            values
        };
        let days = sorted(days.into_values().collect());
        let all = sorted(values.iter().map(|(_, value)| *value).collect());
        Some(Self {
            median: *all.get(all.len() / 2)?,
            // Of two days the better one.
            daily: *days.get(days.len().checked_sub(1)? / 2)?,
            worst: *all.last()?,
        })
    }
}

/// Of the hours with enough requests. `None`: there is none, or nothing was measured.
pub(super) fn latency(service: &Seen) -> Option<Usual> {
    let mut hours = values(service, Figure::P95)?;
    if let Some(requests) = values(service, Figure::Requests) {
        let requests: BTreeMap<i64, f64> = requests.into_iter().collect();
        hours.retain(|(at, _)| requests.get(at).is_some_and(|count| *count >= ENOUGH));
    }
    Usual::of(&hours)
}

/// Of several services the worst of each. `None`: nothing was measured.
pub(super) fn usual(services: &[&Seen], figure: Figure) -> Option<(Usual, String)> {
    let each = services
        .iter()
        .filter_map(|one| Some((Usual::of(&values(one, figure)?)?, one.name.clone())));
    each.reduce(|(usual, name), (other, new)| {
        let (median, daily) = (usual.median.max(other.median), usual.daily.max(other.daily));
        let (worst, name) =
            if other.worst > usual.worst { (other.worst, new) } else { (usual.worst, name) };
        (Usual { median, daily, worst }, name)
    })
}

/// Finite values, of which there is one at least.
pub(super) fn values(service: &Seen, figure: Figure) -> Option<Vec<(i64, f64)>> {
    let known = service.measured.get(&figure)?.as_ref().ok()?;
    let finite: Vec<(i64, f64)> =
        known.iter().copied().filter(|(_, value)| value.is_finite() && *value >= 0.0).collect();
    (!finite.is_empty()).then_some(finite)
}
