//! What was told of each service before, so that it is told in the same way again.
//!
//! The API keeps no time of some changes that stays (see `fields`): the first that was read
//! is kept here. Nothing here is part of an id: those are the same whoever reads. Who stands
//! by looks at nothing, so what was not looked at for long is no memory any more.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::{SignedDuration, Timestamp};

use super::decode::InPlace;
use crate::model::ServiceKey;

/// How long something is remembered that is not looked at.
const KEPT: SignedDuration = SignedDuration::from_mins(10);

#[derive(Debug, Default)]
pub(super) struct Memory {
    known: Mutex<BTreeMap<ServiceKey, Known>>,
    /// The Service that gets what a canary does not.
    stables: Mutex<BTreeMap<ServiceKey, String>>,
}

#[derive(Debug)]
struct Known {
    id: String,
    created_at: Timestamp,
    again_since: Option<Timestamp>,
    looked_at: Timestamp,
}

impl Memory {
    /// Tells the same of what is still in place, and since when it is where something else
    /// was before. `now`: of a look; right before acting nothing gets older.
    pub(super) fn settle(
        &self,
        key: &ServiceKey,
        mut found: InPlace,
        now: Option<Timestamp>,
    ) -> InPlace {
        if let Some(stable) = &found.stable {
            self.stables().insert(key.clone(), stable.clone());
        }
        let mut all = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let fresh =
            |known: &Known| now.is_none_or(|now| now.duration_since(known.looked_at) <= KEPT);
        let before = all.remove(key).filter(fresh);
        let primary = &mut found.primary;
        match &before {
            Some(known) if known.id == primary.id => {
                primary.created_at = known.created_at;
                found.again_since = known.again_since;
            }
            Some(_) => found.again_since = now.or(Some(primary.created_at)),
            None => {}
        }
        let looked_at = now.or(before.map(|known| known.looked_at));
        if let Some(looked_at) = looked_at {
            let known = Known {
                id: primary.id.clone(),
                created_at: primary.created_at,
                again_since: found.again_since,
                looked_at,
            };
            all.insert(key.clone(), known);
        }
        found
    }

    /// The stable Service of the last split.
    pub(super) fn stable(&self, key: &ServiceKey) -> Option<String> {
        self.stables().get(key).cloned()
    }

    /// Takes it that this is the stable Service, where no split was seen yet.
    pub(super) fn suppose(&self, key: &ServiceKey, stable: String) {
        self.stables().entry(key.clone()).or_insert(stable);
    }

    fn stables(&self) -> MutexGuard<'_, BTreeMap<ServiceKey, String>> {
        self.stables.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Forgets a service that is gone.
    pub(super) fn forget(&self, key: &ServiceKey) {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).remove(key);
        self.stables().remove(key);
    }
}
