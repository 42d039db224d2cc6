//! Each channel and each failure: what is delivered, in which order, after how long, and
//! whether twice. Through the real outbox and postman; times are the store's.

pub mod desk;

use deployguard::model::Way;
use jiff::SignedDuration;

use crate::world::called::HttpFault;
use crate::world::called::smtp::SmtpFault;
use crate::world::slack::SlackFault;
use desk::{Desk, LONG};

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

use Failure::{Broken, Gone, Hangs, Limited, NotThere, Unanswered, Unauthorised};
use Then::{After, GivenUp};

/// The table. PagerDuty puts a repeated event into the same alert; a repeated delivery has
/// the same id, a repeated letter the same Message-ID; Slack is looked through before.
const TABLE: [(Way, [(Failure, Then); 7]); 4] = [
    (
        Way::Slack,
        [
            (Limited, After(30, 1)),
            (Broken, After(1, 1)),
            (Hangs, After(1, 1)),
            (NotThere, After(1, 1)),
            (Unauthorised, After(300, 1)),
            (Gone, After(300, 1)),
            (Unanswered, After(1, 1)),
        ],
    ),
    (
        Way::PagerDuty,
        [
            (Limited, After(30, 1)),
            (Broken, After(1, 1)),
            (Hangs, After(1, 1)),
            (NotThere, After(1, 1)),
            // PagerDuty says of a wrong key what it says of a wrong event: 400.
            (Unauthorised, GivenUp),
            (Gone, GivenUp),
            (Unanswered, After(1, 2)),
        ],
    ),
    (
        Way::Webhook,
        [
            (Limited, After(30, 1)),
            (Broken, After(1, 1)),
            (Hangs, After(1, 1)),
            (NotThere, After(1, 1)),
            (Unauthorised, After(300, 1)),
            (Gone, GivenUp),
            (Unanswered, After(1, 2)),
        ],
    ),
    (
        Way::Email,
        [
            // SMTP has no word for how long.
            (Limited, After(1, 1)),
            (Broken, After(1, 1)),
            (Hangs, After(1, 1)),
            (NotThere, After(1, 1)),
            (Unauthorised, After(300, 1)),
            (Gone, GivenUp),
            (Unanswered, After(1, 2)),
        ],
    ),
];

#[tokio::test(flavor = "multi_thread")]
async fn each_channel_lives_through_each_failure() {
    for (way, row) in TABLE {
        for (failure, then) in row {
            let desk = Desk::new().await;
            desk.queue(way, &["first", "second"]).await;
            plan(&desk, way, failure);
            let slow = failure != NotThere;
            let before = desk::now();
            if slow {
                desk.round(way).await;
            } else {
                desk.round_into_nothing(way).await;
            }
            let what = format!("{way:?}, {failure:?}");
            let (times, next) = match then {
                After(seconds, times) => {
                    let head = desk.head(way).await.unwrap_or_else(|| panic!("{what}: no head"));
                    assert_eq!(head.attempts, 1, "{what}");
                    let wait = SignedDuration::from_secs(seconds);
                    assert!(head.next_at - wait >= before - MILLISECOND, "{what}: too early");
                    assert!(head.next_at - wait <= desk::now(), "{what}: too late");
                    assert_eq!(desk.backlog(way).await, (2, 0), "{what}: the order is kept");
                    desk.clear_faults();
                    (times, format!("again after {seconds} s"))
                }
                GivenUp => {
                    desk.clear_faults();
                    desk.round(way).await;
                    assert_eq!(desk.backlog(way).await, (0, 1), "{what}");
                    (0, "given up, and told".to_owned())
                }
            };
            desk.make_due(way).await;
            desk.round(way).await;
            desk.make_due(way).await;
            desk.round(way).await;
            let expected: Vec<&str> =
                std::iter::repeat_n("first", times).chain(["second"]).collect();
            let mut taken = desk.taken(way);
            if way == Way::Slack {
                // The deployment's message stands first in the channel.
                taken.retain(|text| text != "card");
            }
            assert_eq!(taken, expected, "{what}");
            assert_eq!(desk.backlog(way).await.0, 0, "{what}: nothing waits");
            println!("{:10} {failure:13?} {next:20} first: {times}x, second: 1x", way.as_str());
        }
    }
}

/// The store keeps milliseconds.
const MILLISECOND: SignedDuration = SignedDuration::from_millis(1);

fn plan(desk: &Desk, way: Way, failure: Failure) {
    let http = match failure {
        Limited => Some(HttpFault::TooManyRequests(30)),
        Broken => Some(HttpFault::Status(503)),
        Hangs => Some(HttpFault::Hang(LONG)),
        Unauthorised => Some(HttpFault::Status(if way == Way::PagerDuty { 400 } else { 401 })),
        Gone => Some(HttpFault::Status(410)),
        Unanswered => Some(HttpFault::TakenButNoAnswer),
        NotThere => None,
    };
    let slack = match failure {
        Limited => Some(SlackFault::TooManyRequests(30)),
        Broken => Some(SlackFault::ServerError),
        Hangs => Some(SlackFault::Hang(LONG)),
        Unauthorised => Some(SlackFault::Error("token_revoked")),
        Gone => Some(SlackFault::Error("is_archived")),
        Unanswered => Some(SlackFault::PostedButNoAnswer),
        NotThere => None,
    };
    let smtp = match failure {
        Limited => Some(("MAIL", SmtpFault::Reply(450))),
        Broken => Some(("EHLO", SmtpFault::Reply(421))),
        Hangs => Some(("DATA", SmtpFault::Hang(LONG))),
        Unauthorised => Some(("AUTH", SmtpFault::Reply(535))),
        Gone => Some(("RCPT", SmtpFault::Reply(550))),
        Unanswered => Some((".", SmtpFault::TakenButNoAnswer)),
        NotThere => None,
    };
    match way {
        Way::Slack => slack.iter().for_each(|fault| desk.slack.fault("chat.postMessage", fault, 1)),
        Way::PagerDuty => http.iter().for_each(|fault| desk.pager.fault(fault, 1)),
        Way::Webhook => http.iter().for_each(|fault| desk.hook.fault(fault, 1)),
        Way::Email => smtp.iter().for_each(|(verb, fault)| desk.mail.fault(verb, fault, 1)),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_channel_delays_no_other() {
    for dead in Way::ALL {
        let desk = Desk::patient().await;
        for way in Way::ALL {
            desk.queue(way, &["first"]).await;
        }
        plan(&desk, dead, Hangs);
        let hanging = tokio::spawn({
            let postman = desk.postman(dead);
            async move { postman.round().await }
        });
        for way in Way::ALL.into_iter().filter(|way| *way != dead) {
            desk.round(way).await;
            assert_eq!(desk.backlog(way).await, (0, 0), "{way:?} beside a dead {dead:?}");
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
