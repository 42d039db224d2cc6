//! The edge: smithy's RPC over CBOR, recorded as JSON, with faults on demand.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{ConnectInfo, Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::Value;

use super::cbor;
use super::error::CloudWatchError;
use crate::world::aws::failure::{self, Protocol, Refusal};
use crate::world::aws::http::{Asked, html};
use crate::world::aws::{Fault, Shared};
use crate::world::now;
use crate::world::server::Wire;

/// Where its operations are.
pub(in crate::world::aws) const PATH: &str =
    "/service/GraniteServiceVersion20100801/operation/{operation}";

type Answer = Result<Value, CloudWatchError>;

/// Answers one request.
pub(in crate::world::aws) async fn answer(
    State(shared): State<Arc<Shared>>,
    ConnectInfo(wire): ConnectInfo<Wire>,
    Path(operation): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let at = now();
    let body = match read(&headers, &body) {
        Ok(body) => body,
        Err(refusal) => return response(&Err(refusal)).1,
    };
    let asked = Asked { service: "cloudwatch", operation, body };
    let fault = shared.faults.take(&asked.operation);
    let skewed = matches!(fault, Some(Fault::Skewed));
    let answer = match &fault {
        Some(Fault::Throttle) => Err(CloudWatchError::throttled()),
        Some(Fault::Denied) => Err(CloudWatchError::denied(&asked.operation)),
        Some(fault @ (Fault::Expired | Fault::Skewed)) => {
            let refusal = Protocol::Cbor.refuses((asked.service, fault), &headers, at);
            Err(refusal.map_or_else(CloudWatchError::internal, CloudWatchError::of))
        }
        Some(Fault::Error5xx) => Err(CloudWatchError::internal()),
        Some(Fault::Html(status)) => {
            shared.record(&asked, (Value::Null, *status), at);
            return html(*status);
        }
        Some(Fault::Hang(pause)) => {
            shared.record(&asked, (Value::Null, 0), at);
            tokio::time::sleep(*pause).await;
            wire.cut();
            return StatusCode::GATEWAY_TIMEOUT.into_response();
        }
        Some(Fault::DropConnectionAfterApplying) | None => {
            shared.cloudwatch.call(&asked.operation, &asked.body)
        }
    };
    let (recorded, mut response) = response(&answer);
    if skewed {
        failure::date(&mut response, at + failure::AHEAD);
    }
    if matches!(fault, Some(Fault::DropConnectionAfterApplying)) {
        wire.cut();
        shared.record(&asked, (Value::Null, 0), at);
    } else {
        shared.record(&asked, (recorded, response.status().as_u16()), at);
    }
    response
}

/// To a request that is turned away before it is read.
pub(in crate::world::aws) fn refused(refusal: Refusal) -> Response {
    response(&Err(CloudWatchError::of(refusal))).1
}

fn read(headers: &HeaderMap, body: &[u8]) -> Result<Value, CloudWatchError> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    for (name, value) in [("smithy-protocol", "rpc-v2-cbor"), ("content-type", "application/cbor")]
    {
        if text(name) != Some(value) {
            return Err(CloudWatchError::not_modelled(format!(
                "a request without {name}: {value}"
            )));
        }
    }
    if !text("authorization").is_some_and(|value| value.starts_with("AWS4-HMAC-SHA256 ")) {
        return Err(CloudWatchError::unsigned());
    }
    cbor::read(body).map_err(CloudWatchError::invalid)
}

/// An answer as recorded, and as sent.
fn response(answer: &Answer) -> (Value, Response) {
    let (status, body) = match answer {
        Ok(body) => (StatusCode::OK, body.clone()),
        Err(error) => {
            (StatusCode::from_u16(error.status).unwrap_or(StatusCode::BAD_REQUEST), error.body())
        }
    };
    let headers = [
        (header::CONTENT_TYPE, "application/cbor"),
        (header::HeaderName::from_static("smithy-protocol"), "rpc-v2-cbor"),
        (
            header::HeaderName::from_static("x-amzn-requestid"),
            "00000000-0000-4000-8000-000000000000",
        ),
    ];
    let mut response = (status, headers, cbor::write(&body)).into_response();
    if let Err(error) = answer
        && let Ok(code) = error.header().parse()
    {
        response.headers_mut().insert("x-amzn-query-error", code);
    }
    (body, response)
}
