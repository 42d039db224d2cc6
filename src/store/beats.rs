//! Heartbeats of scheduled jobs, and when somebody listened for them.

use jiff::Timestamp;
use sqlx::Row;

use super::{Store, StoreError, from_ms};
use crate::model::{Beat, Listened};

/// Beats that are kept of a job, the newest, and jobs.
const KEPT: i64 = 400;
const MOST_JOBS: i64 = 500;
/// Beats that are read: enough for a few runs, each of which may beat several times.
const READ: i64 = 100;
/// Stretches of listening that are kept, the newest: one for each time that a daemon led.
const STRETCHES: i64 = 2_000;

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

    /// Notes that it was listened for beats from `from` until `now`, without a break.
    pub async fn listen(&self, from: Timestamp, now: Timestamp) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        sqlx::query(
            "INSERT INTO listening (from_ms, until_ms) VALUES ($1, $2) \
             ON CONFLICT (from_ms) DO UPDATE SET until_ms = excluded.until_ms",
        )
        .bind(from.as_millisecond())
        .bind(now.as_millisecond())
        .execute(&mut *tx)
        .await?;
        sqlx::query(
            "DELETE FROM listening WHERE from_ms NOT IN \
             (SELECT from_ms FROM listening ORDER BY from_ms DESC LIMIT $1)",
        )
        .bind(STRETCHES)
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(())
    }

    /// When it was listened for beats, oldest first.
    pub async fn listened(&self) -> Result<Vec<Listened>, StoreError> {
        let rows = sqlx::query("SELECT from_ms, until_ms FROM listening ORDER BY from_ms")
            .fetch_all(&self.pool)
            .await?;
        let of = |row: &sqlx::any::AnyRow, place: usize| from_ms(row.get::<i64, _>(place));
        Ok(rows.iter().map(|row| Listened { from: of(row, 0), until: of(row, 1) }).collect())
    }
}
