//! The tasks of the watched deployment, as looks at the platform show them: whether they
//! are gone, which proves that a silence of the new revision is real.
//!
//! Tasks are *gone* where not one of those runs that had been in service: with one left,
//! that nothing is measured has another cause, such as a broken scrape. Counted are the
//! running tasks of the judged deployment alone, and never more than are desired: a
//! scale-in, to zero as well, takes nothing away. A task that reports `UNHEALTHY`, or
//! that its load balancer finds so, is stopped and replaced by ECS: it is gone as soon
//! as it is. What ECS counts as `failedTasks` begins anew with every task that starts,
//! so it says nothing here.
//!
//! Tasks that start and die again and again are whole for moments: they are back only
//! once they have been whole for [`STEADY`]. A look that is older than [`FRESH`] proves
//! nothing; while tasks are gone, looks are therefore taken in though they show nothing
//! new ([`Tasks::asks_again`]).

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::judge::Shortage;
use crate::model::PlatformDeployment;

/// How long tasks must have been whole to be back.
const STEADY: SignedDuration = SignedDuration::from_mins(1);
/// How old a look may be that proves something.
const FRESH: SignedDuration = SignedDuration::from_mins(3);
/// How often a look that shows nothing new is taken in while tasks are gone.
const AGAIN: SignedDuration = SignedDuration::from_mins(1);

/// What looks have shown of the tasks.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tasks {
    /// The most that ran at once, of as many as are desired now.
    in_service: u32,
    gone: Option<Gone>,
    seen_at: Option<Timestamp>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Gone {
    since: Timestamp,
    /// When they were last seen to be gone.
    running: u32,
    desired: u32,
    /// Since when they have been whole again; perhaps for a moment only.
    whole_since: Option<Timestamp>,
}

impl Tasks {
    pub(super) fn see(&mut self, deployment: &PlatformDeployment, at: Timestamp) {
        let PlatformDeployment { running, desired, .. } = *deployment;
        self.seen_at = Some(at);
        self.in_service = self.in_service.min(desired).max(running.min(desired));
        let known = self.gone.filter(|gone| !gone.is_over(at));
        let are_gone = self.in_service > 0 && running == 0;
        self.gone = match (are_gone, known) {
            (true, known) => {
                let since = known.map_or(at, |gone| gone.since);
                Some(Gone { since, running, desired, whole_since: None })
            }
            // Nothing is desired any more: that is no recovery, but no fault either.
            (false, _) if desired == 0 => None,
            (false, known) => {
                known.map(|gone| Gone { whole_since: gone.whole_since.or(Some(at)), ..gone })
            }
        };
    }

    /// What is gone at `at`, as far as the latest look still tells.
    pub(super) fn shortage(&self, at: Timestamp) -> Option<Shortage> {
        let fresh = self.seen_at.is_some_and(|seen| at.duration_since(seen) <= FRESH);
        let gone = self.gone.filter(|gone| fresh && !gone.is_over(at))?;
        let Gone { since, running, desired, whole_since } = gone;
        Some(Shortage { since, until: whole_since.unwrap_or(at), running, desired })
    }

    /// Whether a look at `at` is to be taken in even if it shows nothing new.
    pub(super) fn asks_again(&self, at: Timestamp) -> bool {
        let old = self.seen_at.is_none_or(|seen| at.duration_since(seen) >= AGAIN);
        old && self.gone.is_some_and(|gone| !gone.is_over(at))
    }
}

impl Gone {
    fn is_over(&self, at: Timestamp) -> bool {
        self.whole_since.is_some_and(|whole| at.duration_since(whole) >= STEADY)
    }
}
