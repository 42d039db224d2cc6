//! deployguard: watches every deployment, and puts the last known-good version
//! back when it broke something. ARCHITECTURE.md is the map.

pub mod crash;
pub mod model;
pub mod notify;
pub mod platform;
pub mod policy;
pub mod sources;
