//! The daemon's own metrics, traces and log. What they are called is written here and nowhere
//! else.

mod log;
mod metrics;
mod trace;

pub use log::{LogFormat, init_log};
pub use metrics::{HintResult, Metrics};
pub use trace::{Traces, has_joined, is_about};

/// What is said of a request with a method that HTTP does not know, as OpenTelemetry says it:
/// whoever asks must not make series.
const OTHER: &str = "_OTHER";
const METHODS: [&str; 9] =
    ["GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"];

fn known_method(method: &str) -> &'static str {
    METHODS.into_iter().find(|known| *known == method).unwrap_or(OTHER)
}
