//! The steps of a probe: requests one after the other, and what their answers must be.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use reqwest::Url;
use serde_json::Value;
use serde_json_path::JsonPath;

use super::Came;
use crate::model::{Expect, Filled, StepAsk, Unusable, WebAsk};
use crate::outbound::{Answer, Failure, Header, Method, Outbound, Request};

/// Characters of a stranger's word.
const LONGEST: usize = 60;
/// Other hosts that are asked whether it is the guard's own network that is lost.
const MOST_OTHERS: usize = 3;

/// Asks step by step, up to the first that is not as expected.
pub(super) async fn walk(way: &Outbound, steps: &[StepAsk]) -> Came {
    for (place, step) in steps.iter().enumerate() {
        let why = match way.send(&request(&step.web)).await {
            Ok(Answer { status: code @ 429, .. }) if !expects(&step.expect, code) => {
                let why = format!("{} answers {code}: it is asked too often", step.web);
                return Came::Unknown(Unusable::Unreachable(why));
            }
            Ok(answer) => match unexpected(&step.expect, &answer) {
                Ok(None) => continue,
                Ok(Some(why)) => why,
                Err(why) => return Came::Unknown(Unusable::Refused(why)),
            },
            Err(Failure::NoAnswer(why)) if place == 0 => {
                match other_hosts_silent(way, steps).await {
                    Some(count) => {
                        let why = format!(
                            "none of {count} hosts answers: the guard's own network? ({why})"
                        );
                        return Came::Unknown(Unusable::Unreachable(why));
                    }
                    None => why,
                }
            }
            Err(Failure::NoAnswer(why) | Failure::Unusable(why)) => why,
            Err(Failure::Unresolved(why)) => return Came::Unknown(Unusable::Unreachable(why)),
            Err(Failure::Refused(why)) => return Came::Unknown(Unusable::Refused(why)),
        };
        let of = format!("step {} of {}, {}", place + 1, steps.len(), step.web);
        return Came::Bad(format!("{of}: {why}"));
    }
    Came::Good
}

/// How many hosts there are, where there are several and none answers.
async fn other_hosts_silent(way: &Outbound, steps: &[StepAsk]) -> Option<usize> {
    let host = |step: &StepAsk| {
        let url = Url::parse(&text(&step.web.url)).ok()?;
        Some(url.host_str()?.to_owned())
    };
    let mut hosts: BTreeSet<String> = steps.first().and_then(host).into_iter().collect();
    for step in steps.iter().filter(|step| step.web.body.is_none()) {
        if hosts.len() > MOST_OTHERS || host(step).is_none_or(|host| !hosts.insert(host)) {
            continue;
        }
        let came = way.send(&request(&step.web)).await;
        if matches!(came, Ok(_) | Err(Failure::Unusable(_))) {
            return None;
        }
    }
    (hosts.len() > 1).then_some(hosts.len())
}

/// What is not as expected, if anything is.
///
/// # Errors
/// The guard is not let in, or what is expected is no path.
fn unexpected(expect: &Expect, answer: &Answer) -> Result<Option<String>, String> {
    let Answer { status, body } = answer;
    if !expects(expect, *status) {
        return Ok(Some(format!("{status} instead of {}", in_words(codes(expect)))));
    }
    if let Some(wanted) = &expect.body_contains
        && !String::from_utf8_lossy(body).contains(wanted.as_str())
    {
        return Ok(Some(format!("the answer does not contain `{wanted}`")));
    }
    if expect.json.is_empty() {
        return Ok(None);
    }
    let Ok(json) = serde_json::from_slice::<Value>(body) else {
        return Ok(Some("the answer is no JSON".to_owned()));
    };
    for (path, wanted) in &expect.json {
        let parsed =
            JsonPath::parse(path).map_err(|why| format!("`{path}` is no JSONPath: {why}"))?;
        let found = parsed.query(&json);
        let shown = |value: &Value| match value {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        match found.first().map(shown) {
            Some(found) if found == *wanted => {}
            Some(found) => {
                let found: String =
                    found.chars().filter(|char| !char.is_control()).take(LONGEST).collect();
                return Ok(Some(format!("`{path}` is `{found}` instead of `{wanted}`")));
            }
            None => {
                return Ok(Some(format!("the answer has nothing at `{path}`")));
            }
        }
    }
    Ok(None)
}

fn codes(expect: &Expect) -> &[(u16, u16)] {
    if expect.status.is_empty() { &[(200, 299)] } else { &expect.status }
}

fn expects(expect: &Expect, code: u16) -> bool {
    codes(expect).iter().any(|(first, last)| (*first..=*last).contains(&code))
}

fn in_words(codes: &[(u16, u16)]) -> String {
    let words = codes.iter().map(|(first, last)| {
        if first == last { first.to_string() } else { format!("{}xx", first / 100) }
    });
    words.collect::<Vec<_>>().join(" or ")
}

/// Times are none of a probe's.
fn at(filled: &Filled) -> Vec<Result<String, String>> {
    filled.at(Timestamp::UNIX_EPOCH, SignedDuration::ZERO)
}

fn text(filled: &Filled) -> String {
    // A secret stands in headers alone.
    at(filled).into_iter().map(Result::unwrap_or_default).collect()
}

fn request(web: &WebAsk) -> Request {
    let headers: BTreeMap<_, _> = web.headers.iter().collect();
    Request {
        method: if web.body.is_some() { Method::Post } else { Method::Get },
        url: text(&web.url),
        headers: headers
            .into_iter()
            .map(|(name, value)| Header { name: name.clone(), value: at(value) })
            .collect(),
        body: web.body.as_ref().map(text),
        time_out: std::time::Duration::try_from(web.timeout).unwrap_or_default(),
    }
}
