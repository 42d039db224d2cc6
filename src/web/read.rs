//! Reading: watches, journals and what they explain, digests, pauses.

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

use super::Face;
use super::act::find;
use super::asked::Path;
use super::openapi::texts::WATCH;
use super::openapi::{Also, ToRead};
use super::problem::Problem;
use super::view::{WatchDetail, WatchView};
use crate::engine::{Foreseen, clock, read_digest};
use crate::model::WatchId;
use crate::store::{Pause, PauseTurn};
use crate::watch::{Digest, Event, Explanation, Watch, explain};

/// The most watches, or turns of pauses, in one answer.
const MOST: u32 = 1000;
/// The days that a digest may look back over.
const MOST_DAYS: u32 = 90;
// As is said of `days`.
const _: () = assert!(MOST_DAYS == 90);

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Page {
    /// How many at most; never more than 1000. 100 if it is left out.
    #[param(format = Int64, minimum = 0, maximum = 4_294_967_295.0, example = 20)]
    limit: Option<u32>,
}

/// What is guarded, and what is not.
#[derive(Debug, Serialize, ToSchema)]
pub struct WatchList {
    /// Open ones first, then the newest.
    watches: Vec<WatchView>,
    /// Services in the clusters that are looked at which no policy guards.
    unguarded: Vec<String>,
    paused: Vec<Pause>,
}

/// What has happened to a watch, from its beginning.
#[derive(Debug, Serialize, ToSchema)]
pub struct Journal {
    watch: WatchId,
    events: Vec<Kept>,
}

/// One event, as it was kept.
#[derive(Debug, Serialize, ToSchema)]
pub struct Kept {
    at: Timestamp,
    /// What it says differs by its kind, and may grow with each version.
    event: Value,
}

fn limit(page: Result<Query<Page>, QueryRejection>) -> Result<u32, Problem> {
    let Query(page) =
        page.map_err(|error| Problem::new(StatusCode::BAD_REQUEST, error.body_text()))?;
    Ok(page.limit.unwrap_or(100).min(MOST))
}

/// What is guarded now, and what was.
#[utoipa::path(
    get,
    path = "/api/v1/watches",
    operation_id = "list_watches",
    tag = "watches",
    params(Page),
    responses(
        (status = 200, description = "The newest, and what nobody guards.", body = WatchList),
        Also<400>,
        ToRead,
    ),
    security(("token" = ["read"])),
)]
pub async fn watches(
    State(face): State<Face>,
    page: Result<Query<Page>, QueryRejection>,
    headers: HeaderMap,
) -> Result<Json<WatchList>, Problem> {
    face.may_read(&headers)?;
    let watches = face.store.watches::<Watch>(limit(page)?).await?;
    let watches = watches.iter().map(WatchView::of).collect();
    let (unguarded, paused) = (face.status.read().unguarded, face.store.pauses().await?);
    Ok(Json(WatchList { watches, unguarded, paused }))
}

/// A watch alone, with everything that explains it.
#[utoipa::path(
    get,
    path = "/api/v1/watches/{id}",
    operation_id = "read_watch",
    tag = "watches",
    params(("id" = String, Path, description = WATCH)),
    responses(
        (status = 200, description = "As it stands.", body = WatchDetail),
        Also<400>,
        Also<404>,
        ToRead,
    ),
    security(("token" = ["read"])),
)]
pub async fn watch(
    State(face): State<Face>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Json<WatchDetail>, Problem> {
    face.may_read(&headers)?;
    let watch = find(&face, &id).await?;
    Ok(Json(WatchDetail::of(&watch)))
}

/// All that has happened to a watch, as it was kept.
#[utoipa::path(
    get,
    path = "/api/v1/watches/{id}/journal",
    operation_id = "read_journal",
    tag = "watches",
    params(("id" = String, Path, description = WATCH)),
    responses(
        (status = 200, description = "In order.", body = Journal),
        Also<400>,
        Also<404>,
        ToRead,
    ),
    security(("token" = ["read"])),
)]
pub async fn journal(
    State(face): State<Face>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Json<Journal>, Problem> {
    face.may_read(&headers)?;
    let watch = find(&face, &id).await?.id;
    let events = face.store.journal::<Value>(&watch).await?;
    let events = events.into_iter().map(|(at, event)| Kept { at, event }).collect();
    Ok(Json(Journal { watch, events }))
}

/// How the checks of a watch came to say what they say.
#[utoipa::path(
    get,
    path = "/api/v1/watches/{id}/explain",
    operation_id = "explain_watch",
    tag = "watches",
    params(("id" = String, Path, description = WATCH)),
    responses(
        (status = 200, description = "Check by check.", body = Explanation),
        Also<400>,
        Also<404>,
        ToRead,
    ),
    security(("token" = ["read"])),
)]
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
#[utoipa::path(
    get,
    path = "/api/v1/watches/{id}/rollback",
    operation_id = "foresee_rollback",
    tag = "watches",
    params(("id" = String, Path, description = WATCH)),
    responses(
        (status = 200, description = "Target, call and obstacles.", body = Foreseen),
        Also<400>,
        Also<404>,
        ToRead,
    ),
    security(("token" = ["read"])),
)]
pub async fn foreseen(
    State(face): State<Face>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Json<Foreseen>, Problem> {
    face.may_read(&headers)?;
    let watch = find(&face, &id).await?;
    Ok(Json(face.foresight.of(&watch).await))
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Days {
    /// How far it looks back; 7 if it is left out.
    #[param(minimum = 1, maximum = 90, example = 7)]
    days: Option<u32>,
}

/// What each policy did, or would have done, in the last days.
#[utoipa::path(
    get,
    path = "/api/v1/digest",
    operation_id = "read_digest",
    tag = "watches",
    params(Days),
    responses(
        (status = 200, description = "By policy.", body = Digest),
        Also<400>,
        ToRead,
    ),
    security(("token" = ["read"])),
)]
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

/// What is paused now.
#[utoipa::path(
    get,
    path = "/api/v1/pause",
    operation_id = "list_pauses",
    tag = "pauses",
    responses(
        (status = 200, description = "All of them.", body = Vec<Pause>),
        ToRead,
    ),
    security(("token" = ["read"])),
)]
pub async fn pauses(
    State(face): State<Face>,
    headers: HeaderMap,
) -> Result<Json<Vec<Pause>>, Problem> {
    face.may_read(&headers)?;
    Ok(Json(face.store.pauses().await?))
}

/// Who paused and unpaused what, newest first.
#[utoipa::path(
    get,
    path = "/api/v1/pause/history",
    operation_id = "list_pause_turns",
    tag = "pauses",
    params(Page),
    responses(
        (status = 200, description = "As many as are asked for.", body = Vec<PauseTurn>),
        Also<400>,
        ToRead,
    ),
    security(("token" = ["read"])),
)]
pub async fn pause_history(
    State(face): State<Face>,
    page: Result<Query<Page>, QueryRejection>,
    headers: HeaderMap,
) -> Result<Json<Vec<PauseTurn>>, Problem> {
    face.may_read(&headers)?;
    Ok(Json(face.store.pause_history(limit(page)?).await?))
}
