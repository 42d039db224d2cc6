//! Metric sources: they fetch and decode, and never judge.
//!
//! A question goes through three rooms: [`plan`] finds the fewest requests for
//! all that is due, [`prometheus`] asks them, [`assemble`] makes a measurement
//! of the answers. The first and the last are pure.

pub mod assemble;
pub mod plan;
pub mod prometheus;

pub use assemble::assemble;
pub use plan::{Due, Plan, measure};
pub use prometheus::Prometheus;
