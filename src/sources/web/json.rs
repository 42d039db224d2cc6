//! Numbers out of a JSON answer.
//!
//! Each number that the path finds is a series by its place; what is no number spoils the
//! answer, because a path that also finds something else is probably not what was meant. A
//! number may stand in a string. `null` is no sample. With `count` the number of what is found
//! is the value, and finding nothing is zero.

use std::collections::BTreeMap;
use std::ops::Range;

use serde_json::Value;
use serde_json_path::JsonPath;

use super::unasked;
use crate::model::{JsonAsk, Ticks, Unusable};
use crate::outbound::{Answer, Failure};
use crate::sources::track::{Fetched, Track};

/// Numbers of one answer.
const MOST_SERIES: usize = 1_000;
/// The label of a series that says where the number stands, where there are several.
const AT: &str = "at";

/// The answers to an ask, by tick.
pub(super) fn told(
    ask: &JsonAsk,
    ticks: Ticks,
    wanted: Range<usize>,
    came: Vec<(usize, &Result<Answer, Failure>)>,
) -> Fetched {
    let mut samples: BTreeMap<String, Vec<(i64, f64)>> = BTreeMap::new();
    let mut failed: Vec<_> = (0..ticks.count)
        .filter(|tick| came.iter().all(|(asked, _)| asked != tick))
        .map(|tick| {
            let why = if wanted.contains(&tick) { unasked() } else { Unusable::NothingNew };
            (tick..tick + 1, why)
        })
        .collect();
    let mut came = came;
    came.sort_by_key(|(tick, _)| *tick);
    for (tick, came) in came {
        match came.as_ref().map_err(unusable).and_then(|answer| read(ask, answer)) {
            Ok(found) => {
                for (name, value) in found {
                    samples.entry(name).or_default().push((ticks.at_ms(tick), value));
                }
            }
            Err(why) => failed.push((tick..tick + 1, why)),
        }
    }
    let tracks = samples.into_iter().map(|(name, samples)| {
        let labels =
            if name.is_empty() { BTreeMap::new() } else { BTreeMap::from([(AT.to_owned(), name)]) };
        Track { labels, samples }
    });
    Fetched { tracks: tracks.collect(), failed }
}

fn unusable(failure: &Failure) -> Unusable {
    match failure {
        Failure::NoAnswer(why) | Failure::Unresolved(why) => Unusable::Unreachable(why.clone()),
        Failure::Refused(why) | Failure::Unusable(why) => Unusable::Refused(why.clone()),
    }
}

/// The numbers by their places; without a name where there is one.
fn read(ask: &JsonAsk, answer: &Answer) -> Result<Vec<(String, f64)>, Unusable> {
    let code = answer.status;
    match code {
        200..=299 => {}
        408 | 425 | 429 | 500..=599 => return Err(Unusable::Unreachable(format!("HTTP {code}"))),
        401 | 403 | 407 => {
            let why = format!("HTTP {code}: the guard is not let in; see the check's `headers`");
            return Err(Unusable::Refused(why));
        }
        _ => return Err(Unusable::Refused(format!("HTTP {code}: are `url` and `body` right?"))),
    }
    let json: Value = serde_json::from_slice(&answer.body)
        .map_err(|why| Unusable::Refused(format!("the answer is no JSON: {why}")))?;
    let path = JsonPath::parse(&ask.path)
        .map_err(|why| Unusable::Refused(format!("`{}` is no JSONPath: {why}", ask.path)))?;
    if ask.count {
        let count = path.query(&json).len();
        return Ok(vec![(String::new(), f64::from(u32::try_from(count).unwrap_or(u32::MAX)))]);
    }
    let found = path.query_located(&json);
    if found.len() > MOST_SERIES {
        let why = format!("`{}` finds more than {MOST_SERIES} values: narrow it", ask.path);
        return Err(Unusable::Refused(why));
    }
    let is_one = found.len() == 1;
    let mut numbers = Vec::new();
    for node in found.iter().filter(|node| !node.node().is_null()) {
        let number = number(node.node()).map_err(|what| {
            Unusable::Refused(format!("`{}` finds {what}, which is no number", ask.path))
        })?;
        let name = if is_one { String::new() } else { node.location().to_string() };
        numbers.push((name, number));
    }
    Ok(numbers)
}

/// # Errors
/// What it is instead.
fn number(value: &Value) -> Result<f64, &'static str> {
    match value {
        Value::Number(number) => number.as_f64().ok_or("something"),
        Value::String(text) => text.trim().parse().map_err(|_| "a text"),
        Value::Bool(_) => Err("true or false"),
        Value::Array(_) => Err("a list"),
        Value::Object(_) => Err("a mapping"),
        Value::Null => Err("nothing"),
    }
}
