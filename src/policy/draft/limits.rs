//! Limits with some room above the worst of a usual day. One bad hour moves none of them:
//! a guard that takes an outage for usual sees no other.

use super::history::{Errors, Usual};

/// Inside `normal` all is well; the rest are the limits of their severity. Each is worse than
/// the one before it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Limits {
    pub normal: f64,
    pub sev2: f64,
    /// Where a number alone is reason enough to roll back.
    pub sev1: f64,
}

/// The least that is drafted of shares of errors: nothing is so quiet that it may not err once.
const LEAST_ERRORS: Limits = Limits { normal: 0.001, sev2: 0.01, sev1: 0.1 };
/// Of a latency that nobody has measured, in seconds.
const SOME_LATENCY: Limits = Limits { normal: 0.2, sev2: 0.5, sev1: 5.0 };
/// Milliseconds below this are nobody's complaint.
const LEAST_LATENCY: f64 = 0.05;

/// More failures than this are never usual, whatever was measured.
const MOST_ERRORS: Limits = Limits { normal: 0.05, sev2: 0.1, sev1: 0.5 };
/// A latency of so many times the middle is never usual, unless it comes daily.
const MOST_TIMES: f64 = 3.0;

pub(super) fn errors(measured: Option<Errors>) -> Limits {
    let Some(Errors { share, hours, .. }) = measured else { return LEAST_ERRORS };
    let daily = hours.map_or(0.0, |hours| hours.daily);
    let sev2 = rounded(daily * 1.5).clamp(LEAST_ERRORS.sev2, MOST_ERRORS.sev2);
    let sev1 = rounded(sev2 * 3.0).clamp(LEAST_ERRORS.sev1, MOST_ERRORS.sev1);
    // An outage is in the share of all days too.
    let usual = hours.map_or(share, |hours| share.min(hours.daily));
    let normal = rounded(usual * 1.5).clamp(LEAST_ERRORS.normal, sev2 / 2.0);
    Limits { normal, sev2, sev1 }
}

pub(super) fn latency(measured: Option<Usual>) -> Limits {
    let Some(Usual { median, daily, .. }) = measured else { return SOME_LATENCY };
    let (roomy, tight) = (rounded(daily * 1.5), rounded(daily * 1.2));
    let sev2 = roomy.min(rounded_down(median * MOST_TIMES).max(tight)).max(LEAST_LATENCY);
    let normal = rounded(median * 1.2).clamp(LEAST_LATENCY / 10.0, sev2 / 2.0);
    let normal = if normal < median { (median * 1.1).min(sev2 * 0.9) } else { normal };
    Limits { normal, sev2, sev1: rounded(sev2 * 4.0) }
}

/// Of a share of what there is. `top`: where it ends; nothing is drafted beyond it.
pub(super) fn usage(measured: Option<Usual>, top: f64) -> Limits {
    let (median, daily) = measured.map_or((0.0, 0.0), |usual| (usual.median, usual.daily));
    let sev2 = fives(daily + 0.05).clamp(0.8, top);
    let normal = fives(median * 1.1).clamp(0.6, sev2 - 0.05);
    Limits { normal, sev2, sev1: top }
}

/// Numbers that people choose, of each power of ten.
const STEPS: [f64; 10] = [1.0, 1.2, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 8.0];

/// Up to the next number that people would choose.
fn rounded(value: f64) -> f64 {
    stepped(value, |ten| {
        STEPS.into_iter().find(|step| step * ten >= value * (1.0 - 1e-9)).unwrap_or(10.0)
    })
}

/// Down to the number before.
fn rounded_down(value: f64) -> f64 {
    stepped(value, |ten| {
        STEPS.into_iter().rfind(|step| step * ten <= value * (1.0 + 1e-9)).unwrap_or(1.0)
    })
}

fn stepped(value: f64, step: impl Fn(f64) -> f64) -> f64 {
    if !value.is_finite() || value <= 0.0 {
        return 0.0;
    }
    let ten = 10_f64.powf(value.log10().floor());
    // Six digits, without what binary fractions add.
    let found = step(ten) * ten;
    format!("{found:.6e}").parse().unwrap_or(found)
}

/// Up to the next five percent.
fn fives(share: f64) -> f64 {
    (share * 20.0 - 1e-9).ceil() / 20.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_rounded_to_what_people_would_choose() {
        for (value, chosen) in
            [(0.0, 0.0), (0.0123, 0.015), (0.1, 0.1), (0.273, 0.3), (9.1, 10.0), (61.0, 80.0)]
        {
            assert!((rounded(value) - chosen).abs() < 1e-12, "{value}: {}", rounded(value));
        }
        for (value, chosen) in [(0.0, 0.0), (0.0123, 0.012), (0.1, 0.1), (0.273, 0.25), (9.1, 8.0)]
        {
            let found = rounded_down(value);
            assert!((found - chosen).abs() < 1e-12, "{value}: {found}");
        }
        assert!((fives(0.81) - 0.85).abs() < 1e-12 && (fives(0.85) - 0.85).abs() < 1e-12);
    }

    #[test]
    fn limits_ascend_whatever_was_measured_and_a_usual_day_breaks_none_that_is_not_capped() {
        for exponent in -12..=4 {
            for step in [1.0, 1.3, 2.6, 7.9, 9.99] {
                let daily = step * 10_f64.powi(exponent);
                for part in [1.0, 0.9, 0.5, 0.01, 0.0] {
                    let (median, worst) = (daily * part, daily * 100.0);
                    let usual = Usual { median, daily, worst };
                    let latency = latency(Some(usual));
                    ascend(latency);
                    assert!(latency.sev2 > daily, "{daily}: {latency:?}");
                    assert!(latency.normal >= median, "{median}: {latency:?}");
                    let share = |value: f64| value.min(1.0);
                    let hours =
                        Usual { median: share(median), daily: share(daily), worst: share(worst) };
                    let measured =
                        Errors { requests: 1e6, share: share(daily), hours: Some(hours) };
                    let errors = errors(Some(measured));
                    ascend(errors);
                    assert!(errors.sev2 > share(daily).min(0.099), "{daily}: {errors:?}");
                    assert!(errors.sev2 <= 0.1 && errors.sev1 <= 0.5, "{errors:?}");
                    let usage = usage(Some(usual), 0.95);
                    assert!(usage.normal < usage.sev2 && usage.sev2 <= 0.95, "{usage:?}");
                }
            }
        }
        for unmeasured in [errors(None), latency(None)] {
            ascend(unmeasured);
        }
    }

    #[test]
    fn a_latency_that_is_rarely_slow_is_held_to_three_times_the_middle() {
        let of = |daily: f64| latency(Some(Usual { median: 0.1, daily, worst: 60.0 })).sev2;
        assert!((of(0.1) - 0.15).abs() < 1e-9, "{}", of(0.1));
        assert!((of(0.24) - 0.3).abs() < 1e-9, "{}", of(0.24));
        // What comes daily is borne.
        assert!((of(1.0) - 1.2).abs() < 1e-9, "{}", of(1.0));
    }

    fn ascend(limits: Limits) {
        let Limits { normal, sev2, sev1 } = limits;
        assert!(0.0 < normal && normal < sev2 && sev2 < sev1, "{limits:?}");
    }
}
