//! A verdict with its reason, in words and numbers.

use jiff::SignedDuration;

use super::Blame;
use super::observe::{CheckState, Judgement, Sample, Weight, Window};
use super::verdict::Found;
use crate::model::Verdict;
use crate::policy::{Check, Measure};

impl CheckState {
    pub(super) fn judgement(
        &self,
        check: &Check,
        sample: &Sample<'_>,
        window: &Window,
        weight: Option<Weight>,
        found: Option<(Found, Blame)>,
    ) -> Judgement {
        let value = window.value;
        let outside = check.normal.is_some_and(|normal| !normal.contains(value));
        let exceeds = match &check.measure {
            Measure::Status { .. } => self.failures > 0,
            Measure::Ratio { .. } | Measure::Latency { .. } | Measure::Gauge { .. } => {
                check.breach.values().any(|limit| limit.bound.contains(value))
            }
        };
        let worse = self.is_worse(check, &window.pool);
        let verdict = match &found {
            Some(_) => Verdict::Breach,
            None if outside || exceeds => Verdict::Elevated,
            None => Verdict::Healthy,
        };
        let back_to_normal = found.is_none()
            && !exceeds
            && if check.normal.is_some() {
                !outside || worse == Some(false)
            } else {
                worse != Some(true)
            };
        let reason = self.reason(check, window, weight.as_ref(), found.as_ref(), exceeds, outside);
        Judgement {
            at: sample.at,
            verdict,
            severity: found.as_ref().map(|(found, _)| found.severity),
            limit: found.as_ref().map(|(found, _)| found.limit.clone()),
            blame: found.map(|(_, blame)| blame),
            value: Some(value),
            traffic: window.traffic,
            weight,
            back_to_normal,
            reason,
        }
    }

    fn reason(
        &self,
        check: &Check,
        window: &Window,
        weight: Option<&Weight>,
        found: Option<&(Found, Blame)>,
        exceeds: bool,
        outside: bool,
    ) -> String {
        let of = window.of.as_deref().map(|series| format!(" ({series})")).unwrap_or_default();
        let shown = match &check.measure {
            Measure::Status { .. } if self.failures == 0 => "up".to_owned(),
            Measure::Status { .. } => check.unit().show(f64::from(self.failures)) + &of,
            Measure::Ratio { .. } | Measure::Latency { .. } | Measure::Gauge { .. } => {
                format!("{}{of}", check.show(window.value))
            }
        };
        match found {
            Some((found, blame)) => {
                let chance = weight
                    .filter(|_| found.proven)
                    .map(|weight| format!("; by chance 1 in {}", odds(weight.ln_e)))
                    .unwrap_or_default();
                let blame = match blame.in_words() {
                    words if words.is_empty() => words,
                    words => format!("; not this deployment's doing: {words}"),
                };
                let overall = found.overall.zip(found.since).map(|(value, since)| {
                    let since = since.strftime("%H:%M:%S UTC");
                    format!(" now, {} since {since}", check.show(value))
                });
                let overall = overall.unwrap_or_default();
                let limit = if found.trend { "" } else { "limit " };
                format!("{shown}{overall}, {limit}{}{chance}{blame}", found.limit)
            }
            None if exceeds => match weight.filter(|weight| weight.ln_e < weight.needed) {
                Some(weight) if weight.with_held >= weight.needed => {
                    let passed = SignedDuration::try_from_secs_f64(self.passed_before().longest());
                    let passed = passed.unwrap_or_default();
                    format!("{shown}: over a limit, as for up to {passed:#} at a time before")
                }
                // One in one is chance itself.
                Some(weight) if check.counts_events() && weight.ln_e.exp() < 1.5 => {
                    format!("{shown}: over a limit, and no sign of a change")
                }
                Some(weight) if check.counts_events() => format!(
                    "{shown}: over a limit, and by chance 1 in {} (1 in {} is needed)",
                    odds(weight.ln_e),
                    odds(weight.needed)
                ),
                Some(_) | None => format!("{shown}: over a limit, not for long enough yet"),
            },
            None if outside => format!("{shown}: outside normal"),
            None => shown,
        }
    }
}

/// E in words: at least 1.
fn odds(ln_e: f64) -> String {
    let odds = ln_e.clamp(0.0, 30.0).exp();
    if odds >= 1e6 { "a million or more".to_owned() } else { format!("{odds:.0}") }
}
