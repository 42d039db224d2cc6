//! Notifiers, held to their contract against stand-ins on loopback.
#![expect(clippy::unwrap_used, reason = "clippy does not see that helpers here are tests")]

#[path = "../world/mod.rs"]
mod world;

mod call;
mod doctor;
mod email;
mod faults;
mod github;
mod mail_tls;
mod old;
mod pagerduty;
mod pictures;
mod slack;
mod states;
mod upload;
mod webhook;
