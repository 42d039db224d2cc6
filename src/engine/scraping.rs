//! Reading the pages of metrics that policies name: from the daemon's start, so that there is
//! a past when a deployment comes, each page once whoever wants it.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use jiff::SignedDuration;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::clock;
use super::guard::{guarded, service};
use super::status::{Blind, Status};
use crate::model::{Ask, ScrapedAsk, ServiceKey};
use crate::policy::{Policy, Vars};
use crate::policy_repo::Loaded;
use crate::sources::Pages;
use crate::telemetry::Metrics;

/// Stands for the stretch, which no page depends on.
const WINDOW: SignedDuration = SignedDuration::from_mins(1);
/// It is looked again at least as often for what a watch asks that no policy names any more.
const LONGEST_NAP: Duration = Duration::from_secs(1);
/// How pages are known among what can't be asked.
const PAGE: &str = "the page ";

/// What reads pages, and whom it tells.
pub struct Scraper {
    pub pages: Pages,
    pub policies: watch::Receiver<Arc<Loaded>>,
    pub seen: watch::Receiver<BTreeSet<ServiceKey>>,
    pub status: Arc<Status>,
    pub metrics: Arc<Metrics>,
}

/// Reads what the policies want of the services that are guarded, until `stop`.
pub async fn scrape_forever(scraper: Scraper, stop: CancellationToken) {
    let Scraper { pages, mut policies, mut seen, status, metrics } = scraper;
    let mut reading = JoinSet::new();
    let mut wanted = Vec::new();
    let mut is_old = true;
    loop {
        if std::mem::take(&mut is_old) {
            let loaded = policies.borrow_and_update().clone();
            wanted = asks(&loaded, &seen.borrow_and_update());
        }
        let now = clock::now();
        pages.want(&wanted, now);
        for page in pages.due(now) {
            let pages = pages.clone();
            reading.spawn(async move { (page.to_string(), pages.read(&page, clock::now).await) });
        }
        let nap = pages.rest(now).clamp(Duration::from_millis(50), LONGEST_NAP);
        tokio::select! {
            () = stop.cancelled() => break,
            () = tokio::time::sleep(nap) => {}
            Ok(()) = policies.changed() => is_old = true,
            Ok(()) = seen.changed() => is_old = true,
            Some(read) = reading.join_next() => match read {
                Ok((url, all)) => {
                    metrics.asked(&all);
                    tell(&pages, &url, &status);
                }
                Err(error) => tracing::error!(%error, "reading a page broke off"),
            },
        }
    }
    // Who leads next tells of its own.
    status.set(|health| health.prometheus.retain(|name, _| !name.starts_with(PAGE)));
}

/// What the checks of all guarded services ask of pages, and of what they are judged beside.
fn asks(loaded: &Loaded, seen: &BTreeSet<ServiceKey>) -> Vec<ScrapedAsk> {
    let mut all = BTreeSet::new();
    for key in seen {
        let Some(guarded) = guarded(loaded, key) else { continue };
        let policy = &guarded.pinned.policy;
        let own = Vars::of_named(&service(key, policy));
        let beside = policy.peers.iter().chain(&policy.depends_on);
        all.extend(asked(policy, &own));
        all.extend(beside.flat_map(|name| asked(policy, &own.of_service(name))));
    }
    all.into_iter().collect()
}

fn asked(policy: &Policy, vars: &Vars) -> Vec<ScrapedAsk> {
    let checks = policy.checks.iter().filter(|check| check.is_of_pages());
    let asks = checks.flat_map(|check| policy.question(check, vars, WINDOW, None, None).asks);
    let scraped = asks.filter_map(Ask::into_scraped);
    scraped.collect()
}

/// Tells whether the page at `read` can be read, and forgets those that nobody wants.
fn tell(pages: &Pages, read: &str, status: &Status) {
    let now = clock::now();
    let conditions = pages.conditions();
    status.set(|health| {
        let known = |name: &str| conditions.iter().any(|one| name == format!("{PAGE}{}", one.url));
        health.prometheus.retain(|name, _| !name.starts_with(PAGE) || known(name));
        let name = format!("{PAGE}{read}");
        let before = health.prometheus.remove(&name);
        let trouble = conditions.iter().find(|one| one.url == read);
        if let Some(because) = trouble.and_then(|one| one.trouble.clone()) {
            health.prometheus.insert(name, Blind::again(before, because, now));
        }
    });
}
