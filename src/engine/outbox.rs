//! The postman: takes promised messages to people, in order within a watch, and
//! never in anybody's way.

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::handle::{EngineHandle, Refused};
use super::patience::{END_TOO_OLD, closes, dated, pages, pause_after, takes_any_end, too_old};
use super::tenure::Tenure;
use super::{clock, picture};
use crate::crash;
use crate::model::{Address, Body, GitHubNote, Lane, Notice, Recipient, WatchId, Way};
use crate::notify::elsewhere::Elsewhere;
use crate::notify::github::Written;
use crate::notify::slack::{Slack, TOKEN};
use crate::notify::{Call, DeliverError, Letter, Notifier, Thread};
use crate::store::{Queued, Store, StoreError};
use crate::telemetry::{Metrics, Traces};
use crate::watch::Event;

/// Letters under way at once.
const AT_ONCE: u32 = 8;
/// After this long the thread hears that somebody has not been reached.
const LATE: SignedDuration = SignedDuration::from_mins(5);
/// How long a page waits for the deployment's message to go under.
const LONE: SignedDuration = SignedDuration::from_mins(1);
/// How long a letter is kept that was delivered, or can't be.
const KEPT: SignedDuration = SignedDuration::from_hours(7 * 24);
/// The pause after the store could not say or keep what became of a message.
const TROUBLED: Duration = Duration::from_secs(5);
/// Looks at the outbox even if nobody rings.
const IDLE: Duration = Duration::from_secs(30);

/// What the postman works with.
#[derive(Clone)]
pub struct Postman {
    /// Under the fence of the tenure: a letter is another's once another leads.
    pub store: Store,
    pub tenure: Tenure,
    /// What it carries: a dead way is no other's business.
    pub lane: Lane,
    pub slack: Option<Arc<Slack>>,
    pub elsewhere: Arc<Elsewhere>,
    /// Hears who could not be told.
    pub engine: EngineHandle,
    pub metrics: Arc<Metrics>,
    pub traces: Traces,
    /// Counts up when something was put in.
    pub mail: watch::Receiver<u64>,
}

/// Delivers until `stop`, or until the tenure is over.
pub async fn deliver_forever(postman: Postman, stop: CancellationToken) {
    let tenure = postman.tenure.clone();
    tenure.hold(deliver_until(postman, stop)).await;
}

async fn deliver_until(mut postman: Postman, stop: CancellationToken) {
    let now = clock::now();
    let is_news = |notice: &Notice, at: Timestamp| now.duration_since(at) <= too_old(notice);
    if let Err(error) = postman.store.outbox_reread(is_news).await {
        tracing::error!(%error, "what was set aside of the outbox stays so");
    }
    while !stop.is_cancelled() {
        let wait = match postman.round().await {
            Ok(wait) => wait,
            Err(error) => {
                tracing::error!(%error, "the outbox can't be read");
                Duration::from_secs(5)
            }
        };
        tokio::select! {
            () = stop.cancelled() => return,
            rung = postman.mail.changed() => {
                // An engine that has ended puts nothing in.
                if rung.is_err() {
                    tokio::select! {
                        () = stop.cancelled() => return,
                        () = tokio::time::sleep(wait) => {}
                    }
                }
            }
            () = tokio::time::sleep(wait) => {}
        }
    }
}

/// How one try ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tried {
    Delivered,
    Again,
    GivenUp,
}

impl Postman {
    /// One round over the heads of all the watches' queues. Returns when the next
    /// one is due.
    pub async fn round(&self) -> Result<Duration, StoreError> {
        let Self { store, metrics, lane, tenure, .. } = self;
        loop {
            let now = clock::now();
            let heads = store.outbox_heads(*lane, AT_ONCE).await?;
            let (due, later): (Vec<_>, Vec<_>) =
                heads.into_iter().partition(|queued| queued.next_at <= now);
            metrics.letterboxes(&store.letterboxes().await?, now, || !tenure.is_over());
            if due.is_empty() {
                let before = |kept| now.checked_sub(kept).unwrap_or(now);
                store.outbox_prune(before(KEPT), before(END_TOO_OLD)).await?;
                let next = later.iter().map(|queued| queued.next_at).min();
                return Ok(next.map_or(IDLE, |at| {
                    Duration::try_from(at.duration_since(now)).unwrap_or_default().min(IDLE)
                }));
            }
            let mut under_way = tokio::task::JoinSet::new();
            for queued in due {
                let postman = self.clone();
                under_way.spawn(async move {
                    // Each by itself: nothing is sent after the end, whichever task runs first.
                    let begun = clock::now();
                    let Some(result) = postman.tenure.hold(postman.deliver(&queued)).await else {
                        return;
                    };
                    let way = postman.lane.way();
                    postman.metrics.delivered(way, &result);
                    postman.traces.delivered(way, &queued, (begun, clock::now()), &result);
                    if let Err(error) = result {
                        tracing::error!(watch = %queued.notice.watch, %error, "outbox");
                        // The same message is the next one again: not without a pause.
                        tokio::time::sleep(TROUBLED).await;
                    }
                });
            }
            while under_way.join_next().await.is_some() {}
        }
    }

    async fn deliver(&self, queued: &Queued) -> Result<Tried, StoreError> {
        let store = &self.store;
        let notice = store.outbox_trying(queued.seq).await?;
        crash::point("send-before");
        let result = match (&queued.address, &notice.body) {
            (Address::Slack { channel, mentions }, Body::Card(_) | Body::Reply(_)) => {
                self.post(queued, &notice, channel, mentions).await?
            }
            (Address::Slack { channel, .. }, Body::Files { charts, report }) => {
                self.hand_in(queued, &notice, channel, charts, *report).await?
            }
            (Address::Elsewhere { recipient }, Body::Signal { signal, .. }) => {
                let route = queued.address.route(&notice.body);
                if closes(signal)
                    && !takes_any_end(recipient)
                    && store.outbox_lost(&route, &signal.incident, queued.seq).await?
                {
                    let why = "it has heard nothing of this incident".to_owned();
                    Err(DeliverError::Permanent(why))
                } else {
                    let (key, at, now) = (notice.key.clone(), notice.at, clock::now());
                    let call = Call { key, at, now, signal: (**signal).clone() };
                    self.elsewhere.call(recipient, &call).await.map(|()| None)
                }
            }
            (Address::Elsewhere { recipient: Recipient::GitHub(_) }, Body::GitHub(note)) => {
                self.write(queued, &notice, note).await?.map(|()| None)
            }
            (Address::Slack { .. }, Body::Signal { .. } | Body::GitHub(_))
            | (
                Address::Elsewhere { .. },
                Body::Card(_) | Body::Reply(_) | Body::Files { .. } | Body::GitHub(_),
            ) => Err(DeliverError::Permanent("it does not go this way".to_owned())),
        };
        crash::point("send-after");
        match result {
            Ok(thread) => {
                let thread = thread.as_ref().map(serde_json::to_string).transpose()?;
                store.outbox_delivered(queued.seq, &notice.watch, thread.as_deref()).await?;
                // The token is good again: what waits for that in other threads goes at once.
                if self.lane.way() == Way::Slack {
                    store.outbox_hasten(Way::Slack, TOKEN, clock::now()).await?;
                }
                Ok(Tried::Delivered)
            }
            Err(error) => self.give_up_or_retry(queued, &error, clock::now()).await,
        }
    }

    async fn give_up_or_retry(
        &self,
        queued: &Queued,
        error: &DeliverError,
        now: Timestamp,
    ) -> Result<Tried, StoreError> {
        let watch = &queued.notice.watch;
        let age = now.duration_since(queued.queued_at);
        match error {
            DeliverError::Transient { reason, retry_after } if age <= too_old(&queued.notice) => {
                let pause = retry_after
                    .and_then(|after| SignedDuration::try_from(after).ok())
                    .unwrap_or_else(|| pause_after(queued.attempts));
                let next = now.checked_add(pause).unwrap_or(now);
                tracing::warn!(watch = %watch, reason, retry_in = %pause, "a message waits");
                self.store.outbox_retry(queued.seq, next, reason).await?;
                if age >= LATE {
                    self.say_untold(queued, reason, false).await;
                }
                Ok(Tried::Again)
            }
            DeliverError::Transient { reason, .. } | DeliverError::Permanent(reason) => {
                tracing::error!(watch = %watch, reason, "a message can't be delivered");
                // First, so that a crash between the two tells it twice and not never.
                if !self.say_untold(queued, reason, true).await {
                    let next = now.checked_add(pause_after(queued.attempts)).unwrap_or(now);
                    self.store.outbox_retry(queued.seq, next, reason).await?;
                    return Ok(Tried::Again);
                }
                match error {
                    DeliverError::Permanent(_) => {
                        self.store.outbox_undeliverable(queued.seq, reason, now).await?;
                    }
                    DeliverError::Transient { .. } => {
                        self.store.outbox_expired(queued.seq, reason, now).await?;
                    }
                }
                Ok(Tried::GivenUp)
            }
        }
    }

    /// Lets the thread hear that somebody elsewhere has not, or the reverse. Whether it is
    /// kept, or nobody needs it: no while the engine can't keep it.
    async fn say_untold(&self, queued: &Queued, because: &str, given_up: bool) -> bool {
        let because = because.to_owned();
        let event = match (&queued.address, &queued.notice.body) {
            (Address::Elsewhere { recipient }, _) => {
                Event::Untold { to: recipient.clone(), because, given_up }
            }
            (Address::Slack { .. }, body) if pages(body) => Event::Unposted { because },
            (
                Address::Slack { .. },
                Body::Reply(_)
                | Body::Card(_)
                | Body::Files { .. }
                | Body::Signal { .. }
                | Body::GitHub(_),
            ) => return true,
        };
        let watch = queued.notice.watch.clone();
        let told = self.engine.untold(watch, event).await;
        if let Err(why) = &told {
            tracing::warn!(watch = %queued.notice.watch, %why, "no other channel can be told");
        }
        !matches!(told, Err(Refused::Unavailable(_)))
    }

    /// To Slack. Answers the deployment's message, where this was it.
    async fn post(
        &self,
        queued: &Queued,
        notice: &Notice,
        channel: &str,
        mentions: &[String],
    ) -> Result<Result<Option<Thread>, DeliverError>, StoreError> {
        let Some(slack) = &self.slack else {
            let why = "the settings have no `slack`".to_owned();
            return Ok(Err(DeliverError::Permanent(why)));
        };
        let notice = &dated(notice, clock::now());
        let mut letter = self.letter(queued, notice, channel, mentions).await?;
        let is_card = matches!(notice.body, Body::Card(_));
        // The deployment's first message was given up or set aside: a later one takes its place.
        if !is_card
            && letter.thread.is_none()
            && let Some(card) = self.store.outbox_card(&notice.watch, clock::now()).await?
        {
            Box::pin(self.deliver(&card)).await?;
            letter = self.letter(queued, notice, channel, mentions).await?;
        }
        let waited = clock::now().duration_since(queued.queued_at);
        letter.alone = letter.thread.is_none() && pages(&notice.body) && waited >= LONE;
        Ok(slack.deliver(&letter).await.map(|message| is_card.then_some(message)))
    }
}

impl Postman {
    /// Files, made of the journal now that they are wanted.
    async fn hand_in(
        &self,
        queued: &Queued,
        notice: &Notice,
        channel: &str,
        charts: &[String],
        report: bool,
    ) -> Result<Result<Option<Thread>, DeliverError>, StoreError> {
        let Some(slack) = &self.slack else {
            let why = "the settings have no `slack`".to_owned();
            return Ok(Err(DeliverError::Permanent(why)));
        };
        let letter = self.letter(queued, notice, channel, &[]).await?;
        if letter.thread.is_none() {
            return Ok(Err(DeliverError::Transient {
                reason: "the deployment's message is not delivered yet".to_owned(),
                retry_after: None,
            }));
        }
        let journal = match self.journal(&notice.watch).await? {
            Ok(journal) => journal,
            Err(why) => return Ok(Err(why)),
        };
        let (notice, charts) = (notice.clone(), charts.to_vec());
        let made = picture::drawn(move || picture::parcel(&journal, &notice, &charts, report));
        let parcel = match made.await.and_then(|made| made) {
            Ok(parcel) => parcel,
            Err(why) => return Ok(Err(DeliverError::Permanent(why))),
        };
        Ok(slack.hand_in(&letter, &parcel).await.map(|_| None))
    }

    /// At GitHub; a report is made of the journal now that it is wanted.
    async fn write(
        &self,
        queued: &Queued,
        notice: &Notice,
        note: &GitHubNote,
    ) -> Result<Result<(), DeliverError>, StoreError> {
        let report = match note {
            GitHubNote::Mark(_) => None,
            GitHubNote::Revert(_) => {
                let journal = match self.journal(&notice.watch).await? {
                    Ok(journal) => journal,
                    Err(why) => return Ok(Err(why)),
                };
                let at = notice.at;
                let made = picture::drawn(move || picture::told(&journal, at)).await;
                match made.and_then(|made| made) {
                    Ok(report) => Some(report),
                    Err(why) => return Ok(Err(DeliverError::Permanent(why))),
                }
            }
        };
        let written = Written {
            watch: notice.watch.clone(),
            at: notice.at,
            now: clock::now(),
            note: note.clone(),
            report,
            maybe_sent: queued.attempts > 0,
        };
        Ok(self.elsewhere.write(&written).await)
    }

    /// A watch's journal, where this build can read it: pausing for another version's words
    /// would hold up the other watches' files.
    async fn journal(
        &self,
        watch: &WatchId,
    ) -> Result<Result<Vec<(Timestamp, Event)>, DeliverError>, StoreError> {
        match self.store.journal::<Event>(watch).await {
            Ok(journal) => Ok(Ok(journal)),
            Err(StoreError::Document(why)) => {
                Ok(Err(DeliverError::Permanent(format!("of its journal: {why}"))))
            }
            Err(error) => Err(error),
        }
    }

    async fn letter(
        &self,
        queued: &Queued,
        notice: &Notice,
        channel: &str,
        mentions: &[String],
    ) -> Result<Letter, StoreError> {
        let thread: Option<Thread> = match self.store.thread(&notice.watch).await? {
            Some(text) => Some(serde_json::from_str(&text)?),
            None => None,
        };
        Ok(Letter {
            notice: notice.clone(),
            channel: channel.to_owned(),
            mentions: mentions.to_vec(),
            thread,
            maybe_sent: queued.attempts > 0,
            alone: false,
        })
    }
}

#[cfg(test)]
#[path = "outbox_tests.rs"]
mod tests;
