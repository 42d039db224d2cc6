//! What answers come to, without a network.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};

use super::*;
use crate::model::{BESIDE, HealthAsk, JsonAsk, Piece};
use crate::sources::Track;

const MINUTE: SignedDuration = SignedDuration::from_mins(1);

fn once() -> Ticks {
    Ticks::once(Timestamp::from_second(600).unwrap(), MINUTE)
}

fn web() -> WebAsk {
    WebAsk {
        url: Filled(vec![Piece::Text("https://shop.example/health".into())]),
        headers: BTreeMap::new(),
        body: None,
        timeout: SignedDuration::from_secs(5),
    }
}

fn health(depends_on: &[&str]) -> HealthAsk {
    HealthAsk {
        web: web(),
        expect: BTreeSet::new(),
        depends_on: depends_on.iter().map(|name| (*name).to_owned()).collect(),
        version: Some("$.version".to_owned()),
    }
}

#[expect(clippy::unnecessary_wraps, reason = "beside others that failed")]
fn answer(status: u16, body: &str) -> Result<Answer, Failure> {
    Ok(Answer { status, body: body.as_bytes().to_vec(), is_cut: false })
}

/// `status=1 db=0 | words`, or why there is nothing.
fn shown(ask: &HealthAsk, came: &Result<Answer, Failure>) -> String {
    let fetched = health::told(ask, once(), came);
    if let Some((_, why)) = fetched.failed.first() {
        return format!("none: {why}");
    }
    let series: Vec<String> = fetched
        .tracks
        .iter()
        .filter_map(|Track { labels, samples }| {
            Some(format!("{}={}", labels.get("check")?, samples.first()?.1))
        })
        .collect();
    let words: Vec<&str> =
        fetched.tracks.iter().filter_map(|one| Some(one.labels.get(BESIDE)?.as_str())).collect();
    let words = if words.is_empty() { String::new() } else { format!(" | {}", words.join("; ")) };
    series.join(" ") + &words
}

#[test]
fn an_endpoint_without_json_is_up_or_down_by_its_code() {
    let refused = |why: &str| Err(Failure::Refused(why.to_owned()));
    let cases = [
        (answer(200, "ok"), "status=1"),
        (answer(204, ""), "status=1"),
        (answer(200, "[]"), "status=1"),
        (answer(500, "<html>"), "status=0 | HTTP 500"),
        (answer(503, ""), "status=0 | HTTP 503"),
        (answer(404, "not found"), "status=0 | HTTP 404"),
        (answer(304, ""), "status=0 | HTTP 304"),
        (answer(401, ""), "none: HTTP 401: the guard is not let in; see the check's `headers`"),
        (answer(403, ""), "none: HTTP 403: the guard is not let in; see the check's `headers`"),
        (answer(429, ""), "none: HTTP 429"),
        (Err(Failure::NoAnswer("no answer within 5 s".into())), "status=0 | no answer within 5 s"),
        (Err(Failure::Unresolved("no address".into())), "none: no address"),
        (refused("not allowed"), "none: not allowed"),
        (
            Err(Failure::Unusable("it answers more than 1 MiB".into())),
            "none: it answers more than 1 MiB",
        ),
    ];
    for (came, expected) in cases {
        assert_eq!(shown(&health(&[]), &came), expected, "{came:?}");
    }
    let mut teapot = health(&[]);
    teapot.expect = BTreeSet::from([418, 401]);
    assert_eq!(shown(&teapot, &answer(418, "")), "status=1");
    assert_eq!(shown(&teapot, &answer(401, "")), "status=1");
    assert_eq!(shown(&teapot, &answer(200, "")), "status=0 | HTTP 200");
}

#[test]
fn the_checks_of_document_004_count_by_their_names_and_other_peoples_do_not() {
    let ask = health(&["fireflies_api", "gemini_api", "monday_api"]);
    let body = |database: bool, fireflies: bool, scheduler: bool| {
        let status = if database && fireflies && scheduler { "healthy" } else { "unhealthy" };
        format!(
            r#"{{"status":"{status}","checks":{{"database":{database},"fireflies_api":{fireflies},
               "gemini_api":true,"monday_api":true,"scheduler":{scheduler}}},
               "timestamp":"2026-11-21T18:00:00","version":"v1.4.0"}}"#
        )
    };
    let cases = [
        (200, body(true, true, true), "database=1 scheduler=1 status=1 | v1.4.0 answers"),
        (
            503,
            body(true, false, true),
            "database=1 scheduler=1 status=1 | v1.4.0 answers; HTTP 503; fireflies_api down, \
             which it depends on: not counted",
        ),
        (
            503,
            body(false, true, true),
            "database=0 scheduler=1 status=1 | v1.4.0 answers; HTTP 503",
        ),
        (
            503,
            body(true, false, false),
            "database=1 scheduler=0 status=1 | v1.4.0 answers; HTTP 503; fireflies_api down, \
             which it depends on: not counted",
        ),
    ];
    for (code, body, expected) in cases {
        assert_eq!(shown(&ask, &answer(code, &body)), expected, "{body}");
    }
}

#[test]
fn an_endpoint_that_is_somebody_elses_as_a_whole_is_told_and_never_down() {
    let ask = health(&["status"]);
    let told = "which it depends on: not counted";
    let body = r#"{"status":"unhealthy","checks":{"stripe":false,"mail":true}}"#;
    assert_eq!(
        shown(&ask, &answer(503, body)),
        format!("status=1 | HTTP 503; stripe down, {told}")
    );
    assert_eq!(shown(&ask, &answer(502, "")), format!("status=1 | HTTP 502; status down, {told}"));
    let silent = Err(Failure::NoAnswer("time-out".into()));
    assert_eq!(shown(&ask, &silent), format!("status=1 | time-out; status down, {told}"));
    assert_eq!(shown(&ask, &answer(200, "")), "status=1");
}

#[test]
fn an_unhealthy_answer_that_no_check_explains_is_down() {
    let cases = [
        (200, r#"{"status":"unhealthy"}"#, "status=0"),
        (200, r#"{"status":"DOWN","checks":{"db":"up"}}"#, "db=1 status=0"),
        (503, r#"{"checks":{"db":true}}"#, "db=1 status=0 | HTTP 503"),
        (500, r#"{"error":"boom"}"#, "status=0 | HTTP 500"),
        // A check that says nothing that is known explains nothing.
        (
            503,
            r#"{"status":"DOWN","components":{"db":{"status":"UNKNOWN"}}}"#,
            "status=0 | HTTP 503",
        ),
        // One that is called as the whole is.
        (200, r#"{"checks":{"status":false}}"#, "status=0"),
    ];
    for (code, body, expected) in cases {
        assert_eq!(shown(&health(&[]), &answer(code, body)), expected, "{body}");
    }
}

#[test]
fn the_usual_shapes_are_read() {
    let cases = [
        // Spring's actuator, with one component inside another.
        (
            r#"{"status":"DOWN","components":{"db":{"status":"UP"},"broker":{"status":"DOWN",
               "components":{"us1":{"status":"DOWN"}}},"disk":{"status":"OUT_OF_SERVICE"}}}"#,
            "broker=0 db=1 disk=0 status=1 | HTTP 503",
        ),
        // The draft of application/health+json.
        (
            r#"{"status":"fail","version":"1","checks":{"db:time":[{"status":"pass"}],
               "cache:use":[{"status":"pass"},{"status":"fail"}],"cpu":[{"status":"warn"}],"x":[]}}"#,
            "cache:use=0 cpu=1 db:time=1 status=1 | 1 answers; HTTP 503",
        ),
        // A list of checks with names.
        (
            r#"{"status":"DOWN","checks":[{"name":"db","status":"UP"},{"name":"mq","status":"DOWN"},7]}"#,
            "db=1 mq=0 status=1 | HTTP 503",
        ),
        (
            r#"{"status":"Unhealthy","entries":{"sql":{"status":"Unhealthy"},"q":{"status":"Degraded"}}}"#,
            "q=1 sql=0 status=1 | HTTP 503",
        ),
        (r#"{"status":"error","details":{"db":{"status":"down"}}}"#, "db=0 status=1 | HTTP 503"),
        (
            r#"{"checks":{"a":"Not Ready","b":1,"c":0,"d":7,"e":null,"f":"?"}}"#,
            "a=0 b=1 c=0 status=1 | HTTP 503",
        ),
    ];
    for (body, expected) in cases {
        assert_eq!(shown(&health(&[]), &answer(503, body)), expected, "{body}");
    }
}

#[test]
fn a_hostile_answer_is_bounded_and_says_nothing_that_it_should_not() {
    let deep = "[".repeat(100_000);
    assert_eq!(shown(&health(&[]), &answer(200, &deep)), "status=1");
    let deep = format!(r#"{{"status":"down","a":{}1{}}}"#, "[".repeat(5000), "]".repeat(5000));
    assert_eq!(shown(&health(&[]), &answer(503, &deep)), "status=0 | HTTP 503");
    let many: Vec<String> =
        (0..500).map(|number| format!(r#""c{number}":{}"#, number != 499)).collect();
    let many = format!(r#"{{"checks":{{{}}}}}"#, many.join(","));
    let fetched = health::told(&health(&[]), once(), &answer(200, &many));
    assert_eq!(fetched.tracks.len(), 51);
    let down = |track: &Track| track.samples.first().is_some_and(|(_, up)| *up == 0.0);
    assert_eq!(fetched.tracks.iter().filter(|one| down(one)).count(), 1);
    let long =
        format!(r#"{{"version":"{}\n\u0007","checks":{{"a\u001b[2Jb":true}}}}"#, "v".repeat(999));
    let told = shown(&health(&[]), &answer(200, &long));
    assert!(told.starts_with("a[2Jb=1 status=1 | vvv") && told.len() < 120, "{told}");
}

#[test]
fn health_is_known_of_now_alone() {
    let ticks = Ticks { count: 3, ..once() };
    let fetched = health::told(&health(&[]), ticks, &answer(200, ""));
    assert_eq!(fetched.failed, [(0..2, Unusable::NothingNew)]);
    assert_eq!(fetched.tracks[0].samples, [(ticks.at_ms(2), 1.0)]);
}

fn json(path: &str, count: bool) -> JsonAsk {
    JsonAsk { web: web(), path: path.to_owned(), count, window: MINUTE }
}

/// The values, or why there is none.
fn values(ask: &JsonAsk, came: &Result<Answer, Failure>) -> Result<Vec<f64>, Unusable> {
    let fetched = json::told(ask, once(), 0..1, vec![(0, came)]);
    match fetched.failed.first() {
        Some((_, why)) => Err(why.clone()),
        None => Ok(fetched.tracks.iter().map(|track| track.samples[0].1).collect()),
    }
}

#[test]
fn numbers_are_read_as_numbers_or_texts_and_nothing_else_is() {
    let body = r#"{"count":12,"text":" 3.5 ","word":"many","none":null,"yes":true,
                   "list":[{"n":1},{"n":4},{"n":null}],"nan":"NaN"}"#;
    let of = |path: &str, count| values(&json(path, count), &answer(200, body));
    assert_eq!(of("$.count", false), Ok(vec![12.0]));
    assert_eq!(of("$.text", false), Ok(vec![3.5]));
    assert_eq!(of("$.list[*].n", false), Ok(vec![1.0, 4.0]));
    assert_eq!(of("$.list[*]", true), Ok(vec![3.0]));
    assert_eq!(of("$.missing", true), Ok(vec![0.0]));
    for nothing in ["$.missing", "$.none"] {
        assert_eq!(of(nothing, false), Ok(vec![]), "{nothing}");
    }
    assert!(of("$.nan", false).unwrap()[0].is_nan());
    for (path, what) in
        [("$.word", "a text"), ("$.yes", "true or false"), ("$.list", "a list"), ("$", "a mapping")]
    {
        let why = of(path, false).unwrap_err();
        assert_eq!(why, Unusable::Refused(format!("`{path}` finds {what}, which is no number")));
    }
}

#[test]
fn what_is_no_answer_now_may_be_one_later_and_what_is_refused_will_not() {
    let ask = json("$.count", false);
    for code in [408, 425, 429, 500, 502, 503] {
        let why = values(&ask, &answer(code, r#"{"count":1}"#)).unwrap_err();
        assert!(matches!(why, Unusable::Unreachable(_)), "{code}");
    }
    for code in [301, 400, 401, 403, 404, 410] {
        let why = values(&ask, &answer(code, r#"{"count":1}"#)).unwrap_err();
        assert!(matches!(why, Unusable::Refused(_)), "{code}");
    }
    for body in ["", "<html>", "{\"count\":", "NaN", &"[".repeat(100_000), "{\"count\":1e999}"] {
        let why = values(&ask, &answer(200, body)).unwrap_err();
        assert!(matches!(&why, Unusable::Refused(why) if why.starts_with("the answer is no JSON")));
    }
    for lost in [Failure::NoAnswer("x".into()), Failure::Unresolved("x".into())] {
        assert_eq!(values(&ask, &Err(lost)), Err(Unusable::Unreachable("x".into())));
    }
    for refused in [Failure::Refused("x".into()), Failure::Unusable("x".into())] {
        assert_eq!(values(&ask, &Err(refused)), Err(Unusable::Refused("x".into())));
    }
    let many = format!("[{}1]", "1,".repeat(1_000));
    let why = values(&json("$[*]", false), &answer(200, &many)).unwrap_err();
    assert_eq!(why, Unusable::Refused("`$[*]` finds more than 1000 values: narrow it".into()));
    assert_eq!(values(&json("$[*]", true), &answer(200, &many)), Ok(vec![1001.0]));
}

#[test]
fn each_tick_has_its_own_answer_and_one_that_was_not_asked_says_nothing_new() {
    let ticks = Ticks { count: 3, ..once() };
    let (one, two) = (answer(200, "1"), answer(500, "2"));
    let fetched = json::told(&json("$", false), ticks, 1..3, vec![(2, &one), (1, &two)]);
    assert_eq!(fetched.tracks[0].samples, [(ticks.at_ms(2), 1.0)]);
    let why = Unusable::Unreachable("HTTP 500".into());
    assert_eq!(fetched.failed, [(0..1, Unusable::NothingNew), (1..2, why)]);
    // Where the time was over before it was asked it is no data, and not nothing new.
    let late = json::told(&json("$", false), ticks, 0..3, vec![(2, &one)]);
    assert_eq!(late.failed, [(0..1, unasked()), (1..2, unasked())]);
}

#[test]
fn that_no_host_at_all_answers_is_the_guards_own_trouble() {
    let no_answer = || Err(Failure::NoAnswer("no answer within 5 s".to_owned()));
    let of = |hosts: &[(&str, Result<Answer, Failure>)]| {
        let mut asked: Vec<Asked> = hosts
            .iter()
            .enumerate()
            .map(|(place, (host, came))| Asked {
                place,
                tick: 0,
                host: Some((*host).to_owned()),
                came: came.clone(),
            })
            .collect();
        own_network_is_lost(&mut asked);
        asked.iter().filter(|one| matches!(one.came, Err(Failure::Unresolved(_)))).count()
    };
    assert_eq!(of(&[("a", no_answer()), ("b", no_answer())]), 2);
    assert_eq!(of(&[("a", no_answer()), ("a", no_answer())]), 0);
    assert_eq!(of(&[("a", no_answer()), ("b", answer(500, ""))]), 0);
    // Who was never asked tells nothing.
    assert_eq!(of(&[("a", no_answer()), ("b", Err(Failure::Refused("x".into())))]), 0);
}
