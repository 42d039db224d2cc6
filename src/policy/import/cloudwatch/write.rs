//! Metrics of CloudWatch as a policy writes them.

use std::fmt::Write;

use super::super::write::{quoted, round};
use super::{Asked, Metric, MetricStat};
use crate::policy::Part;

/// A value, or with a quantile a latency.
pub(in super::super) fn metric(out: &mut String, metric: &Metric, quantile: Option<f64>) {
    match quantile {
        None => {
            out.push_str("    cloudwatch:\n");
            fields(out, "      ", metric, true);
        }
        Some(quantile) => {
            let _ = writeln!(out, "    latency:\n      quantile: {}", round(quantile));
            out.push_str("      cloudwatch:\n");
            fields(out, "        ", metric, false);
        }
    }
}

/// A share of events; each side is the sum of a period.
pub(in super::super) fn ratio(out: &mut String, part: Part, of: &Metric, total: &Metric) {
    let part = match part {
        Part::Bad => "bad",
        Part::Good => "good",
    };
    out.push_str("    ratio:\n");
    for (name, metric) in [(part, of), ("total", total)] {
        let _ = writeln!(out, "      {name}:\n        cloudwatch:");
        fields(out, "          ", metric, false);
    }
}

fn fields(out: &mut String, margin: &str, metric: &Metric, with_stat: bool) {
    let Metric { of, period, unit } = metric;
    match of {
        Asked::Stat(stat) => one(out, margin, stat, with_stat),
        Asked::Math { expression, metrics } => {
            let _ = writeln!(out, "{margin}expression: {}", quoted(expression));
            let _ = writeln!(out, "{margin}metrics:");
            for (id, stat) in metrics {
                let _ = writeln!(out, "{margin}  {}:", quoted(id));
                one(out, &format!("{margin}    "), stat, true);
            }
        }
    }
    let _ = writeln!(out, "{margin}period: {period:#}");
    if let Some(unit) = unit {
        let _ = writeln!(out, "{margin}unit: {unit}");
    }
}

fn one(out: &mut String, margin: &str, stat: &MetricStat, with_stat: bool) {
    let MetricStat { namespace, metric, dimensions, stat } = stat;
    let _ = writeln!(out, "{margin}namespace: {}", quoted(namespace));
    let _ = writeln!(out, "{margin}metric: {}", quoted(metric));
    if !dimensions.is_empty() {
        let _ = writeln!(out, "{margin}dimensions:");
        for (name, value) in dimensions {
            let _ = writeln!(out, "{margin}  {}: {}", quoted(name), quoted(value));
        }
    }
    if with_stat {
        let _ = writeln!(out, "{margin}stat: {}", quoted(stat));
    }
}
