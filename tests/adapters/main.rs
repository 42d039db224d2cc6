//! The adapters against the real protocols.
#![allow(clippy::expect_used)] // That is how a test fails.

#[path = "../world/mod.rs"]
mod world;

#[path = "../stand_in/client.rs"]
#[allow(dead_code)] // Another binary uses the rest of it.
mod client;

mod actuators;
mod between;
mod cloudwatch;
mod code_deploy;
mod ecs;
mod faults;
mod kubernetes;
mod live;
mod logs;
mod looking;
mod operations;
mod pages;
mod pinning;
mod prober;
mod prometheus;
mod reads;
mod render;
mod rolling_back;
mod sns;
mod states;
mod web;
