//! The whole story on real parts: a real Prometheus, a real shop under load, the real
//! protocols of ECS and Slack, and the real binary.

mod cloudwatch;
mod crash;
mod ending;
mod pair;
mod presses;
mod stores;
mod targets;
mod tasks;
mod two;
mod whole;

#[path = "../world/mod.rs"]
mod world;

/// The binary under test.
const BINARY: &str = env!("CARGO_BIN_EXE_deployguard");
