//! May this be deployed now? Pure: what is known comes in, the answer with its reasons
//! goes out.

mod known;
mod soak;
mod times;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::candidates;
use crate::model::{
    Alert, GateOverride, GateReason, GateRule, GateVerdict, LedgerEntry, Named, Revision,
};
use crate::policy::{Policy, Stance};

pub use known::{Bad, Bound, bad, standing};
pub use soak::{Trial, trials};

/// What is known of a service that something is to be deployed to.
#[derive(Debug, Clone, Default)]
pub struct Known {
    /// Its own name, for words and for what it is called where things soak.
    pub service: String,
    /// What keeps a new deployment from being one of its own.
    pub bound: Bound,
    /// Revisions that were found bad.
    pub bad: Vec<Bad>,
    /// Deployments where the policy's soak is; `None`: no service is known there.
    pub trials: Option<Vec<Trial>>,
    /// Of the service.
    pub ledger: Vec<LedgerEntry>,
    /// What is in place.
    pub in_place: Option<Revision>,
    /// Why the guard would not act by itself.
    pub paused: Option<String>,
    pub braked: Option<String>,
    /// About the service, those that are over too.
    pub alerts: Vec<Alert>,
    /// Of the service.
    pub overrides: Vec<GateOverride>,
}

/// The gate's answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct GateAnswer {
    pub verdict: GateVerdict,
    /// Against first, and the worst of them.
    pub reasons: Vec<GateReason>,
    /// When the policy's times speak neither against nor warn; `None`: not within a year.
    pub next_open: Option<Timestamp>,
    /// Who went through it all the same, while that is in force.
    #[serde(default)]
    pub overridden: Option<GateOverride>,
}

impl GateAnswer {
    /// Of a service that no policy guards: there is nothing to ask, and it is said.
    pub fn unguarded(why: &str) -> Self {
        let words = format!("{why}: the gate knows nothing against it");
        let reason = reason(GateRule::Unguarded, GateVerdict::Warn, words);
        Self {
            verdict: GateVerdict::Warn,
            reasons: vec![reason],
            next_open: None,
            overridden: None,
        }
    }

    /// The reasons that keep it shut.
    pub fn against(&self) -> impl Iterator<Item = &GateReason> {
        self.reasons.iter().filter(|reason| reason.verdict == GateVerdict::No)
    }
}

/// Whether `named` may be deployed under `policy` at `now`.
pub fn gate(policy: &Policy, known: &Known, named: &Named, now: Timestamp) -> GateAnswer {
    let stances = policy.gate.stances;
    let mut reasons = times::reasons(&policy.gate.times, now);
    reasons.extend(known::in_motion(known, stances.open_incident));
    reasons.extend(known::found_bad(known, named, stances.known_bad));
    reasons.extend(soak::reasons(policy, known, named, now));
    reasons.extend(target(policy, known, named, now));
    reasons.extend(known::alerts(known, stances.alerts, now));
    let waits = [(GateRule::Paused, &known.paused), (GateRule::Brake, &known.braked)];
    for (rule, why) in waits {
        let words = why.iter().map(|why| format!("the guard would not roll back by itself: {why}"));
        reasons.extend(words.map(|words| reason(rule, GateVerdict::Warn, words)));
    }
    let in_force =
        known.overrides.iter().rev().find(|one| one.is_in_force(now) && one.covers(named));
    if let Some(over) = in_force {
        go_through(&mut reasons, over);
    }
    reasons.sort_by_key(|reason| (std::cmp::Reverse(reason.verdict), reason.rule));
    let verdict = reasons.iter().map(|reason| reason.verdict).max().unwrap_or(GateVerdict::Yes);
    GateAnswer {
        verdict,
        reasons,
        next_open: policy.gate.times.open_from(now, Stance::Warn),
        overridden: in_force.cloned(),
    }
}

/// What was overridden is a warning by whom. What came up since keeps its weight.
fn go_through(reasons: &mut [GateReason], over: &GateOverride) {
    let rules = over.rules();
    let shut = |reason: &&mut GateReason| {
        reason.verdict == GateVerdict::No && rules.contains(&reason.rule)
    };
    for reason in reasons.iter_mut().filter(shut) {
        reason.verdict = GateVerdict::Warn;
        let until = over.until.strftime("%H:%M UTC");
        // Nobody gave a name: then it is the token that stands there, and it may be many people's.
        let token = if over.via.is_none() { "the token " } else { "" };
        let next = if over.named.is_nothing() { " for whatever is deployed next" } else { "" };
        let GateOverride { by, reason: why, .. } = over;
        reason.words =
            format!("{} (overridden by {token}{by}{next} until {until}: {why})", reason.words);
    }
}

/// Whether a rollback would have somewhere to go.
fn target(policy: &Policy, known: &Known, named: &Named, now: Timestamp) -> Option<GateReason> {
    let verdict = weight(policy.gate.stances.rollback_target)?;
    let judged = Revision::named(named.revision.as_deref().unwrap_or_default());
    let in_place = known.in_place.as_ref();
    let found = candidates(&policy.rollback, &known.ledger, &judged, in_place, now);
    let rule = GateRule::RollbackTarget;
    let Some(best) = found.first() else {
        let words = "nothing is known that a rollback could go to: no known-good revision \
                     is young enough, and what is in place is none to fall back to";
        return Some(reason(rule, verdict, words));
    };
    let words = format!("a rollback would go to {} ({})", best.revision.short(), best.because);
    Some(reason(rule, GateVerdict::Yes, words))
}

fn weight(stance: Stance) -> Option<GateVerdict> {
    match stance {
        Stance::Ignore => None,
        Stance::Warn => Some(GateVerdict::Warn),
        Stance::Refuse => Some(GateVerdict::No),
    }
}

fn reason(rule: GateRule, verdict: GateVerdict, words: impl Into<String>) -> GateReason {
    GateReason { rule, verdict, words: words.into(), until: None }
}

fn minute(at: Timestamp) -> String {
    at.strftime("%a %Y-%m-%d %H:%M UTC").to_string()
}

#[cfg(test)]
mod tests;
