use insta::assert_json_snapshot;
use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::Value;

use super::{mark, message};
use crate::model::{Body, Card, CardCheck, Notice, Reply, Tone, Verdict, WatchId};

fn notice(body: Body) -> Notice {
    Notice {
        watch: WatchId::typed("shopflow-api-1a2b3c4d"),
        key: "shopflow-api-1a2b3c4d/7".to_owned(),
        at: "2026-11-20T10:34:15Z".parse().unwrap(),
        body,
    }
}

fn check(name: &str, verdict: Verdict, value: &str, limits: &str, before: &str) -> CardCheck {
    CardCheck {
        name: name.to_owned(),
        verdict,
        value: value.to_owned(),
        limits: limits.to_owned(),
        baseline: (!before.is_empty()).then(|| format!("before: {before}")),
    }
}

fn checks(error_rate: (Verdict, &str)) -> Vec<CardCheck> {
    let limits = "normal < 0.1% · SEV2 > 1% · SEV1 > 10%";
    vec![
        check("p95 latency", Verdict::Elevated, "310ms", "normal < 200ms · SEV2 > 500ms", "180ms"),
        check("error rate", error_rate.0, error_rate.1, limits, "0.04%"),
        check("order success", Verdict::LowTraffic, "too little traffic", "SEV2 < 95%", ""),
        check("cpu", Verdict::Healthy, "41%", "normal < 60% · SEV2 > 80%", "38%"),
        check("memory", Verdict::NoData, "no series", "normal < 70% · SEV2 > 85%", ""),
    ]
}

fn card(tone: Tone, status: &str, checks: Vec<CardCheck>) -> Notice {
    notice(Body::Card(Card {
        tone,
        title: "shopflow-api v1.5.0 in production".to_owned(),
        status: status.to_owned(),
        about: vec![
            "by dana · commit 4f1c2aa · shopflow-api:42 (was :41)".to_owned(),
            "started 10:30 UTC".to_owned(),
        ],
        url: Some("https://github.com/shopflow/api/actions/runs/18231?a=1&b=2".to_owned()),
        checks,
        footer: "policy shopflow-production (policies/shopflow.yaml at 4f1c2aa), mode auto"
            .to_owned(),
    }))
}

fn incident() -> Notice {
    let field = |label: &str, value: &str| (label.to_owned(), value.to_owned());
    notice(Body::Reply(Reply {
        tone: Tone::Bad,
        headline: "SEV1: error rate 12.4% after shopflow-api v1.5.0, rolling back to :41"
            .to_owned(),
        fields: vec![
            field("Status", "Investigating"),
            field("Severity", "SEV1"),
            field("Impact", "about 1 in 8 requests to shopflow-api in production fails"),
            field("Start Time", "2026-11-20 10:34:15 UTC"),
            field("Resolution", "rolling back to shopflow-api:41 (known-good since 18 Nov)"),
            field("ETA", "none is known; the roll-out is reported here as it goes"),
        ],
        lines: vec![
            "error rate 12.4%, limit SEV1 > 10%, before 0.04% (620 of 5,000 requests in 1m)"
                .to_owned(),
            "p95 latency 310ms, normal < 200ms, before 180ms".to_owned(),
        ],
        code: Vec::new(),
        broadcast: true,
        page: true,
        mentions: Vec::new(),
    }))
}

fn mentions() -> Vec<String> {
    ["S0ONCALL", "U0MANAGER", "W0OTHER", "<!here>", "here", "C0CHANNEL"].map(str::to_owned).into()
}

fn json(notice: &Notice) -> Value {
    serde_json::to_value(message(notice, &mentions())).unwrap()
}

#[test]
fn a_quiet_card() {
    let status = "watching, short-term phase until 11:30 UTC";
    let quiet = card(Tone::Quiet, status, checks((Verdict::Healthy, "0.05%")));
    assert_json_snapshot!(json(&quiet));
}

#[test]
fn a_good_card() {
    let healthy = check("error rate", Verdict::Healthy, "0.05%", "normal < 0.1%", "0.04%");
    assert_json_snapshot!(json(&card(Tone::Good, "passed after 24h", vec![healthy])));
}

#[test]
fn a_card_that_warns() {
    let status = "SEV2: waits for a person until 10:49 UTC";
    assert_json_snapshot!(json(&card(Tone::Warn, status, checks((Verdict::Breach, "1.8%")))));
}

#[test]
fn a_bad_card() {
    let status = "SEV1: rolling back to shopflow-api:41";
    assert_json_snapshot!(json(&card(Tone::Bad, status, checks((Verdict::Breach, "12.4%")))));
}

#[test]
fn an_incident_in_the_six_fields_of_the_template() {
    assert_json_snapshot!(json(&incident()));
}

#[test]
fn a_card_with_nothing_in_it_is_still_a_message() {
    let bare = Card {
        tone: Tone::Quiet,
        title: " ".to_owned(),
        status: String::new(),
        about: vec![String::new()],
        url: Some("javascript:alert(1)".to_owned()),
        checks: vec![],
        footer: String::new(),
    };
    assert_json_snapshot!(json(&notice(Body::Card(bare))));
}

#[test]
fn only_a_page_mentions_and_only_people_and_groups() {
    let mut quiet = incident();
    assert_eq!(
        json(&quiet)["blocks"][1]["text"]["text"],
        "<!subteam^S0ONCALL> <@U0MANAGER> <@W0OTHER>"
    );
    if let Body::Reply(reply) = &mut quiet.body {
        reply.page = false;
    }
    assert!(!json(&quiet).to_string().contains("<!subteam"));
}

/// A version that wants to ping, format, break the line and look like a link.
const HOSTILE: &str = "<!channel> *x* _y_ ~z~ `c` <@U1> <https://evil|v1> :100: &amp;\n> quote";

#[test]
fn words_from_outside_can_neither_ping_nor_format() {
    let word = || HOSTILE.to_owned();
    let card = Body::Card(Card {
        tone: Tone::Bad,
        title: word(),
        status: word(),
        about: vec![word()],
        url: Some(format!("https://ci.example/{}", "<!here>|x")),
        checks: vec![check(HOSTILE, Verdict::Breach, HOSTILE, HOSTILE, HOSTILE)],
        footer: word(),
    });
    let reply = Body::Reply(Reply {
        tone: Tone::Bad,
        headline: word(),
        fields: vec![(word(), word())],
        lines: vec![word()],
        code: Vec::new(),
        broadcast: false,
        page: false,
        mentions: Vec::new(),
    });
    for body in [card, reply] {
        for parsed in mrkdwn(&json(&notice(body))) {
            let ours = parsed.strip_prefix("<https://ci.example/%3C!here%3E%7Cx|Open on ");
            let words = ours.and_then(|rest| rest.strip_suffix('>')).unwrap_or(&parsed);
            assert!(!words.contains(['<', '>']), "{parsed}");
            for formats in [" *x", "*x*", "_y_", "~z~", "`c`", ":100:"] {
                assert!(!words.contains(formats), "{parsed}");
            }
        }
    }
}

#[test]
fn a_long_key_stays_unique_when_it_is_shortened() {
    let [one, two] = ["a", "b"].map(|end| mark(&format!("{}{end}", "k".repeat(400))));
    assert_ne!(one, two);
    assert!(one.len() <= 255);
    assert_eq!(mark("shopflow-api-1a2b3c4d/7"), "shopflow-api-1a2b3c4d/7");
}

/// Every text that Slack parses as mrkdwn.
fn mrkdwn(message: &Value) -> Vec<String> {
    let mut found = vec![message["text"].as_str().unwrap().to_owned()];
    walk(&message["blocks"], &mut |object| {
        if object["type"] == "mrkdwn" {
            assert_eq!(object["verbatim"], true, "{object}");
            found.push(object["text"].as_str().unwrap().to_owned());
        }
    });
    found
}

fn walk(value: &Value, visit: &mut impl FnMut(&Value)) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| walk(item, visit)),
        Value::Object(members) => {
            visit(value);
            members.values().for_each(|member| walk(member, visit));
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn size(value: &Value) -> usize {
    value.as_str().map_or(0, |text| text.chars().count())
}

/// Slack's published limits.
fn assert_within_limits(message: &Value) {
    assert!((1..=40_000).contains(&size(&message["text"])));
    let blocks = message["blocks"].as_array().unwrap();
    assert!((1..=50).contains(&blocks.len()), "{} blocks", blocks.len());
    for block in blocks {
        assert!(size(&block["block_id"]) <= 255);
        match block["type"].as_str().unwrap() {
            "header" => assert!((1..=150).contains(&size(&block["text"]["text"]))),
            "section" => {
                assert!(size(&block["text"]["text"]) <= 3000);
                let fields = block["fields"].as_array().map_or(&[][..], Vec::as_slice);
                assert!(fields.len() <= 10);
                assert!(fields.iter().all(|field| (1..=2000).contains(&size(&field["text"]))));
                assert!(!block["text"].is_null() || !fields.is_empty());
            }
            "context" => assert!((1..=10).contains(&block["elements"].as_array().unwrap().len())),
            "rich_text" => assert!(!block["elements"].as_array().unwrap().is_empty()),
            other => panic!("a block of type {other}"),
        }
    }
    let mut total = 0;
    walk(&message["blocks"], &mut |object| {
        if object.get("text").is_some_and(Value::is_string) {
            assert!((1..=3000).contains(&size(&object["text"])), "{object}");
            total += size(&object["text"]);
        }
    });
    assert!(total <= 12_000, "{total} characters in all blocks");
    let metadata = &message["metadata"]["event_payload"];
    assert!(size(&metadata["key"]) <= 255 && size(&metadata["watch"]) <= 255);
}

/// Any text, often long, often made of what grows when it is escaped.
fn words() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>(),
        "[&<>*_~`:a ]{0,40}",
        ("[&<*\u{1f600}a]", 0_usize..5000).prop_map(|(unit, times)| unit.repeat(times)),
    ]
}

fn verdict() -> impl Strategy<Value = Verdict> {
    prop_oneof![
        Just(Verdict::NoData),
        Just(Verdict::LowTraffic),
        Just(Verdict::Healthy),
        Just(Verdict::Elevated),
        Just(Verdict::Breach),
    ]
}

fn any_card() -> impl Strategy<Value = Body> {
    let check = (words(), verdict(), words(), words(), proptest::option::of(words())).prop_map(
        |(name, verdict, value, limits, baseline)| CardCheck {
            name,
            verdict,
            value,
            limits,
            baseline,
        },
    );
    let parts =
        (words(), words(), vec(words(), 0..20), words(), vec(check, 0..80), words(), any::<bool>());
    parts.prop_map(|(title, status, about, url, checks, footer, web)| {
        let url = Some(if web { format!("https://h/{url}") } else { url });
        Body::Card(Card { tone: Tone::Bad, title, status, about, url, checks, footer })
    })
}

fn any_reply() -> impl Strategy<Value = Body> {
    let code = vec(words(), 0..40);
    let parts = (words(), vec((words(), words()), 0..30), vec(words(), 0..80), code, any::<bool>());
    parts.prop_map(|(headline, fields, lines, code, page)| {
        Body::Reply(Reply {
            tone: Tone::Warn,
            headline,
            fields,
            lines,
            code,
            broadcast: page,
            page,
            mentions: Vec::new(),
        })
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn every_message_is_within_slacks_limits(
        key in words(),
        watch in words(),
        body in prop_oneof![any_card(), any_reply()],
        mentions in vec(prop_oneof![words(), "[SUW][A-Z0-9]{8,11}"], 0..60),
    ) {
        let notice = Notice { watch: WatchId::typed(&watch), key, ..notice(body) };
        let message = serde_json::to_value(message(&notice, &mentions)).unwrap();
        assert_within_limits(&message);
    }
}
