//! What is wrong in a cell of the table, where and when.

use std::ops::Range;

use rand::RngExt;

use crate::generator::{Noise, Random, STEADY, UNSTEADY};

/// A kind of deployment.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Scenario {
    Healthy,
    /// Errors, latency and traffic far less steady, slow outliers, and in three of
    /// ten hours, those before the deployment too, some slow minutes, as from a milder
    /// neighbour.
    Noisy,
    /// Two minutes after the deployment: errors 5-10 %, latency x2.
    StartUp,
    /// Latency x1.5-2 for some minutes, now and then, on both services' hosts.
    Neighbour,
    /// A shared dependency is broken since before the deployment.
    OutageBefore,
    /// A shared dependency breaks some minutes after it.
    OutageAfter,
    /// Processes begin anew now and then; nothing else is wrong.
    Resets,
    /// A tenth of the scrapes is missing, and once five minutes on end.
    Gaps,
    /// The peer was deployed at the same time and is broken; we call it a little.
    OtherBroken,
    /// Errors rise by so many points (0-1).
    Errors(f64),
    /// Latency is so many times what it was.
    Latency(f64),
    /// Errors +2 points from the 20th minute.
    Late,
    /// Errors rise to +5 points over 20 minutes.
    Ramp,
    /// Memory climbs to 80 % over so many minutes; the limit is 85 %.
    Leak(f64),
    /// Errors +2 points while processes begin anew.
    BadResets,
    /// Errors +2 points while scrapes are missing.
    BadGaps,
    /// Both were deployed, ours is broken: +5 points, and the peer feels it.
    OursBroken,
    /// Nothing reaches the new revision.
    Silent,
}

/// Who is affected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Who {
    Old,
    New,
    Control,
    Dependency,
}

/// What is different about requests.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Effect {
    /// Points (0-1) more errors.
    pub errors: f64,
    /// Times the latency.
    pub latency: f64,
    /// Times the traffic.
    pub traffic: f64,
}

/// What chance decides about a scenario once a run.
#[derive(Debug, Clone, Default)]
pub struct Chance {
    /// Begin and end of what is broken, in seconds after the deployment.
    pub onset: f64,
    pub until: f64,
    pub size: f64,
    /// Begin, end, size.
    pub bursts: Vec<(f64, f64, f64)>,
}

pub const HEALTHY: &[Scenario] = &[
    Scenario::Healthy,
    Scenario::Noisy,
    Scenario::StartUp,
    Scenario::Neighbour,
    Scenario::OutageBefore,
    Scenario::OutageAfter,
    Scenario::Resets,
    Scenario::Gaps,
    Scenario::OtherBroken,
];

pub const BAD: &[Scenario] = &[
    Scenario::Errors(0.01),
    Scenario::Errors(0.02),
    Scenario::Errors(0.10),
    Scenario::Latency(1.5),
    Scenario::Latency(2.5),
    Scenario::Late,
    Scenario::Ramp,
    Scenario::Leak(60.0),
    Scenario::Leak(240.0),
    Scenario::BadResets,
    Scenario::BadGaps,
    Scenario::OursBroken,
    Scenario::Silent,
];

const NONE: Effect = Effect { errors: 0.0, latency: 1.0, traffic: 1.0 };
/// Seconds from the first error of a dependency to the first of its callers.
const SPREADS_AFTER: f64 = 30.0;

/// Some minutes in seconds, on the grid of a minute's quarters, as everything is.
fn minutes(random: &mut Random, from: f64, to: f64) -> f64 {
    (random.random_range(from..to) * 4.0).floor() * 15.0
}

/// Begin, end and size of slow minutes in the hour that begins `since`.
fn burst(
    random: &mut Random,
    since: f64,
    (lengths, sizes): (Range<f64>, Range<f64>),
) -> (f64, f64, f64) {
    let from = since + minutes(random, 0.0, 50.0);
    let until = from + minutes(random, lengths.start, lengths.end);
    (from, until, random.random_range(sizes))
}

/// Those of a noisy service, in an hour after the deployment.
pub fn slow_minutes(random: &mut Random, hour: i32) -> Option<(f64, f64, f64)> {
    let has_some = random.random_bool(0.3);
    has_some.then(|| burst(random, f64::from(hour) * 3_600.0, (2.5..4.0, 1.45..1.75)))
}

impl Scenario {
    pub fn name(self) -> String {
        match self {
            Scenario::Healthy => "healthy".to_owned(),
            Scenario::Noisy => "healthy and noisy".to_owned(),
            Scenario::StartUp => "start-up spike".to_owned(),
            Scenario::Neighbour => "noisy neighbour".to_owned(),
            Scenario::OutageBefore => "outage from before".to_owned(),
            Scenario::OutageAfter => "outage soon after".to_owned(),
            Scenario::Resets => "counter resets".to_owned(),
            Scenario::Gaps => "gaps".to_owned(),
            Scenario::OtherBroken => "other one broken".to_owned(),
            Scenario::Errors(points) => format!("errors +{:.0} points", points * 100.0),
            Scenario::Latency(times) => format!("latency x{times}"),
            Scenario::Late => "+2 points, 20 m late".to_owned(),
            Scenario::Ramp => "+5 points over 20 m".to_owned(),
            Scenario::Leak(minutes) => format!("leak, 80 % in {minutes:.0} m"),
            Scenario::BadResets => "+2 points, resets".to_owned(),
            Scenario::BadGaps => "+2 points, gaps".to_owned(),
            Scenario::OursBroken => "both, ours broken".to_owned(),
            Scenario::Silent => "new one silent".to_owned(),
        }
    }

    /// Nothing is to be undone.
    pub fn is_healthy(self) -> bool {
        HEALTHY.contains(&self)
    }

    /// Minutes of the watch.
    pub fn watch(self) -> f64 {
        if let Scenario::Leak(minutes) = self { minutes } else { 60.0 }
    }

    /// Seconds after the deployment at which it begins to be bad.
    pub fn onset(self) -> f64 {
        if self == Scenario::Late { 20.0 * 60.0 } else { 0.0 }
    }

    pub fn noise(self) -> Noise {
        if self.is_noisy() { UNSTEADY } else { STEADY }
    }

    pub fn is_noisy(self) -> bool {
        self == Scenario::Noisy
    }

    pub fn has_resets(self) -> bool {
        matches!(self, Scenario::Resets | Scenario::BadResets)
    }

    pub fn has_gaps(self) -> bool {
        matches!(self, Scenario::Gaps | Scenario::BadGaps)
    }

    /// When the peer was deployed, too.
    pub fn control_deployed(self) -> Option<f64> {
        matches!(self, Scenario::OtherBroken | Scenario::OursBroken).then_some(0.0)
    }

    pub fn chance(self, random: &mut Random) -> Chance {
        let (onset, until, size) = match self {
            Scenario::StartUp => (0.0, 120.0, random.random_range(0.05..0.10)),
            Scenario::OutageBefore => {
                (-minutes(random, 3.0, 8.0), minutes(random, 10.0, 25.0), 0.15)
            }
            Scenario::OutageAfter => {
                let onset = minutes(random, 2.0, 15.0);
                (onset, onset + minutes(random, 10.0, 20.0), 0.15)
            }
            _ => (0.0, f64::INFINITY, 0.0),
        };
        let bursts = match self {
            Scenario::Neighbour => {
                let count = random.random_range(1..=3);
                (0..count).map(|_| burst(random, 0.0, (3.0..6.0, 1.5..2.0))).collect()
            }
            Scenario::Noisy => (-3..=0).filter_map(|hour| slow_minutes(random, hour)).collect(),
            _ => Vec::new(),
        };
        Chance { onset, until, size, bursts }
    }

    /// What is different for `who` at a time in seconds after the deployment.
    pub fn effect(self, who: Who, at: f64, chance: &Chance) -> Effect {
        use Who::{Control, Dependency, New, Old};
        let errors = |errors: f64| Effect { errors, ..NONE };
        match (self, who) {
            (Scenario::StartUp, New) if at < chance.until => {
                Effect { errors: chance.size, latency: 2.0, traffic: 1.0 }
            }
            (Scenario::Neighbour | Scenario::Noisy, Old | New | Control) => {
                let here = |burst: &&(f64, f64, f64)| (burst.0..burst.1).contains(&at);
                let latency = chance.bursts.iter().find(here).map_or(1.0, |burst| burst.2);
                Effect { latency, ..NONE }
            }
            (Scenario::OutageBefore | Scenario::OutageAfter, Dependency)
                if (chance.onset..chance.until).contains(&at) =>
            {
                Effect { errors: 0.4, latency: 1.5, traffic: 1.0 }
            }
            (Scenario::OutageBefore | Scenario::OutageAfter, Old | New | Control)
                if (chance.onset + SPREADS_AFTER..chance.until).contains(&at) =>
            {
                Effect { errors: chance.size, latency: 1.2, traffic: 1.0 }
            }
            (Scenario::OtherBroken, Control) if at >= 0.0 => errors(0.10),
            (Scenario::OtherBroken, Old | New) if at >= 0.0 => errors(0.03),
            (Scenario::Errors(points), New) => errors(points),
            (Scenario::Latency(latency), New) => Effect { latency, ..NONE },
            (Scenario::Late, New) if at >= self.onset() => errors(0.02),
            (Scenario::Ramp, New) => errors(0.05 * (at / 1_200.0).clamp(0.0, 1.0)),
            (Scenario::BadResets | Scenario::BadGaps, New) => errors(0.02),
            (Scenario::OursBroken, New) => errors(0.05),
            (Scenario::OursBroken, Control) if at >= 0.0 => errors(0.015),
            (Scenario::Silent, New) => Effect { traffic: 0.0, ..NONE },
            _ => NONE,
        }
    }

    /// Share (0-1) of its memory limit that an instance of the revision uses when
    /// its process is `age` seconds old: it warms up, and leaks or not.
    pub fn memory(self, who: Who, age: f64) -> f64 {
        let warm = 0.45 + 0.05 * (1.0 - (-age / 480.0).exp());
        match self {
            Scenario::Leak(minutes) if who == Who::New => {
                0.45 + 0.35 * (age / (minutes * 60.0)).min(1.0)
            }
            _ => warm,
        }
    }
}
