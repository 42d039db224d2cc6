//! What stops rollbacks that would each be right by itself.

use jiff::{SignedDuration, Timestamp};

use crate::store::RecentPermits;

/// The settings' limit on rollbacks of the whole fleet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FleetBrake {
    /// Rollbacks allowed within `within`; the next one waits for a person.
    pub rollbacks: u32,
    pub within: SignedDuration,
}

impl Default for FleetBrake {
    fn default() -> Self {
        Self { rollbacks: 3, within: SignedDuration::from_mins(10) }
    }
}

/// Why an unattended rollback must wait for a person; `None`: it need not.
pub fn hold(
    fleet: FleetBrake,
    cooldown: SignedDuration,
    recent: RecentPermits,
    now: Timestamp,
) -> Option<String> {
    if let Some(last) = recent.last_of_service {
        let ago = now.duration_since(last);
        if ago < cooldown {
            let ago = SignedDuration::from_secs(ago.as_secs());
            return Some(format!(
                "the service was rolled back {ago:#} ago; its cool-down is {cooldown:#}"
            ));
        }
    }
    (recent.of_fleet >= fleet.rollbacks).then(|| {
        format!(
            "{} rollbacks within {:#}: something bigger may be wrong",
            recent.of_fleet, fleet.within
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(minute: i64) -> Timestamp {
        Timestamp::from_second(1_700_000_000 + minute * 60).unwrap()
    }

    fn held(last: Option<i64>, of_fleet: u32) -> Option<String> {
        let recent = RecentPermits { last_of_service: last.map(at), of_fleet };
        hold(FleetBrake::default(), SignedDuration::from_hours(1), recent, at(100))
    }

    #[test]
    fn a_service_cools_down_and_a_fleet_is_braked() {
        assert_eq!(held(None, 0), None);
        assert!(held(Some(50), 0).unwrap().contains("50m ago"));
        assert_eq!(held(Some(40), 0), None, "an hour later it is free again");
        assert!(held(None, 3).unwrap().contains("3 rollbacks"));
        assert_eq!(held(None, 2), None);
    }
}
