//! Metric sources: they fetch and decode, and never judge.

pub mod prometheus;
