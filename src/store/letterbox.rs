//! What the outbox holds, for whoever looks after the daemon.

use jiff::Timestamp;
use serde::Serialize;
use sqlx::Row;
use sqlx::any::AnyRow;
use utoipa::ToSchema;

use super::{Store, StoreError, from_ms};
use crate::model::Way;

/// What waits on one way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Letterbox {
    pub way: Way,
    pub pending: u32,
    pub undeliverable: u32,
    /// Set aside, because this build can't read it.
    pub unreadable: u32,
    pub oldest: Option<Timestamp>,
    pub routes: Vec<Backlog>,
}

/// What was not delivered to one recipient.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Backlog {
    /// `slack`, or `pagerduty:oncall`.
    pub route: String,
    pub status: Status,
    pub count: u32,
    /// When the first of it was said.
    pub oldest: Timestamp,
    /// When the last of it was tried, given up or set aside.
    pub newest: Timestamp,
    /// What a try came to, where there was one.
    pub error: Option<String>,
}

/// What has become of what was not delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = BacklogStatus)]
pub enum Status {
    /// It is tried on.
    Pending,
    /// No further try.
    Undeliverable,
    /// This build can't read it.
    Unreadable,
}

impl Store {
    /// Of every way, whether something waits or not.
    pub async fn letterboxes(&self) -> Result<Vec<Letterbox>, StoreError> {
        let rows = sqlx::query(
            // What was given up is no news once the same recipient was reached later.
            "SELECT route, CASE status WHEN 'expired' THEN 'undeliverable' ELSE status END, \
                 COUNT(*), MIN(queued_ms), MAX(next_ms), MAX(error) \
             FROM outbox AS lost WHERE status <> 'delivered' \
             AND NOT (status IN ('undeliverable', 'expired') \
             AND EXISTS (SELECT 1 FROM outbox AS later WHERE later.status = 'delivered' \
             AND later.route = lost.route AND later.address = lost.address \
             AND later.next_ms > lost.next_ms)) GROUP BY 1, 2 ORDER BY 1, 2",
        )
        .fetch_all(&self.pool)
        .await?;
        let routes: Vec<Backlog> = rows.iter().map(backlog).collect();
        Ok(Way::ALL.into_iter().map(|way| letterbox(way, &routes)).collect())
    }
}

fn backlog(row: &AnyRow) -> Backlog {
    Backlog {
        route: row.get(0),
        status: match row.get::<&str, _>(1) {
            "pending" => Status::Pending,
            "unreadable" => Status::Unreadable,
            _ => Status::Undeliverable,
        },
        count: u32::try_from(row.get::<i64, _>(2)).unwrap_or(u32::MAX),
        oldest: from_ms(row.get::<i64, _>(3)),
        newest: from_ms(row.get::<i64, _>(4)),
        error: row.get(5),
    }
}

fn letterbox(way: Way, routes: &[Backlog]) -> Letterbox {
    let ours = |one: &&Backlog| one.route.split(':').next() == Some(way.as_str());
    let routes: Vec<Backlog> = routes.iter().filter(ours).cloned().collect();
    let count = |status| -> u32 {
        routes.iter().filter(|one| one.status == status).map(|one| one.count).sum()
    };
    let pending = routes.iter().filter(|one| one.status == Status::Pending);
    Letterbox {
        way,
        pending: count(Status::Pending),
        undeliverable: count(Status::Undeliverable),
        unreadable: count(Status::Unreadable),
        oldest: pending.map(|one| one.oldest).min(),
        routes,
    }
}
