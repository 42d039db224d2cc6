//! What is known of a service, gathered from the store for the gate. Any daemon may be
//! asked: nothing is decided here, and nothing kept.

use jiff::Timestamp;

use super::brakes::{FleetBrake, hold};
use super::guard::covers;
use crate::model::{LedgerEntry, Named, ServiceKey, Standing, WatchId};
use crate::policy::Policy;
use crate::policy_repo::Loaded;
use crate::store::{Store, StoreError};
use crate::watch::{GateAnswer, Known, Seen, Trial, Watch, bad, gate, standing, trials};

/// Watches of one service that are looked at.
const WATCHES: u32 = 50;
/// Overrides of all services that are looked at.
const OVERRIDES: u32 = 200;
/// Watches that are fetched for what was announced of a bad revision.
const BAD: usize = 20;

/// What the gate is asked of.
pub struct Gatekeeper<'a> {
    pub store: &'a Store,
    pub loaded: &'a Loaded,
    pub brake: FleetBrake,
}

impl Gatekeeper<'_> {
    /// May `named` be deployed to the service at `key` at `now`?
    pub async fn ask(
        &self,
        key: &ServiceKey,
        named: &Named,
        now: Timestamp,
    ) -> Result<GateAnswer, StoreError> {
        let Some(written) = self.loaded.set.matching(key).first() else {
            return Ok(GateAnswer::unguarded(&format!("no policy guards {key}")));
        };
        let policy = &written.policy;
        let known = self.known(key, policy, now).await?;
        Ok(gate(policy, &known, named, now))
    }

    async fn known(
        &self,
        key: &ServiceKey,
        policy: &Policy,
        now: Timestamp,
    ) -> Result<Known, StoreError> {
        let store = self.store;
        let mut watches = store.watches_of::<Watch>(key, WATCHES).await?;
        let bound = standing(&watches);
        let mut ledger = store.ledger().await?;
        ledger.retain(|entry| entry.service == *key);
        let seen = store.seen::<Seen>().await?;
        for id in unknown(&ledger, &watches) {
            watches.extend(store.watch::<Watch>(&id).await?);
        }
        let pauses = store.pauses().await?;
        let paused = pauses.iter().find(|pause| covers(pause, key, &policy.environment));
        let since = now.checked_sub(self.brake.within).unwrap_or(now);
        let recent = store.recent_permits(key, &WatchId::typed(""), since).await?;
        let mut alerts = store.alerts().await?;
        alerts.retain(|alert| alert.service == *key);
        let mut overrides = store.gate_overrides(OVERRIDES).await?;
        overrides.retain(|over| over.service == *key);
        Ok(Known {
            service: key.service.clone(),
            bound,
            bad: bad(&ledger, &watches),
            trials: self.trials(key, policy, &seen).await?,
            in_place: seen.iter().find(|seen| seen.service == *key).map(|s| s.revision.clone()),
            ledger,
            paused: paused.map(|pause| {
                let why = pause.reason.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
                format!("paused by {}{why}", pause.by)
            }),
            braked: hold(self.brake, policy.rollback.cooldown, recent, now),
            alerts,
            overrides,
        })
    }

    /// The deployments where the policy's soak is.
    async fn trials(
        &self,
        key: &ServiceKey,
        policy: &Policy,
        seen: &[Seen],
    ) -> Result<Option<Vec<Trial>>, StoreError> {
        let Some(soak) = &policy.gate.soak else { return Ok(None) };
        let name = soak.service_of(&key.service, &policy.matches.service);
        let there = seen.iter().map(|seen| &seen.service).filter(|there| {
            let environment =
                self.loaded.set.matching(there).first().map(|one| &one.policy.environment);
            there.service == name && environment == Some(&soak.environment)
        });
        let mut found = None;
        for place in there {
            let watches = self.store.watches_of::<Watch>(place, WATCHES).await?;
            found.get_or_insert_with(Vec::new).extend(trials(&watches));
        }
        Ok(found)
    }
}

/// The watches over bad revisions that are not at hand.
fn unknown(ledger: &[LedgerEntry], watches: &[Watch]) -> Vec<WatchId> {
    let bad = ledger.iter().filter(|entry| entry.standing == Standing::Bad);
    let named = bad.filter_map(|entry| entry.watch.clone());
    let far = named.filter(|id| watches.iter().all(|watch| watch.id != *id));
    far.take(BAD).collect()
}
