//! The engine's loop.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::sync::{Mutex, mpsc, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::brakes::FleetBrake;
use super::clock;
use super::eyes::{kept_in, not_run, unasked, unknown, unseen};
use super::handle::{EngineHandle, Input, Refused, WantKind};
use super::live::{Kept, Live};
use super::perform::AGAIN;
use super::poller::Looking;
use super::status::Status;
use super::step::{Done, Step};
use super::take::{Known, Outcome};
use super::tenure::Tenure;
use crate::crash;
use crate::model::{Repositories, ServiceKey, StopSwitch, WatchId};
use crate::notify::elsewhere::Elsewhere;
use crate::platform::Accounts;
use crate::policy_repo::{Loaded, Reload};
use crate::sources::Sources;
use crate::store::{Store, StoreError};
use crate::telemetry::{Metrics, Traces};
use crate::watch::{Event, Watch};

/// Inputs that may wait; beyond it callers wait, and hooks are told to come again.
const INBOX: usize = 1024;
/// Inputs that are kept in one transaction.
const BATCH: usize = 256;
/// The engine looks around this often even if nothing happens.
const LONGEST_NAP: Duration = Duration::from_mins(1);
/// How long a stop waits for calls to the platform that are under way.
const DRAIN: Duration = Duration::from_secs(25);

/// What the engine is made of.
#[derive(Clone)]
pub struct Parts {
    /// Under the fence of the tenure.
    pub store: Store,
    pub tenure: Tenure,
    pub platform: Accounts,
    /// What can be asked, by target.
    pub sources: BTreeMap<String, Sources>,
    /// How long after its time a sample can be had of a target's; none: a moment.
    pub query_offsets: BTreeMap<String, SignedDuration>,
    /// What is deployed from which repository.
    pub repositories: Arc<Repositories>,
    /// The policies in force, from one engine of this process to the next.
    pub policies: watch::Sender<Arc<Loaded>>,
    pub brake: FleetBrake,
    /// Where deployments are looked for in each target; `None`: where the policies say.
    pub clusters: BTreeMap<String, Option<Vec<String>>>,
    pub metrics: Arc<Metrics>,
    pub traces: Traces,
    pub status: Arc<Status>,
    /// Who can be told elsewhere than in Slack.
    pub elsewhere: Arc<Elsewhere>,
    /// Rung when something was put into the outbox.
    pub mail: watch::Sender<u64>,
}

/// The engine. One task owns it; everything else speaks to its handle.
pub struct Engine {
    pub(super) parts: Parts,
    pub(super) policies: Arc<Loaded>,
    pub(super) live: Live,
    pub(super) handle: EngineHandle,
    pub(super) tasks: TaskTracker,
    /// Held from asking for recent rollbacks to taking a permit: many that are
    /// decided at once must see one another.
    pub(super) brake_gate: Arc<Mutex<()>>,
    inputs: mpsc::Receiver<Input>,
    /// Wants under way.
    pub(super) busy: BTreeSet<(WatchId, WantKind)>,
    /// Of what is under way and changes something, what stops each before its call.
    pub(super) stops: BTreeMap<(WatchId, WantKind), StopSwitch>,
    /// Wants that failed, and when they are tried again.
    pub(super) later: BTreeMap<(WatchId, WantKind), Timestamp>,
    pub(super) looking: watch::Sender<Looking>,
    pub(super) seen: watch::Sender<BTreeSet<ServiceKey>>,
}

impl Engine {
    /// Loads what the store has kept.
    pub async fn load(parts: Parts) -> Result<Engine, StoreError> {
        let live = Live::load(&parts.store, parts.repositories.clone()).await?;
        let (sender, inputs) = mpsc::channel(INBOX);
        let policies = parts.policies.borrow().clone();
        let mut engine = Engine {
            looking: watch::Sender::new(Looking::default()),
            seen: watch::Sender::new(BTreeSet::new()),
            handle: EngineHandle::to(sender),
            tasks: TaskTracker::new(),
            brake_gate: Arc::default(),
            busy: BTreeSet::new(),
            stops: BTreeMap::new(),
            later: BTreeMap::new(),
            policies,
            live,
            inputs,
            parts,
        };
        engine.show();
        tracing::info!(watches = engine.live.watches.len(), "loaded");
        Ok(engine)
    }

    pub fn handle(&self) -> EngineHandle {
        self.handle.clone()
    }

    /// The policies in force.
    pub fn policies(&self) -> watch::Receiver<Arc<Loaded>> {
        self.parts.policies.subscribe()
    }

    /// The services that have to be looked at.
    pub fn looking(&self) -> watch::Receiver<Looking> {
        self.looking.subscribe()
    }

    /// The services that were ever seen.
    pub fn seen(&self) -> watch::Receiver<BTreeSet<ServiceKey>> {
        self.seen.subscribe()
    }

    /// Runs until `stop`, then takes in what is still under way.
    ///
    /// # Errors
    /// Somebody else writes to the same store: this engine must not go on.
    pub async fn run(mut self, stop: CancellationToken) -> Result<(), StoreError> {
        let mut batch = Vec::new();
        // What the store remembers may already contradict pauses and policies.
        batch.push(Input::Policies(Box::new(Reload::Good((*self.policies).clone()))));
        loop {
            self.step(&mut batch).await?;
            if stop.is_cancelled() {
                break;
            }
            self.start_wants(clock::now());
            let wait = self.until_next(clock::now());
            tokio::select! {
                biased;
                () = stop.cancelled() => {}
                _ = self.inputs.recv_many(&mut batch, BATCH) => {}
                () = tokio::time::sleep(wait) => {}
            }
        }
        self.drain(batch).await
    }

    /// Waits for calls that are under way, and keeps what they came to.
    async fn drain(mut self, mut batch: Vec<Input>) -> Result<(), StoreError> {
        self.tasks.close();
        let deadline = tokio::time::Instant::now() + DRAIN;
        loop {
            tokio::select! {
                biased;
                _ = self.inputs.recv_many(&mut batch, BATCH) => self.step(&mut batch).await?,
                () = self.tasks.wait() => break,
                () = tokio::time::sleep_until(deadline) => {
                    tracing::warn!("stopping with calls under way; they are looked for at the next start");
                    break;
                }
            }
        }
        batch.extend(std::iter::from_fn(|| self.inputs.try_recv().ok()));
        self.step(&mut batch).await?;
        tracing::info!("stopped; everything is kept");
        Ok(())
    }

    /// Takes a batch in, keeps it, and answers. Tries until the store keeps it:
    /// without a store nothing may be done.
    async fn step(&mut self, batch: &mut Vec<Input>) -> Result<(), StoreError> {
        self.note(batch);
        let mut pause = Duration::from_millis(100);
        loop {
            match self.try_step(batch).await {
                Ok((done, outcomes)) => {
                    self.finish(done, batch, outcomes);
                    return Ok(());
                }
                // What is in memory is not what is kept: only a fresh start mends it.
                Err(error @ (StoreError::Conflict(_) | StoreError::Deposed)) => return Err(error),
                Err(error) => {
                    tracing::error!(%error, retry_in = ?pause, "nothing can be kept");
                    self.parts.status.set(|health| health.store = Some(error.to_string()));
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(Duration::from_secs(10));
                }
            }
        }
    }

    async fn try_step(&self, batch: &[Input]) -> Result<(Done, Vec<Outcome>), StoreError> {
        let known = &mut self.known(batch).await?;
        let now = clock::now();
        let mut step = Step::at(now, &self.live, &self.parts.query_offsets);
        let outcomes = batch.iter().map(|input| self.take(&mut step, input, known, now)).collect();
        self.wake(&mut step, now);
        step.bind_overrides(now);
        step.level_joins();
        step.level_sources();
        crash::point("commit-before");
        let done = step.commit(&self.parts.store).await?;
        crash::point("commit-after");
        Ok((done, outcomes))
    }

    /// What the store knows of a batch: announcements that came before, and
    /// watches that have ended over deployments which are spoken of again.
    async fn known(&self, batch: &[Input]) -> Result<Known, StoreError> {
        let mut known = Known::default();
        let store = &self.parts.store;
        for input in batch {
            match input {
                Input::Announce { announcement, digest, .. } => {
                    let id = announcement.id.clone();
                    let watch = WatchId::of(&announcement.service.key, &id);
                    if let Some(before) = store.announcement(&id).await? {
                        known.announcements.insert(id, before);
                    } else if self.has_ended(&watch).await? {
                        known.announcements.insert(id, (digest.clone(), watch));
                    }
                }
                Input::Looked(looks) => {
                    for (key, look) in looks {
                        let Ok(Some(sighting)) = look else { continue };
                        let id = &sighting.primary.id;
                        let seen = self.live.seen.get(key);
                        let watch = WatchId::of(key, id);
                        if seen.is_some_and(|seen| seen.platform_id != *id)
                            && self.has_ended(&watch).await?
                        {
                            known.ended.insert(watch);
                        }
                    }
                }
                Input::Untold { watch, .. } if !self.live.watches.contains_key(watch) => {
                    let kept = Kept::ended(store, watch).await?;
                    known.untold.extend(kept.map(|kept| (watch.clone(), kept)));
                }
                Input::Press { .. }
                | Input::Pause { .. }
                | Input::Unpause { .. }
                | Input::GoThrough { .. }
                | Input::Alerts { .. }
                | Input::Kept { .. }
                | Input::Policies(_)
                | Input::Untold { .. }
                | Input::Done { .. } => {}
            }
        }
        Ok(known)
    }

    async fn has_ended(&self, watch: &WatchId) -> Result<bool, StoreError> {
        Ok(!self.live.watches.contains_key(watch) && self.parts.store.has_watch(watch).await?)
    }

    /// Wakes the watches whose time has come.
    fn wake(&self, step: &mut Step<'_>, now: Timestamp) {
        let due: Vec<_> = self
            .live
            .watches
            .values()
            .filter(|kept| self.wakes_at(&kept.watch).is_some_and(|at| now >= at))
            .map(|kept| kept.watch.id.clone())
            .collect();
        for id in due {
            // An input of this very step may have ended it.
            if step.watch(&id).is_some_and(Watch::is_open)
                && let Err(why) = step.deliver(&id, Event::Woke)
            {
                tracing::error!(watch = %id, %why, "could not be woken");
            }
        }
    }

    fn finish(&mut self, done: Done, batch: &mut Vec<Input>, outcomes: Vec<Outcome>) {
        let now = clock::now();
        for Kept { watch, .. } in &done.watches {
            // What had ended before has not ended once more.
            if !done.ended_before.contains(&watch.id) {
                let before = self.live.watches.get(&watch.id).map(|kept| &kept.watch);
                self.parts.metrics.watch_moved(before, watch);
                self.parts.traces.step(before, watch, now);
            }
        }
        if done.has_mail {
            self.parts.mail.send_modify(|count| *count = count.wrapping_add(1));
        }
        self.note_lag(&done.watches, batch, clock::now());
        let changed = !done.watches.is_empty() || done.pauses.is_some();
        self.stop_unwanted(&done.watches, clock::now());
        self.live.absorb(done);
        for (input, outcome) in batch.drain(..).zip(outcomes) {
            self.answer(input, outcome);
        }
        if changed {
            self.show();
        }
        self.parts.status.set(|health| {
            health.store = None;
            health.stepped_at = Some(clock::now());
        });
    }

    fn answer(&mut self, input: Input, outcome: Outcome) {
        // A caller that has gone away needs no answer.
        match (input, outcome) {
            (Input::Announce { reply, .. }, Outcome::Announced(result)) => {
                self.parts.metrics.announced(&result);
                let _ = reply.send(result);
            }
            (
                Input::Press { reply, .. }
                | Input::Untold { reply, .. }
                | Input::GoThrough { reply, .. }
                | Input::Alerts { reply, .. }
                | Input::Kept { reply },
                Outcome::Plain(result),
            ) => {
                let _: Result<(), Result<(), Refused>> = reply.send(result);
            }
            (Input::Pause { reply, .. }, Outcome::Paused(result)) => {
                let _ = reply.send(result);
            }
            (Input::Unpause { reply, .. }, Outcome::Unpaused(result)) => {
                let _ = reply.send(result);
            }
            (Input::Done { watch, want, event }, _) => {
                self.busy.remove(&(watch.clone(), want));
                self.stops.remove(&(watch.clone(), want));
                // A baseline that was had in part is asked for again, in good time.
                let pause = match (want, event) {
                    (WantKind::Baseline, Ok(_)) => Some(AGAIN),
                    (_, Ok(_)) => None,
                    (_, Err(pause)) => Some(pause),
                };
                if let Some(pause) = pause {
                    let pause = pause.try_into().unwrap_or(jiff::SignedDuration::from_secs(5));
                    if let Ok(at) = clock::now().checked_add(pause) {
                        self.later.insert((watch, want), at);
                    }
                }
            }
            _ => {}
        }
    }

    /// What the policies guard and this daemon does not see.
    fn unseen(&self, loaded: &Loaded) -> Vec<String> {
        let sources = self.parts.sources.iter();
        let has = sources.map(|(target, one)| (target.clone(), one.prometheus.is_some())).collect();
        let unknown = unknown(loaded, |who| self.parts.elsewhere.knows(who));
        let outbound = self.parts.sources.values().find_map(|one| one.web.as_ref());
        let kept_in = kept_in(loaded, outbound);
        let prober = self.parts.sources.values().find_map(|one| one.prober.as_ref());
        let not_run = not_run(loaded, prober);
        let blind = [unseen(loaded, &self.parts.clusters), unasked(loaded, &has)].concat();
        [blind, unknown, kept_in, not_run].concat()
    }

    /// Policies that were read, or could not be.
    fn note_policies(&mut self, reload: &Reload) {
        match reload {
            Reload::Good(loaded) => {
                self.policies = Arc::new(loaded.clone());
                self.parts.policies.send_replace(self.policies.clone());
                let unseen = self.unseen(loaded);
                self.parts.status.set(|health| {
                    health.policy_mistakes = loaded.unread.iter().cloned().collect();
                    health.policy_commit.clone_from(&loaded.commit);
                    health.policies = loaded.set.len();
                    health.unseen.clone_from(&unseen);
                });
                for what in unseen {
                    tracing::warn!("{what}");
                }
                if loaded.unread.is_none() {
                    let policies = loaded.set.len();
                    tracing::info!(policies, commit = loaded.commit, "policies in force");
                }
            }
            Reload::Broken(mistakes) => {
                let mistakes: Vec<String> = mistakes.iter().map(ToString::to_string).collect();
                if self.policies.unread.is_some() {
                    tracing::error!(
                        ?mistakes,
                        "policies are broken; none have been in force since the start"
                    );
                } else {
                    tracing::error!(
                        ?mistakes,
                        "policies are broken; the last good ones stay in force"
                    );
                }
                self.parts.status.set(|health| health.policy_mistakes = mistakes);
            }
        }
    }

    /// What must be known before a batch is taken in.
    fn note(&mut self, batch: &[Input]) {
        for input in batch {
            match input {
                Input::Policies(reload) => self.note_policies(reload),
                Input::Looked(looks) => {
                    self.note_looks(looks, clock::now());
                }
                Input::Announce { .. }
                | Input::Press { .. }
                | Input::Pause { .. }
                | Input::Unpause { .. }
                | Input::GoThrough { .. }
                | Input::Alerts { .. }
                | Input::Kept { .. }
                | Input::Untold { .. }
                | Input::Done { .. } => {}
            }
        }
    }

    /// How long nothing has to be done if nothing comes in.
    fn until_next(&self, now: Timestamp) -> Duration {
        let idle = |id: &WatchId, kind| !self.busy.contains(&(id.clone(), kind));
        let next = self
            .live
            .watches
            .values()
            .map(|kept| &kept.watch)
            .flat_map(|watch| {
                let tick = watch.tick_due_at().filter(|_| idle(&watch.id, WantKind::Sample));
                let retry =
                    watch.rollback_not_before(now).filter(|_| idle(&watch.id, WantKind::RollBack));
                [self.wakes_at(watch), tick, retry]
            })
            .flatten()
            .chain(self.later.values().copied())
            .min();
        let wait = match next {
            Some(at) => Duration::try_from(at.duration_since(now)).unwrap_or_default(),
            None => LONGEST_NAP,
        };
        // A floor, so that a time that has passed can't spin.
        wait.clamp(Duration::from_millis(10), LONGEST_NAP)
    }
}
