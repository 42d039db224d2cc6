//! The edge: AWS JSON 1.1 over HTTP, recorded, with faults on demand.

use std::sync::Arc;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{ConnectInfo, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::failure::{self, Protocol, Refusal};
use super::model::EcsError;
use super::{Call, Fault, Shared, balancers, cloudwatch, sts};
use crate::world::server::Wire;
use crate::world::{lock, now};

/// The services that speak JSON: botocore's name, what `x-amz-target` begins with, the content
/// type.
const JSON_SERVICES: &[(&str, &str, &str)] = &[
    ("codedeploy", "CodeDeploy_20141006.", "application/x-amz-json-1.1"),
    ("ecr", "AmazonEC2ContainerRegistry_V20150921.", "application/x-amz-json-1.1"),
    ("ecs", "AmazonEC2ContainerServiceV20141113.", "application/x-amz-json-1.1"),
    ("logs", "Logs_20140328.", "application/x-amz-json-1.1"),
    ("sqs", "AmazonSQS.", "application/x-amz-json-1.0"),
];

/// One request, read.
pub(super) struct Asked {
    /// botocore's name of the service.
    pub service: &'static str,
    pub operation: String,
    pub body: Value,
}

pub fn router(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/", post(answer))
        .route(cloudwatch::edge::PATH, post(cloudwatch::edge::answer))
        .layer(middleware::from_fn_with_state(Arc::clone(&shared), failure::keep_time))
        .with_state(shared)
}

async fn answer(
    State(shared): State<Arc<Shared>>,
    ConnectInfo(wire): ConnectInfo<Wire>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let at = now();
    let asked = match read(&headers, &body) {
        Ok(asked) => asked,
        Err((code, message)) => return error(StatusCode::BAD_REQUEST, code, message).1,
    };
    let protocol = Protocol::of(&headers);
    let fault = shared.faults.take(&asked.operation);
    let refusal =
        fault.as_ref().and_then(|fault| protocol.refuses((asked.service, fault), &headers, at));
    let (answer, mut response) = match (&fault, &refusal) {
        (_, Some(refusal)) => refused(protocol, refusal),
        (Some(Fault::Html(status)), None) => (Value::Null, html(*status)),
        (Some(Fault::Hang(pause)), None) => {
            shared.record(&asked, (Value::Null, 0), at);
            tokio::time::sleep(*pause).await;
            wire.cut();
            return StatusCode::GATEWAY_TIMEOUT.into_response();
        }
        (_, None) => shared.carry_out(&asked, sts::access_key(&headers), at).await,
    };
    if matches!(fault, Some(Fault::Skewed)) {
        failure::date(&mut response, at + failure::AHEAD);
    }
    if matches!(fault, Some(Fault::DropConnectionAfterApplying)) {
        wire.cut();
        shared.record(&asked, (Value::Null, 0), at);
    } else {
        shared.record(&asked, (answer, response.status().as_u16()), at);
    }
    response
}

/// A refusal as recorded, and as sent.
pub(super) fn refused(protocol: Protocol, refusal: &Refusal) -> (Value, Response) {
    let (answer, response) = error(refusal.status, refusal.code, &refusal.message);
    let response = match protocol {
        Protocol::Query => sts::failed(refusal.status, &answer),
        Protocol::Json | Protocol::Cbor => response,
    };
    (answer, response)
}

/// A request, or the error code and message of a refusal.
fn read(headers: &HeaderMap, body: &[u8]) -> Result<Asked, (&'static str, &'static str)> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    if let Some(asked) = balancers::read(headers, body) {
        return Ok(asked);
    }
    if sts::is_form(headers) {
        let read = sts::read(body).ok_or(("InvalidAction", "No operation of STS is named"))?;
        return Ok(Asked { service: "sts", operation: read.0, body: read.1 });
    }
    let target = text("x-amz-target").unwrap_or_default();
    let known = JSON_SERVICES.iter().find_map(|(service, prefix, content_type)| {
        Some((*service, target.strip_prefix(prefix)?.to_owned(), *content_type))
    });
    let (service, operation, content_type) = known.ok_or(("UnknownOperationException", ""))?;
    if text("content-type") != Some(content_type) {
        return Err(("UnknownOperationException", "The content type is not the service's"));
    }
    if !text("authorization").is_some_and(|value| value.starts_with("AWS4-HMAC-SHA256 ")) {
        let message = "Request is missing Authentication Token";
        return Err(("MissingAuthenticationTokenException", message));
    }
    let body = serde_json::from_slice(body)
        .map_err(|_| ("SerializationException", "The body is not JSON"))?;
    Ok(Asked { service, operation, body })
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

pub(super) fn html(status: u16) -> Response {
    let page = "<!DOCTYPE html><html><head><title>Proxy</title></head><body>Sign in</body></html>";
    let mut response = Response::new(Body::from(page));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_GATEWAY);
    let html = header::HeaderValue::from_static("text/html");
    response.headers_mut().insert(header::CONTENT_TYPE, html);
    response
}

impl Shared {
    /// What the service answers when nothing goes wrong.
    async fn carry_out(&self, asked: &Asked, key: &str, at: Timestamp) -> (Value, Response) {
        if asked.service == "sts" {
            let what = (asked.operation.as_str(), &asked.body);
            let answer = lock(&self.sts).call(what, key, &self.settings, at);
            return match answer {
                Ok(answer) => {
                    let response = sts::response(&asked.operation, &answer);
                    (answer, response)
                }
                Err((code, message)) => {
                    let (answer, _) = error(StatusCode::FORBIDDEN, code, &message);
                    let response = sts::failed(StatusCode::FORBIDDEN, &answer);
                    (answer, response)
                }
            };
        }
        if !lock(&self.sts).admits(key) {
            let message = "The security token included in the request is invalid.";
            return error(StatusCode::BAD_REQUEST, "UnrecognizedClientException", message);
        }
        if asked.service == "elbv2" {
            return balancers::answer(&lock(&self.groups), asked);
        }
        applied(self.answer(asked.service, &asked.operation, &asked.body).await)
    }

    pub(super) fn record(&self, asked: &Asked, answer: (Value, u16), at: Timestamp) {
        let (answer, status) = answer;
        let (operation, body) = (asked.operation.clone(), asked.body.clone());
        let service = asked.service;
        lock(&self.calls).push(Call { service, operation, body, answer, status, at });
    }
}
