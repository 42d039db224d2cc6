//! How long a breach has lasted: `for` in a policy.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

/// How long something has been seen without a break.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Streak {
    pub since: Timestamp,
    pub samples: u32,
}

/// Samples running that make a breach where the policy gives no `for`: as many
/// as must agree for evidence.
const SAMPLES_WITHOUT_HOLD: u32 = 3;

impl Streak {
    /// The streak after a sample at `at` that did (`holds`) or did not show it.
    pub fn after(before: Option<Streak>, at: Timestamp, holds: bool) -> Option<Streak> {
        match (holds, before) {
            (false, _) => None,
            (true, None) => Some(Streak { since: at, samples: 1 }),
            (true, Some(streak)) => {
                Some(Streak { samples: streak.samples.saturating_add(1), ..streak })
            }
        }
    }

    /// Whether it has lasted for `hold`, or for three samples where there is none.
    pub fn lasted(&self, at: Timestamp, hold: Option<SignedDuration>) -> bool {
        match hold {
            Some(hold) => at.duration_since(self.since) >= hold,
            None => self.samples >= SAMPLES_WITHOUT_HOLD,
        }
    }
}
