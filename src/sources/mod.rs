//! Metric sources: they fetch and decode, and never judge.
//!
//! A question goes through four rooms: [`plan`] finds the fewest requests for all
//! that is due, [`prometheus`] asks them, [`counters`] takes the differences of
//! raw counters, [`assemble`] makes a measurement of the answers. All but the
//! second are pure.

pub mod assemble;
mod buckets;
pub mod counters;
pub mod plan;
pub mod prometheus;
mod track;

pub use assemble::assemble;
pub use plan::{Due, Plan, Request, measure};
pub use prometheus::Prometheus;
pub use track::{Fetched, Track};
