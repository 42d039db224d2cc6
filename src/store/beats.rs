//! Heartbeats of scheduled jobs.

use jiff::Timestamp;
use sqlx::Row;

use super::{Store, StoreError};
use crate::model::Beat;

/// Beats that are kept of a job, the newest, and jobs.
const KEPT: i64 = 400;
const MOST_JOBS: i64 = 500;
/// Beats that are read: enough for a few runs, each of which may beat several times.
const READ: i64 = 100;

impl Store {
    /// Keeps a beat; the same moment again takes the place of what was known of it.
    /// `false`: there are too many jobs already, and nothing is kept.
    pub async fn beat(&self, job: &str, beat: Beat) -> Result<bool, StoreError> {
        let mut tx = self.pool.begin().await?;
        let jobs = sqlx::query(
            "SELECT COUNT(*) FROM (SELECT DISTINCT job FROM heartbeats WHERE job <> $1) AS others",
        )
        .bind(job)
        .fetch_one(&mut *tx)
        .await?;
        if jobs.get::<i64, _>(0) >= MOST_JOBS {
            return Ok(false);
        }
        sqlx::query(
            "INSERT INTO heartbeats (job, at_ms, well) VALUES ($1, $2, $3) \
             ON CONFLICT (job, at_ms) DO UPDATE SET well = excluded.well",
        )
        .bind(job)
        .bind(beat.at.as_millisecond())
        .bind(i64::from(beat.well))
        .execute(&mut *tx)
        .await?;
        sqlx::query(
            "DELETE FROM heartbeats WHERE job = $1 AND at_ms NOT IN \
             (SELECT at_ms FROM heartbeats WHERE job = $1 ORDER BY at_ms DESC LIMIT $2)",
        )
        .bind(job)
        .bind(KEPT)
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(true)
    }

    /// The newest beats of a job, oldest first.
    pub async fn beats(&self, job: &str) -> Result<Vec<Beat>, StoreError> {
        let rows = sqlx::query(
            "SELECT at_ms, well FROM heartbeats WHERE job = $1 ORDER BY at_ms DESC LIMIT $2",
        )
        .bind(job)
        .bind(READ)
        .fetch_all(&self.pool)
        .await?;
        let beats = rows.iter().rev().filter_map(|row| {
            let at = Timestamp::from_millisecond(row.get::<i64, _>(0)).ok()?;
            Some(Beat { at, well: row.get::<i64, _>(1) != 0 })
        });
        Ok(beats.collect())
    }
}
