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
//! falls back is a transient; it lasted until its peak. What happened once may have been
//! an incident, an earlier deployment even; what happened twice is how the service is. A
//! deployment's evidence for the same alternative must outlast the second longest one
//! (see [`super::Cap`]), so a service is judged as quickly as it is quiet, and a total
//! outage at once in spite of slow minutes.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::onset::ALTERNATIVES;

/// For each alternative the two longest transients, in seconds, the longest first; 0 for
/// none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Transients([[f64; 2]; ALTERNATIVES]);

/// ln of the likelihood ratio that a transient comes to: of as many excursions as a day
/// has, hardly two do by chance.
const PEAK: f64 = 5.5;
/// What one sample may say: two make a transient.
const MOST: f64 = 4.0;
/// Longer than this, in seconds, it was no transient but another state, or an incident:
/// neither is to slow the guard down.
const LONGEST: f64 = 480.0;

/// Alternatives up to this one are no more than a few times their neighbour.
const CLOSE: usize = 4;

impl Transients {
    /// Those of two stretches that have nothing in common.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        for (index, its) in other.0.into_iter().enumerate() {
            for seconds in its {
                self.note(index, seconds);
            }
        }
        self
    }

    /// Those of one stretch under two tests, or of two stretches that overlap: what both
    /// saw passed once.
    #[must_use]
    pub fn max(mut self, other: Self) -> Self {
        for (mine, its) in self.0.iter_mut().flatten().zip(other.0.iter().flatten()) {
            *mine = mine.max(*its);
        }
        self
    }

    fn note(&mut self, alternative: usize, seconds: f64) {
        let [longest, second] = &mut self.0[alternative];
        if seconds > *longest {
            (*longest, *second) = (seconds, *longest);
        } else if seconds > *second {
            *second = seconds;
        }
    }

    /// Seconds that a change of this size must outlast; 0 for none. What came twice varies
    /// in size: it counts for the next larger alternative too, where that is not far, and
    /// for one that it came to once.
    pub fn of(&self, alternative: usize) -> f64 {
        let Some([longest, second]) = self.0.get(alternative) else { return 0.0 };
        let smaller = self.0[..alternative].iter().map(|[_, second]| *second);
        let next = smaller.clone().next_back().filter(|_| alternative <= CLOSE).unwrap_or(0.0);
        let came_to_it = if *longest > 0.0 { smaller.fold(0.0, f64::max) } else { 0.0 };
        second.max(next).max(came_to_it)
    }

    /// The longest of all alternatives that passed twice.
    pub fn longest(&self) -> f64 {
        self.0.iter().map(|[_, second]| *second).fold(0.0, f64::max)
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
                self.found.note(index, over.lasted());
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
