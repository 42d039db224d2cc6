//! The whole story on real parts: a real Prometheus, a real shop under load, the real
//! protocols of ECS and Slack, and the real binary.

mod cloudwatch;
mod crash;
mod ending;
mod kubernetes;
mod ladder;
mod pair;
mod pressed_on;
mod presses;
mod sockets;
mod stores;
mod storm;
mod targets;
mod tasks;
mod two;
mod web;
mod whole;

#[path = "../world/mod.rs"]
mod world;

/// The binary under test.
const BINARY: &str = env!("CARGO_BIN_EXE_deployguard");
