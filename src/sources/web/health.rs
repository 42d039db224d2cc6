//! What a health endpoint says, as series of 1 (up) and 0 (down).
//!
//! | answer | series |
//! | --- | --- |
//! | 2xx (or what is expected) without JSON | `status` up |
//! | JSON that names checks, whatever the code | each check by its name; `status` up |
//! | the same, unhealthy, and no check says why | `status` down |
//! | unhealthy, and only checks of `depends_on` are down | `status` up, and it is told |
//! | another code without such JSON, 404 too | `status` down |
//! | 401, 403, 407 | no data: the guard is not let in |
//! | 408, 425, 429 | no data now: the guard asks too much, or too early |
//! | nobody answers: refused, reset, time-out, TLS | `status` down |
//! | the name does not resolve | no data now |
//! | not allowed, too large, endless redirects | no data |
//!
//! Read are `checks`, `components`, `entries` or `details` that map names to `true`, to a word
//! or to a mapping (or a list of mappings) with a `status`; and a list of checks with a `name`
//! each. A word that nobody knows says nothing. The checks in `depends_on` are no series;
//! `status` among them means that all of the endpoint is somebody else's: it is up, and told.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};
use serde_json_path::JsonPath;

use crate::model::{BESIDE, CHECK, HealthAsk, STATUS, THEIRS, Ticks, Unusable};
use crate::outbound::{Answer, Failure};
use crate::sources::track::{Fetched, Track};

/// Checks of one endpoint; those that are down are kept before others.
const MOST_CHECKS: usize = 50;
/// Characters of a name, a word or a version.
const LONGEST: usize = 60;

const UP: [&str; 17] = [
    "up",
    "ok",
    "okay",
    "healthy",
    "pass",
    "passed",
    "passing",
    "success",
    "alive",
    "available",
    "online",
    "ready",
    "running",
    "serving",
    "true",
    "green",
    "operational",
];
/// It works, and its owner is told elsewhere.
const UP_BUT: [&str; 4] = ["warn", "warning", "degraded", "yellow"];
const DOWN: [&str; 18] = [
    "down",
    "fail",
    "failed",
    "failing",
    "failure",
    "error",
    "unhealthy",
    "critical",
    "dead",
    "unavailable",
    "offline",
    "out_of_service",
    "not_serving",
    "notready",
    "not_ready",
    "false",
    "red",
    "ko",
];
const LISTS: [&str; 4] = ["checks", "components", "entries", "details"];

/// What one check says; `None` of it: nothing that is known.
type Says = Option<bool>;

/// The answer to an ask: of now, and nothing new of earlier ticks.
pub(super) fn told(ask: &HealthAsk, ticks: Ticks, came: &Result<Answer, Failure>) -> Fetched {
    let Some(last) = ticks.count.checked_sub(1) else { return Fetched::default() };
    let (mut series, mut beside) = match read(ask, came) {
        Ok(read) => read,
        Err(why) => return Fetched::failed(ticks, why),
    };
    if ask.depends_on.contains(STATUS) {
        let down: Vec<String> =
            series.iter().filter(|(_, up)| !**up).map(|(name, _)| name.clone()).collect();
        if !down.is_empty() {
            beside.push(theirs_in_words(&down));
        }
        series = BTreeMap::from([(STATUS.to_owned(), true)]);
    }
    let label = |name: &str, value: String| BTreeMap::from([(name.to_owned(), value)]);
    let now = ticks.at_ms(last);
    let tracks = series.into_iter().map(|(name, up)| Track {
        labels: label(CHECK, name),
        samples: vec![(now, f64::from(u8::from(up)))],
    });
    let beside =
        beside.into_iter().map(|words| Track { labels: label(BESIDE, words), samples: Vec::new() });
    let failed = (last > 0).then_some((0..last, Unusable::NothingNew));
    Fetched { tracks: tracks.chain(beside).collect(), failed: Vec::from_iter(failed) }
}

type Read = (BTreeMap<String, bool>, Vec<String>);

fn read(ask: &HealthAsk, came: &Result<Answer, Failure>) -> Result<Read, Unusable> {
    let answer = match came {
        Ok(answer) => answer,
        Err(Failure::NoAnswer(why)) => {
            return Ok((BTreeMap::from([(STATUS.to_owned(), false)]), vec![why.clone()]));
        }
        Err(Failure::Unresolved(why)) => return Err(Unusable::Unreachable(why.clone())),
        Err(Failure::Refused(why) | Failure::Unusable(why)) => {
            return Err(Unusable::Refused(why.clone()));
        }
    };
    let Answer { status: code, body, is_cut: _ } = answer;
    let is_good =
        if ask.expect.is_empty() { (200..300).contains(code) } else { ask.expect.contains(code) };
    match code {
        401 | 403 | 407 if !is_good => {
            let why = format!("HTTP {code}: the guard is not let in; see the check's `headers`");
            return Err(Unusable::Refused(why));
        }
        408 | 425 | 429 if !is_good => return Err(Unusable::Unreachable(format!("HTTP {code}"))),
        _ => {}
    }
    // Deeper than serde's own bound it is no JSON either.
    let json: Option<Value> = serde_json::from_slice(body).ok().filter(Value::is_object);
    let json = json.unwrap_or(Value::Null);
    let mut beside = Vec::new();
    if let Some(version) = ask.version.as_ref().and_then(|path| version(&json, path)) {
        beside.push(format!("{version} answers"));
    }
    if !is_good {
        beside.push(format!("HTTP {code}"));
    }
    let overall = json.get("status").or_else(|| json.get("healthy")).and_then(says);
    let is_healthy = is_good && overall != Some(false);
    let (own, theirs): (Vec<_>, Vec<_>) =
        named(&json).into_iter().partition(|(name, _)| !ask.depends_on.contains(name));
    let down = |all: &[(String, bool)]| -> Vec<String> {
        all.iter().filter(|(_, up)| !up).map(|(name, _)| name.clone()).collect()
    };
    let theirs = down(&theirs);
    if !theirs.is_empty() {
        beside.push(theirs_in_words(&theirs));
    }
    let explained = !theirs.is_empty() || !down(&own).is_empty();
    let mut series: BTreeMap<String, bool> = own.into_iter().collect();
    let answers = is_healthy || explained;
    series.entry(STATUS.to_owned()).and_modify(|up| *up &= answers).or_insert(answers);
    Ok((series, beside))
}

fn theirs_in_words(names: &[String]) -> String {
    format!("{}{THEIRS}", names.join(", "))
}

/// What an answer has, for whoever wonders whether an ask reads it rightly.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Seen {
    /// The answer is a JSON mapping.
    pub is_json: bool,
    /// Every check that it names, whatever it says of it.
    pub checks: BTreeSet<String>,
    /// What the ask's path to a version finds.
    pub version: Option<String>,
    /// `JSONPath`s of the texts and numbers in it, at its top and one below.
    pub paths: BTreeSet<String>,
}

pub(super) fn seen(ask: &HealthAsk, answer: &Answer) -> Seen {
    let json: Option<Value> = serde_json::from_slice(&answer.body).ok();
    let Some(json) = json.filter(Value::is_object) else { return Seen::default() };
    let is_text = |value: &Value| value.is_string() || value.is_number();
    let mut paths = BTreeSet::new();
    for (name, value) in json.as_object().into_iter().flatten() {
        if is_text(value) {
            paths.insert(format!("$.{name}"));
        }
        let below = value.as_object().into_iter().flatten().filter(|(_, value)| is_text(value));
        paths.extend(below.map(|(below, _)| format!("$.{name}.{below}")));
    }
    Seen {
        is_json: true,
        checks: said_of_each(&json).into_iter().map(|(name, _)| short(&name)).collect(),
        version: ask.version.as_ref().and_then(|path| version(&json, path)),
        paths,
    }
}

/// The named checks that say something, at most [`MOST_CHECKS`].
fn named(json: &Value) -> Vec<(String, bool)> {
    let found = said_of_each(json).into_iter();
    let mut found: Vec<(String, bool)> =
        found.filter_map(|(name, says)| Some((short(&name), says?))).collect();
    found.sort_by_key(|(_, up)| *up);
    found.truncate(MOST_CHECKS);
    found
}

fn said_of_each(json: &Value) -> Vec<(String, Says)> {
    match LISTS
        .iter()
        .find_map(|key| json.get(*key).filter(|list| list.is_object() || list.is_array()))
    {
        Some(Value::Object(map)) => {
            map.iter().map(|(name, value)| (name.clone(), says(value))).collect()
        }
        Some(Value::Array(list)) => list
            .iter()
            .filter_map(|one| {
                let name = one.get("name").or_else(|| one.get("id"))?.as_str()?;
                Some((name.to_owned(), says(one)))
            })
            .collect(),
        Some(_) | None => Vec::new(),
    }
}

/// What a value says of the check it stands for; of a list the worst.
fn says(value: &Value) -> Says {
    match value {
        Value::Bool(up) => Some(*up),
        Value::Number(number) => match number.as_u64() {
            Some(0) => Some(false),
            Some(1) => Some(true),
            Some(_) | None => None,
        },
        Value::String(word) => word_says(word),
        Value::Object(map) => of_mapping(map),
        Value::Array(list) => list
            .iter()
            .filter_map(|one| match one {
                Value::Object(map) => of_mapping(map),
                _ => None,
            })
            .reduce(|worst, next| worst && next),
        Value::Null => None,
    }
}

fn of_mapping(map: &Map<String, Value>) -> Says {
    let keys = ["status", "state", "healthy", "ok"];
    keys.iter().find_map(|key| match map.get(*key)? {
        Value::Bool(up) => Some(*up),
        Value::String(word) => word_says(word),
        _ => None,
    })
}

fn word_says(word: &str) -> Says {
    let word = word.trim().to_lowercase().replace([' ', '-'], "_");
    if UP.contains(&word.as_str()) || UP_BUT.contains(&word.as_str()) {
        Some(true)
    } else if DOWN.contains(&word.as_str()) {
        Some(false)
    } else {
        None
    }
}

fn version(json: &Value, path: &str) -> Option<String> {
    let path = JsonPath::parse(path).ok()?;
    let found = path.query(json).first()?;
    match found {
        Value::String(text) if !text.trim().is_empty() => Some(short(text)),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// One line of it, bounded: it is a stranger's.
fn short(text: &str) -> String {
    text.trim().chars().filter(|char| !char.is_control()).take(LONGEST).collect()
}
