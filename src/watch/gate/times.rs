//! The policy's times, in words.

use jiff::Timestamp;

use super::{minute, reason, weight};
use crate::model::{GateReason, GateRule};
use crate::policy::{Held, HeldBy, Stance, Times};

/// What speaks against `now`, and when that ends.
pub(super) fn reasons(times: &Times, now: Timestamp) -> Vec<GateReason> {
    let held = times.at(now);
    let open = times.open_from(now, Stance::Warn);
    let told = |Held { by, stance, until }: Held| {
        let end = until.map_or_else(String::new, |until| format!(" until {}", minute(until)));
        let (rule, words) = match by {
            HeldBy::Freeze(name) => (GateRule::Freeze, format!("{name} is a freeze{end}")),
            HeldBy::Holiday(name) => (GateRule::Holiday, format!("{name} is a holiday{end}")),
            HeldBy::Avoid(text) => {
                (GateRule::Avoid, format!("{text} is to be avoided; it lasts{end}"))
            }
            HeldBy::Outside(text) => {
                let next = open.map_or_else(
                    || "none is open within a year".to_owned(),
                    |open| format!("the next one opens {}", minute(open)),
                );
                (GateRule::Window, format!("outside the preferred windows ({text}); {next}"))
            }
        };
        // The window that counts is the next one that nothing speaks against.
        let until = if rule == GateRule::Window { open } else { until };
        Some(GateReason { until, ..reason(rule, weight(stance)?, words) })
    };
    held.into_iter().filter_map(told).collect()
}
