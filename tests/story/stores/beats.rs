//! When heartbeats were listened for.

use deployguard::model::Listened;

use super::{Place, at};

pub(super) async fn listened(place: &Place) {
    let store = place.open().await;
    let stretch = |from: i64, until: i64| Listened { from: at(from), until: at(until) };
    for (from, until) in [(0, 0), (0, 10), (0, 20), (50, 50), (50, 60)] {
        store.listen(at(from), at(until)).await.expect("kept");
    }
    assert_eq!(store.listened().await.expect("read"), [stretch(0, 20), stretch(50, 60)]);
    for from in 100..2_100 {
        store.listen(at(from), at(from)).await.expect("kept");
    }
    let kept = store.listened().await.expect("read");
    assert_eq!((kept.len(), kept.first()), (2_000, Some(&stretch(100, 100))), "the newest");
    store.close().await;
}
