//! Pictures and reports in a thread: Slack's upload in three steps.

use std::time::Duration;

use deployguard::model::{Body, Card, Notice, Tone, WatchId};
use deployguard::notify::slack::Slack;
use deployguard::notify::{DeliverError, Enclosure, Letter, Notifier, Parcel, Thread};
use jiff::Timestamp;

use crate::world::slack::files::{File, UPLOAD};
use crate::world::slack::{CHANNEL, Slack as Workspace, SlackFault, TOKEN};
use crate::world::timeline::Timeline;

const PLACE: &str = "files.getUploadURLExternal";
const COMPLETE: &str = "files.completeUploadExternal";
const REPLIES: &str = "conversations.replies";

struct Test {
    workspace: Workspace,
    slack: Slack,
    thread: Thread,
}

impl Test {
    async fn new() -> Self {
        let workspace = Workspace::start(Timeline::default()).await.unwrap();
        let slack = Slack::connect(&workspace.url(), TOKEN).unwrap();
        let slack = slack.with_time_out(Duration::from_millis(500));
        let card = Body::Card(Card {
            tone: Tone::Quiet,
            title: "shopflow-api v1.5.0 in production".to_owned(),
            status: "watching".to_owned(),
            about: Vec::new(),
            url: None,
            head: Vec::new(),
            incident: Vec::new(),
            tiles: Vec::new(),
            health: Vec::new(),
            offers: Vec::new(),
            footer: "mode auto".to_owned(),
        });
        let thread = slack.deliver(&letter("w/1", card, None)).await.unwrap();
        Self { workspace, slack, thread }
    }

    fn files(&self) -> Letter {
        let body = Body::Files { charts: vec!["error rate".to_owned()], report: true };
        letter("w/2", body, Some(self.thread.clone()))
    }

    async fn fails(&self) -> DeliverError {
        self.slack.hand_in(&self.files(), &parcel()).await.unwrap_err()
    }

    /// Files that people see, in order.
    fn seen(&self) -> Vec<File> {
        self.workspace.messages().into_iter().flat_map(|message| message.files).collect()
    }

    /// What was called after the card.
    fn called(&self) -> Vec<String> {
        self.workspace.calls().into_iter().skip(1).map(|call| call.method).collect()
    }
}

fn letter(key: &str, body: Body, thread: Option<Thread>) -> Letter {
    let watch = WatchId::typed("w");
    let at = Timestamp::from_second(1_795_600_000).unwrap();
    let notice = Notice { watch, key: key.to_owned(), at, body };
    Letter {
        notice,
        channel: CHANNEL.to_owned(),
        mentions: Vec::new(),
        thread,
        maybe_sent: false,
        alone: false,
    }
}

fn parcel() -> Parcel {
    let report = Enclosure {
        stem: "incident-w".to_owned(),
        extension: "md",
        title: "Incident report".to_owned(),
        alt: None,
        kind: "text/markdown; charset=utf-8",
        bytes: b"# Incident report\n".to_vec(),
    };
    let chart = Enclosure {
        stem: "error rate".to_owned(),
        extension: "png",
        title: "error rate: shopflow-api".to_owned(),
        alt: Some("error rate. v1.5.0: 40 values, 0.04% to 40%. ".repeat(60)),
        kind: "image/png",
        bytes: vec![0x89; 60_000],
    };
    let comment = "error rate of <!channel> up to 10:41:00 UTC".to_owned();
    Parcel { comment, files: vec![report, chart] }
}

fn is_transient(error: &DeliverError) -> bool {
    matches!(error, DeliverError::Transient { .. })
}

#[tokio::test]
async fn a_report_and_its_chart_are_one_message_under_the_deployments() {
    let test = Test::new().await;
    let under = test.slack.hand_in(&test.files(), &parcel()).await.unwrap();
    assert_eq!(under, test.thread);
    let expected = [PLACE, UPLOAD, PLACE, UPLOAD, COMPLETE];
    assert_eq!(test.called(), expected);
    let messages = test.workspace.messages();
    let message = messages.last().unwrap();
    assert_eq!(message.thread_ts.as_deref(), Some(test.thread.ts.as_str()));
    assert_eq!(message.text, "error rate of &lt;!channel&gt; up to 10:\u{2060}41:00 UTC");
    let files = &message.files;
    assert_eq!(files.len(), 2);
    assert!(files[0].name.starts_with("incident-w-"), "{:?}", files[0].name);
    assert_eq!(files[0].bytes.as_deref(), Some(&b"# Incident report\n"[..]));
    assert!(files[1].name.starts_with("error-rate-"), "{:?}", files[1].name);
    assert_eq!(files[1].title, "error rate: shopflow-api");
    assert_eq!(files[1].bytes.as_ref().unwrap().len(), 60_000);
    assert_eq!(files[1].alt.as_ref().unwrap().chars().count(), 1000, "cut to what Slack takes");
    assert_eq!(test.workspace.violations(), [""; 0]);
}

#[tokio::test]
async fn files_wait_for_the_deployments_message() {
    let test = Test::new().await;
    let lost = Letter { thread: None, ..test.files() };
    let error = test.slack.hand_in(&lost, &parcel()).await.unwrap_err();
    assert!(is_transient(&error), "{error:?}");
    assert_eq!(test.called(), [""; 0]);
}

#[tokio::test]
async fn a_fault_of_any_step_shares_nothing_and_is_tried_again() {
    let hang = SlackFault::Hang(Duration::from_secs(5));
    for step in [PLACE, UPLOAD, COMPLETE] {
        for fault in [SlackFault::ServerError, SlackFault::TooManyRequests(7), hang.clone()] {
            let test = Test::new().await;
            test.workspace.fault(step, &fault, 1);
            let error = test.fails().await;
            let DeliverError::Transient { retry_after, .. } = &error else {
                panic!("{step} {fault:?}: {error:?}");
            };
            if matches!(fault, SlackFault::TooManyRequests(_)) {
                assert_eq!(*retry_after, Some(Duration::from_secs(7)), "{step}");
            }
            assert_eq!(test.seen(), [], "{step} {fault:?}");
            let again = Letter { maybe_sent: true, ..test.files() };
            test.slack.hand_in(&again, &parcel()).await.unwrap();
            assert_eq!(test.seen().len(), 2, "{step} {fault:?}");
        }
    }
}

#[tokio::test]
async fn a_share_whose_answer_was_lost_is_not_shared_twice() {
    let test = Test::new().await;
    test.workspace.fault(COMPLETE, &SlackFault::PostedButNoAnswer, 1);
    let error = test.fails().await;
    let DeliverError::Transient { retry_after, .. } = &error else { panic!("{error:?}") };
    assert_eq!(*retry_after, Some(Duration::from_secs(15)), "it shows a while later");
    assert_eq!(test.seen().len(), 2);
    let again = Letter { maybe_sent: true, ..test.files() };
    test.slack.hand_in(&again, &parcel()).await.unwrap();
    assert_eq!(test.seen().len(), 2, "found by the names of its files");
    let last = test.called().pop();
    assert_eq!(last.as_deref(), Some(REPLIES));
    // Of another notice it is another message.
    let body = Body::Files { charts: Vec::new(), report: true };
    let other = letter("w/3", body, Some(test.thread.clone()));
    test.slack.hand_in(&Letter { maybe_sent: true, ..other }, &parcel()).await.unwrap();
    assert_eq!(test.seen().len(), 4);
}

#[tokio::test]
async fn bytes_that_were_brought_and_never_shared_are_brought_again() {
    let test = Test::new().await;
    test.workspace.fault(UPLOAD, &SlackFault::PostedButNoAnswer, 1);
    assert!(is_transient(&test.fails().await));
    let again = Letter { maybe_sent: true, ..test.files() };
    test.slack.hand_in(&again, &parcel()).await.unwrap();
    assert_eq!(test.seen().len(), 2);
    let left = test.workspace.files().into_iter().filter(|file| !file.shared).count();
    assert_eq!(left, 1, "discarded by Slack");
}

#[tokio::test]
async fn a_missing_right_ends_it_and_says_which() {
    for (step, error, words) in [
        (PLACE, "missing_scope", "files:write"),
        (PLACE, "file_uploads_disabled", "the workspace allows no such files"),
        (COMPLETE, "thread_not_found", "thread_not_found"),
        (COMPLETE, "posting_to_channel_denied", "posting_to_channel_denied"),
    ] {
        let test = Test::new().await;
        test.workspace.fault(step, &SlackFault::Error(error), 1);
        let DeliverError::Permanent(why) = test.fails().await else { panic!("{error}") };
        assert!(why.contains(words), "{why}");
        assert_eq!(test.seen(), []);
    }
}

#[tokio::test]
async fn a_revoked_token_is_waited_for_as_with_words() {
    let test = Test::new().await;
    test.workspace.fault(PLACE, &SlackFault::Error("token_revoked"), 1);
    let DeliverError::Transient { retry_after, .. } = test.fails().await else { panic!() };
    assert_eq!(retry_after, Some(Duration::from_mins(5)));
}
