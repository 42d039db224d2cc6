//! A deployment that is in place again after another one, and whose watch has ended: a canary
//! that is tried once more, a selector that goes back to the same pods. The platform has one id
//! for both times. It is watched like any other, by a watch of its own, which has the time in
//! its name; what was seen last is kept in the store, so it is opened once. The permit of the
//! first time is laid aside for it (`store::permits`).

use std::collections::BTreeSet;

use jiff::Timestamp;

use crate::model::WatchId;
use crate::watch::IntakeStep;

/// The same steps, with what they open under the name of a watch that has ended named anew.
/// `at`: when it was seen in place.
pub(super) fn anew(
    steps: Vec<IntakeStep>,
    ended: &BTreeSet<WatchId>,
    at: Timestamp,
) -> Vec<IntakeStep> {
    let mut renamed: Option<(WatchId, WatchId)> = None;
    let name = |step| match step {
        IntakeStep::Open(mut deployment, announcement) => {
            let key = deployment.service.key.clone();
            let taken = WatchId::of(&key, &deployment.id);
            if ended.contains(&taken) {
                deployment.id = format!("{}@{}", deployment.id, at.as_second());
                let own = WatchId::of(&key, &deployment.id);
                tracing::info!(before = %taken, watch = %own, "in place again after another one");
                renamed = Some((taken, own));
            }
            IntakeStep::Open(deployment, announcement)
        }
        IntakeStep::Deliver(watch, event) => match &renamed {
            Some((taken, own)) if *taken == watch => IntakeStep::Deliver(own.clone(), event),
            Some(_) | None => IntakeStep::Deliver(watch, event),
        },
        IntakeStep::Adopt(entry) => IntakeStep::Adopt(entry),
    };
    steps.into_iter().map(name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{RollOut, Sighting};
    use crate::watch::tests::world::{at, key, service, sighting};
    use crate::watch::{Seen, on_sighting};

    /// What was seen last, as the engine keeps it.
    fn seen(of: &Sighting) -> Seen {
        Seen {
            service: key(),
            platform_id: of.primary.id.clone(),
            revision: of.primary.revision.clone(),
            poison: None,
            spoiled: Vec::new(),
        }
    }

    fn opened(steps: &[IntakeStep]) -> Vec<WatchId> {
        let ids = steps.iter().filter_map(|step| match step {
            IntakeStep::Open(one, _) => Some(WatchId::of(&one.service.key, &one.id)),
            IntakeStep::Deliver(..) | IntakeStep::Adopt(_) => None,
        });
        ids.collect()
    }

    #[test]
    fn what_is_in_place_again_after_another_is_watched_anew_and_once() {
        let blue = sighting(0, "route:blue", 1, RollOut::Completed);
        let mut ended = BTreeSet::new();
        let mut last = seen(&blue);
        for second in [10, 20, 30] {
            let green = sighting(second, "route:green", 2, RollOut::Completed);
            let steps = on_sighting(&green, Some(&last), &[], &service());
            let steps = anew(steps, &ended, at(second));
            let ids = opened(&steps);
            assert_eq!(ids.len(), 1, "a watch at each try");
            let told = steps
                .iter()
                .filter(|step| matches!(step, IntakeStep::Deliver(watch, _) if *watch == ids[0]));
            assert_eq!(told.count(), 1, "it begins with what was seen");
            assert!(ended.insert(ids[0].clone()), "a watch of its own");
            // It stands: nothing more is opened, whoever looks.
            last = seen(&green);
            let later = sighting(second + 5, "route:green", 2, RollOut::Completed);
            let steps = on_sighting(&later, Some(&last), &[], &service());
            assert!(opened(&anew(steps, &ended, at(second + 5))).is_empty());
            last = seen(&blue);
        }
    }
}
