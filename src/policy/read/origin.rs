//! `source:`, where counters and values are read.

use std::collections::BTreeMap;
use std::fmt;

use jiff::SignedDuration;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{Deserializer, Error, MapAccess, SeqAccess, Visitor};

use super::amount::Stretch;
use super::desk::Desk;
use super::raw::CheckText;
use super::scalar::{At, MEND};
use super::web::{self, Sent};
use crate::policy::diagnostic::Mistake;
use crate::policy::plain::names;
use crate::policy::selector::check_value;
use crate::policy::web::May;
use crate::policy::{Check, Counted, Gauged, Measure, Scrape, Stated, WebText};

/// From one reading of a page to the next, by default and at most: a sample is the base of
/// the next one for five minutes.
const EVERY: SignedDuration = SignedDuration::from_secs(15);
const MOST_OFTEN: SignedDuration = SignedDuration::from_secs(1);
const SELDOM: SignedDuration = SignedDuration::from_mins(1);
const MOST_PAGES: usize = 20;
/// What is known of a service while nothing is deployed.
const KNOWN: [&str; 3] = ["service", "environment", "cluster"];

/// Where series come from.
#[derive(Debug)]
pub(super) enum SourceText {
    /// `prometheus`: that of the settings.
    Prometheus,
    Pages(Box<PagesText>),
}

/// Pages of metrics that the guard reads itself, in Prometheus' text format or as `OpenMetrics`, from its start on. No Prometheus is asked.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(
    deny_unknown_fields,
    default,
    expecting = "`prometheus`, or `{ scrape: https://.../metrics }`"
)]
pub(super) struct PagesText {
    /// The page of every instance, or several, 20 at most. `${service}`, `${environment}` and `${cluster}` may stand in it. The daemon's settings must allow it under `outbound`. Required.
    pub scrape: Option<Urls>,
    /// From one reading to the next, from 1s to 1m. Default: 15s.
    pub every: Option<At<Stretch>>,
    /// Whether each address that the page's name resolves to is an instance of its own, as with a name of a service discovery. Without it the name is one instance. Default: false.
    pub each_address: Option<At<bool>>,
    /// Headers that are sent along. A secret of the settings is written `${secrets.NAME}`. Default: none.
    pub headers: BTreeMap<String, At<String>>,
    /// How long an answer may take, 30s at most. Default: 5s.
    pub timeout: Option<At<Stretch>>,
}

/// One URL, or several.
#[derive(Debug)]
pub(super) enum Urls {
    One(String),
    Many(Vec<At<String>>),
}

impl<'de> Deserialize<'de> for Urls {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OneOrMany;
        impl<'de> Visitor<'de> for OneOrMany {
            type Value = Urls;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a URL, or a list of URLs")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Urls, E> {
                Ok(Urls::One(text.to_owned()))
            }

            fn visit_seq<S: SeqAccess<'de>>(self, list: S) -> Result<Urls, S::Error> {
                Vec::deserialize(SeqAccessDeserializer::new(list)).map(Urls::Many)
            }
        }
        deserializer.deserialize_any(OneOrMany)
    }
}

impl JsonSchema for Urls {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Pages".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let many = json_schema!({
            "type": "array",
            "items": { "type": "string" },
            "minItems": 1,
            "maxItems": MOST_PAGES,
        });
        json_schema!({ "anyOf": [{ "type": "string" }, many] })
    }
}

impl SourceText {
    /// Whether each service has pages of its own.
    pub fn tells_services(&self) -> bool {
        let tells = |url: &str| names(url).any(|name| name == "service");
        let Self::Pages(text) = self else { return false };
        match &text.scrape {
            Some(Urls::One(url)) => tells(url),
            Some(Urls::Many(urls)) => urls.iter().all(|url| tells(&url.value)),
            None => false,
        }
    }
}

impl<'de> Deserialize<'de> for SourceText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct WordOrMapping;
        impl<'de> Visitor<'de> for WordOrMapping {
            type Value = SourceText;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("`prometheus`, or `{ scrape: https://.../metrics }`")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<SourceText, E> {
                if text == "prometheus" {
                    return Ok(SourceText::Prometheus);
                }
                let mend = if text.contains("://") {
                    format!("write `{{ scrape: {text} }}`")
                } else {
                    "write `prometheus`, or `{ scrape: https://.../metrics }`".to_owned()
                };
                Err(E::custom(format!("`{text}` is no source{MEND}{mend}")))
            }

            fn visit_map<M: MapAccess<'de>>(self, map: M) -> Result<SourceText, M::Error> {
                let pages = PagesText::deserialize(MapAccessDeserializer::new(map))?;
                Ok(SourceText::Pages(Box::new(pages)))
            }
        }
        deserializer.deserialize_any(WordOrMapping)
    }
}

impl JsonSchema for SourceText {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Source".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let pages = generator.subschema_for::<PagesText>();
        let word = json_schema!({
            "const": "prometheus",
            "description": "The Prometheus of the daemon's settings.",
        });
        json_schema!({ "anyOf": [word, pages] })
    }
}

/// Where series come from that name no source of their own.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Origin {
    Prometheus,
    Pages(Box<Scrape>),
    /// The report says why.
    Unread,
}

/// Reads the `source` at `path`.
pub(super) fn origin(path: &[&str], text: &SourceText, desk: &mut Desk) -> Origin {
    match text {
        SourceText::Prometheus => Origin::Prometheus,
        SourceText::Pages(text) => match scrape(path, text, desk) {
            Some(scrape) => Origin::Pages(Box::new(scrape)),
            None => Origin::Unread,
        },
    }
}

/// `check` with the source that it reads: its own, or else the policy's.
pub(super) fn bring(check: Check, text: &CheckText, common: &Origin, desk: &mut Desk) -> Check {
    let path = ["checks", check.name.as_str(), "source"];
    let reads = reads_series(&check.measure);
    let own = text.source.as_ref().map(|own| origin(&path, own, desk));
    if own.is_some() && !reads {
        let mistake = Mistake::new("only a `counter`, a `query` or a `status` has a `source`");
        desk.at(desk.key(&path), mistake.mend("remove it: what is asked says where"));
        return check;
    }
    let from = match own.as_ref().unwrap_or(common) {
        Origin::Pages(from) if reads => from.clone(),
        Origin::Pages(_) | Origin::Prometheus | Origin::Unread => return check,
    };
    plain(text, desk);
    Check { from: Some(from), ..check }
}

/// Whether it counts or reads series that Prometheus would have.
fn reads_series(measure: &Measure) -> bool {
    match measure {
        Measure::Ratio { of, .. } => match of {
            Counted::Counter(_) | Counted::Query(_) => true,
            Counted::Metric(_) | Counted::Json(_) => false,
        },
        Measure::Latency { .. }
        | Measure::Gauge { of: Gauged::Query(_), .. }
        | Measure::Status { of: Stated::Query(_) } => true,
        Measure::Gauge {
            of: Gauged::Metric(_) | Gauged::Tasks(_) | Gauged::Json(_) | Gauged::Logs(_),
            ..
        }
        | Measure::Status {
            of: Stated::Alarms(_) | Stated::Http(_) | Stated::Probe(_) | Stated::Heartbeat(_),
        } => false,
    }
}

/// A page has series and knows no PromQL.
fn plain(text: &CheckText, desk: &mut Desk) {
    let counts = text.ratio.iter().flat_map(|ratio| [&ratio.bad, &ratio.good, &ratio.total]);
    for query in counts.flatten().filter_map(|count| count.query.as_ref()) {
        let mistake = Mistake::new("a page of metrics is no Prometheus: it computes no `query`");
        desk.at(query.marker, mistake.mend(
            "write the `counter` that the query counts: `{ counter: 'http_requests_total{...}' }`",
        ));
    }
    for query in [&text.query, &text.status].into_iter().flatten() {
        if let Err(mistake) = check_value(&query.value.0) {
            desk.at(query.marker, mistake);
        }
    }
}

fn scrape(path: &[&str], text: &PagesText, desk: &mut Desk) -> Option<Scrape> {
    let before = desk.report.count();
    let own = [path, &["scrape"]].concat();
    let urls = match &text.scrape {
        Some(Urls::One(url)) => vec![At { value: url.clone(), marker: desk.key(&own) }],
        Some(Urls::Many(urls)) => urls.clone(),
        None => Vec::new(),
    };
    if urls.is_empty() || urls.len() > MOST_PAGES {
        let mistake = Mistake::new(format!("a source reads 1 to {MOST_PAGES} pages"));
        desk.missing(
            &own,
            mistake.mend("write `source: { scrape: https://www.example.com/metrics }`"),
        );
        return None;
    }
    for url in &urls {
        if let Some(name) = names(&url.value).find(|name| !KNOWN.contains(name)) {
            let mistake = Mistake::new(format!(
                "`${{{name}}}` is known only with a deployment, and a page is read before it"
            ));
            desk.at(
                url.marker,
                mistake
                    .mend("only `${service}`, `${environment}` and `${cluster}` may stand in it"),
            );
        }
    }
    if let Some(At { value: Stretch(every), marker }) = &text.every
        && !(MOST_OFTEN..=SELDOM).contains(every)
    {
        desk.at(*marker, Mistake::new("a page is read every `1s` to `1m`").mend("write `15s`"));
    }
    if desk.report.count() > before {
        return None;
    }
    let may = May { times: false, secrets: false };
    let page = |url: &At<String>, desk: &mut Desk| {
        let url = At { value: Sent(url.value.clone()), marker: url.marker };
        web::request(path, Some(&url), &text.headers, text.timeout.as_ref(), may, desk)
    };
    // What all of them have in common is told once.
    let mut pages: Vec<WebText> = Vec::new();
    for url in &urls {
        pages.push(page(url, desk)?);
    }
    let scrape = Scrape {
        pages,
        every: text.every.as_ref().map_or(EVERY, |every| every.value.0),
        each_address: text.each_address.as_ref().is_some_and(|each| each.value),
    };
    (desk.report.count() == before).then_some(scrape)
}
