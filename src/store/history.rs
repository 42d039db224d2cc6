//! Ended watches by what people look for, and the last one of each service.

use jiff::Timestamp;
use sqlx::any::AnyRow;
use sqlx::{AssertSqlSafe, Row};

use super::{Store, StoreError, from_ms, key};
use crate::model::WatchId;

/// The longest name or environment that is searched, in characters: an index of Postgres takes no more
/// than 2,704 bytes a row.
const LONGEST_NAME: usize = 100;

/// What is looked for among the ended watches; an empty text is anything.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sought {
    /// A part of `target/cluster/service` or of the name that was announced, in any case.
    pub service: String,
    pub environment: String,
    /// As `Outcome::as_str`.
    pub outcome: String,
    /// When it was opened: from this on, and before that.
    pub from: Option<Timestamp>,
    pub to: Option<Timestamp>,
    /// Those before this one, by when it was opened and its id.
    pub before: Option<(Timestamp, String)>,
    pub limit: u32,
}

/// A watch as it is kept: what lies beside its state can be read by every version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filed {
    pub id: WatchId,
    /// The number of its events.
    pub version: i64,
    /// `target/cluster/service`.
    pub service: String,
    pub opened_at: Timestamp,
    /// `None`: an earlier version kept it.
    pub environment: Option<String>,
    /// As `Outcome::as_str`; `None`: it is open, or an earlier version kept it.
    pub outcome: Option<String>,
    /// As JSON.
    pub state: String,
}

/// The columns of [`Filed`], of `watches w`.
const FILED: &str = "w.id, w.version, w.service, w.opened_ms, w.environment, w.outcome, w.state";

/// The last watch of a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastWatch {
    /// `target/cluster/service`.
    pub service: String,
    pub watch: WatchId,
    pub opened_at: Timestamp,
    /// As `Outcome::as_str`; `None`: it is open, or an earlier version kept it.
    pub outcome: Option<String>,
}

/// What an ended watch is found by, beside its service and time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundBy {
    pub id: String,
    pub name: String,
    pub environment: String,
    pub outcome: &'static str,
}

impl Store {
    /// Ended watches, the newest first.
    ///
    /// # Errors
    /// The store can't be asked.
    pub async fn history(&self, sought: &Sought) -> Result<Vec<Filed>, StoreError> {
        let (before, id) = match &sought.before {
            Some((at, id)) => (at.as_millisecond(), id.as_str()),
            None => (i64::MAX, ""),
        };
        let from = sought.from.map_or(i64::MIN, Timestamp::as_millisecond);
        let to = sought.to.map_or(i64::MAX, Timestamp::as_millisecond);
        // So that a page far back begins there in the index.
        let to = to.min(before.saturating_add(1));
        // The inner query is answered by the index alone.
        let sql = format!(
            "SELECT {FILED} FROM watches w JOIN (SELECT id FROM watches WHERE is_open = 0 \
             AND opened_ms >= $1 AND opened_ms < $2 \
             AND (opened_ms < $3 OR (opened_ms = $3 AND id < $4)) \
             AND ($5 = '' OR environment = $5) AND ($6 = '' OR outcome = $6) \
             AND ($7 = '%%' OR LOWER(service) LIKE $7 ESCAPE '!' OR name LIKE $7 ESCAPE '!') \
             ORDER BY opened_ms DESC, id DESC LIMIT $8) found ON found.id = w.id \
             ORDER BY w.opened_ms DESC, w.id DESC"
        );
        let rows = sqlx::query(AssertSqlSafe(sql))
            .bind(from)
            .bind(to)
            .bind(before)
            .bind(key(id))
            .bind(plain(&sought.environment))
            .bind(plain(&sought.outcome))
            .bind(part_of(&sought.service))
            .bind(i64::from(sought.limit))
            .fetch_all(&self.pool)
            .await?;
        Ok(rows.iter().map(filed).collect())
    }

    /// Those of `ids` that there are, in no order. Some hundred at most: each is a value of
    /// the statement.
    ///
    /// # Errors
    /// The store can't be asked.
    pub async fn filed(&self, ids: &[WatchId]) -> Result<Vec<Filed>, StoreError> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let places: Vec<String> = (1..=ids.len()).map(|number| format!("${number}")).collect();
        let sql = format!("SELECT {FILED} FROM watches w WHERE w.id IN ({})", places.join(", "));
        let mut asked = sqlx::query(AssertSqlSafe(sql));
        for id in ids {
            asked = asked.bind(key(id.as_str()));
        }
        Ok(asked.fetch_all(&self.pool).await?.iter().map(filed).collect())
    }

    /// The environments of ended watches, in order. Reads the whole index.
    ///
    /// # Errors
    /// The store can't be asked.
    pub async fn ended_environments(&self) -> Result<Vec<String>, StoreError> {
        let rows = sqlx::query(
            "SELECT DISTINCT environment FROM watches \
             WHERE is_open = 0 AND environment IS NOT NULL ORDER BY environment",
        )
        .fetch_all(&self.pool)
        .await?;
        Ok(rows.iter().map(|row| row.get(0)).collect())
    }

    /// The last watch of each service that ever had one.
    ///
    /// # Errors
    /// The store can't be asked.
    pub async fn last_watches(&self) -> Result<Vec<LastWatch>, StoreError> {
        let rows = sqlx::query(
            "SELECT w.service, w.id, w.opened_ms, w.outcome FROM watches w JOIN \
             (SELECT service, MAX(opened_ms) AS newest FROM watches GROUP BY service) latest \
             ON latest.service = w.service AND latest.newest = w.opened_ms ORDER BY w.id",
        )
        .fetch_all(&self.pool)
        .await?;
        let last = rows.iter().map(|row| LastWatch {
            service: row.get(0),
            watch: WatchId::typed(row.get::<&str, _>(1)),
            opened_at: from_ms(row.get(2)),
            outcome: row.get(3),
        });
        Ok(last.collect())
    }

    /// Ended watches that a version before this one kept, the oldest first, after the one
    /// that was opened at `after` with this id.
    ///
    /// # Errors
    /// The store can't be asked.
    pub async fn unfilled(
        &self,
        after: Option<&(Timestamp, WatchId)>,
        limit: u32,
    ) -> Result<Vec<Filed>, StoreError> {
        let (at, id) = match after {
            Some((at, id)) => (at.as_millisecond(), key(id.as_str())),
            None => (i64::MIN, String::new()),
        };
        let sql = format!(
            "SELECT {FILED} FROM watches w WHERE w.is_open = 0 AND w.outcome IS NULL \
             AND w.opened_ms >= $1 AND (w.opened_ms > $1 OR w.id > $2) \
             ORDER BY w.opened_ms, w.id LIMIT $3"
        );
        let asked = sqlx::query(AssertSqlSafe(sql)).bind(at).bind(id).bind(i64::from(limit));
        Ok(asked.fetch_all(&self.pool).await?.iter().map(filed).collect())
    }

    /// Whether there are ended watches that are found by service and time alone.
    ///
    /// # Errors
    /// The store can't be asked.
    pub async fn has_unfilled(&self) -> Result<bool, StoreError> {
        let row = sqlx::query(
            "SELECT 1 FROM watches WHERE is_open = 0 AND outcome IS NULL \
             ORDER BY opened_ms, id LIMIT 1",
        )
        .fetch_optional(&self.pool)
        .await?;
        Ok(row.is_some())
    }

    /// Fills in what ended watches are found by, all of them or none.
    ///
    /// # Errors
    /// The store can't be written.
    pub async fn fill(&self, found: &[FoundBy]) -> Result<(), StoreError> {
        let mut transaction = self.begin().await?;
        for by in found {
            sqlx::query(
                "UPDATE watches SET name = $1, environment = $2, outcome = $3 \
                 WHERE id = $4 AND is_open = 0",
            )
            .bind(searched(&by.name))
            .bind(plain(&by.environment))
            .bind(by.outcome)
            .bind(key(&by.id))
            .execute(&mut *transaction)
            .await?;
        }
        transaction.commit().await?;
        Ok(())
    }
}

fn filed(row: &AnyRow) -> Filed {
    Filed {
        id: WatchId::typed(row.get::<&str, _>(0)),
        version: row.get(1),
        service: row.get(2),
        opened_at: from_ms(row.get(3)),
        environment: row.get(4),
        outcome: row.get(5),
        state: row.get(6),
    }
}

/// A name as it is searched.
pub(super) fn searched(name: &str) -> String {
    plain(&name.to_lowercase())
}

/// As an index takes it, and Postgres a text: no NUL.
pub(super) fn plain(text: &str) -> String {
    text.chars().filter(|c| *c != '\0').take(LONGEST_NAME).collect()
}

/// A pattern that matches whatever has `text` in it, taken literally.
fn part_of(text: &str) -> String {
    let mut pattern = "%".to_owned();
    for c in searched(text.trim()).chars() {
        if matches!(c, '%' | '_' | '!') {
            pattern.push('!');
        }
        pattern.push(c);
    }
    pattern.push('%');
    pattern
}

#[cfg(test)]
#[path = "history_tests.rs"]
mod tests;
