//! What an older version kept, and how what is looked for is found.

use std::str::FromStr;

use sqlx::any::AnyConnectOptions;
use sqlx::migrate::Migrator;
use sqlx::{AnyConnection, Connection};
use tempfile::TempDir;

use super::*;
use crate::store::open::MIGRATIONS;

/// A store as the version before the history left it, with three watches.
async fn of_before(url: &str) {
    sqlx::any::install_default_drivers();
    let options = AnyConnectOptions::from_str(&format!("{url}?mode=rwc")).unwrap();
    let mut connection = AnyConnection::connect_with(&options).await.unwrap();
    let before = MIGRATIONS.iter().filter(|one| one.version < 31).cloned().collect();
    Migrator::with_migrations(before).run(&mut connection).await.unwrap();
    for (id, is_open, opened) in [("open", 1, 30), ("old", 0, 10), ("older", 0, 10)] {
        let row = sqlx::query(
            "INSERT INTO watches (id, service, deployment, is_open, version, state, opened_ms, \
             updated_ms) VALUES ($1, 'default/prod/Api', 'd', $2, 7, '{}', $3, 40)",
        );
        row.bind(id).bind(is_open).bind(opened).execute(&mut connection).await.unwrap();
    }
    connection.close().await.unwrap();
}

fn ids(filed: &[Filed]) -> Vec<&str> {
    filed.iter().map(|one| one.id.as_str()).collect()
}

#[tokio::test]
async fn what_an_older_version_kept_is_found_by_place_at_once_and_by_all_once_it_is_filled_in() {
    let folder = TempDir::new().unwrap();
    let url = format!("sqlite://{}", folder.path().join("guard.db").display());
    of_before(&url).await;
    let store = Store::open(&url).await.unwrap();
    let by = |service: &str, environment: &str| Sought {
        service: service.to_owned(),
        environment: environment.to_owned(),
        limit: 10,
        ..Sought::default()
    };
    let found = store.history(&by("PROD/api", "")).await.unwrap();
    assert_eq!(ids(&found), ["older", "old"]);
    assert_eq!((found[0].version, &found[0].environment, &found[0].outcome), (7, &None, &None));
    assert!(store.history(&by("", "production")).await.unwrap().is_empty());
    assert!(store.has_unfilled().await.unwrap());

    let first = store.unfilled(None, 1).await.unwrap();
    assert_eq!(ids(&first), ["old"]);
    let after = Some((first[0].opened_at, first[0].id.clone()));
    let second = store.unfilled(after.as_ref(), 10).await.unwrap();
    assert_eq!(ids(&second), ["older"], "of the same moment, and not the open one");
    let fill = |id: &str, name: &str| FoundBy {
        id: id.to_owned(),
        name: name.to_owned(),
        environment: "production".to_owned(),
        outcome: "passed",
    };
    let all = [fill("old", "Shöp API"), fill("older", "x"), fill("open", "x")];
    store.fill(&all).await.unwrap();
    assert!(!store.has_unfilled().await.unwrap());
    assert_eq!(ids(&store.history(&by("SHÖP a", "production")).await.unwrap()), ["old"]);
    assert_eq!(store.ended_environments().await.unwrap(), ["production"]);
    let last = store.last_watches().await.unwrap();
    assert_eq!((last[0].watch.as_str(), &last[0].outcome), ("open", &None), "it goes on");
}

/// In a table of a hundred thousand each batch would else read all that was done before.
#[tokio::test]
async fn nothing_reads_the_states_of_what_it_does_not_show() {
    let folder = TempDir::new().unwrap();
    let url = format!("sqlite://{}", folder.path().join("guard.db").display());
    let store = Store::open(&url).await.unwrap();
    let plan = async |sql: &'static str| {
        let rows = sqlx::query(sql).fetch_all(&store.pool).await.unwrap();
        rows.iter().map(|row| row.get::<String, _>(3)).collect::<Vec<_>>().join("; ")
    };
    let unfilled = plan(
        "EXPLAIN QUERY PLAN SELECT w.state FROM watches w WHERE w.is_open = 0 \
         AND w.outcome IS NULL AND w.opened_ms >= 1 AND (w.opened_ms > 1 OR w.id > 'a') \
         ORDER BY w.opened_ms, w.id LIMIT 20",
    );
    let unfilled = unfilled.await;
    assert!(unfilled.contains("USING INDEX watches_") && !unfilled.contains("TEMP"), "{unfilled}");
    let found = plan(
        "EXPLAIN QUERY PLAN SELECT id FROM watches WHERE is_open = 0 AND opened_ms >= 1 \
         AND opened_ms < 9 AND (opened_ms < 9 OR (opened_ms = 9 AND id < 'a')) \
         AND environment = 'e' AND outcome = 'o' \
         AND (LOWER(service) LIKE '%a%' ESCAPE '!' OR name LIKE '%a%' ESCAPE '!') \
         ORDER BY opened_ms DESC, id DESC LIMIT 51",
    );
    let found = found.await;
    assert!(found.contains("COVERING INDEX watches_open"), "{found}");
    let environments = "EXPLAIN QUERY PLAN SELECT DISTINCT environment FROM watches \
                        WHERE is_open = 0 AND environment IS NOT NULL ORDER BY environment";
    let environments = plan(environments).await;
    assert!(environments.contains("COVERING INDEX watches_open"), "{environments}");
}

#[tokio::test]
async fn what_is_asked_for_by_many_ids_is_what_there_is_of_them() {
    let folder = TempDir::new().unwrap();
    let url = format!("sqlite://{}", folder.path().join("guard.db").display());
    of_before(&url).await;
    let store = Store::open(&url).await.unwrap();
    let asked = ["open", "nobody", "older"].map(WatchId::typed);
    let mut filed = store.filed(&asked).await.unwrap();
    filed.sort_by(|one, other| one.id.cmp(&other.id));
    assert_eq!(ids(&filed), ["older", "open"]);
    assert!(store.filed(&[]).await.unwrap().is_empty());
}

#[test]
fn what_is_looked_for_is_taken_literally_and_is_never_too_long() {
    assert_eq!(part_of(" A_b%!\0"), "%a!_b!%!!%");
    assert_eq!(part_of(""), "%%");
    assert_eq!(searched(&"Ä".repeat(5000)).chars().count(), 100);
}
