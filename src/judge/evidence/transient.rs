//! Transients: what looked like a change and passed by itself.
//!
//! Some services have slow minutes now and then that nobody's deployment brings: a
//! batch job, a neighbour, a cache that fills. They are too rare to widen the null,
//! and a deployment is judged for a day, so it will meet one. The past tells how long
//! they last: for each alternative `j` the cumulative sum
//!
//! ```text
//! S_t = max(0, S_{t-1} + min(ln L_tj, cap))        (Page's CUSUM)
//! ```
//!
//! leaves zero when samples begin to speak for it. What then comes to [`PEAK`] and
//! falls back is a transient; it lasted until its peak. A deployment's evidence for the
//! same alternative must outlast the longest one (see [`super::Cap`]), so a service is
//! judged as quickly as it is quiet, and a total outage at once in spite of slow minutes.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::onset::ALTERNATIVES;

/// For each alternative the longest transient, in seconds; 0 for none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Transients([f64; ALTERNATIVES]);

/// ln of the likelihood ratio that a transient comes to: of as many excursions as a day
/// has, hardly one does by chance.
const PEAK: f64 = 5.5;
/// What one sample may say: two make a transient.
const MOST: f64 = 4.0;
/// Longer than this, in seconds, it was no transient but another state, or an incident:
/// neither is to slow the guard down.
const LONGEST: f64 = 600.0;

impl Transients {
    /// For each alternative the longer one.
    #[must_use]
    pub fn max(self, other: Self) -> Self {
        let mut longest = self.0;
        for (mine, its) in longest.iter_mut().zip(other.0) {
            *mine = mine.max(its);
        }
        Self(longest)
    }

    /// The longest of an alternative.
    pub fn of(&self, alternative: usize) -> f64 {
        self.0.get(alternative).copied().unwrap_or(0.0)
    }

    /// The longest of all.
    pub fn longest(&self) -> f64 {
        self.0.iter().copied().fold(0.0, f64::max)
    }
}

/// Looks for transients, sample by sample.
#[derive(Debug, Clone, Copy, Default)]
pub struct Search {
    tracks: [Track; ALTERNATIVES],
    found: Transients,
}

#[derive(Debug, Clone, Copy, Default)]
struct Track {
    sum: f64,
    peak: f64,
    /// The end of the last sample that said nothing yet.
    from: Option<Timestamp>,
    peak_at: Option<Timestamp>,
}

impl Search {
    /// Takes in the log likelihood ratios of the sample that ends at `at` and begins at
    /// `from`.
    pub fn add(&mut self, from: Timestamp, at: Timestamp, ratios: [f64; ALTERNATIVES]) {
        for (index, ratio) in ratios.into_iter().enumerate() {
            let track = &mut self.tracks[index];
            let ratio = if ratio.is_nan() { 0.0 } else { ratio.min(MOST) };
            let sum = track.sum + ratio;
            // Half of what it came to is gone: it is over.
            if sum <= track.peak / 2.0 {
                let over = std::mem::take(track);
                self.found.0[index] = self.found.0[index].max(over.lasted());
            } else {
                track.sum = sum;
                track.from.get_or_insert(from);
                if sum > track.peak {
                    (track.peak, track.peak_at) = (sum, Some(at));
                }
            }
        }
    }

    /// What was found. What has not fallen back is no transient.
    pub fn found(&self) -> Transients {
        self.found
    }
}

impl Track {
    /// Seconds; 0 where it was none.
    fn lasted(&self) -> f64 {
        let (Some(from), Some(until)) = (self.from, self.peak_at) else { return 0.0 };
        let seconds = until.duration_since(from).as_secs_f64();
        if self.peak >= PEAK && seconds <= LONGEST { seconds } else { 0.0 }
    }
}
