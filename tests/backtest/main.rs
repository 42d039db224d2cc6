//! `deployguard backtest` against a real Prometheus that remembers.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may end there")]

#[path = "../world/mod.rs"]
mod world;

mod command;
mod history;
mod lists;
mod past;
mod speed;
mod year;
