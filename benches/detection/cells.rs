//! The cells of the table, and running them all.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use serde::Serialize;

use crate::generator::{self, Plan};
use crate::run::Rule;
use crate::scenario::{BAD, HEALTHY, Scenario};
use crate::score::{self, Rate, Recall};

/// Requests a minute.
const TRAFFIC: [f64; 3] = [6.0, 60.0, 1_200.0];
/// Seconds between samples.
const INTERVALS: [f64; 2] = [60.0, 15.0];
const HEALTHY_RUNS: usize = 80;
const BAD_RUNS: usize = 20;

#[derive(Debug, Clone, Copy)]
pub struct Cell {
    pub scenario: Scenario,
    pub traffic: f64,
    pub interval: f64,
    pub runs: usize,
}

/// A cell with what every rule did in it.
#[derive(Debug, Serialize)]
pub struct Result {
    pub scenario: String,
    pub healthy: bool,
    pub traffic: f64,
    pub interval: f64,
    pub runs: usize,
    /// Minutes; see [`score::bound`].
    pub bound: Option<f64>,
    pub rules: Vec<Scored>,
}

#[derive(Debug, Serialize)]
pub struct Scored {
    pub rule: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub false_rollbacks: Option<Rate>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recall: Option<Recall>,
}

/// Every cell, healthy ones first.
pub fn all(quick: bool, runs: Option<usize>) -> Vec<Cell> {
    let intervals = if quick { &INTERVALS[..1] } else { &INTERVALS };
    let of = |scenarios: &[Scenario], usual: usize| {
        let usual = if quick { usual / 2 } else { usual };
        let mut cells = Vec::new();
        for &scenario in scenarios {
            for traffic in TRAFFIC {
                for &interval in intervals {
                    cells.push(Cell { scenario, traffic, interval, runs: runs.unwrap_or(usual) });
                }
            }
        }
        cells
    };
    [of(HEALTHY, HEALTHY_RUNS), of(BAD, BAD_RUNS)].concat()
}

impl Cell {
    pub fn name(&self) -> String {
        name(&self.scenario.name(), self.traffic, self.interval)
    }

    /// Whether its name contains all of the parts, which commas separate.
    pub fn is(&self, parts: &str) -> bool {
        let name = self.name().split_whitespace().collect::<Vec<_>>().join(" ");
        parts.split(',').all(|part| name.contains(part.trim()))
    }

    fn plan(&self, run: usize, seed: u64) -> Plan {
        // The interval has no part in it: both see the same worlds.
        let text = format!("{} {} {run} {seed}", self.scenario.name(), self.traffic);
        let fnv = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        Plan {
            scenario: self.scenario,
            traffic: self.traffic,
            interval: self.interval,
            seed: text.bytes().fold(0xcbf2_9ce4_8422_2325, fnv),
        }
    }
}

/// `errors +2 points    1200/min 15 s`
pub fn name(scenario: &str, traffic: f64, interval: f64) -> String {
    format!("{scenario:<20} {traffic:>4}/min {interval} s")
}

/// Runs all rules in all cells, on all cores.
pub fn compare(cells: &[Cell], rules: &[Box<dyn Rule>], seed: u64) -> Vec<Result> {
    let tasks: Vec<(usize, usize)> = cells
        .iter()
        .enumerate()
        .flat_map(|(cell, Cell { runs, .. })| (0..*runs).map(move |run| (cell, run)))
        .collect();
    let next = AtomicUsize::new(0);
    let work = || {
        let mut done = Vec::new();
        while let Some(&(cell, run)) = tasks.get(next.fetch_add(1, Ordering::Relaxed)) {
            let run = generator::run(cells[cell].plan(run, seed));
            let acted: Vec<_> = rules.iter().map(|rule| rule.acts_at(&run)).collect();
            done.push((cell, acted));
        }
        done
    };
    let mut acted = vec![vec![Vec::new(); rules.len()]; cells.len()];
    thread::scope(|scope| {
        let workers = thread::available_parallelism().map_or(1, usize::from);
        let workers: Vec<_> = (0..workers).map(|_| scope.spawn(work)).collect();
        for (cell, times) in workers.into_iter().filter_map(|worker| worker.join().ok()).flatten() {
            for (rule, at) in times.into_iter().enumerate() {
                acted[cell][rule].push(at);
            }
        }
    });
    cells.iter().zip(acted).map(|(cell, acted)| result(cell, rules, &acted)).collect()
}

fn result(cell: &Cell, rules: &[Box<dyn Rule>], acted: &[Vec<Option<f64>>]) -> Result {
    let plan = cell.plan(0, 0);
    let healthy = cell.scenario.is_healthy();
    let scored = |(rule, acted): (&dyn Rule, &Vec<Option<f64>>)| Scored {
        rule: rule.name(),
        false_rollbacks: healthy
            .then(|| score::wilson(acted.iter().flatten().count(), acted.len())),
        recall: (!healthy).then(|| score::recall(&plan, acted)),
    };
    let rules = rules.iter().map(AsRef::as_ref);
    Result {
        scenario: cell.scenario.name(),
        healthy,
        traffic: cell.traffic,
        interval: cell.interval,
        runs: cell.runs,
        bound: if healthy { None } else { score::bound(&plan) },
        rules: rules.zip(acted).map(scored).collect(),
    }
}
