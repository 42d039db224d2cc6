//! What the lists show of many watches, and what is told while they are looked at.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::body::{Body, BodyDataStream};
use axum::extract::ConnectInfo;
use axum::http::{Request, StatusCode, header};
use axum::response::Response;
use futures_util::StreamExt;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use super::house::House;
use crate::engine::Helm;
use crate::model::{Address, Outcome, RollbackSafe, WatchId};
use crate::policy_repo::PolicyRepo;
use crate::store::{Pause, WatchRow, Write};
use crate::watch::Command;
use crate::watch::tests::world::{Guard, at, key, policy};
use crate::web::{Face, router};

async fn open() -> House {
    House::with(|settings| settings.open_reads = true).await
}

fn named(name: &str) -> Guard {
    Guard::of(name, policy(), RollbackSafe::Yes)
}

fn ended(name: &str) -> Guard {
    let mut guard = named(name);
    guard.presses(Command::Cancel).unwrap();
    guard
}

/// What another version keeps of a watch.
fn strange(id: &str, outcome: Option<Outcome>) -> Write {
    let row = WatchRow {
        id: WatchId::typed(id),
        service: key(),
        deployment: "d".to_owned(),
        is_open: outcome.is_none(),
        opened_at: at(0),
        name: "api".to_owned(),
        environment: "production".to_owned(),
        outcome: outcome.map(Outcome::as_str),
        state: "{\"hologram\":1}".to_owned(),
    };
    Write::Watch { row, version: 0, events: Vec::new() }
}

/// Asks a daemon that is otherwise than its house.
async fn ask(face: &Face, path: &str) -> Response {
    let peer = ConnectInfo(SocketAddr::from(([127, 0, 0, 1], 40_000)));
    let request = Request::get(path).header(header::HOST, "127.0.0.1:8080").extension(peer);
    router(face.clone()).oneshot(request.body(Body::empty()).unwrap()).await.unwrap()
}

async fn read(face: &Face, path: &str) -> String {
    let bytes = axum::body::to_bytes(ask(face, path).await.into_body(), usize::MAX).await.unwrap();
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[tokio::test]
async fn a_watch_that_cannot_be_read_is_a_row_and_hides_no_other() {
    let house = open().await;
    house.keep(&named("web")).await;
    house.keep(&ended("old")).await;
    let writes = [strange("open-1", None), strange("ended-1", Some(Outcome::RolledBack))];
    house.face.store.commit(&writes, at(0)).await.unwrap();
    let words = "kept by another version of deployguard, and can&#39;t be read here";
    let now = house.get("/", "").await;
    assert_eq!(now.status, StatusCode::OK, "{}", now.text);
    let plain = now.text.replace('\'', "&#39;");
    assert!(plain.contains(&format!("open-1: {words}")), "{plain}");
    assert!(plain.contains(">web ") && plain.contains("2 deployments watched"), "{plain}");
    let history = house.get("/history", "").await;
    assert_eq!(history.status, StatusCode::OK, "{}", history.text);
    let plain = history.text.replace('\'', "&#39;");
    assert!(plain.contains(&format!("ended-1: {words}")) && plain.contains(">old "), "{plain}");
    assert!(plain.contains("rolled back"), "{plain}");
    let alone = house.get("/watches/open-1", "").await;
    assert_eq!(alone.status, StatusCode::INTERNAL_SERVER_ERROR);
    assert!(alone.text.contains("kept by another version of deployguard"), "{}", alone.text);
}

#[tokio::test]
async fn only_what_has_changed_of_many_open_watches_is_read_again() {
    let house = open().await;
    for number in 0..120 {
        house.keep(&named(&format!("svc-{number:03}"))).await;
    }
    let shelf = &house.face.pages.shelf;
    let first = shelf.open(&house.face.store, at(0)).await.unwrap();
    assert_eq!(first.briefs.len(), 120);
    house.keep(&named("another")).await;
    let second = shelf.open(&house.face.store, at(0)).await.unwrap();
    assert_eq!(second.briefs.len(), 121);
    let same = |brief: &&Arc<_>| first.briefs.iter().any(|known| Arc::ptr_eq(known, brief));
    assert_eq!(second.briefs.iter().filter(same).count(), 120);
    // Who waits for one that began after they did takes what it finds.
    let many = (0..3).map(|_| shelf.open(&house.face.store, at(0)));
    let many = futures_util::future::join_all(many).await;
    let [_, second, third] = many.try_into().unwrap();
    assert!(Arc::ptr_eq(&second.unwrap(), &third.unwrap()));
}

#[tokio::test]
async fn an_idle_service_gives_way_to_its_watch_at_once() {
    let mut house = open().await;
    let folder = tempfile::TempDir::new().unwrap();
    let text = "version: 1\npolicy: p\nenvironment: production\n\
                match: { cluster: prod, service: web }\nlabels: { service: app }\n\
                phases: { all: { until: 1h, interval: 1m } }\n\
                checks: { depth: { query: queue_depth, breach: { SEV2: '> 10' } } }\n";
    std::fs::write(folder.path().join("p.yaml"), text).unwrap();
    let loaded = PolicyRepo::open(folder.path()).load();
    let (policies, seen) = watch::channel(Arc::new(loaded.unwrap_or_else(|why| panic!("{why:?}"))));
    house.face.policies = seen;
    let guard = named("web");
    let service = guard.watch.deployment.service.key.clone();
    let state = json!({ "service": service }).to_string();
    house.face.store.commit(&[Write::Seen { service, state }], at(0)).await.unwrap();
    let page = read(&house.face, "/").await;
    assert!(page.contains("not deployed yet under the guard"), "{page}");
    house.keep(&guard).await;
    let page = read(&house.face, "/").await;
    assert!(!page.contains("not deployed yet") && page.contains(">web "), "{page}");
    drop(policies);
}

#[tokio::test]
async fn who_stands_by_says_so_and_that_nobody_leads_or_hears_is_a_trouble() {
    let mut house = open().await;
    let nobody = read(&house.face, "/").await;
    assert!(nobody.contains("No daemon leads: nothing is being watched"), "{nobody}");
    let helm = Helm::default();
    helm.stand_by("http://10.0.0.2:8080");
    house.face.engine = helm.handle();
    // Said in 2023, and never delivered.
    let mut notice = Guard::settled(policy()).notices.remove(0);
    notice.at = at(0);
    let address = Address::Slack { channel: "C1".into(), mentions: Vec::new() };
    house.face.store.commit(&[Write::Outbox { notice, address }], at(0)).await.unwrap();
    house.face.live = crate::web::Live::default();
    let standby = read(&house.face, "/").await;
    assert!(standby.contains("This daemon stands by: "), "{standby}");
    assert!(standby.contains("href=\"http://10.0.0.2:8080\""), "{standby}");
    assert!(!standby.contains("No daemon leads"), "{standby}");
    assert!(standby.contains("slack: 1 message not delivered yet"), "{standby}");
}

/// The next event of a stream that is no beat, with its data.
async fn next(stream: &mut BodyDataStream) -> (String, Value) {
    loop {
        let piece = stream.next().await.unwrap().unwrap();
        let text = String::from_utf8(piece.to_vec()).unwrap();
        let line = |name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name));
            line.unwrap_or_default().trim().to_owned()
        };
        let (kind, data) = (line("event:"), line("data:"));
        if !data.is_empty() && kind != "beat" {
            return (kind, serde_json::from_str(&data).unwrap());
        }
    }
}

#[tokio::test]
async fn a_pause_is_told_to_whoever_looks() {
    let house = open().await;
    let face = &house.face;
    let guard = named("web");
    house.keep(&guard).await;
    let stop = CancellationToken::new();
    let looking = tokio::spawn(face.live.clone().look(face.clone(), stop.clone()));
    let answer = ask(face, "/events").await;
    assert_eq!(answer.headers()["x-accel-buffering"], "no");
    assert_eq!(answer.headers()[header::CACHE_CONTROL], "no-store");
    let mut stream = answer.into_body().into_data_stream();
    let (kind, first) = next(&mut stream).await;
    assert_eq!(kind, "open");
    assert!(first["watches"].get(guard.watch.id.as_str()).is_some(), "{first}");
    let mark = first["mark"].as_str().unwrap();
    assert!(!mark.is_empty());
    let pause = Pause { scope: "all".into(), by: "dana".into(), reason: None, at: at(1) };
    face.store.commit(&[Write::Pause(pause)], at(1)).await.unwrap();
    let (kind, second) = next(&mut stream).await;
    assert_eq!(kind, "fleet");
    assert_ne!(second["mark"], mark);
    assert!(read(face, "/").await.contains("by dana"));
    stop.cancel();
    looking.await.unwrap();
}

#[tokio::test]
async fn the_history_is_found_by_the_name_that_was_announced_and_leads_back_to_its_begin() {
    let house = open().await;
    for number in 0..51 {
        let mut guard = ended(&format!("svc-{number:02}"));
        if number == 0 {
            guard.watch.deployment.service.name = "Shopflow API".to_owned();
            guard.watch.deployment.service.environment = "long-gone".to_owned();
        }
        house.keep(&guard).await;
    }
    let found = house.get("/history?service=shopFLOW%20a", "").await.text;
    assert_eq!(found.matches("<th scope=\"row\">").count(), 1, "{found}");
    assert!(found.contains("<option value=\"long-gone\">"), "of no policy: {found}");
    assert!(!found.contains("id=\"partial\""), "{found}");
    for words in ["From (UTC)", "To (UTC)", "Watched since"] {
        assert!(found.contains(words), "no {words:?} in {found}");
    }
    let first = house.get("/history", "").await.text;
    assert!(!first.contains(">Newest<"), "{first}");
    let next = first.split("href=\"/history?before=").nth(1).unwrap().split('"').next().unwrap();
    let last = house.get(&format!("/history?before={next}"), "").await.text;
    assert!(last.contains(">Newest<") && !last.contains(">Older<"), "{last}");

    let Write::Watch { mut row, version, events } = strange("of-before", Some(Outcome::Passed))
    else {
        unreachable!()
    };
    row.outcome = None;
    let unfilled = Write::Watch { row, version, events };
    house.face.store.commit(&[unfilled], at(0)).await.unwrap();
    assert!(house.get("/history?outcome=passed", "").await.text.contains("id=\"partial\""));
    assert!(!house.get("/history?to=2023-11-13", "").await.text.contains("id=\"partial\""));
}
