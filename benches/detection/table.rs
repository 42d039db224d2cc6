//! The tables as text, 120 columns wide, and as JSON.

use std::io::{self, Write};

use serde::Serialize;

use crate::cells::{Result, Scored, name};
use crate::data::Score;
use crate::prototype;
use crate::score::Rate;

const CELL: usize = 34;
const RULE: usize = 14;

/// What was measured, as it is.
pub fn json<T: Serialize>(results: &[T]) -> io::Result<()> {
    let mut out = io::stdout().lock();
    serde_json::to_writer_pretty(&mut out, results)?;
    writeln!(out)
}

/// Every table that there is something to say in.
pub fn all(results: &[Result], out: &mut impl Write) -> io::Result<()> {
    let (healthy, bad): (Vec<_>, Vec<_>) = results.iter().partition(|result| result.healthy);
    if !healthy.is_empty() {
        false_rollbacks(&healthy, out)?;
    }
    if !bad.is_empty() {
        found(&bad, out)?;
        in_detail(&bad, out)?;
    }
    differences(results, out)
}

fn false_rollbacks(results: &[&Result], out: &mut impl Write) -> io::Result<()> {
    writeln!(out, "False rollbacks, with 95 % Wilson intervals\n")?;
    head(results, out)?;
    for result in results {
        let cell = |scored: &Scored| scored.false_rollbacks.map(with_interval).unwrap_or_default();
        row(result, cell, out)?;
    }
    writeln!(out)
}

fn found(results: &[&Result], out: &mut impl Write) -> io::Result<()> {
    writeln!(out, "Recall at the end / median minutes to detect\n")?;
    head(results, out)?;
    for result in results {
        let cell = |scored: &Scored| {
            let Some(recall) = &scored.recall else { return String::new() };
            format!("{} / {}", short(recall.at_end.of), minutes(recall.median))
        };
        row(result, cell, out)?;
    }
    writeln!(out)
}

fn in_detail(results: &[&Result], out: &mut impl Write) -> io::Result<()> {
    writeln!(
        out,
        "Recall after 3, 5, 10 minutes and at the end; median minutes, and as a multiple"
    )?;
    writeln!(out, "of Wald's bound for a test that knows both rates\n")?;
    writeln!(
        out,
        "{:<CELL$} {:>5} {:<RULE$} {:>5} {:>5} {:>5} {:>14} {:>6} {:>7} {:>6}",
        "", "bound", "", "3 m", "5 m", "10 m", "end", "early", "median", "x"
    )?;
    for result in results {
        let mut cell = name(&result.scenario, result.traffic, result.interval);
        let mut bound = minutes(result.bound);
        for scored in &result.rules {
            let Some(recall) = &scored.recall else { continue };
            writeln!(
                out,
                "{:<CELL$} {:>5} {:<RULE$} {:>5} {:>5} {:>5} {:>14} {:>6} {:>7} {:>6}",
                std::mem::take(&mut cell),
                std::mem::take(&mut bound),
                scored.rule,
                short(recall.in_3),
                short(recall.in_5),
                short(recall.in_10),
                with_interval(recall.at_end),
                short(recall.early),
                minutes(recall.median),
                minutes(recall.of_bound),
            )?;
        }
    }
    writeln!(out)
}

fn differences(results: &[Result], out: &mut impl Write) -> io::Result<()> {
    let figures = prototype::figures(results);
    if figures.is_empty() {
        return Ok(());
    }
    let differing = figures.iter().filter(|figure| figure.differs());
    let count = differing.clone().count();
    writeln!(
        out,
        "Of the prototype's {} figures for the peers {count} differ (rate by > .15, median by > 3 m)\n",
        figures.len()
    )?;
    for figure in differing {
        let show = |(rate, median): (f64, Option<f64>)| match median {
            Some(_) => format!("{} / {}", short(rate), minutes(median)),
            None => short(rate),
        };
        writeln!(
            out,
            "{:<CELL$} {:<RULE$} there {:<9} here {}",
            figure.cell,
            figure.rule,
            show(figure.there),
            show(figure.here)
        )?;
    }
    Ok(())
}

/// The table of real series.
pub fn series(scores: &[Score], out: &mut impl Write) -> io::Result<()> {
    writeln!(
        out,
        "False rollbacks on unlabelled stretches; recall / median samples where labelled\n"
    )?;
    writeln!(
        out,
        "{:<35} {:<RULE$} {:>7} {:>16} {:>9} {:>14} {:>7}",
        "", "", "healthy", "false", "anomalies", "recall", "samples"
    )?;
    let mut last = "";
    for score in scores {
        let group = if score.group == last { "" } else { &score.group };
        last = &score.group;
        writeln!(
            out,
            "{group:<35} {:<RULE$} {:>7} {:>16} {:>9} {:>14} {:>7}",
            score.rule,
            score.healthy,
            score.false_rollbacks.map(with_interval).unwrap_or_default(),
            score.bad,
            score.recall.map(with_interval).unwrap_or_default(),
            minutes(score.median),
        )?;
    }
    Ok(())
}

fn head(results: &[&Result], out: &mut impl Write) -> io::Result<()> {
    write!(out, "{:<CELL$}", "")?;
    for scored in results.first().into_iter().flat_map(|result| &result.rules) {
        write!(out, "{:>RULE$}", scored.rule)?;
    }
    writeln!(out)
}

fn row(result: &Result, cell: impl Fn(&Scored) -> String, out: &mut impl Write) -> io::Result<()> {
    write!(out, "{:<CELL$}", name(&result.scenario, result.traffic, result.interval))?;
    for scored in &result.rules {
        write!(out, "{:>RULE$}", cell(scored))?;
    }
    writeln!(out)
}

/// `.11 .06-.20`
fn with_interval(rate: Rate) -> String {
    format!("{} {}-{}", short(rate.of), short(rate.low), short(rate.high))
}

/// `0`, `.11`, `1`.
fn short(rate: f64) -> String {
    match format!("{rate:.2}").as_str() {
        "0.00" => "0".to_owned(),
        "1.00" => "1".to_owned(),
        text => text.trim_start_matches('0').to_owned(),
    }
}

fn minutes(minutes: Option<f64>) -> String {
    minutes.map_or_else(|| "-".to_owned(), |minutes| format!("{minutes:.1}").replace(".0", ""))
}
