//! Doing what the watches want, each thing once at a time.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::sync::Mutex;

use super::brakes::{FleetBrake, hold};
use super::clock;
use super::handle::{Input, WantKind};
use super::live::Kept;
use super::measuring::Round;
use super::run::Engine;
use crate::crash;
use crate::model::{
    ActFailure, Acted, Actuator, Inspection, LedgerEntry, Permit, Revision, RollbackPlan,
    ServiceKey, ShiftPlan, StopSwitch, TaskStop, WatchId,
};
use crate::platform::{Accounts, LookError};
use crate::policy::RollbackRule;
use crate::store::{Store, StoreError};
use crate::telemetry::{Metrics, Traces};
use crate::watch::{Candidate, Event, Want, Watch, candidates};

/// Pause before a want is tried again that could not be done at all.
pub(super) const AGAIN: Duration = Duration::from_secs(5);
/// Targets that are inspected before a watch is told that there is none.
const INSPECTED: usize = 3;

impl Engine {
    /// Starts everything that is wanted and not under way.
    pub(super) fn start_wants(&mut self, now: Timestamp) {
        self.later.retain(|_, at| *at > now);
        let mut rounds: BTreeMap<String, Round> = BTreeMap::new();
        let unsettled = self.unsettled(now);
        let (mut begun, mut stops) = (Vec::new(), Vec::new());
        for kept in self.live.watches.values() {
            let watch = &kept.watch;
            for want in watch.wants(now) {
                let key = (watch.id.clone(), kind(&want));
                if self.busy.contains(&key) || self.later.contains_key(&key) {
                    continue;
                }
                // A decision may be taken back while its command still runs: users are let in
                // again after it, not in its middle.
                let calls = (watch.id.clone(), WantKind::RollBack);
                if key.1 == WantKind::LeaveMaintenance && self.busy.contains(&calls) {
                    continue;
                }
                let target = &watch.deployment.service.key.target;
                match want {
                    Want::Sample { tick, interval } => {
                        let round = rounds.entry(target.clone()).or_default();
                        round.sample(watch, tick, interval, &unsettled, self.rivals(watch));
                    }
                    Want::Baseline(ask) => {
                        let round = rounds.entry(target.clone()).or_default();
                        round.baseline(watch, ask, now);
                    }
                    Want::Inspect => self.spawn_inspect(watch),
                    Want::ReadLog(stop) => self.spawn_read_log(watch, *stop),
                    Want::RollBack { not_before, .. } if now < not_before => continue,
                    Want::RollBack { plan, attended, .. } => {
                        let stop = StopSwitch::default();
                        stops.push((key.clone(), stop.clone()));
                        self.spawn_roll_back(watch, *plan, attended, stop);
                    }
                    Want::LeaveMaintenance(plan) => self.spawn_leave_maintenance(watch, *plan),
                    Want::Shift(plan) => {
                        let stop = StopSwitch::default();
                        stops.push((key.clone(), stop.clone()));
                        self.spawn_shift(watch, plan, stop);
                    }
                }
                begun.push(key);
            }
        }
        self.busy.extend(begun);
        self.stops.extend(stops);
        // One account that is slow must not delay another.
        for (target, round) in rounds {
            self.spawn_measure(&target, round);
        }
    }

    fn spawn_inspect(&self, watch: &Watch) {
        let (Some(judged), key) =
            (watch.deployment.revision.clone(), watch.deployment.service.key.clone())
        else {
            return;
        };
        let ledger: Vec<LedgerEntry> = self.live.ledger_of(&key);
        let source = watch.deployment.source.as_ref();
        let found = candidates(&watch.policy().rollback, &ledger, &judged, source, clock::now());
        let same = source.is_some_and(|source| source.same_as(&judged));
        let platform = self.parts.platform.clone();
        let id = watch.id.clone();
        let rule = watch.policy().rollback.clone();
        self.spawn(id.clone(), WantKind::Inspect, async move {
            inspect(&platform, &id, &key, &judged, found, same, &rule).await
        });
    }

    fn spawn_read_log(&self, watch: &Watch, stop: TaskStop) {
        let target = &watch.deployment.service.key.target;
        let tasks = self.parts.sources.get(target).and_then(|sources| sources.tasks.clone());
        self.spawn(watch.id.clone(), WantKind::ReadLog, async move {
            let lines = match tasks {
                Some(tasks) => tasks.last_lines(&stop).await,
                None => Err("the settings name no account to ask".to_owned()),
            };
            Ok(Event::LogRead { task: stop.task, lines })
        });
    }

    fn spawn_roll_back(&self, watch: &Watch, plan: RollbackPlan, attended: bool, stop: StopSwitch) {
        let undo = Undo {
            stop,
            store: self.parts.store.clone(),
            platform: self.parts.platform.clone(),
            brake: self.parts.brake,
            cooldown: watch.policy().rollback.cooldown,
            watch: watch.id.clone(),
            attended,
            gate: self.brake_gate.clone(),
            metrics: self.parts.metrics.clone(),
            traces: self.parts.traces.clone(),
        };
        self.spawn(watch.id.clone(), WantKind::RollBack, async move {
            undo.roll_back(&plan).await.map_err(|error| {
                tracing::error!(watch = %undo.watch, %error, "no permit could be asked for");
                AGAIN
            })
        });
    }

    fn spawn_shift(&self, watch: &Watch, plan: ShiftPlan, stop: StopSwitch) {
        let (platform, id) = (self.parts.platform.clone(), watch.id.clone());
        self.spawn(watch.id.clone(), WantKind::Shift, async move {
            let result = platform.shift(&plan, &stop).await;
            let (service, weight) = (&plan.service, plan.weight);
            tracing::info!(watch = %id, %service, weight, ?result, "a canary was moved");
            Ok(Event::Shifted { weight, result })
        });
    }

    fn spawn_leave_maintenance(&self, watch: &Watch, plan: RollbackPlan) {
        let (platform, id) = (self.parts.platform.clone(), watch.id.clone());
        self.spawn(watch.id.clone(), WantKind::LeaveMaintenance, async move {
            let left = platform.leave_maintenance(&plan, &id, clock::now()).await;
            Ok(Event::MaintenanceLeft(left))
        });
    }

    /// Stops the rollbacks and moves that a step has made unwanted: paused, lowered, taken back. Before
    /// whoever paused is answered: from then on no call passes its check of the switch. One
    /// that has passed it may still be on its way out, its credentials resolved or its
    /// connection made meanwhile; the thread tells of it.
    pub(super) fn stop_unwanted(&self, touched: &[Kept], now: Timestamp) {
        for Kept { watch, .. } in touched {
            let under_way = |want| self.stops.get(&(watch.id.clone(), want));
            if let Some(stop) = under_way(WantKind::RollBack)
                && watch.rollback_not_before(now).is_none()
            {
                stop.stop(&watch.unwanted_because());
            }
            if let Some(stop) = under_way(WantKind::Shift)
                && watch.shift_wanted(now).is_none()
            {
                stop.stop("nothing calls for it any more");
            }
        }
    }

    fn spawn(
        &self,
        watch: WatchId,
        want: WantKind,
        work: impl Future<Output = Result<Event, Duration>> + Send + 'static,
    ) {
        let (handle, tenure) = (self.handle.clone(), self.parts.tenure.clone());
        self.tasks.spawn(async move {
            // A panic must not leave the want under way for ever.
            let held = tokio::spawn(async move { tenure.hold(work).await });
            let event = match held.await {
                Ok(Some(event)) => event.map(Box::new),
                // Broken off; whoever leads next wants it again.
                Ok(None) => return,
                Err(panic) => {
                    tracing::error!(watch = %watch, %panic, "a task broke off; trying again");
                    Err(AGAIN)
                }
            };
            handle.send(Input::Done { watch, want, event }).await;
        });
    }
}

fn kind(want: &Want) -> WantKind {
    match want {
        Want::Sample { .. } => WantKind::Sample,
        Want::Baseline(_) => WantKind::Baseline,
        Want::Inspect => WantKind::Inspect,
        Want::ReadLog(_) => WantKind::ReadLog,
        Want::RollBack { .. } => WantKind::RollBack,
        Want::Shift(_) => WantKind::Shift,
        Want::LeaveMaintenance(_) => WantKind::LeaveMaintenance,
    }
}

/// Looks for the first candidate that can be placed.
async fn inspect(
    platform: &Accounts,
    watch: &WatchId,
    service: &ServiceKey,
    judged: &Revision,
    found: Vec<Candidate>,
    same_on_both_sides: bool,
    rule: &RollbackRule,
) -> Result<Event, Duration> {
    let none = |because: String| {
        Ok(Event::Inspected { target: Err(because), inspection: Inspection::default() })
    };
    let mut obstacles = Vec::new();
    for candidate in found.into_iter().take(INSPECTED) {
        match platform.inspect(service, judged, &candidate.revision, rule).await {
            Ok(inspection) => match &inspection.obstacle {
                None => {
                    let target = Ok((candidate.revision, candidate.because));
                    return Ok(Event::Inspected { target, inspection });
                }
                Some(obstacle) => {
                    obstacles.push(format!("{}: {obstacle}", candidate.revision.short()));
                }
            },
            Err(LookError::Permanent(why)) => obstacles.push(why),
            Err(LookError::Everywhere(why) | LookError::Transient(why)) => {
                tracing::warn!(
                    %watch, why,
                    "the rollback target could not be looked at; trying again"
                );
                return Err(AGAIN);
            }
        }
    }
    match (obstacles.is_empty(), same_on_both_sides) {
        (false, _) => none(obstacles.join("; ")),
        (true, true) => none(
            "both sides are the same revision: putting it back would restore nothing".to_owned(),
        ),
        (true, false) => none("no known-good revision, and nothing was in place before".to_owned()),
    }
}

/// One rollback: brakes, permit, platform.
struct Undo {
    store: Store,
    platform: Accounts,
    brake: FleetBrake,
    cooldown: SignedDuration,
    watch: WatchId,
    attended: bool,
    gate: Arc<Mutex<()>>,
    metrics: Arc<Metrics>,
    traces: Traces,
    stop: StopSwitch,
}

impl Undo {
    async fn roll_back(&self, plan: &RollbackPlan) -> Result<Event, StoreError> {
        crash::point("permit-before");
        let asked = clock::now();
        let permit = self.permit(plan).await?;
        let refused = permit.as_ref().err();
        self.traces.permitted(&self.watch, plan, (asked, clock::now()), refused);
        let permit = match permit {
            Ok(permit) => permit.unless(self.stop.clone()),
            Err(why) => {
                self.metrics.not_permitted(&why);
                return Ok(Event::Acted(Err(why)));
            }
        };
        crash::point("permit-after");
        let called = clock::now();
        let result = self.platform.roll_back(&permit, plan, called).await;
        self.metrics.acted(&result);
        self.traces.called(&self.watch, plan, (called, clock::now()), &result);
        crash::point("act-after");
        if permit.is_first() && never_ran(plan, &result) {
            self.give_back(plan).await;
        }
        tracing::info!(watch = %self.watch, ?result, "the platform answered the rollback");
        Ok(Event::Acted(result))
    }

    async fn give_back(&self, plan: &RollbackPlan) {
        let given = self.store.give_back(&plan.service, &plan.judged, &self.watch).await;
        if let Err(error) = given {
            tracing::warn!(
                watch = %self.watch, %error,
                "a permit that was not used could not be given back"
            );
        }
    }

    /// The permit, or why there is none. A permit that this watch has taken before
    /// is not braked: its call may have had its effect. One of an earlier time that the
    /// deployment was in place brakes as any other.
    async fn permit(&self, plan: &RollbackPlan) -> Result<Result<Permit, ActFailure>, StoreError> {
        let _alone = self.gate.lock().await;
        // A permit that is not used would count for the brakes.
        if let Some(why) = self.stop.stopped() {
            return Ok(Err(ActFailure::Stopped(why.to_owned())));
        }
        let now = clock::now();
        let holder = self.store.permit_holder(&plan.service, &plan.judged).await?;
        if holder.as_ref() != Some(&self.watch) && !self.attended {
            let since = now.checked_sub(self.brake.within).unwrap_or(now);
            let recent = self.store.recent_permits(&plan.service, &self.watch, since).await?;
            if let Some(why) = hold(self.brake, self.cooldown, recent, now) {
                return Ok(Err(ActFailure::Refused(why)));
            }
        }
        let permit = self.store.permit(&plan.service, &plan.judged, &self.watch, now).await?;
        let another = "another watch holds the permit for this deployment";
        Ok(permit.ok_or_else(|| ActFailure::Refused(another.to_owned())))
    }
}

/// Whether a command that was to bring the target back was never begun. Only then may another
/// try begin it.
fn never_ran(plan: &RollbackPlan, result: &Result<Acted, ActFailure>) -> bool {
    let Err(failure) = result else { return false };
    let before = match failure.itself() {
        ActFailure::Transient(_)
        | ActFailure::Stopped(_)
        | ActFailure::Superseded(_)
        | ActFailure::Refused(_) => true,
        ActFailure::Permanent(_) | ActFailure::Maintained { .. } => false,
    };
    before && matches!(plan.means.by, Some(Actuator::Command(_)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Means, Route};

    fn plan(by: Option<Actuator>) -> RollbackPlan {
        let key = ServiceKey { target: "t".into(), cluster: "c".into(), service: "api".into() };
        RollbackPlan {
            service: key,
            judged: "ecs-svc/2".into(),
            judged_revision: Revision::named("api:2"),
            target: Revision::named("api:1"),
            target_because: "known-good".into(),
            decided_at: Timestamp::UNIX_EPOCH,
            pin_digests: false,
            means: Means { by, ..Means::default() },
        }
    }

    #[test]
    fn only_a_command_that_was_never_begun_gives_its_permit_back() {
        let command = plan(Some(Actuator::Command("script".into())));
        let throttled = || Err(ActFailure::Transient("throttled".into()));
        assert!(never_ran(&command, &throttled()));
        let failure = Box::new(ActFailure::Stopped("paused".into()));
        let maintained = Err(ActFailure::Maintained { failure, why: "no answer".into() });
        assert!(never_ran(&command, &maintained));
        assert!(!never_ran(&command, &Err(ActFailure::Permanent("exit code 3".into()))));
        assert!(!never_ran(&command, &Ok(Acted::by(Route::Command))));
        // What a call that was not answered came to is not known.
        assert!(!never_ran(&plan(None), &throttled()));
        assert!(!never_ran(&plan(Some(Actuator::Webhook("w".into()))), &throttled()));
    }
}
