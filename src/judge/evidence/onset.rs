//! Evidence that accumulates: one e-process over all onsets and all sizes of a
//! change.
//!
//! For each alternative `j` (how much worse) and each possible onset `k` (since
//! which sample), the likelihood ratio of the samples from `k` on is a test
//! martingale under "nothing changed". Their mixture is one too:
//!
//! ```text
//! E_t = sum_j pi_j (sum_{k<=t} w_k prod_{i=k..t} L_ij  +  sum_{k>t} w_k)
//! ```
//!
//! and by Ville's inequality `P(E ever >= 1/alpha) <= alpha`, looked at after
//! every sample. The inner sum obeys `R_t = (R_{t-1} + w_t) L_t` (Shiryaev and
//! Roberts), so all onsets cost one number per alternative and nothing has to
//! be pruned. `w` puts half on the first sample, because a deployment that
//! breaks something mostly does so at once, and spreads the rest evenly over
//! the logarithm of time. See Shin, Ramdas and Rinaldo, "E-detectors", and Howard
//! and Ramdas on mixtures.
//!
//! Each sample's ratio is **capped from above**, so that several samples must
//! agree; a cap keeps the inequality and takes away only power. It holds for
//! independent samples of a known null; an estimated baseline and dependence
//! make it approximate, which is what dispersion and calibration are for.
//!
//! What speaks for an alternative is **held** until it has lasted longer than what
//! passed by itself in the past ([`Transients`]): held, it counts for nothing, which
//! keeps the inequality too.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Transients;

/// How much worse it may have become: so many sizes are tried.
pub const ALTERNATIVES: usize = 7;
/// Prior weight of an onset at the first sample.
const AT_ONCE: f64 = 0.5;
/// Samples over which the other half of the prior is spread: a day at 15 s.
/// Later onsets weigh nothing more, so the mixture stays below one.
const SPREAD: f64 = 5760.0;
/// Of every onset after them: next to nothing, and never nothing.
const LATER: f64 = 1e-10;

/// The evidence so far. Small, and replayed exactly from the same samples.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Evidence {
    tracks: Vec<Track>,
    samples: u32,
    /// Prior weight of the onsets so far.
    begun: f64,
}

/// One alternative.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct Track {
    /// The weighted sum over onsets; may underflow to zero, never overflows.
    sum: f64,
    /// ln of the sum when the latest run of samples against "nothing changed" began.
    run_from: f64,
    /// Whether the latest sample was one of a run.
    running: bool,
    /// Log likelihood ratio since the onset that explains the samples best.
    best: f64,
    since: Option<Timestamp>,
    /// The last sample at which that ratio was small.
    calm_at: Option<Timestamp>,
    /// Whether what it says has not lasted longer than what passed by itself before.
    #[serde(default)]
    held: bool,
}

/// Far above any threshold; keeps sums finite.
const CEILING: f64 = 1e30;

impl Evidence {
    /// Takes one sample in: the log likelihood ratio of each alternative, and the most
    /// that one sample may say. Ratios that are not numbers say nothing.
    pub fn add(&mut self, at: Timestamp, ratios: [f64; ALTERNATIVES], cap: Cap) {
        let weight = self.weight_of_next();
        self.samples = self.samples.saturating_add(1);
        self.begun += weight;
        for (index, ratio) in ratios.into_iter().enumerate() {
            if self.tracks.len() <= index {
                self.tracks.push(Track { sum: self.begun - weight, ..Track::default() });
            }
            let track = &mut self.tracks[index];
            let mass = track.sum + weight;
            let positive = ratio > 0.0;
            if positive && !track.running {
                track.run_from = mass.max(f64::MIN_POSITIVE).ln();
            }
            track.running = positive;
            let ratio =
                if ratio.is_nan() { 0.0 } else { ratio.min(cap.of(track.run_from)).max(-CEILING) };
            track.sum = (mass * ratio.exp()).min(CEILING);
            if track.best <= 0.0 || track.since.is_none() {
                (track.best, track.since) = (ratio, Some(at));
            } else {
                track.best = (track.best + ratio).min(CEILING);
            }
            track.hold(at, index, &cap);
        }
    }

    fn weight_of_next(&self) -> f64 {
        let next = f64::from(self.samples) + 1.0;
        let spread =
            if next <= SPREAD { (1.0 - AT_ONCE) / (next * (SPREAD.ln() + 1.0)) } else { LATER };
        if self.samples == 0 { AT_ONCE + spread } else { spread }
    }

    /// The natural logarithm of E, in which what is held says nothing. 0 before the first
    /// sample; never NaN.
    pub fn ln(&self) -> f64 {
        self.ln_of(|track| if track.held { track.sum.min(1.0) } else { track.sum })
    }

    /// The same with what is held.
    pub fn ln_with_held(&self) -> f64 {
        self.ln_of(|track| track.sum)
    }

    fn ln_of(&self, value: impl Fn(&Track) -> f64) -> f64 {
        if self.tracks.is_empty() {
            return 0.0;
        }
        let rest = (1.0 - self.begun).max(0.0);
        let sum: f64 = self.tracks.iter().map(value).sum();
        #[expect(clippy::cast_precision_loss, reason = "a handful of alternatives")]
        let mean = sum / self.tracks.len() as f64;
        (mean + rest).max(f64::MIN_POSITIVE).ln()
    }

    /// Since when the samples look changed, by the alternative and onset that
    /// explain them best; `None` while "nothing changed" explains them better.
    pub fn since(&self) -> Option<Timestamp> {
        let best = self.tracks.iter().max_by(|a, b| a.best.total_cmp(&b.best))?;
        if best.best > 0.0 { best.since } else { None }
    }

    /// Samples taken in.
    pub fn samples(&self) -> u32 {
        self.samples
    }
}

/// Of the alternatives, one in so many may fall short of the cap.
const SIZES: f64 = 4.0;

/// ln of the weight below which a run begins late.
const LATE: f64 = -4.0;

impl Track {
    /// Holds what it says back until it has lasted longer than what passed by itself;
    /// meanwhile it gathers no more than is needed, so that a few good samples end it.
    fn hold(&mut self, at: Timestamp, index: usize, cap: &Cap) {
        const CALM: f64 = 3.0;
        const MORE: f64 = 1.0;
        if self.best < CALM || self.calm_at.is_none() {
            self.calm_at = Some(at);
        }
        let since_calm = self.calm_at.map(|calm| at.duration_since(calm).as_secs_f64());
        let lasted = since_calm.unwrap_or(0.0);
        self.held = cap.outlast[index] > 0.0 && lasted < cap.outlast[index];
        if self.held {
            let most = cap.needed + MORE;
            self.sum = self.sum.min(most.exp());
            self.best = self.best.min(most);
        }
    }
}

/// What samples may say.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Cap {
    /// ln E that is needed.
    needed: f64,
    /// Samples that must agree.
    agree: f64,
    /// Seconds that what speaks for an alternative must have lasted.
    outlast: [f64; ALTERNATIVES],
}

/// A change must last so many times as long as what passed by itself.
const OUTLAST: f64 = 1.5;

impl Cap {
    /// As much as lets `agree` samples running reach `1/alpha`, and not fewer.
    pub fn new(alpha: f64, agree: f64) -> Self {
        Self { needed: (1.0 / alpha).ln(), agree, outlast: [0.0; ALTERNATIVES] }
    }

    /// The same, and nothing as long as it has not outlasted what passed by itself.
    #[must_use]
    pub fn outlasting(self, transients: &Transients) -> Self {
        Self { outlast: std::array::from_fn(|index| OUTLAST * transients.of(index)), ..self }
    }

    /// The later a run begins, the less weight its onset has, and the more each of its
    /// samples may say. What a run begins with is known before it, so the bound holds.
    fn of(self, run_from: f64) -> f64 {
        let from = run_from.min(AT_ONCE.ln());
        // What begins late is less likely the deployment's doing: one sample more.
        let agree = if from < LATE { self.agree + 1.0 } else { self.agree };
        (self.needed - from + SIZES.ln()) / agree
    }
}
