//! The store's own promises, each held on SQLite and on a real Postgres.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may end there")]
#![allow(clippy::cast_possible_wrap, clippy::format_push_string, clippy::indexing_slicing)]

mod beats;
mod gate;
mod history;

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use deployguard::model::{Address, Body, Lane, Notice, Reply, ServiceKey, Tone, WatchId, Way};
use deployguard::store::{Claim, Fence, Pause, PauseTurn, Store, StoreError, WatchRow, Write};
use jiff::Timestamp;
use serde_json::{Value, json};
use sqlx::{Connection, PgConnection};
use tempfile::TempDir;

use crate::world::postgres::Postgres;

const VALID: Duration = Duration::from_mins(1);

/// A database that is opened as often as the promise needs it.
struct Place(String);

impl Place {
    async fn open(&self) -> Store {
        Store::open(&self.0).await.expect("it opens")
    }
}

type Holding<'a> = Pin<Box<dyn Future<Output = ()> + 'a>>;
type Promise = (&'static str, for<'a> fn(&'a Place) -> Holding<'a>);

/// Each gets a database of its own.
const PROMISES: [Promise; 15] = [
    ("migrated by two at once", |place| Box::pin(migrated_by_two_at_once(place))),
    ("a step is kept whole or not at all", |place| Box::pin(whole_or_not_at_all(place))),
    ("what was kept comes back as it was", |place| Box::pin(comes_back_as_it_was(place))),
    ("a permit is one watch's", |place| Box::pin(one_permit(place))),
    ("a permit outlives no watch", |place| Box::pin(permits_in_turn(place))),
    ("letters keep their order", |place| Box::pin(letters_keep_their_order(place))),
    ("what was lost is no news", |place| Box::pin(what_was_lost_is_no_news(place))),
    ("files hold up no words", |place| Box::pin(files_hold_up_no_words(place))),
    ("the history of pauses is bounded", |place| Box::pin(the_history_of_pauses_is_bounded(place))),
    ("who went through the gate, and alerts", |place| Box::pin(gate::kept(place))),
    ("when beats were listened for", |place| Box::pin(beats::listened(place))),
    ("ended watches are found", |place| Box::pin(history::found(place))),
    ("names that no index takes", |place| Box::pin(names_that_no_index_takes(place))),
    ("one leads", |place| Box::pin(one_leads(place))),
    ("a deposed leader writes nothing", |place| Box::pin(deposed_writes_nothing(place))),
];

#[tokio::test(flavor = "multi_thread")]
async fn on_sqlite_every_promise_of_the_store_is_kept() -> anyhow::Result<()> {
    for (number, (name, promise)) in PROMISES.iter().enumerate() {
        println!("{name}");
        let folder = TempDir::new()?;
        let file = folder.path().join(format!("{number}.db"));
        promise(&Place(format!("sqlite://{}", file.display()))).await;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn on_postgres_every_promise_of_the_store_is_kept() -> anyhow::Result<()> {
    let postgres = Postgres::start().await?;
    for (number, (name, promise)) in PROMISES.iter().enumerate() {
        println!("{name}");
        let database = format!("promise{number}");
        postgres.create(&database).await?;
        promise(&Place(postgres.whole_url().replace("/postgres?", &format!("/{database}?")))).await;
    }
    Ok(())
}

#[tokio::test]
async fn a_database_that_is_not_there_is_told_without_its_password() -> anyhow::Result<()> {
    let postgres = Postgres::start().await?;
    let there = postgres.whole_url();
    let nowhere = there.replace("/postgres?", "/nowhere?");
    for (url, words) in [
        (there.replace("pg-password", "wrong-password"), "password authentication failed"),
        (nowhere, "\"nowhere\" does not exist"),
        ("mysql://guard:wrong-password@db/guard".to_owned(), "`mysql` is not supported"),
        ("postgres://guard:wrong-password@db:port/guard".to_owned(), "invalid port"),
    ] {
        let why = Store::open(&url).await.expect_err("it must not open").to_string();
        assert!(why.contains(words), "{why}");
        assert!(!why.contains("-password"), "{why}");
    }
    Ok(())
}

/// A step may take longer than a lease holds, and must not cost the leader its lead.
#[tokio::test]
async fn on_postgres_a_long_step_holds_off_a_successor_and_not_its_own_renewal()
-> anyhow::Result<()> {
    let postgres = Postgres::start().await?;
    let store = Store::open(&postgres.whole_url()).await?;
    let fence = granted(claim(&store, "one", VALID).await);
    let mut another = PgConnection::connect(&postgres.whole_url()).await?;
    let mut step = another.begin().await?;
    let held = "SELECT 1 FROM lease WHERE name = 'engine' FOR KEY SHARE";
    sqlx::Executor::execute(&mut *step, held).await?;
    let soon = Duration::from_secs(2);
    assert!(tokio::time::timeout(soon, store.renew(&fence, Duration::ZERO)).await??);
    let taking = store.claim("other", "http://other", VALID);
    assert!(tokio::time::timeout(soon, taking).await.is_err(), "it waits for the step");
    step.rollback().await?;
    granted(claim(&store, "other", VALID).await);
    Ok(())
}

fn key() -> ServiceKey {
    ServiceKey { target: "default".into(), cluster: "shop".into(), service: "api".into() }
}

fn at(ms: i64) -> Timestamp {
    Timestamp::from_millisecond(1_790_000_000_000 + ms).expect("a time")
}

fn watch(id: &str, version: i64, events: &[&str]) -> Write {
    let row = WatchRow {
        id: WatchId::typed(id),
        service: key(),
        deployment: format!("{id}-deployment"),
        is_open: true,
        opened_at: at(version),
        name: "api".to_owned(),
        environment: "production".to_owned(),
        outcome: None,
        state: json!({ "id": id, "events": version + events.len() as i64 }).to_string(),
    };
    let events = events.iter().map(|event| (at(1), json!(event).to_string())).collect();
    Write::Watch { row, version, events }
}

fn letter(watch: &str, number: u32) -> Write {
    let reply = Reply {
        tone: Tone::Quiet,
        headline: format!("{number} \0 🚢"),
        fields: Vec::new(),
        lines: Vec::new(),
        code: Vec::new(),
        broadcast: false,
        page: false,
        mentions: Vec::new(),
        offers: Vec::new(),
    };
    let notice = Notice {
        watch: WatchId::typed(watch),
        key: format!("{watch}/{number}"),
        at: at(i64::from(number)),
        body: Body::Reply(reply),
    };
    Write::Outbox { notice, address: Address::Slack { channel: "C1".into(), mentions: Vec::new() } }
}

async fn migrated_by_two_at_once(place: &Place) {
    let (one, other) = tokio::join!(place.open(), place.open());
    one.ping().await.expect("one answers");
    other.ping().await.expect("the other answers");
    place.open().await.ping().await.expect("there is nothing left to migrate");
}

async fn whole_or_not_at_all(place: &Place) {
    let store = place.open().await;
    store.commit(&[watch("a", 0, &["opened"])], at(0)).await.expect("kept");
    let stale = [watch("b", 0, &["opened"]), watch("a", 0, &["opened again"])];
    let refused = store.commit(&stale, at(1)).await;
    assert!(matches!(&refused, Err(StoreError::Conflict(id)) if id.as_str() == "a"), "{refused:?}");
    assert!(!store.has_watch(&WatchId::typed("b")).await.expect("read"));
    let ahead = store.commit(&[watch("a", 5, &["later"])], at(1)).await;
    assert!(matches!(ahead, Err(StoreError::Conflict(_))), "{ahead:?}");
    let kept = store.open_watches::<Value>().await.expect("read");
    assert_eq!(kept, [(json!({ "id": "a", "events": 1 }), 1)]);
}

async fn comes_back_as_it_was(place: &Place) {
    let store = place.open().await;
    let pause = |by: &str| Pause { scope: "all".into(), by: by.into(), reason: None, at: at(3) };
    let seen = |what: &str| Write::Seen { service: key(), state: json!(what).to_string() };
    let announced = Write::Announcement {
        id: "gha-1".into(),
        digest: "abc".into(),
        watch: WatchId::typed("a"),
    };
    let first = [
        watch("a", 0, &["opened", "späh \0 🚢"]),
        announced,
        seen("before"),
        Write::Pause(pause("dana")),
    ];
    store.commit(&first, at(0)).await.expect("kept");
    let second = [watch("a", 2, &["more"]), seen("after"), Write::Pause(pause("kim"))];
    store.commit(&second, at(1)).await.expect("kept");
    store.close().await;
    let store = place.open().await;
    let journal = store.journal::<String>(&WatchId::typed("a")).await.expect("read");
    let events: Vec<_> = journal.iter().map(|(_, event)| event.as_str()).collect();
    assert_eq!(events, ["opened", "späh \0 🚢", "more"]);
    assert_eq!(store.seen::<String>().await.expect("read"), ["after"]);
    assert_eq!(store.pauses().await.expect("read"), [pause("kim")]);
    let known = store.announcement("gha-1").await.expect("read");
    assert_eq!(known, Some(("abc".into(), WatchId::typed("a"))));
    store.commit(&[Write::Unpause { scope: "all".into() }], at(2)).await.expect("kept");
    assert_eq!(store.pauses().await.expect("read"), []);
    assert_eq!(store.watches::<Value>(10).await.expect("read").len(), 1);
    let since = store.watches_since::<Value>(&(at(0), String::new()), 10).await.expect("read");
    assert_eq!(since.len(), 1);
    assert!(store.has_open_watches().await.expect("read"));
}

async fn one_permit(place: &Place) {
    let store = place.open().await;
    let (mine, another) = (WatchId::typed("a"), WatchId::typed("b"));
    let ask = async |watch: &WatchId| {
        let permit = store.permit(&key(), "ecs-svc/1", watch, at(5)).await.expect("answered");
        permit.map(|permit| permit.is_first())
    };
    let none = store.recent_permits(&key(), &mine, at(0)).await.expect("read");
    assert_eq!((none.last_of_service, none.of_fleet), (None, 0));
    assert_eq!(ask(&mine).await, Some(true));
    assert_eq!(ask(&mine).await, Some(false), "again after a crash");
    assert_eq!(ask(&another).await, None);
    // Not for who does not hold it.
    store.give_back(&key(), "ecs-svc/1", &another).await.expect("answered");
    assert_eq!(ask(&mine).await, Some(false));
    store.give_back(&key(), "ecs-svc/1", &mine).await.expect("given back");
    assert_eq!(ask(&mine).await, Some(true), "it was not used");
    let holder = store.permit_holder(&key(), "ecs-svc/1").await.expect("read");
    assert_eq!(holder, Some(mine.clone()));
    let of_others = store.recent_permits(&key(), &another, at(0)).await.expect("read");
    assert_eq!((of_others.last_of_service, of_others.of_fleet), (Some(at(5)), 1));
}

/// The same deployment is put in place three times, and each time a watch of its own asks.
async fn permits_in_turn(place: &Place) {
    let store = place.open().await;
    let ids = ["first", "second", "third"].map(WatchId::typed);
    let ask = async |watch: &WatchId, ms| {
        let permit = store.permit(&key(), "uid:green:2", watch, at(ms)).await.expect("answered");
        permit.map(|permit| permit.is_first())
    };
    let keep = async |id: &str, version, is_open| {
        let Write::Watch { mut row, version, events } = watch(id, version, &["x"]) else {
            unreachable!()
        };
        row.is_open = is_open;
        store.commit(&[Write::Watch { row, version, events }], at(1)).await.expect("kept");
    };
    keep("first", 0, true).await;
    keep("second", 0, true).await;
    assert_eq!(ask(&ids[0], 1).await, Some(true));
    assert_eq!(ask(&ids[1], 2).await, None, "the first still asks for it");
    keep("first", 1, false).await;
    assert_eq!(ask(&ids[2], 3).await, None, "nobody knows that watch");
    assert_eq!(ask(&ids[1], 4).await, Some(true));
    assert_eq!(ask(&ids[1], 5).await, Some(false), "again after a crash");
    assert_eq!(ask(&ids[0], 6).await, None, "it has ended");
    keep("second", 1, false).await;
    assert_eq!(ask(&ids[0], 7).await, None, "it has ended, and stays so");
    keep("third", 0, true).await;
    let (one, other) = (place.open().await, place.open().await);
    let service = key();
    let both = tokio::join!(
        one.permit(&service, "uid:green:2", &ids[2], at(8)),
        other.permit(&service, "uid:green:2", &ids[2], at(8)),
    );
    let firsts = [both.0, both.1].map(|permit| permit.expect("answered").expect("its own"));
    assert_eq!(firsts.iter().filter(|permit| permit.is_first()).count(), 1, "one of two daemons");
    let holder = store.permit_holder(&key(), "uid:green:2").await.expect("read");
    assert_eq!(holder, Some(ids[2].clone()));
    let of_others = store.recent_permits(&key(), &ids[2], at(0)).await.expect("read");
    assert_eq!((of_others.last_of_service, of_others.of_fleet), (Some(at(4)), 2));
}

/// Files keep an order of their own, and count to their way.
async fn files_hold_up_no_words(place: &Place) {
    let store = place.open().await;
    let files = |number: u32| {
        let Write::Outbox { mut notice, address } = letter("a", number) else { unreachable!() };
        notice.body = Body::Files { charts: vec!["errors".into()], report: false };
        Write::Outbox { notice, address }
    };
    let letters = [letter("a", 1), files(2), files(3), letter("a", 4)];
    store.commit(&letters, at(0)).await.expect("kept");
    let heads = async |lane| {
        let heads = store.outbox_heads(lane, 10).await.expect("read");
        heads.into_iter().map(|head| head.notice.key).collect::<Vec<_>>()
    };
    let words = Lane::Words(Way::Slack);
    assert_eq!(heads(words).await, ["a/1"]);
    assert_eq!(heads(Lane::Files).await, ["a/2"]);
    assert_eq!(heads(Lane::Words(Way::Email)).await, [""; 0]);
    let first = store.outbox_heads(words, 1).await.expect("read")[0].seq;
    store.outbox_delivered(first, &WatchId::typed("a"), None).await.expect("kept");
    assert_eq!(heads(words).await, ["a/4"], "behind the files, and not held up");
    assert_eq!(store.letterboxes().await.expect("read")[0].pending, 3);
}

/// Once the same recipient was reached later.
async fn what_was_lost_is_no_news(place: &Place) {
    let store = place.open().await;
    store.commit(&[letter("a", 1), letter("b", 1)], at(0)).await.expect("kept");
    let heads = store.outbox_heads(Lane::Words(Way::Slack), 10).await.expect("read");
    store.outbox_undeliverable(heads[0].seq, "gone", at(1)).await.expect("kept");
    store.outbox_retry(heads[1].seq, at(9), "later").await.expect("kept");
    let lost = async || store.letterboxes().await.expect("read")[0].undeliverable;
    assert_eq!(lost().await, 1);
    store.outbox_delivered(heads[1].seq, &heads[1].notice.watch, None).await.expect("kept");
    assert_eq!(lost().await, 0);
}

async fn letters_keep_their_order(place: &Place) {
    let store = place.open().await;
    let letters = [letter("a", 1), letter("a", 2), letter("b", 1)];
    store.commit(&letters, at(0)).await.expect("kept");
    let heads = store.outbox_heads(Lane::Words(Way::Slack), 10).await.expect("read");
    let keys: Vec<_> = heads.iter().map(|head| head.notice.key.as_str()).collect();
    assert_eq!(keys, ["a/1", "b/1"]);
    let (first, other) = (&heads[0], &heads[1]);
    let trying = store.outbox_trying(first.seq).await.expect("counted");
    assert_eq!(trying, first.notice);
    store.outbox_delivered(first.seq, &first.notice.watch, Some("T1")).await.expect("kept");
    store.outbox_undeliverable(other.seq, "no \0 channel", at(1)).await.expect("kept");
    assert_eq!(store.thread(&WatchId::typed("a")).await.expect("read").as_deref(), Some("T1"));
    let heads = store.outbox_heads(Lane::Words(Way::Slack), 10).await.expect("read");
    let keys: Vec<_> = heads.iter().map(|head| head.notice.key.as_str()).collect();
    assert_eq!(keys, ["a/2"]);
    store.outbox_retry(heads[0].seq, at(9), "later").await.expect("kept");
    assert_eq!(
        store.outbox_heads(Lane::Words(Way::Slack), 10).await.expect("read")[0].next_at,
        at(9)
    );
    let letterbox = store.letterboxes().await.expect("read").remove(0);
    assert_eq!((letterbox.pending, letterbox.undeliverable), (1, 1));
    assert_eq!(letterbox.oldest, Some(heads[0].notice.at), "due when it is said to be");
    store.outbox_prune(at(10), at(10)).await.expect("pruned");
    let letterbox = store.letterboxes().await.expect("read").remove(0);
    assert_eq!((letterbox.pending, letterbox.undeliverable), (1, 0), "what waits is kept");
    store.commit(&[letter("c", 1)], at(11)).await.expect("kept");
    let seqs: Vec<_> = store
        .outbox_heads(Lane::Words(Way::Slack), 10)
        .await
        .expect("read")
        .iter()
        .map(|h| h.seq)
        .collect();
    assert_eq!(seqs.len(), 2);
}

async fn the_history_of_pauses_is_bounded(place: &Place) {
    let store = place.open().await;
    let turn = |number: i64| {
        let (scope, by) = ("all".into(), "dana".into());
        let pause = Pause { scope, by, reason: Some(number.to_string()), at: at(number) };
        Write::PauseTurn(PauseTurn { paused: true, pause })
    };
    let turns: Vec<Write> = (1..=1003).map(turn).collect();
    store.commit(&turns, at(0)).await.expect("kept");
    let kept = store.pause_history(2000).await.expect("read");
    assert_eq!(kept.len(), 1000);
    let reason = |one: Option<&PauseTurn>| one.and_then(|turn| turn.pause.reason.clone());
    assert_eq!(reason(kept.first()).as_deref(), Some("1003"), "the newest first");
    assert_eq!(reason(kept.last()).as_deref(), Some("4"));
}

async fn names_that_no_index_takes(place: &Place) {
    let store = place.open().await;
    // Random enough that no database makes it small.
    let mut random = 7_u64;
    let mut longest = String::new();
    while longest.len() < 60_000 {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        longest.push_str(&format!("{random:x}"));
    }
    for name in [longest.as_str(), "with \0 in it", "with 🚢 in it"] {
        let announced = Write::Announcement {
            id: name.into(),
            digest: "abc".into(),
            watch: WatchId::typed("a"),
        };
        let pause = Pause {
            scope: format!("default/shop/{name}"),
            by: "dana".into(),
            reason: None,
            at: at(0),
        };
        let scope = pause.scope.clone();
        store.commit(&[announced, Write::Pause(pause.clone())], at(0)).await.expect("kept");
        assert!(store.announcement(name).await.expect("read").is_some());
        assert_eq!(store.pauses().await.expect("read"), [pause]);
        store.commit(&[Write::Unpause { scope }], at(0)).await.expect("kept");
        let watch = store.watch::<Value>(&WatchId::typed(name)).await.expect("no mistake of ours");
        assert_eq!(watch, None);
        let permit = store.permit(&key(), name, &WatchId::typed("a"), at(0)).await.expect("kept");
        assert!(permit.is_some_and(|permit| permit.is_first()));
    }
}

/// As two processes have it; SQLite's lock is one per handle.
async fn claim(store: &Store, owner: &str, valid: Duration) -> Claim {
    store.claim(owner, &format!("http://{owner}"), valid).await.expect("answered")
}

fn granted(claim: Claim) -> Fence {
    match claim {
        Claim::Granted(fence) => fence,
        Claim::Held(url) => panic!("{url} holds it"),
    }
}

async fn one_leads(place: &Place) {
    let (one, other) = (place.open().await, place.open().await);
    let first = granted(claim(&one, "one", VALID).await);
    assert_eq!(claim(&other, "other", VALID).await, Claim::Held("http://one".into()));
    assert!(one.renew(&first, VALID).await.expect("answered"));
    let again = granted(claim(&one, "one", VALID).await);
    assert!(again.epoch() > first.epoch(), "each tenure has its own epoch");
    assert!(!one.renew(&first, VALID).await.expect("answered"), "the former one is over");
    one.release(&again).await.expect("given back");
    let third = granted(claim(&other, "other", VALID).await);
    assert!(third.epoch() > again.epoch());
    assert!(!one.renew(&again, VALID).await.expect("answered"));
    one.release(&again).await.expect("nothing of it is left to give back");
    assert_eq!(claim(&one, "one", VALID).await, Claim::Held("http://other".into()));
    if other.lease_runs_out() {
        assert!(other.renew(&third, Duration::ZERO).await.expect("answered"));
        granted(claim(&one, "one", VALID).await);
    }
}

async fn deposed_writes_nothing(place: &Place) {
    let (one, other) = (place.open().await, place.open().await);
    let fence = granted(claim(&one, "one", VALID).await);
    let (leader, waiting) = (one.under(fence.clone()), WatchId::typed("a"));
    leader.commit(&[watch("a", 0, &["opened"]), letter("a", 1)], at(0)).await.expect("kept");
    let seq = leader.outbox_heads(Lane::Words(Way::Slack), 1).await.expect("read")[0].seq;
    one.release(&fence).await.expect("given back");
    granted(claim(&other, "other", VALID).await);
    let tried = [
        leader.commit(&[watch("a", 1, &["late"])], at(1)).await.err(),
        leader.permit(&key(), "ecs-svc/1", &waiting, at(1)).await.err(),
        leader.outbox_trying(seq).await.err(),
        leader.outbox_delivered(seq, &waiting, None).await.err(),
        leader.outbox_retry(seq, at(9), "late").await.err(),
        leader.outbox_undeliverable(seq, "late", at(9)).await.err(),
        leader.outbox_prune(at(9), at(9)).await.err(),
    ];
    for (number, error) in tried.iter().enumerate() {
        assert!(matches!(error, Some(StoreError::Deposed)), "{number}: {error:?}");
    }
    assert_eq!(other.open_watches::<Value>().await.expect("read")[0].1, 1);
    assert_eq!(other.permit_holder(&key(), "ecs-svc/1").await.expect("read"), None);
    assert_eq!(other.outbox_heads(Lane::Words(Way::Slack), 1).await.expect("read")[0].attempts, 0);
}
