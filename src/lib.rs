//! deployguard: watches every deployment, and puts the last known-good version
//! back when it broke something. ARCHITECTURE.md is the map.

pub mod cli;
pub mod model;
pub mod notify;
pub mod platform;
pub mod policy;
pub mod policy_repo;
pub mod sources;
