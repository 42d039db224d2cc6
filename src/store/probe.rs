//! Whether the store takes writes, and who leads.

use sqlx::Row;

use super::open::Kind;
use super::{Store, StoreError};

impl Store {
    /// Writes to the row of the lease, in a transaction that is rolled back.
    pub async fn try_write(&self) -> Result<(), StoreError> {
        let mut transaction = self.pool.begin().await?;
        sqlx::query("UPDATE lease SET epoch = epoch + 1 WHERE name = 'engine'")
            .execute(&mut *transaction)
            .await?;
        transaction.rollback().await?;
        Ok(())
    }

    /// The address of who leads; `None`: nobody does. On SQLite of who led last, since the
    /// lock on its file says no name.
    pub async fn leader(&self) -> Result<Option<String>, StoreError> {
        let mut transaction = self.lease.begin().await?;
        let now = self.time(&mut transaction).await?;
        let row = sqlx::query("SELECT url, until_ms FROM lease WHERE name = 'engine'")
            .fetch_one(&mut *transaction)
            .await?;
        let url: String = row.get(0);
        let leads = match self.kind {
            Kind::Sqlite => !url.is_empty(),
            Kind::Postgres => row.get::<i64, _>(1) > now,
        };
        Ok(leads.then_some(url))
    }
}
