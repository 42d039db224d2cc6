//! The control: what happens at the same time where the deployment is not.
//!
//! The old revision's instances during the roll-out, services that were not
//! deployed (peers), and services that this one needs (dependencies). Two things are
//! read off each:
//!
//! - the **rise**: how many times as bad as usual it is now. The null of the judged
//!   service rises with it, so what hits both at once is no evidence, and a control
//!   that is quiet costs nothing. (Lindon and Malek 2022: a shared intensity
//!   cancels; testing the new against the old outright would need bad events in the
//!   control, of which a healthy one has none.)
//! - since when it is **broken** itself, by the same test that judges the service.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::baseline::{Baseline, Usual};
use super::evidence::Cap;
use super::probe::{Lift, NullKind, Probes, counted, nulls};
use super::recent::Recent;
use super::value::Pool;
use crate::policy::Check;

/// Why a service is looked at beside the judged one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = ControlRole)]
pub enum Role {
    OldRevision,
    Peer,
    Dependency,
}

/// One control of one check.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Control {
    pub role: Role,
    pub baseline: Baseline,
    probes: Probes,
    recent: Recent,
    /// Since when it is broken itself.
    pub broken_since: Option<Timestamp>,
}

/// ln E at which a control counts as broken: E = 10. It only ever holds back.
const BROKEN: f64 = 2.3;
/// Samples that a rise is estimated from.
const RISE_OVER: usize = 5;
/// A control that is at most so many times as bad as usual is well again.
const RECOVERED: f64 = 1.5;
/// Intervals after which the latest sample says nothing about now.
const STALE: i32 = 3;
/// The judged service may suffer this much more from a shared cause than its control.
const AMPLIFIED: f64 = 1.5;

impl Control {
    pub fn new(role: Role) -> Self {
        Self {
            role,
            baseline: Baseline::Pending,
            probes: Probes::default(),
            recent: Recent::default(),
            broken_since: None,
        }
    }

    /// Takes a sample in. `baseline`: the control's own, or the service's for its old
    /// revision.
    pub fn add(&mut self, check: &Check, at: Timestamp, pool: Pool, interval: SignedDuration) {
        let Some(reference) = self.baseline.reference().cloned() else { return };
        let nulls = nulls(check, &[&reference], |_| Lift::NONE);
        self.probes.add(check, at, &pool, &nulls, Cap::new(BROKEN.exp().recip(), 2.0));
        self.recent.push(at, pool, interval, interval, 0.0);
        let worst = nulls.iter().map(|null| self.observed_over_usual(check, null.bound).rise);
        let suffers = worst.fold(1.0, f64::max) > RECOVERED;
        // Evidence falls slowly where there is little traffic; what is over excuses nobody.
        let broken = suffers && self.probes.ln() >= BROKEN;
        let began = self.baseline.reference().and_then(|one| one.began).filter(|_| suffers);
        self.broken_since = (broken || began.is_some())
            .then(|| self.broken_since.or(began).or_else(|| self.probes.since()))
            .flatten();
    }

    /// Whether it has been measured lately.
    pub fn is_fresh(&self, at: Timestamp, interval: SignedDuration) -> bool {
        self.recent.last_at().is_some_and(|last| at.duration_since(last) <= interval * STALE)
    }

    /// Whether it was measured before and gives nothing (any more).
    pub fn is_silent(&self, at: Timestamp, interval: SignedDuration) -> bool {
        let heard = self.recent.latest(1).any(|pool| pool.total() > 0.0);
        self.baseline.reference().is_some() && !(heard && self.is_fresh(at, interval))
    }

    /// How much worse than usual it is now, under the test of `bound`. Nothing where it
    /// is not measured (any more).
    pub fn lift(
        &self,
        check: &Check,
        bound: Option<f64>,
        at: Timestamp,
        interval: SignedDuration,
    ) -> Lift {
        if !self.is_fresh(at, interval) {
            return Lift::NONE;
        }
        let lift = self.observed_over_usual(check, bound);
        Lift { rise: 1.0 + (lift.rise - 1.0) * AMPLIFIED, excess: lift.excess * AMPLIFIED }
    }

    fn observed_over_usual(&self, check: &Check, bound: Option<f64>) -> Lift {
        let Some(reference) = self.baseline.reference() else { return Lift::NONE };
        match &reference.usual {
            Usual::Share(share) => self.lift_of_counts(bound, share.mean, share.phi),
            Usual::Slower { pooled, shares } => {
                let slower = |bound: f64| pooled.bounds.iter().rposition(|b| *b <= bound);
                let share = bound.and_then(slower).and_then(|index| shares.get(index));
                share.map_or(Lift::NONE, |share| self.lift_of_counts(bound, share.mean, share.phi))
            }
            Usual::Level(level) => {
                let values = self.recent.latest(RISE_OVER).filter_map(|pool| pool.worst(check));
                let mut values: Vec<f64> = values.collect();
                values.sort_by(f64::total_cmp);
                let now = values.get(values.len() / 2).copied().unwrap_or(level.median);
                let upward = check.higher_is_worse();
                let ratio = if upward { now / level.median } else { level.median / now };
                let rise = if ratio.is_finite() { ratio.max(1.0) } else { 1.0 };
                Lift { rise, excess: 0.0 }
            }
        }
    }

    /// Observed, less half its standard deviation, over expected, both with one event
    /// added, and what it is more than usual as a share: a control without bad events,
    /// or hardly used, shows neither.
    fn lift_of_counts(&self, bound: Option<f64>, usual: f64, phi: f64) -> Lift {
        let over = |samples: usize| {
            let (mut bad, mut total) = (0.0, 0.0);
            for counts in self.recent.latest(samples).filter_map(|pool| counted(pool, bound)) {
                bad += counts.bad / phi;
                total += counts.total / phi;
            }
            let (surely, expected) = (bad - bad.sqrt() / 2.0, total * usual);
            Lift {
                rise: ((surely + 1.0) / (expected + 1.0)).max(1.0),
                excess: if bad >= 2.0 { (surely / total - usual).max(0.0) } else { 0.0 },
            }
        };
        // A burst shows in the latest samples first.
        over(RISE_OVER).max(over(RISE_OVER / 2))
    }
}

/// What the null is, in words' numbers: the share or the level.
pub fn null_value(kind: &NullKind) -> f64 {
    match kind {
        NullKind::Share { at_most, .. } => *at_most,
        NullKind::Level { limit, .. } => *limit,
    }
}
