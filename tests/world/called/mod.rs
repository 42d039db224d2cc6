//! Whom the guard calls elsewhere than in Slack: PagerDuty, a receiver of webhooks, a mail
//! server.

pub mod pagerduty;
pub mod smtp;
pub mod tls;
pub mod webhook;

use std::time::Duration;

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use super::server::Wire;

/// What goes wrong with a request over HTTP.
#[derive(Debug, Clone)]
pub enum HttpFault {
    /// This status; nothing is taken.
    Status(u16),
    /// HTTP 307 to this address; nothing is taken.
    Redirect(String),
    /// HTTP 429, with `Retry-After` in seconds; nothing is taken.
    TooManyRequests(u64),
    /// No answer for this long, then the connection is cut; nothing is taken.
    Hang(Duration),
    /// It is taken, but the answer never arrives.
    TakenButNoAnswer,
}

/// Meets a fault; `take` is for what is taken all the same.
pub(super) async fn meet(
    fault: HttpFault,
    wire: &Wire,
    take: impl FnOnce() -> Response,
) -> Response {
    match fault {
        HttpFault::Status(status) => {
            StatusCode::from_u16(status).expect("a status").into_response()
        }
        HttpFault::Redirect(to) => {
            (StatusCode::TEMPORARY_REDIRECT, [("location", to)]).into_response()
        }
        HttpFault::TooManyRequests(seconds) => {
            let headers = [("retry-after", seconds.to_string())];
            (StatusCode::TOO_MANY_REQUESTS, headers).into_response()
        }
        HttpFault::Hang(pause) => {
            tokio::time::sleep(pause).await;
            wire.cut();
            StatusCode::GATEWAY_TIMEOUT.into_response()
        }
        HttpFault::TakenButNoAnswer => {
            let answer = take();
            wire.cut();
            answer
        }
    }
}
