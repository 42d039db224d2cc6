//! The bound that a policy states, held against many deployments that changed nothing.

use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt, SeedableRng};

use super::*;
use crate::judge::Blame;

const RUNS: u64 = 400;
const SAMPLES: usize = 240;
/// Large, so that the bound is near enough to be missed.
const LARGE: f64 = 0.05;

/// Of `events` those that are bad.
fn draw(random: &mut Xoshiro256PlusPlus, events: u32, share: f64) -> f64 {
    let bad = (0..events).filter(|_| random.random::<f64>() < share).count();
    f64::from(u32::try_from(bad).unwrap())
}

/// Runs with a breach of the deployment's doing at any of their samples, and runs whose evidence
/// reached `1/alpha` at any.
fn false_breaches(known: &Play, of: impl Fn(&mut Xoshiro256PlusPlus) -> Reading) -> (f64, f64) {
    let (mut breached, mut reached) = (0_u32, 0_u32);
    for seed in 0..RUNS {
        let mut random = Xoshiro256PlusPlus::seed_from_u64(seed);
        let mut state = known.state.clone();
        let (mut breach, mut reach) = (false, false);
        for second in (15..).step_by(15).take(SAMPLES) {
            let reading = of(&mut random);
            let sample = Sample {
                at: at(second),
                interval: SignedDuration::from_secs(15),
                reading: &reading,
                controls: &known.controls,
                counts: true,
                alpha: LARGE,
                newcomers: true,
                shortage: None,
            };
            let judgement = state.observe(&known.check, &sample);
            breach |= judgement.blame == Some(Blame::Deployment);
            reach |= judgement.weight.is_some_and(|weight| weight.ln_e >= (1.0 / LARGE).ln());
        }
        breached += u32::from(breach);
        reached += u32::from(reach);
    }
    #[expect(clippy::cast_precision_loss, reason = "a few hundred")]
    let runs = RUNS as f64;
    (f64::from(breached) / runs, f64::from(reached) / runs)
}

/// What three standard deviations leave room for.
fn margin() -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "a few hundred")]
    let runs = RUNS as f64;
    LARGE + 3.0 * (LARGE * (1.0 - LARGE) / runs).sqrt()
}

#[test]
fn a_deployment_that_changes_nothing_is_rarely_in_breach() {
    for events in [2, 20, 200] {
        for share in [0.0005, 0.005, 0.05] {
            let mut random = Xoshiro256PlusPlus::seed_from_u64(u64::from(events));
            let before: Vec<Reading> = (0..240)
                .map(|_| counts(draw(&mut random, events, share), f64::from(events)))
                .collect();
            let mut check = error_rate();
            check.baseline = compared(error_rate(), 2.0, &[Against::Before]).baseline;
            let known = Play::of(check).after(|i| before[usize::try_from(i).unwrap()].clone());
            let (breached, _) = false_breaches(&known, |random| {
                counts(draw(random, events, share), f64::from(events))
            });
            assert!(breached <= margin(), "{breached} of {events} events at {share}");
        }
    }
}

#[test]
fn at_the_null_itself_the_evidence_keeps_its_bound() {
    for events in [5, 50, 500] {
        let known = Play::of(error_rate());
        let (_, reached) =
            false_breaches(&known, |random| counts(draw(random, events, 0.01), f64::from(events)));
        assert!(reached <= margin(), "{reached} of {events} events");
    }
}

#[test]
fn latencies_that_stay_as_they_were_are_rarely_in_breach() {
    for events in [10_u32, 100] {
        let draw = |random: &mut Xoshiro256PlusPlus| {
            let mut slower = [0.0; 4];
            for _ in 0..events {
                // Exponential, with a p95 of 0.45 s: just below the limit.
                let seconds = -0.15 * (1.0 - random.random::<f64>()).ln();
                for (slower, bound) in slower.iter_mut().zip([0.1, 0.25, 0.5, 1.0]) {
                    *slower += f64::from(u8::from(seconds > bound));
                }
            }
            requests(slower, f64::from(events))
        };
        let mut random = Xoshiro256PlusPlus::seed_from_u64(1);
        let before: Vec<Reading> = (0..240).map(|_| draw(&mut random)).collect();
        let mut check = latency();
        check.baseline = compared(latency(), 1.2, &[Against::Before]).baseline;
        let known = Play::of(check).after(|i| before[usize::try_from(i).unwrap()].clone());
        let (breached, reached) = false_breaches(&known, draw);
        assert!(breached <= margin() && reached <= 2.0 * margin(), "{breached} {reached}");
    }
}

#[test]
fn a_rise_that_matters_is_found_every_time() {
    let known = Play::of(error_rate()).after(|_| counts(1.0, 200.0));
    let (breached, _) = false_breaches(&known, |random| counts(draw(random, 200, 0.025), 200.0));
    assert!(breached >= 1.0, "{breached}");
}
