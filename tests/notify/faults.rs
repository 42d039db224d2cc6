//! Each channel and each failure: what is delivered, in which order, after how long, and
//! whether twice. Through the real outbox and postman; times are the store's.

pub mod desk;

use deployguard::model::{FILES, Lane, Way};
use jiff::SignedDuration;

use crate::world::called::HttpFault;
use crate::world::called::smtp::SmtpFault;
use crate::world::github::GitHubFault;
use crate::world::slack::SlackFault;
use crate::world::slack::files::UPLOAD;
use desk::{Desk, LONG};

const PLACE: &str = "files.getUploadURLExternal";
const COMPLETE: &str = "files.completeUploadExternal";

/// What goes wrong with the first try.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Failure {
    /// Too many calls, with a time to wait where the channel knows one.
    Limited,
    /// HTTP 5xx, SMTP 4xx.
    Broken,
    /// No answer at all.
    Hangs,
    /// Nobody is there.
    NotThere,
    /// The token is revoked, the key or the password wrong.
    Unauthorised,
    /// The channel is archived, the address gone.
    Gone,
    /// What is said is too large for it.
    TooLarge,
    /// It was taken, and the answer got lost.
    Unanswered,
}

/// What follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Then {
    /// The next try is due so many seconds later, and succeeds; so often was the first
    /// message taken.
    After(i64, usize),
    /// No further try: the next message goes.
    GivenUp,
}

use Failure::{Broken, Gone, Hangs, Limited, NotThere, TooLarge, Unanswered, Unauthorised};
use Then::{After, GivenUp};

/// The table. PagerDuty puts a repeated event into the same alert; a repeated delivery has
/// the same id, a repeated letter the same Message-ID; Slack and GitHub are looked through
/// before.
const TABLE: [(Lane, [(Failure, Then); 8]); 6] = [
    (
        Lane::Words(Way::Slack),
        [
            (Limited, After(30, 1)),
            (Broken, After(1, 1)),
            (Hangs, After(1, 1)),
            (NotThere, After(1, 1)),
            (Unauthorised, After(300, 1)),
            (Gone, After(300, 1)),
            (TooLarge, GivenUp),
            (Unanswered, After(1, 1)),
        ],
    ),
    (
        Lane::Files,
        [
            (Limited, After(30, 1)),
            (Broken, After(1, 1)),
            (Hangs, After(1, 1)),
            (NotThere, After(1, 1)),
            (Unauthorised, After(300, 1)),
            (Gone, After(300, 1)),
            (TooLarge, GivenUp),
            // A share shows a while later, and is looked for then.
            (Unanswered, After(15, 1)),
        ],
    ),
    (
        Lane::Words(Way::PagerDuty),
        [
            (Limited, After(30, 1)),
            (Broken, After(1, 1)),
            (Hangs, After(1, 1)),
            (NotThere, After(1, 1)),
            // PagerDuty says of a wrong key what it says of a wrong event: 400.
            (Unauthorised, GivenUp),
            (Gone, GivenUp),
            (TooLarge, GivenUp),
            (Unanswered, After(1, 2)),
        ],
    ),
    (
        Lane::Words(Way::Webhook),
        [
            (Limited, After(30, 1)),
            (Broken, After(1, 1)),
            (Hangs, After(1, 1)),
            (NotThere, After(1, 1)),
            (Unauthorised, After(300, 1)),
            (Gone, GivenUp),
            (TooLarge, GivenUp),
            (Unanswered, After(1, 2)),
        ],
    ),
    (
        Lane::Words(Way::Email),
        [
            // SMTP has no word for how long.
            (Limited, After(1, 1)),
            (Broken, After(1, 1)),
            (Hangs, After(1, 1)),
            (NotThere, After(1, 1)),
            (Unauthorised, After(300, 1)),
            (Gone, GivenUp),
            (TooLarge, GivenUp),
            (Unanswered, After(1, 2)),
        ],
    ),
    (
        Lane::Words(Way::GitHub),
        [
            (Limited, After(30, 1)),
            (Broken, After(1, 1)),
            (Hangs, After(1, 1)),
            (NotThere, After(1, 1)),
            (Unauthorised, After(300, 1)),
            (Gone, GivenUp),
            (TooLarge, GivenUp),
            (Unanswered, After(1, 1)),
        ],
    ),
];

#[tokio::test(flavor = "multi_thread")]
async fn each_channel_lives_through_each_failure() {
    for (lane, row) in TABLE {
        for (failure, then) in row {
            let desk = Desk::new().await;
            desk.queue(lane, &["first", "second"]).await;
            plan(&desk, lane, failure);
            let slow = failure != NotThere;
            let before = desk::now();
            if slow {
                desk.round(lane).await;
            } else {
                desk.round_into_nothing(lane).await;
            }
            let name = if lane == Lane::Files { FILES } else { lane.way().as_str() };
            let what = format!("{name}, {failure:?}");
            let (times, next) = match then {
                After(seconds, times) => {
                    let head = desk.head(lane).await.unwrap_or_else(|| panic!("{what}: no head"));
                    assert_eq!(head.attempts, 1, "{what}");
                    let wait = SignedDuration::from_secs(seconds);
                    assert!(head.next_at - wait >= before - MILLISECOND, "{what}: too early");
                    assert!(head.next_at - wait <= desk::now(), "{what}: too late");
                    assert_eq!(desk.backlog(lane).await, (2, 0), "{what}: the order is kept");
                    desk.clear_faults();
                    (times, format!("again after {seconds} s"))
                }
                GivenUp => {
                    desk.clear_faults();
                    desk.round(lane).await;
                    assert_eq!(desk.backlog(lane).await, (0, 1), "{what}");
                    (0, "given up, and told".to_owned())
                }
            };
            desk.make_due(lane).await;
            desk.round(lane).await;
            desk.make_due(lane).await;
            desk.round(lane).await;
            let expected: Vec<&str> =
                std::iter::repeat_n("first", times).chain(["second"]).collect();
            let mut taken = desk.taken(lane);
            if lane == Lane::Words(Way::Slack) {
                // The deployment's message stands first in the channel.
                taken.retain(|text| text != "card");
            }
            assert_eq!(taken, expected, "{what}");
            assert_eq!(desk.backlog(lane).await.0, 0, "{what}: nothing waits");
            println!("{name:12} {failure:13?} {next:20} first: {times}x, second: 1x");
        }
    }
}

/// The store keeps milliseconds.
const MILLISECOND: SignedDuration = SignedDuration::from_millis(1);

fn plan(desk: &Desk, lane: Lane, failure: Failure) {
    match lane {
        Lane::Words(Way::Slack) => {
            if let Some(fault) = of_slack(failure) {
                desk.slack.fault("chat.postMessage", &fault, 1);
            }
        }
        Lane::Words(Way::PagerDuty) => {
            if let Some(fault) = of_http(failure, 400) {
                desk.pager.fault(&fault, 1);
            }
        }
        Lane::Words(Way::Webhook) => {
            if let Some(fault) = of_http(failure, 401) {
                desk.hook.fault(&fault, 1);
            }
        }
        Lane::Words(Way::Email) => {
            if let Some((verb, fault)) = of_smtp(failure) {
                desk.mail.fault(verb, &fault, 1);
            }
        }
        Lane::Words(Way::GitHub) => {
            if let Some(fault) = of_http(failure, 401) {
                let fault = match failure {
                    TooLarge => HttpFault::Status(422),
                    _ => fault,
                };
                desk.github.fault("POST statuses", &GitHubFault::Http(fault), 1);
            }
        }
        Lane::Files => {
            let (step, fault) = match failure {
                TooLarge => (PLACE, Some(SlackFault::Error("file_upload_size_restricted"))),
                Broken | Hangs => (UPLOAD, of_slack(failure)),
                Gone | Unanswered => (COMPLETE, of_slack(failure)),
                Limited | Unauthorised | NotThere => (PLACE, of_slack(failure)),
            };
            if let Some(fault) = fault {
                desk.slack.fault(step, &fault, 1);
            }
        }
    }
}

fn of_http(failure: Failure, unauthorised: u16) -> Option<HttpFault> {
    match failure {
        Limited => Some(HttpFault::TooManyRequests(30)),
        Broken => Some(HttpFault::Status(503)),
        Hangs => Some(HttpFault::Hang(LONG)),
        Unauthorised => Some(HttpFault::Status(unauthorised)),
        Gone => Some(HttpFault::Status(410)),
        TooLarge => Some(HttpFault::Status(413)),
        Unanswered => Some(HttpFault::TakenButNoAnswer),
        NotThere => None,
    }
}

fn of_slack(failure: Failure) -> Option<SlackFault> {
    match failure {
        Limited => Some(SlackFault::TooManyRequests(30)),
        Broken => Some(SlackFault::ServerError),
        Hangs => Some(SlackFault::Hang(LONG)),
        Unauthorised => Some(SlackFault::Error("token_revoked")),
        Gone => Some(SlackFault::Error("is_archived")),
        TooLarge => Some(SlackFault::Error("msg_too_long")),
        Unanswered => Some(SlackFault::PostedButNoAnswer),
        NotThere => None,
    }
}

fn of_smtp(failure: Failure) -> Option<(&'static str, SmtpFault)> {
    match failure {
        Limited => Some(("MAIL", SmtpFault::Reply(450))),
        Broken => Some(("EHLO", SmtpFault::Reply(421))),
        Hangs => Some(("DATA", SmtpFault::Hang(LONG))),
        Unauthorised => Some(("AUTH", SmtpFault::Reply(535))),
        Gone => Some(("RCPT", SmtpFault::Reply(550))),
        TooLarge => Some((".", SmtpFault::Reply(552))),
        Unanswered => Some((".", SmtpFault::TakenButNoAnswer)),
        NotThere => None,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_channel_delays_no_other() {
    for dead in Lane::all() {
        let desk = Desk::patient().await;
        let mut lanes: Vec<Lane> = Lane::all().collect();
        // Files begin the thread that they stand in, by a round of Slack's words.
        lanes.reverse();
        for lane in lanes {
            desk.queue(lane, &["first"]).await;
        }
        plan(&desk, dead, Hangs);
        let hanging = tokio::spawn({
            let postman = desk.postman(dead);
            async move { postman.round().await }
        });
        for lane in Lane::all().filter(|lane| *lane != dead) {
            desk.round(lane).await;
            assert_eq!(desk.backlog(lane).await, (0, 0), "{lane:?} beside a dead {dead:?}");
        }
        assert!(!hanging.is_finished(), "{dead:?} still hangs");
        hanging.abort();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_recipient_that_is_down_holds_up_no_other_of_its_channel() {
    let desk = Desk::new().await;
    desk.queue_for("pagerduty:nobody-answers", &["first", "second"]).await;
    desk.queue(Way::PagerDuty, &["first", "second"]).await;
    // The first that is asked for is the one that was said first.
    desk.round(Way::PagerDuty).await;
    assert_eq!(desk.taken(Way::PagerDuty), ["first", "second"]);
    assert_eq!(desk.backlog(Way::PagerDuty).await, (2, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn one_mailbox_that_puts_off_keeps_the_letter_from_nobody_else_and_nobody_has_it_twice() {
    let desk = Desk::new().await;
    desk.queue_for("email:list", &["first"]).await;
    // One postman: who has it is known to it alone.
    let postman = desk.postman(Way::Email);
    // The first address: with the others, and then by itself.
    desk.mail.fault("RCPT", &SmtpFault::Reply(450), 2);
    postman.round().await.unwrap();
    let to =
        |desk: &Desk| desk.mail.letters().into_iter().flat_map(|one| one.to).collect::<Vec<_>>();
    assert_eq!(to(&desk), ["b@example.com", "c@example.com"]);
    assert_eq!(desk.backlog(Way::Email).await, (1, 0), "the first is tried again");
    desk.make_due(Way::Email).await;
    postman.round().await.unwrap();
    assert_eq!(to(&desk), ["b@example.com", "c@example.com", "a@example.com"]);
    assert_eq!(desk.backlog(Way::Email).await, (0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_and_what_is_lost_is_counted_by_channel() {
    let desk = Desk::new().await;
    desk.queue(Way::PagerDuty, &["first", "second"]).await;
    desk.queue(Way::Email, &["first"]).await;
    desk.pager.fault(&HttpFault::Status(503), 1);
    desk.mail.fault("RCPT", &SmtpFault::Reply(550), 1);
    desk.round(Way::PagerDuty).await;
    desk.round(Way::Email).await;
    let text = desk.metrics.text().unwrap();
    for line in [
        "deployguard_outbox_messages{channel=\"pagerduty\",status=\"pending\"} 2",
        "deployguard_outbox_messages{channel=\"email\",status=\"undeliverable\"} 1",
        "deployguard_outbox_messages{channel=\"slack\",status=\"pending\"} 0",
        "deployguard_notification_deliveries_total{channel=\"pagerduty\",result=\"again\"} 1",
        "deployguard_notification_deliveries_total{channel=\"email\",result=\"given_up\"} 1",
    ] {
        assert!(text.contains(line), "{line} is not in\n{text}");
    }
    assert!(text.contains("deployguard_outbox_oldest_seconds{channel=\"pagerduty\"}"));
}
