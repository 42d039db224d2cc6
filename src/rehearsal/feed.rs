//! What was measured, as the driver asks for it: many ticks at once.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};

use crate::judge::Rival;
use crate::model::{ArmRule, Measured, Question, Reading, Service, Ticks, Unusable};
use crate::policy::{Check, Stretches, Vars};
use crate::watch::{BaselineAsk, Samples, Tick, Watch};

/// Where measurements come from.
pub trait Readings {
    /// Measures each of `asked`, in their order: a reading for each tick of each.
    ///
    /// The driver asks for the ticks of a whole stretch of a phase at once, for all
    /// checks together; a source may fetch them side by side. It asks again only where
    /// the question or the grid of ticks has changed.
    fn measure(&mut self, asked: &[Asked<'_>]) -> Vec<Measured>;

    /// Other deployments as they stood just before `now`, with their services. Asked for
    /// at each sample; nobody else deploys where a source does not say.
    fn others(&mut self, _now: Timestamp) -> Vec<(Service, Rival)> {
        Vec::new()
    }
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
/// The same while the new revision's instances are waited for.
const NEAR: usize = 7;
const NEWCOMERS_WITHIN: SignedDuration = SignedDuration::from_mins(30);

/// Readings that were asked for and are not due yet, by check and control.
#[derive(Debug, Default)]
pub(super) struct Feed {
    batches: BTreeMap<(String, Option<String>), Batch>,
    worded: Worded,
    /// Instances that were seen in batches that are over, for the watch to know.
    born: BTreeSet<String>,
}

#[derive(Debug)]
struct Batch {
    question: Question,
    ticks: Ticks,
    readings: Vec<Reading>,
    instances: BTreeSet<String>,
}

impl Feed {
    /// The readings of all checks at the watch's ticks up to `tick`, oldest first, of the
    /// service and of its controls that are not `unsettled`; and the instances that were
    /// new.
    pub fn sample(
        &mut self,
        watch: &Watch,
        readings: &mut dyn Readings,
        (tick, interval): (Timestamp, SignedDuration),
        unsettled: &BTreeSet<&str>,
    ) -> (Vec<Tick>, BTreeSet<String>) {
        let ticks = watch.ticks(tick, interval);
        let asked = questions(watch, ticks, (tick, interval), unsettled, &mut self.worded);
        let is_missing =
            |(asked, places): &&(Asked<'_>, Vec<usize>)| self.known(asked, places.len()).is_none();
        let missing = asked.iter().filter(is_missing).map(|(asked, _)| asked.clone()).collect();
        self.fetch(missing, watch, ticks.first, readings);
        let mut made: Vec<Tick> = ticks.times().map(Tick::at).collect();
        for (asked, places) in &asked {
            let known = self.known(asked, 0);
            for (index, place) in places.iter().enumerate() {
                let Some(tick) = made.get_mut(*place) else { continue };
                let reading = known.and_then(|known| known.get(index).cloned());
                let reading = reading.unwrap_or_else(|| Err(unmeasured()));
                let check = asked.check.name.clone();
                match asked.control {
                    None => tick.readings.insert(check, reading),
                    Some(name) => {
                        tick.controls.entry(check).or_default().insert(name.to_owned(), reading)
                    }
                };
            }
        }
        (made, std::mem::take(&mut self.born))
    }

    /// The samples of each check in the stretches of `ask`, oldest first, and the
    /// values of the telling labels in them.
    pub fn baseline(
        watch: &Watch,
        readings: &mut dyn Readings,
        ask: &BaselineAsk,
        now: Timestamp,
    ) -> (Samples, BTreeMap<String, BTreeSet<String>>) {
        let policy = watch.policy();
        let count = usize::try_from(ask.count).unwrap_or(1);
        let mut until = ask.until.clone();
        until.sort_unstable();
        let (own, vars) = (vars(watch, None), vars(watch, ask.purpose.control()));
        let mut asked = Vec::new();
        for check in policy.checks.iter().filter(|check| ask.is_about(check)) {
            let window = check.past_window(ask.step);
            let question = policy.question(check, &vars, window, None, None);
            if ask.purpose.control().is_some()
                && question.asks == policy.question(check, &own, window, None, None).asks
            {
                continue;
            }
            for until in &until {
                asked.push(Asked {
                    check,
                    control: ask.purpose.control(),
                    question: question.clone(),
                    ticks: check.past(*until, ask.step, count, now),
                });
            }
        }
        let measured = readings.measure(&asked);
        let mut samples = Samples::new();
        let mut known: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for (asked, measured) in asked.iter().zip(measured) {
            let of = samples.entry(asked.check.name.clone()).or_default();
            of.extend(asked.ticks.times().zip(measured.readings));
            for (label, values) in &measured.seen {
                known.entry(label.clone()).or_default().extend(values.iter().cloned());
            }
        }
        (samples, known)
    }

    /// The readings from the first tick on, where those of so many ticks are known already.
    fn known(&self, asked: &Asked<'_>, ticks: usize) -> Option<&[Reading]> {
        let batch = self.batches.get(&key(asked))?;
        let first = asked.ticks.first.as_millisecond();
        let place = batch.ticks.stretch_of(first)?;
        let same = batch.question == asked.question
            && batch.ticks.step == asked.ticks.step
            && batch.ticks.at_ms(place) == first;
        batch.readings.get(place..).filter(|known| same && known.len() >= ticks)
    }

    fn fetch(
        &mut self,
        missing: Vec<Asked<'_>>,
        watch: &Watch,
        now: Timestamp,
        readings: &mut dyn Readings,
    ) {
        if missing.is_empty() {
            return;
        }
        // What a batch saw ahead of its time is not known before that.
        for batch in self.batches.values_mut().filter(|batch| batch.is_over(now)) {
            self.born.append(&mut batch.instances);
        }
        let mut births = watch.births();
        if let Some(births) = births.as_mut() {
            self.born.retain(|instance| !births.known.contains(instance));
            births.known.extend(self.born.iter().cloned());
        }
        let plain: Vec<Question> = missing.iter().map(|asked| asked.question.clone()).collect();
        let own = |asked: &Asked<'_>| births.clone().filter(|_| asked.control.is_none());
        let asked: Vec<Asked<'_>> = missing
            .into_iter()
            .map(|mut asked| {
                asked.question.births = own(&asked);
                asked
            })
            .collect();
        let measured = readings.measure(&asked);
        for ((asked, question), mut measured) in asked.iter().zip(plain).zip(measured) {
            let seen = measured.seen.remove(&question.instance).unwrap_or_default();
            let instances = if asked.control.is_none() { seen } else { BTreeSet::new() };
            let batch =
                Batch { question, ticks: asked.ticks, readings: measured.readings, instances };
            self.batches.insert(key(asked), batch);
        }
    }
}

/// What all checks ask at `ticks`, and as far ahead as the grid goes on. A control that
/// would be asked the same as the service itself is none.
fn questions<'a>(
    watch: &'a Watch,
    ticks: Ticks,
    (tick, interval): (Timestamp, SignedDuration),
    unsettled: &BTreeSet<&str>,
    worded: &mut Worded,
) -> Vec<(Asked<'a>, Vec<usize>)> {
    // Newcomers are known once a batch is over: until they are, batches are short.
    let waits = watch.arms().is_some()
        && watch.born.is_empty()
        && watch.in_service_at.is_some_and(|since| tick.duration_since(since) <= NEWCOMERS_WITHIN);
    let far = if waits { NEAR } else { AHEAD };
    let left = watch.phase_ends_at();
    let left = left.map_or(0, |end| end.duration_since(tick).as_millis().max(0));
    let ahead = usize::try_from(left / interval.as_millis().max(1)).unwrap_or(0).min(far);
    let mut all = Vec::new();
    for check in &watch.policy().checks {
        let window = watch.window(check, tick, interval);
        let Some(Stretches { ticks, places }) = watch.stretches(check, ticks, interval) else {
            continue;
        };
        let regular = ticks.step == check.pace(interval) && window == check.window(interval);
        let ticks = if regular { Ticks { count: ticks.count + ahead, ..ticks } } else { ticks };
        let mut ask = |control, arms| worded.question(watch, check, control, window, arms);
        let own = ask(None, watch.arms());
        for name in watch.controls().filter(|name| !unsettled.contains(name)) {
            let question = ask(Some(name), None);
            if question.asks != own.asks {
                all.push((Asked { check, control: Some(name), question, ticks }, places.clone()));
            }
        }
        all.push((Asked { check, control: None, question: own, ticks }, places));
    }
    all
}

/// Questions as they were last put into words, by check and control: a day of ticks asks
/// the same, and wording means parsing queries and their patterns.
#[derive(Debug, Default)]
struct Worded(BTreeMap<(String, Option<String>), Wording>);

#[derive(Debug)]
struct Wording {
    vars: Vars,
    window: SignedDuration,
    arms: Option<ArmRule>,
    question: Question,
}

impl Worded {
    fn question(
        &mut self,
        watch: &Watch,
        check: &Check,
        control: Option<&str>,
        window: SignedDuration,
        arms: Option<ArmRule>,
    ) -> Question {
        let key = (check.name.clone(), control.map(str::to_owned));
        let vars = vars(watch, control);
        let last = self.0.get(&key);
        let same =
            |last: &&Wording| last.vars == vars && last.window == window && last.arms == arms;
        if let Some(last) = last.filter(same) {
            return last.question.clone();
        }
        let question = watch.policy().question(check, &vars, window, arms.clone(), None);
        self.0.insert(key, Wording { vars, window, arms, question: question.clone() });
        question
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

/// The variables of the deployment's queries, or of the same ones asked of a control.
fn vars(watch: &Watch, control: Option<&str>) -> Vars {
    let own = Vars::of(&watch.deployment);
    match control {
        None => own,
        Some(name) => own.of_service(name),
    }
}
