//! The store: journal, state, ledger, permits and outbox in one SQL database.
//!
//! Everything that one step of the engine changes is written by one
//! [`Store::commit`], in one transaction, before anything is done about it.
//! The store keeps documents and never looks into them: it knows the words of
//! `model` and nothing of `watch`.

mod commit;
mod outbox;
mod permits;

use std::path::Path;
use std::str::FromStr;
use std::time::Duration;

use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sqlx::any::{AnyConnectOptions, AnyPoolOptions, install_default_drivers};
use sqlx::{AnyPool, Row};

pub use commit::{WatchRow, Write};
pub use outbox::{Address, Letterbox, Queued};
pub use permits::RecentPermits;

use crate::model::{LedgerEntry, WatchId};

static MIGRATIONS: sqlx::migrate::Migrator = sqlx::migrate!("src/store/migrations");

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
}

/// A stop on automatic action, by scope.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pause {
    /// `all`, `environment:NAME`, or a glob over `target/cluster/service`.
    pub scope: String,
    pub by: String,
    pub reason: Option<String>,
    pub at: Timestamp,
}

/// An open handle; clones share it.
#[derive(Debug, Clone)]
pub struct Store {
    pool: AnyPool,
}

impl Store {
    /// Opens `sqlite://PATH`, creates what is missing and migrates.
    pub async fn open(url: &str) -> Result<Store, StoreError> {
        install_default_drivers();
        if !url.starts_with("sqlite:") {
            return Err(StoreError::Unsupported(format!(
                "`{}` is not supported yet: give sqlite://PATH",
                url.split(':').next().unwrap_or(url)
            )));
        }
        folder_is_there(url)?;
        let separator = if url.contains('?') { '&' } else { '?' };
        let options = AnyConnectOptions::from_str(&format!("{url}{separator}mode=rwc"))?;
        // SQLite has one writer; one connection spares every busy retry.
        let pool = AnyPoolOptions::new()
            .max_connections(1)
            .acquire_timeout(Duration::from_secs(10))
            .after_connect(|connection, _| {
                Box::pin(async move {
                    // FULL: an acknowledged hook survives a power cut.
                    let pragmas = "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; \
                                   PRAGMA busy_timeout=5000; PRAGMA foreign_keys=ON";
                    sqlx::Executor::execute(connection, pragmas).await?;
                    Ok(())
                })
            })
            .connect_with(options)
            .await?;
        MIGRATIONS.run(&pool).await?;
        Ok(Store { pool })
    }

    pub async fn close(&self) {
        self.pool.close().await;
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

    /// One watch, open or ended.
    pub async fn watch<W: DeserializeOwned>(&self, id: &WatchId) -> Result<Option<W>, StoreError> {
        let row = sqlx::query("SELECT state FROM watches WHERE id = $1")
            .bind(id.as_str())
            .fetch_optional(&self.pool)
            .await?;
        row.map(|row| Ok(serde_json::from_str(row.get::<&str, _>(0))?)).transpose()
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
            .bind(id.as_str())
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
        let rows = sqlx::query("SELECT at_ms, event FROM journal WHERE watch = $1 ORDER BY seq")
            .bind(id.as_str())
            .fetch_all(&self.pool)
            .await?;
        rows.iter()
            .map(|row| {
                let event = serde_json::from_str(row.get::<&str, _>(1))?;
                Ok((from_ms(row.get::<i64, _>(0)), event))
            })
            .collect()
    }

    /// The digest and the watch of an announcement that was received before.
    pub async fn announcement(&self, id: &str) -> Result<Option<(String, WatchId)>, StoreError> {
        let row = sqlx::query("SELECT digest, watch FROM announcements WHERE id = $1")
            .bind(id)
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

    async fn documents<D: DeserializeOwned>(
        &self,
        sql: &'static str,
    ) -> Result<Vec<D>, StoreError> {
        let rows = sqlx::query(sql).fetch_all(&self.pool).await?;
        rows.iter().map(|row| Ok(serde_json::from_str(row.get::<&str, _>(0))?)).collect()
    }
}

/// SQLite says of a missing folder only that the file can't be opened.
fn folder_is_there(url: &str) -> Result<(), StoreError> {
    let path = url.trim_start_matches("sqlite:").trim_start_matches("//");
    let path = Path::new(path.split('?').next().unwrap_or(path));
    match path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        Some(folder) if !folder.exists() => Err(StoreError::Unsupported(format!(
            "the folder {} of the store does not exist",
            folder.display()
        ))),
        Some(_) | None => Ok(()),
    }
}

fn from_ms(ms: i64) -> Timestamp {
    Timestamp::from_millisecond(ms).unwrap_or(Timestamp::UNIX_EPOCH)
}
