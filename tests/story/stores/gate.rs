//! What the gate asks the store for.

use deployguard::model::{Alert, GateOverride, Named, ServiceKey, WatchId};
use deployguard::store::{WatchRow, Write};
use serde_json::json;

use super::{Place, at, key};

pub(super) async fn kept(place: &Place) {
    let store = place.open().await;
    let over = |number: i64| GateOverride {
        id: format!("{number:020}"),
        service: key(),
        environment: "production".into(),
        named: Named::default(),
        by: "dana".into(),
        via: None,
        reason: "it burns".into(),
        at: at(number),
        until: at(number + 60),
        reasons: Vec::new(),
        watch: None,
    };
    let alert = |number: i64| Alert {
        fingerprint: format!("{number}"),
        service: key(),
        name: "HighErrorRate".into(),
        severity: None,
        summary: None,
        since: at(0),
        ended: None,
        heard: at(number),
    };
    let overs = (1..=1003).map(|number| Write::GateOverride(over(number)));
    let alerts = (1..=1003).map(|number| Write::Alert(alert(number)));
    store.commit(&overs.chain(alerts).collect::<Vec<_>>(), at(0)).await.expect("kept");
    let bound = GateOverride { watch: Some(WatchId::typed("w")), ..over(1003) };
    let ended = Alert { ended: Some(at(5)), ..alert(1003) };
    let again = [Write::GateOverride(bound.clone()), Write::Alert(ended.clone())];
    store.commit(&again, at(0)).await.expect("kept");
    let kept = store.gate_overrides(2000).await.expect("read");
    assert_eq!((kept.len(), kept.first(), kept.last()), (1000, Some(&over(4)), Some(&bound)));
    assert_eq!(store.gate_overrides(2).await.expect("read"), [over(1002), bound]);
    let kept = store.alerts().await.expect("read");
    assert_eq!((kept.len(), kept.first(), kept.last()), (1000, Some(&alert(4)), Some(&ended)));
    let opened = |number: i64| Write::Watch {
        row: WatchRow {
            id: WatchId::typed(&format!("w{number}")),
            service: key(),
            deployment: "d".into(),
            is_open: number == 1,
            opened_at: at(number),
            name: "api".into(),
            environment: "production".into(),
            outcome: (number != 1).then_some("passed"),
            state: json!(number).to_string(),
        },
        version: 0,
        events: Vec::new(),
    };
    store.commit(&[opened(1), opened(2), opened(3)], at(0)).await.expect("kept");
    assert_eq!(store.watches_of::<i64>(&key(), 2).await.expect("read"), [3, 2], "newest first");
    let other = ServiceKey { service: "other".into(), ..key() };
    assert!(store.watches_of::<i64>(&other, 2).await.expect("read").is_empty());
}
