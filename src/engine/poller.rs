//! Looking at the platform, level by level: whatever a hook or an event lost, the
//! next look finds.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::clock;
use super::guard::guarded;
use super::handle::EngineHandle;
use super::status::Status;
use crate::model::ServiceKey;
use crate::platform::ecs::Ecs;
use crate::platform::{LookError, Platform};
use crate::policy_repo::Loaded;

/// The services that the engine needs to see.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Looking {
    /// All that have an open watch.
    pub watched: BTreeSet<ServiceKey>,
    /// Those of them where something is being rolled out or back.
    pub moving: BTreeSet<ServiceKey>,
}

/// How often and where to look.
#[derive(Debug, Clone)]
pub struct PollSettings {
    pub every: Duration,
    pub clusters: Vec<String>,
    /// Where it is told what can't be listed.
    pub status: Arc<Status>,
}

/// A service in motion is looked at as often as this, if not oftener.
const MOVING: Duration = Duration::from_secs(5);
/// Looks between two listings of a cluster's services.
const LIST_EVERY: u32 = 4;
/// The longest pause after throttling, in looks.
const SLOWEST: u32 = 8;

/// Polls until `stop`.
pub async fn poll_forever(
    platform: Arc<Ecs>,
    engine: EngineHandle,
    policies: watch::Receiver<Arc<Loaded>>,
    mut looking: watch::Receiver<Looking>,
    settings: PollSettings,
    stop: CancellationToken,
) {
    let mut listed: BTreeSet<ServiceKey> = BTreeSet::new();
    let mut slow = 1;
    let mut round: u32 = 0;
    let mut next_full = tokio::time::Instant::now();
    loop {
        let full = tokio::time::Instant::now() >= next_full;
        if full {
            if round.is_multiple_of(LIST_EVERY) {
                list(&platform, &settings, &mut listed).await;
            }
            round = round.wrapping_add(1);
            next_full = tokio::time::Instant::now() + settings.every * slow;
        }
        let wanted = looking.borrow_and_update().clone();
        let services: Vec<ServiceKey> = if full {
            let loaded = policies.borrow().clone();
            let guarded = listed.iter().filter(|key| guarded(&loaded, key).is_some()).cloned();
            guarded.chain(wanted.watched.iter().cloned()).collect::<BTreeSet<_>>()
        } else {
            wanted.moving.clone()
        }
        .into_iter()
        .collect();
        if !services.is_empty() {
            let looks = platform.look(&services, clock::now()).await;
            let throttled =
                looks.iter().any(|(_, look)| matches!(look, Err(LookError::Transient(_))));
            slow = if throttled { (slow * 2).min(SLOWEST) } else { 1 };
            engine.looked(looks).await;
        }
        let pace = settings.every.min(MOVING) * slow;
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep_until(next_full) => {}
            () = tokio::time::sleep(pace), if !wanted.moving.is_empty() => {}
            // A new watch wants to see its service soon, but not oftener than the pace.
            Ok(()) = looking.changed() => tokio::time::sleep(pace.min(Duration::from_secs(1))).await,
        }
    }
}

async fn list(platform: &Ecs, settings: &PollSettings, listed: &mut BTreeSet<ServiceKey>) {
    for cluster in &settings.clusters {
        let services = platform.services(cluster).await;
        let failed = services.as_ref().err().map(ToString::to_string);
        let what = format!("the list of services of {cluster}");
        settings.status.set(|health| health.looked(&what, failed, clock::now()));
        match services {
            Ok(services) => {
                listed.retain(|key| key.cluster != *cluster);
                listed.extend(services);
            }
            Err(error) => tracing::warn!(cluster, %error, "services could not be listed"),
        }
    }
}
