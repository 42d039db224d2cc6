//! A collector of OpenTelemetry's: takes spans by OTLP over HTTP, and keeps them.

use std::fmt::Write;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value::Value};
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;

use super::lock;
use super::server::Server;

/// A running collector.
pub struct Collector {
    server: Server,
    told: Told,
}

/// What was sent: each span, with the attributes of who sent it.
type Told = Arc<Mutex<Vec<Sent>>>;

/// A span as it came.
#[derive(Debug, Clone)]
pub struct Sent {
    pub span: Span,
    resource: Vec<KeyValue>,
}

impl Collector {
    pub async fn start() -> anyhow::Result<Self> {
        let told = Told::default();
        let router = Router::new().route("/v1/traces", post(take)).with_state(told.clone());
        Ok(Self { server: Server::start(router).await?, told })
    }

    /// Its root, without a slash at the end.
    pub fn url(&self) -> String {
        self.server.url()
    }

    pub fn spans(&self) -> Vec<Sent> {
        lock(&self.told).clone()
    }
}

impl Sent {
    pub fn name(&self) -> &str {
        &self.span.name
    }

    pub fn trace(&self) -> String {
        hex(&self.span.trace_id)
    }

    pub fn id(&self) -> String {
        hex(&self.span.span_id)
    }

    /// Empty: it is the first of its trace.
    pub fn parent(&self) -> String {
        hex(&self.span.parent_span_id)
    }

    pub fn has_failed(&self) -> bool {
        use opentelemetry_proto::tonic::trace::v1::status::StatusCode::Error;
        self.span.status.as_ref().is_some_and(|status| status.code == Error as i32)
    }

    /// The traces and spans that it is linked to.
    pub fn links(&self) -> Vec<(String, String)> {
        let links = self.span.links.iter();
        links.map(|link| (hex(&link.trace_id), hex(&link.span_id))).collect()
    }

    /// Of the span, or of who sent it; empty where there is none.
    pub fn attribute(&self, key: &str) -> String {
        let all = self.span.attributes.iter().chain(&self.resource);
        let value = all.filter(|one| one.key == key).find_map(|one| one.value.clone()?.value);
        match value {
            Some(Value::StringValue(text)) => text,
            Some(Value::IntValue(number)) => number.to_string(),
            Some(other) => format!("{other:?}"),
            None => String::new(),
        }
    }
}

async fn take(
    State(told): State<Told>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Vec<u8>, (StatusCode, String)> {
    let no = |why: String| (StatusCode::BAD_REQUEST, why);
    let kind = headers.get("content-type").and_then(|kind| kind.to_str().ok());
    if kind != Some("application/x-protobuf") {
        return Err(no(format!("{kind:?} is no protobuf")));
    }
    let sent = ExportTraceServiceRequest::decode(body).map_err(|why| no(why.to_string()))?;
    for of in sent.resource_spans {
        let resource = of.resource.map(|resource| resource.attributes).unwrap_or_default();
        let spans = of.scope_spans.into_iter().flat_map(|scope| scope.spans);
        let spans = spans.map(|span| Sent { span, resource: resource.clone() });
        lock(&told).extend(spans);
    }
    Ok(ExportTraceServiceResponse::default().encode_to_vec())
}

fn hex(bytes: &[u8]) -> String {
    let mut text = String::new();
    for byte in bytes {
        let _ = write!(text, "{byte:02x}");
    }
    text
}
