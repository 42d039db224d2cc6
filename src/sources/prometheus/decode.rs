//! Prometheus's answers as series. Pure: status and bytes in, series out.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{Error as _, IgnoredAny, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use crate::model::Unusable;
use crate::sources::Track;

/// The most series that an answer may have.
pub const MAX_SERIES: usize = 10_000;

/// The longest stretch of a foreign message that is passed on, in characters.
const MAX_MESSAGE: usize = 500;

#[derive(Deserialize)]
struct Envelope<'a> {
    status: String,
    #[serde(borrow)]
    data: Option<Data<'a>>,
    #[serde(rename = "errorType")]
    error_type: Option<String>,
    error: Option<String>,
}

#[derive(Deserialize)]
struct Data<'a> {
    #[serde(rename = "resultType")]
    result_type: String,
    #[serde(borrow)]
    result: &'a RawValue,
}

#[derive(Deserialize)]
struct Series<'a> {
    #[serde(default)]
    metric: BTreeMap<String, String>,
    #[serde(borrow)]
    value: Option<Sample<'a>>,
    values: Option<Samples>,
    histogram: Option<IgnoredAny>,
    histograms: Option<IgnoredAny>,
}

/// A time in seconds, and a number as text: JSON has neither NaN nor infinity.
#[derive(Deserialize)]
struct Sample<'a>(f64, #[serde(borrow)] &'a str);

/// The samples of a range, made numbers one by one as they are read.
struct Samples(Vec<(i64, f64)>);

impl<'de> Deserialize<'de> for Samples {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(SamplesVisitor)
    }
}

struct SamplesVisitor;

impl<'de> Visitor<'de> for SamplesVisitor {
    type Value = Samples;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("pairs of a time and a number as text")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Samples, A::Error> {
        let mut samples = Vec::new();
        while let Some(sample) = seq.next_element::<Sample>()? {
            let value = sample.1.parse().map_err(|_| A::Error::custom(no_number(sample.1)))?;
            samples.push((millis(sample.0), value));
        }
        Ok(Samples(samples))
    }
}

/// What an answer is expected to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// An instant vector, or a scalar.
    Instant,
    /// A matrix: of a range query, or of raw samples.
    Range,
}

/// Why an answer is of no use.
#[derive(Debug, Clone, PartialEq)]
pub enum Fault {
    /// It is too large, in these words: of less time it might be had.
    TooLarge(String),
    Unusable(Unusable),
}

impl From<Unusable> for Fault {
    fn from(why: Unusable) -> Self {
        Self::Unusable(why)
    }
}

/// Decodes the answer of the server called `name` in messages.
///
/// An instant vector is its series with one sample each, a scalar one series
/// without labels. What is not of the kind expected, a string and native
/// histograms are [`Unusable::WrongType`]. An error with HTTP 4xx is
/// [`Unusable::Refused`], with 408, 429 or 5xx [`Unusable::Unreachable`], and so
/// is everything that is not Prometheus's JSON.
pub fn decode(name: &str, kind: Kind, status: u16, body: &[u8]) -> Result<Vec<Track>, Fault> {
    match serde_json::from_slice::<Envelope>(body) {
        Ok(envelope) if envelope.status == "success" && (200..300).contains(&status) => {
            match envelope.data {
                Some(data) => tracks(name, kind, &data),
                None => Err(Unusable::Unreachable(format!("{name} answered without data")).into()),
            }
        }
        Ok(envelope) => Err(refusal(name, status, &envelope)),
        Err(_) => Err(not_prometheus(name, status, body).into()),
    }
}

fn tracks(name: &str, kind: Kind, data: &Data) -> Result<Vec<Track>, Fault> {
    let garbled = |error: serde_json::Error| {
        let error = shortened(&error.to_string());
        Unusable::Unreachable(format!("{name} answered JSON that is not Prometheus's: {error}"))
    };
    match (data.result_type.as_str(), kind) {
        ("vector", Kind::Instant) | ("matrix", Kind::Range) => {
            let found: Vec<Series> = serde_json::from_str(data.result.get()).map_err(garbled)?;
            if found.len() > MAX_SERIES {
                return Err(Fault::TooLarge(format!(
                    "the query returns {} series, more than {MAX_SERIES}: it needs an aggregation",
                    found.len()
                )));
            }
            found.into_iter().map(|one| Ok(track(name, one)?)).collect()
        }
        ("scalar", Kind::Instant) => {
            let sample: Sample = serde_json::from_str(data.result.get()).map_err(garbled)?;
            let samples = vec![(millis(sample.0), number(name, &sample)?)];
            Ok(vec![Track { labels: BTreeMap::new(), samples }])
        }
        _ => Err(Unusable::WrongType.into()),
    }
}

fn track(name: &str, series: Series) -> Result<Track, Unusable> {
    let samples = match (series.value, series.values) {
        _ if series.histogram.is_some() || series.histograms.is_some() => {
            return Err(Unusable::WrongType);
        }
        (Some(sample), None) => vec![(millis(sample.0), number(name, &sample)?)],
        (None, Some(samples)) => samples.0,
        (Some(_), Some(_)) | (None, None) => {
            return Err(Unusable::Unreachable(format!(
                "{name} answered a series without one value"
            )));
        }
    };
    Ok(Track { labels: series.metric, samples })
}

fn number(name: &str, sample: &Sample) -> Result<f64, Unusable> {
    let odd = |_| Unusable::Unreachable(format!("{name} answered {}", no_number(sample.1)));
    sample.1.parse().map_err(odd)
}

fn no_number(text: &str) -> String {
    format!("{:?} where a number belongs", shortened(text))
}

#[expect(clippy::cast_possible_truncation, reason = "too large a time saturates")]
fn millis(seconds: f64) -> i64 {
    (seconds * 1000.0).round() as i64
}

fn refusal(name: &str, status: u16, envelope: &Envelope) -> Fault {
    let message = shortened(envelope.error.as_deref().unwrap_or("no reason given"));
    let kind = envelope.error_type.as_deref().unwrap_or("error");
    if message.contains("too many samples") {
        Fault::TooLarge(format!("Prometheus refused the query: {message}"))
    } else if is_final(status) || kind == "bad_data" {
        Unusable::Refused(format!("Prometheus refused the query: {message}")).into()
    } else {
        Unusable::Unreachable(format!("{name} answered {status} ({kind}): {message}")).into()
    }
}

fn not_prometheus(name: &str, status: u16, body: &[u8]) -> Unusable {
    let text = String::from_utf8_lossy(&body[..body.len().min(4 * MAX_MESSAGE)]);
    let start = text.trim_start();
    if start.starts_with('<') {
        return Unusable::Unreachable(format!(
            "{name} answered HTML, not Prometheus JSON (HTTP {status}): is a proxy or login page \
             in between?"
        ));
    }
    let said = if start.is_empty() { "nothing".to_owned() } else { shortened(start.trim_end()) };
    if is_final(status) {
        // Prometheus itself knows every path that is asked for.
        let mend = if status == 404 { "; is this Prometheus's base URL?" } else { "" };
        return Unusable::Refused(format!("{name} answered {status}: {said}{mend}"));
    }
    if (200..300).contains(&status) {
        let what = if start.starts_with(['{', '[']) { "other JSON" } else { "no JSON" };
        return Unusable::Unreachable(format!(
            "{name} answered {what}, not Prometheus JSON: is this the address of a Prometheus?"
        ));
    }
    Unusable::Unreachable(format!("{name} answered {status}: {said}"))
}

/// Whether the same question will get the same status: 4xx, but not
/// "request time-out" and "too many requests".
fn is_final(status: u16) -> bool {
    (400..500).contains(&status) && status != 408 && status != 429
}

fn shortened(text: &str) -> String {
    let mut short: String = text.chars().take(MAX_MESSAGE).collect();
    if short.len() < text.len() {
        short.push_str(" ...");
    }
    short
}

#[cfg(test)]
#[path = "decode_tests.rs"]
mod tests;
