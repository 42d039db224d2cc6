//! What the gate asks for: overrides, alerts, and the watches of one service.

use serde::de::DeserializeOwned;
use sqlx::{Any, Row, Transaction};

use super::{Store, StoreError, key};
use crate::model::{Alert, GateOverride, ServiceKey};

/// Rows that are kept of each, the newest.
const KEPT: i64 = 1000;

impl Store {
    /// The newest watches of a service, newest first, open or ended; at most `limit`.
    pub async fn watches_of<W: DeserializeOwned>(
        &self,
        service: &ServiceKey,
        limit: u32,
    ) -> Result<Vec<W>, StoreError> {
        let rows = sqlx::query(
            "SELECT state FROM watches WHERE service = $1 ORDER BY opened_ms DESC, id LIMIT $2",
        )
        .bind(service.to_string())
        .bind(i64::from(limit))
        .fetch_all(&self.pool)
        .await?;
        rows.iter().map(|row| Ok(serde_json::from_str(row.get::<&str, _>(0))?)).collect()
    }

    /// The latest overrides of all services, oldest first; at most `limit`.
    pub async fn gate_overrides(&self, limit: u32) -> Result<Vec<GateOverride>, StoreError> {
        let rows = sqlx::query("SELECT gone FROM gate_overrides ORDER BY id DESC LIMIT $1")
            .bind(i64::from(limit))
            .fetch_all(&self.pool)
            .await?;
        rows.iter().rev().map(|row| Ok(serde_json::from_str(row.get::<&str, _>(0))?)).collect()
    }

    /// The alerts that were heard of, those that are over too.
    pub async fn alerts(&self) -> Result<Vec<Alert>, StoreError> {
        self.documents("SELECT alert FROM alerts ORDER BY heard_ms, id").await
    }
}

pub(super) async fn keep_override(
    tx: &mut Transaction<'_, Any>,
    over: &GateOverride,
) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO gate_overrides (id, service, gone) VALUES ($1, $2, $3) \
         ON CONFLICT (id) DO UPDATE SET gone = excluded.gone",
    )
    .bind(key(&over.id))
    .bind(over.service.to_string())
    .bind(serde_json::to_string(over)?)
    .execute(&mut **tx)
    .await?;
    sqlx::query(
        "DELETE FROM gate_overrides WHERE id NOT IN \
         (SELECT id FROM gate_overrides ORDER BY id DESC LIMIT $1)",
    )
    .bind(KEPT)
    .execute(&mut **tx)
    .await?;
    Ok(())
}

pub(super) async fn keep_alert(
    tx: &mut Transaction<'_, Any>,
    alert: &Alert,
) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO alerts (id, service, heard_ms, alert) VALUES ($1, $2, $3, $4) \
         ON CONFLICT (id) DO UPDATE SET heard_ms = excluded.heard_ms, alert = excluded.alert",
    )
    .bind(key(&format!("{} {}", alert.service, alert.fingerprint)))
    .bind(alert.service.to_string())
    .bind(alert.heard.as_millisecond())
    .bind(serde_json::to_string(alert)?)
    .execute(&mut **tx)
    .await?;
    sqlx::query(
        "DELETE FROM alerts WHERE id NOT IN \
         (SELECT id FROM alerts ORDER BY heard_ms DESC, id LIMIT $1)",
    )
    .bind(KEPT)
    .execute(&mut **tx)
    .await?;
    Ok(())
}
