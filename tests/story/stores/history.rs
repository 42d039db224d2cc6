//! What the page's lists ask the store for.

use deployguard::model::{ServiceKey, WatchId};
use deployguard::store::{Filed, FoundBy, Sought, WatchRow, Write};
use serde_json::json;

use super::{Place, at, key};

fn ids(filed: &[Filed]) -> Vec<&str> {
    filed.iter().map(|one| one.id.as_str()).collect()
}

fn ended(number: i64, outcome: Option<&'static str>) -> Write {
    let row = WatchRow {
        id: WatchId::typed(&format!("w{number:02}")),
        service: ServiceKey { service: format!("svc-{}", number % 5), ..key() },
        deployment: "d".into(),
        is_open: false,
        // Two of each moment.
        opened_at: at(number / 2),
        name: format!("Shöp_{number:02} \0 {}", "x".repeat(5000)),
        environment: if number == 7 { "staging" } else { "production" }.into(),
        outcome,
        state: json!(number).to_string(),
    };
    Write::Watch { row, version: 0, events: Vec::new() }
}

pub(super) async fn found(place: &Place) {
    let store = place.open().await;
    let outcome = |number| (number % 10 != 9).then_some("passed");
    let writes = (0..30).map(|number| ended(number, outcome(number)));
    store.commit(&writes.collect::<Vec<_>>(), at(0)).await.expect("kept");
    let find = async |sought: Sought| store.history(&sought).await.expect("read");
    let all = Sought { limit: 20, ..Sought::default() };
    let first = find(all.clone()).await;
    assert_eq!((first.len(), first[0].id.as_str(), first[0].version), (20, "w29", 0));
    let before = Some((first[19].opened_at, first[19].id.to_string()));
    let rest = find(Sought { before, ..all.clone() }).await;
    assert_eq!((rest.len(), rest[0].id.as_str(), rest[9].id.as_str()), (10, "w09", "w00"));
    let by = |service: &str, environment: &str, outcome: &str| Sought {
        service: service.into(),
        environment: environment.into(),
        outcome: outcome.into(),
        ..all.clone()
    };
    assert_eq!(ids(&find(by("SHÖP_07", "", "")).await), ["w07"], "by its name, in any case");
    assert_eq!(find(by("SVC-3", "", "")).await.len(), 6, "by its place");
    assert!(find(by("svc%", "", "")).await.is_empty(), "taken literally");
    assert_eq!(ids(&find(by("\0", "sta\0ging", "passed")).await), ["w07"]);
    let of_a_time = Sought { from: Some(at(2)), to: Some(at(3)), ..all };
    assert_eq!(ids(&find(of_a_time).await), ["w05", "w04"]);
    assert_eq!(store.ended_environments().await.expect("read"), ["production", "staging"]);
    let last = store.last_watches().await.expect("read");
    assert_eq!(last.len(), 5);
    assert!(last.iter().any(|one| one.service == key().to_string().replace("/api", "/svc-4")
        && one.watch.as_str() == "w29"));
    let asked: Vec<WatchId> = ["w01", "none", "w02"].map(WatchId::typed).into();
    let mut filed = store.filed(&asked).await.expect("read");
    filed.sort_by(|one, other| one.id.cmp(&other.id));
    assert_eq!(ids(&filed), ["w01", "w02"]);
    assert_eq!(filed[1].state, "2");

    let unfilled = store.unfilled(None, 2).await.expect("read");
    assert_eq!(ids(&unfilled), ["w09", "w19"]);
    let after = Some((unfilled[1].opened_at, unfilled[1].id.clone()));
    assert_eq!(ids(&store.unfilled(after.as_ref(), 2).await.expect("read")), ["w29"]);
    let by = |id: &str| FoundBy {
        id: id.into(),
        name: "Other \0".into(),
        environment: "qa".into(),
        outcome: "breached",
    };
    store.fill(&["w09", "w19", "w29"].map(by)).await.expect("filled in");
    assert!(!store.has_unfilled().await.expect("read"));
    let sought =
        Sought { service: "other".into(), environment: "qa".into(), limit: 9, ..Sought::default() };
    assert_eq!(ids(&find(sought).await), ["w29", "w19", "w09"]);
}
