//! Slack: what it takes, what it refuses, and what it remembers.

use std::collections::HashSet;

use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use slack_morphism::prelude::*;

use crate::world::http::client_builder;
use crate::world::slack::{CHANNEL, Slack, SlackFault, TOKEN};
use crate::world::timeline::Timeline;

struct Workspace {
    slack: Slack,
    client: reqwest::Client,
}

impl Workspace {
    async fn open() -> Self {
        let slack = Slack::start(Timeline::default()).await.expect("a free port");
        let client = client_builder().build().expect("a client");
        Self { slack, client }
    }

    async fn send(&self, method: &str, body: &Value) -> reqwest::Result<reqwest::Response> {
        let request = self.client.post(format!("{}/{method}", self.slack.url()));
        request.bearer_auth(TOKEN).json(body).send().await
    }

    async fn call(&self, method: &str, body: &Value) -> Value {
        let answer = self.send(method, body).await.expect("an answer");
        answer.json().await.expect("JSON")
    }
}

#[tokio::test]
async fn a_message_is_edited_in_place_and_its_thread_keeps_order() {
    let workspace = Workspace::open().await;
    let metadata = json!({ "event_type": "deployment", "event_payload": { "watch": "w1" } });
    let blocks = json!([
        { "type": "header", "text": { "type": "plain_text", "text": "shopflow-api v2" } },
        { "type": "section", "fields": [{ "type": "mrkdwn", "text": "*Status*\nwatching" }] },
        { "type": "section", "text": { "type": "mrkdwn",
            "text": "p95 &lt; 500 ms, <https://grafana.example/d/1|dashboard>" } },
    ]);
    let top = json!({ "channel": CHANNEL, "text": "v2", "blocks": blocks, "metadata": metadata });
    let posted = workspace.call("chat.postMessage", &top).await;
    assert_eq!(posted["ok"], true);
    let ts = posted["ts"].clone();
    for text in ["first", "second"] {
        let reply = json!({ "channel": CHANNEL, "text": text, "thread_ts": ts });
        assert_eq!(workspace.call("chat.postMessage", &reply).await["ok"], true);
    }
    let thread = &workspace.slack.threads()[0];
    assert_eq!(
        thread.text,
        "# shopflow-api v2\n*Status* watching\np95 < 500 ms, dashboard (https://grafana.example/d/1)"
    );
    assert_eq!(thread.replies, ["first", "second"]);
    let edit = json!({ "channel": CHANNEL, "ts": ts, "text": "v2 passed", "blocks": [] });
    assert_eq!(workspace.call("chat.update", &edit).await["ok"], true);
    let thread = &workspace.slack.threads()[0];
    assert_eq!((thread.text.as_str(), thread.edits), ("v2 passed", 1));
    let identifiers: HashSet<_> = workspace.slack.messages().into_iter().map(|m| m.ts).collect();
    assert_eq!(identifiers.len(), 3, "each message has its own");
    let ask = json!({ "channel": CHANNEL, "include_all_metadata": true });
    let history = workspace.call("conversations.history", &ask).await;
    assert_eq!(history["messages"].as_array().map(Vec::len), Some(1));
    assert_eq!(history["messages"][0]["metadata"], metadata);
    assert_eq!(history["messages"][0]["reply_count"], 2);
    let ask = json!({ "channel": CHANNEL, "ts": ts });
    let replies = workspace.call("conversations.replies", &ask).await;
    let texts: Vec<_> = replies["messages"].as_array().expect("them").iter().collect();
    assert_eq!(
        texts.iter().map(|m| &m["text"]).collect::<Vec<_>>(),
        ["v2 passed", "first", "second"]
    );
    assert!(workspace.slack.violations().is_empty());
}

#[tokio::test]
async fn a_message_beyond_slacks_limits_is_refused_and_remembered() {
    let workspace = Workspace::open().await;
    let section = |text: String| {
        json!({ "type": "section",
        "text": { "type": "mrkdwn", "text": text } })
    };
    let header = json!({ "type": "header",
        "text": { "type": "plain_text", "text": "x".repeat(151) } });
    let field = json!({ "type": "section",
        "fields": [{ "type": "mrkdwn", "text": "x".repeat(2001) }] });
    let cases = [
        (json!({ "text": "x".repeat(40_001) }), "msg_too_long"),
        (json!({ "text": "t", "blocks": vec![section("a".into()); 51] }), "msg_blocks_too_long"),
        (json!({ "text": "t", "blocks": [header] }), "invalid_blocks"),
        (json!({ "text": "t", "blocks": [section("x".repeat(3001))] }), "invalid_blocks"),
        (json!({ "text": "t", "blocks": [field] }), "invalid_blocks"),
        (json!({ "text": "" }), "no_text"),
        (json!({ "text": "t", "metadata": { "event_type": "x" } }), "invalid_metadata_format"),
    ];
    for (number, (mut message, error)) in cases.into_iter().enumerate() {
        message["channel"] = json!(CHANNEL);
        let answer = workspace.call("chat.postMessage", &message).await;
        assert_eq!(answer["error"], error);
        assert_eq!(workspace.slack.violations().len(), number + 1);
    }
    assert!(workspace.slack.messages().is_empty());
}

#[tokio::test]
async fn only_the_right_token_reaches_a_channel_that_exists() {
    let workspace = Workspace::open().await;
    let url = format!("{}/auth.test", workspace.slack.url());
    let wrong = workspace.client.post(&url).bearer_auth("xoxb-wrong").send().await;
    let wrong: Value = wrong.expect("an answer").json().await.expect("JSON");
    assert_eq!(wrong["error"], "invalid_auth");
    assert_eq!(workspace.call("auth.test", &json!({})).await["ok"], true);
    let elsewhere = json!({ "channel": "C0NOWHERE", "text": "hello" });
    let answer = workspace.call("chat.postMessage", &elsewhere).await;
    assert_eq!(answer["error"], "channel_not_found");
    let unknown = json!({ "channel": CHANNEL, "ts": "1.2", "text": "t" });
    assert_eq!(workspace.call("chat.update", &unknown).await["error"], "message_not_found");
}

#[tokio::test]
async fn planned_faults_post_nothing_unless_they_say_so() {
    let workspace = Workspace::open().await;
    let message = json!({ "channel": CHANNEL, "text": "hello" });
    let send = || workspace.send("chat.postMessage", &message);
    workspace.slack.fault("chat.postMessage", &SlackFault::TooManyRequests(3), 1);
    let limited = send().await.expect("an answer");
    assert_eq!(limited.status(), 429);
    assert_eq!(limited.headers()["retry-after"], "3");
    workspace.slack.fault("chat.postMessage", &SlackFault::ServerError, 1);
    assert_eq!(send().await.expect("an answer").status(), 500);
    workspace.slack.fault("chat.postMessage", &SlackFault::Error("is_archived"), 1);
    assert_eq!(workspace.call("chat.postMessage", &message).await["error"], "is_archived");
    assert!(workspace.slack.messages().is_empty());
    workspace.slack.fault("chat.postMessage", &SlackFault::PostedButNoAnswer, 1);
    assert!(send().await.is_err(), "no answer");
    assert_eq!(workspace.slack.messages().len(), 1);
}

#[tokio::test]
async fn its_answers_read_as_the_slack_library_expects_them() {
    let workspace = Workspace::open().await;
    let reading = async |method: &str, arguments: Value| workspace.call(method, &arguments).await;
    let blocks = json!([
        { "type": "header", "text": { "type": "plain_text", "text": "v2" } },
        { "type": "section", "fields": [{ "type": "mrkdwn", "text": "*Status*\nwatching" }] },
        { "type": "context", "elements": [{ "type": "mrkdwn", "text": "watch 1" }] },
    ]);
    let message = json!({ "channel": CHANNEL, "text": "v2", "blocks": blocks });
    let posted: SlackApiChatPostMessageResponse = read(reading("chat.postMessage", message).await);
    let ts = posted.ts.0;
    let reply = json!({ "channel": CHANNEL, "text": "fine", "thread_ts": ts });
    let _: SlackApiChatPostMessageResponse = read(reading("chat.postMessage", reply).await);
    let edit = json!({ "channel": CHANNEL, "ts": ts, "text": "v2 passed" });
    let edited: SlackApiChatUpdateResponse = read(reading("chat.update", edit).await);
    assert_eq!(edited.ts.0, ts);
    let here = json!({ "channel": CHANNEL, "ts": ts, "user": "U1" });
    let history: SlackApiConversationsHistoryResponse =
        read(reading("conversations.history", json!({ "channel": CHANNEL })).await);
    assert_eq!(history.messages.len(), 1);
    let replies: SlackApiConversationsRepliesResponse =
        read(reading("conversations.replies", here.clone()).await);
    assert_eq!(replies.messages.len(), 2);
    let channel: SlackApiConversationsInfoResponse =
        read(reading("conversations.info", here.clone()).await);
    assert_eq!(channel.channel.id.0, CHANNEL);
    let _: SlackApiUsersInfoResponse = read(reading("users.info", here).await);
    let _: SlackApiAuthTestResponse = read(reading("auth.test", json!({})).await);
}

fn read<T: DeserializeOwned>(answer: Value) -> T {
    let text = answer.to_string();
    serde_json::from_value(answer).unwrap_or_else(|error| panic!("{error}: {text}"))
}
