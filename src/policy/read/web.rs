//! `http:` and `json:`, from what is written to what is asked.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use jiff::SignedDuration;
use reqwest::Url;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, Error, MapAccess, Visitor};
use serde_json_path::JsonPath;

use super::amount::Stretch;
use super::desk::Desk;
use super::scalar::{At, Scalar};
use crate::policy::diagnostic::{Mistake, nearest};
use crate::policy::web::{self, May};
use crate::policy::{Health, JsonValue, WebText};

const TIME_OUT: SignedDuration = SignedDuration::from_secs(5);
const LONGEST: SignedDuration = SignedDuration::from_secs(30);
const MOST_HEADERS: usize = 20;
/// Characters of an address or a body.
const LONGEST_SENT: usize = 4_096;
const MOST_NAMES: usize = 50;
/// Headers that belong to the connection.
const OURS: [&str; 5] = ["host", "content-length", "connection", "transfer-encoding", "user-agent"];
/// Words that name a secret in a header or a query.
const SECRETS: [&str; 10] = [
    "apikey",
    "auth",
    "authorization",
    "cookie",
    "password",
    "secret",
    "sig",
    "signature",
    "token",
    "accesstoken",
];

/// A health endpoint: its URL, or a mapping.
#[derive(Debug)]
pub(super) enum HttpText {
    Url(String),
    Whole(Box<HealthText>),
}

/// A health endpoint with what there is to say about it.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(
    deny_unknown_fields,
    default,
    expecting = "a URL, or `{ url: https://..., expect: [200] }`"
)]
pub(super) struct HealthText {
    /// Its address. Variables may stand in it: `https://${service}.example.com/health`. The daemon's settings must allow it under `outbound`. Required.
    pub url: Option<At<Sent>>,
    /// How long an answer may take, 30s at most. Default: 5s.
    pub timeout: Option<At<Stretch>>,
    /// The answers that are healthy. Default: 200 to 299.
    pub expect: Option<Vec<At<Code>>>,
    /// Headers that are sent along. A secret of the settings is written `${secrets.NAME}`. Default: none.
    pub headers: BTreeMap<String, At<String>>,
    /// Checks in the endpoint's answer, by their names, that are somebody else's: they never count. `status` stands for the endpoint as a whole. Default: none.
    pub depends_on: Option<Vec<At<String>>>,
    /// A JSONPath to the version that answers: `$.version`. It judges nothing, and is told beside what is down. Default: none.
    pub version: Option<At<JsonPathText>>,
}

/// A JSON API, and where its number stands.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, expecting = "`{ url: https://..., path: $.count }`")]
pub(super) struct JsonText {
    /// Its address. Beside the usual variables there are `${since}` and `${until}` (RFC 3339; with `_s` or `_ms` since the epoch) and `${window}` (`5m`). The daemon's settings must allow it under `outbound`. Required.
    pub url: Option<At<Sent>>,
    /// `GET`, or `POST` with a `body`. Default: `POST` where there is a `body`, or else `GET`.
    pub method: Option<At<MethodWord>>,
    /// JSON, in whose strings variables may stand. Default: none.
    pub body: Option<At<Sent>>,
    /// A JSONPath to a number: `$.count`. Of several numbers the worst counts. Required.
    pub path: Option<At<JsonPathText>>,
    /// Whether the number of what the path finds is the value. Default: false.
    pub count: Option<At<bool>>,
    /// Headers that are sent along. A secret of the settings is written `${secrets.NAME}`. Default: none.
    pub headers: BTreeMap<String, At<String>>,
    /// How long an answer may take, 30s at most. Default: 5s.
    pub timeout: Option<At<Stretch>>,
}

/// An address or a body: what is sent is longer than a name.
#[derive(Debug, Clone)]
pub(super) struct Sent(pub String);

/// A code of HTTP.
#[derive(Debug, Clone, Copy)]
pub(super) struct Code(pub u16);

/// A JSONPath (RFC 9535).
#[derive(Debug, Clone)]
pub(super) struct JsonPathText(pub String);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum MethodWord {
    Get,
    Post,
}

impl Scalar for Sent {
    const EXPECTED: &'static str = "a text";

    fn parse(text: &str) -> Result<Self, Mistake> {
        if text.trim().is_empty() {
            return Err(Mistake::new("an empty text"));
        }
        if text.chars().count() > LONGEST_SENT {
            return Err(Mistake::new(format!("a text has at most {LONGEST_SENT} characters")));
        }
        Ok(Self(text.trim().to_owned()))
    }
}

impl Scalar for Code {
    const EXPECTED: &'static str = "a code of HTTP such as `200`";

    fn parse(text: &str) -> Result<Self, Mistake> {
        let code = text.parse::<u16>().ok().filter(|code| (100..=599).contains(code));
        code.map(Self)
            .ok_or_else(|| Mistake::new(format!("`{text}` is no code of HTTP")).mend("write `200`"))
    }

    fn schema() -> Schema {
        json_schema!({ "type": "integer", "minimum": 100, "maximum": 599 })
    }
}

impl Scalar for JsonPathText {
    const EXPECTED: &'static str = "a JSONPath such as `$.count`";

    fn parse(text: &str) -> Result<Self, Mistake> {
        match JsonPath::parse(text) {
            Ok(_) => Ok(Self(text.to_owned())),
            Err(_) if !text.starts_with('$') => {
                Err(Mistake::new(format!("`{text}` is no JSONPath"))
                    .mend(format!("did you mean `$.{}`?", text.trim_start_matches('.'))))
            }
            Err(error) => {
                let why = format!("`{text}` is no JSONPath (character {})", error.position() + 1);
                Err(Mistake::new(why).mend("write it as `$.checks.database` or `$[*].count`"))
            }
        }
    }
}

impl Scalar for MethodWord {
    const EXPECTED: &'static str = "`GET` or `POST`";

    fn parse(text: &str) -> Result<Self, Mistake> {
        match text {
            "GET" => Ok(Self::Get),
            "POST" => Ok(Self::Post),
            _ => Err(Mistake::new(format!("`{text}` is no method: `GET` or `POST`"))),
        }
    }

    fn schema() -> Schema {
        json_schema!({ "enum": ["GET", "POST"] })
    }
}

impl<'de> Deserialize<'de> for HttpText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct UrlOrMapping;
        impl<'de> Visitor<'de> for UrlOrMapping {
            type Value = HttpText;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a URL, or `{ url: https://..., expect: [200] }`")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<HttpText, E> {
                Ok(HttpText::Url(text.to_owned()))
            }

            fn visit_map<M: MapAccess<'de>>(self, map: M) -> Result<HttpText, M::Error> {
                let whole = HealthText::deserialize(MapAccessDeserializer::new(map))?;
                Ok(HttpText::Whole(Box::new(whole)))
            }
        }
        deserializer.deserialize_any(UrlOrMapping)
    }
}

impl JsonSchema for HttpText {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Http".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let whole = generator.subschema_for::<HealthText>();
        let url =
            json_schema!({ "type": "string", "description": "The URL of a health endpoint." });
        json_schema!({ "anyOf": [url, whole] })
    }
}

/// Reads `http:`; `None`: the report says why not.
pub(super) fn health(name: &str, text: &HttpText, desk: &mut Desk) -> Option<Health> {
    let path = ["checks", name, "http"];
    let HealthText { url, timeout, expect, headers, depends_on, version } = match text {
        HttpText::Url(url) => {
            let url = At { value: Sent(url.clone()), marker: desk.key(&path) };
            let alone = HealthText { url: Some(url), ..HealthText::default() };
            return health(name, &HttpText::Whole(Box::new(alone)), desk);
        }
        HttpText::Whole(whole) => &**whole,
    };
    let before = desk.report.count();
    let may = May { times: false, secrets: false };
    let web = request(&path, url.as_ref(), headers, timeout.as_ref(), may, desk);
    let depends_on: &[At<String>] = depends_on.as_deref().unwrap_or_default();
    if depends_on.len() > MOST_NAMES {
        let key = desk.key(&[path.as_slice(), &["depends_on"]].concat());
        desk.at(key, Mistake::new(format!("more than {MOST_NAMES} names")));
    }
    if expect.as_ref().is_some_and(Vec::is_empty) {
        let mistake = Mistake::new("`expect` has no codes: no answer would be healthy");
        let key = [path.as_slice(), &["expect", "0"]].concat();
        desk.missing(&key, mistake.mend("remove it, or write `[200]`"));
    }
    let health = Health {
        web: web?,
        expect: expect.iter().flatten().map(|code| code.value.0).collect::<BTreeSet<_>>(),
        depends_on: depends_on.iter().map(|name| name.value.trim().to_owned()).collect(),
        version: version.as_ref().map(|path| path.value.0.clone()),
    };
    (desk.report.count() == before).then_some(health)
}

/// Reads the `json:` at `path`; `None`: the report says why not.
pub(super) fn json(path: &[&str], text: &JsonText, desk: &mut Desk) -> Option<JsonValue> {
    let before = desk.report.count();
    let may = May { times: true, secrets: false };
    let web = request(path, text.url.as_ref(), &text.headers, text.timeout.as_ref(), may, desk);
    match (&text.method, &text.body) {
        (Some(At { value: MethodWord::Get, marker }), Some(_)) => {
            desk.at(*marker, Mistake::new("a `GET` has no `body`").mend("write `method: POST`"));
        }
        (Some(At { value: MethodWord::Post, marker }), None) => {
            desk.at(
                *marker,
                Mistake::new("a `POST` has a `body`")
                    .mend("write `body: '{}'`, or remove `method`"),
            );
        }
        (_, Some(body)) => check_body(body, desk),
        (_, None) => {}
    }
    if text.path.is_none() {
        let mistake = Mistake::new("the `json` has no `path` to its number");
        desk.missing(&[path, &["path"]].concat(), mistake.mend("write `path: $.count`"));
    }
    let web = WebText { body: text.body.as_ref().map(|body| body.value.0.clone()), ..web? };
    let value = JsonValue {
        web,
        path: text.path.as_ref()?.value.0.clone(),
        count: text.count.as_ref().is_some_and(|count| count.value),
    };
    (desk.report.count() == before).then_some(value)
}

pub(super) fn request(
    path: &[&str],
    url: Option<&At<Sent>>,
    headers: &BTreeMap<String, At<String>>,
    timeout: Option<&At<Stretch>>,
    may: May,
    desk: &mut Desk,
) -> Option<WebText> {
    for (name, value) in headers {
        if let Some(mistake) = wrong_header(name, &value.value) {
            desk.at(value.marker, mistake);
        }
    }
    if headers.len() > MOST_HEADERS {
        let key = desk.key(&[path, &["headers"]].concat());
        desk.at(key, Mistake::new(format!("more than {MOST_HEADERS} headers")));
    }
    if let Some(At { value: Stretch(timeout), marker }) = timeout
        && !(SignedDuration::from_millis(1)..=LONGEST).contains(timeout)
    {
        let mistake = Mistake::new("a `timeout` is `30s` at most, and more than nothing");
        desk.at(*marker, mistake.mend("other checks of the same moment wait for it: write `5s`"));
    }
    let Some(url) = url else {
        let mistake = Mistake::new("there is no `url` to ask");
        desk.missing(&[path, &["url"]].concat(), mistake.mend("write `url: https://...`"));
        return None;
    };
    if let Some(mistake) = wrong_url(&url.value.0, may) {
        desk.at(url.marker, mistake);
        return None;
    }
    Some(WebText {
        url: url.value.0.clone(),
        headers: headers.iter().map(|(name, one)| (name.clone(), one.value.clone())).collect(),
        body: None,
        timeout: timeout.map_or(TIME_OUT, |timeout| timeout.value.0),
    })
}

fn wrong_url(text: &str, may: May) -> Option<Mistake> {
    if text.chars().any(char::is_control) {
        return Some(Mistake::new("a URL has no line breaks"));
    }
    if let Err(mistake) = web::check(text, may) {
        return Some(mistake);
    }
    let Some((scheme, rest)) = text.split_once("://") else {
        let mistake = Mistake::new(format!("`{text}` is no URL: it has no `https://`"));
        let bare = text.trim_start_matches("https:").trim_start_matches("http:");
        let bare = bare.trim_start_matches(['/', ':']);
        return Some(mistake.mend(format!("did you mean `https://{bare}`?")));
    };
    if !matches!(scheme, "https" | "http") {
        let mistake = Mistake::new(format!("`{scheme}://` is not asked: `https://` or `http://`"));
        return Some(match nearest(scheme, ["https", "http"]).first() {
            Some(near) => mistake.mend(format!("did you mean `{near}://{rest}`?")),
            None => mistake,
        });
    }
    let url = match Url::parse(&web::sample(text)) {
        Ok(url) => url,
        Err(why) => return Some(Mistake::new(format!("`{text}` is no URL: {why}"))),
    };
    if !url.username().is_empty() || url.password().is_some() {
        return Some(
            Mistake::new("a user or a password stands in the URL, where it is logged")
                .mend("write `headers: { Authorization: \"Basic ${secrets.NAME}\" }`"),
        );
    }
    if url.fragment().is_some() {
        return Some(Mistake::new("what follows `#` is never sent").mend("remove it"));
    }
    let told = url.query_pairs().find(|(name, _)| is_secret(name))?.0.into_owned();
    Some(
        Mistake::new(format!("`{told}` in the URL is a secret that everybody on its way logs"))
            .mend("write it as a header, with `${secrets.NAME}`"),
    )
}

/// Whether a header or a parameter of this name holds a secret: `access_token`, `X-Api-Key`.
fn is_secret(name: &str) -> bool {
    let name = name.to_lowercase();
    let words: Vec<&str> = name.split(['-', '_', '.']).collect();
    words.iter().any(|word| SECRETS.contains(word))
        || words.windows(2).any(|two| two == ["api", "key"])
}

fn wrong_header(name: &str, value: &str) -> Option<Mistake> {
    if let Err(mistake) = web::check(value, May { times: false, secrets: true }) {
        return Some(mistake);
    }
    if reqwest::header::HeaderName::from_bytes(name.as_bytes()).is_err() {
        return Some(Mistake::new(format!("`{name}` is no name of a header")));
    }
    if OURS.iter().any(|own| own.eq_ignore_ascii_case(name)) {
        return Some(Mistake::new(format!("the guard sets `{name}` itself")).mend("remove it"));
    }
    if value.contains(char::is_control) {
        return Some(Mistake::new(format!("`{name}` has a control character")));
    }
    let as_text = is_secret(name) || name.to_lowercase().ends_with("-key");
    (as_text && !value.contains("${secrets.")).then(|| {
        Mistake::new(format!("`{name}` is a secret, and stands in the policy as text"))
            .mend("write `${secrets.NAME}`, and name it under `secrets` of the settings")
    })
}

pub(super) fn check_body(body: &At<Sent>, desk: &mut Desk) {
    let may = May { times: true, secrets: false };
    let mistake = match web::check(&body.value.0, may) {
        Err(mistake) => mistake,
        Ok(()) => match serde_json::from_str::<serde_json::Value>(&web::sample(&body.value.0)) {
            Ok(_) => return,
            Err(why) => Mistake::new(format!("the `body` is no JSON: {why}"))
                .mend("put variables between quotes, all but the times in `_s` and `_ms`"),
        },
    };
    desk.at(body.marker, mistake);
}
