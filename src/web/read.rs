//! Reading: watches, journals and what they explain, digests, pauses.

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use jiff::SignedDuration;
use serde::Deserialize;
use serde_json::{Value, json};

use super::Face;
use super::act::find;
use super::problem::Problem;
use super::view::{WatchDetail, WatchView};
use crate::engine::{Foreseen, clock, read_digest};
use crate::store::{Pause, PauseTurn};
use crate::watch::{Digest, Event, Explanation, Watch, explain};

/// The most watches, or turns of pauses, in one answer.
const MOST: u32 = 1000;
/// The days that a digest may look back over.
const MOST_DAYS: u32 = 90;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Page {
    limit: Option<u32>,
}

fn limit(page: Result<Query<Page>, QueryRejection>) -> Result<u32, Problem> {
    let Query(page) =
        page.map_err(|error| Problem::new(StatusCode::BAD_REQUEST, error.body_text()))?;
    Ok(page.limit.unwrap_or(100).min(MOST))
}

pub async fn watches(
    State(face): State<Face>,
    page: Result<Query<Page>, QueryRejection>,
    headers: HeaderMap,
) -> Result<Json<Value>, Problem> {
    face.may_read(&headers)?;
    let watches = face.store.watches::<Watch>(limit(page)?).await?;
    let views: Vec<WatchView> = watches.iter().map(WatchView::of).collect();
    let (unguarded, paused) = (face.status.read().unguarded, face.store.pauses().await?);
    Ok(Json(json!({ "watches": views, "unguarded": unguarded, "paused": paused })))
}

pub async fn watch(
    State(face): State<Face>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Json<WatchDetail>, Problem> {
    face.may_read(&headers)?;
    let watch = find(&face, &id).await?;
    Ok(Json(WatchDetail::of(&watch)))
}

pub async fn journal(
    State(face): State<Face>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Json<Value>, Problem> {
    face.may_read(&headers)?;
    let id = find(&face, &id).await?.id;
    let events = face.store.journal::<Value>(&id).await?;
    let events: Vec<Value> =
        events.into_iter().map(|(at, event)| json!({ "at": at, "event": event })).collect();
    Ok(Json(json!({ "watch": id, "events": events })))
}

pub async fn explanation(
    State(face): State<Face>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Json<Explanation>, Problem> {
    face.may_read(&headers)?;
    let id = find(&face, &id).await?.id;
    let journal = face.store.journal::<Event>(&id).await?;
    let broken = |why: String| Problem::new(StatusCode::INTERNAL_SERVER_ERROR, why);
    // A day of samples is work for a while: no other request waits for it.
    let explained = tokio::task::spawn_blocking(move || explain(&journal)).await;
    let explained = explained.map_err(|error| broken(error.to_string()))?;
    Ok(Json(explained.map_err(|why| broken(format!("the journal can't be read: {why}")))?))
}

/// What a rollback would do, without doing it.
pub async fn foreseen(
    State(face): State<Face>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Json<Foreseen>, Problem> {
    face.may_read(&headers)?;
    let watch = find(&face, &id).await?;
    Ok(Json(face.foresight.of(&watch).await))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Days {
    days: Option<u32>,
}

pub async fn digest(
    State(face): State<Face>,
    days: Result<Query<Days>, QueryRejection>,
    headers: HeaderMap,
) -> Result<Json<Digest>, Problem> {
    face.may_read(&headers)?;
    let bad = |why: String| Problem::new(StatusCode::BAD_REQUEST, why);
    let Query(days) = days.map_err(|error| bad(error.body_text()))?;
    let days = days.days.unwrap_or(7);
    if !(1..=MOST_DAYS).contains(&days) {
        return Err(bad(format!("`days` is from 1 to {MOST_DAYS}")));
    }
    let now = clock::now();
    let back = SignedDuration::from_hours(24 * i64::from(days));
    let since = now.checked_sub(back).map_err(|error| bad(error.to_string()))?;
    Ok(Json(read_digest(&face.store, since, now).await?))
}

pub async fn pauses(
    State(face): State<Face>,
    headers: HeaderMap,
) -> Result<Json<Vec<Pause>>, Problem> {
    face.may_read(&headers)?;
    Ok(Json(face.store.pauses().await?))
}

/// Who paused and unpaused what, newest first.
pub async fn pause_history(
    State(face): State<Face>,
    page: Result<Query<Page>, QueryRejection>,
    headers: HeaderMap,
) -> Result<Json<Vec<PauseTurn>>, Problem> {
    face.may_read(&headers)?;
    Ok(Json(face.store.pause_history(limit(page)?).await?))
}
