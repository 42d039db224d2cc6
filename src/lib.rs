//! deployguard: watches every deployment, and puts the last known-good version
//! back when it broke something. ARCHITECTURE.md is the map.

pub mod judge;
pub mod model;
pub mod notify;
pub mod platform;
pub mod policy;
pub mod sources;
pub mod store;
pub mod watch;
pub mod engine;
