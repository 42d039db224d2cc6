//! How the guard itself stands: who leads, what is paused, what keeps it from guarding.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::json;
use sha2::{Digest, Sha256};
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::Face;
use super::health::unheard;
use super::vouch::hex;
use crate::engine::Leads;
use crate::store::{Letterbox, Pause, Store, StoreError};

/// How long what is known of the outbox is believed: it is counted, and that takes a while.
const COUNTED: Duration = Duration::from_secs(10);

/// As this daemon knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    pub leads: Leads,
    pub pauses: Vec<Pause>,
    /// Services that are seen and not guarded; known to who leads alone.
    pub unguarded: Vec<String>,
    /// What keeps the guard from guarding as it should.
    pub troubles: Vec<String>,
}

/// What waits in the outbox, as it was counted last.
#[derive(Debug, Clone, Default)]
pub struct Letters(Arc<Mutex<Option<Counted>>>);

/// When it was counted, and what there was.
type Counted = (Instant, Vec<Letterbox>);

impl Standing {
    /// # Errors
    /// The store can't be asked.
    pub async fn of(face: &Face, now: Timestamp) -> Result<Standing, StoreError> {
        let (pauses, letters) =
            (face.store.pauses().await?, face.live.letters.count(&face.store).await?);
        let (leads, health) = (face.engine.leads(), face.status.read());
        let mut troubles = Vec::new();
        if leads == Leads::Nobody {
            let why = "No daemon leads: nothing is being watched, and nothing is rolled back";
            troubles.push(why.to_owned());
        }
        troubles.extend(health.obstacles());
        troubles.extend(health.handicaps(now));
        troubles.extend(health.policy_mistakes.iter().cloned());
        troubles.extend(unheard(&letters, now));
        Ok(Standing { leads, pauses, unguarded: health.unguarded, troubles })
    }

    /// Changes whenever something of it does.
    pub fn mark(&self) -> String {
        let leader = match &self.leads {
            Leads::Here => "here",
            Leads::There(url) => url.as_str(),
            Leads::Nobody => "nobody",
        };
        let all = json!([leader, self.pauses, self.unguarded, self.troubles]);
        hex(&Sha256::digest(all.to_string())[..8])
    }
}

impl Letters {
    async fn count(&self, store: &Store) -> Result<Vec<Letterbox>, StoreError> {
        // One counts at a time, and who waits finds it done.
        let mut known = self.0.lock().await;
        if let Some((_, letters)) = known.as_ref().filter(|(at, _)| at.elapsed() < COUNTED) {
            return Ok(letters.clone());
        }
        // Also a count that is broken off is not begun anew at once.
        if let Some((at, _)) = known.as_mut() {
            *at = tokio::time::Instant::now();
        }
        let letters = store.letterboxes().await?;
        *known = Some((tokio::time::Instant::now(), letters.clone()));
        Ok(letters)
    }
}
