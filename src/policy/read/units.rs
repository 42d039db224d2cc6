//! The units and statistics of CloudWatch as a policy writes them.

use schemars::{Schema, json_schema};

use super::cloudwatch::{CloudWatchText, For, Statistic};
use super::desk::Desk;
use super::limits;
use super::scalar::{At, Scalar};
use crate::model::MetricUnit;
use crate::policy::Unit;
use crate::policy::cloudwatch::units::{Known, MetricWord, WORDS, known};
use crate::policy::diagnostic::{Mistake, Weight};

impl Scalar for MetricWord {
    const EXPECTED: &'static str = "a unit such as `percent` or `milliseconds`";

    fn parse(text: &str) -> Result<Self, Mistake> {
        MetricWord::named(text).ok_or_else(|| {
            Mistake::new(format!("`{text}` is no unit of a metric"))
                .mend_from(text, &WORDS.map(MetricWord::as_str))
        })
    }

    fn schema() -> Schema {
        json_schema!({ "enum": WORDS.map(MetricWord::as_str) })
    }
}

impl Scalar for Statistic {
    const EXPECTED: &'static str = "a statistic such as `Average`, `Sum` or `p95`";

    fn parse(text: &str) -> Result<Self, Mistake> {
        const WORDS: [&str; 5] = ["Average", "Sum", "Minimum", "Maximum", "SampleCount"];
        let percent = text.strip_prefix('p').filter(|rest| !rest.starts_with(['+', '-']));
        let percentile = percent
            .and_then(|rest| rest.parse::<f64>().ok())
            .is_some_and(|percent| (0.0..=100.0).contains(&percent));
        if percentile || WORDS.contains(&text) {
            return Ok(Self(text.to_owned()));
        }
        let mistake = Mistake::new(format!("`{text}` is no statistic"));
        Err(mistake.mend_from(text, &[&WORDS[..], &["p95"]].concat()))
    }
}

/// The unit of the metric at `path`, as its limits need it; `None`: the report says why not.
pub(super) fn unit(
    path: &[&str],
    text: &CloudWatchText,
    what: For,
    desk: &mut Desk,
) -> Option<MetricUnit> {
    let limits = match what {
        For::Count => return counted(text, desk),
        For::Latency { .. } => Unit::Seconds,
        For::Value(unit) => unit,
    };
    if text.expression.is_none() && (text.namespace.is_none() || text.metric.is_none()) {
        // That is said already.
        return None;
    }
    let kept = kept(text, what);
    if let Some(At { value, marker }) = &text.unit {
        if let (Some(Known { word: kept, is_sure }), Some(metric)) = (kept, &text.metric)
            && kept != *value
            && !may_be_a_share(text, kept, *value)
        {
            let (name, kept, word) = (&metric.value, kept.in_words(), value.in_words());
            if is_sure {
                let mistake = Mistake::new(format!("CloudWatch keeps `{name}` {kept}, not {word}"));
                desk.at(*marker, mistake.mend("remove `unit`: it is known"));
                return None;
            }
            let said = format!("`{name}` is taken {word}; what is named alike is {kept}");
            let mend = "look at the metric's unit in CloudWatch";
            desk.report.remark(Weight::Warning, *marker, Mistake::new(said).mend(mend));
        }
        if value.measures() == limits {
            return Some(value.unit());
        }
        let mut mistake = apart("the metric", *value, limits);
        let other = MetricWord::of(limits).join("`, `");
        mistake.mend =
            mistake.mend.map(|mend| format!("{mend}; or the `unit` is one of `{other}`"));
        desk.at(*marker, mistake);
        return None;
    }
    match (kept.map(|known| known.word), limits) {
        (Some(word), _) if word.measures() == limits => Some(word.unit()),
        (Some(word), Unit::Number | Unit::Failures) => {
            bare_limits(path, text, word, desk);
            Some(MetricUnit::Base)
        }
        (Some(word), Unit::Ratio | Unit::Seconds | Unit::Bytes) => {
            let name = text.metric.as_ref().map_or("", |metric| metric.value.as_str());
            let place = desk.key(&breach(path));
            desk.at(place, apart(&format!("`{name}`"), word, limits));
            None
        }
        (None, Unit::Number | Unit::Failures) => Some(MetricUnit::Base),
        // What AWS's own services call percent goes from 0 to 100.
        (None, Unit::Ratio) if is_of_aws(text) => Some(MetricUnit::Percent),
        (None, Unit::Ratio | Unit::Seconds | Unit::Bytes) => {
            let mistake = Mistake::new("CloudWatch does not say which unit it keeps this in");
            let words = MetricWord::of(limits).join("`, `");
            let key = [path, &["unit"]].concat();
            desk.missing(&key, mistake.mend(format!("add `unit:` and one of `{words}`")));
            None
        }
    }
}

/// A count has no unit but its own.
fn counted(text: &CloudWatchText, desk: &mut Desk) -> Option<MetricUnit> {
    match &text.unit {
        Some(At { value, marker }) if value.as_str() != "count" => {
            let mistake = Mistake::new(format!("a count of events is not {}", value.in_words()));
            desk.at(*marker, mistake.mend("remove `unit`"));
            None
        }
        Some(_) | None => Some(MetricUnit::Base),
    }
}

fn kept(text: &CloudWatchText, what: For) -> Option<Known> {
    let stat = what.stat().or_else(|| Some(text.stat.as_ref()?.value.0.clone()))?;
    known(&text.namespace.as_ref()?.value, &text.metric.as_ref()?.value, &stat)
}

/// The mean of a count that is 0 or 1 for each event is a share of them.
fn may_be_a_share(text: &CloudWatchText, kept: MetricWord, said: MetricWord) -> bool {
    let mean = text.stat.as_ref().is_some_and(|stat| stat.value.0 == "Average");
    mean && kept.as_str() == "count" && said.as_str() == "ratio"
}

fn is_of_aws(text: &CloudWatchText) -> bool {
    text.namespace.as_ref().is_some_and(|At { value, .. }| {
        value.starts_with("AWS/") || ["ECS/ContainerInsights", "CWAgent"].contains(&value.as_str())
    })
}

/// Where the limits of the metric at `path` stand.
fn breach<'a>(path: &[&'a str]) -> Vec<&'a str> {
    path.iter().take(2).copied().chain(["breach"]).collect()
}

/// A metric and limits that are in different units.
fn apart(metric: &str, word: MetricWord, unit: Unit) -> Mistake {
    let mistake = Mistake::new(format!(
        "{metric} is {}, and its limits are {}",
        word.in_words(),
        limits::in_words(unit)
    ));
    mistake.mend(match word.measures() {
        Unit::Number | Unit::Failures if unit == Unit::Ratio => {
            "write a number such as `> 10`; for a share of all, give a `ratio` with its `total`"
        }
        Unit::Number | Unit::Failures => "write a number such as `> 10`",
        Unit::Ratio => "write the limits in percent, such as `> 80%`",
        Unit::Seconds => "write times, such as `> 500ms`",
        Unit::Bytes => "write sizes, such as `< 5 GB`",
    })
}

/// A time or a size against a bare number: it counts in CloudWatch's own unit.
fn bare_limits(path: &[&str], text: &CloudWatchText, word: MetricWord, desk: &mut Desk) {
    let mend = match word.measures() {
        Unit::Seconds => "write times, such as `> 500ms`",
        Unit::Bytes => "write sizes, such as `< 5 GB`",
        // 80 of 100 is 80 % whichever way it is written.
        Unit::Ratio | Unit::Number | Unit::Failures => return,
    };
    // A baseline alone has no unit, and needs none.
    let check = desk.tree.get_mapping("checks").zip(path.get(1));
    let check = check.and_then(|(checks, name)| checks.get_mapping(name));
    if !check.is_some_and(|check| check.contains_key("breach") || check.contains_key("normal")) {
        return;
    }
    let name = text.metric.as_ref().map_or("", |metric| metric.value.as_str());
    let said = format!("`{name}` is {}, and its limits are bare numbers of them", word.in_words());
    let place = desk.key(&breach(path));
    desk.report.remark(Weight::Warning, place, Mistake::new(said).mend(mend));
}
