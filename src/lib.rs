//! deployguard: watches every deployment, and puts the last known-good version
//! back when it broke something. ARCHITECTURE.md is the map.

pub mod app;
pub mod aws;
pub mod backtest;
pub mod chart;
pub mod cli;
pub mod commands;
pub mod crash;
pub mod engine;
pub mod judge;
pub mod model;
pub mod notify;
pub mod outbound;
pub mod platform;
pub mod policy;
pub mod policy_repo;
pub mod policy_test;
pub mod rehearsal;
pub mod settings;
pub mod sources;
pub mod store;
pub mod telemetry;
pub mod triggers;
pub mod watch;
pub mod web;
