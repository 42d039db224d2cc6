//! What Prometheus says, and what others say in its place.

use super::*;

const NAME: &str = "http://prometheus:9090";

type Answer = Result<Vec<Track>, Fault>;

fn success(kind: Kind, data: &str) -> Answer {
    let body = format!(r#"{{"status":"success","data":{data},"warnings":["w"]}}"#);
    decode(NAME, kind, 200, body.as_bytes())
}

fn vector(series: &str) -> Answer {
    success(Kind::Instant, &format!(r#"{{"resultType":"vector","result":[{series}]}}"#))
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
    let values: Vec<_> = answer.iter().map(|track| track.samples[0].1.to_string()).collect();
    assert_eq!(values, ["0.25", "NaN", "inf", "-inf", "0.0000000015"]);
    assert_eq!(answer[0].samples[0].0, 1_700_000_000_123);
    assert_eq!(answer[0].labels["__name__"], "up");
    assert_eq!(answer[0].labels["pod"], "a");
}

#[test]
fn no_series_is_an_empty_answer_and_a_scalar_is_one_series() {
    assert_eq!(vector(""), Ok(Vec::new()));
    let scalar = r#"{"resultType":"scalar","result":[1700000000,"42"]}"#;
    let track = Track { labels: BTreeMap::new(), samples: vec![(1_700_000_000_000, 42.0)] };
    assert_eq!(success(Kind::Instant, scalar), Ok(vec![track]));
}

#[test]
fn a_matrix_keeps_the_times_of_its_samples_to_the_millisecond() {
    let answer = success(
        Kind::Range,
        r#"{"resultType":"matrix","result":[
            {"metric":{"a":"1"},"values":[[1700000000.001,"0"],[1700000014.999,"1e3"],[1700000030,"NaN"]]},
            {"metric":{"a":"2"},"values":[]}]}"#,
    )
    .unwrap();
    let times: Vec<_> = answer[0].samples.iter().map(|(time, _)| time % 100_000).collect();
    assert_eq!(times, [1, 14_999, 30_000]);
    let values: Vec<_> = answer[0].samples.iter().map(|(_, value)| value.to_string()).collect();
    assert_eq!(values, ["0", "1000", "NaN"]);
    assert!(answer[1].samples.is_empty());
}

#[test]
fn what_is_not_of_the_kind_that_was_asked_for_is_of_the_wrong_type() {
    let wrong = Err(Fault::Unusable(Unusable::WrongType));
    let matrix = r#"{"resultType":"matrix","result":[{"metric":{},"values":[[1,"1"]]}]}"#;
    assert_eq!(success(Kind::Instant, matrix), wrong);
    assert!(success(Kind::Range, matrix).is_ok());
    let one = r#"{"resultType":"vector","result":[{"metric":{},"value":[1,"1"]}]}"#;
    assert_eq!(success(Kind::Range, one), wrong);
    let text = r#"{"resultType":"string","result":[1,"abc"]}"#;
    assert_eq!(success(Kind::Instant, text), wrong);
    let native =
        r#"{"metric":{},"histogram":[1,{"count":"2","sum":"3","buckets":[[0,"1","2","2"]]}]}"#;
    assert_eq!(vector(native), wrong);
    let natives = r#"{"resultType":"matrix","result":[{"metric":{},"histograms":[[1,{}]]}]}"#;
    assert_eq!(success(Kind::Range, natives), wrong);
}

#[test]
fn more_series_than_bounded_are_too_large_an_answer() {
    let many = vec![r#"{"metric":{},"value":[1,"1"]}"#; MAX_SERIES];
    assert_eq!(vector(&many.join(",")).unwrap().len(), MAX_SERIES);
    let too_many = format!(r#"{},{{"metric":{{}},"value":[1,"1"]}}"#, many.join(","));
    assert!(matches!(vector(&too_many), Err(Fault::TooLarge(_))));
}

#[test]
fn an_error_is_final_or_not_by_its_status() {
    let error = |status, kind: &str| {
        let body = format!(r#"{{"status":"error","errorType":"{kind}","error":"reason"}}"#);
        match decode(NAME, Kind::Instant, status, body.as_bytes()) {
            Err(Fault::Unusable(why)) => why,
            other => panic!("{other:?}"),
        }
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
        let answer = decode(NAME, Kind::Instant, status, html);
        let Err(Fault::Unusable(Unusable::Unreachable(words))) = answer else { panic!("{status}") };
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
        (200, br#"{"status":"success","data":{"resultType":"scalar","result":[1,"x"]}}"#, false),
        (401, b"Unauthorized", true),
        (404, b"404 page not found", true),
        (429, b"\xff\xfe", false),
    ];
    for (status, body, refused) in cases {
        match decode(NAME, Kind::Instant, status, body) {
            Err(Fault::Unusable(Unusable::Refused(words))) => assert!(refused, "{words}"),
            Err(Fault::Unusable(Unusable::Unreachable(words))) => assert!(!refused, "{words}"),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_path_that_is_not_there_is_a_question_for_the_base_url() {
    let answered = |status, body: &[u8]| match decode(NAME, Kind::Range, status, body) {
        Err(Fault::Unusable(Unusable::Refused(words))) => words,
        other => panic!("{other:?}"),
    };
    assert_eq!(
        answered(404, b"404 page not found\n"),
        format!("{NAME} answered 404: 404 page not found; is this Prometheus's base URL?")
    );
    assert_eq!(answered(401, b"Unauthorized"), format!("{NAME} answered 401: Unauthorized"));
}

#[test]
fn a_long_message_is_cut() {
    let body =
        format!(r#"{{"status":"error","errorType":"bad_data","error":"{}"}}"#, "ä".repeat(9000));
    let answer = decode(NAME, Kind::Instant, 400, body.as_bytes());
    let Err(Fault::Unusable(Unusable::Refused(words))) = answer else { panic!() };
    assert!(words.chars().count() < 600);
}

#[test]
fn a_matrix_that_is_garbled_is_never_a_measurement() {
    for values in [r#"[1,"x"]"#, r"[1,2]", r#"["1","2"]"#, r"[1]", r#"[1,"2",3]"#] {
        let data = format!(
            r#"{{"resultType":"matrix","result":[{{"metric":{{}},"values":[{values}]}}]}}"#
        );
        let answer = success(Kind::Range, &data);
        assert!(
            matches!(answer, Err(Fault::Unusable(Unusable::Unreachable(_)))),
            "{values}: {answer:?}"
        );
    }
}

#[test]
fn too_many_samples_for_the_server_are_too_large_an_answer() {
    let body = br#"{"status":"error","errorType":"execution","error":"query processing would load too many samples into memory in query execution"}"#;
    assert!(matches!(decode(NAME, Kind::Range, 422, body), Err(Fault::TooLarge(_))));
}
