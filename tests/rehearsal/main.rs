//! Rehearsals and tests of policies, from the outside.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may end there")]

mod commands;
mod driver;
