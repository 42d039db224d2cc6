//! The daemon itself: alive, ready, measured.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use super::Face;
use super::problem::Problem;
use crate::engine::{Leads, clock};
use crate::store::StoreError;

/// How long the store may take: whoever asks waits no longer than some seconds.
const PATIENCE: Duration = Duration::from_secs(2);

pub async fn healthz() -> &'static str {
    "ok\n"
}

/// 200 while hooks are kept; the detail tells what people should mend. Who stands by is
/// ready too: a deployment of deployguard must come up while the former one leads. A load
/// balancer asks without a token: it hears whether it is ready, and no names.
pub async fn readyz(State(face): State<Face>, headers: HeaderMap) -> Response {
    let health = face.status.read();
    let mut obstacles = health.obstacles();
    let kept = tokio::time::timeout(PATIENCE, async {
        Ok::<_, StoreError>((face.store.letterboxes().await?, face.store.pauses().await?))
    });
    let (outbox, paused) = match kept.await {
        Ok(Ok((ways, pauses))) => {
            let outbox = json!({
                "pending": ways.iter().map(|way| way.pending).sum::<u32>(),
                "undeliverable": ways.iter().map(|way| way.undeliverable).sum::<u32>(),
                "oldest": ways.iter().filter_map(|way| way.oldest).min(),
                "channels": ways,
            });
            (Some(outbox), Some(pauses))
        }
        Ok(Err(error)) => {
            obstacles.push(error.to_string());
            (None, None)
        }
        Err(_) => {
            obstacles.push(format!("the store does not answer within {PATIENCE:?}"));
            (None, None)
        }
    };
    let ready = obstacles.is_empty();
    obstacles.extend(health.handicaps(clock::now()));
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let (role, leader) = match face.engine.leads() {
        Leads::Here => ("leading", None),
        Leads::There(url) => ("standby", Some(url)),
        Leads::Nobody => ("standby", None),
    };
    if face.may_read(&headers).is_err() {
        return (status, Json(json!({ "ready": ready, "role": role }))).into_response();
    }
    let body = json!({
        "ready": ready, "role": role, "leader": leader, "obstacles": obstacles,
        "paused": paused, "detail": health, "outbox": outbox,
    });
    (status, Json(body)).into_response()
}

pub async fn metrics(State(face): State<Face>, headers: HeaderMap) -> Response {
    if let Err(problem) = face.may_scrape(&headers) {
        return problem.into_response();
    }
    match face.metrics.text() {
        Ok(text) => ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text)
            .into_response(),
        Err(error) => {
            Problem::new(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response()
        }
    }
}
