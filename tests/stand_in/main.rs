//! The stand-ins of the outside world, held to what the real ones do.
#![allow(clippy::expect_used)] // That is how a test fails.

#[path = "../world/mod.rs"]
mod world;

mod client;
mod cloudwatch;
mod edge;
mod init;
mod kubernetes;
mod moto;
mod protocol;
mod queue;
mod rolling;
mod slack;
mod stopping;
mod sts;
mod tasks;
mod whole;
