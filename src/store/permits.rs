//! The right to roll back, once each time that a deployment is in place.

use jiff::Timestamp;
use sqlx::{Any, Row, Transaction};

use super::{Store, StoreError, from_ms, key};
use crate::model::{Permit, ServiceKey, WatchId};

/// What the brakes are decided on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RecentPermits {
    /// When the service was last rolled back.
    pub last_of_service: Option<Timestamp>,
    /// Rollbacks of the whole fleet since the time that was asked for.
    pub of_fleet: u32,
}

impl Store {
    /// The rollbacks of others than `watch`: of `service`, and of all since `since`.
    pub async fn recent_permits(
        &self,
        service: &ServiceKey,
        watch: &WatchId,
        since: Timestamp,
    ) -> Result<RecentPermits, StoreError> {
        let last: Option<i64> =
            sqlx::query("SELECT MAX(issued_ms) FROM permits WHERE service = $1 AND watch <> $2")
                .bind(service.to_string())
                .bind(watch.as_str())
                .fetch_one(&self.pool)
                .await?
                .try_get(0)?;
        let fleet: i64 =
            sqlx::query("SELECT COUNT(*) FROM permits WHERE issued_ms >= $1 AND watch <> $2")
                .bind(since.as_millisecond())
                .bind(watch.as_str())
                .fetch_one(&self.pool)
                .await?
                .get(0);
        let of_fleet = u32::try_from(fleet).unwrap_or(u32::MAX);
        Ok(RecentPermits { last_of_service: last.map(from_ms), of_fleet })
    }

    /// The watch that holds the permit for `deployment` of `service`.
    pub async fn permit_holder(
        &self,
        service: &ServiceKey,
        deployment: &str,
    ) -> Result<Option<WatchId>, StoreError> {
        let row = sqlx::query("SELECT watch FROM permits WHERE deployment = $1")
            .bind(key(&format!("{service} {deployment}")))
            .fetch_optional(&self.pool)
            .await?;
        Ok(row.map(|row| WatchId::typed(row.get::<&str, _>(0))))
    }

    /// Takes back the permit that `watch` was issued and has not used: the next try is the
    /// first again, and no brake counts it.
    pub async fn give_back(
        &self,
        service: &ServiceKey,
        deployment: &str,
        watch: &WatchId,
    ) -> Result<(), StoreError> {
        let mut transaction = self.begin().await?;
        sqlx::query("DELETE FROM permits WHERE deployment = $1 AND watch = $2")
            .bind(key(&format!("{service} {deployment}")))
            .bind(watch.as_str())
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        Ok(())
    }

    /// Issues the permit for `deployment` of `service` to `watch`; to the same
    /// watch again after a crash, to another one (`None`) only once the watch that holds it
    /// has ended: the platform has one id for a deployment however often it is in place.
    pub async fn permit(
        &self,
        service: &ServiceKey,
        deployment: &str,
        watch: &WatchId,
        now: Timestamp,
    ) -> Result<Option<Permit>, StoreError> {
        let name = format!("{service} {deployment}");
        let mut transaction = self.begin().await?;
        let mut issued = issue(&mut transaction, &name, service, watch, now).await?;
        if !issued && lay_aside(&mut transaction, &name, watch).await? {
            issued = issue(&mut transaction, &name, service, watch, now).await?;
        }
        if issued {
            transaction.commit().await?;
            return Ok(Some(Permit::issued_by_store(watch.clone(), true)));
        }
        let holder: String = sqlx::query("SELECT watch FROM permits WHERE deployment = $1")
            .bind(key(&name))
            .fetch_one(&mut *transaction)
            .await?
            .get(0);
        Ok((holder == watch.as_str()).then(|| Permit::issued_by_store(watch.clone(), false)))
    }
}

/// Whether the permit was free, and is `watch`'s now.
async fn issue(
    tx: &mut Transaction<'_, Any>,
    name: &str,
    service: &ServiceKey,
    watch: &WatchId,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let inserted = sqlx::query(
        "INSERT INTO permits (deployment, service, watch, issued_ms) VALUES ($1, $2, $3, $4) \
         ON CONFLICT (deployment) DO NOTHING",
    )
    .bind(key(name))
    .bind(service.to_string())
    .bind(watch.as_str())
    .bind(now.as_millisecond())
    .execute(&mut **tx)
    .await?;
    Ok(inserted.rows_affected() == 1)
}

/// Makes room for `watch`, which is open, where the watch that holds the permit has ended:
/// that one asks for nothing any more. Its row goes by its own name from then on, and the
/// brakes count it as before.
async fn lay_aside(
    tx: &mut Transaction<'_, Any>,
    name: &str,
    watch: &WatchId,
) -> Result<bool, StoreError> {
    let held = sqlx::query("SELECT watch FROM permits WHERE deployment = $1")
        .bind(key(name))
        .fetch_one(&mut **tx)
        .await?;
    let holder: &str = held.get(0);
    let moved = sqlx::query(
        "UPDATE permits SET deployment = $1 WHERE deployment = $2 AND watch = $3 \
         AND EXISTS (SELECT 1 FROM watches WHERE id = $4 AND is_open = 0) \
         AND EXISTS (SELECT 1 FROM watches WHERE id = $5 AND is_open = 1)",
    )
    .bind(key(&format!("{name} {holder}")))
    .bind(key(name))
    .bind(holder)
    .bind(key(holder))
    .bind(key(watch.as_str()))
    .execute(&mut **tx)
    .await?;
    Ok(moved.rows_affected() == 1)
}
