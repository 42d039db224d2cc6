//! What the engine holds in memory: the open watches and what they are judged
//! beside. All of it is in the store; a restart loads it.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::model::{GateOverride, LedgerEntry, Repositories, ServiceKey, WatchId};
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
    /// What the settings say is deployed from where.
    pub repositories: Arc<Repositories>,
}

/// An open watch with the number of its events in the store.
#[derive(Debug, Clone)]
pub(super) struct Kept {
    pub watch: Watch,
    pub version: i64,
}

impl Kept {
    /// One that is open no longer, as the store has it. `None`: it has none, or one that this
    /// build can't read: a batch that waited for it would wait for ever.
    pub(super) async fn ended(store: &Store, id: &WatchId) -> Result<Option<Kept>, StoreError> {
        match store.kept_watch::<Watch>(id).await {
            Ok(kept) => Ok(kept.map(|(watch, version)| Kept { watch, version })),
            Err(StoreError::Document(why)) => {
                tracing::error!(watch = %id, %why, "an ended watch can't be read, and is not told");
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }
}

impl Live {
    pub(super) async fn load(
        store: &Store,
        repositories: Arc<Repositories>,
    ) -> Result<Live, StoreError> {
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
        Ok(Live { watches, seen, ledger, pauses, overrides, repositories })
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
                || known.revision.name != entry.revision.name
                || known.revision.digests != entry.revision.digests
        });
        self.ledger.push(entry);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{WatchRow, Write};
    use crate::watch::tests::world::{at, key};

    #[tokio::test]
    async fn an_ended_watch_that_cannot_be_read_is_none() {
        let folder = tempfile::TempDir::new().unwrap();
        let url = format!("sqlite://{}", folder.path().join("guard.db").display());
        let store = Store::open(&url).await.unwrap();
        let row = WatchRow {
            id: WatchId::typed("shopflow-api-1a2b3c4d"),
            service: key(),
            deployment: "d".to_owned(),
            is_open: false,
            opened_at: at(0),
            name: "api".to_owned(),
            environment: "production".to_owned(),
            outcome: Some("passed"),
            state: "{\"hologram\":1}".to_owned(),
        };
        let id = row.id.clone();
        let write = Write::Watch { row, version: 0, events: Vec::new() };
        store.commit(&[write], at(0)).await.unwrap();
        assert!(store.has_watch(&id).await.unwrap());
        assert!(Kept::ended(&store, &id).await.unwrap().is_none());
    }
}
