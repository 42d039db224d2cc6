//! The steps of a probe: requests one after the other, and what their answers must be.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use reqwest::Url;
use serde_json::Value;
use serde_json_path::JsonPath;

use super::Came;
use crate::model::{Expect, Filled, StepAsk, Unusable, WebAsk};
use crate::outbound::{Answer, Failure, Header, Method, Outbound, Reach, Request};

/// Characters of a stranger's word.
const LONGEST: usize = 60;
/// Other hosts that are asked whether it is the guard's own network that is lost.
const MOST_OTHERS: usize = 3;

/// Asks step by step, up to the first that is not as expected.
pub(super) async fn walk(way: &Outbound, steps: &[StepAsk]) -> Came {
    // Of a large answer the status, and what stands at its beginning, may be all that matters.
    let reach = Reach { may_cut: true, ..Reach::default() };
    for (place, step) in steps.iter().enumerate() {
        let place_of =
            |why: &str| format!("step {} of {}, {}: {why}", place + 1, steps.len(), step.web);
        let why = match way.send_within(&request(&step.web), reach).await {
            Ok(answer) => match unexpected(&step.expect, &answer) {
                Ok(None) => continue,
                Ok(Some(why)) => why,
                Err(why) if shuts_out(&step.expect, &answer) => {
                    let bad = format!("HTTP {}: it was let in before", answer.status);
                    return Came::Shut { bad: place_of(&bad), unknown: of(&step.web, why) };
                }
                Err(why) => return Came::Unknown(of(&step.web, why)),
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
        return Came::Bad(place_of(&why));
    }
    Came::Good
}

/// Whether the guard is not let in, and should be.
fn shuts_out(expect: &Expect, answer: &Answer) -> bool {
    matches!(answer.status, 401 | 403) && !expects(expect, answer.status)
}

/// Why an answer says nothing, with whose it is.
fn of(web: &WebAsk, why: Unusable) -> Unusable {
    match why {
        Unusable::Refused(why) => Unusable::Refused(format!("{web}: {why}")),
        why => Unusable::Unreachable(format!("{web}: {why}")),
    }
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
/// The answer says nothing about the service: the guard is not let in, or asks too much; it is
/// too large for what is looked for in it; or what is expected is no path.
fn unexpected(expect: &Expect, answer: &Answer) -> Result<Option<String>, Unusable> {
    let Answer { status, body, is_cut } = answer;
    if !expects(expect, *status) {
        return match status {
            401 | 403 | 407 => Err(Unusable::Refused(format!(
                "HTTP {status}: the guard is not let in; see the step's `headers`, or expect it"
            ))),
            408 | 425 | 429 => Err(Unusable::Unreachable(format!(
                "HTTP {status}: it is asked too much, or too early"
            ))),
            _ => Ok(Some(format!("{status} instead of {}", in_words(codes(expect))))),
        };
    }
    let too_large = |what: &str| {
        let why = format!("the answer is too large to be read whole: {what}");
        Err(Unusable::Refused(why))
    };
    if let Some(wanted) = &expect.body_contains
        && !String::from_utf8_lossy(body).contains(wanted.as_str())
    {
        return if *is_cut {
            too_large(&format!("its beginning does not contain `{wanted}`"))
        } else {
            Ok(Some(format!("the answer does not contain `{wanted}`")))
        };
    }
    if expect.json.is_empty() {
        return Ok(None);
    }
    if *is_cut {
        return too_large("ask for less JSON");
    }
    let Ok(json) = serde_json::from_slice::<Value>(body) else {
        return Ok(Some("the answer is no JSON".to_owned()));
    };
    for (path, wanted) in &expect.json {
        let parsed = JsonPath::parse(path)
            .map_err(|why| Unusable::Refused(format!("`{path}` is no JSONPath: {why}")))?;
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
