//! Against small HTTP servers that answer as real ones do on bad days.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::extract::Query;
use axum::http::{Method, StatusCode, header};
use axum::routing::any;
use tokio::net::TcpListener;

use super::*;

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

fn at() -> Timestamp {
    Timestamp::from_millisecond(1_700_000_000_250).unwrap()
}

fn unreachable(answer: Answer) -> String {
    match answer {
        Err(Unusable::Unreachable(words)) => words,
        other => panic!("{other:?}"),
    }
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
    assert_eq!(prometheus.ask("up", at()).await.unwrap()[0].value.to_string(), "1");
    let long = format!("up{}", " or up".repeat(1000));
    assert_eq!(prometheus.ask(&long, at()).await.unwrap()[0].value.to_string(), "2");
}

#[tokio::test]
async fn silence_ends_with_the_time_out_once_it_is_a_querys_turn() {
    let hang = Router::new().fallback(std::future::pending::<&str>);
    let address = serve(hang).await;
    let prometheus = connect(&format!("http://{address}"), SHORT, 1);
    let begun = tokio::time::Instant::now();
    let answers = tokio::join!(
        prometheus.ask("a", at()),
        prometheus.ask("b", at()),
        prometheus.ask("c", at())
    );
    assert!(begun.elapsed() < SHORT * 5, "{:?}", begun.elapsed());
    for answer in [answers.0, answers.1, answers.2] {
        assert_eq!(unreachable(answer), format!("http://{address} did not answer within 300ms"));
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
            tokio::spawn(async move { prometheus.ask("up", at()).await })
        })
        .collect();
    for one in asking {
        assert!(one.await.unwrap().is_ok());
    }
    assert_eq!(MOST.load(Ordering::SeqCst), 3);
}

#[tokio::test]
async fn a_login_page_is_not_followed_and_named() {
    let moved = || async { (StatusCode::FOUND, [(header::LOCATION, "/login?token=secret")]) };
    let address = serve(Router::new().fallback(moved)).await;
    let words = unreachable(connect(&format!("http://{address}"), SHORT, 1).ask("up", at()).await);
    assert!(words.contains("302 Found to 127.0.0.1/login, which is not followed"), "{words}");
    assert!(!words.contains("secret"), "{words}");
}

#[tokio::test]
async fn an_endless_answer_is_cut_off() {
    let large = || async { "x".repeat(MAX_BYTES + 1) };
    let address = serve(Router::new().fallback(large)).await;
    let answer = connect(&format!("http://{address}"), DEFAULT_TIMEOUT, 1).ask("up", at()).await;
    let Err(Unusable::Refused(words)) = answer else { panic!("{answer:?}") };
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
    assert!(prometheus.ask("up", at()).await.is_ok());
}

#[tokio::test]
async fn credentials_never_reach_a_message() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let prometheus = connect(&format!("http://guard:hunter2@{address}/?key=hunter2"), SHORT, 1);
    let words = unreachable(prometheus.ask("up", at()).await);
    assert!(words.contains("can't be reached") && !words.contains("hunter2"), "{words}");
    assert!(!format!("{prometheus:?}").contains("hunter2"));
    for bad in ["http://guard:hunter2@", "ftp://guard:hunter2@x", "hunter2", "http://[hunter2"] {
        let error = Prometheus::connect(bad, SHORT, 1).unwrap_err().to_string();
        assert!(!error.contains("hunter2"), "{error}");
    }
}
