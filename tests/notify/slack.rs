use std::time::{Duration, Instant};

use deployguard::model::{Body, Card, Notice, Reply, Tile, Tone, Trend, Verdict, WatchId};
use deployguard::notify::slack::{ConnectError, Slack};
use deployguard::notify::{DeliverError, Letter, Notifier, Thread};
use jiff::Timestamp;

use crate::world::slack::{CHANNEL, Slack as Workspace, SlackFault, TOKEN};
use crate::world::timeline::Timeline;

const POST: &str = "chat.postMessage";
const UPDATE: &str = "chat.update";
const HISTORY: &str = "conversations.history";
const REPLIES: &str = "conversations.replies";

struct Test {
    workspace: Workspace,
    slack: Slack,
}

impl Test {
    async fn new() -> Self {
        let workspace = Workspace::start(Timeline::default()).await.unwrap();
        let slack = Slack::connect(&workspace.url(), TOKEN).unwrap();
        Self { workspace, slack: slack.with_time_out(Duration::from_millis(500)) }
    }

    fn called(&self) -> Vec<String> {
        self.workspace.calls().into_iter().map(|call| call.method).collect()
    }

    /// The card, delivered.
    async fn with_card(&self) -> Thread {
        self.slack.deliver(&card("card/1", None)).await.unwrap()
    }
}

fn letter(key: &str, body: Body, thread: Option<Thread>) -> Letter {
    let watch = WatchId::typed("shopflow-api-1a2b3c4d");
    let notice = Notice { watch, key: key.to_owned(), at: now(), body };
    let mentions = vec!["S0ONCALL".to_owned()];
    Letter {
        notice,
        channel: CHANNEL.to_owned(),
        mentions,
        thread,
        maybe_sent: false,
        alone: false,
    }
}

#[expect(clippy::disallowed_methods, reason = "the stand-in stamps its messages with this clock")]
fn now() -> Timestamp {
    Timestamp::now()
}

fn card(key: &str, thread: Option<Thread>) -> Letter {
    let tile = Tile {
        name: "error rate".to_owned(),
        verdict: Verdict::Healthy,
        value: "0.05%".to_owned(),
        trend: Some(Trend::Flat),
        note: "stable".to_owned(),
        limits: "normal < 0.1%".to_owned(),
    };
    let body = Body::Card(Card {
        tone: Tone::Quiet,
        title: format!("shopflow-api v1.5.0 in production ({key})"),
        status: "watching".to_owned(),
        about: vec!["by dana".to_owned()],
        url: None,
        head: Vec::new(),
        incident: Vec::new(),
        tiles: vec![tile],
        health: Vec::new(),
        footer: "mode auto".to_owned(),
        offers: Vec::new(),
    });
    letter(key, body, thread)
}

fn reply(key: &str, thread: Option<Thread>) -> Letter {
    let body = Body::Reply(Reply {
        tone: Tone::Bad,
        headline: format!("SEV1: error rate 12.4% ({key})"),
        fields: vec![("Status".to_owned(), "Investigating".to_owned())],
        lines: vec!["error rate 12.4%, limit 10%".to_owned()],
        code: Vec::new(),
        broadcast: true,
        page: true,
        mentions: Vec::new(),
        offers: Vec::new(),
    });
    letter(key, body, thread)
}

fn again(letter: Letter) -> Letter {
    Letter { maybe_sent: true, ..letter }
}

fn wait_asked_for(error: &DeliverError) -> Option<Duration> {
    match error {
        DeliverError::Transient { retry_after, .. } => *retry_after,
        DeliverError::Permanent(reason) => panic!("permanent: {reason}"),
    }
}

#[tokio::test]
async fn one_message_a_deployment_edited_in_place_with_replies_under_it() {
    let test = Test::new().await;
    let thread = test.with_card().await;
    assert_eq!(thread.channel, CHANNEL);
    let edited = test.slack.deliver(&card("card/2", Some(thread.clone()))).await.unwrap();
    assert_eq!(edited, thread);
    let under = test.slack.deliver(&reply("reply/1", Some(thread.clone()))).await.unwrap();
    assert_ne!(under.ts, thread.ts);

    let threads = test.workspace.threads();
    assert_eq!(threads.len(), 1);
    assert_eq!(threads[0].edits, 1);
    assert!(threads[0].text.contains("card/2"), "{}", threads[0].text);
    assert_eq!(threads[0].replies.len(), 1);
    assert!(threads[0].replies[0].contains("Investigating"), "{}", threads[0].replies[0]);
    assert_eq!(test.called(), [POST, UPDATE, POST]);
    assert_eq!(test.workspace.violations(), [""; 0]);
}

#[tokio::test]
async fn a_reply_carries_its_key_its_thread_and_the_broadcast() {
    let test = Test::new().await;
    let thread = test.with_card().await;
    test.slack.deliver(&reply("reply/1", Some(thread.clone()))).await.unwrap();
    let sent = &test.workspace.calls()[1].arguments;
    assert_eq!(sent["thread_ts"], thread.ts.as_str());
    assert_eq!(sent["reply_broadcast"], true);
    assert_eq!(sent["metadata"]["event_type"], "deployguard");
    assert_eq!(sent["metadata"]["event_payload"]["key"], "reply/1");
    assert_eq!(sent["metadata"]["event_payload"]["watch"], "shopflow-api-1a2b3c4d");
    assert_eq!(sent["blocks"][0]["block_id"], "reply/1");
    assert!(sent["text"].as_str().unwrap().ends_with("<!subteam^S0ONCALL>"), "{sent}");
}

#[tokio::test]
async fn a_reply_waits_for_its_deployments_message() {
    let test = Test::new().await;
    let error = test.slack.deliver(&reply("reply/1", None)).await.unwrap_err();
    assert_eq!(wait_asked_for(&error), None);
    assert!(error.to_string().contains("not delivered yet"), "{error}");
    assert_eq!(test.called(), [""; 0]);
}

#[tokio::test]
async fn a_rate_limit_says_how_long_to_wait_and_is_not_tried_again_here() {
    let test = Test::new().await;
    test.workspace.fault(POST, &SlackFault::TooManyRequests(30), 1);
    let error = test.slack.deliver(&card("card/1", None)).await.unwrap_err();
    assert_eq!(wait_asked_for(&error), Some(Duration::from_secs(30)));
    assert_eq!(test.called(), [POST]);
}

#[tokio::test]
async fn trouble_of_slack_is_transient() {
    let test = Test::new().await;
    let faults = [
        SlackFault::ServerError,
        SlackFault::Error("internal_error"),
        SlackFault::Error("fatal_error"),
        SlackFault::Error("service_unavailable"),
        SlackFault::Error("request_timeout"),
        SlackFault::Error("ratelimited"),
        SlackFault::PostedButNoAnswer,
    ];
    for fault in faults {
        test.workspace.fault(POST, &fault, 1);
        let error = test.slack.deliver(&card("card/1", None)).await.unwrap_err();
        assert_eq!(wait_asked_for(&error), None, "{fault:?}");
    }
}

#[tokio::test]
async fn a_slack_that_hangs_is_left_in_time() {
    let test = Test::new().await;
    test.workspace.fault(POST, &SlackFault::Hang(Duration::from_secs(30)), 1);
    let Test { workspace, slack } = test;
    let slack = slack.with_time_out(Duration::from_millis(100));
    let started = Instant::now();
    // Spawned, as the engine does: the delivery can move between threads.
    let delivery = tokio::spawn(async move { slack.deliver(&card("card/1", None)).await });
    let error = delivery.await.unwrap().unwrap_err();
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
    assert_eq!(wait_asked_for(&error), None);
    assert!(error.to_string().contains("time-out"), "{error}");
    drop(workspace);
}

#[tokio::test]
async fn a_slack_that_is_not_there_is_transient() {
    let slack = Slack::connect("http://127.0.0.1:1/api/", TOKEN).unwrap();
    let error = slack.deliver(&card("card/1", None)).await.unwrap_err();
    assert_eq!(wait_asked_for(&error), None);
    assert!(error.to_string().contains("refused"), "{error}");
}

#[tokio::test]
async fn what_slack_always_refuses_is_permanent_and_says_how_to_mend_it() {
    let test = Test::new().await;
    for code in ["invalid_blocks", "no_text", "restricted_action", "msg_too_long"] {
        test.workspace.fault(POST, &SlackFault::Error(code), 1);
        let error = test.slack.deliver(&card("card/1", None)).await.unwrap_err();
        assert!(matches!(error, DeliverError::Permanent(_)), "{error:?}");
        assert!(error.to_string().contains(code), "{error}");
    }
    let lost = Letter { channel: "C0ELSEWHERE".to_owned(), ..card("card/1", None) };
    let error = test.slack.deliver(&lost).await.unwrap_err();
    assert!(error.to_string().contains("check the channel's id"), "{error}");
}

#[tokio::test]
async fn a_bad_token_loses_nothing_and_is_never_shown() {
    let workspace = Workspace::start(Timeline::default()).await.unwrap();
    let slack = Slack::connect(&workspace.url(), "xoxb-revoked-secret").unwrap();
    let error = slack.deliver(&card("card/1", None)).await.unwrap_err();
    assert_eq!(wait_asked_for(&error), Some(Duration::from_mins(5)));
    for shown in [format!("{error:?}"), error.to_string(), format!("{slack:?}")] {
        assert!(!shown.contains("secret"), "{shown}");
    }
    let error = Slack::connect(&workspace.url(), "xoxb-secret\n").unwrap_err();
    assert!(!format!("{error:?} {error}").contains("secret"), "{error:?}");
}

#[tokio::test]
async fn a_card_whose_answer_was_lost_is_found_again() {
    let test = Test::new().await;
    test.workspace.fault(POST, &SlackFault::PostedButNoAnswer, 1);
    test.slack.deliver(&card("card/1", None)).await.unwrap_err();
    let found = test.slack.deliver(&again(card("card/1", None))).await.unwrap();
    assert_eq!(test.workspace.messages().len(), 1);
    assert_eq!(test.workspace.messages()[0].ts, found.ts);
    assert_eq!(test.called(), [POST, HISTORY]);
}

#[tokio::test]
async fn a_newer_card_takes_the_place_of_one_whose_answer_was_lost() {
    let test = Test::new().await;
    test.workspace.fault(POST, &SlackFault::PostedButNoAnswer, 1);
    test.slack.deliver(&card("card/1", None)).await.unwrap_err();
    let found = test.slack.deliver(&again(card("card/2", None))).await.unwrap();
    let threads = test.workspace.threads();
    assert_eq!(threads.len(), 1);
    assert_eq!(threads[0].ts, found.ts);
    assert!(threads[0].text.contains("card/2"), "{}", threads[0].text);
}

#[tokio::test]
async fn a_reply_whose_answer_was_lost_is_found_again() {
    let test = Test::new().await;
    let thread = test.with_card().await;
    test.slack.deliver(&reply("reply/1", Some(thread.clone()))).await.unwrap();
    test.workspace.fault(POST, &SlackFault::PostedButNoAnswer, 1);
    test.slack.deliver(&reply("reply/2", Some(thread.clone()))).await.unwrap_err();
    let found = test.slack.deliver(&again(reply("reply/2", Some(thread)))).await.unwrap();
    assert_eq!(test.workspace.threads()[0].replies.len(), 2);
    assert_eq!(test.workspace.messages()[2].ts, found.ts);
    assert_eq!(test.called(), [POST, POST, POST, REPLIES]);
}

#[tokio::test]
async fn what_was_not_delivered_before_is_delivered_now() {
    let test = Test::new().await;
    let thread = test.slack.deliver(&again(card("card/1", None))).await.unwrap();
    test.slack.deliver(&again(reply("reply/1", Some(thread)))).await.unwrap();
    assert_eq!(test.called(), [HISTORY, POST, REPLIES, POST]);
    assert_eq!(test.workspace.messages().len(), 2);
}

#[tokio::test]
async fn a_message_of_another_watch_is_not_taken_for_ours() {
    let test = Test::new().await;
    let mut other = card("card/other", None);
    other.notice.watch = WatchId::typed("shopflow-web-00000000");
    test.slack.deliver(&other).await.unwrap();
    test.slack.deliver(&again(card("card/1", None))).await.unwrap();
    assert_eq!(test.workspace.threads().len(), 2);
}

#[tokio::test]
async fn without_the_right_to_read_it_still_posts() {
    let test = Test::new().await;
    test.workspace.fault(HISTORY, &SlackFault::Error("missing_scope"), 1);
    let thread = test.slack.deliver(&again(card("card/1", None))).await.unwrap();
    test.workspace.fault(REPLIES, &SlackFault::Error("missing_scope"), 1);
    test.slack.deliver(&again(reply("reply/1", Some(thread)))).await.unwrap();
    assert_eq!(test.workspace.messages().len(), 2);
}

#[tokio::test]
async fn while_it_cannot_look_it_does_not_post() {
    let test = Test::new().await;
    test.workspace.fault(HISTORY, &SlackFault::ServerError, 1);
    let error = test.slack.deliver(&again(card("card/1", None))).await.unwrap_err();
    assert_eq!(wait_asked_for(&error), None);
    assert_eq!(test.called(), [HISTORY]);
}

#[tokio::test]
async fn a_deleted_message_is_posted_anew() {
    let test = Test::new().await;
    let thread = test.with_card().await;
    test.workspace.fault(UPDATE, &SlackFault::Error("message_not_found"), 1);
    let anew = test.slack.deliver(&card("card/2", Some(thread.clone()))).await.unwrap();
    assert_ne!(anew.ts, thread.ts);
    assert_eq!(test.called(), [POST, UPDATE, POST]);
}

#[tokio::test]
async fn a_reply_is_not_lost_with_its_thread() {
    let test = Test::new().await;
    let gone = Thread { channel: CHANNEL.to_owned(), ts: "1700000000.000100".to_owned() };
    let posted = test.slack.deliver(&reply("reply/1", Some(gone.clone()))).await.unwrap();
    let message = test.workspace.messages().remove(0);
    assert_eq!(message.thread_ts, None);
    let found = test.slack.deliver(&again(reply("reply/1", Some(gone)))).await.unwrap();
    assert_eq!(found, posted);
    assert_eq!(test.workspace.messages().len(), 1);
}

#[test]
fn only_web_addresses_and_plausible_tokens_are_accepted() {
    for address in ["slack.com/api", "ftp://slack.com/api", ""] {
        let error = Slack::connect(address, TOKEN).unwrap_err();
        assert!(matches!(error, ConnectError::Address(_)), "{error}");
    }
    for token in ["", "xoxb 1", "xoxb-é"] {
        let error = Slack::connect("http://127.0.0.1:1/api", token).unwrap_err();
        assert!(matches!(error, ConnectError::Token), "{error}");
    }
}
