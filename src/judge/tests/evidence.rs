//! The kinds of evidence by themselves: what a sample says.

use proptest::prelude::*;

use super::*;
use crate::judge::evidence::{
    ALTERNATIVES, Cap, Evidence, Search, Transients, counts as of_counts, series, status,
};

const LOOSE: f64 = 1e-200;

fn ln_e(samples: &[(f64, f64)], null: f64, phi: f64, alpha: f64) -> f64 {
    ln_e_after(&Transients::default(), samples, null, phi, alpha)
}

fn ln_e_after(before: &Transients, samples: &[(f64, f64)], null: f64, phi: f64, alpha: f64) -> f64 {
    let mut evidence = Evidence::default();
    for ((bad, total), second) in samples.iter().zip(0..) {
        let counts = Counts { bad: *bad, total: *total };
        let ratios = of_counts::ratios(counts, null, phi);
        evidence.add(at(second), ratios, Cap::new(alpha, 3.0).outlasting(before));
    }
    evidence.ln()
}

/// Two spells of so many seconds, of sizes up to this alternative.
fn spells(seconds: i64, up_to: usize) -> Transients {
    let mut search = Search::default();
    for start in [0, 1000] {
        for second in start..=start + seconds {
            let speaks = if second < start + seconds { 4.0 } else { -1e3 };
            let ratios = std::array::from_fn(|index| if index <= up_to { speaks } else { -1e3 });
            search.add(at(second), at(second + 1), ratios);
        }
    }
    search.found()
}

#[test]
fn what_passed_twice_must_be_outlasted_and_what_passed_once_need_not() {
    let bad = vec![(20.0, 100.0); 60];
    let first = |before: &Transients| {
        let needed = (1.0 / ALPHA).ln();
        (1..=60).find(|until| ln_e_after(before, &bad[..*until], 0.01, 1.0, ALPHA) >= needed)
    };
    assert_eq!(first(&Transients::default()), Some(3));
    assert_eq!(first(&spells(20, 6)), Some(31), "half as long again");
    assert!((spells(20, 6).of(6) - 20.0).abs() < 1e-9);
    assert_eq!(spells(900, 6), Transients::default(), "no transient but another state");
    let mut once = Search::default();
    (0..20).for_each(|second| once.add(at(second), at(second + 1), [4.0; ALTERNATIVES]));
    once.add(at(20), at(21), [-1e3; ALTERNATIVES]);
    assert_eq!(first(&once.found()), Some(3), "it may have been an incident");
}

#[test]
fn nothing_seen_is_no_evidence() {
    assert!(Evidence::default().ln().abs() < 1e-12);
    assert!(ln_e(&[(0.0, 0.0); 9], 0.01, 1.0, ALPHA).abs() < 1e-9);
    assert_eq!(Evidence::default().since(), None);
}

#[test]
fn as_bad_as_is_allowed_is_no_evidence() {
    assert!(ln_e(&[(1.0, 100.0); 200], 0.01, 1.0, ALPHA) < 1.0);
    assert!(ln_e(&[(0.0, 100.0); 200], 0.01, 1.0, ALPHA) < 0.0);
}

#[test]
fn dispersion_thins_what_is_seen() {
    let seen = [(10.0, 100.0)];
    let (sure, thinned) = (ln_e(&seen, 0.01, 1.0, LOOSE), ln_e(&seen, 0.01, 5.0, LOOSE));
    assert!(thinned > 0.0 && thinned < sure / 3.0, "{thinned} of {sure}");
}

#[test]
fn it_looks_changed_since_the_first_bad_sample() {
    let mut evidence = Evidence::default();
    for second in 0..60 {
        let bad = if second < 40 { 0.0 } else { 10.0 };
        let counts = Counts { bad, total: 100.0 };
        let ratios = of_counts::ratios(counts, 0.01, 1.0);
        evidence.add(at(second), ratios, Cap::new(ALPHA, 3.0));
    }
    assert_eq!((evidence.since(), evidence.samples()), (Some(at(40)), 60));
}

#[test]
fn the_upper_share_shrinks_towards_what_was_seen() {
    let upper = |bad, total| of_counts::upper_share(Counts { bad, total }, 1.0, 0.8);
    let (few, many) = (upper(1.0, 100.0), upper(1000.0, 100_000.0));
    assert!(few > many && many > 0.01 && many < 0.0104, "{few} {many}");
    assert!(upper(0.0, 0.0) > 0.5, "nothing seen, nothing known");
}

#[test]
fn the_chance_of_being_above_a_limit_is_one_half_at_it() {
    let chance = |limit, bad| of_counts::chance_above(limit, Counts { bad, total: 1000.0 }, 1.0);
    assert!((chance(0.1, 100.0) - 0.5).abs() < 0.02);
    assert!(chance(0.1, 200.0) > 0.999_999 && chance(0.1, 20.0) < 1e-6);
    assert!(chance(0.0, 0.0) >= 1.0 && chance(1.0, 1000.0) <= 0.0);
}

#[test]
fn what_would_have_shown_falls_with_traffic() {
    let found = |total| of_counts::smallest_detectable(0.01, total, 1.0, ALPHA);
    assert_eq!(found(1.0), None);
    let shares: Vec<f64> = [20.0, 200.0, 2000.0, 1e6].iter().map(|n| found(*n).unwrap()).collect();
    assert!(shares.is_sorted_by(|a, b| a > b) && shares[3] < 0.011, "{shares:?}");
}

fn shifted(values: &[f64], to: f64, times: usize) -> f64 {
    let level = series::Level::of(values, 15.0).unwrap();
    let mut evidence = Evidence::default();
    let limit = series::Limit { value: level.median * 1.2, upward: true };
    for second in (0..).take(times) {
        evidence.add(at(second), series::ratios(&level, to, limit), Cap::new(ALPHA, 3.0));
    }
    evidence.ln()
}

#[test]
fn a_series_says_something_only_beyond_what_is_allowed() {
    let usual: Vec<f64> = (0..40).map(|i| 100.0 + f64::from(i * 7 % 5)).collect();
    let needed = (1.0 / ALPHA).ln();
    assert!(shifted(&usual, 101.0, 200) < 0.0);
    assert!(shifted(&usual, 119.0, 200) < 1.0);
    assert!(shifted(&usual, 300.0, 2) < needed && shifted(&usual, 300.0, 4) > needed);
    assert_eq!(series::Level::of(&usual[..9], 15.0), None, "nine values are no level");
}

#[test]
fn a_series_that_remembers_says_less() {
    let white: Vec<f64> = (0..60).map(|i| 100.0 + f64::from(i * 17 % 11)).collect();
    let slow: Vec<f64> = (0..60).map(|i| 100.0 + f64::from(i / 6)).collect();
    let rho = |values: &[f64]| series::Level::of(values, 15.0).unwrap().rho;
    assert!(rho(&slow) > 0.7 && rho(&white) < 0.3, "{} {}", rho(&slow), rho(&white));
}

#[test]
fn a_constant_series_has_a_spread_all_the_same() {
    let level = series::Level::of(&[5.0; 20], 15.0).unwrap();
    assert!((level.spread - 0.03).abs() < 1e-12 && level.log);
    assert!(!series::Level::of(&[0.0; 20], 15.0).unwrap().log);
}

#[test]
fn of_several_series_one_that_is_down_is_a_failure() {
    let after = |values: &[f64]| status::failures(2, values.iter().copied());
    assert_eq!((after(&[1.0, 0.0]), after(&[1.0, 1.0]), after(&[])), (3, 0, 0));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// Uncapped the evidence is monotone at every time; the cap of a late run may make
    /// up for a later start once it is over, so with it the time of the first breach is.
    #[test]
    fn more_errors_never_lower_the_evidence(
        samples in prop::collection::vec((0_u16..60, 1_u16..300), 1..60),
        more in prop::collection::vec(0_u16..20, 60),
        null in 0.001_f64..0.3,
        phi in 1.0_f64..10.0,
        spell in (2_i64..20, 0_usize..ALTERNATIVES),
    ) {
        let before = spells(spell.0, spell.1);
        let few: Vec<(f64, f64)> = samples
            .iter()
            .map(|(bad, total)| (f64::from(*bad.min(total)), f64::from(*total)))
            .collect();
        let many: Vec<(f64, f64)> = few
            .iter()
            .zip(&more)
            .map(|((bad, total), more)| ((bad + f64::from(*more)).min(*total), *total))
            .collect();
        let needed = (1.0 / ALPHA).ln();
        let mut breached = false;
        for until in 1..=few.len() {
            let of = |samples: &[(f64, f64)], alpha| ln_e(&samples[..until], null, phi, alpha);
            prop_assert!(of(&many, LOOSE) >= of(&few, LOOSE) - 1e-9);
            breached |= of(&many, ALPHA) >= needed;
            prop_assert!(breached || of(&few, ALPHA) < needed, "fewer errors breach earlier");
            let after = |all: &[(f64, f64)]| ln_e_after(&before, &all[..until], null, phi, LOOSE);
            prop_assert!(after(&many) >= after(&few) - 1e-9, "fewer errors outlast earlier");
        }
    }
}
