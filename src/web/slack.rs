//! `POST /slack/interactivity`: buttons pressed in Slack.
//!
//! Answered 200 and empty within Slack's three seconds; what came of the press is told
//! to the person by its `response_url`. 401 is for what Slack has not signed lately.

use std::time::Duration;

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};

use super::Face;
use super::body::read_up_to;
use super::problem::Problem;
use crate::triggers::slack::{Unread, read};

/// The largest body, in bytes: Slack sends the whole message with each press.
const LIMIT: usize = 256 * 1024;
/// How long Slack is kept waiting for what was pressed.
const PATIENCE: Duration = Duration::from_secs(2);
pub async fn post(
    State(face): State<Face>,
    headers: HeaderMap,
    body: Body,
) -> Result<StatusCode, Problem> {
    let none = || {
        let detail = "no press is taken here: give slack.signing_secret and slack.operators";
        Problem::new(StatusCode::NOT_FOUND, detail)
    };
    let presses = face.presses.as_ref().filter(|presses| presses.buttons.takes_posts());
    let presses = presses.ok_or_else(none)?.clone();
    let bytes = read_up_to(LIMIT, body).await?;
    let header =
        |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let (signature, timestamp) = (header("x-slack-signature"), header("x-slack-request-timestamp"));
    let forged = |why: &dyn std::fmt::Display| {
        tracing::warn!(%why, "a press at /slack/interactivity is not taken");
        Problem::new(StatusCode::UNAUTHORIZED, why.to_string())
    };
    let text = std::str::from_utf8(&bytes).map_err(|error| forged(&error))?;
    presses.buttons.check(signature, timestamp, text).map_err(|why| forged(&why))?;
    let pressed = match payload(text).as_deref().map(read) {
        Some(Ok(pressed)) => pressed,
        // Another app's, or a button without a command: Slack wants its 200.
        Some(Err(Unread::NotOurs(what))) => {
            tracing::debug!(what, "an interaction that is none of ours");
            return Ok(StatusCode::OK);
        }
        Some(Err(why @ Unread::NotSlacks(_))) => {
            return Err(Problem::new(StatusCode::BAD_REQUEST, why.to_string()));
        }
        None => {
            let detail = "the body has no `payload`";
            return Err(Problem::new(StatusCode::BAD_REQUEST, detail));
        }
    };
    let Some(room) = presses.room() else {
        let detail = "too much is being pressed; try again";
        return Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail));
    };
    let doing = tokio::spawn(async move {
        presses.take(pressed).await;
        drop(room);
    });
    // Slower ones go on.
    let _ = tokio::time::timeout(PATIENCE, doing).await;
    Ok(StatusCode::OK)
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
