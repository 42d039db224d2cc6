//! `probe:`, from what is written to what is done.

use std::collections::BTreeMap;

use jiff::SignedDuration;
use schemars::{JsonSchema, Schema, json_schema};
use serde::Deserialize;
use serde_json_path::JsonPath;

use super::amount::Stretch;
use super::desk::Desk;
use super::scalar::{At, Scalar};
use super::web::{Sent, check_body, request};
use crate::model::Expect;
use crate::policy::diagnostic::Mistake;
use crate::policy::probe::{Probe, Probed, Step};
use crate::policy::web::May;
use crate::policy::{WebText, plain};

const EVERY: SignedDuration = SignedDuration::from_mins(5);
const MOST_OFTEN: SignedDuration = SignedDuration::from_secs(1);
const WITHIN: SignedDuration = SignedDuration::from_secs(10);
const MOST_STEPS: usize = 20;

/// A smoke test or a user flow: a `command` of the settings, or `requests`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(
    deny_unknown_fields,
    default,
    expecting = "`{ command: smoke }` or `{ requests: [{ get: https://... }] }`"
)]
pub(super) struct ProbeText {
    /// The name of a command under `commands` of the daemon's settings. Exit code 0 is good. Required, or `requests`.
    pub command: Option<At<String>>,
    /// One after the other, up to the first that fails; 20 at most. The daemon's settings must allow them under `outbound`. Required, or `command`.
    pub requests: Option<Vec<StepText>>,
    /// From the beginning of one run to that of the next; after a failure the next one begins within 30s. Default: 5m.
    pub every: Option<At<Stretch>>,
    /// Whether it asks the new revision alone, where that has no traffic yet: then what fails counts from the first run on, though nobody has seen it good. Default: false.
    pub new_only: Option<At<bool>>,
}

/// A request, and what its answer must be.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(
    deny_unknown_fields,
    default,
    expecting = "`{ get: https://..., expect: { status: 200 } }`"
)]
pub(super) struct StepText {
    /// The address that is asked. Redirects are followed. Required, or `post`.
    pub get: Option<At<Sent>>,
    /// The address that the `body` is sent to. Required, or `get`.
    pub post: Option<At<Sent>>,
    /// What a `post` sends: JSON, in whose strings variables may stand. Default: `{}`.
    pub body: Option<At<Sent>>,
    /// Headers that are sent along. A secret of the settings is written `${secrets.NAME}`. Default: none.
    pub headers: BTreeMap<String, At<String>>,
    /// What the answer must be.
    pub expect: ExpectText,
}

/// What the answer must be.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, expecting = "`{ status: 200, body_contains: Cart }`")]
pub(super) struct ExpectText {
    /// The codes that are good: `200`, `2xx`, or several, `200, 404`. Default: 2xx.
    pub status: Option<At<Codes>>,
    /// A text that stands in the answer, case and all. Default: none.
    pub body_contains: Option<At<String>>,
    /// What a JSONPath must find: `{ $.status: ok }`. Default: none.
    pub json: BTreeMap<String, At<String>>,
    /// How long the answer may take, 30s at most. Default: 10s.
    pub within: Option<At<Stretch>>,
}

/// `200`, `2xx`, or several of them.
#[derive(Debug, Clone)]
pub(super) struct Codes(Vec<(u16, u16)>);

impl Scalar for Codes {
    const EXPECTED: &'static str = "codes of HTTP such as `200`, `2xx` or `200, 404`";

    fn parse(text: &str) -> Result<Self, Mistake> {
        let one = |part: &str| {
            let part = part.trim().to_lowercase();
            if let Some(class) = part.strip_suffix("xx").and_then(|class| class.parse().ok()) {
                return (1..=5_u16).contains(&class).then_some((class * 100, class * 100 + 99));
            }
            let code = part.parse::<u16>().ok().filter(|code| (100..=599).contains(code))?;
            Some((code, code))
        };
        let codes: Option<Vec<(u16, u16)>> = text.split(',').map(one).collect();
        codes.map(Self).ok_or_else(|| {
            Mistake::new(format!("`{text}` is no code of HTTP")).mend("write `200` or `2xx`")
        })
    }

    fn schema() -> Schema {
        json_schema!({ "type": ["integer", "string"] })
    }
}

/// Reads `probe:`; `None`: the report says why not.
pub(super) fn probe(name: &str, text: &ProbeText, desk: &mut Desk) -> Option<Probe> {
    let path = ["checks", name, "probe"];
    let before = desk.report.count();
    if let Some(At { value: Stretch(every), marker }) = &text.every
        && *every < MOST_OFTEN
    {
        desk.at(*marker, Mistake::new("a probe is run every `1s` at most"));
    }
    let of = match (&text.command, &text.requests) {
        (Some(command), None) => {
            let fits = |char: char| char.is_ascii_alphanumeric() || "-_".contains(char);
            if command.value.is_empty() || !command.value.chars().all(fits) {
                let words = format!("`{}` is no name of a command", command.value);
                let mend = "name it under `commands` of the settings, with its arguments there";
                desk.at(command.marker, Mistake::new(words).mend(mend));
            }
            Some(Probed::Command(command.value.clone()))
        }
        (None, Some(steps)) => requests(&path, steps, desk).map(Probed::Requests),
        (Some(_), Some(_)) => {
            let mistake = Mistake::new("a probe is a `command` or `requests`, not both");
            desk.at(desk.key(&[path.as_slice(), &["command"]].concat()), mistake);
            None
        }
        (None, None) => {
            let mistake = Mistake::new("the `probe` does nothing");
            desk.missing(
                &[path.as_slice(), &["command"]].concat(),
                mistake.mend("give it a `command` of the settings, or `requests`"),
            );
            None
        }
    };
    let every = text.every.as_ref().map_or(EVERY, |every| every.value.0);
    let new_only = text.new_only.as_ref().is_some_and(|only| only.value);
    let probe = Probe { of: of?, every, new_only };
    (desk.report.count() == before).then_some(probe)
}

fn requests(path: &[&str], steps: &[StepText], desk: &mut Desk) -> Option<Vec<Step>> {
    let key = [path, &["requests"]].concat();
    if steps.is_empty() || steps.len() > MOST_STEPS {
        let mistake = Mistake::new(format!("a probe has 1 to {MOST_STEPS} requests"));
        desk.at(desk.key(&key), mistake);
        return None;
    }
    let read: Vec<Option<Step>> = steps.iter().map(|step| self::step(&key, step, desk)).collect();
    read.into_iter().collect()
}

fn step(path: &[&str], text: &StepText, desk: &mut Desk) -> Option<Step> {
    let StepText { get, post, body, headers, expect } = text;
    let url = match (get, post) {
        (Some(url), None) | (None, Some(url)) => url,
        (Some(url), Some(_)) => {
            desk.at(url.marker, Mistake::new("a request is a `get` or a `post`, not both"));
            return None;
        }
        (None, None) => {
            let mistake = Mistake::new("a request of the probe has no address");
            desk.at(desk.key(path), mistake.mend("write `get: https://...` or `post: ...`"));
            return None;
        }
    };
    match body {
        Some(body) if get.is_some() => {
            desk.at(body.marker, Mistake::new("a `get` has no `body`").mend("write `post: ...`"));
        }
        Some(body) => check_body(body, desk),
        None => {}
    }
    let may = May { times: false, secrets: false };
    let web = request(path, Some(url), headers, expect.within.as_ref(), may, desk);
    let sent = body.as_ref().map(|body| body.value.0.clone());
    let expect = expected(expect, desk);
    let web = web?;
    let within = text.expect.within.as_ref().map_or(WITHIN, |within| within.value.0);
    let body = post.is_some().then(|| sent.unwrap_or_else(|| "{}".to_owned()));
    Some(Step { web: WebText { body, timeout: within, ..web }, expect })
}

fn expected(text: &ExpectText, desk: &mut Desk) -> Expect {
    for (path, wanted) in &text.json {
        if JsonPath::parse(path).is_err() {
            let mistake = Mistake::new(format!("`{path}` is no JSONPath"));
            desk.at(wanted.marker, mistake.mend("write `{ $.status: ok }`"));
        }
    }
    for wanted in text.body_contains.iter().chain(text.json.values()) {
        if let Err(mistake) = plain::check(&wanted.value) {
            desk.at(wanted.marker, mistake);
        }
    }
    Expect {
        status: text.status.as_ref().map(|codes| codes.value.0.clone()).unwrap_or_default(),
        body_contains: text.body_contains.as_ref().map(|wanted| wanted.value.clone()),
        json: text.json.iter().map(|(path, wanted)| (path.clone(), wanted.value.clone())).collect(),
    }
}
