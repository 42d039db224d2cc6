//! The faces: hooks, API, command line, the daemon's own health, on the real binary.
//!
//! A world takes a while to start, so each test is a house with a story, told in
//! sentences; what fails names its sentence.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may end there")]

mod blind;
mod browser;
mod events;
mod gate;
mod house;
mod labels;
mod openapi;
mod page;
mod passed_on;
mod pauses;
mod pictures;
mod policies;
mod post;
mod requests;
mod silent;
mod stops;
mod terminal;
mod unread;
mod wait;

#[path = "../world/mod.rs"]
mod world;
