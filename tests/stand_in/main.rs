//! The stand-ins of the outside world, held to what the real ones do.

#[path = "../world/mod.rs"]
mod world;

mod client;
mod edge;
mod moto;
mod protocol;
mod rolling;
mod slack;
mod stopping;
mod whole;
