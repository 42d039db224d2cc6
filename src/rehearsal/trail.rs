//! How a deployment looked to others over time.

use jiff::Timestamp;

use crate::judge::Rival;

/// A rival at each moment; only its changes are kept.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Trail {
    /// Oldest first.
    changes: Vec<(Timestamp, Option<Standing>)>,
    /// The service and the deployment, as others call them.
    name: Option<(String, String)>,
}

/// What of a rival changes: a day has thousands.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Standing {
    in_service_at: Timestamp,
    ln_e: f64,
    rise: f64,
    since: Option<Timestamp>,
}

impl Trail {
    pub(super) fn note(&mut self, now: Timestamp, rival: Option<Rival>) {
        let standing = rival.map(|rival| {
            let Rival { service, deployment, in_service_at, ln_e, rise, since, needed: _ } = rival;
            self.name = Some((service, deployment));
            Standing { in_service_at, ln_e, rise, since }
        });
        // What looks unchanged is nobody's rival.
        let standing = standing.filter(|standing| standing.since.is_some());
        if self.changes.last().and_then(|(_, last)| *last) != standing {
            self.changes.push((now, standing));
        }
    }

    /// The deployment as it stood just before `now`: who samples at the same moment
    /// does not see what the other finds then.
    pub fn before(&self, now: Timestamp) -> Option<Rival> {
        let place = self.changes.partition_point(|(at, _)| *at < now).checked_sub(1)?;
        let Standing { in_service_at, ln_e, rise, since } = self.changes.get(place)?.1?;
        let (service, deployment) = self.name.clone()?;
        Some(Rival { service, deployment, in_service_at, ln_e, rise, since, needed: false })
    }
}
