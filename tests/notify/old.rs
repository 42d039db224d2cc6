//! Messages that have waited for a day, and those that a newer build wrote.

use deployguard::engine::deliver_forever;
use deployguard::model::{Turn, Way};
use jiff::SignedDuration;
use tokio_util::sync::CancellationToken;

use crate::faults::desk::{Desk, now};
use crate::world::called::HttpFault;
use crate::world::slack::SlackFault;

const ONE: &str = "pagerduty:one";
const HOOK: &str = "webhook:one";

fn ago(hours: i64) -> jiff::Timestamp {
    now() - SignedDuration::from_hours(hours)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pager_that_was_down_for_more_than_a_day_still_hears_that_it_is_over() {
    let desk = Desk::new().await;
    desk.queue_turn(ONE, Turn::Opened, ago(40)).await;
    desk.round(Way::PagerDuty).await;
    desk.queue_turn(ONE, Turn::NeedsHelp, ago(39)).await;
    desk.queue_turn(ONE, Turn::Resolved, ago(38)).await;
    desk.pager.fault(&HttpFault::Status(503), 2);
    desk.round(Way::PagerDuty).await;
    assert_eq!(desk.backlog(Way::PagerDuty).await, (1, 1), "the news is old, the end is not");
    desk.make_due(Way::PagerDuty).await;
    desk.round(Way::PagerDuty).await;
    assert_eq!(desk.pager.actions(), ["trigger", "resolve"]);
    assert_eq!(desk.pager.alerts()[0].status, "resolved");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_refused_to_hear_of_an_incident_does_not_hear_of_its_end() {
    let desk = Desk::new().await;
    desk.queue_turn(HOOK, Turn::Opened, ago(2)).await;
    desk.queue_turn(HOOK, Turn::Resolved, ago(1)).await;
    desk.hook.fault(&HttpFault::Status(410), 1);
    desk.round(Way::Webhook).await;
    assert_eq!(desk.backlog(Way::Webhook).await, (0, 2));
    assert!(desk.hook.deliveries().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_have_heard_of_an_incident_hears_of_its_end() {
    let desk = Desk::new().await;
    // A day of time-outs, then none: any of them may have arrived.
    desk.queue_turn(HOOK, Turn::Opened, ago(40)).await;
    desk.queue_turn(HOOK, Turn::Resolved, ago(39)).await;
    desk.hook.fault(&HttpFault::Status(503), 1);
    desk.round(Way::Webhook).await;
    assert_eq!(desk.backlog(Way::Webhook).await, (0, 1));
    assert_eq!(desk.hook.deliveries().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_was_refused_does_not_withhold_the_end() {
    let desk = Desk::new().await;
    // What was delivered of it is kept no longer.
    desk.queue_turn(HOOK, Turn::NeedsHelp, ago(2)).await;
    desk.queue_turn(HOOK, Turn::Resolved, ago(1)).await;
    desk.hook.fault(&HttpFault::Status(410), 1);
    desk.round(Way::Webhook).await;
    assert_eq!(desk.backlog(Way::Webhook).await, (0, 1));
    assert_eq!(desk.hook.deliveries().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn pagerduty_hears_of_every_end() {
    let desk = Desk::new().await;
    desk.queue_turn(ONE, Turn::Opened, ago(2)).await;
    desk.queue_turn(ONE, Turn::Resolved, ago(1)).await;
    desk.pager.fault(&HttpFault::Status(400), 1);
    desk.round(Way::PagerDuty).await;
    assert_eq!(
        desk.pager.actions(),
        ["resolve"],
        "of a key that it does not know it makes nothing"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_said_of_an_incident_is_kept_while_something_of_it_waits() {
    let desk = Desk::new().await;
    desk.queue_turn(HOOK, Turn::Opened, ago(8 * 24)).await;
    desk.queue_turn(HOOK, Turn::Resolved, ago(1)).await;
    let head = desk.head(Way::Webhook).await.unwrap();
    desk.store.outbox_undeliverable(head.seq, "HTTP 410", ago(8 * 24)).await.unwrap();
    // Prunes, with nothing due.
    desk.round(Way::PagerDuty).await;
    desk.round(Way::Webhook).await;
    assert!(desk.hook.deliveries().is_empty(), "it is known that the beginning was refused");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_end_that_cannot_be_read_is_kept_for_as_long_as_an_end_is_tried() {
    for (days, kept) in [(20, 1), (31, 0)] {
        let desk = Desk::new().await;
        desk.queue_turn(HOOK, Turn::Resolved, ago(days * 24)).await;
        desk.make_unreadable(Way::Webhook).await;
        desk.round(Way::Webhook).await;
        let letterboxes = desk.store.letterboxes().await.unwrap();
        let hook = letterboxes.iter().find(|one| one.way == Way::Webhook).unwrap();
        assert_eq!(hook.unreadable, kept, "{days} days");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_could_be_told_nobody_is_not_settled() {
    let mut desk = Desk::without_engine().await;
    desk.queue(Way::Webhook, &["first"]).await;
    desk.hook.fault(&HttpFault::Status(410), 2);
    desk.round(Way::Webhook).await;
    assert_eq!(desk.backlog(Way::Webhook).await, (1, 0), "it would be given up unheard");
    desk.lead().await;
    desk.make_due(Way::Webhook).await;
    desk.round(Way::Webhook).await;
    assert_eq!(desk.backlog(Way::Webhook).await, (0, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_whose_deployments_message_was_refused_goes_to_the_channel() {
    for (minutes, said) in [(0, false), (2, true)] {
        let desk = Desk::new().await;
        desk.queue_card().await;
        desk.slack.fault("chat.postMessage", &SlackFault::Error("msg_too_long"), 1);
        desk.round(Way::Slack).await;
        assert_eq!(desk.backlog(Way::Slack).await, (0, 1));
        desk.queue_page("first", now() - SignedDuration::from_mins(minutes)).await;
        desk.round(Way::Slack).await;
        let words = desk.taken(Way::Slack);
        assert_eq!(words.iter().any(|one| one == "first"), said, "{minutes} min: {words:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_in_the_channel_is_found_again_and_is_not_taken_for_the_deployments_message() {
    let desk = Desk::new().await;
    desk.queue_page("first", now() - SignedDuration::from_mins(2)).await;
    desk.slack.fault("chat.postMessage", &SlackFault::PostedButNoAnswer, 1);
    desk.round(Way::Slack).await;
    desk.make_due(Way::Slack).await;
    desk.round(Way::Slack).await;
    assert_eq!(desk.taken(Way::Slack), ["first"], "once");
    desk.queue_card().await;
    desk.slack.fault("chat.postMessage", &SlackFault::ServerError, 1);
    desk.round(Way::Slack).await;
    desk.make_due(Way::Slack).await;
    desk.round(Way::Slack).await;
    assert_eq!(desk.taken(Way::Slack), ["first", "card"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_does_not_wait_for_an_edit_that_slack_puts_off() {
    let desk = Desk::new().await;
    desk.queue_card().await;
    desk.round(Way::Slack).await;
    desk.queue_card().await;
    desk.slack.fault("chat.update", &SlackFault::TooManyRequests(1800), 1);
    desk.round(Way::Slack).await;
    desk.queue_page("first", now()).await;
    desk.round(Way::Slack).await;
    assert_eq!(desk.taken(Way::Slack), ["card", "first"]);
    assert_eq!(desk.backlog(Way::Slack).await, (1, 0), "the edit still waits");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_end_waits_with_what_may_still_be_heard_of_its_incident() {
    let desk = Desk::new().await;
    for (turn, hours) in [(Turn::Opened, 40), (Turn::Resolved, 39), (Turn::Opened, 1)] {
        desk.queue_turn(ONE, turn, ago(hours)).await;
    }
    desk.pager.fault(&HttpFault::Status(503), 2);
    desk.round(Way::PagerDuty).await;
    assert_eq!(desk.backlog(Way::PagerDuty).await, (2, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_end_that_nobody_took_for_a_month_is_given_up_and_seen_to_be() {
    let desk = Desk::new().await;
    desk.queue_turn(ONE, Turn::Resolved, ago(31 * 24)).await;
    desk.pager.fault(&HttpFault::Status(503), 1);
    desk.round(Way::PagerDuty).await;
    assert_eq!(desk.backlog(Way::PagerDuty).await, (0, 1), "kept from when it was given up");
    let letterboxes = desk.store.letterboxes().await.unwrap();
    let pager = letterboxes.iter().find(|one| one.way == Way::PagerDuty).unwrap();
    assert!(now().duration_since(pager.routes[0].newest) < SignedDuration::from_mins(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_newer_build_wrote_is_set_aside_and_holds_up_nothing() {
    for way in Way::ALL {
        let desk = Desk::new().await;
        desk.queue(way, &["first", "second"]).await;
        desk.make_unreadable(way).await;
        let begun = std::time::Instant::now();
        desk.round(way).await;
        assert!(begun.elapsed().as_secs() < 4, "{way:?}: without a pause");
        assert_eq!(desk.taken(way).last().map(String::as_str), Some("second"), "{way:?}");
        assert_eq!(desk.backlog(way).await, (0, 0), "{way:?}");
        let text = desk.metrics.text().unwrap();
        let channel = way.as_str();
        let line =
            format!("deployguard_outbox_messages{{channel=\"{channel}\",status=\"unreadable\"}} 1");
        assert!(text.contains(&line), "{line} is not in\n{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deployments_message_that_is_set_aside_is_made_up_for_by_its_next_one() {
    let desk = Desk::new().await;
    desk.queue_card().await;
    desk.make_unreadable(Way::Slack).await;
    desk.round(Way::Slack).await;
    desk.queue_reply("first").await;
    desk.queue_card().await;
    desk.round(Way::Slack).await;
    assert_eq!(desk.taken(Way::Slack), ["card", "first"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_build_that_can_read_it_delivers_it_unless_something_later_went() {
    let desk = Desk::new().await;
    desk.queue(Way::PagerDuty, &["first"]).await;
    desk.queue(Way::Webhook, &["first", "second"]).await;
    let mut written = Vec::new();
    for way in [Way::PagerDuty, Way::Webhook] {
        written.push(desk.make_unreadable(way).await);
        desk.round(way).await;
    }
    for (seq, was) in written {
        desk.write_over(seq, &was).await;
    }
    let stop = CancellationToken::new();
    let newer = tokio::spawn(deliver_forever(desk.postman(Way::PagerDuty), stop.clone()));
    desk.until(async || !desk.taken(Way::PagerDuty).is_empty()).await;
    stop.cancel();
    newer.await.unwrap();
    desk.round(Way::Webhook).await;
    assert_eq!(desk.taken(Way::PagerDuty), ["first"]);
    assert_eq!(desk.taken(Way::Webhook), ["second"], "it would come after what it came before");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_news_no_longer_is_not_looked_at_again() {
    let desk = Desk::new().await;
    desk.queue_turn(HOOK, Turn::Opened, ago(5 * 24)).await;
    desk.queue_turn(HOOK, Turn::Resolved, ago(5 * 24)).await;
    let mut written = Vec::new();
    for _ in 0..2 {
        written.push(desk.make_unreadable(Way::Webhook).await);
        desk.head(Way::Webhook).await;
    }
    for (seq, was) in written {
        desk.write_over(seq, &was).await;
    }
    let stop = CancellationToken::new();
    let newer = tokio::spawn(deliver_forever(desk.postman(Way::Webhook), stop.clone()));
    desk.until(async || !desk.hook.deliveries().is_empty()).await;
    stop.cancel();
    newer.await.unwrap();
    assert_eq!(desk.hook.deliveries().len(), 1, "the end, and not the beginning");
    assert!(desk.hook.deliveries()[0].body.to_string().contains("resolved"));
}
