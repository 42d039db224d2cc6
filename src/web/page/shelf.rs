//! The open watches at a glance, read anew only where they have changed: a thousand states
//! are megabytes of JSON, and a page of them is asked for at every sample.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::brief::{Brief, Unread};
use crate::model::WatchId;
use crate::store::{Filed, Store, StoreError};
use crate::watch::Watch;

/// States that are held in memory as text at a time.
const AT_ONCE: usize = 50;

/// Every open watch.
#[derive(Debug, Default)]
pub struct Open {
    /// The most urgent first, then the newest.
    pub briefs: Vec<Arc<Brief>>,
    /// What another version kept.
    pub unread: Vec<Arc<Unread>>,
}

/// What is known of the open watches.
#[derive(Debug, Default)]
pub struct Shelf(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    /// When the versions were asked for last.
    asked_at: Option<Instant>,
    /// By watch, each with the number of events that it is made of.
    glances: BTreeMap<String, (i64, Glance)>,
    open: Arc<Open>,
}

#[derive(Debug)]
enum Glance {
    Read(Arc<Brief>),
    Unread(Arc<Unread>),
}

impl Shelf {
    /// Every open watch as it is now.
    ///
    /// # Errors
    /// The store can't be asked.
    pub async fn open(&self, store: &Store, now: Timestamp) -> Result<Arc<Open>, StoreError> {
        let begun = tokio::time::Instant::now();
        // One at a time. Who waited for one that began later finds it done.
        let mut known = self.0.lock().await;
        if known.asked_at.is_some_and(|at| at >= begun) {
            return Ok(known.open.clone());
        }
        let asked_at = tokio::time::Instant::now();
        let versions = store.open_versions().await?;
        let is_new = |(id, version): &(&String, &i64)| {
            known.glances.get(*id).is_none_or(|(kept, _)| kept != *version)
        };
        let changed: Vec<WatchId> =
            versions.iter().filter(is_new).map(|(id, _)| WatchId::typed(id)).collect();
        for some in changed.chunks(AT_ONCE) {
            known.glances.extend(read(store.filed(some).await?, now).await?);
        }
        known.glances.retain(|id, _| versions.contains_key(id));
        known.open = Arc::new(sorted(&known.glances));
        known.asked_at = Some(asked_at);
        Ok(known.open.clone())
    }
}

/// Reads states beside everything else.
async fn read(
    filed: Vec<Filed>,
    now: Timestamp,
) -> Result<Vec<(String, (i64, Glance))>, StoreError> {
    let reading = tokio::task::spawn_blocking(move || {
        let glances = filed.iter().map(|filed| {
            let glance = match serde_json::from_str::<Watch>(&filed.state) {
                Ok(watch) => Glance::Read(Arc::new(Brief::of(&watch, now))),
                Err(_) => Glance::Unread(Arc::new(Unread::of(filed))),
            };
            (filed.id.to_string(), (filed.version, glance))
        });
        glances.collect()
    });
    reading.await.map_err(|broken| StoreError::Unsupported(broken.to_string()))
}

fn sorted(glances: &BTreeMap<String, (i64, Glance)>) -> Open {
    let mut open = Open::default();
    for (_, glance) in glances.values() {
        match glance {
            // It ended after its version was asked for; the next turn leaves it out.
            Glance::Read(brief) if brief.view.outcome.is_some() => {}
            Glance::Read(brief) => open.briefs.push(brief.clone()),
            Glance::Unread(unread) => open.unread.push(unread.clone()),
        }
    }
    open.briefs.sort_by(|one, other| {
        let newest = other.view.started_at.cmp(&one.view.started_at);
        one.rank.cmp(&other.rank).then(newest).then_with(|| one.view.id.cmp(&other.view.id))
    });
    open
}
