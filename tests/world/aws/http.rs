//! The edge: AWS JSON 1.1 over HTTP, recorded, with faults on demand.

use std::sync::Arc;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{ConnectInfo, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::model::{EcsError, Origin};
use super::{Call, Fault, Shared};
use crate::world::server::Wire;
use crate::world::{lock, now};

const TARGET_PREFIX: &str = "AmazonEC2ContainerServiceV20141113.";

pub fn router(shared: Arc<Shared>) -> Router {
    Router::new().route("/", post(answer)).with_state(shared)
}

async fn answer(
    State(shared): State<Arc<Shared>>,
    ConnectInfo(wire): ConnectInfo<Wire>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let at = now();
    let (operation, body) = match read(&headers, &body) {
        Ok(call) => call,
        Err((code, message)) => return error(StatusCode::BAD_REQUEST, code, message).1,
    };
    let fault = shared.faults.take(&operation);
    let (answer, response) = match &fault {
        Some(Fault::Throttle) => {
            error(StatusCode::BAD_REQUEST, "ThrottlingException", "Rate exceeded")
        }
        Some(Fault::Error5xx) => {
            let message = "Service Unavailable. Please try again later.";
            error(StatusCode::INTERNAL_SERVER_ERROR, "ServerException", message)
        }
        Some(Fault::Html(status)) => (Value::Null, html(*status)),
        Some(Fault::Hang(pause)) => {
            shared.record(&operation, &body, (Value::Null, 0), at);
            tokio::time::sleep(*pause).await;
            wire.cut();
            return StatusCode::GATEWAY_TIMEOUT.into_response();
        }
        Some(Fault::DropConnectionAfterApplying) | None => {
            applied(shared.apply(Origin::Client, &operation, &body))
        }
    };
    if matches!(fault, Some(Fault::DropConnectionAfterApplying)) {
        wire.cut();
        shared.record(&operation, &body, (Value::Null, 0), at);
    } else {
        shared.record(&operation, &body, (answer, response.status().as_u16()), at);
    }
    response
}

/// The operation and the body of a request, or the error code and message of a refusal.
fn read(headers: &HeaderMap, body: &[u8]) -> Result<(String, Value), (&'static str, &'static str)> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let operation = text("x-amz-target").and_then(|target| target.strip_prefix(TARGET_PREFIX));
    let operation = operation.ok_or(("UnknownOperationException", ""))?;
    if text("content-type") != Some("application/x-amz-json-1.1") {
        return Err(("UnknownOperationException", "The content type is not JSON 1.1"));
    }
    if !text("authorization").is_some_and(|value| value.starts_with("AWS4-HMAC-SHA256 ")) {
        let message = "Request is missing Authentication Token";
        return Err(("MissingAuthenticationTokenException", message));
    }
    let body = serde_json::from_slice(body)
        .map_err(|_| ("SerializationException", "The body is not JSON"))?;
    Ok((operation.to_owned(), body))
}

fn applied(outcome: Result<Value, EcsError>) -> (Value, Response) {
    match outcome {
        Ok(answer) => {
            let response = json_response(StatusCode::OK, &answer);
            (answer, response)
        }
        Err(failure) => error(StatusCode::BAD_REQUEST, failure.code, &failure.message),
    }
}

fn error(status: StatusCode, code: &str, message: &str) -> (Value, Response) {
    let answer = json!({ "__type": code, "message": message });
    let response = json_response(status, &answer);
    (answer, response)
}

fn json_response(status: StatusCode, answer: &Value) -> Response {
    let headers = [
        (header::CONTENT_TYPE, "application/x-amz-json-1.1"),
        (
            header::HeaderName::from_static("x-amzn-requestid"),
            "00000000-0000-4000-8000-000000000000",
        ),
    ];
    (status, headers, answer.to_string()).into_response()
}

fn html(status: u16) -> Response {
    let page = "<!DOCTYPE html><html><head><title>Proxy</title></head><body>Sign in</body></html>";
    let mut response = Response::new(Body::from(page));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_GATEWAY);
    let html = header::HeaderValue::from_static("text/html");
    response.headers_mut().insert(header::CONTENT_TYPE, html);
    response
}

impl Shared {
    fn record(&self, operation: &str, body: &Value, answer: (Value, u16), at: Timestamp) {
        let (answer, status) = answer;
        let (operation, body) = (operation.to_owned(), body.clone());
        lock(&self.calls).push(Call { operation, body, answer, status, at });
    }
}
