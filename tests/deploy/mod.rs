//! What `deploy/` and the Dockerfile promise.

mod container;
mod kubernetes;
mod lint;
#[path = "../adapters/operations.rs"]
mod operations;
mod permissions;
mod start;
mod template;
