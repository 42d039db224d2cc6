//! Against small HTTP servers that answer as real ones do on bad days.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::extract::Query;
use axum::http::{Method, StatusCode, header};
use axum::routing::any;
use jiff::{SignedDuration, Timestamp};
use tokio::net::TcpListener;

use super::*;
use crate::model::{Measurement, Question, Shape};

const ONE: &str = r#"{"status":"success","data":{"resultType":"scalar","result":[1,"1"]}}"#;
const SHORT: Duration = Duration::from_millis(300);

async fn serve(router: Router) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
    address
}

fn connect(url: &str, timeout: Duration, concurrent: usize) -> Prometheus {
    let _ = rustls::crypto::ring::default_provider().install_default();
    Prometheus::connect(url, timeout, concurrent).unwrap()
}

fn at() -> Ticks {
    let at = Timestamp::from_millisecond(1_700_000_000_250).unwrap();
    Ticks::once(at, SignedDuration::from_secs(60))
}

fn query(promql: &str) -> Ask {
    Ask::Query(promql.to_owned())
}

fn unreachable(fetched: &Fetched) -> String {
    match &fetched.failed[..] {
        [(_, Unusable::Unreachable(words))] => words.clone(),
        other => panic!("{other:?}"),
    }
}

fn value(fetched: &Fetched) -> f64 {
    assert_eq!(fetched.failed, []);
    fetched.tracks[0].samples[0].1
}

#[tokio::test]
async fn a_short_query_is_in_the_url_a_long_one_in_the_body_both_with_their_time() {
    let handler = |method: Method, Query(url): Query<Vec<(String, String)>>, body: String| async move {
        let time = url.iter().any(|(name, value)| name == "time" && value == "1700000000.250")
            || body.contains("time=1700000000.250");
        let value = match (time, method == Method::POST) {
            (true, true) => 2,
            (true, false) => 1,
            (false, _) => 0,
        };
        ONE.replace(r#""1""#, &format!(r#""{value}""#))
    };
    let address = serve(Router::new().route("/prom/api/v1/query", any(handler))).await;
    let prometheus = connect(&format!("http://{address}/prom/"), DEFAULT_TIMEOUT, 8);
    assert_eq!(value(&prometheus.fetch(&query("up"), at()).await).to_string(), "1");
    let long = format!("up{}", " or up".repeat(1000));
    assert_eq!(value(&prometheus.fetch(&query(&long), at()).await).to_string(), "2");
}

#[tokio::test]
async fn silence_ends_with_the_time_out_once_it_is_a_querys_turn() {
    let hang = Router::new().fallback(std::future::pending::<&str>);
    let address = serve(hang).await;
    let prometheus = connect(&format!("http://{address}"), SHORT, 1);
    let begun = tokio::time::Instant::now();
    let queries = ["a", "b", "c"].map(query);
    let answers = tokio::join!(
        prometheus.fetch(&queries[0], at()),
        prometheus.fetch(&queries[1], at()),
        prometheus.fetch(&queries[2], at())
    );
    assert!(begun.elapsed() < SHORT * 5, "{:?}", begun.elapsed());
    for answer in [answers.0, answers.1, answers.2] {
        assert_eq!(unreachable(&answer), format!("http://{address} did not answer within 300ms"));
    }
}

#[tokio::test]
async fn never_more_questions_at_a_time_than_allowed() {
    static NOW: AtomicUsize = AtomicUsize::new(0);
    static MOST: AtomicUsize = AtomicUsize::new(0);
    let handler = || async {
        MOST.fetch_max(NOW.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        tokio::time::sleep(Duration::from_millis(20)).await;
        NOW.fetch_sub(1, Ordering::SeqCst);
        ONE
    };
    let address = serve(Router::new().fallback(handler)).await;
    let prometheus = connect(&format!("http://{address}"), DEFAULT_TIMEOUT, 3);
    let asking: Vec<_> = (0..12)
        .map(|_| {
            let prometheus = prometheus.clone();
            tokio::spawn(async move { prometheus.fetch(&query("up"), at()).await })
        })
        .collect();
    for one in asking {
        assert_eq!(one.await.unwrap().failed, []);
    }
    assert_eq!(MOST.load(Ordering::SeqCst), 3);
}

#[tokio::test]
async fn a_login_page_is_not_followed_and_named() {
    let moved = || async { (StatusCode::FOUND, [(header::LOCATION, "/login?token=secret")]) };
    let address = serve(Router::new().fallback(moved)).await;
    let prometheus = connect(&format!("http://{address}"), SHORT, 1);
    let words = unreachable(&prometheus.fetch(&query("up"), at()).await);
    assert!(words.contains("302 Found to 127.0.0.1/login, which is not followed"), "{words}");
    assert!(!words.contains("secret"), "{words}");
}

#[tokio::test]
async fn an_endless_answer_is_cut_off() {
    let large = || async { "x".repeat(MAX_BYTES + 1) };
    let address = serve(Router::new().fallback(large)).await;
    let prometheus = connect(&format!("http://{address}"), DEFAULT_TIMEOUT, 1);
    let answer = prometheus.fetch(&query("up"), at()).await;
    let [(_, Unusable::Refused(words))] = &answer.failed[..] else { panic!("{answer:?}") };
    assert!(words.contains("more than 8 MiB"), "{words}");
}

#[tokio::test]
async fn credentials_in_the_url_are_sent_as_a_header() {
    let handler = |uri: axum::http::Uri, headers: axum::http::HeaderMap| async move {
        let sent = headers.get(header::AUTHORIZATION).is_some_and(|v| v == "Basic Z3VhcmQ6cHc=");
        if sent && !uri.to_string().contains("pw") { ONE } else { "unauthorised" }
    };
    let address = serve(Router::new().fallback(handler)).await;
    let prometheus = connect(&format!("http://guard:pw@{address}"), DEFAULT_TIMEOUT, 1);
    assert_eq!(prometheus.fetch(&query("up"), at()).await.failed, []);
}

#[tokio::test]
async fn credentials_never_reach_a_message() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let prometheus = connect(&format!("http://guard:hunter2@{address}/?key=hunter2"), SHORT, 1);
    let words = unreachable(&prometheus.fetch(&query("up"), at()).await);
    assert!(words.contains("can't be reached") && !words.contains("hunter2"), "{words}");
    assert!(!format!("{prometheus:?}").contains("hunter2"));
    for bad in ["http://guard:hunter2@", "ftp://guard:hunter2@x", "hunter2", "http://[hunter2"] {
        let error = Prometheus::connect(bad, SHORT, 1).unwrap_err().to_string();
        assert!(!error.contains("hunter2"), "{error}");
    }
}

/// Refuses, by its size or its words, everything longer than `longest` ticks, and
/// answers a raw sample of each second otherwise.
async fn with_room_for(longest: i64, counters: &'static str) -> (Prometheus, &'static AtomicUsize) {
    let asked: &'static AtomicUsize = Box::leak(Box::default());
    let handler = move |Query(url): Query<HashMap<String, String>>| async move {
        asked.fetch_add(1, Ordering::SeqCst);
        let at: f64 = url["time"].parse().unwrap();
        let (_, range) = url["query"].split_once('[').unwrap();
        let range: i64 = range.trim_end_matches("ms]").parse().unwrap();
        if range > LOOKBACK_MS + 1 + longest * 1000 {
            return counters.repeat(MAX_BYTES / counters.len() + 1);
        }
        if (at - 1030.0).abs() < 0.1 {
            return "out of order".to_owned();
        }
        #[expect(clippy::cast_possible_truncation)]
        let at = at as i64;
        let values: Vec<_> =
            (at - range / 1000..=at).map(|s| format!("[{s},\"{}\"]", s * 2)).collect();
        format!(
            r#"{{"status":"success","data":{{"resultType":"matrix","result":[
                {{"metric":{{"instance":"a"}},"values":[{}]}}]}}}}"#,
            values.join(",")
        )
    };
    let address = serve(Router::new().fallback(any(handler))).await;
    (connect(&format!("http://{address}"), DEFAULT_TIMEOUT, 1), asked)
}

fn seconds_from(first: i64, count: usize) -> Ticks {
    let first = Timestamp::from_second(first).unwrap();
    Ticks { first, step: SignedDuration::from_secs(1), count }
}

#[tokio::test]
async fn an_answer_that_is_too_large_is_asked_for_in_halves() {
    let (prometheus, asked) = with_room_for(10, "x").await;
    let fetched = prometheus.fetch(&Ask::Counter("c".into()), seconds_from(2001, 40)).await;
    assert_eq!(fetched.failed, []);
    assert_eq!(asked.load(Ordering::SeqCst), 1 + 1 + 2 + 4, "one tick is tried first");
    let times: Vec<_> = fetched.tracks[0].samples.iter().map(|(time, _)| time / 1000).collect();
    assert_eq!(times, (1700..=2040).collect::<Vec<_>>(), "each sample once");
}

#[tokio::test]
async fn what_is_too_large_at_one_tick_is_refused_at_once_and_named() {
    static ASKED: AtomicUsize = AtomicUsize::new(0);
    let (prometheus, asked) = with_room_for(0, "x").await;
    let fetched = prometheus.fetch(&Ask::Counter("c".into()), seconds_from(2001, 12_000)).await;
    assert_eq!(asked.load(Ordering::SeqCst), 2, "all of it, and one tick");
    let mut refused: Vec<_> = fetched.failed.iter().map(|(part, _)| part.clone()).collect();
    refused.sort_by_key(|part| part.start);
    assert_eq!(refused, [0..5_000, 5_000..10_000, 10_000..12_000]);

    let series = r#"{"metric":{},"values":[[1,"1"]]}"#;
    let series = vec![series; MAX_SERIES + 1].join(",");
    let answer =
        format!(r#"{{"status":"success","data":{{"resultType":"matrix","result":[{series}]}}}}"#);
    let handler = move || async move {
        ASKED.fetch_add(1, Ordering::SeqCst);
        answer
    };
    let address = serve(Router::new().fallback(handler)).await;
    let prometheus = connect(&format!("http://{address}"), DEFAULT_TIMEOUT, 1);
    let ask = Ask::Counter(r#"http_requests_total{job="all"}"#.into());
    let fetched = prometheus.fetch(&ask, seconds_from(2001, 40)).await;
    let [(all, Unusable::Refused(words))] = &fetched.failed[..] else { panic!("{fetched:?}") };
    assert_eq!((all.clone(), ASKED.load(Ordering::SeqCst)), (0..40, 2));
    assert!(words.contains("10001 series, more than 10000"), "{words}");
    assert!(words.contains(r#"http_requests_total{job="all"}"#), "{words}");
}

#[tokio::test]
async fn an_error_concerns_only_the_ticks_that_were_asked_for() {
    let (prometheus, _) = with_room_for(10, "x").await;
    let ticks = seconds_from(1001, 40);
    let ask = Ask::Counter("c".into());
    let fetched = prometheus.fetch(&ask, ticks).await;
    assert_eq!(fetched.failed[0].0, 20..30);
    let question = Question::plain(Shape::BadOfTotal, vec![ask.clone(), ask]);
    let readings = crate::sources::assemble(&question, ticks, &[&fetched, &fetched]).readings;
    for (index, reading) in readings.into_iter().enumerate() {
        if (20..30).contains(&index) {
            assert!(matches!(reading, Err(Unusable::Unreachable(_))), "{index}: {reading:?}");
        } else {
            assert_eq!(reading, Ok(Measurement::counts(2.0, 2.0)), "{index}");
        }
    }
}
