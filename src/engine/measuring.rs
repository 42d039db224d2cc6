//! What the watches want measured: from wants to questions, and from what was measured
//! to events.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};

use super::handle::{Input, WantKind};
use super::perform::AGAIN;
use super::run::Engine;
use crate::judge::Rival;
use crate::model::{Measured, Question, ServiceKey, Ticks, WatchId};
use crate::policy::{Check, Policy, Vars};
use crate::sources::{Due, measure};
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

enum Goal {
    Sample { ticks: Ticks, known: BTreeSet<String>, instance: String, rivals: Vec<Rival> },
    Baseline { ask: BaselineAsk, policy: Box<Policy> },
}

/// Whose measurement it is: the place of the job, the check, and the control or the
/// stretch.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Asked {
    job: usize,
    check: String,
    of: Of,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Of {
    Service,
    Control(String),
    Stretch(usize),
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
        let (policy, vars) = (watch.policy(), Vars::of(&watch.deployment));
        let own_key = &watch.deployment.service.key;
        let beside = |name: &str| ServiceKey { service: name.to_owned(), ..own_key.clone() };
        for check in &policy.checks {
            let window = watch.window(check, tick, interval);
            let ask =
                |vars: &Vars, arms, births| policy.question(check, vars, window, arms, births);
            let own = ask(&vars, watch.arms(), watch.births());
            for control in watch.controls().filter(|name| !unsettled.contains(&beside(name))) {
                let question = ask(&vars.of_service(control), None, None);
                if question.asks != own.asks {
                    let of = Of::Control(control.to_owned());
                    self.due.push(due(job, check, of, question, ticks));
                }
            }
            self.due.push(due(job, check, Of::Service, own, ticks));
        }
        let known = watch.births().map(|births| births.known).unwrap_or_default();
        let instance = watch.instance_label().to_owned();
        let goal = Goal::Sample { ticks, known, instance, rivals };
        self.jobs.push(Job { watch: watch.id.clone(), want: WantKind::Sample, goal, asks: true });
    }

    pub(super) fn baseline(&mut self, watch: &Watch, ask: BaselineAsk) {
        let job = self.jobs.len();
        let policy = watch.policy();
        let own = Vars::of(&watch.deployment);
        let control = ask.purpose.control();
        let vars = control.map_or_else(|| own.clone(), |name| own.of_service(name));
        for check in policy.checks.iter().filter(|check| ask.is_about(check)) {
            let question = policy.question(check, &vars, ask.step, None, None);
            // One that asks the same of a control as of the service itself has nothing to say.
            if control.is_some()
                && question.asks == policy.question(check, &own, ask.step, None, None).asks
            {
                continue;
            }
            for (index, until) in ask.until.iter().enumerate() {
                let ticks = Ticks::ending_at(*until, ask.step, ask.count as usize);
                self.due.push(due(job, check, Of::Stretch(index), question.clone(), ticks));
            }
        }
        let goal = Goal::Baseline { ask, policy: Box::new(policy.clone()) };
        let asks = self.due.last().is_some_and(|due| due.key.job == job);
        self.jobs.push(Job { watch: watch.id.clone(), want: WantKind::Baseline, goal, asks });
    }
}

fn due(job: usize, check: &Check, of: Of, question: Question, ticks: Ticks) -> Due<Asked> {
    Due { key: Asked { job, check: check.name.clone(), of }, question, ticks }
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

    /// One task for all that is due at this moment: equal asks are asked once.
    pub(super) fn spawn_measure(&self, round: Round) {
        if round.jobs.is_empty() {
            return;
        }
        let (prometheus, handle) = (self.parts.prometheus.clone(), self.handle.clone());
        let metrics = self.parts.metrics.clone();
        self.tasks.spawn(async move {
            let started = tokio::time::Instant::now();
            let Round { jobs, due } = round;
            // A panic must not leave the wants under way for ever.
            let work = tokio::spawn(async move { measure(&prometheus, due).await }).await;
            let measured = work.unwrap_or_else(|panic| {
                tracing::error!(%panic, "measuring broke off; trying again");
                Vec::new()
            });
            metrics.measured(started.elapsed(), &measured);
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

fn came_to(goal: Goal, measured: Vec<(Asked, Measured)>) -> Event {
    match goal {
        Goal::Sample { ticks, known, instance, rivals } => {
            sampled(ticks, &known, &instance, rivals, measured)
        }
        Goal::Baseline { ask, policy } => baselines(ask, &policy, measured),
    }
}

fn sampled(
    ticks: Ticks,
    known: &BTreeSet<String>,
    instance: &str,
    rivals: Vec<Rival>,
    measured: Vec<(Asked, Measured)>,
) -> Event {
    let mut made: Vec<Tick> = ticks.times().map(Tick::at).collect();
    let mut born = BTreeSet::new();
    for (asked, one) in measured {
        if let (Of::Service, Some(seen)) = (&asked.of, one.seen.get(instance)) {
            // Of too many all are passed on: that there are so many must be known.
            let unknown =
                |one: &&String| seen.len() > Measured::MOST_VALUES || !known.contains(*one);
            born.extend(seen.iter().filter(unknown).cloned());
        }
        for (tick, reading) in made.iter_mut().zip(one.readings) {
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
    let latest = made.pop().unwrap_or_else(|| Tick::at(ticks.first));
    Event::Sampled(Box::new(Sampled { latest, earlier: made, born, rivals }))
}

fn baselines(ask: BaselineAsk, policy: &Policy, measured: Vec<(Asked, Measured)>) -> Event {
    let mut samples = Samples::new();
    let mut known: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (asked, one) in measured {
        let Of::Stretch(index) = asked.of else { continue };
        let Some(until) = ask.until.get(index) else { continue };
        let times = Ticks::ending_at(*until, ask.step, ask.count as usize).times();
        samples.entry(asked.check).or_default().extend(times.zip(one.readings));
        for (label, values) in one.seen {
            known.entry(label).or_default().extend(values);
        }
    }
    for list in samples.values_mut() {
        list.sort_by_key(|(at, _)| *at);
    }
    Event::BaselineMeasured(Box::new(BaselineMeasured::of(policy, ask, &samples, known)))
}
