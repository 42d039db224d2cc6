//! What waits in the outbox, and for what.

use super::*;
use crate::engine::helm::Helm;
use crate::engine::patience::tests::said;
use crate::model::Way;
use crate::store::Write;

#[tokio::test]
async fn what_waits_for_a_good_token_goes_as_soon_as_there_is_one_and_a_limit_is_kept() {
    let folder = tempfile::TempDir::new().unwrap();
    let url = format!("sqlite://{}", folder.path().join("guard.db").display());
    let store = Store::open(&url).await.unwrap();
    let now = Timestamp::from_second(1_700_000_000).unwrap();
    let later = now + SignedDuration::from_mins(5);
    let lane = Lane::Words(Way::Slack);
    for (error, goes) in [
        (format!("Slack refused chat.postMessage: token_revoked ({TOKEN})"), true),
        ("Slack limits the rate of chat.postMessage".to_owned(), false),
    ] {
        let address = Address::Slack { channel: "C0".to_owned(), mentions: Vec::new() };
        let write = Write::Outbox { notice: said(now), address };
        store.commit(&[write], now).await.unwrap();
        let head = store.outbox_heads(lane, 1).await.unwrap().remove(0);
        store.outbox_trying(head.seq).await.unwrap();
        store.outbox_retry(head.seq, later, &error).await.unwrap();
        store.outbox_hasten(Way::Slack, TOKEN, now).await.unwrap();
        let head = store.outbox_heads(lane, 1).await.unwrap().remove(0);
        assert_eq!(head.next_at == now, goes, "{error}");
        store.outbox_undeliverable(head.seq, "seen", now).await.unwrap();
    }
}

#[tokio::test]
async fn what_is_to_be_said_in_the_morning_waits_in_the_outbox() {
    let folder = tempfile::TempDir::new().unwrap();
    let url = format!("sqlite://{}", folder.path().join("guard.db").display());
    let store = Store::open(&url).await.unwrap();
    let night = Timestamp::from_second(1_700_000_000).unwrap();
    let morning = night + SignedDuration::from_hours(8);
    let address = Address::Slack { channel: "C0".to_owned(), mentions: Vec::new() };
    let write = Write::Outbox { notice: said(morning), address };
    store.commit(&[write], night).await.unwrap();
    let head = store.outbox_heads(Lane::Words(Way::Slack), 1).await.unwrap().remove(0);
    assert_eq!((head.next_at, head.queued_at), (morning, morning), "nor is it late by night");
}

#[tokio::test]
async fn a_round_after_the_end_of_its_tenure_shows_nothing_that_waits() {
    let folder = tempfile::TempDir::new().unwrap();
    let url = format!("sqlite://{}", folder.path().join("guard.db").display());
    let store = Store::open(&url).await.unwrap();
    let later = clock::now() + SignedDuration::from_hours(1);
    let address = Address::Slack { channel: "C0".to_owned(), mentions: Vec::new() };
    let write = Write::Outbox { notice: said(later), address };
    store.commit(&[write], clock::now()).await.unwrap();
    let (metrics, tenure) = (Arc::new(Metrics::new().unwrap()), Tenure::without_end());
    let postman = Postman {
        store,
        tenure: tenure.clone(),
        lane: Lane::Words(Way::Slack),
        slack: None,
        elsewhere: Arc::default(),
        engine: Helm::default().handle(),
        metrics: metrics.clone(),
        traces: Traces::default(),
        mail: watch::channel(0).1,
    };
    let waits = r#"deployguard_outbox_messages{channel="slack",status="pending"} 1"#;
    postman.round().await.unwrap();
    assert!(metrics.text().unwrap().contains(waits));
    tenure.end();
    metrics.stands_by();
    postman.round().await.unwrap();
    let text = metrics.text().unwrap();
    assert!(!text.contains("\ndeployguard_outbox_"), "{text}");
}
