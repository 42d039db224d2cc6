//! Standing by and leading, in turns, for as long as the process lives.
//!
//! Only who leads has an engine, a poller and a postman. A leader that loses its lease
//! breaks off what it is doing and stands by again: the process need not die for it,
//! because an engine is made from the store alone, the first like every later one. A
//! stop gives the lease back after the last step is kept, so that a successor leads at
//! once.

use std::collections::BTreeMap;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Mutex, mpsc, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::Adapters;
use crate::engine::{
    Digests, Ear, Engine, FleetBrake, Helm, Hinted, Hints, Overhear, Parts, PollSettings, Postman,
    Presses, Scraper, Status, Tenure, Turn, between_turns, deliver_forever, fill_forever,
    hear_forever, listen_forever, overhear_forever, poll_forever, post_digests_forever,
    scrape_forever, tell_strays_forever, turn,
};
use crate::model::Lane;
use crate::platform::Host;
use crate::policy_repo::{Loaded, Reload};
use crate::settings::{Settings, TargetSettings};
use crate::store::{Fence, Store, StoreError};
use crate::telemetry::{Metrics, Traces};

/// Tenures in a row that may end because the store knows otherwise than the engine: one
/// does when the answer to a commit gets lost, and a fresh start from the store mends it.
const CONFLICTS: u32 = 5;
/// A tenure that lasted as long was a good one.
const GOOD: Duration = Duration::from_mins(1);

/// How long a stop waits for the database.
const FAREWELL: Duration = Duration::from_secs(2);

/// What every engine of this process is made of, and who is told about it.
pub(super) struct Leader {
    pub settings: Settings,
    pub adapters: Adapters,
    pub policies: watch::Sender<Arc<Loaded>>,
    pub metrics: Arc<Metrics>,
    pub traces: Traces,
    pub status: Arc<Status>,
    pub helm: Helm,
    /// Does presses, whichever way they come; `None`: there are no buttons.
    pub presses: Option<Presses>,
    /// The way to the pollers of whoever leads, and of each target its end.
    pub hints: Hints,
    pub hinted: BTreeMap<String, Arc<Mutex<Hinted>>>,
    /// Where others find this process.
    pub url: String,
}

/// The two steps of a stop: nothing new begins, then nothing more comes in.
#[derive(Clone)]
pub(super) struct Stops {
    pub begun: CancellationToken,
    pub served: CancellationToken,
}

/// How a tenure ended.
enum Ended {
    Stopped,
    Lost,
    Conflict(StoreError),
}

impl Leader {
    /// Stands by and leads until it is stopped.
    ///
    /// # Errors
    /// The store is not as any engine of this process knows it, again and again.
    pub(super) async fn run(
        self,
        mut reloads: mpsc::Receiver<Reload>,
        stops: Stops,
    ) -> anyhow::Result<()> {
        let owner = format!("{:016x}", RandomState::new().build_hasher().finish());
        let mut broken: Option<Reload> = None;
        let mut conflicts = 0;
        loop {
            let standing = self.stand_by(&owner, &stops);
            tokio::pin!(standing);
            let taken = loop {
                tokio::select! {
                    taken = &mut standing => break taken,
                    Some(reload) = reloads.recv() => self.keep(reload, &mut broken),
                }
            };
            let Some((tenure, store, fence)) = taken else { break };
            let begun = tokio::time::Instant::now();
            let lead = self.lead(&tenure, store, &mut reloads, &mut broken, &stops);
            let ended = lead.await;
            tenure.end();
            self.helm.stand_by("");
            self.metrics.stands_by();
            self.status.stands_by();
            match ended? {
                Ended::Stopped => {
                    self.give_back(&fence).await;
                    break;
                }
                Ended::Lost => {
                    tracing::warn!("standing by: the lead is lost, or could not be renewed");
                }
                Ended::Conflict(error) => {
                    conflicts = if begun.elapsed() < GOOD { conflicts + 1 } else { 1 };
                    anyhow::ensure!(conflicts < CONFLICTS, error);
                    tracing::error!(%error, "starting afresh from the store");
                    self.give_back(&fence).await;
                    between_turns().await;
                }
            }
        }
        // A connection that hangs must not hold the stop up.
        let _ = tokio::time::timeout(FAREWELL, self.adapters.store.close()).await;
        Ok(())
    }

    /// Waits for its turn. `None`: it was stopped before.
    async fn stand_by(&self, owner: &str, stops: &Stops) -> Option<(Tenure, Store, Fence)> {
        let mut known: Option<String> = None;
        while !stops.begun.is_cancelled() {
            match turn(&self.adapters.store, owner, &self.url).await {
                Ok(Turn::Ours(tenure, store, fence)) => return Some((tenure, store, fence)),
                Ok(Turn::Theirs(url)) => {
                    self.helm.stand_by(&url);
                    self.status.store_fails(None);
                    if known.as_ref() != Some(&url) {
                        tracing::info!(leader = url, "standing by");
                        known = Some(url);
                    }
                }
                Err(error) => {
                    tracing::error!(%error, "who leads can't be told");
                    self.helm.stand_by("");
                    self.status.store_fails(Some(error.to_string()));
                }
            }
            tokio::select! {
                () = stops.begun.cancelled() => {}
                () = between_turns() => {}
            }
        }
        None
    }

    /// Leads until it is stopped or the tenure is over.
    async fn lead(
        &self,
        tenure: &Tenure,
        store: Store,
        reloads: &mut mpsc::Receiver<Reload>,
        broken: &mut Option<Reload>,
        stops: &Stops,
    ) -> anyhow::Result<Ended> {
        let parts = self.parts(tenure, store);
        let engine = match tenure.hold(Engine::load(parts.clone())).await {
            None => return Ok(Ended::Lost),
            Some(Err(error)) => return Ok(Ended::Conflict(error)),
            Some(Ok(engine)) => engine,
        };
        let ending = stops.begun.child_token();
        let around = self.crew(&engine, &parts, tenure, &ending);
        self.helm.lead(&engine);
        self.metrics.leads();
        tracing::info!("leading");
        let handle = engine.handle();
        if let Some(reload) = broken.clone() {
            handle.policies(reload).await;
        }
        let drained = CancellationToken::new();
        let (held, until) = (tenure.clone(), drained.clone());
        let mut running = tokio::spawn(async move { held.hold(engine.run(until)).await });
        let mut served = std::pin::pin!(async {
            stops.served.cancelled().await;
            around.wait().await;
        });
        let ended = loop {
            tokio::select! {
                ended = &mut running => break ended?,
                () = &mut served, if !drained.is_cancelled() => drained.cancel(),
                Some(reload) = reloads.recv() => {
                    self.keep(reload.clone(), broken);
                    tokio::select! {
                        () = handle.policies(reload) => {}
                        () = stops.begun.cancelled() => {}
                    }
                }
            }
        };
        ending.cancel();
        Ok(match ended {
            None | Some(Err(StoreError::Deposed)) => Ended::Lost,
            Some(Err(error)) => Ended::Conflict(error),
            Some(Ok(())) if drained.is_cancelled() => Ended::Stopped,
            Some(Ok(())) => anyhow::bail!("the engine has ended by itself"),
        })
    }

    fn parts(&self, tenure: &Tenure, store: Store) -> Parts {
        let settings = &self.settings;
        let targets = settings.targets();
        let offset = |target: &TargetSettings| target.prometheus.as_ref()?.query_offset;
        let offsets = targets.iter().filter_map(|(name, one)| Some((name.clone(), offset(one)?)));
        Parts {
            store,
            tenure: tenure.clone(),
            platform: self.adapters.targets.platform.clone(),
            sources: self.adapters.targets.sources.clone(),
            query_offsets: offsets.collect(),
            repositories: Arc::new(super::called::repositories(settings)),
            policies: self.policies.clone(),
            brake: fleet_brake(settings),
            clusters: targets.into_iter().map(|(name, one)| (name, one.clusters)).collect(),
            metrics: self.metrics.clone(),
            traces: self.traces.clone(),
            status: self.status.clone(),
            elsewhere: self.adapters.elsewhere.clone(),
            mail: watch::Sender::new(0),
        }
    }

    /// What goes on around an engine, and only while it leads.
    fn crew(
        &self,
        engine: &Engine,
        parts: &Parts,
        tenure: &Tenure,
        ending: &CancellationToken,
    ) -> TaskTracker {
        let around = TaskTracker::new();
        self.poll(&around, engine, parts, tenure, ending);
        self.take_presses(&around, tenure, ending);
        for (queue, place) in &self.adapters.targets.queues {
            let ear = Ear {
                queue: queue.clone(),
                place: place.clone(),
                hints: self.hints.clone(),
                status: parts.status.clone(),
                metrics: parts.metrics.clone(),
            };
            around.spawn(hear_forever(ear, ending.clone()));
        }
        if let Some(pages) = &self.adapters.targets.pages {
            let scraper = Scraper {
                pages: pages.clone(),
                policies: engine.policies(),
                seen: engine.seen(),
                status: parts.status.clone(),
                metrics: parts.metrics.clone(),
            };
            around.spawn(scrape_forever(scraper, ending.clone()));
        }
        around.spawn(listen_forever(parts.store.clone(), ending.clone()));
        around.spawn(fill_forever(parts.store.clone(), ending.clone()));
        self.overhear(&around, engine, parts, ending);
        for lane in Lane::all() {
            let postman = Postman {
                store: parts.store.clone(),
                tenure: tenure.clone(),
                lane,
                slack: self.adapters.slack.clone(),
                elsewhere: self.adapters.elsewhere.clone(),
                engine: engine.handle(),
                metrics: parts.metrics.clone(),
                traces: parts.traces.clone(),
                mail: parts.mail.subscribe(),
            };
            around.spawn(deliver_forever(postman, ending.clone()));
        }
        if let Some(digest) = &self.settings.digest {
            let digests = Digests {
                store: parts.store.clone(),
                channel: digest.slack.clone(),
                every: digest.every.clone(),
                mail: parts.mail.clone(),
            };
            let (posting, held) = (post_digests_forever(digests, ending.clone()), tenure.clone());
            around.spawn(async move { held.hold(posting).await });
        }
        around.close();
        around
    }

    /// Listens to every cluster that tells of its changes.
    fn overhear(
        &self,
        around: &TaskTracker,
        engine: &Engine,
        parts: &Parts,
        ending: &CancellationToken,
    ) {
        for (target, host) in parts.platform.iter() {
            let Host::Kubernetes(kubernetes) = host else { continue };
            let ears = Overhear {
                target: target.to_owned(),
                kubernetes: kubernetes.clone(),
                namespaces: parts.clusters.get(target).cloned().flatten(),
                policies: engine.policies(),
                hints: self.hints.clone(),
            };
            around.spawn(overhear_forever(ears, ending.clone()));
        }
    }

    /// Looks at every account and region, each in a task of its own: one that hangs delays
    /// no other.
    fn poll(
        &self,
        around: &TaskTracker,
        engine: &Engine,
        parts: &Parts,
        tenure: &Tenure,
        ending: &CancellationToken,
    ) {
        let every = self.settings.discover.ecs.every.std();
        for (target, host) in parts.platform.iter() {
            let Some(hinted) = self.hinted.get(target) else { continue };
            let polling = poll_forever(
                host.clone(),
                engine.handle(),
                engine.policies(),
                engine.looking(),
                hinted.clone(),
                PollSettings {
                    every,
                    target: target.to_owned(),
                    clusters: parts.clusters.get(target).cloned().flatten(),
                    status: parts.status.clone(),
                },
                ending.clone(),
            );
            let held = tenure.clone();
            around.spawn(async move { held.hold(polling).await });
        }
        let (platform, looking) = (parts.platform.clone(), engine.looking());
        let (handle, status) = (engine.handle(), parts.status.clone());
        let strays = tell_strays_forever(platform, handle, looking, every, status, ending.clone());
        let held = tenure.clone();
        around.spawn(async move { held.hold(strays).await });
    }

    /// Good policies are in force for the next engine too; a broken folder is told to it.
    fn keep(&self, reload: Reload, broken: &mut Option<Reload>) {
        self.metrics.policies_read(matches!(reload, Reload::Good(_)));
        match reload {
            Reload::Good(loaded) => {
                self.policies.send_replace(Arc::new(loaded));
                *broken = None;
            }
            Reload::Broken(_) => *broken = Some(reload),
        }
    }

    async fn give_back(&self, fence: &Fence) {
        // It runs out by itself; until then nobody leads.
        match tokio::time::timeout(FAREWELL, self.adapters.store.release(fence)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "the lead could not be given back"),
            Err(_) => tracing::warn!("the lead could not be given back in time"),
        }
    }
}

/// When many rollbacks are too many, as the settings say.
pub(super) fn fleet_brake(settings: &Settings) -> FleetBrake {
    FleetBrake { rollbacks: settings.brake.rollbacks, within: settings.brake.within.0 }
}
