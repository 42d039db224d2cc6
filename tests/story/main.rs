//! The whole story on real parts: a real Prometheus, a real shop under load, the real
//! protocols of ECS and Slack, and the real binary.

mod cloudwatch;
mod crash;
mod ending;
mod github;
mod kubernetes;
mod ladder;
mod pages;
mod pair;
mod pressed_on;
mod presses;
mod probes;
mod render;
mod sockets;
mod stores;
mod storm;
mod systems;
mod targets;
mod tasks;
mod traces;
mod two;
mod web;
mod whole;

#[path = "../demo/taskforge.rs"]
mod taskforge;

#[path = "../world/mod.rs"]
mod world;

/// The binary under test.
const BINARY: &str = env!("CARGO_BIN_EXE_deployguard");
