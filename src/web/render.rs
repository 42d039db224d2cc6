//! `POST /hooks/render`: what Render's webhook tells, as a hint to look; the end of a cron
//! job's run is a heartbeat of the job.
//!
//! Answered 200 once what the event hinted at was looked at and is kept, 503 where that
//! failed: Render tries again then. 403 is for what Render has not signed lately.

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use serde::Serialize;
use utoipa::ToSchema;

use super::Face;
use super::body::read_up_to;
use super::forward::RENDER;
use super::openapi::{Also, ToSign};
use super::problem::Problem;
use crate::engine::{Taken, Wanted, clock};
use crate::model::Beat;
use crate::telemetry::HintResult;
use crate::triggers::render::{Event, Forged, Stamp};

/// The largest body, in bytes.
const LIMIT: usize = 64 * 1024;

/// What became of an event.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = RenderTaken)]
pub struct Answer {
    /// What it led to.
    taken: String,
}

/// Brings what Render's webhook tells.
///
/// It only causes a look; the end of a cron job's run is a heartbeat of the job.
#[utoipa::path(
    post,
    path = RENDER,
    operation_id = "hear_render",
    tag = "announcing",
    request_body(content = BTreeMap<String, serde_json::Value>, description = "As Render writes it."),
    responses(
        (status = 200, description = "What it hinted at was looked at and is kept.", body = Answer),
        Also<404>,
        Also<429>,
        ToSign,
    ),
    security(("render" = [], "render_id" = [], "render_time" = [])),
)]
pub async fn post(
    State(face): State<Face>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<Answer>, Problem> {
    if face.workspaces.is_empty() {
        let detail = "no event of Render is taken: give render.webhook_secret of the target";
        return Err(Problem::new(StatusCode::NOT_FOUND, detail));
    }
    let bytes = read_up_to(LIMIT, body).await?;
    let of = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let stamp = Stamp {
        id: of("webhook-id").unwrap_or_default(),
        timestamp: of("webhook-timestamp").unwrap_or_default(),
        signature: of("webhook-signature").unwrap_or_default(),
    };
    let (mut why, mut signed) = (Forged::Signature, None);
    for workspace in face.workspaces.iter() {
        match workspace.check(stamp, &bytes, clock::now()) {
            Ok(()) => signed = Some(workspace),
            Err(forged) => why = forged,
        }
    }
    let Some(workspace) = signed else {
        face.metrics.hinted("render", HintResult::Refused);
        return Err(Problem::new(StatusCode::FORBIDDEN, why.to_string()));
    };
    let (result, answer) = match serde_json::from_slice::<Event>(&bytes) {
        // It is signed, so Render would bring the very same again.
        Err(error) => (HintResult::Unreadable, error.to_string()),
        Ok(event) if !event.is_of_a_deploy() => match event.run() {
            Some((job, well)) => {
                face.beaten(job, Beat { at: event.at(clock::now()), well }).await?;
                (HintResult::Looked, format!("heartbeat of {job}"))
            }
            None => (HintResult::NotOurs, event.kind),
        },
        Ok(event) => match workspace.key(&event.data) {
            None => (HintResult::NotOurs, "it names no service".to_owned()),
            Some(key) => match face.hints.look(Wanted { key, begun: None }).await {
                Ok(Taken::Looked) => (HintResult::Looked, "looked".to_owned()),
                Ok(Taken::Unguarded) => (HintResult::Unguarded, "nothing guards it".to_owned()),
                Err(why) => {
                    face.metrics.hinted("render", HintResult::Failed);
                    return Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, why));
                }
            },
        },
    };
    face.metrics.hinted("render", result);
    Ok(Json(Answer { taken: answer }))
}
