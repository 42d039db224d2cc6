//! The one place that reads the clock.

use jiff::Timestamp;

/// The time now, in whole milliseconds: what the journal keeps, so that a
/// replay sees the very same times.
#[expect(clippy::disallowed_methods, reason = "everything else takes the time as an argument")]
pub fn now() -> Timestamp {
    let now = Timestamp::now();
    Timestamp::from_millisecond(now.as_millisecond()).unwrap_or(now)
}
