//! What the lists show that changes seldom and costs much to find: kept for a while.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde::Deserialize;
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::parts;
use super::shelf::Open;
use crate::model::{Outcome, ServiceKey};
use crate::policy_repo::Loaded;
use crate::store::{LastWatch, Store, StoreError};

/// How long it is not asked for whether a service was seen for the first time.
const SEEN: Duration = Duration::from_secs(5);
/// The same of the environments of ended watches.
const ENDED: Duration = Duration::from_mins(1);

/// A guarded service of which no deployment is watched now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Idle {
    pub service: String,
    pub environment: String,
    /// `target/cluster/service`.
    pub place: String,
    pub last: Option<Last>,
}

/// The last watch over a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Last {
    pub watch: String,
    /// `None`: an earlier version kept it.
    pub outcome: Option<Outcome>,
    pub opened_at: Timestamp,
}

/// The idle services, as they were found last.
#[derive(Debug, Default)]
pub struct Resting(Mutex<Option<Found>>);

#[derive(Debug)]
struct Found {
    at: Instant,
    /// What it was found beside: another set of either shows at once.
    watched: BTreeSet<String>,
    policies: Arc<Loaded>,
    idle: Arc<Vec<Idle>>,
}

/// Of all that is kept of what was seen, where.
#[derive(Debug, Deserialize)]
struct SeenAt {
    service: ServiceKey,
}

impl Resting {
    /// What is guarded and not watched now, with what became of its last deployment.
    ///
    /// # Errors
    /// The store can't be asked.
    pub async fn beside(
        &self,
        open: &Open,
        store: &Store,
        policies: &Arc<Loaded>,
    ) -> Result<Arc<Vec<Idle>>, StoreError> {
        let watched: BTreeSet<String> = open
            .briefs
            .iter()
            .map(|brief| brief.view.id.clone())
            .chain(open.unread.iter().map(|unread| unread.id.clone()))
            .collect();
        let mut known = self.0.lock().await;
        if let Some(found) = known.as_ref().filter(|found| {
            found.at.elapsed() < SEEN
                && found.watched == watched
                && Arc::ptr_eq(&found.policies, policies)
        }) {
            return Ok(found.idle.clone());
        }
        let at = tokio::time::Instant::now();
        let last = store.last_watches().await?;
        let seen = store.seen::<SeenAt>().await?;
        let places: BTreeSet<String> = open
            .briefs
            .iter()
            .map(|brief| brief.view.place.clone())
            .chain(open.unread.iter().map(|unread| unread.place.clone()))
            .collect();
        let loaded = policies.clone();
        let finding = tokio::task::spawn_blocking(move || idle(seen, last, &places, &loaded));
        let idle = finding.await.map_err(|why| StoreError::Unsupported(why.to_string()))?;
        let idle = Arc::new(idle);
        let policies = policies.clone();
        *known = Some(Found { at, watched, policies, idle: idle.clone() });
        Ok(idle)
    }
}

fn idle(
    seen: Vec<SeenAt>,
    last: Vec<LastWatch>,
    watched: &BTreeSet<String>,
    policies: &Loaded,
) -> Vec<Idle> {
    let mut last: BTreeMap<String, LastWatch> =
        last.into_iter().map(|one| (one.service.clone(), one)).collect();
    let idle = seen.into_iter().filter_map(|SeenAt { service: key }| {
        let place = key.to_string();
        if watched.contains(&place) {
            return None;
        }
        let guard = policies.set.matching(&key).first()?;
        Some(Idle {
            service: key.name().to_owned(),
            environment: guard.policy.environment.clone(),
            last: last.remove(&place).map(|one| Last {
                watch: one.watch.to_string(),
                outcome: one.outcome.as_deref().and_then(parts::named),
                opened_at: one.opened_at,
            }),
            place,
        })
    });
    idle.collect()
}

/// The environments of ended watches, as they were asked for last.
#[derive(Debug, Default)]
pub struct Environments(Mutex<Option<(Instant, Vec<String>)>>);

impl Environments {
    /// # Errors
    /// The store can't be asked.
    pub async fn of_ended(&self, store: &Store) -> Result<Vec<String>, StoreError> {
        let mut known = self.0.lock().await;
        if let Some((_, names)) = known.as_ref().filter(|(at, _)| at.elapsed() < ENDED) {
            return Ok(names.clone());
        }
        let at = tokio::time::Instant::now();
        let names = store.ended_environments().await?;
        *known = Some((at, names.clone()));
        Ok(names)
    }
}
