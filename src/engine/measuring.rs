//! What the watches want measured: from wants to questions, and from what was measured
//! to events.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};

use super::clock;
use super::handle::{Input, WantKind};
use super::live::Kept;
use super::perform::AGAIN;
use super::run::Engine;
use crate::judge::Rival;
use crate::model::{
    ALARM_BEFORE, BESIDE, Measured, Question, ServiceKey, TASK_STOP, Ticks, Unusable, WatchId,
};
use crate::policy::{Check, Policy, Stretches, Vars};
use crate::sources::{Due, Sources, measure};
use crate::watch::{
    BaselineAsk, BaselineMeasured, Event, Sampled, Samples, Tick, Watch, is_unsettled, rivals,
};

/// All that one want has measured.
pub(super) struct Job {
    watch: WatchId,
    want: WantKind,
    goal: Goal,
    /// Whether anything has to be asked for it.
    asks: bool,
}

/// Checks that nothing is asked for, and why.
type Unasked = BTreeMap<String, String>;

enum Goal {
    Sample {
        ticks: Ticks,
        interval: SignedDuration,
        known: BTreeSet<String>,
        instance: String,
        rivals: Vec<Rival>,
        unasked: Unasked,
    },
    Baseline {
        ask: BaselineAsk,
        policy: Box<Policy>,
        unasked: Unasked,
    },
}

/// Whose measurement it is: the place of the job, the check, and the control or the
/// stretch.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Asked {
    job: usize,
    check: String,
    of: Of,
    /// For each reading the place of the tick that takes it in.
    places: Vec<usize>,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Of {
    Service,
    Control(String),
    /// Of the past.
    Stretch(Ticks),
}

/// Jobs and what is due for them; one task measures all.
#[derive(Default)]
pub(super) struct Round {
    jobs: Vec<Job>,
    due: Vec<Due<Asked>>,
}

impl Round {
    /// Adds the sample at `tick`, and the ticks that were missed since the last one.
    pub(super) fn sample(
        &mut self,
        watch: &Watch,
        tick: Timestamp,
        interval: SignedDuration,
        unsettled: &BTreeSet<ServiceKey>,
        rivals: Vec<Rival>,
    ) {
        let ticks = watch.ticks(tick, interval);
        let job = self.jobs.len();
        let policy = watch.policy();
        let vars = watch.vars().clear_from(watch.clear_from());
        let own_key = &watch.deployment.service.key;
        let beside = |name: &str| ServiceKey { service: name.to_owned(), ..own_key.clone() };
        let unasked = unasked(watch);
        let asked = |check: &&Check| watch.measures(check) && !unasked.contains_key(&check.name);
        for check in policy.checks.iter().filter(asked) {
            let window = watch.window(check, tick, interval);
            let Some(Stretches { ticks, places }) = watch.stretches(check, ticks, interval) else {
                continue;
            };
            let due = |of, question| due(job, check, of, question, ticks, places.clone());
            let ask =
                |vars: &Vars, arms, births| policy.question(check, vars, window, arms, births);
            let own = ask(&vars, watch.arms(), watch.births());
            // A probe acts on its service, and on no other for its sake.
            let controls = watch.controls().filter(|_| !check.is_of_probe());
            for control in controls.filter(|name| !unsettled.contains(&beside(name))) {
                let question = ask(&vars.of_service(control), None, None);
                if question.asks != own.asks {
                    let of = Of::Control(control.to_owned());
                    self.due.push(due(of, question));
                }
            }
            self.due.push(due(Of::Service, own));
        }
        let asks = self.due.last().is_some_and(|due| due.key.job == job);
        let known = watch.births().map(|births| births.known).unwrap_or_default();
        let instance = watch.instance_label().to_owned();
        let goal = Goal::Sample { ticks, interval, known, instance, rivals, unasked };
        self.jobs.push(Job { watch: watch.id.clone(), want: WantKind::Sample, goal, asks });
    }

    pub(super) fn baseline(&mut self, watch: &Watch, ask: BaselineAsk, now: Timestamp) {
        let job = self.jobs.len();
        let policy = watch.policy();
        let own = Vars::of(&watch.deployment);
        let control = ask.purpose.control();
        let vars = control.map_or_else(|| own.clone(), |name| own.of_service(name));
        let unasked = unasked(watch);
        let asked = |check: &&Check| ask.is_about(check) && !unasked.contains_key(&check.name);
        for check in policy.checks.iter().filter(asked) {
            let window = check.past_window(ask.step);
            let question = policy.question(check, &vars, window, None, None);
            // One that asks the same of a control as of the service itself has nothing to say.
            if control.is_some()
                && question.asks == policy.question(check, &own, window, None, None).asks
            {
                continue;
            }
            for until in &ask.until {
                let ticks = check.past(*until, ask.step, ask.count as usize, now);
                let (of, question) = (Of::Stretch(ticks), question.clone());
                self.due.push(due(job, check, of, question, ticks, Vec::new()));
            }
        }
        let goal = Goal::Baseline { ask, policy: Box::new(policy.clone()), unasked };
        let asks = self.due.last().is_some_and(|due| due.key.job == job);
        self.jobs.push(Job { watch: watch.id.clone(), want: WantKind::Baseline, goal, asks });
    }
}

/// The checks of a watch that lack a label.
fn unasked(watch: &Watch) -> Unasked {
    let checks = watch.policy().checks.iter();
    checks.filter_map(|check| Some((check.name.clone(), watch.unasked(check)?))).collect()
}

fn due(
    job: usize,
    check: &Check,
    of: Of,
    question: Question,
    ticks: Ticks,
    places: Vec<usize>,
) -> Due<Asked> {
    Due { key: Asked { job, check: check.name.clone(), of, places }, question, ticks }
}

impl Engine {
    /// Services that are being deployed: no control for anybody.
    pub(super) fn unsettled(&self, now: Timestamp) -> BTreeSet<ServiceKey> {
        let open = self.live.watches.values().map(|kept| &kept.watch);
        open.filter(|watch| is_unsettled(watch.in_service_at, now))
            .map(|watch| watch.deployment.service.key.clone())
            .collect()
    }

    /// The other deployments of the environment, as `watch` must know them.
    pub(super) fn rivals(&self, watch: &Watch) -> Vec<Rival> {
        let open = self.live.watches.values().map(|kept| &kept.watch);
        rivals(watch, open.filter_map(|other| Some((&other.deployment.service, other.rival()?))))
    }

    /// Counts how late what was sampled is judged.
    pub(super) fn note_lag(&self, kept: &[Kept], batch: &[Input], now: Timestamp) {
        for input in batch {
            let Input::Done { watch, event: Ok(event), .. } = input else { continue };
            let Event::Sampled(sampled) = &**event else { continue };
            // What was not taken in is not judged.
            let is_taken = kept.iter().any(|one| one.watch.id == *watch);
            let Some(before) = self.live.watches.get(watch).filter(|_| is_taken) else { continue };
            self.parts.metrics.judged(lag(&before.watch, sampled, now));
        }
    }

    /// One task for all that is due of a target at this moment: equal asks are asked once.
    pub(super) fn spawn_measure(&self, target: &str, round: Round) {
        if round.jobs.is_empty() {
            return;
        }
        let sources = self.parts.sources.get(target).cloned();
        let sources = sources.unwrap_or_else(|| Sources::of_no_target(target));
        let (asked_of, target) = (sources.clone(), target.to_owned());
        let handle = self.handle.clone();
        let (metrics, status) = (self.parts.metrics.clone(), self.parts.status.clone());
        let tenure = self.parts.tenure.clone();
        self.tasks.spawn(async move {
            let started = tokio::time::Instant::now();
            let Round { jobs, due } = round;
            // A panic must not leave the wants under way for ever.
            let work = tokio::spawn(async move { measure(&sources, due).await }).await;
            let measured = work.unwrap_or_else(|panic| {
                tracing::error!(%panic, "measuring broke off; trying again");
                Vec::new()
            });
            metrics.measured(started.elapsed(), &measured);
            metrics.asked(&asked_of.take_asked());
            if let Some(cloudwatch) = &asked_of.cloudwatch {
                let spent = cloudwatch.take_spent();
                metrics.asked_cloudwatch(&target, spent.metrics, spent.calls);
                if spent.calls > 0 {
                    let (what, failed) = (format!("CloudWatch of {target}"), cloudwatch.trouble());
                    let now = clock::now();
                    status.set_in(&tenure, |health| health.looked(&what, failed, now));
                }
            }
            let mut by_job: Vec<Vec<(Asked, Measured)>> = jobs.iter().map(|_| Vec::new()).collect();
            for (asked, one) in measured {
                by_job[asked.job].push((asked, one));
            }
            for (Job { watch, want, goal, asks }, measured) in jobs.into_iter().zip(by_job) {
                let event = if measured.is_empty() && asks {
                    Err(AGAIN)
                } else {
                    Ok(Box::new(came_to(goal, measured)))
                };
                handle.send(Input::Done { watch, want, event }).await;
            }
        });
    }
}

/// How long before `now` a sample was due: its oldest tick that the watch, as it was `before`,
/// waited for. Ticks before that are measured where it is looked more often from now on, and
/// nobody waited for them.
fn lag(before: &Watch, sampled: &Sampled, now: Timestamp) -> SignedDuration {
    let (latest, interval) = (sampled.latest.at, sampled.interval.unwrap_or_default());
    let first = before.next_tick.map_or(latest, |next| next.min(latest));
    now.duration_since(before.due_at(first, interval))
}

fn came_to(goal: Goal, measured: Vec<(Asked, Measured)>) -> Event {
    match goal {
        Goal::Sample { ticks, interval, known, instance, rivals, unasked } => {
            sampled((ticks, interval), &known, &instance, rivals, &unasked, measured)
        }
        Goal::Baseline { ask, policy, unasked } => baselines(ask, &policy, &unasked, measured),
    }
}

fn sampled(
    (ticks, interval): (Ticks, SignedDuration),
    known: &BTreeSet<String>,
    instance: &str,
    rivals: Vec<Rival>,
    unasked: &Unasked,
    measured: Vec<(Asked, Measured)>,
) -> Event {
    let mut made: Vec<Tick> = ticks.times().map(Tick::at).collect();
    let (mut born, mut before, mut stops) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    for (asked, one) in measured {
        if let (Of::Service, Some(seen)) = (&asked.of, one.seen.get(instance)) {
            // Of too many all are passed on: that there are so many must be known.
            let unknown =
                |one: &&String| seen.len() > Measured::MOST_VALUES || !known.contains(*one);
            born.extend(seen.iter().filter(unknown).cloned());
        }
        if let (Of::Service, Some(found)) = (&asked.of, one.seen.get(TASK_STOP)) {
            stops.extend(found.iter().filter_map(|stop| serde_json::from_str(stop).ok()));
        }
        if let (Of::Service, Some(alarms)) = (&asked.of, one.seen.get(ALARM_BEFORE)) {
            before.extend(alarms.iter().cloned());
        }
        if let (Of::Service, Some(words)) = (&asked.of, one.seen.get(BESIDE))
            && let Some(tick) = asked.places.last().and_then(|place| made.get_mut(*place))
        {
            tick.beside.insert(asked.check.clone(), words.clone());
        }
        for (place, reading) in asked.places.iter().zip(one.readings) {
            let Some(tick) = made.get_mut(*place) else { continue };
            match &asked.of {
                Of::Service => {
                    tick.readings.insert(asked.check.clone(), reading);
                }
                Of::Control(control) => {
                    let controls = tick.controls.entry(asked.check.clone()).or_default();
                    controls.insert(control.clone(), reading);
                }
                Of::Stretch(_) => {}
            }
        }
    }
    for (check, why) in unasked {
        for tick in &mut made {
            tick.readings.insert(check.clone(), Err(Unusable::Refused(why.clone())));
        }
    }
    let latest = made.pop().unwrap_or_else(|| Tick::at(ticks.first));
    Event::Sampled(Box::new(Sampled {
        earlier: made,
        born,
        rivals,
        alarms_before: before,
        interval: Some(interval),
        stops,
        ..Sampled::of(latest)
    }))
}

fn baselines(
    ask: BaselineAsk,
    policy: &Policy,
    unasked: &Unasked,
    measured: Vec<(Asked, Measured)>,
) -> Event {
    let mut samples = Samples::new();
    // That it can't be had is known at once: it is not asked for again and again.
    for ((check, why), until) in unasked.iter().filter_map(|one| Some((one, *ask.until.first()?))) {
        samples.insert(check.clone(), vec![(until, Err(Unusable::Refused(why.clone())))]);
    }
    let mut known: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (asked, one) in measured {
        let Of::Stretch(ticks) = asked.of else { continue };
        samples.entry(asked.check).or_default().extend(ticks.times().zip(one.readings));
        for (label, values) in one.seen {
            known.entry(label).or_default().extend(values);
        }
    }
    for list in samples.values_mut() {
        list.sort_by_key(|(at, _)| *at);
    }
    Event::BaselineMeasured(Box::new(BaselineMeasured::of(policy, ask, &samples, known)))
}

#[cfg(test)]
#[path = "measuring_tests.rs"]
mod tests;
