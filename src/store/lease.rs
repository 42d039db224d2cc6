//! Which of several daemons on one store leads.
//!
//! The watches are judged beside each other, so exactly one daemon runs the engine; the
//! others stand by. Who leads is one row: an owner, an epoch that counts the tenures,
//! and until when it holds, in the database's time. A daemon takes the row when it has
//! run out or was given back, and every transaction of its tenure begins by finding its
//! own epoch there and holding it: a leader whose row is another's can write nothing,
//! issue no permit and take no message, whatever it still believes. When to renew, and
//! when to stop acting, is the engine's business (`engine::tenure`).
//!
//! A lease can't hold back a call that has left for the platform. That is what the
//! permit is for: a successor gets the same row again, knows by it that a call may be
//! under way, and looks for its effect first.
//!
//! SQLite lies on one machine, where the kernel knows better than a clock who is alive:
//! there the lease is a lock on a file beside the database, which ends with its process
//! and not before. The row is written all the same, for the epoch and the address.

use std::time::Duration;

use sqlx::{Any, Row, Transaction};

use super::open::Kind;
use super::{Store, StoreError};

/// One tenure, as the row names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fence {
    owner: String,
    epoch: i64,
}

/// What became of asking for the lease.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Claim {
    Granted(Fence),
    /// Somebody else leads; the address that it gave.
    Held(String),
}

impl Fence {
    /// Counts the tenures of this store.
    pub fn epoch(&self) -> i64 {
        self.epoch
    }
}

impl Store {
    /// Whether the lease runs out by itself, and has to be renewed.
    pub fn lease_runs_out(&self) -> bool {
        match self.kind {
            Kind::Sqlite => false,
            Kind::Postgres => true,
        }
    }

    /// Asks for the lease. `owner` is one process's own name: it gets again what it has,
    /// under a new epoch. `valid`: until it has to be renewed.
    pub async fn claim(
        &self,
        owner: &str,
        url: &str,
        valid: Duration,
    ) -> Result<Claim, StoreError> {
        let locked = self.lock.take().map_err(|error| StoreError::Lock(error.to_string()))?;
        let mut transaction = self.lease.begin().await?;
        let now = self.time(&mut transaction).await?;
        let free = match (self.kind, locked) {
            (Kind::Sqlite, true) => i64::MAX,
            (Kind::Sqlite, false) => -1,
            (Kind::Postgres, _) => now,
        };
        let taken = sqlx::query(
            "UPDATE lease SET owner = $1, url = $2, epoch = epoch + 1, until_ms = $3 \
             WHERE name = 'engine' AND (until_ms <= $4 OR owner = $1) RETURNING epoch",
        )
        .bind(owner)
        .bind(url)
        .bind(now.saturating_add(in_ms(valid)))
        .bind(free)
        .fetch_optional(&mut *transaction)
        .await?;
        if let Some(row) = taken {
            let fence = Fence { owner: owner.to_owned(), epoch: row.get(0) };
            transaction.commit().await?;
            return Ok(Claim::Granted(fence));
        }
        let row = sqlx::query("SELECT url FROM lease WHERE name = 'engine'")
            .fetch_one(&mut *transaction)
            .await?;
        Ok(Claim::Held(row.get(0)))
    }

    /// Renews the lease for `valid` from now on. `false`: it is another's.
    pub async fn renew(&self, fence: &Fence, valid: Duration) -> Result<bool, StoreError> {
        let mut transaction = self.lease.begin().await?;
        let now = self.time(&mut transaction).await?;
        let renewed = sqlx::query(
            "UPDATE lease SET until_ms = $1 WHERE name = 'engine' AND owner = $2 AND epoch = $3",
        )
        .bind(now.saturating_add(in_ms(valid)))
        .bind(&fence.owner)
        .bind(fence.epoch)
        .execute(&mut *transaction)
        .await?
        .rows_affected();
        transaction.commit().await?;
        Ok(renewed == 1)
    }

    /// Gives the lease back: whoever stands by may lead at once.
    pub async fn release(&self, fence: &Fence) -> Result<(), StoreError> {
        let done = sqlx::query(
            "UPDATE lease SET until_ms = 0, owner = '', url = '' \
             WHERE name = 'engine' AND owner = $1 AND epoch = $2",
        )
        .bind(&fence.owner)
        .bind(fence.epoch)
        .execute(&self.lease)
        .await;
        self.lock.give_back();
        done?;
        Ok(())
    }

    /// The same store, for one tenure: whatever is written through it fails with
    /// [`StoreError::Deposed`] once another has taken over.
    #[must_use]
    pub fn under(&self, fence: Fence) -> Store {
        Store { fence: Some(fence), ..self.clone() }
    }

    /// Begins a transaction that writes. Under a fence it holds the lease's row, so that
    /// nobody can take over between this and the commit; renewing goes on meanwhile.
    pub(super) async fn begin(&self) -> Result<Transaction<'static, Any>, StoreError> {
        let mut transaction = self.pool.begin().await?;
        let Some(fence) = &self.fence else { return Ok(transaction) };
        // SQLite has no row locks: writing to it first takes the lock of the whole file.
        let sql = match self.kind {
            Kind::Sqlite => {
                "UPDATE lease SET epoch = epoch \
                 WHERE name = 'engine' AND owner = $1 AND epoch = $2 RETURNING epoch"
            }
            Kind::Postgres => {
                "SELECT epoch FROM lease \
                 WHERE name = 'engine' AND owner = $1 AND epoch = $2 FOR KEY SHARE"
            }
        };
        let held = sqlx::query(sql)
            .bind(&fence.owner)
            .bind(fence.epoch)
            .fetch_optional(&mut *transaction)
            .await?;
        if held.is_none() {
            return Err(StoreError::Deposed);
        }
        Ok(transaction)
    }

    /// The database's time, in milliseconds since the epoch.
    pub(super) async fn time(
        &self,
        transaction: &mut Transaction<'_, Any>,
    ) -> Result<i64, StoreError> {
        let sql = match self.kind {
            Kind::Sqlite => "SELECT CAST(unixepoch('subsec') * 1000 AS INTEGER)",
            Kind::Postgres => "SELECT CAST(extract(epoch FROM clock_timestamp()) * 1000 AS BIGINT)",
        };
        Ok(sqlx::query(sql).fetch_one(&mut **transaction).await?.get(0))
    }
}

fn in_ms(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}
