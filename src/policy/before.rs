//! How a check tells what was down before a deployment from what went down with it.

use super::{Check, Measure, Stated};

/// How one knows what was down before a deployment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BeforeRule {
    /// By looks from the start of the roll-out on.
    Watched,
    /// By its past, which is asked for.
    Asked,
}

impl Check {
    /// How what was down before the deployment is told from what went down with it; `None`:
    /// not at all, because what asks the new revision alone has no before, and an alarm and
    /// a heartbeat say themselves since when they are down.
    pub fn before(&self) -> Option<BeforeRule> {
        match &self.measure {
            Measure::Status { of: Stated::Http(_) } => Some(BeforeRule::Watched),
            Measure::Status { of: Stated::Probe(probe) } => {
                (!probe.new_only).then_some(BeforeRule::Watched)
            }
            Measure::Status { of: Stated::Query(_) } => Some(BeforeRule::Asked),
            Measure::Status { of: Stated::Alarms(_) | Stated::Heartbeat(_) }
            | Measure::Ratio { .. }
            | Measure::Latency { .. }
            | Measure::Gauge { .. } => None,
        }
    }
}
