//! What was told of each service before, so that it is told in the same way again.
//!
//! The API keeps no time of some changes that stays (see `fields`): the first that was read
//! is kept here, for as long as the process lives.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;

use super::decode::InPlace;
use crate::model::{Controller, ServiceKey};

/// Revisions of one service that are known to have been in place.
const PAST: usize = 32;

#[derive(Debug, Default)]
pub(super) struct Memory {
    known: Mutex<BTreeMap<ServiceKey, Known>>,
}

#[derive(Debug)]
struct Known {
    revision: String,
    /// As it was decoded.
    read: String,
    /// As it was told.
    id: String,
    created_at: Timestamp,
    past: BTreeSet<String>,
}

impl Memory {
    /// Tells the same of what is still in place, and tells what has come again from what was
    /// there before.
    pub(super) fn settle(&self, key: &ServiceKey, mut found: InPlace) -> InPlace {
        let mut all = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let primary = &mut found.primary;
        let before = all.remove(key);
        let stays = before.as_ref().is_some_and(|known| match found.controller {
            Controller::Selector | Controller::Weights => known.revision == primary.revision.name,
            Controller::Rollout
            | Controller::Ecs
            | Controller::CodeDeploy
            | Controller::External
            | Controller::Render => known.read == primary.id,
        });
        let read = primary.id.clone();
        let mut past = BTreeSet::new();
        if let Some(known) = before {
            if stays {
                primary.id = known.id;
                primary.created_at = known.created_at;
            } else if known.past.contains(&primary.revision.name)
                && let Some(again) = &found.again
            {
                primary.id.clone_from(again);
            }
            past = known.past;
        }
        past.insert(primary.revision.name.clone());
        while past.len() > PAST {
            past.pop_first();
        }
        let (revision, id) = (primary.revision.name.clone(), primary.id.clone());
        let created_at = primary.created_at;
        all.insert(key.clone(), Known { revision, read, id, created_at, past });
        found
    }

    /// Forgets a service that is gone.
    pub(super) fn forget(&self, key: &ServiceKey) {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).remove(key);
    }
}
