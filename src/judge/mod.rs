//! The judge: what one check says now, from its readings so far.
//!
//! First form: limits that must hold for a time, a normal range, and a baseline
//! measured just before the deployment. The seam that better statistics will
//! use is [`CheckState::observe`]: a reading goes in, a [`Judgement`] comes out,
//! and all that is remembered lies in the small, serialisable [`CheckState`].

mod baseline;
mod observe;
mod streak;

pub use baseline::Baseline;
pub use observe::{CheckState, Judgement, is_gap};
pub use streak::Streak;

#[cfg(test)]
mod tests;
