//! Kinds of evidence, one file each: what a sample says about "nothing changed".
//!
//! [`counts`] for ratios and, bound by bound, for latency histograms; [`series`] for
//! values without counts; [`leak`] for trends; [`status`] for up and down. The first
//! two add to an [`Evidence`], the sum over all onsets that one threshold is held
//! against, and tell of [`Transients`] in the past.

pub mod counts;
pub mod leak;
mod onset;
pub mod series;
pub mod status;
mod transient;

pub use onset::{ALTERNATIVES, Cap, Evidence};
pub use transient::{Search, Transients};
