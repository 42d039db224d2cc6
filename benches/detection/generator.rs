//! A deployment, request by request, from a seed.
//!
//! Time goes in steps of 15 s whatever the interval, so that both see the same
//! world. In each step traffic is Poisson with a gamma-mixed, autocorrelated and
//! diurnal intensity; each request draws an error and a lognormal latency.

use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt, SeedableRng};
use rand_distr::{Distribution, Gamma, Poisson, StandardNormal};

use crate::day;
use crate::run::{BOUNDS, BUCKETS, Instance, Interval, Run, Scrape};
use crate::scenario::{Chance, Effect, Scenario, Who};

/// The same on every machine.
pub type Random = Xoshiro256PlusPlus;

/// Seconds of a step.
pub const STEP: f64 = 15.0;
/// Minutes before the deployment.
const BASELINE: f64 = 180.0;
/// Instances of a revision; one is replaced every [`REPLACE`] seconds.
const INSTANCES: usize = 4;
const REPLACE: f64 = 75.0;
/// Memory of a noise, in seconds.
const FADES: f64 = 600.0;
const ERROR_RATE: f64 = 0.002;
/// Of the lognormal latencies: seconds, and the deviation of their logarithm.
const MEDIAN: f64 = 0.1;
pub const SIGMA: f64 = 0.5;

/// What to make.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    pub scenario: Scenario,
    /// Requests a minute on the average.
    pub traffic: f64,
    /// Seconds between samples: a multiple of 15.
    pub interval: f64,
    pub seed: u64,
}

/// Deviations of the logarithm of what they are named after; `burst` is the
/// coefficient of variation of the gamma mixture, a step.
#[derive(Debug, Clone, Copy)]
pub struct Noise {
    traffic: f64,
    burst: f64,
    errors: f64,
    latency: f64,
    /// Share of requests that are slow for no reason, by [`OUTLIER`].
    outliers: f64,
}

pub const OUTLIER: f64 = 4.0;
pub const STEADY: Noise =
    Noise { traffic: 0.15, burst: 0.15, errors: 0.2, latency: 0.05, outliers: 0.0 };
pub const UNSTEADY: Noise =
    Noise { traffic: 0.35, burst: 0.4, errors: 0.6, latency: 0.10, outliers: 0.004 };

/// An AR(1) process with unit deviation: `x' = r x + sqrt(1 - r^2) e`,
/// `r = exp(-step/FADES)`.
pub struct Wander(f64);

impl Wander {
    pub fn new(random: &mut Random) -> Self {
        Self(StandardNormal.sample(random))
    }

    pub fn step(&mut self, random: &mut Random) -> f64 {
        let r = (-STEP / FADES).exp();
        let fresh: f64 = StandardNormal.sample(random);
        self.0 = r * self.0 + (1.0 - r * r).sqrt() * fresh;
        self.0
    }
}

/// What both services have in common at a step, in deviations: users, hosts.
pub struct Weather {
    pub traffic: f64,
    pub errors: f64,
    pub latency: f64,
    /// Times the mean traffic.
    pub hour: f64,
}

/// One service's own mood; half of its variance is the common weather's.
pub struct Mood {
    noise: Noise,
    traffic: Wander,
    errors: Wander,
    latency: Wander,
}

/// What requests of a service are like at a step.
pub struct Now {
    /// Expected requests of the step.
    pub requests: f64,
    pub error_rate: f64,
    /// Logarithm of the median latency.
    pub ln_median: f64,
    pub outliers: f64,
}

impl Mood {
    pub fn new(noise: Noise, random: &mut Random) -> Self {
        let [traffic, errors, latency] = [(); 3].map(|()| Wander::new(random));
        Self { noise, traffic, errors, latency }
    }

    pub fn step(&mut self, weather: &Weather, per_minute: f64, random: &mut Random) -> Now {
        let mut half = |common: f64, own: &mut Wander, by: f64| {
            by * std::f64::consts::FRAC_1_SQRT_2 * (common + own.step(random))
        };
        let traffic = half(weather.traffic, &mut self.traffic, self.noise.traffic);
        let errors = half(weather.errors, &mut self.errors, self.noise.errors);
        let latency = half(weather.latency, &mut self.latency, self.noise.latency);
        let shape = self.noise.burst.powi(-2);
        let burst = Gamma::new(shape, shape.recip()).map_or(1.0, |gamma| gamma.sample(random));
        // The mean of a lognormal is off its median by half the variance.
        let centre = |by: f64| -by * by / 2.0;
        Now {
            requests: per_minute * STEP / 60.0
                * weather.hour
                * (traffic + centre(self.noise.traffic)).exp()
                * burst,
            error_rate: ERROR_RATE * (errors + centre(self.noise.errors)).exp(),
            ln_median: MEDIAN.ln() + latency,
            outliers: self.noise.outliers,
        }
    }
}

/// Draws requests into counters.
struct Teller {
    ln_bounds: [f64; BOUNDS.len()],
}

impl Teller {
    /// Adds a step's requests to the counters, and their log-latencies to `seen`.
    fn tell(
        &self,
        now: &Now,
        share: f64,
        effect: Effect,
        (counters, seen): (&mut Scrape, &mut Vec<f32>),
        random: &mut Random,
    ) {
        let expected = now.requests * share * effect.traffic;
        let Ok(poisson) = Poisson::new(expected) else { return };
        let requests = Distribution::<f64>::sample(&poisson, random) as u64;
        let error_rate = (now.error_rate + effect.errors).min(1.0);
        let ln_median = now.ln_median + effect.latency.ln();
        let mut slower = [0; BUCKETS];
        for _ in 0..requests {
            let deviation: f64 = StandardNormal.sample(random);
            let lot: f64 = random.random();
            let outlier = if lot > 1.0 - now.outliers { OUTLIER.ln() } else { 0.0 };
            let ln_latency = ln_median + SIGMA * deviation + outlier;
            let first: usize = self.ln_bounds.iter().map(|at| usize::from(ln_latency > *at)).sum();
            slower[first] += 1;
            counters.errors += u64::from(lot < error_rate);
            seen.push(ln_latency as f32);
        }
        counters.requests += requests;
        let mut so_far = 0;
        for (bucket, own) in counters.buckets.iter_mut().zip(slower) {
            so_far += own;
            *bucket += so_far;
        }
    }
}

/// A process of a service, seen from inside.
struct Process {
    who: Who,
    /// Seconds after the deployment.
    born: f64,
    dies: f64,
    /// When its counters last began at nothing.
    began: f64,
    counters: Scrape,
    seen: Vec<f32>,
    gauge: Wander,
    scrapes: Vec<Option<Scrape>>,
}

impl Process {
    fn new(who: Who, born: f64, dies: f64, random: &mut Random) -> Self {
        Self {
            who,
            born,
            dies,
            began: if born < 0.0 { -24.0 * 3_600.0 } else { born },
            counters: Scrape::default(),
            seen: Vec::new(),
            gauge: Wander::new(random),
            scrapes: Vec::new(),
        }
    }

    fn lives(&self, at: f64) -> bool {
        (self.born..self.dies).contains(&at)
    }
}

struct World {
    plan: Plan,
    random: Random,
    chance: Chance,
    teller: Teller,
    common: [Wander; 3],
    moods: [Mood; 3],
    /// The old revision's, the new one's, the peer, the dependency.
    processes: Vec<Process>,
    /// Of the day, at the deployment, in turns.
    hour: f64,
}

/// Makes the run of a plan.
pub fn run(plan: Plan) -> Run {
    let mut world = World::new(plan);
    let per_sample = (plan.interval / STEP).round() as usize;
    let before = (BASELINE * 60.0 / plan.interval).round() as usize;
    let intervals = before + (plan.scenario.watch() * 60.0 / plan.interval).round() as usize;
    let missed = world.missed(intervals);
    let mut made = Run {
        interval: plan.interval,
        before,
        control_deployed: plan.scenario.control_deployed(),
        day: day::before(plan.scenario, plan.traffic, plan.seed),
        ..Run::default()
    };
    let mut baseline = Vec::new();
    let mut minute = Vec::new();
    let steps_a_minute = (60.0 / STEP).round() as usize;
    for interval in 0..intervals {
        let mut seen = [const { Vec::new() }; 4];
        for step in 0..per_sample {
            let number = interval * per_sample + step;
            world.step(STEP * number as f64 - BASELINE * 60.0, &mut seen, &mut minute);
            if (number + 1).is_multiple_of(steps_a_minute) {
                made.p95_by_minute.push(p95(&mut minute));
                minute.clear();
            }
        }
        let at = made.interval * (interval as f64 - before as f64 + 1.0);
        world.scrape(at, missed[interval]);
        if interval < before {
            baseline.extend_from_slice(&seen[0]);
        }
        world.note(&mut made, seen, interval, &missed);
    }
    made.baseline_p95 = p95(&mut baseline).unwrap_or(MEDIAN);
    made.instances = world
        .processes
        .into_iter()
        .filter(|process| matches!(process.who, Who::Old | Who::New))
        .map(|process| Instance { of_new: process.who == Who::New, scrapes: process.scrapes })
        .collect();
    made
}

impl World {
    fn new(plan: Plan) -> Self {
        let mut random = Random::seed_from_u64(plan.seed);
        let chance = plan.scenario.chance(&mut random);
        let mut processes = Vec::new();
        for index in 0..INSTANCES {
            let replaced = index as f64 * REPLACE;
            processes.push(Process::new(Who::Old, f64::NEG_INFINITY, replaced, &mut random));
            processes.push(Process::new(Who::New, replaced, f64::INFINITY, &mut random));
        }
        for who in [Who::Control, Who::Dependency] {
            processes.push(Process::new(who, f64::NEG_INFINITY, f64::INFINITY, &mut random));
        }
        Self {
            plan,
            chance,
            teller: Teller { ln_bounds: BOUNDS.map(f64::ln) },
            common: [(); 3].map(|()| Wander::new(&mut random)),
            moods: [(); 3].map(|()| Mood::new(plan.scenario.noise(), &mut random)),
            processes,
            hour: random.random(),
            random,
        }
    }

    /// Which scrapes are missing, of all targets at once.
    fn missed(&mut self, intervals: usize) -> Vec<bool> {
        let mut missed = vec![false; intervals];
        if self.plan.scenario.has_gaps() {
            missed.fill_with(|| self.random.random_bool(0.1));
            let long = (300.0 / self.plan.interval) as usize;
            let watch = (self.plan.scenario.watch() * 60.0 / self.plan.interval) as usize;
            let from = intervals - watch + self.random.random_range(0..watch - long);
            missed[from..from + long].fill(true);
        }
        missed
    }

    /// One step, beginning `at`. `seen`: all, new, control, dependency.
    fn step(&mut self, at: f64, seen: &mut [Vec<f32>; 4], minute: &mut Vec<f32>) {
        let random = &mut self.random;
        let [traffic, errors, latency] = &mut self.common;
        let turn = self.hour + at / 86_400.0;
        let weather = Weather {
            traffic: traffic.step(random),
            errors: errors.step(random),
            latency: latency.step(random),
            hour: 1.0 + 0.3 * (turn * std::f64::consts::TAU).sin(),
        };
        let now = self.moods.each_mut().map(|mood| mood.step(&weather, self.plan.traffic, random));
        // A restart now and then: each process about every 20 minutes.
        let restarts = if self.plan.scenario.has_resets() { STEP / 1_200.0 } else { 0.0 };
        for process in self.processes.iter_mut().filter(|process| process.lives(at)) {
            if random.random_bool(restarts) {
                process.counters = Scrape::default();
                process.began = at;
            }
            let (now, share, into) = match process.who {
                Who::Old | Who::New => (&now[0], (INSTANCES as f64).recip(), 0),
                Who::Control => (&now[1], 1.0, 2),
                Who::Dependency => (&now[2], 1.0, 3),
            };
            let effect = self.plan.scenario.effect(process.who, at, &self.chance);
            let tally = (&mut process.counters, &mut process.seen);
            self.teller.tell(now, share, effect, tally, random);
            if process.who == Who::New {
                seen[1].extend_from_slice(&process.seen);
            }
            if process.who == if at < 0.0 { Who::Old } else { Who::New } {
                minute.extend_from_slice(&process.seen);
            }
            seen[into].append(&mut process.seen);
            let age = at + STEP - process.began;
            let used = self.plan.scenario.memory(process.who, age);
            process.counters.memory = used + 0.01 * process.gauge.step(random);
        }
    }

    /// Notes what a scrape shows of every process.
    fn scrape(&mut self, at: f64, missed: bool) {
        for process in &mut self.processes {
            // Alive during the step that ends now.
            let shown = process.lives(at - STEP) && !missed;
            process.scrapes.push(shown.then_some(process.counters));
        }
    }

    /// Notes what the counters say about the interval that has just ended.
    fn note(&self, made: &mut Run, seen: [Vec<f32>; 4], interval: usize, missed: &[bool]) {
        let known = !missed[interval] && (interval == 0 || !missed[interval - 1]);
        let of = |wanted: &[Who]| {
            let mut sum = Interval::default();
            for process in self.processes.iter().filter(|one| wanted.contains(&one.who)) {
                sum.add(&between(&process.scrapes, interval));
            }
            sum
        };
        let [mut all, mut new, mut control, mut dependency] = seen;
        let old = of(&[Who::Old]);
        let add = |series: &mut Vec<_>, mut sum: Interval, seen: &mut [f32]| {
            sum.p95 = p95(seen);
            series.push(known.then_some(sum));
        };
        add(&mut made.all, of(&[Who::Old, Who::New]), &mut all);
        add(&mut made.new, of(&[Who::New]), &mut new);
        add(&mut made.control, Interval { memory: None, ..of(&[Who::Control]) }, &mut control);
        let used = Interval { memory: None, ..of(&[Who::Dependency]) };
        add(&mut made.dependency, used, &mut dependency);
        // Of the old one alone no p95 is asked for but its own before the deployment.
        let p95 = if new.is_empty() { p95(&mut all) } else { None };
        made.old.push(known.then_some(Interval { p95, ..old }));
    }
}

/// What a process's counters grew by, as a reader of counters sees it: a fall
/// is a new beginning.
fn between(scrapes: &[Option<Scrape>], interval: usize) -> Interval {
    let Some(now) = scrapes[interval] else { return Interval::default() };
    let before = interval.checked_sub(1).and_then(|before| scrapes[before]);
    let before = before.filter(|before| before.requests <= now.requests).unwrap_or_default();
    let mut buckets = [0; BUCKETS];
    for (index, bucket) in buckets.iter_mut().enumerate() {
        *bucket = now.buckets[index].saturating_sub(before.buckets[index]);
    }
    Interval {
        requests: now.requests - before.requests,
        errors: now.errors.saturating_sub(before.errors),
        buckets,
        p95: None,
        memory: Some(now.memory),
    }
}

/// The nearest-rank p95 of log-latencies, in seconds.
fn p95(seen: &mut [f32]) -> Option<f64> {
    let rank = (seen.len() * 95).div_ceil(100).checked_sub(1)?;
    let (_, found, _) = seen.select_nth_unstable_by(rank, f32::total_cmp);
    Some(f64::from(*found).exp())
}

/// Share (0-1) of the traffic that the new revision has, `seconds` after the
/// deployment: for bounds on what any rule can do.
pub fn share_of_new(seconds: f64) -> f64 {
    let replaced = (seconds / REPLACE).floor() + 1.0;
    (replaced / INSTANCES as f64).min(1.0)
}

/// Of a healthy service: for the same bounds.
pub const HEALTHY_RATE: f64 = ERROR_RATE;
