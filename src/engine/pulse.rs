//! Whether Prometheus answers at all, asked also while nothing is watched: people should
//! hear of it before the next deployment does.

use std::sync::Arc;
use std::time::Duration;

use jiff::SignedDuration;
use tokio_util::sync::CancellationToken;

use super::clock;
use super::status::{Blind, Status};
use crate::model::{Ask, Ticks};
use crate::sources::prometheus::Prometheus;

/// Between two questions.
const EVERY: Duration = Duration::from_secs(15);

/// Asks one Prometheus until `stop`; `name`: what people know it as.
pub async fn feel_forever(
    name: String,
    source: Prometheus,
    status: Arc<Status>,
    stop: CancellationToken,
) {
    loop {
        let now = clock::now();
        let once = Ticks::once(now, SignedDuration::from_secs(1));
        let fetched = source.fetch(&Ask::Query("vector(1)".to_owned()), once).await;
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
