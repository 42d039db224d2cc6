//! The watch's rules as sentences, over a small language for its events.

mod flow;
mod intake;
mod invariants;
pub(super) mod world;
