//! Ticks: measuring, judging, and what a verdict leads to.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};

use super::{RunStep, Said, Sampled, Stage, Tick, Watch};
use crate::judge::{Before, Blame, CheckState, Rival, Sample, is_gap, rank};
use crate::model::{Reading, Severity, Unusable, Verdict};
use crate::policy::{BeforeRule, Check};

/// How much later than what it sees a look at the platform may come.
const LATE_LOOK: SignedDuration = SignedDuration::from_mins(1);

impl Watch {
    /// Time from one sample to the next, now.
    pub(super) fn interval(&self) -> SignedDuration {
        let phases = &self.policy().phases;
        // A rollback is followed as closely as a fresh deployment.
        let index = if matches!(self.stage, Stage::RollingBack(_)) { 0 } else { self.phase };
        phases.get(index).or(phases.last()).map_or(SignedDuration::from_secs(15), |p| p.interval)
    }

    pub(super) fn schedule_first_tick(&mut self, now: Timestamp) {
        self.next_tick = Some(grid_after(now, self.interval()));
    }

    pub(super) fn sampled(&mut self, sampled: &Sampled, now: Timestamp, said: &mut Said) {
        // A press or a look may have changed it since the sample was asked for.
        let interval = sampled.interval.unwrap_or_else(|| self.interval());
        for tick in sampled.earlier.iter().chain([&sampled.latest]) {
            self.observe(tick, interval);
        }
        self.note_source(sampled, now);
        self.note_born(&sampled.born, now);
        self.tell_of_alarms(&sampled.alarms_before, now, said);
        self.tell_of_theirs(&sampled.latest, now, said);
        said.goes_on_about_the_incident();
        self.rivals.clone_from(&sampled.rivals);
        self.note_stops(&sampled.stops);
        let next = grid_after(self.settled(now).max(sampled.latest.at), self.interval());
        self.next_tick = Some(next);
        match &self.stage {
            Stage::Watching => {
                self.tell_of_missing_data(now, said);
                said.goes_on_about_the_incident();
                self.weigh(now, said);
                self.advance(now, said);
                self.give_up_roll_out(now, said);
            }
            Stage::RollingBack(_) => {
                self.recover(now, said);
                self.rollback_overdue(now, said);
            }
            // Nothing is measured yet but tasks, which may die before one is in service.
            Stage::Starting => self.weigh(now, said),
            Stage::Announced { .. } | Stage::Ended { .. } => {}
        }
        self.joining = None;
    }

    /// Judges one tick.
    fn observe(&mut self, sampled: &Tick, interval: SignedDuration) {
        let tick = sampled.at;
        if self.last_tick.is_some_and(|last| tick <= last) {
            return;
        }
        if let Some(last) = self.last_tick
            && is_gap(last, tick, interval)
        {
            self.missed(tick.duration_since(last), interval);
        }
        let since_last = self.last_tick.map_or(interval, |last| tick.duration_since(last));
        self.last_tick = Some(tick);
        let (alpha, none) = (self.alpha(), BTreeMap::new());
        let newcomers = self.newcomers();
        let watching = matches!(self.stage, Stage::Watching);
        let shortage = self.tasks.shortage(tick).filter(|_| watching);
        for check in &self.pinned.policy.checks {
            let Some(at) = check.measured_at(tick, since_last, interval) else { continue };
            // What CloudWatch keeps has a rhythm of its own.
            let pace = check.pace(interval);
            let stretch = if check.follows_periods() {
                let answered = self.checks.get(&check.name).and_then(|state| state.answered_at);
                check.stretch(at, interval, answered, self.clear_from())
            } else {
                since_last.min(interval)
            };
            let counts = self.is_evidence(check, at, stretch);
            let (Some(state), Some(reading)) =
                (self.checks.get_mut(&check.name), reading_of(check, sampled))
            else {
                continue;
            };
            let mut words: BTreeSet<String> =
                sampled.beside.get(&check.name).cloned().unwrap_or_default();
            let sifted = check.before().map(|rule| {
                let is_before = self.in_service_at.is_none_or(|since| tick <= since);
                let before = self.before.entry(check.name.clone()).or_insert_with(|| {
                    let just_before = &self.deployment.inherited.just_before;
                    just_before.get(&check.name).map(Before::after).unwrap_or_default()
                });
                before.keep(reading, tick);
                let (kept, left) = before.sift(reading, is_before, rule);
                words.extend((!left.is_empty()).then(|| not_counted(&left)));
                kept
            });
            let reading = sifted.as_ref().unwrap_or(reading);
            let since = if check.follows_periods() { stretch } else { since_last };
            let sample = Sample {
                at,
                interval: since.clamp(SignedDuration::from_millis(1), (pace * 3).max(stretch)),
                reading,
                controls: sampled.controls.get(&check.name).unwrap_or(&none),
                counts,
                alpha,
                newcomers,
                shortage,
            };
            state.observe(check, &sample);
            state.say_beside(&words);
        }
    }

    /// The stretch that a sample of `check` at `tick` looks back over: never past
    /// the grace, which is no evidence.
    pub fn window(
        &self,
        check: &Check,
        tick: Timestamp,
        interval: SignedDuration,
    ) -> SignedDuration {
        let whole = check.window(interval);
        match self.graced_for(tick) {
            Some(clear) if clear >= whole / 2 => clear.min(whole),
            Some(_) | None => whole,
        }
    }

    /// Whether a sample at `tick` is evidence: what it measures lies past the grace
    /// after the first new task; of a query's own window half is enough, and the rest of
    /// it was not looked at.
    fn is_evidence(&self, check: &Check, tick: Timestamp, stretch: SignedDuration) -> bool {
        // The platform's own word on a task needs no time to settle.
        if check.is_of_tasks() {
            return true;
        }
        let halves = check.overlaps() || !check.counts_events();
        let needed = match (check.looks_back(), halves && !check.follows_periods()) {
            (false, _) => SignedDuration::ZERO,
            (true, true) => check.window(stretch) / 2,
            (true, false) => stretch,
        };
        self.graced_for(tick).is_some_and(|clear| clear >= needed)
    }

    /// How long the grace has been over at `tick`.
    fn graced_for(&self, tick: Timestamp) -> Option<SignedDuration> {
        Some(tick.duration_since(self.clear_from()?))
    }

    /// When the grace ends, once it has begun.
    pub fn clear_from(&self) -> Option<Timestamp> {
        self.in_service_at?.checked_add(self.policy().grace).ok()
    }

    /// Nobody looked for `gap`: it is no part of what lasts, and not covered.
    fn missed(&mut self, gap: SignedDuration, interval: SignedDuration) {
        self.checks.values_mut().for_each(CheckState::interrupted);
        let missed = gap.as_secs() / interval.as_secs().max(1) - 1;
        let missed = u32::try_from(missed).unwrap_or(0);
        for check in &self.pinned.policy.checks {
            let slower = check.pace(interval).as_millis() / interval.as_millis().max(1);
            let missed = missed / u32::try_from(slower).unwrap_or(u32::MAX).max(1);
            if let Some(state) = self.checks.get_mut(&check.name) {
                state.missed(missed);
            }
        }
    }

    /// What was seen last of the endpoints, for the deployment that is in service at `at`.
    /// A probe's last run is known to who runs it.
    pub(super) fn just_before(&self, at: Timestamp) -> BTreeMap<String, BTreeMap<String, bool>> {
        let within = self.interval() * 2 + LATE_LOOK;
        let seen = self.before.iter().filter_map(|(name, before)| {
            let check = self.policy().check(name)?;
            let endpoint = check.before() == Some(BeforeRule::Watched) && !check.is_of_probe();
            let lately = endpoint.then(|| before.lately(at, within))??;
            Some((name.clone(), lately))
        });
        seen.collect()
    }

    /// When the target of a rollback came into place, once it has.
    pub(super) fn target_in_place_at(&self) -> Option<Timestamp> {
        let Stage::RollingBack(run) = &self.stage else { return None };
        match run.step {
            RunStep::Recovering { since, .. } => Some(since),
            RunStep::Acting { .. } | RunStep::Settling { .. } => None,
        }
    }

    /// Whether a breach that is this deployment's doing is measured now.
    pub(super) fn is_blamed_now(&self, now: Timestamp) -> bool {
        self.breaches_now(now) && self.breaches().is_some_and(|found| found.blame.is_ours())
    }

    /// Whether a breach is measured now, and not only remembered.
    pub(super) fn breaches_now(&self, now: Timestamp) -> bool {
        self.breaches().is_some()
            && self.last_tick.is_some_and(|tick| !is_gap(tick, self.settled(now), self.interval()))
    }

    /// The chance of a false breach that one check may spend: the policy's bound,
    /// shared by the checks that have a sequential test.
    fn alpha(&self) -> f64 {
        let tested = self.policy().checks.iter().filter(|check| check.is_tested()).count().max(1);
        #[expect(clippy::cast_precision_loss, reason = "a handful of checks")]
        let tested = tested as f64;
        self.policy().false_rollbacks / tested
    }

    /// The breaches of now: those that are this deployment's doing, or else those that
    /// are not.
    pub(super) fn breaches(&self) -> Option<Breaches> {
        let mut all: Vec<(Severity, &str, Blame)> = Vec::new();
        for (name, state) in &self.checks {
            let Some(last) = state.last.as_ref().filter(|j| j.verdict == Verdict::Breach) else {
                continue;
            };
            let blame = last.blame.clone().unwrap_or(Blame::Deployment);
            let blame = if blame.is_ours() {
                let since = last.weight.and_then(|weight| weight.since);
                self.another(since.or_else(|| state.silent_from()))
            } else {
                blame
            };
            all.push((last.severity.unwrap_or(Severity::Sev3), name, blame));
        }
        let ours = all.iter().any(|(_, _, blame)| blame.is_ours());
        all.retain(|(_, _, blame)| blame.is_ours() == ours);
        let worst = all.iter().min_by_key(|(severity, _, _)| *severity)?;
        Some(Breaches {
            severity: worst.0,
            blame: worst.2.clone(),
            checks: all.iter().map(|(_, name, _)| (*name).to_owned()).collect(),
        })
    }

    /// Another deployment of the same time that fits better, if one does.
    fn another(&self, since: Option<Timestamp>) -> Blame {
        let (Some(since), Some(ours)) = (since, self.standing()) else {
            return Blame::Deployment;
        };
        match rank(&ours, &self.rivals, since) {
            Some(rival) => Blame::Another { service: rival.service, deployment: rival.deployment },
            None => Blame::Deployment,
        }
    }

    /// This deployment as others must know it: nobody's doing is no rival.
    pub fn rival(&self) -> Option<Rival> {
        let excused = self.incident.as_ref().is_some_and(|incident| incident.excused.is_some());
        self.standing().filter(|_| !excused)
    }

    /// This deployment beside its rivals, whether it was excused or not.
    fn standing(&self) -> Option<Rival> {
        let weights = self.checks.values().filter_map(|state| state.last.as_ref()?.weight);
        let worst = weights.max_by(|a, b| (a.ln_e - a.needed).total_cmp(&(b.ln_e - b.needed)));
        Some(Rival {
            service: self.deployment.service.name.clone(),
            deployment: self.version(),
            in_service_at: self.in_service_at?,
            ln_e: worst.map_or(0.0, |weight| weight.ln_e),
            rise: worst.map_or(1.0, |weight| weight.rise),
            since: worst.and_then(|weight| weight.since),
            needed: false,
        })
    }

    /// As of when the samples speak that come in `now`: another time than now only where
    /// the source is known to show them late.
    pub(super) fn measured_by(&self, now: Timestamp) -> Timestamp {
        if self.query_offset.is_some() { self.settled(now) } else { now }
    }

    /// What was in ALARM before is told once: it is not held against the deployment.
    fn tell_of_alarms(&mut self, before: &BTreeSet<String>, now: Timestamp, said: &mut Said) {
        let news: Vec<String> = before
            .iter()
            .filter(|name| self.told.insert(format!("in ALARM before: {name}")))
            .cloned()
            .collect();
        if !news.is_empty() {
            let reply = self.say_alarms_before(&news);
            self.reply(now, reply, said);
        }
    }

    /// Silence of a check is told once; it alerts and never rolls back.
    fn tell_of_missing_data(&mut self, now: Timestamp, said: &mut Said) {
        let (patience, measured) = (self.policy().no_data_notify_after, self.measured_by(now));
        let interval = self.interval();
        let mut newly = BTreeSet::new();
        let aside: BTreeSet<String> =
            self.checks.keys().filter(|name| self.is_left_aside(name)).cloned().collect();
        for (name, state) in self.checks.iter().filter(|(name, _)| !aside.contains(*name)) {
            let topic = super::lost::missing(name);
            let late = self
                .policy()
                .check(name)
                .map(|check| check.delay() + check.pace(interval) - interval);
            let patience = patience + late.unwrap_or_default();
            match state.unmeasured_since {
                Some(since) if measured.duration_since(since) >= patience => {
                    if self.told.insert(topic) {
                        newly.insert(name.clone());
                    }
                }
                Some(_) => {}
                None => {
                    self.told.remove(&topic);
                }
            }
        }
        if !newly.is_empty() {
            self.tell_of_silence(&newly, now, said);
        }
    }
}

/// What a tick says of `check`. A probe is run now and then: the ticks between say nothing.
fn reading_of<'a>(check: &Check, tick: &'a Tick) -> Option<&'a Reading> {
    let is_between = |reading: &&Reading| matches!(reading, Err(Unusable::NothingNew));
    let reading = tick.readings.get(&check.name)?;
    (!check.is_of_probe() || !is_between(&reading)).then_some(reading)
}

/// The parts of a status that were down before, in words.
fn not_counted(names: &[String]) -> String {
    format!("not counted before it has been up: {}", names.join(", "))
}

/// The checks in breach, the worst severity among them, and whose doing it is.
pub(super) struct Breaches {
    pub severity: Severity,
    pub blame: Blame,
    pub checks: Vec<String>,
}

/// The first multiple of `interval` since the epoch that lies after `now`: on a
/// shared grid the equal queries of several watches fall together.
pub(super) fn grid_after(now: Timestamp, interval: SignedDuration) -> Timestamp {
    let step = i64::try_from(interval.as_millis()).unwrap_or(i64::MAX).max(1);
    let ms = now.as_millisecond();
    let next = ms.div_euclid(step).saturating_add(1).saturating_mul(step);
    Timestamp::from_millisecond(next).unwrap_or(now)
}

/// The latest multiple of `interval` that is not after `now`.
pub(super) fn grid_at(now: Timestamp, interval: SignedDuration) -> Timestamp {
    let step = i64::try_from(interval.as_millis()).unwrap_or(i64::MAX).max(1);
    let ms = now.as_millisecond();
    Timestamp::from_millisecond(ms - ms.rem_euclid(step)).unwrap_or(now)
}
