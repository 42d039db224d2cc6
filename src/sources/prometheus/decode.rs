//! Prometheus's answers as series. Pure: status and bytes in, an answer out.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

use crate::model::{Answer, SeriesValue, Unusable};

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
struct Series {
    #[serde(default)]
    metric: BTreeMap<String, String>,
    value: Option<Sample>,
    histogram: Option<IgnoredAny>,
}

/// A time in seconds, and a number as text: JSON has neither NaN nor infinity.
#[derive(Deserialize)]
struct Sample(IgnoredAny, String);

/// Decodes the answer of the server called `name` in messages.
///
/// An instant vector is its series, a scalar one series without labels. A range
/// vector, a string and native histograms are [`Unusable::WrongType`]. An error
/// with HTTP 4xx is [`Unusable::Refused`], with 408, 429 or 5xx
/// [`Unusable::Unreachable`], and so is everything that is not Prometheus's JSON.
pub fn decode(name: &str, status: u16, body: &[u8]) -> Answer {
    match serde_json::from_slice::<Envelope>(body) {
        Ok(envelope) if envelope.status == "success" && (200..300).contains(&status) => {
            match envelope.data {
                Some(data) => series(name, &data),
                None => Err(Unusable::Unreachable(format!("{name} answered without data"))),
            }
        }
        Ok(envelope) => Err(refusal(name, status, &envelope)),
        Err(_) => Err(not_prometheus(name, status, body)),
    }
}

fn series(name: &str, data: &Data) -> Answer {
    let garbled = |error: serde_json::Error| {
        Unusable::Unreachable(format!("{name} answered JSON that is not Prometheus's: {error}"))
    };
    match data.result_type.as_str() {
        "vector" => {
            let found: Vec<Series> = serde_json::from_str(data.result.get()).map_err(garbled)?;
            if found.len() > MAX_SERIES {
                return Err(Unusable::Refused(format!(
                    "the query returns {} series, more than {MAX_SERIES}: it needs an aggregation",
                    found.len()
                )));
            }
            found.into_iter().map(|one| value_of(name, one)).collect()
        }
        "scalar" => {
            let sample: Sample = serde_json::from_str(data.result.get()).map_err(garbled)?;
            let value = number(name, &sample)?;
            Ok(vec![SeriesValue { labels: BTreeMap::new(), value }])
        }
        _ => Err(Unusable::WrongType),
    }
}

fn value_of(name: &str, series: Series) -> Result<SeriesValue, Unusable> {
    match (series.value, series.histogram) {
        (Some(sample), None) => {
            Ok(SeriesValue { value: number(name, &sample)?, labels: series.metric })
        }
        (None, Some(_)) => Err(Unusable::WrongType),
        (Some(_), Some(_)) | (None, None) => {
            Err(Unusable::Unreachable(format!("{name} answered a series without one value")))
        }
    }
}

fn number(name: &str, sample: &Sample) -> Result<f64, Unusable> {
    sample.1.parse().map_err(|_| {
        let text = shortened(&sample.1);
        Unusable::Unreachable(format!("{name} answered {text:?} where a number belongs"))
    })
}

fn refusal(name: &str, status: u16, envelope: &Envelope) -> Unusable {
    let message = shortened(envelope.error.as_deref().unwrap_or("no reason given"));
    let kind = envelope.error_type.as_deref().unwrap_or("error");
    if is_final(status) || kind == "bad_data" {
        Unusable::Refused(format!("Prometheus refused the query: {message}"))
    } else {
        Unusable::Unreachable(format!("{name} answered {status} ({kind}): {message}"))
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
        return Unusable::Refused(format!("{name} answered {status}: {said}"));
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
mod tests {
    use super::*;

    const NAME: &str = "http://prometheus:9090";

    fn success(data: &str) -> Answer {
        let body = format!(r#"{{"status":"success","data":{data},"warnings":["w"]}}"#);
        decode(NAME, 200, body.as_bytes())
    }

    fn vector(series: &str) -> Answer {
        success(&format!(r#"{{"resultType":"vector","result":[{series}]}}"#))
    }

    #[test]
    fn a_vector_is_its_series_with_their_odd_values() {
        let answer = vector(
            r#"{"metric":{"__name__":"up","pod":"a"},"value":[1700000000.123,"0.25"]},
               {"metric":{"pod":"b"},"value":[1,"NaN"]},
               {"metric":{"pod":"c"},"value":[1,"+Inf"]},
               {"metric":{},"value":[1,"-Inf"]},
               {"metric":{},"value":[1,"1.5e-9"]}"#,
        )
        .unwrap();
        let values: Vec<_> = answer.iter().map(|s| s.value.to_string()).collect();
        assert_eq!(values, ["0.25", "NaN", "inf", "-inf", "0.0000000015"]);
        assert_eq!(answer[0].labels["__name__"], "up");
        assert_eq!(answer[0].labels["pod"], "a");
    }

    #[test]
    fn no_series_is_an_empty_answer_and_a_scalar_is_one_series() {
        assert_eq!(vector(""), Ok(Vec::new()));
        let scalar = success(r#"{"resultType":"scalar","result":[1700000000,"42"]}"#).unwrap();
        assert_eq!(scalar, [SeriesValue { labels: BTreeMap::new(), value: 42.0 }]);
    }

    #[test]
    fn what_is_no_instant_value_is_of_the_wrong_type() {
        let matrix = r#"{"resultType":"matrix","result":[{"metric":{},"values":[[1,"1"]]}]}"#;
        assert_eq!(success(matrix), Err(Unusable::WrongType));
        let text = r#"{"resultType":"string","result":[1,"abc"]}"#;
        assert_eq!(success(text), Err(Unusable::WrongType));
        let native =
            r#"{"metric":{},"histogram":[1,{"count":"2","sum":"3","buckets":[[0,"1","2","2"]]}]}"#;
        assert_eq!(vector(native), Err(Unusable::WrongType));
    }

    #[test]
    fn more_series_than_bounded_are_refused() {
        let many = vec![r#"{"metric":{},"value":[1,"1"]}"#; MAX_SERIES];
        assert_eq!(vector(&many.join(",")).unwrap().len(), MAX_SERIES);
        let too_many = format!(r#"{},{{"metric":{{}},"value":[1,"1"]}}"#, many.join(","));
        assert!(matches!(vector(&too_many), Err(Unusable::Refused(_))));
    }

    #[test]
    fn an_error_is_final_or_not_by_its_status() {
        let error = |status, kind: &str| {
            let body = format!(r#"{{"status":"error","errorType":"{kind}","error":"reason"}}"#);
            decode(NAME, status, body.as_bytes()).unwrap_err()
        };
        for (status, kind) in [(400, "bad_data"), (422, "execution"), (404, "not_found")] {
            let refused = Unusable::Refused("Prometheus refused the query: reason".into());
            assert_eq!(error(status, kind), refused, "{status}");
        }
        let cases = [
            (503, "timeout"),
            (503, "unavailable"),
            (500, "internal"),
            (429, "x"),
            (408, "x"),
            (200, "execution"),
        ];
        for (status, kind) in cases {
            let Unusable::Unreachable(words) = error(status, kind) else { panic!("{status}") };
            assert_eq!(words, format!("{NAME} answered {status} ({kind}): reason"));
        }
    }

    #[test]
    fn html_is_told_from_prometheus_in_words_for_people() {
        let html = b"\n<!doctype html><html><title>Sign in</title></html>";
        for status in [200, 401, 404, 502] {
            let Err(Unusable::Unreachable(words)) = decode(NAME, status, html) else {
                panic!("{status}")
            };
            assert!(words.starts_with("http://prometheus:9090 answered HTML, not Prometheus JSON"));
            assert!(words.ends_with("is a proxy or login page in between?"), "{words}");
        }
    }

    #[test]
    fn what_is_not_prometheus_is_never_a_measurement() {
        let cases: [(u16, &[u8], bool); 9] = [
            (200, b"", false),
            (200, b"ok", false),
            (200, b"{}", false),
            (200, br#"{"status":"success"}"#, false),
            (200, br#"{"status":"success","data":{"resultType":"vector","result":{}}}"#, false),
            (
                200,
                br#"{"status":"success","data":{"resultType":"scalar","result":[1,"x"]}}"#,
                false,
            ),
            (401, b"Unauthorized", true),
            (404, b"404 page not found", true),
            (429, b"\xff\xfe", false),
        ];
        for (status, body, refused) in cases {
            match decode(NAME, status, body) {
                Err(Unusable::Refused(words)) => assert!(refused, "{words}"),
                Err(Unusable::Unreachable(words)) => assert!(!refused, "{words}"),
                other => panic!("{other:?}"),
            }
        }
    }

    #[test]
    fn a_long_message_is_cut() {
        let body = format!(
            r#"{{"status":"error","errorType":"bad_data","error":"{}"}}"#,
            "ä".repeat(9000)
        );
        let Err(Unusable::Refused(words)) = decode(NAME, 400, body.as_bytes()) else { panic!() };
        assert!(words.chars().count() < 600);
    }
}
