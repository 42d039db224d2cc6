//! `POST /slack/interactivity`: buttons pressed in Slack.
//!
//! Answered 200 and empty within Slack's three seconds; what came of the press is told
//! to the person by its `response_url`. 401 is for what Slack has not signed lately.
//! Who stands by answers as quickly, and tells the person where the leader can't.

use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use tokio::sync::OwnedSemaphorePermit;

use super::Face;
use super::body::read_up_to;
use super::forward::relayed;
use super::openapi::texts::SlackForm;
use super::openapi::{Also, ToSign};
use super::problem::Problem;
use crate::engine::{NOT_KNOWN, Presses};
use crate::triggers::slack::{Pressed, Unread, read};

/// Where Slack posts what is pressed.
pub const INTERACTIVITY: &str = "/slack/interactivity";

/// The largest body, in bytes: Slack sends the whole message with each press.
const LIMIT: usize = 256 * 1024;
/// How long Slack is kept waiting for what was pressed.
const PATIENCE: Duration = Duration::from_secs(2);

/// Brings the buttons that are pressed in Slack.
///
/// Answered within three seconds; what came of the press is told to the person.
#[utoipa::path(
    post,
    path = INTERACTIVITY,
    operation_id = "press",
    tag = "acting",
    request_body(content = SlackForm, content_type = "application/x-www-form-urlencoded"),
    responses(
        (status = 200, description = "It is taken, or none of ours."),
        Also<401>,
        Also<404>,
        ToSign,
    ),
    security(("slack" = [], "slack_time" = [])),
)]
pub async fn post(
    State(face): State<Face>,
    headers: HeaderMap,
    body: Body,
) -> Result<StatusCode, Problem> {
    let none = || {
        let detail = "no press is taken here: give slack.signing_secret and slack.operators";
        Problem::new(StatusCode::NOT_FOUND, detail)
    };
    let presses = taker(&face).ok_or_else(none)?;
    let bytes = read_up_to(LIMIT, body).await?;
    let Some(pressed) = checked(&presses, &headers, &bytes)? else { return Ok(StatusCode::OK) };
    let room = room(&presses)?;
    let doing = tokio::spawn(async move {
        presses.take(pressed).await;
        drop(room);
    });
    // Slower ones go on.
    let _ = tokio::time::timeout(PATIENCE, doing).await;
    Ok(StatusCode::OK)
}

/// A press that comes to who stands by: checked here, because it is answered here where the
/// leader is slow, and brought to the leader, who checks it too.
pub async fn passed_on(face: &Face, head: Parts, body: Bytes, next: Next) -> Response {
    let Some(presses) = taker(face) else {
        return relayed(face.clone(), head, body, next).await;
    };
    let checked = checked(&presses, &head.headers, &body);
    let (pressed, room) = match checked.and_then(|read| Ok((read, room(&presses)?))) {
        Ok((Some(pressed), room)) => (pressed, room),
        Ok((None, _)) => return StatusCode::OK.into_response(),
        Err(problem) => return problem.into_response(),
    };
    let (face, (answer, answered)) = (face.clone(), tokio::sync::oneshot::channel());
    tokio::spawn(async move {
        let response = relayed(face, head, body, next).await;
        // Nobody waits for it any more: Slack has its 200, and the person hears of a failure.
        if let Err(late) = answer.send(response)
            && !late.status().is_success()
        {
            presses.buttons.tell(&pressed, NOT_KNOWN).await;
        }
        drop(room);
    });
    match tokio::time::timeout(PATIENCE, answered).await {
        Ok(Ok(response)) => response,
        Ok(Err(_)) | Err(_) => StatusCode::OK.into_response(),
    }
}

/// What does presses that are posted here, if the settings take any.
fn taker(face: &Face) -> Option<Presses> {
    face.presses.clone().filter(|presses| presses.buttons.takes_posts())
}

/// What was pressed, if Slack has sent it lately. `None`: none of ours.
fn checked(
    presses: &Presses,
    headers: &HeaderMap,
    bytes: &[u8],
) -> Result<Option<Pressed>, Problem> {
    let header =
        |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let (signature, timestamp) = (header("x-slack-signature"), header("x-slack-request-timestamp"));
    let forged = |why: &dyn std::fmt::Display| {
        tracing::warn!(%why, "a press at {INTERACTIVITY} is not taken");
        Problem::new(StatusCode::UNAUTHORIZED, why.to_string())
    };
    let text = std::str::from_utf8(bytes).map_err(|error| forged(&error))?;
    presses.buttons.check(signature, timestamp, text).map_err(|why| forged(&why))?;
    match payload(text).as_deref().map(read) {
        Some(Ok(pressed)) => Ok(Some(pressed)),
        // Another app's, or a button without a command: Slack wants its 200.
        Some(Err(Unread::NotOurs(what))) => {
            tracing::debug!(what, "an interaction that is none of ours");
            Ok(None)
        }
        Some(Err(why @ Unread::NotSlacks(_))) => {
            Err(Problem::new(StatusCode::BAD_REQUEST, why.to_string()))
        }
        None => Err(Problem::new(StatusCode::BAD_REQUEST, "the body has no `payload`")),
    }
}

fn room(presses: &Presses) -> Result<OwnedSemaphorePermit, Problem> {
    presses.room().ok_or_else(|| {
        let detail = "too much is being pressed; try again";
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail)
    })
}

/// The form's one field.
fn payload(form: &str) -> Option<String> {
    let mut url = reqwest::Url::parse("form:/").ok()?;
    url.set_query(Some(form));
    let found = url.query_pairs().find(|(name, _)| name == "payload");
    found.map(|(_, value)| value.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_payload_comes_out_of_its_form_as_it_went_in() {
        assert_eq!(
            payload("a=1&payload=%7B%22a%22%3A%22b+c%2B%26%22%7D"),
            Some("{\"a\":\"b c+&\"}".into())
        );
        assert_eq!(payload("a=1"), None);
        assert_eq!(payload("payload=x#y"), Some("x#y".into()));
    }
}
