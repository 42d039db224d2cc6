//! The store: journal, state, ledger, permits and outbox in one SQL database.
//!
//! Everything that one step of the engine changes is written by one
//! [`Store::commit`], in one transaction, before anything is done about it.
//! The store keeps documents and never looks into them: it knows the words of
//! `model` and nothing of `watch`. The database is SQLite or Postgres ([`open`]); of
//! several daemons on one store, one leads ([`lease`]).

mod beats;
mod commit;
mod gate;
mod history;
mod lease;
mod letterbox;
mod open;
mod outbox;
mod permits;
mod probe;

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use sqlx::{AnyPool, Row};
use utoipa::ToSchema;

pub use commit::{WatchRow, Write};
pub use history::{Filed, FoundBy, LastWatch, Sought};
pub use lease::{Claim, Fence};
pub use letterbox::{Backlog, Letterbox, Status};
pub use outbox::Queued;
pub use permits::RecentPermits;

use crate::model::{LedgerEntry, WatchId};
use open::{Kind, Lock};

/// The database was out of reach, full, locked or holds what this version can't read.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("store: {0}")]
    Database(#[from] sqlx::Error),
    #[error("store: migrating: {0}")]
    Migration(#[from] sqlx::migrate::MigrateError),
    #[error("store: a stored document can't be read: {0}")]
    Document(#[from] serde_json::Error),
    #[error("store: {0}")]
    Unsupported(String),
    /// Somebody else has written this watch meanwhile.
    #[error(
        "store: watch {0} is kept otherwise than this process knows it; is a second deployguard on this store?"
    )]
    Conflict(WatchId),
    #[error("store: another deployguard leads on it now")]
    Deposed,
    #[error("store: the file that says who leads can't be locked: {0}")]
    Lock(String),
}

/// A stop on automatic action, by scope.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Pause {
    /// `all`, `environment:NAME`, or a glob over `target/cluster/service`.
    pub scope: String,
    pub by: String,
    pub reason: Option<String>,
    pub at: Timestamp,
}

/// One turn in the history of pauses: who paused or unpaused what. A pause of what was
/// paused already is one too.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PauseTurn {
    /// False: it was unpaused.
    pub paused: bool,
    #[serde(flatten)]
    pub pause: Pause,
}

/// An open handle; clones share it.
#[derive(Debug, Clone)]
pub struct Store {
    kind: Kind,
    pool: AnyPool,
    /// Where the lease is asked for; with SQLite the same one.
    lease: AnyPool,
    lock: Arc<Lock>,
    /// The tenure that everything is written in, if any.
    fence: Option<Fence>,
}

impl Store {
    pub async fn close(&self) {
        self.pool.close().await;
        self.lease.close().await;
    }

    /// Whether the database answers.
    pub async fn ping(&self) -> Result<(), StoreError> {
        sqlx::query("SELECT 1").fetch_one(&self.pool).await?;
        Ok(())
    }

    /// The states of all open watches with their versions, oldest first.
    pub async fn open_watches<W: DeserializeOwned>(&self) -> Result<Vec<(W, i64)>, StoreError> {
        let rows = sqlx::query(
            "SELECT state, version FROM watches WHERE is_open = 1 ORDER BY opened_ms, id",
        )
        .fetch_all(&self.pool)
        .await?;
        rows.iter()
            .map(|row| {
                let state = serde_json::from_str(row.get::<&str, _>(0))?;
                Ok((state, row.get::<i64, _>(1)))
            })
            .collect()
    }

    /// The versions of all open watches.
    pub async fn open_versions(&self) -> Result<BTreeMap<String, i64>, StoreError> {
        let open = "SELECT id, version FROM watches WHERE is_open = 1";
        let rows = sqlx::query(open).fetch_all(&self.pool).await?;
        Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
    }

    /// One watch, open or ended.
    pub async fn watch<W: DeserializeOwned>(&self, id: &WatchId) -> Result<Option<W>, StoreError> {
        let row = sqlx::query("SELECT state FROM watches WHERE id = $1")
            .bind(key(id.as_str()))
            .fetch_optional(&self.pool)
            .await?;
        row.map(|row| Ok(serde_json::from_str(row.get::<&str, _>(0))?)).transpose()
    }

    /// One watch, open or ended, with the number of its events.
    pub async fn kept_watch<W: DeserializeOwned>(
        &self,
        id: &WatchId,
    ) -> Result<Option<(W, i64)>, StoreError> {
        let row = sqlx::query("SELECT state, version FROM watches WHERE id = $1")
            .bind(key(id.as_str()))
            .fetch_optional(&self.pool)
            .await?;
        row.map(|row| Ok((serde_json::from_str(row.get::<&str, _>(0))?, row.get::<i64, _>(1))))
            .transpose()
    }

    /// Whether any watch is open.
    pub async fn has_open_watches(&self) -> Result<bool, StoreError> {
        let row = sqlx::query("SELECT 1 FROM watches WHERE is_open = 1 LIMIT 1")
            .fetch_optional(&self.pool)
            .await?;
        Ok(row.is_some())
    }

    /// Whether a watch of that id was ever kept.
    pub async fn has_watch(&self, id: &WatchId) -> Result<bool, StoreError> {
        let row = sqlx::query("SELECT 1 FROM watches WHERE id = $1")
            .bind(key(id.as_str()))
            .fetch_optional(&self.pool)
            .await?;
        Ok(row.is_some())
    }

    /// The newest watches, open ones first; at most `limit`.
    pub async fn watches<W: DeserializeOwned>(&self, limit: u32) -> Result<Vec<W>, StoreError> {
        let rows = sqlx::query(
            "SELECT state FROM watches ORDER BY is_open DESC, opened_ms DESC, id LIMIT $1",
        )
        .bind(i64::from(limit))
        .fetch_all(&self.pool)
        .await?;
        rows.iter().map(|row| Ok(serde_json::from_str(row.get::<&str, _>(0))?)).collect()
    }

    /// The watches opened since a time, oldest first, after the one opened at `after`
    /// with this id; at most `limit`. `after` begins with the time and no id.
    pub async fn watches_since<W: DeserializeOwned>(
        &self,
        after: &(Timestamp, String),
        limit: u32,
    ) -> Result<Vec<W>, StoreError> {
        // Naming both values of `is_open` lets the index find the times.
        let rows = sqlx::query(
            "SELECT state FROM watches WHERE is_open IN (0, 1) AND opened_ms >= $1 \
             AND (opened_ms > $1 OR id > $2) ORDER BY opened_ms, id LIMIT $3",
        )
        .bind(after.0.as_millisecond())
        .bind(&after.1)
        .bind(i64::from(limit))
        .fetch_all(&self.pool)
        .await?;
        rows.iter().map(|row| Ok(serde_json::from_str(row.get::<&str, _>(0))?)).collect()
    }

    /// The journal of a watch with the times of its events, in order.
    pub async fn journal<E: DeserializeOwned>(
        &self,
        id: &WatchId,
    ) -> Result<Vec<(Timestamp, E)>, StoreError> {
        let kept = self.journal_text(id).await?;
        kept.into_iter().map(|(at, event)| Ok((at, serde_json::from_str(&event)?))).collect()
    }

    /// The same as JSON, for whoever reads it beside everything else: it may be long.
    pub async fn journal_text(&self, id: &WatchId) -> Result<Vec<(Timestamp, String)>, StoreError> {
        let rows = sqlx::query("SELECT at_ms, event FROM journal WHERE watch = $1 ORDER BY seq")
            .bind(key(id.as_str()))
            .fetch_all(&self.pool)
            .await?;
        Ok(rows.iter().map(|row| (from_ms(row.get::<i64, _>(0)), row.get(1))).collect())
    }

    /// The digest and the watch of an announcement that was received before.
    pub async fn announcement(&self, id: &str) -> Result<Option<(String, WatchId)>, StoreError> {
        let row = sqlx::query("SELECT digest, watch FROM announcements WHERE id = $1")
            .bind(key(id))
            .fetch_optional(&self.pool)
            .await?;
        Ok(row.map(|row| (row.get(0), WatchId::typed(row.get::<&str, _>(1)))))
    }

    /// The whole ledger.
    pub async fn ledger(&self) -> Result<Vec<LedgerEntry>, StoreError> {
        self.documents("SELECT entry FROM ledger ORDER BY service, revision").await
    }

    /// What was last seen of each service.
    pub async fn seen<S: DeserializeOwned>(&self) -> Result<Vec<S>, StoreError> {
        self.documents("SELECT state FROM seen ORDER BY service").await
    }

    pub async fn pauses(&self) -> Result<Vec<Pause>, StoreError> {
        self.documents("SELECT pause FROM pauses ORDER BY scope").await
    }

    /// The latest turns of the history of pauses, newest first; at most `limit`. The newest
    /// 1,000 are kept.
    pub async fn pause_history(&self, limit: u32) -> Result<Vec<PauseTurn>, StoreError> {
        let rows = sqlx::query("SELECT turn FROM pause_history ORDER BY seq DESC LIMIT $1")
            .bind(i64::from(limit))
            .fetch_all(&self.pool)
            .await?;
        rows.iter().map(|row| Ok(serde_json::from_str(row.get::<&str, _>(0))?)).collect()
    }

    /// The secret that all daemons on this store share; the first one brings it.
    pub async fn shared_secret(&self, fresh: &str) -> Result<String, StoreError> {
        let known = "SELECT secret FROM shared_secret WHERE name = 'relay'";
        if let Some(row) = sqlx::query(known).fetch_optional(&self.pool).await? {
            return Ok(row.get(0));
        }
        sqlx::query(
            "INSERT INTO shared_secret (name, secret) VALUES ('relay', $1) \
             ON CONFLICT (name) DO NOTHING",
        )
        .bind(fresh)
        .execute(&self.pool)
        .await?;
        Ok(sqlx::query(known).fetch_one(&self.pool).await?.get(0))
    }

    async fn documents<D: DeserializeOwned>(
        &self,
        sql: &'static str,
    ) -> Result<Vec<D>, StoreError> {
        let rows = sqlx::query(sql).fetch_all(&self.pool).await?;
        rows.iter().map(|row| Ok(serde_json::from_str(row.get::<&str, _>(0))?)).collect()
    }
}

/// The longest key that is kept as it is, in bytes: an index of Postgres takes no more
/// than 2,704 a row.
const LONGEST_KEY: usize = 1024;

/// What a row is found by. Names come from outside: one that no index can take, or that
/// Postgres can't write as text, is kept by its digest.
fn key(name: &str) -> String {
    if name.len() <= LONGEST_KEY && !name.contains('\0') {
        return name.to_owned();
    }
    Sha256::digest(name).iter().fold("sha256:".to_owned(), |mut text, byte| {
        use std::fmt::Write as _;
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn from_ms(ms: i64) -> Timestamp {
    Timestamp::from_millisecond(ms).unwrap_or(Timestamp::UNIX_EPOCH)
}
