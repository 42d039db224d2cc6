//! Reading: watches, journals, pauses.

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};

use super::Face;
use super::act::find;
use super::problem::Problem;
use super::view::{WatchDetail, WatchView};
use crate::model::WatchId;
use crate::store::Pause;
use crate::watch::Watch;

/// The most watches in one answer.
const MOST: u32 = 1000;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Page {
    limit: Option<u32>,
}

pub async fn watches(
    State(face): State<Face>,
    page: Result<Query<Page>, QueryRejection>,
    headers: HeaderMap,
) -> Result<Json<Value>, Problem> {
    face.may_read(&headers)?;
    let Query(page) =
        page.map_err(|error| Problem::new(StatusCode::BAD_REQUEST, error.body_text()))?;
    let limit = page.limit.unwrap_or(100).min(MOST);
    let watches = face.store.watches::<Watch>(limit).await?;
    let views: Vec<WatchView> = watches.iter().map(WatchView::of).collect();
    Ok(Json(json!({ "watches": views })))
}

pub async fn watch(
    State(face): State<Face>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Json<WatchDetail>, Problem> {
    face.may_read(&headers)?;
    let watch = find(&face, &WatchId::typed(&id)).await?;
    Ok(Json(WatchDetail::of(&watch)))
}

pub async fn journal(
    State(face): State<Face>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Json<Value>, Problem> {
    face.may_read(&headers)?;
    let id = WatchId::typed(&id);
    find(&face, &id).await?;
    let events = face.store.journal::<Value>(&id).await?;
    let events: Vec<Value> =
        events.into_iter().map(|(at, event)| json!({ "at": at, "event": event })).collect();
    Ok(Json(json!({ "watch": id, "events": events })))
}

pub async fn pauses(
    State(face): State<Face>,
    headers: HeaderMap,
) -> Result<Json<Vec<Pause>>, Problem> {
    face.may_read(&headers)?;
    Ok(Json(face.store.pauses().await?))
}
