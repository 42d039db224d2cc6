//! The judge: what one check says now, from its samples so far, and whose doing it is.
//!
//! ```text
//! baselines ─┐
//! controls  ─┼─> null: what "nothing changed" allows ─> evidence E ─┐
//! sample   ──┴─> window, estimate ──────────────────────────────────┴─> verdict, blame
//! ```
//!
//! The seam is [`CheckState::observe`]: a [`Sample`] goes in, a [`Judgement`] comes
//! out, and all that is remembered lies in the small, serialisable [`CheckState`]. There
//! is no clock and no randomness: the same samples give the same judgements.

mod baseline;
mod before;
mod blame;
mod control;
pub mod evidence;
mod observe;
mod probe;
mod recent;
mod silence;
mod streak;
mod telling;
mod value;
mod verdict;

pub use baseline::{Baseline, Reference};
pub use before::Before;
pub use blame::{Blame, Rival, rank};
pub use control::{Control, Role};
pub use evidence::Transients;
pub use observe::{CheckState, Judgement, OLD_REVISION, Sample, Weight, is_gap};
pub use silence::Shortage;
pub use streak::Streak;
pub use value::value_of;

#[cfg(test)]
mod tests;
