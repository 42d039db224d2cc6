//! The latest samples of a check: what its window and its estimates are summed from.

use std::collections::VecDeque;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::value::Pool;

/// The latest samples, oldest first; bounded.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Recent(VecDeque<(Timestamp, Pool)>);

/// Samples that are kept at most.
const MOST: usize = 64;
/// Samples that are kept at least, however short the window.
const LEAST: i32 = 10;

impl Recent {
    /// Takes a sample in and forgets what neither `window` nor an estimate from twice as
    /// many `events` needs.
    pub fn push(
        &mut self,
        at: Timestamp,
        pool: Pool,
        window: SignedDuration,
        interval: SignedDuration,
        events: f64,
    ) {
        self.0.push_back((at, pool));
        let kept = window.max(interval * LEAST);
        let mut total: f64 = self.0.iter().map(|(_, pool)| pool.total()).sum();
        while self.0.len() > MOST
            || self.0.front().is_some_and(|(first, oldest)| {
                at.duration_since(*first) >= kept && total - oldest.total() >= 2.0 * events
            })
        {
            total -= self.0.front().map_or(0.0, |(_, oldest)| oldest.total());
            self.0.pop_front();
        }
    }

    /// The sum of the samples after `from`; of values the latest. `None` for none.
    pub fn after(&self, from: Timestamp) -> Option<Pool> {
        let mut samples = self.0.iter().filter(|(at, _)| *at > from);
        let mut sum = samples.next()?.1.clone();
        samples.for_each(|(_, pool)| sum.add(pool));
        Some(sum)
    }

    /// The sum of the samples in the window that ends at `at`.
    pub fn window(&self, at: Timestamp, window: SignedDuration) -> Option<Pool> {
        self.after(at.checked_sub(window).unwrap_or(Timestamp::MIN))
    }

    /// The latest `count` samples, newest first.
    pub fn latest(&self, count: usize) -> impl Iterator<Item = &Pool> {
        self.0.iter().rev().take(count).map(|(_, pool)| pool)
    }

    pub fn last_at(&self) -> Option<Timestamp> {
        self.0.back().map(|(at, _)| *at)
    }

    pub fn clear(&mut self) {
        self.0.clear();
    }
}
