//! A status that is up or down: a health endpoint, a probe, an alarm.
//!
//! Failures are counted while they run without a break; the policy says how many
//! are a breach. No probability is claimed: the bound does not cover it.

/// The failures running after one more look. Of several series (1 up, 0 down) any
/// that is down makes the look a failure.
pub fn failures(before: u32, values: impl Iterator<Item = f64>) -> u32 {
    let mut any = false;
    let mut down = false;
    for value in values {
        any = true;
        down |= value < 0.5;
    }
    if any && down { before.saturating_add(1) } else { 0 }
}
