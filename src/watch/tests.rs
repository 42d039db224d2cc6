//! The watch's rules as sentences, over a small language for its events.

mod asking;
mod escalate;
mod flapping;
mod flow;
mod harm;
mod health;
mod intake;
mod invariants;
mod joined;
mod labels;
mod late;
mod pictures;
mod preflight;
mod quiet;
mod rivals;
mod severities;
mod tasks;
pub(crate) mod world;
