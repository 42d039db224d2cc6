//! How rules for rolling back compare: false rollbacks on healthy deployments,
//! recall and time to detect on bad ones.
//!
//! ```text
//! cargo bench --bench detection                    every cell, a few minutes
//! cargo bench --bench detection -- --quick         fewer runs, 1-minute samples only
//! cargo bench --bench detection -- --only "+2 points,1200/min 60 s" --runs 200
//! cargo bench --bench detection -- --data DIR      real series in place of made ones
//! ```

#![allow(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "counts far below 2^52, and never negative"
)]

mod cells;
mod data;
mod day;
mod generator;
mod mann_whitney;
mod ours;
mod peers;
mod promql;
mod prototype;
mod run;
mod scenario;
mod score;
mod series_peers;
mod table;

use std::io;
use std::path::PathBuf;

use clap::Parser;

use crate::run::{Rule, SeriesRule};

#[derive(Debug, Parser)]
struct Args {
    /// Fewer runs, and samples of a minute only.
    #[arg(long)]
    quick: bool,
    /// Runs a cell; without it 80 of healthy ones and 20 of bad ones.
    #[arg(long)]
    runs: Option<usize>,
    /// Only cells whose name contains this, or all of several with commas between.
    #[arg(long, default_value = "")]
    only: String,
    /// Only rules whose name contains this.
    #[arg(long, default_value = "")]
    rule: String,
    /// Other runs than those of seed 0.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Prints JSON in place of tables.
    #[arg(long)]
    json: bool,
    /// Pseudo-deployments on the real series below this folder.
    #[arg(long, env = "DEPLOYGUARD_DATA")]
    data: Option<PathBuf>,
    /// What `cargo bench` says to every bench.
    #[arg(long, hide = true)]
    bench: bool,
}

/// The rules that are compared.
fn rules() -> Vec<Box<dyn Rule>> {
    let mut rules = peers::all();
    rules.extend(ours::all());
    rules
}

/// The rules that are compared on a single gauge.
fn series_rules() -> Vec<Box<dyn SeriesRule>> {
    let mut rules = series_peers::all();
    rules.extend(ours::all_of_series());
    rules
}

fn main() -> io::Result<()> {
    let args = Args::parse();
    let named = |name: &str| name.to_lowercase().contains(&args.rule.to_lowercase());
    if let Some(folder) = &args.data {
        let mut rules = series_rules();
        rules.retain(|rule| named(rule.name()));
        let groups = data::read(folder)?;
        let scores = data::compare(&groups, &rules, args.seed);
        return if args.json {
            table::json(&scores)
        } else {
            table::series(&scores, &mut io::stdout().lock())
        };
    }
    let mut rules = rules();
    rules.retain(|rule| named(rule.name()));
    let cells: Vec<_> =
        cells::all(args.quick, args.runs).into_iter().filter(|cell| cell.is(&args.only)).collect();
    let results = cells::compare(&cells, &rules, args.seed);
    if args.json { table::json(&results) } else { table::all(&results, &mut io::stdout().lock()) }
}
