//! What is given of a deployment before it is lived through.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};

use super::Platform;
use crate::model::{
    Deployment, Facts, Inherited, LedgerEntry, Mode, Revision, RollbackSafe, Service, Standing,
};
use crate::policy::Policy;
use crate::watch::{Ceiling, Pinned, Press, is_unsettled};

/// A deployment with its surroundings.
#[derive(Debug, Clone)]
pub struct Scene {
    pub deployment: Deployment,
    pub pinned: Pinned,
    pub ceiling: Ceiling,
    /// Other guarded services of the same cluster that are settled: the controls of a
    /// policy that names none.
    pub others: Vec<String>,
    /// Deployments of other services of the same cluster: such a service is no control
    /// while it is unsettled.
    pub beside: Vec<Beside>,
    /// What is known of the service's revisions.
    pub ledger: Vec<LedgerEntry>,
    pub platform: Platform,
    /// What people press, and when.
    pub presses: Vec<(Timestamp, Press)>,
    /// A newer deployment takes its place, by this name.
    pub superseded: Option<(Timestamp, String)>,
    /// Stretches in which the guard itself is away: from, to.
    pub away: Vec<(Timestamp, Timestamp)>,
    /// Lived through to here at most; `None`: to the watch's end.
    pub until: Option<Timestamp>,
    /// Whether the rehearsal ends where a rollback is accepted or asked for: what was
    /// recorded after that is not what would have been.
    pub ends_with_action: bool,
    /// Whether it ends where a rollback is called, though not where it is asked for.
    pub ends_with_rollback: bool,
    /// Whether every judgement is kept.
    pub keeps_judgements: bool,
}

/// A deployment of another service, as far as a control must know it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Beside {
    pub service: String,
    pub started_at: Timestamp,
    pub in_service_at: Timestamp,
    /// When it would be watched no longer.
    pub until: Timestamp,
}

/// How long ago the revision before was found good, in a scene that does not say.
const GOOD_AGO: SignedDuration = SignedDuration::from_hours(24);

impl Scene {
    /// A deployment of `service` at `at` under `policy`: revision 2 over revision 1,
    /// which is known-good. In mode `policy.mode`; announced as `facts` say.
    pub fn of(policy: Policy, id: &str, service: Service, at: Timestamp, facts: Facts) -> Self {
        let revision =
            |number: u32| Revision::named(&format!("task-definition/{}:{number}", service.name));
        let ceiling = Ceiling { mode: policy.mode, because: None };
        let good = LedgerEntry {
            service: service.key.clone(),
            revision: revision(1),
            standing: Standing::Good,
            at: at.checked_sub(GOOD_AGO).unwrap_or(at),
            watch: None,
        };
        let deployment = Deployment {
            id: id.to_owned(),
            platform_id: Some(format!("rehearsed/{id}")),
            revision: Some(revision(2)),
            source: Some(revision(1)),
            started_at: at,
            baseline_end: at,
            undoes: RollbackSafe::Yes,
            inherited: Inherited::default(),
            facts,
            service,
        };
        let pinned =
            Pinned { policy, file: String::new(), text: String::new(), commit: None, dirty: false };
        Self {
            deployment,
            pinned,
            ceiling,
            others: Vec::new(),
            beside: Vec::new(),
            ledger: vec![good],
            platform: Platform::default(),
            presses: Vec::new(),
            superseded: None,
            away: Vec::new(),
            until: None,
            ends_with_action: false,
            ends_with_rollback: false,
            keeps_judgements: true,
        }
    }

    /// The same with another ceiling than the policy's mode.
    #[must_use]
    pub fn in_mode(mut self, mode: Mode) -> Self {
        self.pinned.policy.mode = mode;
        self.ceiling = Ceiling { mode, because: None };
        self
    }

    /// Services that are no control at `now`.
    pub(super) fn unsettled(&self, now: Timestamp) -> BTreeSet<&str> {
        let open = self.beside.iter().filter(|one| one.started_at <= now && now < one.until);
        open.filter(|one| is_unsettled(Some(one.in_service_at), now))
            .map(|one| one.service.as_str())
            .collect()
    }

    /// When the guard, being away at `at`, is back; `at` itself where it is there.
    pub(super) fn present_at(&self, at: Timestamp) -> Timestamp {
        let back = self.away.iter().filter(|(from, to)| *from <= at && at < *to);
        back.map(|(_, to)| *to).max().unwrap_or(at)
    }
}
