//! Whether the same has been elsewhere for long enough, and well.

use jiff::{SignedDuration, Timestamp};

use super::{Known, minute, reason};
use crate::model::{Facts, GateReason, GateRule, GateVerdict, Named, Outcome, Revision, WatchId};
use crate::policy::Policy;
use crate::watch::Watch;

/// A deployment where things soak.
#[derive(Debug, Clone, PartialEq)]
pub struct Trial {
    pub watch: WatchId,
    pub facts: Facts,
    pub revision: Option<Revision>,
    /// From its first new task in service; `None`: none is yet.
    pub from: Option<Timestamp>,
    /// When something else took its place; `None`: it is in place.
    pub until: Option<Timestamp>,
    /// Why it is no proof, in words; `None`: nothing was found against it.
    pub against: Option<String>,
}

/// The deployments of one service, newest first, as the watches over them say.
pub fn trials(watches: &[Watch]) -> Vec<Trial> {
    let mut trials: Vec<Trial> = Vec::new();
    for (at, watch) in watches.iter().enumerate() {
        let later = at.checked_sub(1).and_then(|later| watches.get(later));
        trials.push(Trial {
            watch: watch.id.clone(),
            facts: watch.deployment.facts.clone(),
            revision: watch.deployment.revision.clone(),
            from: watch.in_service_at,
            until: later.map(|later| later.deployment.started_at),
            against: against(watch),
        });
    }
    trials
}

fn against(watch: &Watch) -> Option<String> {
    match watch.outcome() {
        Some(
            outcome @ (Outcome::RolledBack
            | Outcome::RollbackFailed
            | Outcome::Breached
            | Outcome::Inconclusive
            | Outcome::Cancelled),
        ) => return Some(format!("it ended as {}", outcome.as_str())),
        Some(Outcome::Passed) => return None,
        Some(Outcome::Superseded) | None => {}
    }
    if let Some(incident) = &watch.incident {
        return Some(format!("it had an incident at {}", minute(incident.opened_at)));
    }
    let least = watch.policy().min_coverage;
    let blind = watch.checks.iter().find(|(name, state)| {
        state.due > 0 && state.coverage() < least && !watch.is_left_aside(name)
    });
    blind.map(|(name, _)| format!("too little of `{name}` is measured"))
}

pub(super) fn reasons(
    policy: &Policy,
    known: &Known,
    named: &Named,
    now: Timestamp,
) -> Option<GateReason> {
    let soak = policy.gate.soak.as_ref()?;
    let (place, wanted) = (&soak.environment, soak.for_);
    let shut = |words: String| Some(reason(GateRule::Soak, GateVerdict::No, words));
    let service = soak.service_of(&known.service, &policy.matches.service);
    if named.is_nothing() {
        return shut(format!(
            "what is to be deployed was not named: give its version, commit or revision, so \
             that it can be looked up in {place}"
        ));
    }
    let Some(trials) = &known.trials else {
        return shut(format!("no policy guards `{service}` in {place}: nothing can soak there"));
    };
    let there = Named {
        version: named.version.as_ref().map(|version| soak.version_of(version)),
        ..named.clone()
    };
    let images = known.ledger.iter().map(|entry| &entry.revision).chain(&known.in_place);
    let images: Vec<&Revision> =
        images.filter(|known| named.means(&Facts::default(), Some(known))).collect();
    let is_it = |trial: &&Trial| {
        let same = |revision: &Revision| images.iter().any(|known| known.same_images(revision));
        there.means(&trial.facts, trial.revision.as_ref())
            || trial.revision.as_ref().is_some_and(same)
    };
    let found: Vec<&Trial> = trials.iter().filter(is_it).collect();
    let clean = found.iter().filter(|trial| trial.against.is_none());
    let best =
        clean.filter_map(|trial| Some((lasted(trial, now)?, *trial))).max_by_key(|one| one.0);
    match (best, found.first()) {
        (Some((lasted, trial)), _) if lasted >= wanted => {
            let words = format!(
                "{there} was in {place} for {} without a breach ({})",
                short(lasted),
                trial.watch
            );
            Some(reason(GateRule::Soak, GateVerdict::Yes, words))
        }
        (Some((lasted, trial)), _) => {
            let until = trial.from.filter(|_| trial.until.is_none());
            let until = until.and_then(|from| from.checked_add(wanted).ok());
            let end = match until {
                Some(until) => format!("it will have been {}", minute(until)),
                None => "something else is there now".to_owned(),
            };
            let words =
                format!("{there} was in {place} for {} of {wanted:#}: {end}", short(lasted));
            Some(GateReason { until, ..reason(GateRule::Soak, GateVerdict::No, words) })
        }
        (None, Some(trial)) => {
            let why =
                trial.against.clone().unwrap_or_else(|| "it is not in service yet".to_owned());
            shut(format!("{there} has not soaked in {place}: {why} ({})", trial.watch))
        }
        (None, None) => shut(format!(
            "{there} was never seen in {place} as `{service}`: it must be there for {wanted:#} first"
        )),
    }
}

/// How long it was in place.
fn lasted(trial: &Trial, now: Timestamp) -> Option<SignedDuration> {
    let until = trial.until.unwrap_or(now);
    Some(until.duration_since(trial.from?).max(SignedDuration::ZERO))
}

/// To the minute.
fn short(lasted: SignedDuration) -> String {
    let whole = SignedDuration::from_mins(lasted.as_secs() / 60);
    if whole.is_zero() { "less than a minute".to_owned() } else { format!("{whole:#}") }
}
