//! The stretches of a watch.

use std::collections::BTreeMap;

use jiff::SignedDuration;
use marked_yaml::Marker;

use super::amount::Share;
use super::desk::Desk;
use super::raw::{PhaseText, PolicyFile};
use super::scalar::At;
use crate::policy::diagnostic::Mistake;
use crate::policy::{MovedBy, Phase};

/// The longest watch.
const LONGEST: SignedDuration = SignedDuration::from_hours(7 * 24);
/// The shortest time from one sample to the next.
const SHORTEST: SignedDuration = SignedDuration::from_secs(1);

/// The phases in order of their end. `None`: the report says why.
pub(super) fn phases(texts: &BTreeMap<String, PhaseText>, desk: &mut Desk) -> Option<Vec<Phase>> {
    if texts.is_empty() {
        let mistake = Mistake::new("the policy has no `phases`").mend(
            "add `extends: ecs-web`, or `phases: { immediate: { until: 15m, interval: 15s } }`",
        );
        desk.missing(&["phases"], mistake);
        return None;
    }
    let before = desk.report.count();
    let mut phases = Vec::new();
    for name in desk.names("phases") {
        let Some(text) = texts.get(&name) else { continue };
        for (key, there) in [("until", text.until.is_some()), ("interval", text.interval.is_some())]
        {
            if !there {
                let mistake = Mistake::new(format!("the phase `{name}` has no `{key}`"));
                desk.missing(&["phases", &name, key], mistake);
            }
        }
        if let (Some(until), Some(interval)) = (&text.until, &text.interval) {
            single(until.value.0, until.marker, interval.value.0, interval.marker, desk);
            let weight = text.weight.as_ref().and_then(|weight| percent(weight, desk));
            let (until_at, interval_at) = (until.marker, interval.marker);
            let (until, interval) = (until.value.0, interval.value.0);
            phases.push((Phase { name, until, interval, weight }, until_at, interval_at));
        }
    }
    written_rising(&phases, desk);
    phases.sort_by_key(|(phase, ..)| phase.until);
    lengths(&phases, desk);
    weights(texts, &phases, desk);
    let whole = desk.report.count() == before && phases.len() == texts.len();
    whole.then(|| phases.into_iter().map(|(phase, ..)| phase).collect())
}

fn single(
    until: SignedDuration,
    at: Marker,
    interval: SignedDuration,
    of: Marker,
    desk: &mut Desk,
) {
    if until > LONGEST {
        desk.at(at, Mistake::new("a watch lasts at most `7d`"));
    }
    if until.is_zero() {
        desk.at(at, Mistake::new("a phase can't end before it begins"));
    }
    if interval < SHORTEST {
        desk.at(of, Mistake::new("the interval is at least `1s`"));
    }
}

/// Within one file phases stand in the order in which they happen. A file above
/// another may change any of them.
fn written_rising(phases: &[(Phase, Marker, Marker)], desk: &mut Desk) {
    for pair in phases.windows(2) {
        let [(first, above, _), (second, at, _)] = pair else { continue };
        if above.source() == at.source() && second.until <= first.until {
            let mistake = Mistake::new(format!(
                "the phase `{}` ends at {:#}, and `{}` above it at {:#}",
                second.name, second.until, first.name, first.until
            ));
            desk.at(*at, mistake.mend("phases follow one another: `until` counts from the start"));
        }
    }
}

fn lengths(phases: &[(Phase, Marker, Marker)], desk: &mut Desk) {
    let mut start = SignedDuration::ZERO;
    for (index, (phase, until, interval)) in phases.iter().enumerate() {
        let length = phase.until - start;
        let same_file = index > 0 && phases[index - 1].1.source() == until.source();
        if length.is_zero() && index > 0 && !same_file {
            let mistake = format!("the phase `{}` ends together with another", phase.name);
            desk.at(*until, Mistake::new(mistake));
        } else if !length.is_zero() && phase.interval >= length {
            let mistake = format!(
                "the interval of `{}` is not shorter than the phase ({length:#})",
                phase.name
            );
            desk.at(*interval, Mistake::new(mistake));
        }
        start = phase.until;
    }
}

/// A phase's share of the traffic, in whole percent.
fn percent(weight: &At<Share>, desk: &mut Desk) -> Option<u8> {
    let percent = weight.value.0 * 100.0;
    let whole = (1..=100).find(|whole| (f64::from(*whole) - percent).abs() < 1e-6);
    if whole.is_none() {
        let mistake = Mistake::new("a weight is a whole number of percent, from `1%` to `100%`");
        desk.at(weight.marker, mistake);
    }
    whole
}

/// A canary begins with the first phase, gets more from step to step, and all in the end.
fn weights(
    texts: &BTreeMap<String, PhaseText>,
    phases: &[(Phase, Marker, Marker)],
    desk: &mut Desk,
) {
    let at = |name: &str| texts.get(name).and_then(|text| Some(text.weight.as_ref()?.marker));
    let Some(last) = phases.iter().rposition(|(phase, ..)| phase.weight.is_some()) else { return };
    let mut before = 0;
    for (phase, until, _) in &phases[..=last] {
        match phase.weight {
            // What is wrong with one that is there has been told.
            None if at(&phase.name).is_some() => {}
            None => desk.at(
                *until,
                Mistake::new(format!("the phase `{}` has no `weight`", phase.name))
                    .mend("all phases up to the last one that has a weight have one"),
            ),
            Some(weight) if weight <= before => desk.at(
                at(&phase.name).unwrap_or(*until),
                Mistake::new(format!("{weight}% is no more than the {before}% before it"))
                    .mend("a canary gets more from phase to phase"),
            ),
            Some(weight) => before = weight,
        }
    }
    let (phase, until, _) = &phases[last];
    if phase.weight.is_some_and(|weight| weight < 100) {
        let mistake = Mistake::new(format!("the canary ends with `{}`, below 100%", phase.name));
        let mend = "give the phase after it `weight: 100%`";
        desk.at(at(&phase.name).unwrap_or(*until), mistake.mend(mend));
    }
}

/// Who moves the traffic of a canary.
pub(super) fn moved_by(text: &PolicyFile, phases: &[Phase], desk: &mut Desk) -> MovedBy {
    let Some(moved_by) = &text.canary.moved_by else { return MovedBy::default() };
    if !phases.is_empty() && phases.iter().all(|phase| phase.weight.is_none()) {
        let mistake = Mistake::new("no phase has a `weight`: there is nothing to move");
        desk.at(moved_by.marker, mistake.mend("add `weight: 10%` to the first phase"));
    }
    moved_by.value
}

/// The phase at whose end a revision is provisionally known-good.
pub(super) fn known_good_after(
    named: Option<&At<String>>,
    phases: &[Phase],
    desk: &mut Desk,
) -> Option<String> {
    if let Some(named) = named {
        if phases.is_empty() || phases.iter().any(|phase| phase.name == named.value) {
            return Some(named.value.clone());
        }
        let known: Vec<&str> = phases.iter().map(|phase| phase.name.as_str()).collect();
        let mistake = Mistake::new(format!("there is no phase `{}`", named.value));
        desk.at(named.marker, mistake.mend_from(&named.value, &known));
        return None;
    }
    let usual = phases.iter().find(|phase| phase.name == "short-term");
    usual.or(phases.get(1)).or(phases.first()).map(|phase| phase.name.clone())
}
