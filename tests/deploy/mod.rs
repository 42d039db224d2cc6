//! What `deploy/` and the Dockerfile promise.

mod container;
mod lint;
mod permissions;
mod start;
mod template;
