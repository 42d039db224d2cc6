//! The samples of one series: all of the latest hours, one a minute of the day before.

use std::collections::VecDeque;

use crate::sources::track::Mark;

/// All samples are kept for as long as the stretch before a deployment is looked at.
const DENSE_MS: i64 = (2 * 60 + 20) * 60 * 1000;
/// Older ones for as long as what passes by itself is looked for.
const KEPT_MS: i64 = (24 * 60 + 10) * 60 * 1000;
const THIN_MS: i64 = 55 * 1000;
/// What stands where a series ended, as in Prometheus: no value that a page can have.
const ENDED: u64 = 0x7ff0_0000_0000_0002;

/// Samples with their times in milliseconds, ascending.
#[derive(Debug, Clone, Default)]
pub(super) struct Kept {
    old: VecDeque<(i64, f64)>,
    new: VecDeque<(i64, f64)>,
    /// The last that was no longer new.
    aged: Option<f64>,
}

impl Kept {
    /// Takes a sample in; one that is no later than the last is not.
    pub fn push(&mut self, at: i64, value: f64) {
        if self.last().is_some_and(|(last, _)| at <= last) {
            return;
        }
        self.new.push_back((at, value));
        self.forget(at);
    }

    /// Notes that it is there no longer.
    pub fn end(&mut self, at: i64) {
        if self.last().is_some_and(|(_, value)| !is_end(value)) {
            self.push(at, f64::from_bits(ENDED));
        }
    }

    /// Drops what is too old at `now`. Of what is thinned out both sides stay where a counter
    /// fell, so that nothing that was counted is lost.
    pub fn forget(&mut self, now: i64) {
        while let Some((at, value)) = self.new.front().copied()
            && now.saturating_sub(at) > DENSE_MS
        {
            self.new.pop_front();
            let far = self.old.back().is_none_or(|(last, _)| at - last >= THIN_MS);
            let falls = self.new.front().is_some_and(|(_, next)| *next < value || is_none(*next));
            let before = self.aged.replace(value);
            let fell = before.is_some_and(|before| before > value || is_none(before));
            if far || falls || fell || is_none(value) {
                self.old.push_back((at, value));
            }
        }
        while self.old.front().is_some_and(|(at, _)| now.saturating_sub(*at) > KEPT_MS) {
            self.old.pop_front();
        }
    }

    pub fn is_empty(&self) -> bool {
        self.old.is_empty() && self.new.is_empty()
    }

    pub fn first(&self) -> Option<(i64, f64)> {
        self.old.front().or(self.new.front()).copied()
    }

    pub fn last(&self) -> Option<(i64, f64)> {
        self.new.back().or(self.old.back()).copied()
    }

    /// The samples from `from` to `until`, both among them, with the marks between them.
    pub fn between(&self, from: i64, until: i64) -> Vec<(i64, f64)> {
        let within = |all: &VecDeque<(i64, f64)>| -> Vec<(i64, f64)> {
            let start = all.partition_point(|(at, _)| *at < from);
            let rest = all.range(start..).take_while(|(at, _)| *at <= until);
            rest.filter(|(_, value)| !is_end(*value)).copied().collect()
        };
        [within(&self.old), within(&self.new)].concat()
    }

    /// The value at `at`: of the last sample within `lookback`, if the series had not ended.
    pub fn value(&self, at: i64, lookback: i64) -> Option<f64> {
        let before = |all: &VecDeque<(i64, f64)>| {
            let next = all.partition_point(|(time, _)| *time <= at);
            all.range(..next).rev().find(|(_, value)| Mark::of(*value).is_none()).copied()
        };
        let (time, value) = before(&self.new).or_else(|| before(&self.old))?;
        (at.saturating_sub(time) < lookback && !is_end(value)).then_some(value)
    }
}

fn is_end(value: f64) -> bool {
    value.to_bits() == ENDED
}

/// Whether it is no value of the series.
fn is_none(value: f64) -> bool {
    is_end(value) || Mark::of(value).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: i64 = 60_000;

    #[test]
    fn the_latest_hours_are_kept_whole_and_the_day_by_the_minute() {
        let mut kept = Kept::default();
        let day = 24 * 60 * 4;
        for tick in 0..=2 * day {
            kept.push(tick * 15_000, 1.0);
        }
        let now = 2 * day * 15_000;
        assert_eq!(kept.between(now - 120 * MINUTE, now).len(), 481);
        assert_eq!(kept.between(now - 23 * 60 * MINUTE, now - 22 * 60 * MINUTE).len(), 61);
        assert_eq!(kept.first(), Some((now - KEPT_MS, 1.0)));
        assert!(kept.old.len() + kept.new.len() < 2_000);
    }

    #[test]
    fn a_counter_that_was_thinned_out_has_still_counted_the_same() {
        let mut kept = Kept::default();
        let values = [10.0, 20.0, 30.0, 5.0, 15.0, 25.0, 35.0, 2.0, 12.0];
        for (tick, value) in (0_i64..).zip(values) {
            kept.push(tick * 15_000, value);
        }
        let counted = |all: &[(i64, f64)]| -> f64 {
            let step = |pair: &[(i64, f64)]| match pair[1].1 - pair[0].1 {
                fallen if fallen < 0.0 => pair[1].1,
                more => more,
            };
            all.windows(2).map(step).sum()
        };
        let all = kept.between(0, i64::MAX);
        kept.forget(DENSE_MS + 10 * MINUTE);
        let thin = kept.between(0, i64::MAX);
        assert!(thin.len() < all.len());
        let last = *all.last().unwrap();
        let thin: Vec<_> = thin.into_iter().chain([last]).collect();
        assert!((counted(&thin) - counted(&all)).abs() < 1e-9);
    }

    #[test]
    fn a_series_that_ended_has_no_value_until_it_is_there_again() {
        let mut kept = Kept::default();
        kept.push(1_000, 7.0);
        kept.end(2_000);
        kept.end(3_000);
        kept.push(9_000, 8.0);
        kept.push(9_000, 9.0);
        let at = |ms| kept.value(ms, 5 * MINUTE);
        assert_eq!([at(999), at(1_000), at(1_999), at(2_000)], [None, Some(7.0), Some(7.0), None]);
        assert_eq!([at(8_999), at(9_000)], [None, Some(8.0)]);
        assert_eq!([at(308_999), at(309_000)], [Some(8.0), None]);
        assert_eq!(kept.between(0, 10_000), [(1_000, 7.0), (9_000, 8.0)]);
    }
}
