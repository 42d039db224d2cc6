//! What is known of CloudWatch before it is asked: units, dimensions, metric math.

pub(super) mod dimensions;
pub(super) mod math;
pub(super) mod units;
