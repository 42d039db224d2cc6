//! Messages that have waited for a day, and those that a newer build wrote.

use deployguard::engine::deliver_forever;
use deployguard::model::{Turn, Way};
use jiff::SignedDuration;
use tokio_util::sync::CancellationToken;

use crate::faults::desk::{Desk, now};
use crate::world::called::HttpFault;

const ONE: &str = "pagerduty:one";

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
async fn who_never_heard_of_an_incident_does_not_hear_of_its_end() {
    let desk = Desk::new().await;
    desk.queue_turn(ONE, Turn::Opened, ago(40)).await;
    desk.queue_turn(ONE, Turn::Resolved, ago(39)).await;
    desk.pager.fault(&HttpFault::Status(503), 1);
    desk.round(Way::PagerDuty).await;
    assert_eq!(desk.backlog(Way::PagerDuty).await, (0, 2));
    assert_eq!(desk.pager.actions(), [""; 0]);
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
