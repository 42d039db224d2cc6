//! From value and evidence to a verdict.

use jiff::Timestamp;

use super::baseline::{Reference, Usual};
use super::control::Role;
use super::evidence::{counts, leak::Wall, status};
use super::observe::{CheckState, Judgement, Sample, Unmeasured, Weight, Window};
use super::probe::least_rise;
use super::value::{self, Pool};
use super::{Blame, Streak};
use crate::model::{Severity, Verdict};
use crate::policy::{Against, Check, Limit, Measure};

/// Bad events below which a ratio is no breach: one unlucky request is never a reason
/// to roll back.
const LEAST_BAD_EVENTS: f64 = 3.0;
/// How sure one must be that a limit worse than the mildest is exceeded.
const SURE: f64 = 0.8;
/// How sure that the mildest is, once it is sure that something changed.
const AS_LIKELY_AS_NOT: f64 = 0.5;

/// Samples that must still show it, together.
const LATELY: i32 = 3;

/// A breach that was found, before the question whose doing it is.
pub(super) struct Found {
    pub severity: Severity,
    pub limit: String,
    /// Since when.
    pub since: Option<Timestamp>,
    /// Whether the evidence, which has controls and baselines in it, says so.
    pub proven: bool,
    /// What it comes to since then, where the latest window alone is not beyond the limit.
    pub overall: Option<f64>,
    /// Whether it is a trend towards a limit, and not beyond it.
    pub trend: bool,
}

impl CheckState {
    pub(super) fn judge(
        &mut self,
        check: &Check,
        sample: &Sample<'_>,
        window: &Window,
        weight: Option<Weight>,
    ) -> Result<Judgement, Unmeasured> {
        let over = self.over(check, sample, window);
        let found = [
            self.sequential(check, sample, window, weight.as_ref()),
            self.held(check, &over, sample),
            self.leaking(check, sample, window),
        ];
        let found = found.into_iter().flatten().min_by_key(|found| found.severity);
        let found = found.or_else(|| self.failing(check, sample));
        let found = match found {
            Some(found) => {
                let blame = self.blame(check, &found, window, sample);
                Some((found, blame))
            }
            None => self.excused_breach(check, &over, window, sample),
        };
        self.excused = match &found {
            Some((_, blame)) => (!blame.is_ours()).then(|| blame.clone()),
            None => self.excused.take().filter(|_| self.back_since.is_none()),
        };
        if found.is_none() {
            self.measures(check, window, weight.as_ref())?;
        }
        Ok(self.judgement(check, sample, window, weight, found))
    }

    /// Whether there is enough to tell anything at all.
    fn measures(
        &self,
        check: &Check,
        window: &Window,
        weight: Option<&Weight>,
    ) -> Result<(), Unmeasured> {
        if check.breach.is_empty() && check.leak.is_none() && self.references().next().is_none() {
            let because = self.missing_baseline().unwrap_or_else(|| "not measured yet".to_owned());
            return Err((Verdict::NoData, None, format!("no baseline to judge by: {because}")));
        }
        match window.traffic.filter(|events| *events < check.min_traffic) {
            None => Ok(()),
            Some(events) => {
                let by_now = weight
                    .and_then(|weight| weight.detectable)
                    .map(|share| format!("; a rise to {} would have shown", check.show(share)))
                    .unwrap_or_default();
                let least = check.min_traffic;
                let reason = format!("{events:.0} events, at least {least} are needed{by_now}");
                Err((Verdict::LowTraffic, window.traffic, reason))
            }
        }
    }

    /// Evidence that something changed, and an estimate beyond a limit.
    fn sequential(
        &self,
        check: &Check,
        sample: &Sample<'_>,
        window: &Window,
        weight: Option<&Weight>,
    ) -> Option<Found> {
        let weight = weight.filter(|weight| sample.counts && weight.ln_e >= weight.needed)?;
        let since = weight.since?;
        let before = since.checked_sub(jiff::SignedDuration::from_millis(1)).ok()?;
        let estimate = self.recent.after(before)?;
        let lately = self.recent.after(sample.at.checked_sub(sample.interval * LATELY).ok()?);
        let lately = lately.and_then(|pool| value::of(check, &pool)).unwrap_or(window.value);
        let overall = value::of(check, &estimate);
        let found = |severity, limit, beyond: bool| {
            let overall = overall.filter(|_| !beyond);
            Some(Found { severity, limit, since: Some(since), proven: true, overall, trend: false })
        };
        let phi = self.references().map(|(_, one)| phi(one)).fold(1.0, f64::max);
        let limits: Vec<(&Severity, &Limit)> =
            check.breach.iter().filter(|(_, limit)| limit.hold.is_none()).collect();
        for (index, (severity, limit)) in limits.iter().enumerate() {
            let Some((share, counts)) = value::against(check, &estimate, limit.bound.value) else {
                continue;
            };
            let mildest = index + 1 == limits.len();
            let sure = if mildest { AS_LIKELY_AS_NOT } else { SURE };
            if limit.bound.contains(lately)
                && counts.bad >= LEAST_BAD_EVENTS
                && counts.total >= check.min_traffic
                && counts::chance_above(share, counts, phi) >= sure
            {
                let beyond = limit.bound.contains(window.value);
                return found(**severity, limit.to_string(), beyond);
            }
        }
        let rule = check.baseline.as_ref()?;
        let outside = check.normal.is_none_or(|normal| !normal.contains(window.value));
        let worse = (!check.counts_events() || estimate.total() >= check.min_traffic)
            && self.is_worse(check, &estimate) == Some(true)
            && self.is_worse_now(check, sample) != Some(false);
        let beyond = self.is_worse(check, &window.pool) == Some(true);
        (outside && worse).then(|| found(rule.severity, self.relative_limit(check), beyond))?
    }

    /// Whether `pool` is worse by the policy's factor than *every* usable baseline;
    /// `None` without one.
    pub(super) fn is_worse(&self, check: &Check, pool: &Pool) -> Option<bool> {
        let rule = check.baseline.as_ref()?;
        let now = value::of(check, pool)?;
        self.references()
            .map(|(_, reference)| match (&reference.usual, pool) {
                (Usual::Share(share), Pool::Counts(counts)) => {
                    counts.bad >= LEAST_BAD_EVENTS
                        && counts
                            .share()
                            .is_some_and(|bad| bad > least_rise(share.mean, rule.worse_by))
                }
                (Usual::Share(_) | Usual::Slower { .. } | Usual::Level(_), _)
                    if reference.value <= 0.0 =>
                {
                    // No factor says anything of nothing; what is normal does.
                    now > 0.0
                        && check.higher_is_worse()
                        && check.normal.is_some_and(|normal| !normal.contains(now))
                }
                (Usual::Share(_) | Usual::Slower { .. } | Usual::Level(_), _) => {
                    if check.higher_is_worse() {
                        now > reference.value * rule.worse_by
                    } else {
                        now < reference.value / rule.worse_by
                    }
                }
            })
            .reduce(|all, one| all && one)
    }

    fn is_worse_now(&self, check: &Check, sample: &Sample<'_>) -> Option<bool> {
        let lately = self.recent.after(sample.at.checked_sub(sample.interval * LATELY).ok()?)?;
        match &lately {
            // So few bad events say nothing against it.
            Pool::Counts(counts) if counts.bad < LEAST_BAD_EVENTS => None,
            Pool::Counts(_) | Pool::Histogram(_) | Pool::Values(_) => self.is_worse(check, &lately),
        }
    }

    fn relative_limit(&self, check: &Check) -> String {
        let by = check.baseline.as_ref().map_or(1.0, |rule| rule.worse_by);
        let of_nothing = |one: &Reference| match one.usual {
            Usual::Share(_) => false,
            Usual::Slower { .. } | Usual::Level(_) => one.value <= 0.0,
        };
        let values = |nothing: bool| {
            let those = self.references().filter(|(_, one)| of_nothing(one) == nothing);
            let values = those
                .map(|(against, one)| format!("{} {}", against.in_words(), check.show(one.value)));
            values.collect::<Vec<String>>().join(" and ")
        };
        let (some, nothing) = (values(false), values(true));
        let factor = (!some.is_empty()).then(|| format!("{by}x worse than {some}"));
        let normal = check.normal.filter(|_| !nothing.is_empty());
        let normal = normal.map(|normal| format!("normal {normal}, {nothing}"));
        factor.into_iter().chain(normal).collect::<Vec<String>>().join(" and ")
    }

    /// Every limit that the window is beyond, with since when.
    fn over(
        &mut self,
        check: &Check,
        sample: &Sample<'_>,
        window: &Window,
    ) -> Vec<(Severity, Limit, Streak)> {
        if let Measure::Status { .. } = check.measure {
            // Its limits count failures; 1 stands for "up", and is no failure.
            return Vec::new();
        }
        let enough = window.traffic.is_none_or(|events| events >= check.min_traffic)
            && match &window.pool {
                Pool::Counts(counts) => counts.bad >= LEAST_BAD_EVENTS,
                Pool::Histogram(_) | Pool::Values(_) => true,
            };
        let mut over = Vec::new();
        for (severity, limit) in &check.breach {
            let before = self.exceeded.remove(severity);
            let holds = sample.counts && enough && limit.bound.contains(window.value);
            if let Some(streak) = Streak::after(before, sample.at, holds) {
                self.exceeded.insert(*severity, streak);
                over.push((*severity, *limit, streak));
            }
        }
        over
    }

    /// The worst plain limit that has held for long enough: one with `for`, or one of a
    /// value without counts behind it. `for` counts from the first look that found it
    /// exceeded, as Prometheus does; but a spike that only the window still remembers has
    /// not lasted.
    fn held(
        &self,
        check: &Check,
        over: &[(Severity, Limit, Streak)],
        sample: &Sample<'_>,
    ) -> Option<Found> {
        over.iter()
            .filter(|(_, limit, _)| limit.hold.is_some() || !check.counts_events())
            .filter(|(_, limit, _)| !self.is_over(check, sample, limit))
            .find(|(_, limit, streak)| streak.lasted(sample.at, limit.hold))
            .map(|(severity, limit, streak)| Found {
                severity: *severity,
                limit: limit.to_string(),
                since: Some(streak.since),
                proven: false,
                overall: None,
                trend: false,
            })
    }

    /// Whether what exceeded `limit` is over though the window is still beyond it: the
    /// newest sample, or the newest three together, are inside, with enough traffic to
    /// tell. What looks back over a window of its own can't be asked that.
    fn is_over(&self, check: &Check, sample: &Sample<'_>, limit: &Limit) -> bool {
        check.counts_events()
            && !check.overlaps()
            && [1, LATELY].into_iter().any(|samples| {
                let from = sample.at.checked_sub(sample.interval * samples).ok();
                let pool = from.and_then(|from| self.recent.after(from));
                pool.filter(|pool| pool.total() >= check.min_traffic.max(1.0))
                    .and_then(|pool| value::of(check, &pool))
                    .is_some_and(|value| !limit.bound.contains(value))
            })
    }

    fn leaking(&mut self, check: &Check, sample: &Sample<'_>, window: &Window) -> Option<Found> {
        let rule = check.leak.as_ref()?;
        if sample.counts {
            self.trend.add(sample.at, window.value);
        }
        let usual = self
            .references()
            .filter_map(|(_, one)| match &one.usual {
                Usual::Level(level) => Some(level.slope),
                Usual::Share(_) | Usual::Slower { .. } => None,
            })
            .fold(0.0, f64::max);
        let leak = self.trend.leak(Wall { value: rule.wall, within: rule.within, usual })?;
        let limit = format!(
            "climbs by {} an hour, {} is reached at {}",
            check.show(leak.slope * 3600.0),
            check.show(rule.wall),
            leak.wall_at.strftime("%Y-%m-%d %H:%M UTC")
        );
        Some(Found {
            severity: rule.severity,
            limit,
            since: Some(leak.since),
            proven: false,
            overall: None,
            trend: true,
        })
    }

    fn failing(&mut self, check: &Check, sample: &Sample<'_>) -> Option<Found> {
        let (Measure::Status { .. }, Some(Pool::Values(values))) =
            (&check.measure, self.recent.latest(1).next())
        else {
            return None;
        };
        let before = if sample.counts { self.failures } else { 0 };
        self.failures = status::failures(before, values.iter().map(|(_, value)| *value));
        let running = f64::from(self.failures);
        let (severity, limit) =
            check.breach.iter().find(|(_, limit)| limit.bound.contains(running))?;
        sample.counts.then(|| Found {
            severity: *severity,
            limit: limit.to_string(),
            since: None,
            proven: false,
            overall: None,
            trend: false,
        })
    }

    /// A limit that is exceeded though the evidence does not speak against the
    /// deployment, because something else explains it. People hear of it all the same.
    fn excused_breach(
        &self,
        check: &Check,
        over: &[(Severity, Limit, Streak)],
        window: &Window,
        sample: &Sample<'_>,
    ) -> Option<(Found, Blame)> {
        let (severity, limit, streak) =
            over.iter().find(|(_, limit, streak)| streak.lasted(sample.at, limit.hold))?;
        let found = Found {
            severity: *severity,
            limit: limit.to_string(),
            since: Some(streak.since),
            proven: false,
            overall: None,
            trend: false,
        };
        let blame = self.blame(check, &found, window, sample);
        (!blame.is_ours()).then_some((found, blame))
    }

    /// Whose doing it is. What is proven has the controls' rise and the baselines in its
    /// null already; only a dependency that broke first, or a control that was seen to
    /// break and can't be seen any more, speaks against it.
    fn blame(&self, check: &Check, found: &Found, window: &Window, sample: &Sample<'_>) -> Blame {
        let since = found.since.unwrap_or(sample.at);
        if let Some(blame) = self.beside(since, found.proven, sample) {
            return blame;
        }
        if let Some(Blame::Shared { with, since }) = &self.excused {
            let gone = self
                .controls
                .get(with)
                .is_none_or(|control| !control.is_fresh(sample.at, sample.interval));
            if gone {
                return Blame::Shared { with: with.clone(), since: *since };
            }
        }
        if found.proven {
            return Blame::Deployment;
        }
        for (against, reference) in self.references() {
            let just_before = against == Against::Before && !much_worse(check, reference, window);
            if let Some(began) = reference.began.filter(|_| just_before) {
                return Blame::Before { since: Some(began) };
            }
            let over = check.breach.get(&found.severity).is_some_and(|limit| {
                limit.bound.contains(reference.value) && !much_worse(check, reference, window)
            });
            if over {
                return Blame::Before { since: None };
            }
        }
        Blame::Deployment
    }

    /// A control that breaks too, or a dependency that broke before `since`.
    pub(super) fn beside(
        &self,
        since: Timestamp,
        proven: bool,
        sample: &Sample<'_>,
    ) -> Option<Blame> {
        let slack = sample.interval;
        for (name, control) in &self.controls {
            let fresh = control.is_fresh(sample.at, sample.interval);
            let Some(broken) = control.broken_since.filter(|_| fresh) else { continue };
            match control.role {
                Role::Dependency if broken <= since.checked_add(slack).unwrap_or(since) => {
                    return Some(Blame::Dependency { service: name.clone(), since: broken });
                }
                Role::Peer | Role::OldRevision if !proven => {
                    return Some(Blame::Shared { with: name.clone(), since: broken });
                }
                Role::Dependency | Role::Peer | Role::OldRevision => {}
            }
        }
        None
    }

    fn missing_baseline(&self) -> Option<String> {
        self.baselines.values().find_map(|one| match one {
            super::Baseline::Missing { because } => Some(because.clone()),
            super::Baseline::Pending | super::Baseline::Measured(_) => None,
        })
    }
}

fn phi(reference: &Reference) -> f64 {
    match &reference.usual {
        Usual::Share(share) => share.phi,
        Usual::Slower { shares, .. } => shares.iter().map(|share| share.phi).fold(1.0, f64::max),
        Usual::Level(_) => 1.0,
    }
}

/// Half as bad again as it was.
fn much_worse(check: &Check, reference: &Reference, window: &Window) -> bool {
    const HALF_AGAIN: f64 = 1.5;
    match (&reference.usual, &window.pool) {
        (Usual::Share(share), Pool::Counts(counts)) => {
            counts.share().is_some_and(|bad| bad > share.mean * HALF_AGAIN)
        }
        (Usual::Share(_) | Usual::Slower { .. } | Usual::Level(_), _) => {
            if check.higher_is_worse() {
                window.value > reference.value * HALF_AGAIN
            } else {
                window.value < reference.value / HALF_AGAIN
            }
        }
    }
}
