//! What the policies did, or would have done: read from the store, and posted once a period.
//!
//! A digest is a message of its own with a thread, in the outbox as every other: its watch
//! is `digest/2026-W47`, which is none. That it is in the outbox is what tells that it was
//! posted, so it is posted once whichever daemon leads; the outbox keeps it for longer than
//! a missed one is made up for.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::clock;
use crate::model::{Address, Body, Card, Notice, Reply, Tone, WatchId};
use crate::policy::{Every, Period};
use crate::store::{Store, StoreError, Write};
use crate::watch::{Digest, Watch};

/// Watches that a digest reads at once, and how often it does: between two of these the
/// engine has its turn at the store.
const PAGE: u32 = 100;
const MOST_PAGES: u32 = 50;
/// A digest that was missed for longer is not made up for.
const LATE: SignedDuration = SignedDuration::from_hours(24);
/// The longest time between two looks at the clock.
const LONGEST_NAP: Duration = Duration::from_mins(30);
/// After a store that could not be asked.
const AGAIN: Duration = Duration::from_mins(1);

/// What a stretch of time came to; `until` is not included.
pub async fn read_digest(
    store: &Store,
    since: Timestamp,
    until: Timestamp,
) -> Result<Digest, StoreError> {
    let mut digest = Digest::new(since, until);
    let mut after = (since, String::new());
    for _ in 0..MOST_PAGES {
        let page = store.watches_since::<Watch>(&after, PAGE).await?;
        for watch in page.iter().filter(|watch| watch.opened_at < until) {
            digest.add(watch);
        }
        digest.cut = page.len() >= PAGE as usize;
        match page.last() {
            Some(last) if digest.cut && last.opened_at < until => {
                after = (last.opened_at, last.id.to_string());
            }
            Some(_) | None => {
                digest.cut = false;
                break;
            }
        }
    }
    Ok(digest.finished())
}

/// Posts digests while this daemon leads.
pub struct Digests {
    /// Under the fence of the tenure.
    pub store: Store,
    pub channel: String,
    pub every: Every,
    /// Rung when something was put into the outbox.
    pub mail: watch::Sender<u64>,
}

pub async fn post_digests_forever(digests: Digests, stop: CancellationToken) {
    while !stop.is_cancelled() {
        let now = clock::now();
        let wait = match digests.post_due(now).await {
            Ok(()) => {
                let next = digests.every.ends_next(now).map(|at| at.duration_since(now));
                let next = next.and_then(|wait| Duration::try_from(wait).ok());
                next.unwrap_or(LONGEST_NAP).min(LONGEST_NAP)
            }
            Err(error) => {
                tracing::error!(%error, "the digest could not be kept");
                AGAIN
            }
        };
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(wait) => {}
        }
    }
}

impl Digests {
    /// Puts the digest of the period that ended last into the outbox, unless it is there, it
    /// is too late for it, or nothing was deployed.
    async fn post_due(&self, now: Timestamp) -> Result<(), StoreError> {
        let Some(period) = self.every.ended_last(now) else { return Ok(()) };
        let id = WatchId::typed(&format!("digest/{}", period.name));
        if now.duration_since(period.until) > LATE || self.store.has_mail_of(&id).await? {
            return Ok(());
        }
        let digest = read_digest(&self.store, period.from, period.until).await?;
        if digest.watched() == 0 {
            return Ok(());
        }
        let write = |notice| {
            let channel = self.channel.clone();
            Write::Outbox { notice, address: Address::Slack { channel, mentions: Vec::new() } }
        };
        let daily = self.every.is_daily();
        let writes: Vec<Write> =
            notices(&id, &digest, &period, daily, now).into_iter().map(write).collect();
        self.store.commit(&writes, now).await?;
        tracing::info!(period = period.name, "the digest is posted");
        self.mail.send_modify(|count| *count = count.wrapping_add(1));
        Ok(())
    }
}

/// The message, and its thread with the worst ones.
fn notices(
    id: &WatchId,
    digest: &Digest,
    period: &Period,
    daily: bool,
    now: Timestamp,
) -> [Notice; 2] {
    const DAY: &str = "%Y-%m-%d %H:%M UTC";
    let headline = digest.headline(if daily { "in a day" } else { "in a week" });
    let card = Card {
        tone: Tone::Quiet,
        title: format!("Deployments until {}", period.until.strftime(DAY)),
        status: headline,
        head: Vec::new(),
        about: Vec::new(),
        url: None,
        incident: Vec::new(),
        tiles: Vec::new(),
        health: Vec::new(),
        footer: format!("{} to {}", period.from.strftime(DAY), period.until.strftime(DAY)),
        offers: Vec::new(),
    };
    let reply = Reply {
        tone: Tone::Quiet,
        headline: "By policy, and the worst deployments".to_owned(),
        fields: Vec::new(),
        lines: digest.lines(),
        code: Vec::new(),
        broadcast: false,
        page: false,
        mentions: Vec::new(),
        offers: Vec::new(),
    };
    let notice = |number: u32, body| Notice {
        watch: id.clone(),
        key: format!("{id}/{number}"),
        at: now,
        body,
    };
    [notice(1, Body::Card(card)), notice(2, Body::Reply(reply))]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Lane, Mode, RollbackSafe, Way};
    use crate::policy::Policy;
    use crate::store::WatchRow;
    use crate::watch::tests::world::{Guard, at, policy};

    /// The world's clock begins on Tuesday, 2023-11-14 at 22:13:20 UTC.
    const WEEK: i64 = 7 * 86400;

    async fn keeps(store: &Store, guard: &Guard) {
        let watch = &guard.watch;
        let row = WatchRow {
            id: watch.id.clone(),
            service: watch.deployment.service.key.clone(),
            deployment: watch.deployment.id.clone(),
            is_open: watch.is_open(),
            opened_at: watch.opened_at,
            name: "api".to_owned(),
            environment: watch.deployment.service.environment.clone(),
            outcome: watch.outcome().map(crate::model::Outcome::as_str),
            state: serde_json::to_string(watch).unwrap(),
        };
        let write = Write::Watch { row, version: 0, events: Vec::new() };
        store.commit(&[write], watch.opened_at).await.unwrap();
    }

    fn digests(store: &Store) -> Digests {
        let every = "Wed 09:00 UTC".parse().unwrap();
        let (store, mail) = (store.clone(), watch::Sender::new(0));
        Digests { store, channel: "C0123ABC".to_owned(), every, mail }
    }

    async fn posted(store: &Store) -> Vec<Notice> {
        let heads = store.outbox_heads(Lane::Words(Way::Slack), 10).await.unwrap();
        heads.into_iter().map(|queued| queued.notice).collect()
    }

    #[tokio::test]
    async fn a_digest_is_posted_once_a_week_whoever_leads_and_never_about_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let place = format!("sqlite://{}", folder.path().join("it.db").display());
        let store = Store::open(&place).await.unwrap();
        let first_wednesday = at(10 * 3600 + 46 * 60 + 40);
        // Nothing was deployed before.
        digests(&store).post_due(at(-3600)).await.unwrap();
        assert_eq!(posted(&store).await, []);

        let observing = Policy { mode: Mode::Observe, ..policy() };
        let mut burnt = Guard::of("api", observing.clone(), RollbackSafe::Yes);
        burnt.settle();
        burnt.breaks(40.0);
        keeps(&store, &burnt).await;
        keeps(&store, &Guard::of("web", observing, RollbackSafe::Yes)).await;

        digests(&store).post_due(first_wednesday).await.unwrap();
        // Another daemon, and the same one after its restart.
        digests(&store).post_due(at(11 * 3600)).await.unwrap();
        store.close().await;
        let store = Store::open(&place).await.unwrap();
        digests(&store).post_due(at(12 * 3600)).await.unwrap();
        let card = posted(&store).await;
        let [Notice { watch, body: Body::Card(card), .. }] = card.as_slice() else {
            panic!("one message is at its head: {card:?}");
        };
        assert_eq!(watch.as_str(), "digest/2023-W45");
        assert_eq!(card.status, "would have rolled back 1 of 2 deployments in a week");
        assert_eq!(card.footer, "2023-11-08 09:00 UTC to 2023-11-15 09:00 UTC");
        // A week later nothing was deployed, and a missed time is not made up for for ever.
        digests(&store).post_due(at(WEEK + 12 * 3600)).await.unwrap();
        assert_eq!(posted(&store).await.len(), 1);
    }

    #[tokio::test]
    async fn a_time_that_was_missed_is_made_up_for_within_a_day() {
        for (hours, wanted) in [(34, 1), (36, 0)] {
            let folder = tempfile::tempdir().unwrap();
            let place = format!("sqlite://{}", folder.path().join("it.db").display());
            let store = Store::open(&place).await.unwrap();
            keeps(&store, &Guard::over(policy())).await;
            digests(&store).post_due(at(hours * 3600)).await.unwrap();
            assert_eq!(posted(&store).await.len(), wanted, "{hours} h");
        }
    }

    #[test]
    fn the_thread_names_the_worst_deployments() {
        let mut burnt = Guard::settled(Policy { mode: Mode::Observe, ..policy() });
        burnt.breaks(40.0);
        let mut digest = Digest::new(at(0), at(WEEK));
        digest.add(&burnt.watch);
        let lines = digest.finished().lines();
        assert!(lines[0].starts_with("p (observe): would have rolled back 1"), "{lines:?}");
        assert!(
            lines[1].starts_with("api api:2 in production: would have been: rolled back; errors"),
            "{lines:?}"
        );
    }
}
