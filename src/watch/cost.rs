//! What watching a deployment asks of CloudWatch, and what AWS takes for it.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};

use super::baselines::{EARLIER_DAYS, FOLLOW};
use crate::model::{Fold, Metric, MetricStat};
use crate::policy::{Against, Check, Measure, Policy, Stated};

/// Dollars for a metric that `GetMetricData` is asked for, and for a request of another
/// kind: $0.01 per 1,000 of either, as published for us-east-1; no free tier is counted.
pub const DOLLARS: f64 = 0.01 / 1_000.0;
/// What `DescribeAlarms` takes at once.
const ALARMS_AT_ONCE: usize = 100;

/// What one watch asks for, from the first new task in service to the end of the last
/// phase. Each metric is asked for once a period, however many checks need it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cost {
    /// By check, in the policy's order: the metrics that it needs each time, and how often
    /// it is measured.
    pub checks: Vec<(String, usize, u64)>,
    /// Metrics asked for to sample the service.
    pub samples: u64,
    /// The same for stretches of the past.
    pub past: u64,
    /// The same for peers and dependencies that the policy names, samples and past.
    pub controls: u64,
    /// Requests for the states of alarms.
    pub alarms: u64,
}

impl Cost {
    /// What watching one deployment under `policy` asks for. A rollback, which is followed
    /// in the first phase's rhythm until the numbers are back, comes on top.
    pub fn of(policy: &Policy) -> Self {
        let mut cost = Self::default();
        let mut times: BTreeMap<&str, u64> = BTreeMap::new();
        for (tick, since) in ticks(policy) {
            let due = policy.checks.iter().filter(|check| {
                check.follows_periods() && check.measured_at(tick, since, since).is_some()
            });
            let due: Vec<&Check> = due.collect();
            for check in &due {
                *times.entry(&check.name).or_default() += 1;
            }
            cost.samples += distinct(&due, since);
            cost.alarms +=
                u64::from(alarms(policy) > 0) * alarms(policy).div_ceil(ALARMS_AT_ONCE) as u64;
        }
        cost.checks = policy
            .checks
            .iter()
            .filter(|check| check.follows_periods())
            .map(|check| {
                let often = times.get(check.name.as_str()).copied().unwrap_or(0);
                (check.name.clone(), metrics(check), often)
            })
            .collect();
        cost.past = past(policy);
        let controls = policy.peers.len() + policy.depends_on.len();
        let before = distinct(&of_cloudwatch(policy), first_interval(policy));
        cost.controls = controls as u64 * (cost.samples + before);
        cost
    }

    /// All metrics that `GetMetricData` is asked for.
    pub fn metrics(&self) -> u64 {
        self.samples + self.past + self.controls
    }

    pub fn dollars(&self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "thousands")]
        let asked = (self.metrics() + self.alarms) as f64;
        asked * DOLLARS
    }
}

/// The ticks of a watch, each with the time since the one before, which is the interval.
fn ticks(policy: &Policy) -> impl Iterator<Item = (Timestamp, SignedDuration)> {
    let start = Timestamp::UNIX_EPOCH;
    let mut phases = policy.phases.iter().peekable();
    let mut now = start;
    std::iter::from_fn(move || {
        while let Some(phase) = phases.peek() {
            let next = now.checked_add(phase.interval).ok()?;
            if next.duration_since(start) <= phase.until {
                now = next;
                return Some((next, phase.interval));
            }
            phases.next();
        }
        None
    })
}

fn first_interval(policy: &Policy) -> SignedDuration {
    policy.phases.first().map_or(SignedDuration::from_mins(1), |phase| phase.interval)
}

fn of_cloudwatch(policy: &Policy) -> Vec<&Check> {
    policy.checks.iter().filter(|check| check.follows_periods()).collect()
}

/// The metrics of stretches of the past. Those that follow the clock are asked for anew
/// each hour.
fn past(policy: &Policy) -> u64 {
    let checks = of_cloudwatch(policy);
    let each = |checks: &[&Check]| distinct(checks, first_interval(policy));
    let tested: Vec<&Check> = checks.iter().copied().filter(|check| check.is_tested()).collect();
    let hours =
        (policy.horizon().as_millis().max(0) + FOLLOW.as_millis() - 1) / FOLLOW.as_millis() + 1;
    let hours = u64::try_from(hours).unwrap_or(u64::MAX);
    let days = u64::try_from(EARLIER_DAYS).unwrap_or(0);
    let asked: BTreeSet<Against> = policy
        .checks
        .iter()
        .filter_map(|check| check.baseline.as_ref())
        .flat_map(|rule| rule.against.iter().copied())
        .collect();
    let followed: u64 = asked
        .iter()
        .map(|against| match against {
            Against::SameHour => days * hours,
            Against::LastWeek => hours,
            // Asked for anyway, or no stretch of the past.
            Against::Before | Against::OldRevision | Against::Peers => 0,
        })
        .sum();
    each(&checks) * (1 + followed) + each(&tested)
}

/// How many different metrics these checks need at once.
fn distinct(checks: &[&Check], interval: SignedDuration) -> u64 {
    let stats: BTreeSet<(&MetricStat, SignedDuration)> = checks
        .iter()
        .flat_map(|check| check.asked())
        .flat_map(|(metric, fold)| {
            let period = match fold {
                Fold::Whole => metric.stretch(interval),
                Fold::Each | Fold::Highest | Fold::Lowest => metric.period,
            };
            metric.stats().map(move |stat| (stat, period))
        })
        .collect();
    stats.len() as u64
}

fn metrics(check: &Check) -> usize {
    check.metrics().into_iter().flat_map(Metric::stats).collect::<BTreeSet<_>>().len()
}

fn alarms(policy: &Policy) -> usize {
    let named = policy.checks.iter().map(|check| match &check.measure {
        Measure::Status { of: Stated::Alarms(names) } => names.len(),
        Measure::Status {
            of: Stated::Query(_) | Stated::Http(_) | Stated::Probe(_) | Stated::Heartbeat(_),
        }
        | Measure::Ratio { .. }
        | Measure::Latency { .. }
        | Measure::Gauge { .. } => 0,
    });
    named.sum()
}
