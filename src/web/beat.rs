//! `POST /hooks/heartbeats/JOB`: a scheduled job tells that it ran.
//!
//! Answered 202 once it is kept. The same again within a millisecond is one beat.

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};

use super::Face;
use super::body::optional_json;
use super::problem::Problem;
use crate::engine::clock;
use crate::model::{Beat, is_job};
use crate::settings::Role;

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Told {
    status: Status,
    /// Whose job it is, for tokens that may not speak of all.
    service: Option<String>,
    environment: Option<String>,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Status {
    #[default]
    Ok,
    Failed,
}

pub async fn post(
    State(face): State<Face>,
    Path(job): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<(StatusCode, Json<Value>), Problem> {
    let caller = face.caller(&headers, Role::Deploy)?;
    let told: Told = optional_json(&headers, body).await?;
    let service = told.service.as_deref().unwrap_or(&job);
    caller.may_speak_of(service, told.environment.as_deref().unwrap_or_default())?;
    face.beaten(&job, told.status == Status::Ok).await?;
    Ok((StatusCode::ACCEPTED, Json(json!({ "job": job }))))
}

impl Face {
    /// Keeps that a job ran just now, well or not.
    pub(super) async fn beaten(&self, job: &str, well: bool) -> Result<(), Problem> {
        if !is_job(job) {
            let detail = "a job's name has letters, digits, `-`, `_` and `.`, at most 100";
            return Err(Problem::new(StatusCode::BAD_REQUEST, detail));
        }
        let kept = self.store.beat(job, Beat { at: clock::now(), well }).await?;
        if kept {
            return Ok(());
        }
        let detail = "too many jobs beat here already; name one job the same each time";
        Err(Problem::new(StatusCode::TOO_MANY_REQUESTS, detail))
    }
}
