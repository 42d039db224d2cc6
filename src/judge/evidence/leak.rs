//! A leak: a resource that is used up steadily, and will be gone before long.
//!
//! The trend is the Theil-Sen slope (the median of the slopes of all pairs), which
//! a third of outliers does not move. It is a leak when
//!
//! - the trend is steeper than the revision before had it;
//! - Kendall's rank correlation with time is beyond chance (Mann-Kendall alone is
//!   known for false alarms, so it is only one of five);
//! - the later half rises about as fast as the earlier one: filling caches and warming
//!   pools flatten, leaks do not;
//! - a fifth of the room that there was is gone;
//! - at this rate the wall is hit within the time that the policy gives.
//!
//! Memory is bounded: at [`MOST_POINTS`] every second point is dropped and the
//! distance doubled.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::series::median;

const MOST_POINTS: usize = 64;
const LEAST_POINTS: usize = 12;
/// Below this a trend is the warming up of a new task.
const LEAST_TIME: SignedDuration = SignedDuration::from_mins(15);
/// The later half's slope over the earlier one's.
const STEADY: f64 = 0.65;
/// The part of the room to the wall that must be gone: what a new process takes while
/// it warms up is less.
const USED_UP: f64 = 0.2;
/// Standard deviations of Kendall's S under "no trend".
const BEYOND_CHANCE: f64 = 4.0;

/// The points of a series that may leak.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Trend {
    points: Vec<(Timestamp, f64)>,
    /// From one kept point to the next, in milliseconds; 0: every one is kept.
    apart: i64,
}

/// A leak that was found.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Leak {
    /// Units per second.
    pub slope: f64,
    /// When the wall is hit at this rate.
    pub wall_at: Timestamp,
    pub since: Timestamp,
}

/// What a leak runs into.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Wall {
    /// In the series' unit.
    pub value: f64,
    pub within: SignedDuration,
    /// The slope before, in units per second: as steep is nothing new.
    pub usual: f64,
}

impl Trend {
    /// Takes a point in. Points that are not finite, or not later than the last, are
    /// ignored.
    pub fn add(&mut self, at: Timestamp, value: f64) {
        if !value.is_finite() {
            return;
        }
        if let Some((last, _)) = self.points.last() {
            let since = at.as_millisecond() - last.as_millisecond();
            if since <= 0 || since < self.apart {
                return;
            }
        }
        self.points.push((at, value));
        if self.points.len() >= MOST_POINTS {
            let span = self.points[1].0.as_millisecond() - self.points[0].0.as_millisecond();
            self.apart = self.apart.max(span) * 2;
            let mut index = 0;
            self.points.retain(|_| {
                index += 1;
                index % 2 == 1
            });
        }
    }

    /// The leak, if there is one.
    pub fn leak(&self, wall: Wall) -> Option<Leak> {
        // What filled up at the start must not hide, or look like, what goes on.
        [0, self.points.len() / 3].into_iter().find_map(|from| steady(&self.points[from..], wall))
    }
}

fn steady(points: &[(Timestamp, f64)], wall: Wall) -> Option<Leak> {
    let (first, last) = (points.first()?, points.last()?);
    if points.len() < LEAST_POINTS || last.0.duration_since(first.0) < LEAST_TIME {
        return None;
    }
    let (early, later) = points.split_at(points.len() / 2);
    let (early, later) = (theil_sen(early), theil_sen(later));
    let whole = theil_sen(points);
    let flattens = later < early * STEADY || whole <= 0.0;
    if flattens || whole <= 2.0 * wall.usual.max(0.0) || kendall(points) < BEYOND_CHANCE {
        return None;
    }
    let slope = later.min(whole);
    let risen = whole * last.0.duration_since(first.0).as_secs_f64();
    if risen < (wall.value - first.1) * USED_UP {
        return None;
    }
    let left = (wall.value - last.1).max(0.0) / slope;
    let in_time = left <= wall.within.as_secs_f64();
    let wall_at = last.0.checked_add(SignedDuration::try_from_secs_f64(left).ok()?).ok()?;
    in_time.then_some(Leak { slope, wall_at, since: first.0 })
}

/// The Theil-Sen slope of evenly spaced values, `step` seconds apart; 0 for fewer than
/// two.
pub(super) fn slope(values: &[f64], step: f64) -> f64 {
    let stride = values.len().div_ceil(MOST_POINTS).max(1);
    let kept: Vec<f64> = values.iter().copied().step_by(stride).collect();
    let mut slopes = Vec::new();
    for (i, early) in kept.iter().enumerate() {
        for (distance, late) in kept[i..].iter().enumerate().skip(1) {
            #[expect(clippy::cast_precision_loss, reason = "a handful of points")]
            let apart = (distance * stride) as f64 * step;
            slopes.push((late - early) / apart);
        }
    }
    median(&slopes)
}

fn theil_sen(points: &[(Timestamp, f64)]) -> f64 {
    let mut slopes = Vec::with_capacity(points.len() * points.len() / 2);
    for (i, early) in points.iter().enumerate() {
        for late in &points[i + 1..] {
            slopes.push((late.1 - early.1) / late.0.duration_since(early.0).as_secs_f64());
        }
    }
    median(&slopes)
}

/// Kendall's S in standard deviations of its distribution without a trend.
#[expect(clippy::cast_precision_loss, reason = "a handful of points")]
fn kendall(points: &[(Timestamp, f64)]) -> f64 {
    let mut s = 0.0;
    for (i, early) in points.iter().enumerate() {
        for late in &points[i + 1..] {
            s += (late.1 - early.1).partial_cmp(&0.0).map_or(0.0, |order| f64::from(order as i8));
        }
    }
    let n = points.len() as f64;
    s / (n * (n - 1.0) * (2.0 * n + 5.0) / 18.0).sqrt()
}
