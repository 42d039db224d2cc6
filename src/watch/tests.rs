//! The watch's rules as sentences, over a small language for its events.

mod asking;
mod canary;
mod cards;
mod closing;
mod database;
mod escalate;
mod flapping;
mod flow;
mod github;
mod harm;
mod health;
mod intake;
mod invariants;
mod joined;
mod labels;
mod late;
mod outside;
mod pictures;
mod preflight;
mod presses;
mod quiet;
mod rivals;
mod severities;
mod spoiled;
mod tasks;
mod untold;
pub(crate) mod world;
