//! The API.
#![allow(clippy::result_large_err)] // An answer that refuses is as large as any.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::{ConnectInfo, Path, Query, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::{Value, json};

use super::{API_KEY, RenderFault, Shared};
use crate::world::lock;
use crate::world::server::Wire;

type Answer = Result<Response, Response>;

pub(super) fn router(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/v1/services", get(services))
        .route("/v1/services/{id}", get(service).patch(update))
        .route("/v1/services/{id}/deploys", get(deploys))
        .route("/v1/services/{id}/rollback", post(roll_back))
        .fallback(|| async { problem(StatusCode::NOT_FOUND, "not found") })
        .layer(middleware::from_fn_with_state(shared.clone(), door))
        .with_state(shared)
}

/// Key, limits and faults, in front of everything.
async fn door(
    State(shared): State<Arc<Shared>>,
    ConnectInfo(wire): ConnectInfo<Wire>,
    request: Request,
    next: Next,
) -> Response {
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let path = path.trim_start_matches("/v1");
    lock(&shared.book).calls.push(format!("{method} {path}"));
    let bearer = request.headers().get(header::AUTHORIZATION).and_then(|key| key.to_str().ok());
    if bearer != Some(&format!("Bearer {API_KEY}")) {
        return problem(StatusCode::UNAUTHORIZED, "Unauthorized");
    }
    let mut parts: Vec<&str> = path.split('/').collect();
    if let Some(id) = parts.get_mut(2) {
        *id = "ID";
    }
    let of_all = || shared.faults.take(&format!("{method} {}", parts.join("/")));
    match shared.faults.take(&format!("{method} {path}")).or_else(of_all) {
        Some(RenderFault::Limited(seconds)) => {
            let headers =
                [("Ratelimit-Remaining", "0".to_owned()), ("Ratelimit-Reset", seconds.to_string())];
            let answer = problem(StatusCode::TOO_MANY_REQUESTS, "rate limit exceeded");
            (headers, answer).into_response()
        }
        Some(RenderFault::Status(status)) => {
            let status = StatusCode::from_u16(status).unwrap_or(StatusCode::IM_A_TEAPOT);
            problem(status, "as the test wants it")
        }
        Some(RenderFault::DoneButNoAnswer) => {
            drop(next.run(request).await);
            wire.cut();
            StatusCode::OK.into_response()
        }
        None => {
            let limits = [
                ("Ratelimit-Limit", "400"),
                ("Ratelimit-Remaining", "399"),
                ("Ratelimit-Reset", "60"),
            ];
            (limits, next.run(request).await).into_response()
        }
    }
}

fn problem(status: StatusCode, message: &str) -> Response {
    (status, Json(json!({ "id": "req-1", "message": message }))).into_response()
}

fn gone() -> Response {
    problem(StatusCode::NOT_FOUND, "not found")
}

/// A page of what there is: each item with the cursor that leads on behind it.
fn page(kind: &str, items: Vec<Value>, query: &BTreeMap<String, String>) -> Answer {
    let limit = query.get("limit").map_or(Ok(20), |limit| limit.parse::<usize>());
    let Ok(limit @ 1..=100) = limit else {
        return Err(problem(StatusCode::BAD_REQUEST, "limit must be between 1 and 100"));
    };
    let from = match query.get("cursor") {
        None => 0,
        Some(cursor) => {
            let id = cursor.strip_prefix("after-").unwrap_or_default();
            let found = items.iter().position(|item| item["id"] == id);
            found.ok_or_else(|| problem(StatusCode::BAD_REQUEST, "invalid cursor"))? + 1
        }
    };
    let page = items.into_iter().skip(from).take(limit).map(|item| {
        let cursor = format!("after-{}", item["id"].as_str().unwrap_or_default());
        json!({ "cursor": cursor, kind: item })
    });
    Ok(Json(page.collect::<Vec<_>>()).into_response())
}

async fn services(
    State(shared): State<Arc<Shared>>,
    Query(query): Query<BTreeMap<String, String>>,
) -> Answer {
    let book = lock(&shared.book);
    let ours = query.get("ownerId").is_none_or(|owner| owner == super::OWNER);
    let all = book.services.iter().filter(|_| ours).map(super::model::Service::shown);
    page("service", all.collect(), &query)
}

async fn service(State(shared): State<Arc<Shared>>, Path(id): Path<String>) -> Answer {
    let mut book = lock(&shared.book);
    Ok(Json(book.by_id(&id).ok_or_else(gone)?.shown()).into_response())
}

async fn update(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
    Json(body): Json<Value>,
) -> Answer {
    let mut book = lock(&shared.book);
    let service = book.by_id(&id).ok_or_else(gone)?;
    service.auto_deploy = match body["autoDeploy"].as_str() {
        Some("yes") => true,
        Some("no") => false,
        _ => return Err(problem(StatusCode::BAD_REQUEST, "autoDeploy must be yes or no")),
    };
    Ok(Json(service.shown()).into_response())
}

async fn deploys(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
    Query(query): Query<BTreeMap<String, String>>,
) -> Answer {
    let mut book = lock(&shared.book);
    let service = book.by_id(&id).ok_or_else(gone)?;
    let newest = service.deploys.iter().rev().map(super::model::Deploy::shown).collect();
    page("deploy", newest, &query)
}

async fn roll_back(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
    _headers: HeaderMap,
    Json(body): Json<Value>,
) -> Answer {
    let (commit, message) = {
        let mut book = lock(&shared.book);
        let service = book.by_id(&id).ok_or_else(gone)?;
        let target = service.deploys.iter().find(|deploy| body["deployId"] == *deploy.id);
        let target = target.ok_or_else(gone)?;
        if !target.was_live() {
            return Err(problem(StatusCode::BAD_REQUEST, "the deploy was never live"));
        }
        (target.commit.clone(), target.message.clone())
    };
    let deploy = shared.begin(&id, &commit, &message, "rollback", true);
    let mut book = lock(&shared.book);
    let service = book.by_id(&id).ok_or_else(gone)?;
    let made = service.deploys.iter().find(|one| one.id == deploy).ok_or_else(gone)?;
    Ok((StatusCode::CREATED, Json(made.shown())).into_response())
}
