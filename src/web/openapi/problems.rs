//! What may go wrong, told once for all routes.

use std::collections::BTreeMap;

use axum::http::StatusCode;
use utoipa::openapi::header::HeaderBuilder;
use utoipa::openapi::{ContentBuilder, Ref, RefOr, Response, ResponseBuilder};
use utoipa::{IntoResponses, Modify};

use crate::web::problem::{self, Problem};

/// What is answered of a request that nobody need be known for.
pub enum Unasked {}
/// What may go wrong in reading, of addresses that name nothing.
pub enum ToRead {}
/// What may go wrong where a body is read and something is kept.
pub enum ToDo {}
/// The same, where what is posted is signed instead of by the bearer of a token.
pub enum ToSign {}
/// One status more.
pub enum Also<const STATUS: u16> {}

const UNASKED: &[u16] = &[500, 504];
const TO_READ: &[u16] = &[401, 500, 503, 504];
const TO_DO: &[u16] = &[400, 401, 403, 413, 422, 500, 503, 504];

const TO_SIGN: &[u16] = &[400, 403, 413, 422, 500, 503, 504];

/// Every status that a problem may have, and what it means here.
const KNOWN: &[(u16, &str)] = &[
    (400, "It can't be read: no JSON, no UTF-8, or a parameter that is wrong."),
    (401, "There is no token, or nobody knows it; or what is signed is not, or not lately."),
    (403, "The token's role is not enough, or the token is not for this service."),
    (404, "There is no such thing, or the settings take nothing here."),
    (409, "The state of things forbids it; the detail says what has changed."),
    (413, "The body is too large."),
    (415, "The body is of a type that is not read."),
    (422, "The body can be read and is wrong; `errors` names the field."),
    (429, "Too much of it is kept already."),
    (500, "A mistake of deployguard's own."),
    (503, "It can't be answered now: the store, or whoever leads, can't be reached. Try again."),
    (504, "Neither heard out nor answered within 15 seconds."),
];

impl IntoResponses for Unasked {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        named(UNASKED)
    }
}

impl IntoResponses for ToRead {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        named(TO_READ)
    }
}

impl IntoResponses for ToDo {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        named(TO_DO)
    }
}

impl IntoResponses for ToSign {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        named(TO_SIGN)
    }
}

impl<const STATUS: u16> IntoResponses for Also<STATUS> {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        named(&[STATUS])
    }
}

fn named(statuses: &[u16]) -> BTreeMap<String, RefOr<Response>> {
    let to = |status: &u16| RefOr::Ref(Ref::from_response_name(name(*status)));
    statuses.iter().map(|status| (status.to_string(), to(status))).collect()
}

/// `NotFound`.
fn name(status: u16) -> String {
    let status = StatusCode::from_u16(status).ok();
    let words = status.and_then(|status| status.canonical_reason()).unwrap_or("Problem");
    words.split(' ').collect()
}

/// Says once what each problem is.
pub struct Known;

impl Modify for Known {
    fn modify(&self, api: &mut utoipa::openapi::OpenApi) {
        let components = api.components.get_or_insert_default();
        for (status, words) in KNOWN {
            components.responses.insert(name(*status), RefOr::T(told(*status, words)));
        }
    }
}

fn told(status: u16, words: &str) -> Response {
    let example = StatusCode::from_u16(status).ok().map(|status| Problem::new(status, words));
    let example = example.and_then(|problem| serde_json::to_value(problem).ok());
    let content = ContentBuilder::new()
        .schema(Some(Ref::from_schema_name("Problem")))
        .example(example)
        .build();
    let told = ResponseBuilder::new().description(words).content(problem::KIND, content);
    let header = |words: &str| HeaderBuilder::new().description(Some(words)).build();
    match status {
        401 => told.header("WWW-Authenticate", header("`Bearer`")),
        503 => told.header("Retry-After", header("Seconds.")),
        _ => told,
    }
    .build()
}
