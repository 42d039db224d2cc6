//! Messages that are promised and not yet delivered, in order within a watch.
//!
//! What this build can't read, because a newer one wrote it, is set aside: kept and counted,
//! in nobody's way, and looked at again when a postman begins.

use jiff::Timestamp;
use sqlx::any::AnyRow;
use sqlx::{Any, Row, Transaction};

use super::{Store, StoreError, from_ms};
use crate::model::{Address, Body, FILES, GitHubNote, Lane, Notice, Turn, WatchId, Way};

/// A notice at the head of its watch's queue.
#[derive(Debug, Clone, PartialEq)]
pub struct Queued {
    pub seq: i64,
    pub notice: Notice,
    pub address: Address,
    /// Tries so far.
    pub attempts: u32,
    pub queued_at: Timestamp,
    /// Not before this.
    pub next_at: Timestamp,
}

/// Puts a notice in. A card, or a mark at GitHub, replaces one that nobody has tried to deliver, in
/// that one's place, so that the order of the thread stays. What is to be said later waits
/// until then.
pub(super) async fn queue(
    tx: &mut Transaction<'_, Any>,
    notice: &Notice,
    address: &Address,
    now: i64,
) -> Result<(), StoreError> {
    let kind = match notice.body {
        Body::Card(_) => "card",
        Body::Reply(_) => "reply",
        Body::Files { .. } => "files",
        Body::Signal { .. } => "signal",
        Body::GitHub(ref note) => match **note {
            GitHubNote::Mark(_) => "mark",
            GitHubNote::Revert(_) => "revert",
        },
    };
    let document = serde_json::to_string(notice)?;
    let now = now.max(notice.at.as_millisecond());
    // The last state is what counts of both.
    if kind == "card" || kind == "mark" {
        let replaced = sqlx::query(
            "UPDATE outbox SET notice = $1 \
             WHERE watch = $2 AND kind = $3 AND status = 'pending' AND attempts = 0",
        )
        .bind(&document)
        .bind(notice.watch.as_str())
        .bind(kind)
        .execute(&mut **tx)
        .await?
        .rows_affected();
        if replaced > 0 {
            return Ok(());
        }
    }
    sqlx::query(
        "INSERT INTO outbox \
         (seq, watch, kind, notice, address, route, status, attempts, next_ms, queued_ms) \
         SELECT COALESCE(MAX(seq), 0) + 1, $1, $2, $3, $4, $5, 'pending', 0, $6, $6 FROM outbox",
    )
    .bind(notice.watch.as_str())
    .bind(kind)
    .bind(document)
    .bind(serde_json::to_string(address)?)
    .bind(address.route(&notice.body))
    .bind(now)
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// What others say may hold what Postgres can't write as text.
fn text(words: &str) -> String {
    words.replace('\0', "")
}

impl Store {
    /// The first undelivered notice of each watch and route of a lane, the next due first; at
    /// most `limit`.
    /// An edit of the deployment's message that has to wait lets what is said under it pass.
    /// What this build can't read is set aside: kept for one that can, and no longer in the way.
    pub async fn outbox_heads(&self, lane: Lane, limit: u32) -> Result<Vec<Queued>, StoreError> {
        loop {
            let (mut heads, mut all_read) = (Vec::new(), true);
            for head in self.raw_heads(lane, limit).await? {
                match head {
                    Ok(queued) => heads.push(queued),
                    Err(Unread { seq, next_at, why }) => {
                        tracing::error!(seq, why, "a message is set aside: it can't be read");
                        self.settle(seq, "unreadable", &why, next_at).await?;
                        all_read = false;
                    }
                }
            }
            // What stood behind them is at the head now.
            if all_read {
                return Ok(heads);
            }
        }
    }

    async fn raw_heads(
        &self,
        lane: Lane,
        limit: u32,
    ) -> Result<Vec<Result<Queued, Unread>>, StoreError> {
        // An exact route, all below one, and one that is another's lane.
        let (exact, below, but) = match lane {
            Lane::Words(way) => (way.as_str(), format!("{}:%", way.as_str()), FILES),
            Lane::Files => (FILES, String::new(), ""),
        };
        let rows = sqlx::query(
            "SELECT seq, notice, address, attempts, queued_ms, next_ms FROM outbox \
             WHERE seq IN (SELECT MIN(seq) FROM outbox \
                 WHERE status = 'pending' AND (route = $1 OR route LIKE $2) AND route <> $3 \
                 AND NOT (kind = 'card' AND attempts > 0 \
                     AND EXISTS (SELECT 1 FROM threads WHERE threads.watch = outbox.watch) \
                     AND EXISTS (SELECT 1 FROM outbox AS reply \
                         WHERE reply.status = 'pending' AND reply.watch = outbox.watch \
                         AND reply.kind = 'reply' AND reply.seq > outbox.seq)) \
                 GROUP BY watch, route) \
             ORDER BY next_ms, seq LIMIT $4",
        )
        .bind(exact)
        .bind(below)
        .bind(but)
        .bind(i64::from(limit))
        .fetch_all(&self.pool)
        .await?;
        Ok(rows.iter().map(head).collect())
    }

    /// The deployment's message that waits behind what is to go under it, if it is due: the
    /// one in front was given up or set aside.
    pub async fn outbox_card(
        &self,
        watch: &WatchId,
        now: Timestamp,
    ) -> Result<Option<Queued>, StoreError> {
        let row = sqlx::query(
            "SELECT seq, notice, address, attempts, queued_ms, next_ms FROM outbox \
             WHERE watch = $1 AND kind = 'card' AND status = 'pending' AND next_ms <= $2 \
             ORDER BY seq LIMIT 1",
        )
        .bind(watch.as_str())
        .bind(now.as_millisecond())
        .fetch_optional(&self.pool)
        .await?;
        Ok(row.and_then(|row| head(&row).ok()))
    }

    /// What was set aside and this build can read waits once more where it `is_news` since it
    /// was put in; but for what something later was delivered after: the order stays.
    pub async fn outbox_reread(
        &self,
        is_news: impl Fn(&Notice, Timestamp) -> bool + Send,
    ) -> Result<(), StoreError> {
        let mut transaction = self.begin().await?;
        let rows = sqlx::query(
            "SELECT seq, notice, address, attempts, queued_ms, next_ms FROM outbox \
             WHERE status = 'unreadable' \
             AND NOT EXISTS (SELECT 1 FROM outbox AS later WHERE later.watch = outbox.watch \
                 AND later.route = outbox.route AND later.seq > outbox.seq \
                 AND later.status = 'delivered')",
        )
        .fetch_all(&mut *transaction)
        .await?;
        let mut read: Vec<Queued> = rows.iter().filter_map(|row| head(row).ok()).collect();
        read.retain(|queued| is_news(&queued.notice, queued.queued_at));
        for queued in read {
            sqlx::query("UPDATE outbox SET status = 'pending' WHERE seq = $1")
                .bind(queued.seq)
                .execute(&mut *transaction)
                .await?;
        }
        transaction.commit().await?;
        Ok(())
    }

    /// Whether nothing but `seq` that was said of `incident` to whoever is at `route` has
    /// reached it or still may, and its beginning was refused. What nobody answered may have
    /// arrived, and an incident whose beginning is kept no more may have been heard of.
    pub async fn outbox_lost(
        &self,
        route: &str,
        incident: &str,
        seq: i64,
    ) -> Result<bool, StoreError> {
        let rows = sqlx::query(
            "SELECT status, notice FROM outbox WHERE route = $1 AND kind = 'signal' \
             AND status <> 'unreadable' AND seq <> $2",
        )
        .bind(route)
        .bind(seq)
        .fetch_all(&self.pool)
        .await?;
        let turn_of_it = |row: &AnyRow| {
            let notice = serde_json::from_str::<Notice>(row.get::<&str, _>(1)).ok()?;
            match notice.body {
                Body::Signal { signal, .. } if signal.incident == incident => Some(signal.turn),
                Body::Signal { .. }
                | Body::Card(_)
                | Body::Reply(_)
                | Body::Files { .. }
                | Body::GitHub(_) => None,
            }
        };
        let mut lost = false;
        for row in &rows {
            let Some(turn) = turn_of_it(row) else { continue };
            if row.get::<&str, _>(0) != "undeliverable" {
                return Ok(false);
            }
            lost |= turn == Turn::Opened;
        }
        Ok(lost)
    }

    /// Counts a try, before it is made: after a crash the next one looks first
    /// whether this one arrived. Returns the notice to deliver, which may be a
    /// newer card than when the queue was read; from here on none replaces it.
    pub async fn outbox_trying(&self, seq: i64) -> Result<Notice, StoreError> {
        let mut transaction = self.begin().await?;
        let row = sqlx::query(
            "UPDATE outbox SET attempts = attempts + 1 WHERE seq = $1 RETURNING notice",
        )
        .bind(seq)
        .fetch_one(&mut *transaction)
        .await?;
        transaction.commit().await?;
        Ok(serde_json::from_str(row.get::<&str, _>(0))?)
    }

    /// Whether there is, or lately was, mail of a watch.
    pub async fn has_mail_of(&self, watch: &WatchId) -> Result<bool, StoreError> {
        let row = sqlx::query("SELECT 1 FROM outbox WHERE watch = $1 LIMIT 1")
            .bind(watch.as_str())
            .fetch_optional(&self.pool)
            .await?;
        Ok(row.is_some())
    }

    /// A notice has arrived; `thread` is the deployment's message.
    pub async fn outbox_delivered(
        &self,
        seq: i64,
        watch: &WatchId,
        thread: Option<&str>,
    ) -> Result<(), StoreError> {
        let mut transaction = self.begin().await?;
        sqlx::query("UPDATE outbox SET status = 'delivered', error = NULL WHERE seq = $1")
            .bind(seq)
            .execute(&mut *transaction)
            .await?;
        if let Some(thread) = thread {
            sqlx::query(
                "INSERT INTO threads (watch, thread) VALUES ($1, $2) \
                 ON CONFLICT (watch) DO UPDATE SET thread = excluded.thread",
            )
            .bind(watch.as_str())
            .bind(thread)
            .execute(&mut *transaction)
            .await?;
        }
        transaction.commit().await?;
        Ok(())
    }

    /// Another try at `next`.
    pub async fn outbox_retry(
        &self,
        seq: i64,
        next: Timestamp,
        error: &str,
    ) -> Result<(), StoreError> {
        let mut transaction = self.begin().await?;
        sqlx::query("UPDATE outbox SET next_ms = $1, error = $2 WHERE seq = $3")
            .bind(next.as_millisecond())
            .bind(text(error))
            .bind(seq)
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        Ok(())
    }

    /// What waits on a way because of `why` is tried at once.
    pub async fn outbox_hasten(
        &self,
        way: Way,
        why: &str,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let mut transaction = self.begin().await?;
        sqlx::query(
            "UPDATE outbox SET next_ms = $1 WHERE status = 'pending' AND next_ms > $1 \
             AND (route = $2 OR route LIKE $3) AND error LIKE $4",
        )
        .bind(now.as_millisecond())
        .bind(way.as_str())
        .bind(format!("{}:%", way.as_str()))
        .bind(format!("%{why}%"))
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await?;
        Ok(())
    }

    /// No further try of what was refused: kept for people to see, and no longer in the way.
    pub async fn outbox_undeliverable(
        &self,
        seq: i64,
        error: &str,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        self.settle(seq, "undeliverable", error, now).await
    }

    /// The same of what was tried for too long: any of the tries may have arrived.
    pub async fn outbox_expired(
        &self,
        seq: i64,
        error: &str,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        self.settle(seq, "expired", error, now).await
    }

    /// Out of the queue at `now`.
    async fn settle(
        &self,
        seq: i64,
        status: &str,
        error: &str,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let mut transaction = self.begin().await?;
        sqlx::query("UPDATE outbox SET status = $1, error = $2, next_ms = $3 WHERE seq = $4")
            .bind(status)
            .bind(text(error))
            .bind(now.as_millisecond())
            .bind(seq)
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        Ok(())
    }

    /// Forgets what was delivered, given up or set aside before `before`; what can't be read
    /// and may be the end of an incident, before `ends_before`. What was told somebody of a
    /// watch is kept while more of it waits for them: it says what they have heard.
    pub async fn outbox_prune(
        &self,
        before: Timestamp,
        ends_before: Timestamp,
    ) -> Result<(), StoreError> {
        let mut transaction = self.begin().await?;
        sqlx::query(
            "DELETE FROM outbox WHERE status <> 'pending' \
             AND ((next_ms < $1 AND NOT (kind = 'signal' AND status = 'unreadable')) \
                 OR next_ms < $2) \
             AND NOT (kind = 'signal' AND EXISTS (SELECT 1 FROM outbox AS waits \
                 WHERE waits.status = 'pending' AND waits.route = outbox.route \
                 AND waits.watch = outbox.watch))",
        )
        .bind(before.as_millisecond())
        .bind(ends_before.as_millisecond())
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await?;
        Ok(())
    }

    /// The deployment's message, as JSON.
    pub async fn thread(&self, watch: &WatchId) -> Result<Option<String>, StoreError> {
        let row = sqlx::query("SELECT thread FROM threads WHERE watch = $1")
            .bind(watch.as_str())
            .fetch_optional(&self.pool)
            .await?;
        Ok(row.map(|row| row.get(0)))
    }
}

/// A row of the queue that this build can't read.
struct Unread {
    seq: i64,
    next_at: Timestamp,
    why: String,
}

/// A row of the queue, if this build can read it.
fn head(row: &AnyRow) -> Result<Queued, Unread> {
    let (seq, next_at) = (row.get(0), from_ms(row.get::<i64, _>(5)));
    let unread = |error: serde_json::Error| Unread { seq, next_at, why: error.to_string() };
    Ok(Queued {
        seq,
        notice: serde_json::from_str(row.get::<&str, _>(1)).map_err(unread)?,
        address: serde_json::from_str(row.get::<&str, _>(2)).map_err(unread)?,
        attempts: u32::try_from(row.get::<i64, _>(3)).unwrap_or(u32::MAX),
        queued_at: from_ms(row.get::<i64, _>(4)),
        next_at,
    })
}
