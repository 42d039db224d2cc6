//! When a check is measured. Most are measured at every tick, as of that tick. What
//! CloudWatch keeps is there only for whole periods and a while after they have ended: such
//! a check is measured at the first tick after a period has become complete, as of the
//! period's end, and at the ticks between nothing is asked.

use jiff::{SignedDuration, Timestamp};

use super::{Check, Counted, Gauged, Measure, Probe, Stated, WebText};
use crate::model::{Fold, Metric, MetricOf, Ticks};

/// A count that could not be asked is made up for with a later one within this.
const MADE_UP: SignedDuration = SignedDuration::from_mins(10);
/// How long CloudWatch keeps periods below a minute.
const FINE_KEPT: SignedDuration = SignedDuration::from_hours(3);
const MINUTE: SignedDuration = SignedDuration::from_mins(1);
/// Samples of a stretch of the past that are asked of a JSON API.
const MOST_ASKED: usize = 40;

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
        self.asked().into_iter().map(|(metric, _)| metric).collect()
    }

    /// The same, with how the data points of each become one value.
    pub fn asked(&self) -> Vec<(&Metric, Fold)> {
        fn counted(counted: &Counted) -> Option<&Metric> {
            match counted {
                Counted::Metric(metric) => Some(metric),
                Counted::Counter(_) | Counted::Query(_) | Counted::Json(_) => None,
            }
        }
        match &self.measure {
            Measure::Ratio { of, total, .. } => {
                let both = counted(of).into_iter().chain(counted(total));
                both.map(|metric| (metric, Fold::Each)).collect()
            }
            Measure::Gauge { of: Gauged::Metric(watched), .. } => {
                let beside = watched.beside.iter().map(|beside| (&beside.metric, Fold::Each));
                [(&watched.metric, self.fold())].into_iter().chain(beside).collect()
            }
            Measure::Gauge {
                of: Gauged::Query(_) | Gauged::Tasks(_) | Gauged::Json(_) | Gauged::Logs(_),
                ..
            }
            | Measure::Latency { .. }
            | Measure::Status {
                of:
                    Stated::Query(_)
                    | Stated::Alarms(_)
                    | Stated::Http(_)
                    | Stated::Probe(_)
                    | Stated::Heartbeat(_),
            } => Vec::new(),
        }
    }

    /// The metric whose periods it follows; those of one check have the same.
    fn followed(&self) -> Option<&Metric> {
        self.metrics().first().copied()
    }

    /// Whether it asks CloudWatch, for metrics or for alarms.
    pub fn is_of_cloudwatch(&self) -> bool {
        let alarms = matches!(self.measure, Measure::Status { of: Stated::Alarms(_) });
        alarms || self.follows_periods()
    }

    /// Whether it asks Prometheus.
    pub fn is_of_prometheus(&self) -> bool {
        let aside = self.is_of_tasks() || self.is_of_probe() || self.is_of_logs();
        let elsewhere = self.is_of_cloudwatch() || self.is_of_web() || self.is_of_pages();
        !aside && !elsewhere && !self.is_of_heartbeat()
    }

    /// Whether it asks whether a scheduled job runs: nobody but the guard keeps that.
    pub fn is_of_heartbeat(&self) -> bool {
        matches!(self.measure, Measure::Status { of: Stated::Heartbeat(_) })
    }

    /// What it asks of the web, as the policy writes it.
    pub fn web(&self) -> Vec<&WebText> {
        fn counted(counted: &Counted) -> Option<&WebText> {
            match counted {
                Counted::Json(value) => Some(&value.web),
                Counted::Counter(_) | Counted::Query(_) | Counted::Metric(_) => None,
            }
        }
        match &self.measure {
            Measure::Ratio { of, total, .. } => {
                counted(of).into_iter().chain(counted(total)).collect()
            }
            Measure::Gauge { of: Gauged::Json(value), .. } => vec![&value.web],
            Measure::Status { of: Stated::Http(health) } => vec![&health.web],
            Measure::Status { of: Stated::Probe(probe) } => {
                probe.steps().iter().map(|step| &step.web).collect()
            }
            Measure::Gauge {
                of: Gauged::Query(_) | Gauged::Metric(_) | Gauged::Tasks(_) | Gauged::Logs(_),
                ..
            }
            | Measure::Latency { .. }
            | Measure::Status { of: Stated::Query(_) | Stated::Alarms(_) | Stated::Heartbeat(_) } => {
                Vec::new()
            }
        }
    }

    /// Whether its series are read from pages of metrics.
    pub fn is_of_pages(&self) -> bool {
        self.from.is_some()
    }

    /// Every request that it causes where the settings must allow it, as the policy writes it.
    pub fn sent_out(&self) -> Vec<&WebText> {
        let pages = self.from.iter().flat_map(|from| &from.pages);
        self.web().into_iter().chain(pages).collect()
    }

    /// How long each stretch of the past is that is asked for where samples lie `step` apart:
    /// a number of a JSON API grows with it, and must be as its samples will be. So must what
    /// a query says: a rate over a step as short as the scrape interval has no value at all.
    pub fn past_window(&self, step: SignedDuration) -> SignedDuration {
        let is_own =
            matches!(self.measure, Measure::Gauge { .. }) || self.is_of_web() || self.is_of_logs();
        if is_own { self.window(step) } else { step }
    }

    /// Whether it asks a health endpoint or a JSON API.
    pub fn is_of_web(&self) -> bool {
        !self.web().is_empty()
    }

    /// Whether it asks a health endpoint or probes, which is done from the start of the
    /// roll-out: neither has a past.
    pub fn is_of_health(&self) -> bool {
        matches!(self.measure, Measure::Status { of: Stated::Http(_) | Stated::Probe(_) })
    }

    /// The smoke test or user flow that it runs.
    pub fn probe(&self) -> Option<&Probe> {
        match &self.measure {
            Measure::Status { of: Stated::Probe(probe) } => Some(probe),
            Measure::Status {
                of: Stated::Query(_) | Stated::Alarms(_) | Stated::Http(_) | Stated::Heartbeat(_),
            }
            | Measure::Ratio { .. }
            | Measure::Latency { .. }
            | Measure::Gauge { .. } => None,
        }
    }

    /// Whether it counts events of CloudWatch Logs.
    pub fn is_of_logs(&self) -> bool {
        matches!(self.measure, Measure::Gauge { of: Gauged::Logs(_), .. })
    }

    pub fn is_of_probe(&self) -> bool {
        self.probe().is_some()
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
        let own = self.probe().map_or(interval, |probe| probe.every.max(interval));
        self.followed().map_or(own, |metric| metric.stretch(interval))
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

    /// How long the stretch is that a measurement as of `at` speaks of. Counts go on where
    /// the latest answer (`last`) ended, so that none is lost or counted twice where periods
    /// change or an answer did not come; but not from before `clear`, when the grace ended.
    pub fn stretch(
        &self,
        at: Timestamp,
        interval: SignedDuration,
        last: Option<Timestamp>,
        clear: Option<Timestamp>,
    ) -> SignedDuration {
        let pace = self.pace(interval);
        let (Some(metric), true) = (self.followed(), self.counts()) else { return pace };
        let made_up = |from: &Timestamp| {
            let since = at.duration_since(*from);
            since.is_positive() && since <= MADE_UP.max(pace * 2)
        };
        let Some(from) = last.filter(made_up) else { return pace };
        let clear = clear.and_then(|clear| {
            let whole = on_grid(clear, metric.period);
            if whole < clear { whole.checked_add(metric.period).ok() } else { Some(whole) }
        });
        match clear.filter(|clear| from < *clear && *clear < at) {
            Some(clear) => at.duration_since(clear),
            None => at.duration_since(from),
        }
    }

    /// What is to be measured at `ticks` in a phase of this interval; `None`: nothing. `last`
    /// and `clear` are as of [`Check::stretch`].
    pub fn stretches(
        &self,
        ticks: Ticks,
        interval: SignedDuration,
        last: Option<Timestamp>,
        clear: Option<Timestamp>,
    ) -> Option<Stretches> {
        if self.followed().is_none() {
            return Some(Stretches { ticks, places: (0..ticks.count).collect() });
        }
        let measured = |tick| self.measured_at(tick, ticks.step, interval);
        let due: Vec<(usize, Timestamp)> = ticks
            .times()
            .enumerate()
            .filter_map(|(place, tick)| Some((place, measured(tick)?)))
            .collect();
        let (first, newest) = (due.first()?, due.last()?);
        let pace = self.pace(interval);
        let stretch = self.stretch(newest.1, interval, last, clear);
        if due.len() == 1 || stretch > pace {
            // What was missed is counted with the newest.
            let ticks = Ticks::once(newest.1, stretch);
            return Some(Stretches { ticks, places: vec![newest.0] });
        }
        let ticks = Ticks { first: first.1, step: pace, count: due.len() };
        let places = due.into_iter().map(|(place, _)| place).collect();
        Some(Stretches { ticks, places })
    }

    /// The stretches of the past that are as long as its samples will be: about `count` times
    /// `step` up to `until`, or to what is complete by `now`. What CloudWatch keeps below a
    /// minute it keeps for three hours, minutes for 15 days: nothing older is asked for.
    pub fn past(
        &self,
        until: Timestamp,
        step: SignedDuration,
        count: usize,
        now: Timestamp,
    ) -> Ticks {
        if self.is_of_web() || self.is_of_logs() {
            // Each sample is a request to somebody who counts them.
            let apart = count.div_ceil(MOST_ASKED).max(1);
            let step = step.checked_mul(i32::try_from(apart).unwrap_or(1)).unwrap_or(step);
            return Ticks::ending_at(until, step, count / apart);
        }
        let Some(metric) = self.followed() else { return Ticks::ending_at(until, step, count) };
        let complete = now.checked_sub(metric.delay).unwrap_or(until);
        let of = |pace: SignedDuration| {
            let shorter = pace.as_millis().max(1) / step.as_millis().max(1);
            let count = count / usize::try_from(shorter).unwrap_or(1).max(1);
            Ticks::ending_at(on_grid(until.min(complete), pace), pace, count.max(1))
        };
        let ticks = of(self.pace(step));
        if now.duration_since(ticks.first) <= FINE_KEPT || ticks.step >= MINUTE {
            return ticks;
        }
        of(Metric { period: MINUTE, ..metric.clone() }.stretch(step))
    }

    /// Whether its measurements are counts that add up.
    fn counts(&self) -> bool {
        matches!(self.measure, Measure::Ratio { .. })
    }

    /// How data points within one stretch become one value: statistics can be had of the
    /// whole stretch, but a sum grows with it, and so may what is computed.
    pub fn fold(&self) -> Fold {
        let Measure::Gauge { of: Gauged::Metric(watched), .. } = &self.measure else {
            return Fold::Each;
        };
        match &watched.metric.of {
            MetricOf::Statistic(stat) if !matches!(stat.stat.as_str(), "Sum" | "SampleCount") => {
                Fold::Whole
            }
            MetricOf::Statistic(_) | MetricOf::Math { .. } if self.higher_is_worse() => {
                Fold::Highest
            }
            MetricOf::Statistic(_) | MetricOf::Math { .. } => Fold::Lowest,
        }
    }

    /// Whether its past can be asked for: an alarm has only a state, and so have tasks and
    /// health. A JSON API may be asked about the time that the request names.
    pub fn has_past(&self) -> bool {
        match &self.measure {
            Measure::Status {
                of: Stated::Alarms(_) | Stated::Http(_) | Stated::Probe(_) | Stated::Heartbeat(_),
            }
            | Measure::Gauge { of: Gauged::Tasks(_), .. } => false,
            Measure::Status { of: Stated::Query(_) }
            | Measure::Gauge {
                of: Gauged::Query(_) | Gauged::Metric(_) | Gauged::Json(_) | Gauged::Logs(_),
                ..
            }
            | Measure::Ratio { .. }
            | Measure::Latency { .. } => self.web().iter().all(|web| web.has_past()),
        }
    }

    /// Whether the platform is asked, about the deployment's tasks.
    pub fn is_of_tasks(&self) -> bool {
        matches!(self.measure, Measure::Gauge { of: Gauged::Tasks(_), .. })
    }
}

/// The last multiple of `step` since the epoch that is not after `time`.
fn on_grid(time: Timestamp, step: SignedDuration) -> Timestamp {
    let step = i64::try_from(step.as_millis()).unwrap_or(i64::MAX).max(1);
    let ms = time.as_millisecond().div_euclid(step).saturating_mul(step);
    Timestamp::from_millisecond(ms).unwrap_or(time)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::model::{MetricStat, MetricUnit};
    use crate::policy::{Part, Unit, Watched};

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn secs(seconds: i64) -> SignedDuration {
        SignedDuration::from_secs(seconds)
    }

    fn metric() -> Metric {
        let stat = MetricStat {
            namespace: "AWS/ECS".into(),
            metric: "CPUUtilization".into(),
            dimensions: BTreeMap::new(),
            stat: "Average".into(),
        };
        Metric {
            of: MetricOf::Statistic(stat),
            period: secs(60),
            delay: secs(120),
            unit: MetricUnit::Percent,
        }
    }

    fn check(measure: Measure) -> Check {
        Check {
            name: "it".into(),
            measure,
            normal: None,
            breach: BTreeMap::new(),
            baseline: None,
            leak: None,
            min_traffic: 20.0,
            window: None,
            from: None,
            optional: false,
        }
    }

    fn gauge() -> Check {
        let watched = Watched { metric: metric(), beside: None };
        check(Measure::Gauge { of: Gauged::Metric(Box::new(watched)), unit: Unit::Ratio })
    }

    fn ratio() -> Check {
        let counted = || Counted::Metric(Box::new(metric()));
        check(Measure::Ratio { part: Part::Bad, of: counted(), total: counted() })
    }

    #[test]
    fn a_metric_is_measured_once_a_period_as_of_its_end_when_it_is_complete() {
        let check = gauge();
        let interval = secs(15);
        let measured: Vec<_> = (1..=12)
            .filter_map(|tick| check.measured_at(at(6000 + tick * 15), interval, interval))
            .collect();
        // Ticks at 6060, 6120 and 6180: what ended two minutes before each.
        assert_eq!(measured, [at(5940), at(6000), at(6060)]);
    }

    #[test]
    fn in_a_slow_phase_it_speaks_of_the_whole_interval() {
        let check = gauge();
        let interval = secs(300);
        assert_eq!(check.pace(interval), interval);
        assert_eq!(check.measured_at(at(6300), interval, interval), Some(at(6000)));
        assert_eq!(check.measured_at(at(6600), interval, interval), Some(at(6300)));
    }

    #[test]
    fn what_is_asked_of_prometheus_is_measured_at_every_tick() {
        let check = check(Measure::Latency { quantile: 0.95, counter: "b".into() });
        assert_eq!(check.measured_at(at(7), secs(1), secs(1)), Some(at(7)));
        let ticks = Ticks { first: at(60), step: secs(15), count: 3 };
        let stretches = check.stretches(ticks, secs(15), Some(at(0)), None).unwrap();
        assert_eq!(stretches, Stretches { ticks, places: vec![0, 1, 2] });
    }

    #[test]
    fn missed_ticks_are_measured_period_by_period() {
        let ticks = Ticks { first: at(6015), step: secs(15), count: 12 };
        let Stretches { ticks, places } = gauge().stretches(ticks, secs(15), None, None).unwrap();
        assert_eq!(ticks, Ticks { first: at(5940), step: secs(60), count: 3 });
        assert_eq!(places, [3, 7, 11], "the ticks at 6060, 6120 and 6180 take them in");
        let between = Ticks::once(at(6075), secs(15));
        assert_eq!(gauge().stretches(between, secs(15), None, None), None);
    }

    #[test]
    fn counts_go_on_where_the_last_answer_ended_and_statistics_do_not() {
        let of = |check: &Check, last: Option<i64>| {
            let ticks = Ticks::once(at(6300), secs(300));
            check.stretches(ticks, secs(300), last.map(at), None).unwrap().ticks
        };
        // The period before was a minute's, or two answers did not come.
        for (last, step) in [(5880, 120), (5400, 600), (5999, 1), (5100, 300), (6000, 300)] {
            assert_eq!(of(&ratio(), Some(last)), Ticks::once(at(6000), secs(step)), "{last}");
        }
        assert_eq!(of(&ratio(), None), Ticks::once(at(6000), secs(300)));
        assert_eq!(of(&gauge(), Some(5880)), Ticks::once(at(6000), secs(300)));
    }

    #[test]
    fn what_was_missed_is_counted_with_the_newest_and_the_grace_is_not() {
        let ticks = Ticks { first: at(6015), step: secs(15), count: 12 };
        let of = |last: i64, clear: Option<i64>| {
            ratio().stretches(ticks, secs(15), Some(at(last)), clear.map(at)).unwrap()
        };
        // Three periods are due, and two more were not answered before them.
        let all = Stretches { ticks: Ticks::once(at(6060), secs(300)), places: vec![11] };
        assert_eq!(of(5760, None), all);
        assert_eq!(of(5760, Some(5700)), all);
        // The grace ended at 5890: the first whole period after it begins at 5940.
        let after = Stretches { ticks: Ticks::once(at(6060), secs(120)), places: vec![11] };
        assert_eq!(of(5760, Some(5890)), after);
        // Longer ago than can be made up for: period by period.
        assert_eq!(of(5000, None).places, [3, 7, 11]);
    }

    #[test]
    fn below_a_minute_only_the_latest_hours_are_asked_for() {
        let mut check = ratio();
        if let Measure::Ratio { of, total, .. } = &mut check.measure {
            for counted in [of, total] {
                let Counted::Metric(metric) = counted else { panic!() };
                metric.period = secs(10);
            }
        }
        let hours = check.past(at(86_400), secs(10), 720, at(86_400));
        assert_eq!((hours.step, hours.count), (secs(10), 720));
        let day = check.past(at(86_400), secs(10), 8640, at(86_400));
        assert_eq!((day.step, day.count), (secs(60), 1440));
    }

    #[test]
    fn the_past_ends_where_periods_are_complete() {
        let past = gauge().past(at(6010), secs(15), 480, at(6020));
        assert_eq!(past, Ticks::ending_at(at(5880), secs(60), 120));
        let old = gauge().past(at(3599), secs(15), 480, at(6020));
        assert_eq!(old, Ticks::ending_at(at(3540), secs(60), 120));
    }
}
