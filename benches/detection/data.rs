//! Pseudo-deployments on real, labelled series: nothing was deployed where nothing
//! is labelled, and something broke where a label begins.
//!
//! Read are CSV files of `timestamp,value` and maybe `label` (0 or 1), as in
//! Microsoft's cloud monitoring dataset, and `combined_windows.json` beside them
//! for those without labels, as in the Numenta Anomaly Benchmark.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use jiff::civil::DateTime;
use rand::{RngExt, SeedableRng};
use serde::Serialize;

use crate::generator::Random;
use crate::run::{SeriesRule, SeriesRun};
use crate::score::{self, Rate};

/// Samples before a pseudo-deployment, and after it.
const BASELINE: usize = 120;
const WATCH: usize = 60;
/// No label so many samples before and behind what must be healthy.
const CLEAR: usize = 30;
/// Healthy pseudo-deployments of one series.
const DRAWS: usize = 10;
/// An anomaly shorter than this many samples is no deployment's doing.
const SHORTEST: usize = 3;

/// One series on its grid.
#[derive(Debug)]
pub struct Source {
    /// Folder of the file.
    group: String,
    /// Seconds between samples.
    interval: f64,
    values: Vec<Option<f64>>,
    labelled: Vec<bool>,
}

/// What a rule did on a group of series.
#[derive(Debug, Serialize)]
pub struct Score {
    pub group: String,
    pub rule: &'static str,
    /// Pseudo-deployments, each judged in both directions.
    pub healthy: usize,
    /// Of deployments that were rolled back in either direction.
    pub false_rollbacks: Option<Rate>,
    pub bad: usize,
    pub recall: Option<Rate>,
    /// Samples until it acted.
    pub median: Option<f64>,
}

/// Begins and ends of anomalies, by the end of a file's path.
type Windows = BTreeMap<String, Vec<(DateTime, DateTime)>>;

/// Every series below a folder.
pub fn read(folder: &Path) -> io::Result<Vec<Source>> {
    let mut files = Vec::new();
    below(folder, &mut files)?;
    files.sort();
    let mut windows = Windows::new();
    for file in files.iter().filter(|file| file.ends_with("combined_windows.json")) {
        let text: BTreeMap<String, Vec<(String, String)>> =
            serde_json::from_str(&fs::read_to_string(file)?)?;
        for (name, spans) in text {
            let spans = spans.iter().filter_map(|(from, to)| Some((time(from)?, time(to)?)));
            windows.insert(name, spans.collect());
        }
    }
    let csv = |file: &&PathBuf| file.extension().is_some_and(|extension| extension == "csv");
    let mut sources = Vec::new();
    for file in files.iter().filter(csv) {
        let spans = windows.iter().find(|(name, _)| file.ends_with(name)).map(|(_, spans)| spans);
        let text = fs::read_to_string(file)?;
        let group = file.parent().and_then(Path::file_name).unwrap_or_default();
        let group = group.to_string_lossy().into_owned();
        sources.extend(source(group, &text, spans.map_or(&[], Vec::as_slice)));
    }
    Ok(sources)
}

fn below(folder: &Path, found: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            below(&path, found)?;
        } else {
            found.push(path);
        }
    }
    Ok(())
}

fn time(text: &str) -> Option<DateTime> {
    text.trim_matches('"').trim_end_matches('Z').parse().ok()
}

/// A file's rows on a grid of its usual step; `None` where a row is missing.
fn source(group: String, text: &str, spans: &[(DateTime, DateTime)]) -> Option<Source> {
    let rows: Vec<(DateTime, Option<f64>, bool)> = text
        .lines()
        .filter_map(|line| {
            let mut fields = line.split(',').map(|field| field.trim_matches('"'));
            let at = time(fields.next()?)?;
            let value = fields.next()?.parse().ok().filter(|value: &f64| value.is_finite());
            let labelled = fields.next().is_some_and(|label| label == "1")
                || spans.iter().any(|(from, to)| (*from..=*to).contains(&at));
            Some((at, value, labelled))
        })
        .collect();
    let since = |at: DateTime| at.duration_since(rows[0].0).as_secs_f64();
    let mut steps: Vec<f64> =
        rows.windows(2).map(|pair| since(pair[1].0) - since(pair[0].0)).collect();
    steps.retain(|step| *step > 0.0);
    steps.sort_by(f64::total_cmp);
    let interval = score::median(&steps)?;
    let samples = (since(rows.last()?.0) / interval).round() as usize + 1;
    let mut values = vec![None; samples];
    let mut labelled = vec![false; samples];
    for (at, value, label) in &rows {
        let index = (since(*at) / interval).round() as usize;
        if let Some(slot) = values.get_mut(index) {
            *slot = *value;
            labelled[index] |= label;
        }
    }
    Some(Source { group, interval, values, labelled })
}

impl Source {
    fn run(&self, at: usize, until: usize, higher_is_worse: bool) -> SeriesRun {
        SeriesRun {
            interval: self.interval,
            baseline: self.values[at - BASELINE..at].to_vec(),
            watch: self.values[at..until].to_vec(),
            higher_is_worse,
        }
    }

    /// Places for healthy deployments, drawn without regard to the values.
    fn healthy(&self, random: &mut Random) -> Vec<usize> {
        let clear = |at: &usize| {
            let until = (at + WATCH + CLEAR).min(self.labelled.len());
            !self.labelled[at.saturating_sub(BASELINE)..until].contains(&true)
                && self.values[at - BASELINE..at + WATCH].iter().flatten().count() > WATCH
        };
        let last = self.values.len().saturating_sub(WATCH);
        let places: Vec<usize> = (BASELINE..last).filter(clear).collect();
        if places.is_empty() {
            return places;
        }
        (0..DRAWS).map(|_| places[random.random_range(0..places.len())]).collect()
    }

    /// Anomalies with a clean stretch before them: begin, end of the watch, and
    /// whether the anomaly is upward.
    fn bad(&self) -> Vec<(usize, usize, bool)> {
        let begins = (BASELINE..self.labelled.len())
            .filter(|at| self.labelled[*at] && !self.labelled[at - CLEAR..*at].contains(&true));
        begins
            .filter_map(|at| {
                let labelled = &self.labelled[at..];
                let length = labelled.iter().position(|label| !label).unwrap_or(labelled.len());
                let until = (at + WATCH.max(length)).min(self.values.len());
                let level = |values: &[Option<f64>]| {
                    let known: Vec<f64> = values.iter().flatten().copied().collect();
                    (!known.is_empty()).then(|| known.iter().sum::<f64>() / known.len() as f64)
                };
                let upward = level(&self.values[at..at + length])?
                    >= level(&self.values[at - BASELINE..at])?;
                (length >= SHORTEST).then_some((at, until, upward))
            })
            .collect()
    }
}

/// Every rule on every group of series.
pub fn compare(sources: &[Source], rules: &[Box<dyn SeriesRule>], seed: u64) -> Vec<Score> {
    let mut random = Random::seed_from_u64(seed);
    let mut groups: BTreeMap<&str, (Vec<[SeriesRun; 2]>, Vec<SeriesRun>)> = BTreeMap::new();
    for source in sources {
        let (healthy, bad) = groups.entry(&source.group).or_default();
        let places = source.healthy(&mut random).into_iter();
        healthy.extend(places.map(|at| [true, false].map(|up| source.run(at, at + WATCH, up))));
        bad.extend(source.bad().into_iter().map(|(at, until, up)| source.run(at, until, up)));
    }
    let of = |group: &str, healthy: &[[SeriesRun; 2]], bad: &[SeriesRun]| {
        let rate = |hits: usize, of: usize| (of > 0).then(|| score::wilson(hits, of));
        let score = |rule: &dyn SeriesRule| {
            let acts = |runs: &&[SeriesRun; 2]| runs.iter().any(|run| rule.acts_at(run).is_some());
            let acted = bad.iter().filter_map(|run| rule.acts_at(run));
            let mut samples: Vec<f64> = acted.map(|sample| sample as f64 + 1.0).collect();
            samples.sort_by(f64::total_cmp);
            Score {
                group: group.to_owned(),
                rule: rule.name(),
                healthy: healthy.len(),
                false_rollbacks: rate(healthy.iter().filter(acts).count(), healthy.len()),
                bad: bad.len(),
                recall: rate(samples.len(), bad.len()),
                median: score::median(&samples),
            }
        };
        rules.iter().map(|rule| score(rule.as_ref())).collect::<Vec<_>>()
    };
    groups.iter().flat_map(|(group, (healthy, bad))| of(group, healthy, bad)).collect()
}
