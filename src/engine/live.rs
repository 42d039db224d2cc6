//! What the engine holds in memory: the open watches and what they are judged
//! beside. All of it is in the store; a restart loads it.

use std::collections::BTreeMap;

use crate::model::{GateOverride, LedgerEntry, ServiceKey, WatchId};
use crate::store::{Pause, Store, StoreError};
use crate::watch::{Seen, Watch};

/// Overrides of the gate that are remembered.
const OVERRIDES: u32 = 100;

/// The engine's memory.
#[derive(Debug, Default)]
pub(super) struct Live {
    pub watches: BTreeMap<WatchId, Kept>,
    pub seen: BTreeMap<ServiceKey, Seen>,
    pub ledger: Vec<LedgerEntry>,
    pub pauses: Vec<Pause>,
    /// The latest; most have found their deployment or have lapsed.
    pub overrides: Vec<GateOverride>,
}

/// An open watch with the number of its events in the store.
#[derive(Debug, Clone)]
pub(super) struct Kept {
    pub watch: Watch,
    pub version: i64,
}

impl Live {
    pub(super) async fn load(store: &Store) -> Result<Live, StoreError> {
        let watches = store
            .open_watches::<Watch>()
            .await?
            .into_iter()
            .map(|(watch, version)| (watch.id.clone(), Kept { watch, version }))
            .collect();
        let seen = store
            .seen::<Seen>()
            .await?
            .into_iter()
            .map(|seen| (seen.service.clone(), seen))
            .collect();
        let (ledger, pauses) = (store.ledger().await?, store.pauses().await?);
        let overrides = store.gate_overrides(OVERRIDES).await?;
        Ok(Live { watches, seen, ledger, pauses, overrides })
    }

    /// Takes overrides in, and forgets the oldest.
    pub(super) fn keep_overrides(&mut self, overrides: Vec<GateOverride>) {
        for over in overrides {
            self.overrides.retain(|known| known.id != over.id);
            self.overrides.push(over);
        }
        let many = self.overrides.len().saturating_sub(OVERRIDES as usize);
        self.overrides.drain(..many);
    }

    pub(super) fn ledger_of(&self, service: &ServiceKey) -> Vec<LedgerEntry> {
        self.ledger.iter().filter(|entry| entry.service == *service).cloned().collect()
    }

    /// Enters a revision's standing, as the store does: one line a revision.
    pub(super) fn enter(&mut self, entry: LedgerEntry) {
        self.ledger.retain(|known| {
            known.service != entry.service
                || known.revision.task_definition != entry.revision.task_definition
                || known.revision.digests != entry.revision.digests
        });
        self.ledger.push(entry);
    }
}
