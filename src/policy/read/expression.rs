//! `expression:`, metric math over `metrics`.

use std::collections::BTreeMap;

use super::cloudwatch::{CloudWatchText, stat};
use super::desk::Desk;
use super::scalar::At;
use crate::model::{MetricOf, MetricStat};
use crate::policy::cloudwatch::math;
use crate::policy::diagnostic::Mistake;

/// What CloudWatch allows.
const MOST_METRICS: usize = 20;

/// Reads an expression over `metrics`; `None`: the report says why not.
pub(super) fn math(
    path: &[&str],
    text: &CloudWatchText,
    expression: &At<String>,
    desk: &mut Desk,
) -> Option<MetricOf> {
    for (key, there) in [
        ("metric", text.metric.is_some()),
        ("namespace", text.namespace.is_some()),
        ("dimensions", !text.dimensions.is_empty()),
        ("stat", text.stat.is_some()),
    ] {
        if there {
            let mistake = Mistake::new(format!("an `expression` has no `{key}` of its own"));
            let key = [path, &[key]].concat();
            desk.at(desk.key(&key), mistake.mend("put it into one of its `metrics`"));
        }
    }
    if text.metrics.is_empty() || text.metrics.len() > MOST_METRICS {
        let mistake = Mistake::new(format!("an `expression` needs 1 to {MOST_METRICS} `metrics`"));
        desk.at(expression.marker, mistake);
        return None;
    }
    if expression.value.contains("${") {
        let mistake = Mistake::new("an `expression` has no variables");
        desk.at(expression.marker, mistake.mend("they stand in the dimensions of its `metrics`"));
    }
    if expression.value.to_ascii_uppercase().contains("SEARCH(") {
        let mistake = Mistake::new("`SEARCH` finds other metrics from one day to the next");
        desk.at(expression.marker, mistake.mend("name the `metrics` that are meant"));
    }
    let shape =
        if expression.value.contains("${") { Vec::new() } else { math::check(&expression.value) };
    for mistake in shape {
        desk.at(expression.marker, mistake);
    }
    let metrics = parts(path, text, &expression.value, desk);
    for used in math::metrics(&expression.value) {
        if !text.metrics.contains_key(used) {
            let known: Vec<&str> = text.metrics.keys().map(String::as_str).collect();
            let mistake = Mistake::new(format!("no metric of the `expression` is named `{used}`"));
            desk.at(expression.marker, mistake.mend_from(used, &known));
        }
    }
    Some(MetricOf::Math { expression: expression.value.clone(), metrics })
}

/// The metrics of an expression that can be read.
fn parts(
    path: &[&str],
    text: &CloudWatchText,
    expression: &str,
    desk: &mut Desk,
) -> BTreeMap<String, MetricStat> {
    let mut metrics = BTreeMap::new();
    for (name, one) in &text.metrics {
        let at = [path, &["metrics", name]].concat();
        if !is_id(name) {
            let mistake = Mistake::new(format!("`{name}` is no name in metric math"));
            desk.at(
                desk.key(&at),
                mistake.mend("begin with a small letter, go on with letters, digits and `_`"),
            );
        } else if !math::uses(expression, name) {
            let mistake = Mistake::new(format!("the `expression` does not use `{name}`"));
            desk.at(desk.key(&at), mistake.mend("remove it, or use it"));
        }
        if let Some(stat) = stat(&at, one, None, desk) {
            metrics.insert(name.clone(), stat);
        }
    }
    metrics
}

fn is_id(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}
