//! One transaction for all that one step of the engine changes.

use jiff::Timestamp;
use sqlx::{Any, Transaction};

use super::gate::{keep_alert, keep_override};
use super::history::{plain, searched};
use super::outbox::queue;
use super::{Pause, PauseTurn, Store, StoreError, key};
use crate::crash;
use crate::model::{Address, Alert, GateOverride, LedgerEntry, Notice, ServiceKey, WatchId};

/// Lines of the history of pauses that are kept, the newest.
const TURNS: i64 = 1000;

/// A watch's state with what may be looked up by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WatchRow {
    pub id: WatchId,
    pub service: ServiceKey,
    pub deployment: String,
    pub is_open: bool,
    pub opened_at: Timestamp,
    /// As it was announced.
    pub name: String,
    pub environment: String,
    /// `None` while it is open.
    pub outcome: Option<&'static str>,
    /// The state as JSON.
    pub state: String,
}

/// One thing to be kept.
#[derive(Debug, Clone, PartialEq)]
pub enum Write {
    /// Events, in order, and the state after them. `version`: the number of
    /// events kept before; anything else in the store is a conflict.
    Watch {
        row: WatchRow,
        version: i64,
        events: Vec<(Timestamp, String)>,
    },
    Announcement {
        id: String,
        digest: String,
        watch: WatchId,
    },
    Ledger(LedgerEntry),
    /// What was seen of a service, as JSON.
    Seen {
        service: ServiceKey,
        state: String,
    },
    Outbox {
        notice: Notice,
        address: Address,
    },
    Pause(Pause),
    Unpause {
        scope: String,
    },
    /// A line of the history of pauses.
    PauseTurn(PauseTurn),
    /// New, or bound to its deployment.
    GateOverride(GateOverride),
    Alert(Alert),
}

impl Store {
    /// Keeps all of `writes`, or nothing of them.
    pub async fn commit(&self, writes: &[Write], now: Timestamp) -> Result<(), StoreError> {
        let mut transaction = self.begin().await?;
        for write in writes {
            keep(&mut transaction, write, now.as_millisecond()).await?;
        }
        crash::point("commit-within");
        transaction.commit().await?;
        Ok(())
    }
}

async fn keep(tx: &mut Transaction<'_, Any>, write: &Write, now: i64) -> Result<(), StoreError> {
    match write {
        Write::Watch { row, version, events } => keep_watch(tx, row, *version, events, now).await?,
        Write::Announcement { id, digest, watch } => {
            sqlx::query(
                "INSERT INTO announcements (id, digest, watch, received_ms) \
                 VALUES ($1, $2, $3, $4)",
            )
            .bind(key(id))
            .bind(digest)
            .bind(watch.as_str())
            .bind(now)
            .execute(&mut **tx)
            .await?;
        }
        Write::Ledger(entry) => {
            // Digests tell revisions of one task definition apart.
            let revision = format!("{} {}", entry.revision.name, entry.revision.digests.join(","));
            sqlx::query(
                "INSERT INTO ledger (service, revision, entry) VALUES ($1, $2, $3) \
                 ON CONFLICT (service, revision) DO UPDATE SET entry = excluded.entry",
            )
            .bind(entry.service.to_string())
            .bind(key(&revision))
            .bind(serde_json::to_string(entry)?)
            .execute(&mut **tx)
            .await?;
        }
        Write::Seen { service, state } => {
            sqlx::query(
                "INSERT INTO seen (service, state) VALUES ($1, $2) \
                 ON CONFLICT (service) DO UPDATE SET state = excluded.state",
            )
            .bind(service.to_string())
            .bind(state)
            .execute(&mut **tx)
            .await?;
        }
        Write::Outbox { notice, address } => queue(tx, notice, address, now).await?,
        Write::Pause(pause) => {
            sqlx::query(
                "INSERT INTO pauses (scope, pause) VALUES ($1, $2) \
                 ON CONFLICT (scope) DO UPDATE SET pause = excluded.pause",
            )
            .bind(key(&pause.scope))
            .bind(serde_json::to_string(pause)?)
            .execute(&mut **tx)
            .await?;
        }
        Write::PauseTurn(turn) => keep_turn(tx, turn).await?,
        Write::GateOverride(over) => keep_override(tx, over).await?,
        Write::Alert(alert) => keep_alert(tx, alert).await?,
        Write::Unpause { scope } => {
            sqlx::query("DELETE FROM pauses WHERE scope = $1")
                .bind(key(scope))
                .execute(&mut **tx)
                .await?;
        }
    }
    Ok(())
}

async fn keep_turn(tx: &mut Transaction<'_, Any>, turn: &PauseTurn) -> Result<(), StoreError> {
    // One writer at a time has the lead, so the next number is nobody else's.
    sqlx::query(
        "INSERT INTO pause_history (seq, turn) \
         SELECT COALESCE(MAX(seq), 0) + 1, $1 FROM pause_history",
    )
    .bind(serde_json::to_string(turn)?)
    .execute(&mut **tx)
    .await?;
    sqlx::query("DELETE FROM pause_history WHERE seq <= (SELECT MAX(seq) FROM pause_history) - $1")
        .bind(TURNS)
        .execute(&mut **tx)
        .await?;
    Ok(())
}

async fn keep_watch(
    tx: &mut Transaction<'_, Any>,
    row: &WatchRow,
    version: i64,
    events: &[(Timestamp, String)],
    now: i64,
) -> Result<(), StoreError> {
    let after = version + i64::try_from(events.len()).unwrap_or(i64::MAX);
    let done = if version == 0 {
        sqlx::query(
            "INSERT INTO watches \
             (id, service, deployment, is_open, version, state, opened_ms, updated_ms, \
             environment, outcome, name) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) ON CONFLICT (id) DO NOTHING",
        )
        .bind(row.id.as_str())
        .bind(row.service.to_string())
        .bind(&row.deployment)
        .bind(i64::from(row.is_open))
        .bind(after)
        .bind(&row.state)
        .bind(row.opened_at.as_millisecond())
        .bind(now)
        .bind(plain(&row.environment))
        .bind(row.outcome)
        .bind(searched(&row.name))
        .execute(&mut **tx)
        .await?
    } else {
        sqlx::query(
            "UPDATE watches SET is_open = $1, version = $2, state = $3, updated_ms = $4, \
             environment = $5, outcome = $6, name = $7 WHERE id = $8 AND version = $9",
        )
        .bind(i64::from(row.is_open))
        .bind(after)
        .bind(&row.state)
        .bind(now)
        .bind(plain(&row.environment))
        .bind(row.outcome)
        .bind(searched(&row.name))
        .bind(row.id.as_str())
        .bind(version)
        .execute(&mut **tx)
        .await?
    };
    if done.rows_affected() != 1 {
        return Err(StoreError::Conflict(row.id.clone()));
    }
    for ((at, event), seq) in events.iter().zip(version + 1..) {
        sqlx::query("INSERT INTO journal (watch, seq, at_ms, event) VALUES ($1, $2, $3, $4)")
            .bind(row.id.as_str())
            .bind(seq)
            .bind(at.as_millisecond())
            .bind(event)
            .execute(&mut **tx)
            .await?;
    }
    Ok(())
}
