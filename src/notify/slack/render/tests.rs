use insta::assert_json_snapshot;
use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::Value;

use super::{mark, message};
use crate::model::{
    Body, Card, Command, Confirm, Health, HoldTime, Notice, Offer, Reply, Tile, Tone, Trend,
    Verdict, WatchId,
};

fn notice(body: Body) -> Notice {
    Notice {
        watch: WatchId::typed("shopflow-api-1a2b3c4d"),
        key: "shopflow-api-1a2b3c4d/7".to_owned(),
        at: "2026-11-20T10:34:15Z".parse().unwrap(),
        body,
    }
}

fn tile(name: &str, verdict: Verdict, value: &str, note: &str) -> Tile {
    let words = |text: &str| text.to_owned();
    let (name, value, note) = (words(name), words(value), words(note));
    Tile { name, verdict, value, trend: Some(Trend::Up), note, limits: words("normal < 0.1%") }
}

fn incident() -> Notice {
    notice(Body::Reply(reply()))
}

fn reply() -> Reply {
    let field = |label: &str, value: &str| (label.to_owned(), value.to_owned());
    Reply {
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
        offers: Vec::new(),
    }
}

fn mentions() -> Vec<String> {
    ["S0ONCALL", "U0MANAGER", "W0OTHER", "<!here>", "here", "C0CHANNEL"].map(str::to_owned).into()
}

fn json(notice: &Notice) -> Value {
    serde_json::to_value(message(notice, &mentions(), true)).unwrap()
}

#[test]
fn a_card_with_nothing_in_it_is_still_a_message() {
    let bare = Card {
        tone: Tone::Quiet,
        title: " ".to_owned(),
        status: String::new(),
        about: vec![String::new()],
        url: Some("javascript:alert(1)".to_owned()),
        head: vec![],
        incident: vec![],
        tiles: vec![],
        health: vec![],
        footer: String::new(),
        offers: vec![],
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
        head: vec![(word(), word())],
        incident: vec![(word(), word())],
        tiles: vec![tile(HOSTILE, Verdict::Breach, HOSTILE, HOSTILE)],
        health: vec![Health { name: word(), well: Some(false), why: Some(word()) }],
        footer: word(),
        offers: vec![offer(HOSTILE, vec![])],
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
        offers: vec![offer(HOSTILE, vec![])],
    });
    for body in [card, reply] {
        for parsed in mrkdwn(&json(&notice(body))) {
            let ours = parsed.strip_prefix("<https://ci.example/%3C!here%3E%7Cx|Open on ");
            let words = ours.and_then(|rest| rest.strip_suffix('>')).unwrap_or(&parsed);
            assert!(!words.contains(['<', '>']), "{parsed}");
            // The one emoji that is ours: what a breach looks like.
            let words = words.trim_start_matches(":x: ");
            for formats in [" *x", "*x*", "_y_", "~z~", "`c`", ":100:"] {
                assert!(!words.contains(formats), "{parsed}");
            }
        }
    }
}

fn offer(words: &str, times: Vec<HoldTime>) -> Offer {
    let word = || words.to_owned();
    let confirm = Confirm { title: word(), text: word(), yes: word() };
    let command = if times.is_empty() { Command::Rollback } else { Command::Hold };
    let target = times.is_empty().then(|| "shopflow-api:41".to_owned());
    let (label, confirm) = (word(), Some(confirm));
    Offer { command, label, urged: true, confirm, times, incident: 1, spell: 2, target }
}

#[test]
fn what_is_offered_becomes_buttons_only_where_presses_are_taken() {
    let time = |label: &str, until| HoldTime { label: label.to_owned(), until };
    let times =
        vec![time("until 10:49", notice(Body::Reply(reply())).at.into()), time("most", None)];
    let offers = vec![offer("Approve", vec![]), offer("Hold", times)];
    let notice = notice(Body::Reply(Reply { offers, ..reply() }));
    let shown = json(&notice);
    let row = shown["blocks"].as_array().unwrap().last().unwrap();
    assert_eq!(
        (&row["type"], &row["block_id"]),
        (&"actions".into(), &"shopflow-api-1a2b3c4d#1.2".into())
    );
    assert_json_snapshot!(row["elements"]);
    let without = serde_json::to_value(message(&notice, &mentions(), false)).unwrap();
    assert!(!without.to_string().contains("actions"), "{without}");
}

#[test]
fn a_watch_with_too_long_a_name_offers_nothing_that_could_not_be_understood() {
    let times = vec![HoldTime { label: "most".to_owned(), until: None }];
    let offers = vec![offer("Hold", times), offer("Approve", vec![])];
    let reply = Body::Reply(Reply { offers, ..reply() });
    let notice = Notice { watch: WatchId::typed(&"w".repeat(260)), ..notice(reply) };
    let shown = json(&notice);
    let row = shown["blocks"].as_array().unwrap().last().unwrap();
    assert_eq!(row["elements"].as_array().unwrap().len(), 1, "{row}");
    assert_eq!(row["elements"][0]["type"], "button");
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
            "actions" => assert!((1..=25).contains(&block["elements"].as_array().unwrap().len())),
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
    assert!(total <= 13_000, "{total} characters in all blocks");
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

fn any_offers() -> impl Strategy<Value = Vec<Offer>> {
    let time = words().prop_map(|label| HoldTime { label, until: None });
    let offer = (words(), vec(time, 0..120)).prop_map(|(words, times)| offer(&words, times));
    vec(offer, 0..8)
}

fn any_card() -> impl Strategy<Value = Body> {
    let tile = (words(), verdict(), words(), words())
        .prop_map(|(name, verdict, value, note)| tile(&name, verdict, &value, &note));
    let health = (words(), any::<bool>(), words()).prop_map(|(name, well, why)| Health {
        name,
        well: Some(well),
        why: Some(why),
    });
    let pairs = || vec((words(), words()), 0..12);
    let box_ = (pairs(), pairs(), vec(tile, 0..40), vec(health, 0..30), any_offers());
    let parts = (words(), words(), vec(words(), 0..20), words(), words(), any::<bool>(), box_);
    parts.prop_map(|(title, status, about, url, footer, web, box_)| {
        let url = Some(if web { format!("https://h/{url}") } else { url });
        let (head, incident, tiles, health, offers) = box_;
        let tone = Tone::Bad;
        Body::Card(Card {
            tone,
            title,
            status,
            head,
            about,
            url,
            incident,
            tiles,
            health,
            footer,
            offers,
        })
    })
}

fn any_reply() -> impl Strategy<Value = Body> {
    let code = vec(words(), 0..40);
    let fields = vec((words(), words()), 0..30);
    let parts = (words(), fields, vec(words(), 0..80), code, any::<bool>(), any_offers());
    parts.prop_map(|(headline, fields, lines, code, page, offers)| {
        Body::Reply(Reply {
            tone: Tone::Warn,
            headline,
            fields,
            lines,
            code,
            broadcast: page,
            page,
            mentions: Vec::new(),
            offers,
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
        let message = serde_json::to_value(message(&notice, &mentions, true)).unwrap();
        assert_within_limits(&message);
    }
}
