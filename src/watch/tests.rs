//! The watch's rules as sentences, over a small language for its events.

mod asking;
mod escalate;
mod flow;
mod harm;
mod intake;
mod invariants;
mod labels;
mod late;
mod pictures;
mod preflight;
mod rivals;
mod tasks;
pub(crate) mod world;
