//! What was measured, as the driver asks for it: many ticks at once.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};

use crate::model::{Births, Measured, Question, Reading, Ticks, Unusable};
use crate::policy::{Check, Measure, Vars};
use crate::watch::{BaselineAsk, Watch};

/// Where measurements come from.
pub trait Readings {
    /// Measures each of `asked`, in their order: a reading for each tick of each.
    ///
    /// The driver asks for the ticks of a whole stretch of a phase at once, for all
    /// checks together; a source may fetch them side by side. It asks again only where
    /// the question or the grid of ticks has changed.
    fn measure(&mut self, asked: &[Asked<'_>]) -> Vec<Measured>;
}

/// A question about a check, over a grid of ticks.
#[derive(Debug, Clone)]
pub struct Asked<'a> {
    pub check: &'a Check,
    /// The service that is measured beside the deployment's; `None`: its own.
    pub control: Option<&'a str>,
    pub question: Question,
    /// Each tick ends a stretch that begins, exclusive, a step before it.
    pub ticks: Ticks,
}

/// Ticks that are asked for at once.
const AHEAD: usize = 240;

/// Readings that were asked for and are not due yet, by check and control.
#[derive(Debug, Default)]
pub(super) struct Feed {
    batches: BTreeMap<(String, Option<String>), Batch>,
    /// Instances that were seen before the deployment and since.
    instances: BTreeSet<String>,
}

#[derive(Debug)]
struct Batch {
    question: Question,
    ticks: Ticks,
    readings: Vec<Reading>,
    instances: BTreeSet<String>,
}

/// The readings of one tick.
pub(super) type Sampled = (BTreeMap<String, Reading>, BTreeMap<String, BTreeMap<String, Reading>>);

impl Feed {
    /// The readings of all checks at `tick`, of the service and of its controls.
    pub fn sample(
        &mut self,
        watch: &Watch,
        readings: &mut dyn Readings,
        tick: Timestamp,
        interval: SignedDuration,
    ) -> Sampled {
        let policy = watch.policy();
        let services: Vec<Option<&str>> =
            std::iter::once(None).chain(watch.controls().map(Some)).collect();
        let mut missing = Vec::new();
        for check in &policy.checks {
            for control in &services {
                let asked = self.question(watch, check, *control, tick, interval);
                if self.known(&asked).is_none() && tells_apart(watch, &asked) {
                    missing.push(asked);
                }
            }
        }
        self.fetch(missing, watch.deployment.started_at, readings);
        let (mut own, mut others) = (BTreeMap::new(), BTreeMap::new());
        for check in &policy.checks {
            for control in &services {
                let asked = self.question(watch, check, *control, tick, interval);
                if !tells_apart(watch, &asked) {
                    continue;
                }
                let reading = self.known(&asked).unwrap_or_else(|| Err(unmeasured()));
                match control {
                    None => {
                        own.insert(check.name.clone(), reading);
                    }
                    Some(name) => {
                        let of: &mut BTreeMap<_, _> = others.entry(check.name.clone()).or_default();
                        of.insert((*name).to_owned(), reading);
                    }
                }
            }
        }
        (own, others)
    }

    /// The samples of each check in the stretches of `ask`, oldest first, and the
    /// values of the telling labels in them.
    pub fn baseline(
        &mut self,
        watch: &Watch,
        readings: &mut dyn Readings,
        ask: &BaselineAsk,
    ) -> (BTreeMap<String, Vec<(Timestamp, Reading)>>, BTreeMap<String, BTreeSet<String>>) {
        let policy = watch.policy();
        let interval = policy.phases.first().map_or(ask.step, |phase| phase.interval);
        let count = usize::try_from(ask.count).unwrap_or(1);
        let mut until = ask.until.clone();
        until.sort_unstable();
        let vars = vars(watch, ask.control.as_deref());
        let mut asked = Vec::new();
        for check in policy.checks.iter().filter(|check| !is_status(check)) {
            let window = if check.overlaps() { ask.step } else { check.window(interval) };
            for until in &until {
                let ticks = Ticks::ending_at(*until, ask.step, count);
                let question = policy.question(check, &vars, window, None, None);
                let control = ask.control.as_deref();
                let one = Asked { check, control, question, ticks };
                if tells_apart(watch, &one) {
                    asked.push(one);
                }
            }
        }
        let measured = readings.measure(&asked);
        let mut samples: BTreeMap<String, Vec<(Timestamp, Reading)>> = BTreeMap::new();
        let mut known: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for (asked, measured) in asked.iter().zip(measured) {
            let of = samples.entry(asked.check.name.clone()).or_default();
            of.extend(asked.ticks.times().zip(measured.readings));
            let seen = |label: &str| measured.seen.get(label).into_iter().flatten().cloned();
            for (label, values) in &measured.seen {
                known.entry(label.clone()).or_default().extend(values.iter().cloned());
            }
            if ask.control.is_none() {
                self.instances.extend(seen(&asked.question.instance));
            }
        }
        (samples, known)
    }

    /// What `check` asks at `tick`. Counters are differenced from the tick before to
    /// this one; a query looks back over its own window.
    fn question<'a>(
        &self,
        watch: &'a Watch,
        check: &'a Check,
        control: Option<&'a str>,
        tick: Timestamp,
        interval: SignedDuration,
    ) -> Asked<'a> {
        let window = watch.window(check, tick, interval);
        let since = watch.last_tick.map_or(interval, |last| tick.duration_since(last));
        let step = if check.overlaps() { window } else { since };
        let regular = step == interval && window == check.window(interval);
        let left = watch.phase_ends_at();
        let left = left.map_or(0, |end| end.duration_since(tick).as_millis().max(0));
        let ahead = usize::try_from(left / interval.as_millis().max(1)).unwrap_or(0).min(AHEAD);
        let count = if regular { ahead + 1 } else { 1 };
        let arms = watch.arms().filter(|_| control.is_none());
        let vars = vars(watch, control);
        Asked {
            check,
            control,
            question: watch.policy().question(check, &vars, window, arms, None),
            ticks: Ticks { first: tick, step: step.max(SignedDuration::from_millis(1)), count },
        }
    }

    /// The reading of the first tick, where it is known already.
    fn known(&self, asked: &Asked<'_>) -> Option<Reading> {
        let batch = self.batches.get(&key(asked))?;
        let place = batch.ticks.stretch_of(asked.ticks.first.as_millisecond())?;
        let same = batch.question == asked.question
            && batch.ticks.step == asked.ticks.step
            && batch.ticks.at_ms(place) == asked.ticks.first.as_millisecond();
        same.then(|| batch.readings.get(place).cloned()).flatten()
    }

    fn fetch(&mut self, missing: Vec<Asked<'_>>, since: Timestamp, readings: &mut dyn Readings) {
        let Some(now) = missing.iter().map(|asked| asked.ticks.first).min() else { return };
        // What a batch saw ahead of its time is not known before that.
        for batch in self.batches.values_mut().filter(|batch| batch.is_over(now)) {
            self.instances.append(&mut batch.instances);
        }
        let known = &self.instances;
        let births = (!known.is_empty()).then(|| Births { since, known: known.clone() });
        let plain: Vec<Question> = missing.iter().map(|asked| asked.question.clone()).collect();
        let asked: Vec<Asked<'_>> = missing
            .into_iter()
            .map(|mut asked| {
                asked.question.births = births.clone().filter(|_| asked.control.is_none());
                asked
            })
            .collect();
        let measured = readings.measure(&asked);
        for ((asked, question), measured) in asked.iter().zip(plain).zip(measured) {
            let seen = measured.seen.get(&question.instance).cloned().unwrap_or_default();
            let instances = if asked.control.is_none() { seen } else { BTreeSet::new() };
            let batch =
                Batch { question, ticks: asked.ticks, readings: measured.readings, instances };
            self.batches.insert(key(asked), batch);
        }
    }
}

impl Batch {
    fn is_over(&self, now: Timestamp) -> bool {
        self.ticks.at_ms(self.ticks.count.saturating_sub(1)) < now.as_millisecond()
    }
}

fn key(asked: &Asked<'_>) -> (String, Option<String>) {
    (asked.check.name.clone(), asked.control.map(str::to_owned))
}

fn unmeasured() -> Unusable {
    Unusable::Unreachable("the source gave no reading for the tick".to_owned())
}

fn is_status(check: &Check) -> bool {
    match &check.measure {
        Measure::Status { .. } => true,
        Measure::Ratio { .. } | Measure::Latency { .. } | Measure::Gauge { .. } => false,
    }
}

/// Whether the answer shows a control, and not the deployment itself once more: a
/// query without the service's name is the same for both.
fn tells_apart(watch: &Watch, asked: &Asked<'_>) -> bool {
    let Some(name) = asked.control else { return true };
    let own = Vars::of(&watch.deployment);
    let asks = |vars: &Vars| {
        let stretch = asked.ticks.step;
        watch.policy().question(asked.check, vars, stretch, None, None).asks
    };
    asks(&own) != asks(&own.of_service(name))
}

/// The variables of the deployment's queries, or of the same ones asked of a control.
fn vars(watch: &Watch, control: Option<&str>) -> Vars {
    let own = Vars::of(&watch.deployment);
    match control {
        None => own,
        Some(name) => own.of_service(name),
    }
}
