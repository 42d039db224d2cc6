//! `GET /openapi.json`: what this face takes and answers (version 3.1).
//!
//! It is made of the code: a route and its description are one call
//! ([`OpenApiRouter::routes`]), so neither is without the other, and a body is described by
//! the type that reads or writes it. What the reading enforces beside the type (lengths,
//! letters) is said by [`texts`], with the same constants.
//!
//! The texts are those of the doc comments, so they are written for whoever calls.

mod problems;
pub(super) mod texts;

use std::sync::LazyLock;

use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use problems::Known;
use texts::MAY_BE_LEFT_OUT;
use utoipa::openapi::security::{ApiKey, ApiKeyValue, Http, HttpAuthScheme, SecurityScheme};
use utoipa::openapi::{RefOr, Required};
use utoipa::{Modify, OpenApi};
use utoipa_axum::router::OpenApiRouter;

use super::problem::Problem;
use super::{described, etag};
pub(super) use problems::{Also, ToDo, ToRead, ToSign, Unasked};

/// What is said of all routes together.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "deployguard",
        description = "Watches every deployment for its first 24 hours, and puts the last \
                       known-good version back when it broke something.\n\nMistakes are told as \
                       problem documents (RFC 9457), which name the field. Times are RFC 3339 in \
                       UTC; values of checks are in base units (a ratio is 0-1; seconds; bytes). \
                       A request whose answer was lost may be sent again: what was taken once is \
                       known again.",
    ),
    tags(
        (name = "announcing", description = "What pipelines and platforms tell."),
        (name = "watches", description = "What is guarded, and why it is judged as it is."),
        (name = "acting", description = "What people do. Each act is kept with who and why."),
        (name = "gate", description = "May this be deployed now?"),
        (name = "pauses", description = "Stops on everything that is done unattended."),
        (name = "daemon", description = "deployguard itself."),
    ),
    components(schemas(Problem, texts::Job, texts::Pressed, texts::Text)),
    modifiers(&Known, &Schemes),
)]
struct Base;

/// How a request shows whose it is.
struct Schemes;

impl Modify for Schemes {
    fn modify(&self, api: &mut utoipa::openapi::OpenApi) {
        let said = "A token of the settings. Its role is one of `read`, `deploy` (announces \
                    deployments too) and `operate` (acts too); each may do what those before it \
                    may. A token may be for some services or environments only: 403 elsewhere. \
                    With `open_reads: true` in the settings what needs `read` needs no token.";
        let mut token = Http::new(HttpAuthScheme::Bearer);
        token.description = Some(said.to_owned());
        let header = |name: &str, said: &str| {
            SecurityScheme::ApiKey(ApiKey::Header(ApiKeyValue::with_description(name, said)))
        };
        let github = "`sha256=` and the HMAC-SHA-256 of the body with one of \
                      `github.webhook_secrets`, in hexadecimal.";
        let slack = "`v0=` and the HMAC-SHA-256 of `v0:TIMESTAMP:BODY` with \
                     `slack.signing_secret`, in hexadecimal.";
        let render = "`v1,` and the HMAC-SHA-256 of `ID.TIMESTAMP.BODY` with \
                      `render.webhook_secret`, in base64.";
        let lately = "Seconds since the epoch, at most five minutes ago; part of what is signed.";
        let schemes = [
            ("token", SecurityScheme::Http(token)),
            ("github", header("X-Hub-Signature-256", github)),
            ("slack", header("X-Slack-Signature", slack)),
            ("slack_time", header("X-Slack-Request-Timestamp", lately)),
            ("render", header("webhook-signature", render)),
            ("render_id", header("webhook-id", "The delivery; part of what is signed.")),
            ("render_time", header("webhook-timestamp", lately)),
        ];
        // Cargo has none to give.
        api.info.license = None;
        let components = api.components.get_or_insert_default();
        for (name, scheme) in schemes {
            components.add_security_scheme(name, scheme);
        }
    }
}

/// A router that describes what is added to it.
pub fn router<S: Clone + Send + Sync + 'static>() -> OpenApiRouter<S> {
    OpenApiRouter::with_openapi(Base::openapi())
}

/// The document, the same as long as the process runs.
struct Document {
    text: String,
    tag: HeaderValue,
}

static DOCUMENT: LazyLock<Document> = LazyLock::new(|| {
    let text = serde_json::to_string(&whole()).unwrap_or_default();
    // Doc comments speak of Rust to whoever reads JSON.
    let text = text.replace("`None`", "`null`").replace("[`", "`").replace("`]", "`");
    let tag = etag::of(text.as_bytes());
    Document { text, tag }
});

/// The document of all routes.
fn whole() -> utoipa::openapi::OpenApi {
    let mut api = described().into_openapi();
    let operations = api.paths.paths.values_mut().filter_map(|item| item.post.as_mut());
    for body in operations.filter_map(|operation| operation.request_body.as_mut()) {
        if let RefOr::T(body) = body
            && body.description.as_deref() == Some(MAY_BE_LEFT_OUT)
        {
            body.required = Some(Required::False);
        }
    }
    api
}

/// This document.
///
/// It is the same for all of a version; ask with `If-None-Match`.
#[utoipa::path(
    get,
    path = "/openapi.json",
    operation_id = "openapi",
    tag = "daemon",
    params(("If-None-Match" = Option<String>, Header, description = "The `ETag` that is known.")),
    responses(
        (status = 200, description = "OpenAPI 3.1", body = BTreeMap<String, serde_json::Value>,
            headers(("ETag" = String, description = "Of the document."))),
        (status = 304, description = "It is the one that is known."),
        Unasked,
    ),
)]
pub async fn document(headers: HeaderMap) -> Response {
    let Document { text, tag } = &*DOCUMENT;
    let fresh = [
        (header::CONTENT_TYPE, HeaderValue::from_static("application/json")),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-cache")),
        (header::ETAG, tag.clone()),
    ];
    if etag::is_known(&headers, tag) {
        (StatusCode::NOT_MODIFIED, fresh).into_response()
    } else {
        (fresh, text.as_str()).into_response()
    }
}
