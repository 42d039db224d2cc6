//! `POST /hooks/sns`: events that SNS brings.
//!
//! Answered 200 once what the event hinted at was looked at and is kept, 503 where that
//! failed: SNS tries again then. 403 is for what is not from a topic of the settings, and
//! is not tried again.

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;

use super::Face;
use super::body::read_json;
use super::forward::SNS;
use super::openapi::ToSign;
use super::problem::Problem;
use crate::engine::{Taken, clock};
use crate::telemetry::HintResult;
use crate::triggers::sns::{Envelope, Kind, Refusal};
use crate::triggers::{Heard, read};

/// What became of a message; one of these.
#[derive(Debug, Default, Serialize, ToSchema)]
#[schema(as = SnsTaken)]
pub struct Answer {
    /// What its event led to.
    #[serde(skip_serializing_if = "Option::is_none")]
    taken: Option<String>,
    /// The topic whose subscription is confirmed.
    #[serde(skip_serializing_if = "Option::is_none")]
    confirmed: Option<String>,
    /// The topic that brings nothing more.
    #[serde(skip_serializing_if = "Option::is_none")]
    unsubscribed: Option<String>,
}

/// Brings events of AWS over SNS.
///
/// The message carries its own signature, by SNS's certificate; its topic must be in the
/// settings. An event only causes a look.
#[utoipa::path(
    post,
    path = SNS,
    operation_id = "hear_sns",
    tag = "announcing",
    request_body(content = Envelope, description = "As SNS writes it, whatever content type it says."),
    responses(
        (status = 200, description = "What it hinted at was looked at and is kept.", body = Answer),
        ToSign,
    ),
)]
pub async fn post(State(face): State<Face>, body: Body) -> Result<Json<Answer>, Problem> {
    let (message, _): (Envelope, _) = read_json(body).await?;
    let Some(sns) = &face.sns else {
        let detail = "no topic is taken: name them in discover.sns.topics";
        return Err(Problem::new(StatusCode::FORBIDDEN, detail));
    };
    sns.check(&message, clock::now()).await.map_err(|refusal| refused(&face, &refusal))?;
    let topic = &message.topic_arn;
    match message.kind {
        Kind::Notification => hint(&face, &message.message).await,
        Kind::SubscriptionConfirmation => {
            sns.confirm(&message).await.map_err(|refusal| refused(&face, &refusal))?;
            tracing::info!(topic, "the subscription is confirmed");
            Ok(Json(Answer { confirmed: Some(topic.clone()), ..Answer::default() }))
        }
        Kind::UnsubscribeConfirmation => {
            tracing::error!(topic, "somebody has ended the subscription: SNS brings nothing more");
            Ok(Json(Answer { unsubscribed: Some(topic.clone()), ..Answer::default() }))
        }
    }
}

fn refused(face: &Face, refusal: &Refusal) -> Problem {
    let (status, result) = match refusal {
        Refusal::Forged(_) => (StatusCode::FORBIDDEN, HintResult::Refused),
        Refusal::Unknown(_) => (StatusCode::SERVICE_UNAVAILABLE, HintResult::Failed),
    };
    tracing::warn!(%refusal, "a message at /hooks/sns is not taken");
    face.metrics.hinted("sns", result);
    Problem::new(status, refusal.to_string())
}

async fn hint(face: &Face, text: &str) -> Result<Json<Answer>, Problem> {
    let (result, answer) = match read(text) {
        Ok(Heard::Hint(hint)) => match face.place.of(hint) {
            None => (HintResult::NotOurs, "an event of another account or region".to_owned()),
            Some(wanted) => match face.hints.look(wanted).await {
                Ok(Taken::Looked) => (HintResult::Looked, "looked".to_owned()),
                Ok(Taken::Unguarded) => (HintResult::Unguarded, "nothing guards it".to_owned()),
                Err(why) => {
                    face.metrics.hinted("sns", HintResult::Failed);
                    return Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, why));
                }
            },
        },
        Ok(Heard::NotOurs(what)) => (HintResult::NotOurs, what),
        // It is signed, so SNS would bring the very same again.
        Err(error) => {
            tracing::warn!(%error, "a message of SNS can't be read");
            (HintResult::Unreadable, error.to_string())
        }
    };
    face.metrics.hinted("sns", result);
    Ok(Json(Answer { taken: Some(answer), ..Answer::default() }))
}
