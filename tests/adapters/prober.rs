//! Probes of requests over real HTTP: what the answers come to.

use std::collections::BTreeMap;
use std::time::Duration;

use deployguard::commands::Commands;
use deployguard::model::{
    Ask, BESIDE, Expect, Filled, Measurement, Piece, ProbeAsk, Probing, Question, Reading, Shape,
    StepAsk, Ticks, Unusable, WebAsk,
};
use deployguard::outbound::{Allowed, Key, Keyring, Outbound};
use deployguard::sources::{Due, Prober, Sources, measure};
use jiff::{SignedDuration, Timestamp};

use crate::world::now;
use crate::world::site::{Rude, Site};

const SECRET: &str = "very-secret";
/// It begins to answer, and never ends.
const SLOW: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n";

fn way(allow: &[&str]) -> Outbound {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let only_for = Allowed::parse(allow).expect("a list");
    let key = Key { value: Ok(SECRET.to_owned()), only_for };
    let keyring = Keyring(BTreeMap::from([("shop".to_owned(), key)]));
    Outbound::new(Allowed::parse(allow).expect("a list"), keyring, None).expect("a way")
}

fn text(text: &str) -> Filled {
    Filled(vec![Piece::Text(text.to_owned())])
}

fn get(url: &str) -> StepAsk {
    let timeout = SignedDuration::from_millis(500);
    let web = WebAsk { url: text(url), headers: BTreeMap::new(), body: None, timeout };
    StepAsk { web, expect: Expect::default() }
}

fn post(url: &str, body: &str) -> StepAsk {
    let mut step = get(url);
    step.web.body = Some(text(body));
    let secret = Filled(vec![Piece::Text("Bearer ".into()), Piece::Secret("shop".into())]);
    step.web.headers.insert("Authorization".into(), secret);
    step
}

/// What the run of `steps` came to: `up`, `down: words` or `none: words`.
async fn came(way: Option<Outbound>, steps: Vec<StepAsk>) -> String {
    of_deployment(&Prober::of(Commands::default(), way), steps, None).await
}

/// The same of the deployment that began then.
async fn of_deployment(prober: &Prober, steps: Vec<StepAsk>, since: Option<Timestamp>) -> String {
    let sources = Sources { prober: Some(prober.clone()), ..Sources::default() };
    let ask = Ask::Probe(Box::new(ProbeAsk {
        check: "flow".into(),
        of: Probing::Requests(steps),
        every: SignedDuration::from_hours(1),
        values: BTreeMap::new(),
        since,
        live: None,
        clear: None,
        again: None,
    }));
    let mut question = Question::plain(Shape::Gauge, vec![ask]);
    question.labels.insert(BESIDE.to_owned());
    loop {
        let ticks = Ticks::once(now(), SignedDuration::from_secs(15));
        let due = Due { key: (), question: question.clone(), ticks };
        let ((), mut one) = measure(&sources, vec![due]).await.remove(0);
        let words = one.seen.remove(BESIDE).unwrap_or_default().pop_first().unwrap_or_default();
        let reading: Reading = one.readings.remove(0);
        match reading {
            Err(Unusable::NothingNew) => tokio::time::sleep(Duration::from_millis(10)).await,
            Err(why) => return format!("none: {why}"),
            Ok(Measurement::Gauge { values }) if values.values().all(|up| *up > 0.0) => {
                return "up".into();
            }
            Ok(_) => return format!("down: {words}"),
        }
    }
}

#[tokio::test]
async fn a_flow_is_walked_step_by_step_up_to_the_first_that_is_not_as_expected() {
    let site = Site::start().await.expect("a site");
    let url = |path: &str| format!("{}{path}", site.url());
    site.says("/", 200, "<html>Cart</html>");
    site.says("/cart", 201, r#"{"status":"ok","items":3}"#);
    site.says("/pay", 200, "thanks");
    let flow = || {
        let mut steps =
            vec![get(&url("/")), post(&url("/cart"), r#"{"sku":1}"#), get(&url("/pay"))];
        steps[0].expect.body_contains = Some("Cart".into());
        steps[1].expect.json = [("$.status", "ok"), ("$.items", "3")]
            .map(|(path, wanted)| (path.to_owned(), wanted.to_owned()))
            .into();
        steps
    };
    let walked = async || came(Some(way(&[&site.url()])), flow()).await;
    assert_eq!(walked().await, "up");
    let visits = site.visits();
    let seen: Vec<_> = visits.iter().map(|one| (one.method.as_str(), one.path.as_str())).collect();
    assert_eq!(seen, [("GET", "/"), ("POST", "/cart"), ("GET", "/pay")]);
    assert_eq!(visits[1].body, r#"{"sku":1}"#);
    assert_eq!(visits[1].headers["authorization"], format!("Bearer {SECRET}"));

    let post = format!("down: step 2 of 3, POST {}: ", url("/cart"));
    for (code, body, told) in [
        (500, "{}", "500 instead of 2xx"),
        (200, r#"{"status":"down","items":3}"#, "`$.status` is `down` instead of `ok`"),
        (200, r#"{"items":3}"#, "the answer has nothing at `$.status`"),
        (200, "<html>", "the answer is no JSON"),
    ] {
        site.says("/cart", code, body);
        assert_eq!(walked().await, format!("{post}{told}"));
        assert!(!site.visits().iter().any(|visit| visit.path == "/pay"), "it went on");
    }
    for code in [401, 403, 407, 408, 425, 429] {
        site.says("/cart", code, "");
        let told = walked().await;
        assert!(told.starts_with(&format!("none: POST {}: HTTP {code}: ", url("/cart"))), "{told}");
    }
    // Unless it is what was expected.
    site.says("/cart", 403, "");
    let mut forbidden = vec![self::post(&url("/cart"), "{}")];
    forbidden[0].expect.status = vec![(403, 403)];
    assert_eq!(came(Some(way(&[&site.url()])), forbidden.clone()).await, "up");
    site.says("/cart", 201, "{}");
    let let_in = came(Some(way(&[&site.url()])), forbidden).await;
    assert!(let_in.ends_with("201 instead of 403"), "{let_in}");
    site.says("/", 200, "<html></html>");
    let told = format!("down: step 1 of 3, GET {}: the answer does not contain `Cart`", url("/"));
    assert_eq!(walked().await, told);
}

#[tokio::test]
async fn a_release_that_breaks_its_own_log_in_is_down_where_the_same_was_let_in_before() {
    let site = Site::start().await.expect("a site");
    let prober = Prober::of(Commands::default(), Some(way(&[&site.url()])));
    let cart = format!("{}/cart", site.url());
    // The second began before the first one's run ended: that it was up then says nothing.
    let begun = async |second: i64| {
        let since = Timestamp::from_second(second).expect("a time");
        of_deployment(&prober, vec![post(&cart, "{}")], Some(since)).await
    };
    site.says("/cart", 403, "");
    assert!(begun(1).await.starts_with("none: "), "nobody was let in before");
    site.says("/cart", 201, "{}");
    assert_eq!(begun(2).await, "up");
    for code in [401, 403] {
        site.says("/cart", code, "");
        let told = begun(i64::from(code)).await;
        let words = format!("down: step 1 of 1, POST {cart}: HTTP {code}: it was let in before");
        assert_eq!(told, words);
    }
    site.says("/cart", 429, "");
    assert!(begun(429).await.starts_with("none: "), "it is asked too much");
}

#[tokio::test]
async fn of_a_large_answer_the_beginning_is_read_and_it_is_never_a_failure() {
    let site = Site::start().await.expect("a site");
    let large = format!("<html>Cart{}</html>Pay", "a".repeat(2 << 20));
    site.says("/", 200, &large);
    let of = async |expect: Expect| {
        let mut step = get(&site.url());
        // It is sent on a busy machine.
        (step.web.timeout, step.expect) = (SignedDuration::from_secs(10), expect);
        came(Some(way(&[&site.url()])), vec![step]).await
    };
    assert_eq!(of(Expect::default()).await, "up");
    let contains = |text: &str| Expect { body_contains: Some(text.into()), ..Expect::default() };
    assert_eq!(of(contains("Cart")).await, "up");
    let missing = of(contains("Pay")).await;
    assert!(missing.starts_with("none: ") && missing.contains("too large"), "{missing}");
    let json = [("$.status".to_owned(), "ok".to_owned())].into();
    let json = of(Expect { json, ..Expect::default() }).await;
    assert!(json.starts_with("none: ") && json.contains("too large"), "{json}");
    site.says("/", 500, &large);
    assert!(of(contains("Pay")).await.ends_with("500 instead of 2xx"));
}

#[tokio::test]
async fn nobody_who_answers_is_down_and_what_the_guard_can_t_ask_is_no_data() {
    let slow = Rude::start(SLOW, true).await.expect("a server");
    let other = Rude::start(SLOW, true).await.expect("a server");
    let of = |rude: &Rude| rude.url();
    let alone = came(Some(way(&[&of(&slow)])), vec![get(&of(&slow)), get(&of(&slow))]).await;
    assert!(alone.starts_with("down: step 1 of 2, GET ") && alone.contains("0.5 s"), "{alone}");
    let named = of(&other).replace("127.0.0.1", "localhost");
    let lost = came(Some(way(&[&of(&slow), &named])), vec![get(&of(&slow)), get(&named)]).await;
    assert!(lost.starts_with("none: none of 2 hosts answers: the guard's own network?"), "{lost}");
    let unnamed = "http://no-such-host.invalid";
    let unnamed = came(Some(way(&[unnamed])), vec![get(unnamed)]).await;
    assert!(unnamed.starts_with("none: "), "{unnamed}");
    let kept_in = came(Some(way(&["https://www.shopflow.io"])), vec![get(&of(&slow))]).await;
    assert!(kept_in.starts_with("none: the settings don't allow it"), "{kept_in}");
    let none = came(None, vec![get(&of(&slow))]).await;
    assert_eq!(none, "none: the settings name no `outbound` to ask this of");
}
