//! The day before a deployment, as counters tell it minute by minute: too long to draw
//! every request, so the counts of a minute are drawn from what its requests are like.

use rand::SeedableRng;
use rand_distr::{Binomial, Distribution, Poisson};
use statrs::function::erf::erfc;

use crate::generator::{Mood, Now, OUTLIER, Random, SIGMA, STEP, Wander, Weather};
use crate::run::{BOUNDS, BUCKETS, Interval, Series};
use crate::scenario::{Scenario, slow_minutes};

const HOURS: u32 = 24;
/// Other draws than those of the deployment.
const APART: u64 = 0x9e37_79b9_7f4a_7c15;

/// The day of a scenario, with so many requests a minute.
pub fn before(scenario: Scenario, traffic: f64, seed: u64) -> Series {
    let mut random = Random::seed_from_u64(seed ^ APART);
    let mut common = [(); 3].map(|()| Wander::new(&mut random));
    let mut mood = Mood::new(scenario.noise(), &mut random);
    let bursts: Vec<_> = if scenario.is_noisy() {
        (0..HOURS.cast_signed()).filter_map(|hour| slow_minutes(&mut random, hour)).collect()
    } else {
        Vec::new()
    };
    let minutes = HOURS * 60;
    (0..minutes)
        .map(|minute| {
            let mut sum = Interval::default();
            for step in 0..(60.0 / STEP) as u32 {
                let at = f64::from(minute) * 60.0 + f64::from(step) * STEP;
                let turn = at / 86_400.0 * std::f64::consts::TAU;
                let [traffic_now, errors, latency] =
                    common.each_mut().map(|wander| wander.step(&mut random));
                let weather =
                    Weather { traffic: traffic_now, errors, latency, hour: 1.0 + 0.3 * turn.sin() };
                let mut now = mood.step(&weather, traffic, &mut random);
                let here = |burst: &&(f64, f64, f64)| (burst.0..burst.1).contains(&at);
                now.ln_median += bursts.iter().find(here).map_or(0.0, |burst| burst.2.ln());
                sum.add(&tell(&now, &mut random));
            }
            Some(sum)
        })
        .collect()
}

fn tell(now: &Now, random: &mut Random) -> Interval {
    let requests = Poisson::new(now.requests)
        .map_or(0, |poisson| Distribution::<f64>::sample(&poisson, random) as u64);
    let of = |count: u64, share: f64, random: &mut Random| {
        Binomial::new(count, share.clamp(0.0, 1.0)).map_or(0, |drawn| drawn.sample(random))
    };
    let mut buckets = [requests; BUCKETS];
    // From the slowest down: each bucket holds a share of the one above it.
    let mut above = 1.0;
    for index in (0..BOUNDS.len()).rev() {
        let within = 1.0 - slower(now, BOUNDS[index].ln());
        buckets[index] = of(buckets[index + 1], within / above, random);
        above = within.max(f64::MIN_POSITIVE);
    }
    let errors = of(requests, now.error_rate, random);
    Interval { requests, errors, buckets, ..Interval::default() }
}

/// Share (0-1) of the requests whose latency's logarithm is above `ln_bound`.
fn slower(now: &Now, ln_bound: f64) -> f64 {
    let tail = |ln_median: f64| {
        let deviations = (ln_bound - ln_median) / SIGMA;
        erfc(deviations * std::f64::consts::FRAC_1_SQRT_2) / 2.0
    };
    (1.0 - now.outliers) * tail(now.ln_median) + now.outliers * tail(now.ln_median + OUTLIER.ln())
}
