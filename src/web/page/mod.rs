//! The page that people look at: rendered here, made live by a small script.
//!
//! Every page is a pure function of what the store says; the script fetches the same pieces
//! anew when something changes. Nothing is loaded from anywhere else, and nothing in a page
//! runs that does not lie under `/assets`. What changes something is a form, judged by the
//! session and brought to the leader by the way of the API ([`super::act`]).

mod acts;
mod assets;
mod brief;
mod card;
mod charts;
mod confirm;
mod cookies;
mod detail;
mod fleet;
mod history;
mod login;
mod parts;
mod see;
mod seldom;
mod session;
mod shelf;
mod shell;
#[cfg(test)]
mod tests;
mod tries;
mod who;

use axum::Router;
use axum::body::to_bytes;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::{HeaderValue, header};
use axum::middleware::{Next, from_fn_with_state, map_response};
use axum::response::Response;
use axum::routing::{get, post};

pub use who::{PROXY_SECRET, reads_too};

use super::Face;
use super::problem::Problem;

/// What the pages remember between requests.
#[derive(Debug, Default)]
pub struct Pages {
    tries: tries::Tries,
    shelf: shelf::Shelf,
    resting: seldom::Resting,
    environments: seldom::Environments,
    drawn: charts::Drawn,
}

/// The largest form, in bytes.
const LIMIT: usize = 64 * 1024;

/// Scripts, styles, requests and forms: from and to this daemon alone.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
                      img-src 'self' data:; connect-src 'self'; form-action 'self'; \
                      base-uri 'none'; frame-ancestors 'none'";

/// What the script fetches: it reads the status, and shows no page.
const PIECES: [&str; 3] = ["/part", "/card", "/row"];

pub fn routes(face: Face) -> Router<Face> {
    Router::new()
        .route("/", get(see::fleet))
        .route("/history", get(see::history))
        .route("/watches/{id}", get(see::watch))
        .route("/watches/{id}/part", get(see::part))
        .route("/watches/{id}/card", get(see::card))
        .route("/watches/{id}/act/{deed}", get(acts::ask).post(acts::act))
        .route("/login", get(login::form).post(login::log_in))
        .route("/logout", post(login::log_out))
        .route("/assets/{name}", get(assets::get))
        .layer(DefaultBodyLimit::max(LIMIT))
        .layer(from_fn_with_state(face, as_page))
        .layer(map_response(guarded))
}

/// Whether what is posted there is a form of a page, which no other daemon is asked about.
pub fn is_form(path: &str) -> bool {
    path == "/login" || path == "/logout" || path.starts_with("/watches/")
}

/// Whether everybody gets the same there.
fn is_file(path: &str) -> bool {
    path.starts_with("/assets/")
}

/// What is refused before a page could be made is told as one as well: a query or a form that
/// can't be read, a visitor who can't be looked up.
async fn as_page(State(face): State<Face>, request: Request, next: Next) -> Response {
    let path = request.uri().path();
    let is_whole = !is_file(path) && !PIECES.iter().any(|piece| path.ends_with(piece));
    let (parts, body) = request.into_parts();
    let (headers, peer) = (parts.headers.clone(), who::peer(&parts));
    let answer = next.run(Request::from_parts(parts, body)).await;
    let status = answer.status();
    let fails = status.is_client_error() || status.is_server_error();
    let kind = answer.headers().get(header::CONTENT_TYPE).map_or(&b""[..], HeaderValue::as_bytes);
    if !is_whole || !fails || kind.starts_with(b"text/html") {
        return answer;
    }
    let (head, body) = answer.into_parts();
    let problem = Problem::told(status, &to_bytes(body, LIMIT).await.unwrap_or_default());
    let visitor = face.visitor(&headers, peer).await.unwrap_or_default();
    let mut page = shell::trouble(&problem, &visitor);
    for name in [header::RETRY_AFTER, header::ALLOW] {
        let value = head.headers.get(&name).cloned();
        page.headers_mut().extend(value.map(|value| (name, value)));
    }
    page
}

async fn guarded(mut response: Response) -> Response {
    let headers = response.headers_mut();
    let plain = HeaderValue::from_static;
    headers.insert(header::CONTENT_SECURITY_POLICY, plain(POLICY));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, plain("nosniff"));
    // With `no-referrer` a browser would not say where a form comes from, not even to us.
    headers.insert(header::REFERRER_POLICY, plain("same-origin"));
    headers.insert(header::X_FRAME_OPTIONS, plain("DENY"));
    response
}
