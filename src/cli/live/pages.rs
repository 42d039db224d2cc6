//! Pages of metrics have no past here: they are read twice before they are asked about.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::{Asked, look};
use crate::engine::clock;
use crate::model::Ask;
use crate::policy::Policy;

/// Between the two readings: enough for a busy service to count something.
const APART: Duration = Duration::from_secs(5);
/// The stretch that both lie in.
pub(super) const STRETCH: SignedDuration = SignedDuration::from_secs(30);

/// Reads the pages that the checks of these services ask for, and says as of when they can
/// be asked; `None`: no check asks for any.
pub(super) async fn read(
    asked: &Asked<'_>,
    policy: &Policy,
    services: &[String],
) -> Option<Timestamp> {
    let pages = asked.sources.pages.as_ref()?;
    let checks = || policy.checks.iter().filter(|check| check.is_of_pages());
    let asks = services.iter().flat_map(|name| {
        checks().flat_map(|check| look::question(asked, policy, check, name).0.asks)
    });
    let wanted: Vec<_> = asks.filter_map(Ask::into_scraped).collect();
    if wanted.is_empty() {
        return None;
    }
    for turn in 0..2 {
        if turn > 0 {
            tokio::time::sleep(APART).await;
        }
        pages.want(&wanted, clock::now());
        let all: BTreeSet<_> = wanted.iter().flat_map(|ask| &ask.pages).collect();
        for page in all {
            pages.read(page, clock::now).await;
        }
    }
    Some(clock::now())
}
