//! Passing on to the leader what changes something.
//!
//! Reading is answered from the store by whoever is asked. A hook or an act is the
//! leader's: it is answered here only with the leader's own answer, so what was
//! acknowledged is kept. Who sent it is judged by the leader, by the same token.

use std::time::Duration;

use axum::body::to_bytes;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::Face;
use super::problem::Problem;
use crate::engine::Leads;

/// Said of what was passed on once: it is passed on no further.
const PASSED_ON: HeaderName = HeaderName::from_static("x-deployguard-passed-on");
/// The largest request and the largest answer, in bytes.
const LIMIT: usize = 1024 * 1024;
/// How long the leader may take: less than a request here may.
const PATIENCE: Duration = Duration::from_secs(12);
/// What belongs to one connection, or is made anew.
const OF_ONE_WAY: [HeaderName; 6] = [
    header::HOST,
    header::CONNECTION,
    header::CONTENT_LENGTH,
    header::TRANSFER_ENCODING,
    header::EXPECT,
    header::UPGRADE,
];

/// A client for passing on; nothing is sent.
///
/// # Errors
/// Why there can be none.
pub fn relay() -> reqwest::Result<reqwest::Client> {
    reqwest::Client::builder()
        .connect_timeout(Duration::from_secs(2))
        .timeout(PATIENCE)
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .build()
}

pub async fn to_leader(State(face): State<Face>, request: Request, next: Next) -> Response {
    if matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS) {
        return next.run(request).await;
    }
    let leader = match face.engine.leads() {
        Leads::Here => return next.run(request).await,
        Leads::There(url) => url,
        Leads::Nobody => return nobody("no deployguard leads right now; try again"),
    };
    if request.headers().contains_key(PASSED_ON) {
        return nobody("the lead is changing hands; try again");
    }
    pass_on(&face, &leader, request).await.unwrap_or_else(IntoResponse::into_response)
}

async fn pass_on(face: &Face, leader: &str, request: Request) -> Result<Response, Problem> {
    let (head, body) = request.into_parts();
    let body = to_bytes(body, LIMIT).await.map_err(|error| {
        Problem::new(StatusCode::PAYLOAD_TOO_LARGE, format!("the body can't be passed on: {error}"))
    })?;
    let path = head.uri.path_and_query().map_or("/", |path| path.as_str());
    let mut headers = head.headers;
    for name in OF_ONE_WAY {
        headers.remove(name);
    }
    headers.insert(PASSED_ON, HeaderValue::from_static("1"));
    let unreachable = |error: reqwest::Error| {
        tracing::warn!(leader, %error, "a request could not be passed on");
        let detail = "the deployguard that leads does not answer; try again, it is taken once";
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail)
    };
    let asked = face.relay.request(head.method, format!("{leader}{path}")).headers(headers);
    let answer = asked.body(body).send().await.map_err(unreachable)?;
    let (status, said) = (answer.status(), kept(answer.headers()));
    let body = whole(answer).await.map_err(unreachable)?;
    Ok((status, said, body).into_response())
}

/// The body of an answer, up to the limit.
async fn whole(mut answer: reqwest::Response) -> reqwest::Result<Vec<u8>> {
    let mut body = Vec::new();
    while body.len() < LIMIT
        && let Some(piece) = answer.chunk().await?
    {
        body.extend_from_slice(&piece);
    }
    Ok(body)
}

/// The headers of an answer that mean something to whoever asked.
fn kept(headers: &HeaderMap) -> HeaderMap {
    let names = [header::CONTENT_TYPE, header::RETRY_AFTER, header::WWW_AUTHENTICATE];
    names.into_iter().filter_map(|name| Some((name.clone(), headers.get(name)?.clone()))).collect()
}

fn nobody(why: &str) -> Response {
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, why).into_response()
}
