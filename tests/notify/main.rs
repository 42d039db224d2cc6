//! Notifiers, held to their contract against stand-ins on loopback.

#[path = "../world/mod.rs"]
mod world;

mod slack;
