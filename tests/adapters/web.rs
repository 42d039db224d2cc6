//! Health endpoints and JSON APIs over real HTTP: what the answers come to, where requests go
//! and where they never do.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use deployguard::model::{
    Ask, CHECK, Edge, Filled, Form, HealthAsk, JsonAsk, Measurement, Piece, Question, Reading,
    Shape, Ticks, Unusable, WebAsk,
};
use deployguard::outbound::{Allowed, Key, Keyring, Outbound};
use deployguard::sources::{Due, Sources, Web, measure};
use jiff::{SignedDuration, Timestamp};

use crate::world::now;
use crate::world::site::{Rude, Site};

const WINDOW: SignedDuration = SignedDuration::from_mins(5);

/// Everything on this host may be asked, and a secret may go to `keyed`.
fn web(allow: &[&str], keyed: &[&str]) -> Web {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let only_for = Allowed::parse(keyed).expect("a list");
    let key = Key { value: Ok("very-secret".to_owned()), only_for };
    let keyring = Keyring(BTreeMap::from([("api".to_owned(), key)]));
    Web::of(Outbound::new(Allowed::parse(allow).expect("a list"), keyring, None).expect("a way"))
}

fn text(text: &str) -> Filled {
    Filled(vec![Piece::Text(text.to_owned())])
}

fn request(url: &str) -> WebAsk {
    let timeout = SignedDuration::from_secs(2);
    WebAsk { url: text(url), headers: BTreeMap::new(), body: None, timeout }
}

fn with_secret(url: &str) -> WebAsk {
    let bearer = Filled(vec![Piece::Text("Bearer ".into()), Piece::Secret("api".into())]);
    let plain = text("plain");
    let headers =
        BTreeMap::from([("Authorization".to_owned(), bearer), ("X-Own".to_owned(), plain)]);
    WebAsk { headers, ..request(url) }
}

fn health(web: WebAsk) -> Ask {
    let (expect, depends_on) = (BTreeSet::new(), BTreeSet::new());
    Ask::Health(Box::new(HealthAsk { web, expect, depends_on, version: None }))
}

fn json(web: WebAsk) -> Ask {
    Ask::Json(Box::new(JsonAsk { web, path: "$.count".into(), count: false, window: WINDOW }))
}

async fn read(web: &Web, asks: Vec<Ask>) -> Vec<Reading> {
    let sources = Sources { web: Some(web.clone()), ..Sources::default() };
    let due = asks.into_iter().enumerate().map(|(key, ask)| Due {
        key,
        question: Question::plain(Shape::Gauge, vec![ask]),
        ticks: Ticks::once(now(), SignedDuration::from_secs(15)),
    });
    let measured = measure(&sources, due.collect()).await;
    measured.into_iter().flat_map(|(_, one)| one.readings).collect()
}

async fn one(web: &Web, ask: Ask) -> Reading {
    read(web, vec![ask]).await.remove(0)
}

#[expect(clippy::unnecessary_wraps, reason = "beside readings that failed")]
fn status(up: f64) -> Reading {
    let name = format!("{{{CHECK}=\"status\"}}");
    Ok(Measurement::Gauge { values: BTreeMap::from([(name, up)]) })
}

#[expect(clippy::unnecessary_wraps, reason = "beside readings that failed")]
fn value(value: f64) -> Reading {
    Ok(Measurement::Gauge { values: BTreeMap::from([("value".to_owned(), value)]) })
}

fn words(reading: &Reading) -> String {
    reading.as_ref().expect_err("no data").to_string()
}

#[tokio::test]
async fn the_same_answers_come_to_the_same_for_every_source() {
    let site = Site::start().await.expect("a site");
    let web = web(&[&site.url()], &[]);
    let url = |path: &str| format!("{}{path}", site.url());
    let pages = [
        ("/good", 200, r#"{"count":3}"#.to_owned()),
        ("/empty", 200, r#"{"other":3}"#.to_owned()),
        ("/null", 200, r#"{"count":null}"#.to_owned()),
        ("/nan", 200, r#"{"count":"NaN"}"#.to_owned()),
        ("/text", 200, r#"{"count":"many"}"#.to_owned()),
        ("/broken", 500, r#"{"count":3}"#.to_owned()),
        ("/html", 200, "<html>".to_owned()),
        ("/deep", 200, "[".repeat(200_000)),
        ("/huge", 200, format!(r#"{{"count":3,"pad":"{}"}}"#, "x".repeat(1 << 20))),
    ];
    for (path, code, body) in &pages {
        site.says(path, *code, body);
    }
    let asks = pages.iter().map(|(path, _, _)| json(request(&url(path)))).collect();
    let got = read(&web, asks).await;
    assert_eq!(got[0], value(3.0));
    assert_eq!(got[1], Err(Unusable::Empty));
    assert_eq!(got[2], Err(Unusable::Empty));
    assert_eq!(got[3], Err(Unusable::NotFinite("NaN for value".into())));
    assert!(words(&got[4]).contains("which is no number"), "{:?}", got[4]);
    assert_eq!(got[5], Err(Unusable::Unreachable("HTTP 500".into())));
    for no_json in [&got[6], &got[7]] {
        assert!(words(no_json).starts_with("the answer is no JSON"), "{no_json:?}");
    }
    assert_eq!(got[8], Err(Unusable::Refused("it answers more than 1 MiB".into())));

    let asks = pages.iter().map(|(path, _, _)| health(request(&url(path)))).collect();
    let got = read(&web, asks).await;
    assert_eq!([&got[0], &got[6], &got[7]], [&status(1.0); 3]);
    assert_eq!(got[5], status(0.0));
    assert_eq!(got[8], Err(Unusable::Refused("it answers more than 1 MiB".into())));
    let sources = Sources { web: Some(web), ..Sources::default() };
    let asked = sources.take_asked();
    let results: BTreeSet<_> = asked.iter().map(|one| (one.source, one.result.as_str())).collect();
    let expected = [("health", "error"), ("health", "ok"), ("json", "error"), ("json", "ok")];
    assert_eq!(results, BTreeSet::from(expected));
}

#[tokio::test]
async fn nobody_who_answers_is_down_for_health_and_no_data_for_a_number() {
    let slow = Rude::start(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n", true);
    let slow = slow.await.expect("a server");
    let loris = Rude::start(b"HTTP/1.1 200 OK\r\nx: ", true).await.expect("a server");
    let hung_up = Rude::start(b"", false).await.expect("a server");
    let no_http = Rude::start(b"SSH-2.0-OpenSSH_9.2\r\n", false).await.expect("a server");
    let nobody = {
        let gone = Site::start().await.expect("a site");
        gone.url()
    };
    let urls = [slow.url(), loris.url(), hung_up.url(), no_http.url(), nobody];
    let tls = hung_up.url().replace("http://", "https://");
    let allow: Vec<&str> = urls.iter().chain([&tls]).map(String::as_str).collect();
    let web = web(&allow, &[]);
    for url in &allow {
        let begun = Instant::now();
        assert_eq!(one(&web, health(request(url))).await, status(0.0), "{url}");
        let got = one(&web, json(request(url))).await;
        assert!(matches!(got, Err(Unusable::Unreachable(_))), "{url}: {got:?}");
        assert!(begun.elapsed() < Duration::from_secs(6), "{url}");
    }
}

#[tokio::test]
async fn a_name_that_does_not_resolve_and_a_lost_network_are_no_data() {
    let none = "http://deployguard-no-such-host.invalid";
    let got = one(&web(&[none], &[]), health(request(none))).await;
    assert!(matches!(&got, Err(Unusable::Unreachable(_))), "{got:?}");

    // Two hosts, and nobody at either of them.
    let gone = Site::start().await.expect("a site").address();
    let (here, there) = (format!("http://{gone}"), format!("http://localhost:{}", gone.port()));
    let both = web(&[&here, &there], &[]);
    let got = read(&both, vec![health(request(&here)), health(request(&there))]).await;
    for one in &got {
        assert!(words(one).starts_with("none of 2 hosts answers"), "{one:?}");
    }
    assert_eq!(one(&both, health(request(&here))).await, status(0.0), "one host may be down");
}

#[tokio::test]
async fn a_request_goes_nowhere_that_the_settings_do_not_allow() {
    let (site, other) = (Site::start().await.expect("a site"), Site::start().await.expect("one"));
    let web = web(&[&site.url(), "http://169.254.0.1:1"], &[]);
    other.says("/", 200, "");
    site.says("/end", 200, r#"{"count":1}"#);
    let elsewhere = format!("{}/", other.url());
    let metadata = "http://169.254.169.254/latest/meta-data/";
    for (path, to) in [
        ("/other", elsewhere.as_str()),
        ("/metadata", metadata),
        ("/mapped", "http://[::ffff:169.254.169.254]/latest/"),
        ("/file", "file:///etc/passwd"),
        ("/localhost", "http://localhost/"),
    ] {
        site.leads(path, 302, to);
        let got = one(&web, health(request(&format!("{}{path}", site.url())))).await;
        assert!(matches!(&got, Err(Unusable::Refused(_))), "{path}: {got:?}");
        assert!(words(&got).starts_with("it redirects to "), "{path}: {got:?}");
    }
    for url in [elsewhere.as_str(), metadata, "http://0.0.0.0/", "http://[::1]/"] {
        let got = one(&web, json(request(url))).await;
        assert!(words(&got).contains("outbound.allow"), "{url}: {got:?}");
    }
    assert!(other.visits().is_empty());

    site.leads("/loop", 302, "/loop");
    let got = one(&web, health(request(&format!("{}/loop", site.url())))).await;
    assert_eq!(words(&got), "it redirects more than 5 times");
    for hop in 0..5 {
        site.leads(&format!("/hop{hop}"), 301, &format!("/hop{}", hop + 1));
    }
    site.leads("/hop5", 307, "/end");
    site.says("/hop0x", 200, "");
    let got = one(&web, json(request(&format!("{}/hop1", site.url())))).await;
    assert_eq!(got, value(1.0));
    let got = one(&web, json(request(&format!("{}/hop0", site.url())))).await;
    assert_eq!(words(&got), "it redirects more than 5 times");
}

#[tokio::test]
async fn a_name_that_leads_to_this_host_is_not_asked() {
    let site = Site::start().await.expect("a site");
    let port = site.address().port();
    let hosts = std::fs::read_to_string("/etc/hosts").unwrap_or_default();
    let names = hosts.lines().filter(|line| line.starts_with("127.0.0.1")).flat_map(|line| {
        line.split_whitespace().skip(1).filter(|name| *name != "localhost").collect::<Vec<_>>()
    });
    // Where the host has no such name `sources` has the same by given addresses.
    for name in names {
        let url = format!("http://{name}:{port}");
        let got = one(&web(&[&url], &[]), health(request(&url))).await;
        assert!(words(&got).contains("this host itself"), "{got:?}");
        assert!(site.visits().is_empty());
    }
    let localhost = format!("http://localhost:{port}");
    site.says("/", 200, "");
    assert_eq!(one(&web(&[&localhost], &[]), health(request(&localhost))).await, status(1.0));
}

#[tokio::test]
async fn a_secret_goes_to_its_own_host_and_no_header_goes_on_to_another() {
    let (site, other) = (Site::start().await.expect("a site"), Site::start().await.expect("one"));
    let both = [site.url(), other.url()];
    let both: Vec<&str> = both.iter().map(String::as_str).collect();
    let web = web(&both, &[&site.url()]);
    let at = |url: String, path: &str| json(with_secret(&(url + path)));
    site.says("/count", 200, r#"{"count":1}"#);
    other.says("/count", 200, r#"{"count":2}"#);
    site.leads("/away", 302, &format!("{}/count", other.url()));

    assert_eq!(one(&web, at(site.url(), "/count")).await, value(1.0));
    assert_eq!(site.visits()[0].headers["authorization"], "Bearer very-secret");
    assert_eq!(one(&web, at(site.url(), "/away")).await, value(2.0));
    let visits = other.visits();
    assert!(!visits[0].headers.contains_key("authorization"), "{visits:?}");
    assert!(!visits[0].headers.contains_key("x-own"), "{visits:?}");

    let got = one(&web, at(other.url(), "/count")).await;
    assert!(words(&got).starts_with("the secret `api` is not for this host"), "{got:?}");
    assert!(!words(&got).contains("very-secret"));
    assert!(other.visits().is_empty());
}

#[tokio::test]
async fn each_tick_is_asked_about_its_own_time() {
    let site = Site::start().await.expect("a site");
    let web = web(&[&site.url()], &[]);
    site.says("/count", 200, r#"{"count":"7"}"#);
    let since = Piece::Time(Edge::Since, Form::Seconds);
    let url = Filled(vec![Piece::Text(format!("{}/count?since=", site.url())), since]);
    let until = Piece::Time(Edge::Until, Form::Milliseconds);
    let body = Filled(vec![Piece::Text("{\"until\":".into()), until, Piece::Text("}".into())]);
    let ask = json(WebAsk { url, body: Some(body), ..request("") });
    let first = Timestamp::from_second(1_000_000).expect("a time");
    let ticks = Ticks { first, step: SignedDuration::from_secs(60), count: 3 };
    let sources = Sources { web: Some(web), ..Sources::default() };
    let fetched = sources.fetch(&ask, ticks).await;
    assert_eq!(fetched.failed, []);
    assert_eq!(fetched.tracks[0].samples.len(), 3);
    let visits = site.visits();
    let asked: BTreeSet<(String, String)> =
        visits.into_iter().map(|visit| (visit.path, visit.body)).collect();
    let expected = [0, 60, 120].map(|more| {
        let until = 1_000_000 + more;
        (format!("/count?since={}", until - 300), format!("{{\"until\":{until}000}}"))
    });
    assert_eq!(asked, BTreeSet::from(expected));
}
