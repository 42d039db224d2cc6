//! What the watches want measured: from wants to questions, and from what was measured
//! to events.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};

use super::handle::{Input, WantKind};
use super::perform::AGAIN;
use super::run::Engine;
use crate::judge::{Baseline, Rival};
use crate::model::{Measured, Question, Reading, ServiceKey, Ticks, Unusable, WatchId};
use crate::policy::{Check, Vars};
use crate::sources::{Due, measure};
use crate::watch::{
    BaselineAsk, BaselineMeasured, Event, Sampled, Tick, Watch, is_unsettled, rivals,
};

/// All that one want has measured.
pub(super) struct Job {
    watch: WatchId,
    want: WantKind,
    goal: Goal,
}

enum Goal {
    Sample {
        ticks: Ticks,
        known: BTreeSet<String>,
        instance: String,
        rivals: Vec<Rival>,
    },
    /// `shared`: the checks that ask the same of a control as of the service itself.
    Baseline {
        ask: BaselineAsk,
        checks: Vec<Check>,
        shared: Vec<String>,
    },
}

impl Goal {
    /// Whether there is anything to ask the source for.
    fn asks(&self) -> bool {
        match self {
            Self::Sample { .. } => true,
            Self::Baseline { checks, .. } => !checks.is_empty(),
        }
    }
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
            let own = ask(&vars, watch.arms(), Some(watch.births()));
            for control in watch.controls().filter(|name| !unsettled.contains(&beside(name))) {
                let question = ask(&vars.of_service(control), None, None);
                if question.asks != own.asks {
                    let of = Of::Control(control.to_owned());
                    self.due.push(due(job, check, of, question, ticks));
                }
            }
            self.due.push(due(job, check, Of::Service, own, ticks));
        }
        let known = watch.births().known;
        let instance = watch.instance_label().to_owned();
        let goal = Goal::Sample { ticks, known, instance, rivals };
        self.jobs.push(Job { watch: watch.id.clone(), want: WantKind::Sample, goal });
    }

    pub(super) fn baseline(&mut self, watch: &Watch, ask: BaselineAsk) {
        let job = self.jobs.len();
        let policy = watch.policy();
        let own = Vars::of(&watch.deployment);
        let vars = ask.control.as_deref().map_or_else(|| own.clone(), |name| own.of_service(name));
        let (mut checks, mut shared) = (Vec::new(), Vec::new());
        for check in &policy.checks {
            let question = policy.question(check, &vars, ask.step, None, None);
            let same = ask.control.is_some()
                && question.asks == policy.question(check, &own, ask.step, None, None).asks;
            if same {
                shared.push(check.name.clone());
                continue;
            }
            for (index, until) in ask.until.iter().enumerate() {
                let ticks = Ticks::ending_at(*until, ask.step, ask.count as usize);
                self.due.push(due(job, check, Of::Stretch(index), question.clone(), ticks));
            }
            checks.push(check.clone());
        }
        let goal = Goal::Baseline { ask, checks, shared };
        self.jobs.push(Job { watch: watch.id.clone(), want: WantKind::Baseline, goal });
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
        let (prometheus, inputs) = (self.parts.prometheus.clone(), self.handle.inputs.clone());
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
            for (Job { watch, want, goal }, measured) in jobs.into_iter().zip(by_job) {
                let event = if measured.is_empty() && goal.asks() {
                    Err(AGAIN)
                } else {
                    Ok(Box::new(came_to(goal, measured)))
                };
                let _ = inputs.send(Input::Done { watch, want, event }).await;
            }
        });
    }
}

fn came_to(goal: Goal, measured: Vec<(Asked, Measured)>) -> Event {
    match goal {
        Goal::Sample { ticks, known, instance, rivals } => {
            sampled(ticks, &known, &instance, rivals, measured)
        }
        Goal::Baseline { ask, checks, shared } => baselines(ask, &checks, shared, measured),
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
            born.extend(seen.difference(known).cloned());
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

/// A baseline whose source was out of reach is left out: the past can be asked about
/// later as well.
fn baselines(
    ask: BaselineAsk,
    checks: &[Check],
    shared: Vec<String>,
    measured: Vec<(Asked, Measured)>,
) -> Event {
    let out_of_reach = |reading: &Reading| matches!(reading, Err(Unusable::Unreachable(_)));
    let mut samples: BTreeMap<String, Vec<(Timestamp, Reading)>> = BTreeMap::new();
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
    let step = ask.step.as_secs_f64();
    let baselines = checks
        .iter()
        .filter_map(|check| {
            let samples = samples.get(&check.name)?;
            if samples.iter().all(|(_, reading)| out_of_reach(reading)) {
                return None;
            }
            let baseline = match ask.control {
                None => Baseline::of(check, samples, step),
                Some(_) => Baseline::of_control(check, samples, step),
            };
            Some((check.name.clone(), baseline))
        })
        .chain(shared.into_iter().map(|check| (check, Baseline::unnamed())))
        .collect();
    let BaselineAsk { against, control, .. } = ask;
    Event::BaselineMeasured(Box::new(BaselineMeasured { against, control, baselines, known }))
}
