//! Whether Prometheus answers at all, asked also while nothing is watched: people should
//! hear of it before the next deployment does. And that the guard itself is there: what jobs
//! tell while nobody listens is lost, and must not be held against them.

use std::sync::Arc;
use std::time::Duration;

use jiff::SignedDuration;
use tokio_util::sync::CancellationToken;

use super::clock;
use super::status::{Blind, Status};
use crate::model::{Ask, Ticks};
use crate::sources::prometheus::Prometheus;
use crate::store::Store;
use crate::telemetry::Metrics;

/// Between two questions.
const EVERY: Duration = Duration::from_secs(15);

/// Between two notes that heartbeats are listened for.
const NOTE: Duration = Duration::from_secs(10);
/// A longer time without a note is one in which nobody listened: the process stood still, or
/// nothing could be kept.
const LONGEST_NAP: SignedDuration = SignedDuration::from_secs(30);

/// Notes until `stop` that heartbeats are listened for.
pub async fn listen_forever(store: Store, stop: CancellationToken) {
    let mut since = clock::now();
    let mut last = since;
    loop {
        let now = clock::now();
        // The clock may have been set back as well.
        if !(SignedDuration::ZERO..=LONGEST_NAP).contains(&now.duration_since(last)) {
            since = now;
        }
        match store.listen(since, now).await {
            Ok(()) => last = now,
            Err(error) => tracing::warn!(%error, "it could not be kept that heartbeats are heard"),
        }
        tokio::select! {
            () = stop.cancelled() => break,
            () = tokio::time::sleep(NOTE) => {}
        }
    }
    // Up to the end, where the store takes it still.
    let now = clock::now();
    if now.duration_since(last) <= LONGEST_NAP {
        drop(store.listen(since, now).await);
    }
}

/// Asks one Prometheus until `stop`; `name`: what people know it as.
pub async fn feel_forever(
    name: String,
    source: Prometheus,
    (status, metrics): (Arc<Status>, Arc<Metrics>),
    stop: CancellationToken,
) {
    loop {
        let now = clock::now();
        let once = Ticks::once(now, SignedDuration::from_secs(1));
        let fetched = source.fetch(&Ask::Query("vector(1)".to_owned()), once).await;
        metrics.asked(&source.take_asked());
        let failed = fetched.failed.into_iter().next().map(|(_, why)| why.to_string());
        status.set(|health| {
            let known = health.prometheus.remove(&name);
            if let Some(because) = failed {
                health.prometheus.insert(name.clone(), Blind::again(known, because, now));
            }
        });
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(EVERY) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn each_time_that_somebody_listened_is_kept_by_itself_up_to_its_end() {
        let folder = tempfile::TempDir::new().unwrap();
        let url = format!("sqlite://{}", folder.path().join("guard.db").display());
        let store = Store::open(&url).await.unwrap();
        for turn in 1..=2 {
            let begun = clock::now();
            let stop = CancellationToken::new();
            let listening = tokio::spawn(listen_forever(store.clone(), stop.clone()));
            while store.listened().await.unwrap().len() < turn {
                tokio::task::yield_now().await;
            }
            let ending = clock::now();
            stop.cancel();
            listening.await.unwrap();
            let last = store.listened().await.unwrap().pop().unwrap();
            let ms = |at: jiff::Timestamp| at.as_millisecond();
            assert!(ms(begun) <= ms(last.from) && ms(ending) <= ms(last.until), "{last:?}");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }
}
