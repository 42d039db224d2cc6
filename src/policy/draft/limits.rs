//! Limits that the last days would not have broken.

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

pub(super) fn errors(measured: Option<Errors>) -> Limits {
    let Some(Errors { share, worst, .. }) = measured else { return LEAST_ERRORS };
    let sev2 = rounded(worst * 1.5).clamp(LEAST_ERRORS.sev2, 0.8);
    let sev1 = rounded(sev2 * 3.0).clamp(LEAST_ERRORS.sev1, 0.95);
    let normal = rounded(share * 1.5).clamp(LEAST_ERRORS.normal, sev2 / 2.0);
    Limits { normal, sev2, sev1 }
}

pub(super) fn latency(measured: Option<Usual>) -> Limits {
    let Some(Usual { median, worst }) = measured else { return SOME_LATENCY };
    let sev2 = rounded((worst * 1.5).max(LEAST_LATENCY));
    let normal = rounded(median * 1.2).clamp(LEAST_LATENCY / 10.0, sev2 / 2.0);
    let normal = if normal < median { (median * 1.1).min(sev2 * 0.9) } else { normal };
    Limits { normal, sev2, sev1: rounded(sev2 * 4.0) }
}

/// Of a share of what there is. `top`: where it ends; nothing is drafted beyond it.
pub(super) fn usage(measured: Option<Usual>, top: f64) -> Limits {
    let Usual { median, worst } = measured.unwrap_or(Usual { median: 0.0, worst: 0.0 });
    let sev2 = fives(worst + 0.05).clamp(0.8, top);
    let normal = fives(median * 1.1).clamp(0.6, sev2 - 0.05);
    Limits { normal, sev2, sev1: top }
}

/// Up to the next number that people would choose.
fn rounded(value: f64) -> f64 {
    const STEPS: [f64; 10] = [1.0, 1.2, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 8.0];
    if !value.is_finite() || value <= 0.0 {
        return 0.0;
    }
    let ten = 10_f64.powf(value.log10().floor());
    let step = STEPS.into_iter().find(|step| step * ten >= value * (1.0 - 1e-9));
    // Six digits, without what binary fractions add.
    let found = step.unwrap_or(10.0) * ten;
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
    fn numbers_are_rounded_up_to_what_people_would_choose() {
        for (value, chosen) in
            [(0.0, 0.0), (0.0123, 0.015), (0.1, 0.1), (0.273, 0.3), (9.1, 10.0), (61.0, 80.0)]
        {
            assert!((rounded(value) - chosen).abs() < 1e-12, "{value}: {}", rounded(value));
        }
        assert!((fives(0.81) - 0.85).abs() < 1e-12 && (fives(0.85) - 0.85).abs() < 1e-12);
    }

    #[test]
    fn limits_ascend_whatever_was_measured_and_the_past_would_not_have_broken_them() {
        for exponent in -12..=4 {
            for step in [1.0, 1.3, 2.6, 7.9, 9.99] {
                let worst = step * 10_f64.powi(exponent);
                for part in [1.0, 0.9, 0.5, 0.01, 0.0] {
                    let median = worst * part;
                    let latency = latency(Some(Usual { median, worst }));
                    ascend(latency);
                    assert!(latency.sev2 > worst, "{worst}: {latency:?}");
                    assert!(latency.normal >= median, "{median}: {latency:?}");
                    let (share, hour) = (median.min(1.0), worst.min(1.0));
                    let errors = errors(Some(Errors { requests: 1e6, share, worst: hour }));
                    ascend(errors);
                    assert!(errors.sev2 > hour.min(0.7), "{hour}: {errors:?}");
                    let usage = usage(Some(Usual { median, worst }), 0.95);
                    assert!(usage.normal < usage.sev2 && usage.sev2 <= 0.95, "{usage:?}");
                }
            }
        }
        for unmeasured in [errors(None), latency(None)] {
            ascend(unmeasured);
        }
    }

    fn ascend(limits: Limits) {
        let Limits { normal, sev2, sev1 } = limits;
        assert!(0.0 < normal && normal < sev2 && sev2 < sev1, "{limits:?}");
    }
}
