//! What a watch compares with: stretches of the past, and controls of the present.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::{Stage, Watch};
use crate::judge::{Baseline, Before, CheckState, Control, Role, Transients};
use crate::model::{ArmRule, Births, Deployment, Measured, Newer, Reading, Span, Unusable};
use crate::policy::{Against, BeforeRule, Check, INSTANCE, Policy};

/// How long a baseline is asked for before a check does without.
const PATIENCE: SignedDuration = SignedDuration::from_mins(10);
/// The stretch just before, and the samples of it at most.
const BEFORE: SignedDuration = SignedDuration::from_hours(2);
const MOST_SAMPLES: u32 = 480;
/// The stretch of an earlier day: this much to both sides of the hour of now.
const AROUND: SignedDuration = SignedDuration::from_mins(30);
/// How far back transients are looked for, and how densely at most.
const DAY: SignedDuration = SignedDuration::from_hours(24);
const TRANSIENTS_STEP: SignedDuration = SignedDuration::from_mins(1);
/// How often it follows the clock.
pub(super) const FOLLOW: SignedDuration = SignedDuration::from_hours(1);
/// Days that "the same hour on earlier days" looks at.
pub(super) const EARLIER_DAYS: i64 = 3;
/// Values of a label that are kept. Of one that has more none are: what is cut off would
/// look new when it is seen again.
const MOST_KNOWN: usize = Measured::MOST_VALUES;

/// What a stretch of the past is measured for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Purpose {
    /// To compare the service with.
    Compare(Against),
    /// To compare a control with, which has this name.
    Control(String),
    /// To learn what passes by itself.
    Transients,
}

impl Purpose {
    /// The control that is asked about; `None`: the service itself.
    pub fn control(&self) -> Option<&str> {
        match self {
            Self::Control(name) => Some(name),
            Self::Compare(_) | Self::Transients => None,
        }
    }
}

/// A stretch that is wanted: `count` samples, each `step` after the other, up to
/// each of `until`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BaselineAsk {
    pub purpose: Purpose,
    pub until: Vec<Timestamp>,
    pub step: SignedDuration,
    pub count: u32,
    /// Of what touches these nothing is taken.
    pub spoiled: Vec<Span>,
}

impl BaselineAsk {
    /// Whether `check` has any use for it.
    pub fn is_about(&self, check: &Check) -> bool {
        match self.purpose {
            Purpose::Compare(_) | Purpose::Control(_) => check.has_past(),
            Purpose::Transients => check.is_tested() && !check.is_of_web() && !check.is_of_logs(),
        }
    }

    /// Whether a sample of `check` at that time covers any of what is left out.
    fn is_spoiled(&self, check: &Check, at: Timestamp) -> bool {
        let covers = if check.overlaps() { check.window(self.step) } else { check.pace(self.step) };
        let from = at.checked_sub(covers).unwrap_or(at);
        self.spoiled.iter().any(|span| !span.shares(from, at).is_zero())
    }
}

/// What was measured of a stretch.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BaselineMeasured {
    pub purpose: Purpose,
    /// By check; one that is left out could not be asked and is asked again.
    pub checks: BTreeMap<String, Stretch>,
    /// How much of it was left out, because an earlier deployment did harm then.
    #[serde(default)]
    pub left_out: SignedDuration,
    /// The values of the telling labels in that stretch, by label.
    #[serde(default)]
    pub known: BTreeMap<String, BTreeSet<String>>,
    /// What each status said at the end of the stretch before; `None`: it can't be had.
    #[serde(default)]
    pub looks: BTreeMap<String, Option<Reading>>,
}

/// What a stretch says about a check, according to its purpose.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stretch {
    Baseline(Box<Baseline>),
    Transients(Transients),
}

/// By check, the samples of the stretches that were asked for, oldest first.
pub type Samples = BTreeMap<String, Vec<(Timestamp, Reading)>>;

impl BaselineMeasured {
    /// What `samples` say about the checks of `policy`. A check of which nothing could be
    /// asked is left out: the past can be asked about later as well. A control's check
    /// without samples asks what the service itself is asked.
    pub fn of(
        policy: &Policy,
        ask: BaselineAsk,
        samples: &Samples,
        known: BTreeMap<String, BTreeSet<String>>,
    ) -> Self {
        let out_of_reach =
            |(_, one): &(Timestamp, Reading)| matches!(one, Err(Unusable::Unreachable(_)));
        let mut left_out = SignedDuration::ZERO;
        let mut stretch = |check: &Check| {
            let samples = match (samples.get(&check.name), &ask.purpose) {
                (Some(samples), _) => samples,
                (None, Purpose::Control(_)) => return Some(Baseline::unnamed().into()),
                (None, Purpose::Compare(_) | Purpose::Transients) => return None,
            };
            if samples.iter().all(out_of_reach) {
                return None;
            }
            let clean: Vec<(Timestamp, Reading)> =
                samples.iter().filter(|(at, _)| !ask.is_spoiled(check, *at)).cloned().collect();
            let cut = i32::try_from(samples.len() - clean.len()).unwrap_or(i32::MAX);
            let cut = check.pace(ask.step).saturating_mul(cut);
            left_out = left_out.max(cut);
            let samples = &clean;
            let step = check.pace(ask.step).as_secs_f64();
            Some(match &ask.purpose {
                Purpose::Compare(_) => Baseline::of(check, samples, step).without(cut).into(),
                Purpose::Control(_) => Baseline::of_control(check, samples, step).into(),
                Purpose::Transients => {
                    Stretch::Transients(Baseline::transients(check, samples, step))
                }
            })
        };
        let checks = policy
            .checks
            .iter()
            .filter_map(|check| Some((check.name.clone(), stretch(check)?)))
            .collect();
        let looks = match ask.purpose {
            Purpose::Compare(Against::Before) => looks(policy, samples),
            Purpose::Compare(_) | Purpose::Control(_) | Purpose::Transients => BTreeMap::new(),
        };
        Self { purpose: ask.purpose, checks, left_out, known, looks }
    }
}

/// The latest that could be had of each status whose past is asked for; one that is out of
/// reach is left out. An earlier deployment's harm is not cut out of it: what that left down
/// was down before.
fn looks(policy: &Policy, samples: &Samples) -> BTreeMap<String, Option<Reading>> {
    let asked = policy.checks.iter().filter(|check| check.before() == Some(BeforeRule::Asked));
    let look = |check: &Check| {
        let samples = samples.get(&check.name)?;
        let last = samples.iter().rev().find(|(_, one)| one.is_ok());
        let lost = samples.iter().all(|(_, one)| matches!(one, Err(Unusable::Unreachable(_))));
        (!lost).then(|| (check.name.clone(), last.map(|(_, one)| one.clone())))
    };
    asked.filter_map(look).collect()
}

impl From<Baseline> for Stretch {
    fn from(baseline: Baseline) -> Self {
        Self::Baseline(Box::new(baseline))
    }
}

/// The services that show what is not the deployment's doing, and why each does.
pub(super) fn controls(policy: &Policy, own: &str, others: &[String]) -> BTreeMap<String, Role> {
    let peers_asked = policy
        .checks
        .iter()
        .filter_map(|check| check.baseline.as_ref())
        .any(|rule| rule.against.contains(&Against::Peers));
    let peers: &[String] =
        if policy.peers.is_empty() && peers_asked { others } else { &policy.peers };
    let peers = peers.iter().map(|name| (name.clone(), Role::Peer));
    let needed = policy.depends_on.iter().map(|name| (name.clone(), Role::Dependency));
    peers.chain(needed).filter(|(name, _)| name != own).collect()
}

impl Watch {
    /// The next stretch that is wanted.
    pub(super) fn baseline_wanted(&self, now: Timestamp) -> Option<BaselineAsk> {
        // As dense as the first samples will be: what varies shows only there. Queries
        // look back over a window of their own and would say the same again and again.
        let interval = self.policy().phases.first()?.interval;
        let step = |check: &Check| if check.overlaps() { check.window(interval) } else { interval };
        let step = self.policy().checks.iter().map(step).max()?;
        let spoiled = &self.deployment.inherited.spoiled;
        let ask = |purpose, until, step, count| {
            // What others did meanwhile was no doing of this service's.
            let ours = !matches!(purpose, Purpose::Control(_));
            let spoiled = if ours { spoiled.clone() } else { Vec::new() };
            BaselineAsk { purpose, until, step, count, spoiled }
        };
        let pending = |one: Option<&Baseline>| one == Some(&Baseline::Pending);
        let before = vec![self.deployment.baseline_end];
        let few = |stretch: SignedDuration| {
            let samples = stretch.as_millis() / step.as_millis().max(1);
            u32::try_from(samples).unwrap_or(1).clamp(1, MOST_SAMPLES)
        };
        if self.checks.values().any(|s| pending(s.baselines.get(&Against::Before)))
            || self.looks_back()
        {
            let purpose = Purpose::Compare(Against::Before);
            // What is left out of it is made up for by what was before.
            let count = few(BEFORE);
            let reach = step.saturating_mul(i32::try_from(count).unwrap_or(i32::MAX));
            let end = self.deployment.baseline_end;
            let begin = end.checked_sub(reach).unwrap_or(end);
            let cut = spoiled.iter().fold(SignedDuration::ZERO, |cut, span| {
                cut.saturating_add(span.shares(begin, end))
            });
            let more = if cut.is_zero() { 0 } else { few(cut).saturating_add(1) };
            return Some(ask(purpose, before, step, count.saturating_add(more)));
        }
        for name in self.controls.keys() {
            let of = |state: &CheckState| {
                pending(state.controls.get(name).map(|control| &control.baseline))
            };
            if self.checks.values().any(of) {
                return Some(ask(Purpose::Control(name.clone()), before, step, few(BEFORE)));
            }
        }
        [(Against::SameHour, 1..=EARLIER_DAYS), (Against::LastWeek, 7..=7)]
            .into_iter()
            .filter(|(against, _)| self.checks.values().any(|s| s.baselines.contains_key(against)))
            .find(|(against, _)| {
                self.followed.get(against).is_none_or(|last| now.duration_since(*last) >= FOLLOW)
            })
            .map(|(against, days)| {
                let back =
                    |days: i64| now.checked_sub(SignedDuration::from_hours(24 * days) - AROUND);
                let until = days.filter_map(|days| back(days).ok()).collect();
                ask(Purpose::Compare(against), until, step, few(AROUND * 2))
            })
            .or_else(|| self.transients_wanted(step))
    }

    /// Whether it is to be known yet what a status said before the deployment.
    fn looks_back(&self) -> bool {
        let asked = |check: &&Check| check.before() == Some(BeforeRule::Asked);
        let known = |check: &Check| self.before.get(&check.name).is_some_and(Before::is_asked);
        self.policy().checks.iter().filter(asked).any(|check| !known(check))
    }

    /// Takes in what each status said before. One that is out of reach is asked again, but not
    /// for ever.
    fn look_back(&mut self, looks: &BTreeMap<String, Option<Reading>>, patient: bool) {
        for check in &self.pinned.policy.checks {
            let look = looks.get(&check.name);
            if check.before() == Some(BeforeRule::Asked) && (look.is_some() || !patient) {
                let before = self.before.entry(check.name.clone()).or_default();
                before.look_back(look.and_then(Option::as_ref));
            }
        }
    }

    /// The longest stretch of all is asked for last, so that it delays no other.
    fn transients_wanted(&self, step: SignedDuration) -> Option<BaselineAsk> {
        let step = step.max(TRANSIENTS_STEP);
        let count = u32::try_from(DAY.as_millis() / step.as_millis().max(1)).unwrap_or(1).max(1);
        self.checks.values().any(|state| state.transients.is_none()).then(|| BaselineAsk {
            purpose: Purpose::Transients,
            until: vec![self.deployment.baseline_end],
            step,
            count,
            spoiled: self.deployment.inherited.spoiled.clone(),
        })
    }

    /// Takes a stretch in. A check without one waits for the next try, but not for ever.
    pub(super) fn baseline_measured(&mut self, measured: &BaselineMeasured, now: Timestamp) {
        // Announced long before it starts, it is asked for only then.
        let begun = self.deployment.started_at.max(self.opened_at);
        let patient = now.duration_since(begun) < PATIENCE;
        let mut complete = true;
        for (name, state) in &mut self.checks {
            let came = measured.checks.get(name);
            if came.is_none() && patient {
                complete = false;
                continue;
            }
            take(state, &measured.purpose, came);
        }
        if !measured.left_out.is_zero() {
            let of = match &measured.purpose {
                Purpose::Compare(against) => against.in_words(),
                Purpose::Control(name) => name,
                Purpose::Transients => "what passed by itself",
            };
            let left = measured.left_out;
            self.note(now, format!("{of}: {left:#} left out, when an earlier deployment did harm"));
        }
        match &measured.purpose {
            Purpose::Compare(Against::Before) => {
                self.look_back(&measured.looks, patient);
                self.learn_values(&measured.known, now);
            }
            Purpose::Compare(against) if complete => {
                self.followed.insert(*against, now);
            }
            Purpose::Compare(_) | Purpose::Control(_) | Purpose::Transients => {}
        }
    }

    /// The values of the telling labels before the deployment. Where an unfinished
    /// deployment lies in between, its instances are neither.
    fn learn_values(&mut self, values: &BTreeMap<String, BTreeSet<String>>, now: Timestamp) {
        if self.deployment.baseline_end < self.deployment.started_at {
            return;
        }
        for (label, values) in values {
            let known = self.known.entry(label.clone()).or_default();
            known.extend(values.iter().cloned());
            if known.len() > MOST_KNOWN || self.untold.contains(label) {
                self.tell_nothing_by(label, now);
            }
        }
    }

    /// The label that tells the revisions apart, where the policy names one: the
    /// instance's before the version's, because it changes with every deployment.
    fn telling_label(&self) -> Option<String> {
        let labels = &self.policy().labels;
        let mut named = labels.instance.iter().chain(&labels.version);
        named.find(|label| !self.untold.contains(*label)).cloned()
    }

    /// Gives up a label that has too many values.
    fn tell_nothing_by(&mut self, label: &str, now: Timestamp) {
        self.known.remove(label);
        if label == self.instance_label() {
            self.born.clear();
        }
        if self.untold.insert(label.to_owned()) {
            let why =
                format!("`{label}` has more than {MOST_KNOWN} values: nothing is told apart by it");
            self.note(now, why);
        }
    }

    /// Which series are of the new revision; `None` where nothing tells.
    pub fn arms(&self) -> Option<ArmRule> {
        if matches!(self.stage, Stage::RollingBack(_)) {
            // What comes back is the old one.
            return None;
        }
        self.labelled_apart().or_else(|| self.seen_already()).or_else(|| {
            let label = self.telling_label()?;
            let known = self.known.get(&label).filter(|known| !known.is_empty())?;
            Some(ArmRule { newer: Newer::NotAmong(known.clone()), label })
        })
    }

    /// By a label that the platform puts on the copies of either revision, where the policy
    /// names it for their series: the new ones may have been measured, and their value known,
    /// long before they get a request. Where nobody has seen the series carry it, or they
    /// carry something else under that name, it tells nothing.
    fn labelled_apart(&self) -> Option<ArmRule> {
        let Deployment { revision, source, .. } = &self.deployment;
        let (judged, former) = (revision.as_ref()?, source.as_ref()?);
        let labels = &self.policy().labels;
        let mut named = labels.instance.iter().chain(&labels.version);
        named.find_map(|label| {
            let (new, old) = (judged.label(label)?, former.label(label)?);
            let known = self.known.get(label);
            let is_carried = known.is_some_and(|known| known.contains(new) || known.contains(old));
            (new != old && is_carried && !self.untold.contains(label))
                .then(|| ArmRule { label: label.clone(), newer: Newer::Is(new.to_owned()) })
        })
    }

    /// Where the announced version has been seen before the deployment beside others, its
    /// first instances ran already when it was announced: they are not old for that.
    fn seen_already(&self) -> Option<ArmRule> {
        let label = self.policy().labels.version.as_ref()?;
        let version = self.deployment.facts.version.as_ref()?;
        let known = self.known.get(label)?;
        (known.len() > 1 && known.contains(version))
            .then(|| ArmRule { label: label.clone(), newer: Newer::Is(version.clone()) })
    }

    /// Whether instances of the new revision are measured: new values of the label that
    /// tells the revisions apart have been seen.
    pub(super) fn newcomers(&self) -> bool {
        self.telling_label().as_deref() == Some(self.instance_label()) && !self.born.is_empty()
    }

    /// The label that names an instance.
    pub fn instance_label(&self) -> &str {
        self.policy().labels.instance.as_deref().unwrap_or(INSTANCE)
    }

    /// What is known of instances, so that a newborn one counts from zero; `None` where
    /// there are too many to know which is.
    pub fn births(&self) -> Option<Births> {
        let label = self.instance_label();
        let known = self.known.get(label).cloned().unwrap_or_default();
        let births = Births { since: self.deployment.started_at, known: &known | &self.born };
        (!self.untold.contains(label)).then_some(births)
    }

    pub(super) fn note_born(&mut self, born: &BTreeSet<String>, now: Timestamp) {
        let label = self.instance_label().to_owned();
        if self.untold.contains(&label) {
            return;
        }
        self.born.extend(born.iter().cloned());
        if self.born.len() > MOST_KNOWN {
            self.tell_nothing_by(&label, now);
        }
    }

    /// The services that are measured beside the deployment's.
    pub fn controls(&self) -> impl Iterator<Item = &str> {
        self.controls.keys().map(String::as_str)
    }

    pub(super) fn begin_controls(&mut self) {
        for state in self.checks.values_mut() {
            for (name, role) in &self.controls {
                state.controls.insert(name.clone(), Control::new(*role));
            }
        }
    }
}

/// What came of a stretch, into the place that its purpose has; `None`: it can't be had.
fn take(state: &mut CheckState, purpose: &Purpose, came: Option<&Stretch>) {
    let slot = match purpose {
        Purpose::Transients => {
            let found = match came {
                Some(Stretch::Transients(found)) => *found,
                Some(Stretch::Baseline(_)) | None => Transients::default(),
            };
            state.transients = Some(found);
            return;
        }
        Purpose::Compare(against) => state.baselines.get_mut(against),
        Purpose::Control(name) => state.controls.get_mut(name).map(|one| &mut one.baseline),
    };
    let Some(slot) = slot else { return };
    match came {
        Some(Stretch::Baseline(baseline)) => slot.clone_from(baseline),
        Some(Stretch::Transients(_)) | None if *slot == Baseline::Pending => {
            *slot = Baseline::Missing { because: "the source did not answer".to_owned() };
        }
        Some(Stretch::Transients(_)) | None => {}
    }
}
