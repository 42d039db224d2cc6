//! Looking at the platform, level by level: whatever a hook or an event lost, the
//! next look finds.
//!
//! All looks at services are made here, one after the other: two at once could be taken
//! in the wrong way round, and what was in place before would look like a new deployment.
//! Each account and region has a poller of its own: none waits for another.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Mutex, watch};
use tokio_util::sync::CancellationToken;

use super::clock;
use super::eyes::place;
use super::handle::EngineHandle;
use super::hints::Hinted;
use super::land::Land;
use super::pacing::Round;
use super::status::Status;
use crate::model::ServiceKey;
use crate::platform::{Accounts, Host, LookError, Platform};
use crate::policy_repo::Loaded;

/// The services that the engine needs to see.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Looking {
    /// All that have an open watch.
    pub watched: BTreeSet<ServiceKey>,
    /// Those of them where something is being rolled out or back.
    pub moving: BTreeSet<ServiceKey>,
}

impl Looking {
    /// Those of them that are in one account and region.
    fn of(&self, target: &str) -> Looking {
        let here = |keys: &BTreeSet<ServiceKey>| {
            keys.iter().filter(|key| key.target == target).cloned().collect()
        };
        Looking { watched: here(&self.watched), moving: here(&self.moving) }
    }
}

/// How often and where to look.
#[derive(Debug, Clone)]
pub struct PollSettings {
    pub every: Duration,
    /// The account and region, as policies know it.
    pub target: String,
    /// `None`: those that the policies name.
    pub clusters: Option<Vec<String>>,
    /// Where it is told what can't be listed.
    pub status: Arc<Status>,
}

/// A service in motion is looked at as often as this, if not oftener.
const MOVING: Duration = Duration::from_secs(5);
/// How long hints are gathered before a look, which bounds how often they cause one.
const GATHERING: Duration = Duration::from_millis(200);

/// Polls one account and region until `stop`, and looks where `hinted` says in between.
pub async fn poll_forever(
    platform: Host,
    engine: EngineHandle,
    policies: watch::Receiver<Arc<Loaded>>,
    mut looking: watch::Receiver<Looking>,
    hinted: Arc<Mutex<Hinted>>,
    settings: PollSettings,
    stop: CancellationToken,
) {
    let PollSettings { every, target, clusters, status } = settings;
    // Whoever led before this process led again has let go of it.
    let mut hinted = hinted.lock().await;
    let mut land = Land::new(target.clone(), clusters, Arc::clone(&status));
    let mut next_full = tokio::time::Instant::now();
    let mut next_moving = next_full;
    loop {
        let loaded = policies.borrow().clone();
        let wanted = looking.borrow_and_update().of(&target);
        let mut services = hinted.services(&loaded, &wanted);
        let begun = tokio::time::Instant::now();
        let pace = every.min(MOVING);
        let rested = |key: &ServiceKey| hinted.pacing.is_rested(key, begun);
        let (mut round, moving) = (Round::Part, begun >= next_moving);
        if begun >= next_full {
            round = Round::Full { listed: land.survey(&platform, &loaded).await };
            let all: BTreeSet<_> =
                land.guarded(&loaded).chain(wanted.watched.iter().cloned()).collect();
            status.keep_places(&target, &all.iter().chain(&services).map(place).collect());
            services.extend(all.into_iter().filter(rested));
        } else if moving {
            services.extend(wanted.moving.iter().filter(|key| rested(key)).cloned());
        }
        if !services.is_empty() || round != Round::Part {
            let services: Vec<ServiceKey> = services.into_iter().collect();
            let looks = tokio::select! {
                looks = platform.look(&services, clock::now()) => looks,
                // A look changes nothing: a stop need not wait for it.
                () = stop.cancelled() => return,
            };
            let usual = |key: &ServiceKey| if wanted.moving.contains(key) { pace } else { every };
            let now = tokio::time::Instant::now();
            hinted.pacing.looked(&looks, round, begun, now, usual);
            engine.looked(looks.clone()).await;
            if hinted.are_waited_for() {
                let kept = engine.kept().await.map_err(|refused| refused.to_string());
                hinted.looked(&looks, &kept);
            }
        }
        let now = tokio::time::Instant::now();
        let (pause, gathering) = (hinted.pacing.pause(pace), hinted.pacing.pause(GATHERING));
        if round != Round::Part {
            next_full = now + hinted.pacing.pause(every);
            next_moving = now + pause;
        } else if moving {
            next_moving = begun + pause;
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep_until(next_full) => {}
            () = tokio::time::sleep_until(next_moving), if !wanted.moving.is_empty() => {}
            // A new watch wants to see its service soon, but not oftener than the pace.
            true = news(&mut looking, &target, &wanted) => {
                tokio::time::sleep(pause.min(Duration::from_secs(1))).await;
                next_moving = tokio::time::Instant::now();
            }
            () = hinted.due() => tokio::time::sleep(gathering).await,
        }
    }
}

/// Whether something else has to be seen there than `known`. `false`: nobody says any more.
async fn news(all: &mut watch::Receiver<Looking>, target: &str, known: &Looking) -> bool {
    all.wait_for(|all| all.of(target) != *known).await.is_ok()
}

/// Tells the watches of services that are in no target of the settings, until `stop`: nobody
/// looks at them any more.
pub async fn tell_strays_forever(
    accounts: Accounts,
    engine: EngineHandle,
    looking: watch::Receiver<Looking>,
    every: Duration,
    status: Arc<Status>,
    stop: CancellationToken,
) {
    let mut told: BTreeSet<ServiceKey> = BTreeSet::new();
    loop {
        let watched = looking.borrow().watched.clone();
        let strays = watched.into_iter().filter_map(|key| {
            let why = accounts.of(&key).err()?;
            Some((key, Err(LookError::Permanent(why))))
        });
        let strays: Vec<_> = strays.collect();
        // What was told of those whose watches have ended is nobody's trouble any more.
        let left = strays.iter().map(|(key, _)| place(key)).collect();
        for key in &told {
            status.keep_places(&key.target, &left);
        }
        told = strays.iter().map(|(key, _)| key.clone()).collect();
        if !strays.is_empty() {
            engine.looked(strays).await;
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(every) => {}
        }
    }
}
