//! When a check is measured. Most are measured at every tick, as of that tick. What
//! CloudWatch keeps is there only for whole periods and a while after they have ended: such
//! a check is measured at the first tick after a period has become complete, as of the
//! period's end, and at the ticks between nothing is asked.

use jiff::{SignedDuration, Timestamp};

use super::{Check, Counted, Gauged, Measure, Stated};
use crate::model::{Metric, Ticks};

/// A count that could not be asked is made up for with a later one within this.
const MADE_UP: SignedDuration = SignedDuration::from_mins(10);

/// What is to be measured for some ticks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stretches {
    pub ticks: Ticks,
    /// For each of them the place, among the ticks that were asked about, of the one that
    /// takes it in.
    pub places: Vec<usize>,
}

impl Check {
    /// The metrics of CloudWatch that it asks for.
    pub fn metrics(&self) -> Vec<&Metric> {
        fn counted(counted: &Counted) -> Option<&Metric> {
            match counted {
                Counted::Metric(metric) => Some(metric),
                Counted::Counter(_) | Counted::Query(_) => None,
            }
        }
        match &self.measure {
            Measure::Ratio { of, total, .. } => {
                counted(of).into_iter().chain(counted(total)).collect()
            }
            Measure::Gauge { of: Gauged::Metric(watched), .. } => {
                [&watched.metric].into_iter().chain(&watched.beside).collect()
            }
            Measure::Gauge { of: Gauged::Query(_), .. }
            | Measure::Latency { .. }
            | Measure::Status { of: Stated::Query(_) | Stated::Alarms(_) } => Vec::new(),
        }
    }

    /// The metric whose periods it follows; those of one check have the same.
    fn followed(&self) -> Option<&Metric> {
        self.metrics().first().copied()
    }

    /// Whether it is measured period by period, as CloudWatch keeps it.
    pub fn follows_periods(&self) -> bool {
        self.followed().is_some()
    }

    /// How long after its time a measurement can be had, beyond what every source needs.
    pub fn delay(&self) -> SignedDuration {
        self.followed().map_or(SignedDuration::ZERO, |metric| metric.delay)
    }

    /// The time between two of its measurements, where others are `interval` apart.
    pub fn pace(&self, interval: SignedDuration) -> SignedDuration {
        self.followed().map_or(interval, |metric| metric.stretch(interval))
    }

    /// As of when it is measured at `tick`, `since` after the tick before, in a phase of this
    /// interval; `None`: nothing new can be had.
    pub fn measured_at(
        &self,
        tick: Timestamp,
        since: SignedDuration,
        interval: SignedDuration,
    ) -> Option<Timestamp> {
        let Some(metric) = self.followed() else { return Some(tick) };
        let complete = tick.checked_sub(metric.delay).ok()?;
        let at = on_grid(complete, metric.stretch(interval));
        (complete.duration_since(at) < since).then_some(at)
    }

    /// What is to be measured at `ticks` in a phase of this interval; `None`: nothing.
    /// `last` is the time of the latest answer: counts go on from there, so that none is
    /// lost or counted twice where periods change or an answer did not come.
    pub fn stretches(
        &self,
        ticks: Ticks,
        interval: SignedDuration,
        last: Option<Timestamp>,
    ) -> Option<Stretches> {
        if self.followed().is_none() {
            return Some(Stretches { ticks, places: (0..ticks.count).collect() });
        }
        let due: Vec<(usize, Timestamp)> = ticks
            .times()
            .enumerate()
            .filter_map(|(place, tick)| {
                Some((place, self.measured_at(tick, ticks.step, interval)?))
            })
            .collect();
        let (first, pace) = (due.first()?.1, self.pace(interval));
        let since = last.map(|last| first.duration_since(last)).filter(|since| {
            let counts = matches!(self.measure, Measure::Ratio { .. });
            counts && since.is_positive() && *since <= MADE_UP.max(pace * 2)
        });
        let step = since.filter(|_| due.len() == 1).unwrap_or(pace);
        let ticks = Ticks { first, step, count: due.len() };
        let places = due.into_iter().map(|(place, _)| place).collect();
        Some(Stretches { ticks, places })
    }

    /// Whether its past can be asked for: an alarm has only a state.
    pub fn has_past(&self) -> bool {
        !matches!(self.measure, Measure::Status { of: Stated::Alarms(_) })
    }

    /// The stretches of the past that are as long as its samples will be: about `count` times
    /// `step` up to `until`, or to what is complete by `now`.
    pub fn past(
        &self,
        until: Timestamp,
        step: SignedDuration,
        count: usize,
        now: Timestamp,
    ) -> Ticks {
        let Some(metric) = self.followed() else { return Ticks::ending_at(until, step, count) };
        let pace = self.pace(step);
        let complete = now.checked_sub(metric.delay).unwrap_or(until);
        let shorter = pace.as_millis().max(1) / step.as_millis().max(1);
        let count = count / usize::try_from(shorter).unwrap_or(1).max(1);
        Ticks::ending_at(on_grid(until.min(complete), pace), pace, count.max(1))
    }
}

/// The last multiple of `step` since the epoch that is not after `time`.
fn on_grid(time: Timestamp, step: SignedDuration) -> Timestamp {
    let step = i64::try_from(step.as_millis()).unwrap_or(i64::MAX).max(1);
    let ms = time.as_millisecond().div_euclid(step).saturating_mul(step);
    Timestamp::from_millisecond(ms).unwrap_or(time)
}
