//! What the guard knows of the service and of what is to be deployed.

use jiff::Timestamp;

use super::{Known, minute, reason, weight};
use crate::model::{
    Alert, Facts, GateReason, GateRule, GateVerdict, LedgerEntry, Named, Revision, Standing,
    WatchId,
};
use crate::policy::Stance;
use crate::watch::Watch;

/// What is open over a service.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Bound {
    /// The incident that is not over, in words, with its watch.
    pub incident: Option<(String, WatchId)>,
    /// The rollback that is on its way.
    pub rollback: Option<WatchId>,
}

/// A revision that was found bad.
#[derive(Debug, Clone, PartialEq)]
pub struct Bad {
    pub revision: Option<Revision>,
    pub facts: Facts,
    pub watch: Option<WatchId>,
    pub at: Timestamp,
}

/// What is open, of the watches of one service.
pub fn standing(watches: &[Watch]) -> Bound {
    let open = || watches.iter().filter(|watch| watch.is_open());
    let incident = open().find_map(|watch| {
        let incident = watch.incident.as_ref().filter(|incident| incident.resolved_at.is_none())?;
        let checks: Vec<&str> = incident.checks.iter().map(String::as_str).collect();
        let words = format!(
            "{} since {} ({})",
            incident.severity,
            minute(incident.opened_at),
            checks.join(", ")
        );
        Some((words, watch.id.clone()))
    });
    let rollback = open().find(|watch| watch.is_rolling_back()).map(|watch| watch.id.clone());
    Bound { incident, rollback }
}

/// The revisions of one service that were found bad and not good since, with what was
/// announced of them. `watches`: those that the ledger names, as far as they can be had.
pub fn bad(ledger: &[LedgerEntry], watches: &[Watch]) -> Vec<Bad> {
    let found = ledger.iter().filter(|entry| entry.standing == Standing::Bad);
    let told = found.map(|entry| {
        let watch = watches.iter().find(|watch| Some(&watch.id) == entry.watch.as_ref());
        Bad {
            revision: Some(entry.revision.clone()),
            facts: watch.map(|watch| watch.deployment.facts.clone()).unwrap_or_default(),
            watch: entry.watch.clone(),
            at: entry.at,
        }
    });
    told.collect()
}

pub(super) fn in_motion(known: &Known, stance: Stance) -> Vec<GateReason> {
    let mut reasons = Vec::new();
    if let Some(watch) = &known.bound.rollback {
        let words = format!(
            "a rollback is on its way ({watch}): wait for its end; this can't be overridden, \
             `deployguard cancel` ends the watch"
        );
        reasons.push(reason(GateRule::RollingBack, GateVerdict::No, words));
    }
    if let (Some((incident, watch)), Some(verdict)) = (&known.bound.incident, weight(stance)) {
        let words = format!("an incident is open: {incident}, in {watch}");
        reasons.push(reason(GateRule::OpenIncident, verdict, words));
    }
    reasons
}

pub(super) fn found_bad(known: &Known, named: &Named, stance: Stance) -> Option<GateReason> {
    let verdict = weight(stance)?;
    let bad = known.bad.iter().rev().find(|bad| named.means(&bad.facts, bad.revision.as_ref()))?;
    let by = bad.watch.as_ref().map(|watch| format!(" by {watch}")).unwrap_or_default();
    let words = format!("{named} was found bad{by} at {}", minute(bad.at));
    Some(reason(GateRule::KnownBad, verdict, words))
}

/// One reason for all critical alerts that fire.
pub(super) fn alerts(known: &Known, stance: Stance, now: Timestamp) -> Option<GateReason> {
    let verdict = weight(stance)?;
    let firing = known.alerts.iter().filter(|alert| alert.fires(now) && alert.is_critical());
    let words: Vec<String> = firing.take(5).map(Alert::words).collect();
    let words = words.join("; ").replace(" (not counted)", "");
    (!words.is_empty()).then(|| reason(GateRule::Alert, verdict, words))
}
