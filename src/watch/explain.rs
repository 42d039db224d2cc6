//! The evidence over time, in words and numbers: the journal of a watch folded once
//! more, with what each check said after each sample.
//!
//! Days of samples that say nothing new are thinned out; what turned is kept.

use std::collections::{BTreeMap, BTreeSet};
use std::mem::discriminant;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Event, Illegal, Watch};
use crate::judge::{Baseline, Blame, Judgement, Reference, Role, Weight};
use crate::model::{Severity, Verdict};
use crate::policy::{Against, Check, Measure, Unit};

/// Samples of a check that are shown although nothing turned in them.
const SPACED: usize = 12;
/// Samples of a check that are shown because something turned; of more the first and
/// the last.
const TURNS: usize = 60;
/// Times that a control was broken; the first and the last are kept.
const SPELLS: usize = 10;

/// How the checks of a watch came to say what they say.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Explanation {
    pub watch: String,
    /// "shopflow-api v1.5.0 in production".
    pub title: String,
    pub status: String,
    pub events: usize,
    /// Ticks that were measured later than they were due: judged, and not shown.
    pub made_up: usize,
    /// Where the fold ended before the journal did, and why: another version kept it.
    pub broke_off: Option<String>,
    pub checks: Vec<CheckStory>,
}

/// What one check said from the first sample to the last.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct CheckStory {
    pub name: String,
    /// "normal < 0.1% · SEV2 > 1%".
    pub limits: String,
    pub samples: usize,
    /// In order of time; see [`Moment::shown_for`].
    pub moments: Vec<Moment>,
    pub baselines: Vec<BaselineStory>,
    /// How long what has passed by itself before lasted, in words: a change must outlast
    /// it.
    pub passed_before: Option<String>,
    pub controls: Vec<ControlStory>,
}

/// What a check said at a time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Moment {
    pub at: Timestamp,
    pub verdict: Verdict,
    pub severity: Option<Severity>,
    /// In base units: ratio 0-1, seconds, bytes.
    pub value: Option<f64>,
    /// The same as people write it.
    pub shown: Option<String>,
    /// Events in the window.
    pub traffic: Option<f64>,
    pub reason: String,
    pub evidence: Option<EvidenceStory>,
    pub blame: Option<Blame>,
    /// Why it is not the deployment's doing, in words.
    pub not_ours: Option<String>,
    pub shown_for: Vec<Turn>,
}

/// The evidence that something changed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct EvidenceStory {
    pub ln_e: f64,
    pub needed: f64,
    /// "1 in 3400 by chance; 1 in 200 is needed".
    pub in_words: String,
    /// Since when it looks changed.
    pub since: Option<Timestamp>,
    /// What would still be "nothing changed", and in words.
    pub null: f64,
    pub null_in_words: String,
    pub rise: f64,
    pub detectable: Option<f64>,
}

/// Why a sample is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Turn {
    First,
    /// It says something else than the sample before.
    Verdict,
    /// It is put down to something else.
    Blame,
    /// The first with any evidence for a change (E above 1).
    Speaks,
    /// The first with half of what is needed (of ln E).
    Halfway,
    /// The first with all that is needed.
    Enough,
    /// The one with the most evidence.
    Strongest,
    /// One of those between.
    Between,
    Last,
}

/// A stretch that was compared with, as it was last known.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct BaselineStory {
    pub against: Against,
    /// "before", "a week ago".
    pub name: String,
    pub value: Option<f64>,
    pub shown: Option<String>,
    pub samples: u32,
    /// That part of it is no normal, in words; `None`: all of it counts.
    #[serde(default)]
    pub left_out: Option<String>,
    /// Since when it had been worse than the rest of it, up to its end.
    pub began: Option<Timestamp>,
    /// Why it could not be had, or that it is not measured yet.
    pub missing: Option<String>,
}

/// What was looked at beside the deployment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ControlStory {
    pub name: String,
    pub role: Role,
    /// What it was like before.
    pub usual: Option<String>,
    pub missing: Option<String>,
    pub broken: Vec<Spell>,
}

/// A time that a control was broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Spell {
    pub since: Timestamp,
    /// `None`: to the end.
    pub until: Option<Timestamp>,
}

/// Folds a journal from its `opened` on.
pub fn explain(journal: &[(Timestamp, Event)]) -> Result<Explanation, Illegal> {
    let Some(((opened_at, opened), rest)) = journal.split_first() else {
        return Err(Illegal::because("the journal is empty"));
    };
    let (mut watch, _) = Watch::open(opened, *opened_at)?;
    let mut said: BTreeMap<String, Said> = BTreeMap::new();
    let (mut made_up, mut broke_off) = (0, None);
    for (now, event) in rest {
        if let Err(why) = watch.handle(event, *now) {
            broke_off = Some(format!("at {}: {why}", super::words::full(*now)));
            break;
        }
        if let Event::Sampled(sampled) = event {
            made_up += sampled.earlier.len();
            listen(&watch, &mut said);
        }
    }
    let none = Said::default();
    let story = |check: &Check| story(&watch, check, said.get(&check.name).unwrap_or(&none));
    Ok(Explanation {
        watch: watch.id.to_string(),
        title: watch.title(),
        status: watch.status_line(),
        events: journal.len(),
        made_up,
        broke_off,
        checks: watch.policy().checks.iter().map(story).collect(),
    })
}

/// All that a check said, and since when its controls were broken.
#[derive(Default)]
struct Said {
    judgements: Vec<Judgement>,
    broken: BTreeMap<String, Vec<Spell>>,
}

/// Takes down what each check says now.
fn listen(watch: &Watch, said: &mut BTreeMap<String, Said>) {
    let another = watch.breaches().filter(|found| matches!(found.blame, Blame::Another { .. }));
    for (name, state) in &watch.checks {
        let said = said.entry(name.clone()).or_default();
        let Some(last) = &state.last else { continue };
        if said.judgements.last().is_some_and(|known| known.at == last.at) {
            continue;
        }
        let mut judgement = last.clone();
        if let Some(found) = another.as_ref().filter(|found| found.checks.contains(name)) {
            judgement.blame = Some(found.blame.clone());
        }
        said.judgements.push(judgement);
        for (control, state) in &state.controls {
            note_spell(
                said.broken.entry(control.clone()).or_default(),
                state.broken_since,
                last.at,
            );
        }
    }
}

fn note_spell(spells: &mut Vec<Spell>, broken_since: Option<Timestamp>, at: Timestamp) {
    let open = spells.last_mut().filter(|spell| spell.until.is_none());
    match (broken_since, open) {
        (None, Some(spell)) => spell.until = Some(at),
        (Some(since), None) => {
            if spells.len() >= SPELLS {
                spells.remove(SPELLS / 2);
            }
            spells.push(Spell { since, until: None });
        }
        (None, None) | (Some(_), Some(_)) => {}
    }
}

fn story(watch: &Watch, check: &Check, said: &Said) -> CheckStory {
    let state = watch.checks.get(&check.name);
    let moments = shown(&said.judgements)
        .into_iter()
        .map(|(index, turns)| moment(check, &said.judgements[index], turns))
        .collect();
    let baselines = state.iter().flat_map(|state| &state.baselines);
    let controls = state.iter().flat_map(|state| &state.controls);
    CheckStory {
        name: check.name.clone(),
        limits: super::words::limits_in_words(check),
        samples: said.judgements.len(),
        moments,
        baselines: baselines.map(|(against, one)| baseline(check, *against, one)).collect(),
        passed_before: state.and_then(super::words::passed_before),
        controls: controls
            .map(|(name, control)| {
                let reference = control.baseline.reference();
                ControlStory {
                    name: name.clone(),
                    role: control.role,
                    usual: reference.map(|one| check.show(one.value)),
                    missing: missing(&control.baseline),
                    broken: said.broken.get(name).cloned().unwrap_or_default(),
                }
            })
            .collect(),
    }
}

fn baseline(check: &Check, against: Against, one: &Baseline) -> BaselineStory {
    let reference = one.reference();
    BaselineStory {
        against,
        name: against.in_words().to_owned(),
        left_out: reference.and_then(Reference::left_out_in_words),
        value: reference.map(|one| one.value),
        shown: reference.map(|one| check.show(one.value)),
        samples: reference.map_or(0, |one| one.samples),
        began: reference.and_then(|one| one.began),
        missing: missing(one),
    }
}

fn missing(baseline: &Baseline) -> Option<String> {
    match baseline {
        Baseline::Pending => Some("not measured yet".to_owned()),
        Baseline::Measured(_) => None,
        Baseline::Missing { because } => Some(because.clone()),
    }
}

/// The samples that are worth showing, by index, and why each is.
fn shown(said: &[Judgement]) -> BTreeMap<usize, BTreeSet<Turn>> {
    let mut shown: BTreeMap<usize, BTreeSet<Turn>> = BTreeMap::new();
    let Some(last) = said.len().checked_sub(1) else { return shown };
    for (index, turn) in turns(said) {
        shown.entry(index).or_default().insert(turn);
    }
    let indices: Vec<usize> = shown.keys().copied().collect();
    if indices.len() > TURNS {
        let (head, tail) = (TURNS / 2, indices.len() - TURNS / 2);
        indices[head..tail].iter().for_each(|index| drop(shown.remove(index)));
    }
    let whole = [(0, Turn::First), (last, Turn::Last)].into_iter();
    let evidence = evidence_turns(said);
    for (index, turn) in whole.chain(evidence) {
        shown.entry(index).or_default().insert(turn);
    }
    for nth in 1..=SPACED {
        let index = last * nth / (SPACED + 1);
        shown.entry(index).or_insert_with(|| BTreeSet::from([Turn::Between]));
    }
    shown
}

fn turns(said: &[Judgement]) -> impl Iterator<Item = (usize, Turn)> {
    said.windows(2).zip(1..).flat_map(|(pair, index)| {
        let (before, now) = (&pair[0], &pair[1]);
        let verdict = (before.verdict, before.severity) != (now.verdict, now.severity);
        let kind = |one: &Judgement| one.blame.as_ref().map(discriminant);
        let blame = kind(before) != kind(now);
        [(verdict, Turn::Verdict), (blame, Turn::Blame)]
            .into_iter()
            .filter_map(move |(turned, turn)| turned.then_some((index, turn)))
    })
}

fn evidence_turns(said: &[Judgement]) -> impl Iterator<Item = (usize, Turn)> {
    let first = |enough: &dyn Fn(&Weight) -> bool| {
        said.iter().position(|one| one.weight.as_ref().is_some_and(enough))
    };
    let weighed = said.iter().enumerate().filter_map(|(at, one)| Some((at, one.weight?.ln_e)));
    let strongest = weighed
        .filter(|(_, ln_e)| *ln_e > 0.0)
        .reduce(|most, one| if one.1 > most.1 { one } else { most });
    [
        (first(&|weight| weight.ln_e > 0.0), Turn::Speaks),
        (first(&|weight| weight.ln_e >= weight.needed / 2.0), Turn::Halfway),
        (first(&|weight| weight.ln_e >= weight.needed), Turn::Enough),
        (strongest.map(|(index, _)| index), Turn::Strongest),
    ]
    .into_iter()
    .filter_map(|(index, turn)| Some((index?, turn)))
}

fn moment(check: &Check, said: &Judgement, shown_for: BTreeSet<Turn>) -> Moment {
    let not_ours = said.blame.as_ref().filter(|blame| !blame.is_ours()).map(Blame::in_words);
    Moment {
        at: said.at,
        verdict: said.verdict,
        severity: said.severity,
        value: said.value,
        shown: said.value.map(|value| check.show(value)),
        traffic: said.traffic,
        reason: said.reason.clone(),
        evidence: said.weight.as_ref().map(|weight| evidence(check, weight)),
        blame: said.blame.clone(),
        not_ours,
        shown_for: shown_for.into_iter().collect(),
    }
}

fn evidence(check: &Check, weight: &Weight) -> EvidenceStory {
    let null = match &check.measure {
        Measure::Ratio { .. } => format!("up to {} bad", Unit::Ratio.show(weight.null)),
        Measure::Latency { .. } => {
            format!("up to {} slower than usual", Unit::Ratio.show(weight.null))
        }
        Measure::Gauge { unit, .. } => {
            let way = if check.higher_is_worse() { "up to" } else { "down to" };
            format!("{way} {}", unit.show(weight.null))
        }
        Measure::Status { .. } => check.show(weight.null),
    };
    EvidenceStory {
        ln_e: weight.ln_e,
        needed: weight.needed,
        in_words: chance(weight.ln_e, weight.needed),
        since: weight.since,
        null: weight.null,
        null_in_words: null,
        rise: weight.rise,
        detectable: weight.detectable,
    }
}

/// How rare such evidence is where nothing changed: at most one in E.
pub fn chance(ln_e: f64, needed: f64) -> String {
    let needed = format!("1 in {} is needed", about(needed));
    // Less than one in two is nothing.
    if ln_e < 2_f64.ln() {
        return format!("none; {needed}");
    }
    format!("1 in {} by chance; {needed}", about(ln_e))
}

/// e to this power, to two digits.
fn about(ln: f64) -> String {
    let value = ln.exp();
    let (size, word) = match value {
        large if large >= 1e15 => return "more than a million billion".to_owned(),
        large if large >= 1e9 => (1e9, " billion"),
        large if large >= 1e6 => (1e6, " million"),
        _ => (1.0, ""),
    };
    let scaled = value / size;
    let digit = 10_f64.powf((scaled.max(1.0).log10().floor() - 1.0).max(0.0));
    format!("{:.0}{word}", (scaled / digit).round() * digit)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(at: i64, verdict: Verdict, ln_e: f64) -> Judgement {
        Judgement {
            at: Timestamp::from_second(at).unwrap(),
            verdict,
            severity: None,
            blame: None,
            value: Some(0.1),
            traffic: Some(100.0),
            limit: None,
            weight: Some(Weight {
                ln_e,
                with_held: ln_e,
                needed: 6.0,
                null: 0.001,
                rise: 1.0,
                since: None,
                detectable: None,
            }),
            back_to_normal: false,
            reason: "10%".to_owned(),
        }
    }

    #[test]
    fn evidence_is_told_as_a_chance() {
        assert_eq!(chance(8.13, 200_f64.ln()), "1 in 3400 by chance; 1 in 200 is needed");
        assert_eq!(chance(-2.0, 200_f64.ln()), "none; 1 in 200 is needed");
        assert_eq!(chance(16.3, 1000_f64.ln()), "1 in 12 million by chance; 1 in 1000 is needed");
        assert!(chance(90.0, 5.0).starts_with("1 in more than"), "{}", chance(90.0, 5.0));
    }

    #[test]
    fn of_a_long_watch_what_turned_is_shown_and_little_else() {
        let mut all: Vec<_> = (0..5_760).map(|at| said(at, Verdict::Healthy, -1.0)).collect();
        for (at, ln_e) in [(3_001, 0.5), (3_002, 3.5), (3_003, 6.5), (3_004, 9.0)] {
            let verdict = if ln_e >= 6.0 { Verdict::Breach } else { Verdict::Healthy };
            all[at] = said(3_001, verdict, ln_e);
        }
        let shown = shown(&all);
        assert_eq!(shown[&0], [Turn::First].into());
        assert_eq!(shown[&3_001], [Turn::Speaks].into());
        assert_eq!(shown[&3_002], [Turn::Halfway].into());
        assert_eq!(shown[&3_003], [Turn::Verdict, Turn::Enough].into());
        assert_eq!(shown[&3_004], [Turn::Strongest].into());
        assert_eq!(shown[&3_005], [Turn::Verdict].into());
        assert_eq!(shown[&5_759], [Turn::Last].into());
        assert!(shown.len() <= 7 + SPACED, "{}", shown.len());
    }

    #[test]
    fn a_check_that_flaps_for_a_day_is_told_in_bounds() {
        let verdict = |at: i64| if at % 2 == 0 { Verdict::Healthy } else { Verdict::Breach };
        let all: Vec<_> = (0..5_760).map(|at| said(at, verdict(at), 0.0)).collect();
        let shown = shown(&all);
        assert!(shown.len() <= TURNS + SPACED + 6, "{}", shown.len());
        assert!(shown.contains_key(&1) && shown.contains_key(&5_758));
    }
}
