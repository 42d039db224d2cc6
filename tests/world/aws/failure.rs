//! What goes wrong with a call, as each protocol of AWS words it; and the service's clock.

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::Response;
use jiff::{SignedDuration, Timestamp};
use std::sync::Arc;

use super::cloudwatch::edge;
use super::{Fault, Shared, http};
use crate::world::{lock, now};

/// How much a signed time may be off.
const TOLERATED: SignedDuration = SignedDuration::from_mins(5);
/// How far ahead of ours the clock is that [`Fault::Skewed`] meets.
pub(super) const AHEAD: SignedDuration = SignedDuration::from_hours(1);

/// How a service speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Protocol {
    Json,
    /// Forms in, XML out: STS and the load balancers.
    Query,
    /// CloudWatch's.
    Cbor,
}

/// An error answer.
pub(super) struct Refusal {
    pub status: StatusCode,
    /// The exception's name, as the body says it.
    pub code: &'static str,
    /// Its name in the query protocol, which an SDK shows where both are there.
    pub query_code: &'static str,
    pub message: String,
}

impl Protocol {
    /// By what the request's body is.
    pub fn of(headers: &HeaderMap) -> Self {
        let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        match kind.unwrap_or_default() {
            kind if kind.starts_with("application/x-www-form-urlencoded") => Self::Query,
            "application/cbor" => Self::Cbor,
            _ => Self::Json,
        }
    }

    fn refusal(self, status: u16, code: &'static str, message: impl Into<String>) -> Refusal {
        let query_code = match code {
            "InvalidSignatureException" => "SignatureDoesNotMatch",
            code => code.strip_suffix("Exception").unwrap_or(code),
        };
        // The JSON protocol says 400 for whatever is the caller's fault.
        let status = if self == Self::Json && status == 403 { 400 } else { status };
        let code = if self == Self::Query { query_code } else { code };
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_REQUEST);
        Refusal { status, code, query_code, message: message.into() }
    }

    /// The answer of `service` to a call that meets this fault; `None`: there is none in the
    /// protocol.
    pub fn refuses(
        self,
        (service, fault): (&str, &Fault),
        headers: &HeaderMap,
        at: Timestamp,
    ) -> Option<Refusal> {
        Some(match fault {
            Fault::Throttle => self.refusal(400, "ThrottlingException", "Rate exceeded"),
            Fault::Denied => {
                let message = "User is not authorized to perform this action";
                self.refusal(403, "AccessDeniedException", message)
            }
            Fault::Expired => {
                let message = "The security token included in the request is expired";
                self.refusal(403, "ExpiredTokenException", message)
            }
            Fault::Error5xx => {
                let message = "Service Unavailable. Please try again later.";
                let named = ["ecr", "ecs"].contains(&service);
                self.refusal(
                    500,
                    if named { "ServerException" } else { "InternalFailure" },
                    message,
                )
            }
            Fault::Skewed => self.skewed(headers, at + AHEAD),
            Fault::Hang(_) | Fault::Html(_) | Fault::DropConnectionAfterApplying => return None,
        })
    }

    /// To a request that was signed at another time than it is here, `server`.
    fn skewed(self, headers: &HeaderMap, server: Timestamp) -> Refusal {
        let signed = signed_at(headers).unwrap_or(Timestamp::UNIX_EPOCH);
        let text = |at: Timestamp| at.strftime("%Y%m%dT%H%M%SZ").to_string();
        let message = if signed < server {
            format!(
                "Signature expired: {} is now earlier than {} ({} - 5 min.)",
                text(signed),
                text(server - TOLERATED),
                text(server)
            )
        } else {
            format!(
                "Signature not yet current: {} is still later than {} ({} + 5 min.)",
                text(signed),
                text(server + TOLERATED),
                text(server)
            )
        };
        self.refusal(403, "InvalidSignatureException", message)
    }
}

fn signed_at(headers: &HeaderMap) -> Option<Timestamp> {
    let text = headers.get("x-amz-date")?.to_str().ok()?;
    let at = jiff::civil::DateTime::strptime("%Y%m%dT%H%M%SZ", text).ok()?;
    at.to_zoned(jiff::tz::TimeZone::UTC).ok().map(|at| at.timestamp())
}

/// Sends the service's time with an answer, as HTTP has it.
pub(super) fn date(response: &mut Response, at: Timestamp) {
    if let Ok(date) = HeaderValue::from_str(&at.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()) {
        response.headers_mut().insert(header::DATE, date);
    }
}

/// Turns requests away whose signed time is too far off the service's clock, before they
/// are recorded or meet a planned fault.
pub(super) async fn keep_time(
    State(shared): State<Arc<Shared>>,
    request: Request,
    next: Next,
) -> Response {
    let server = now() + *lock(&shared.ahead);
    let headers = request.headers();
    let is_off = signed_at(headers).is_some_and(|at| server.duration_since(at).abs() > TOLERATED);
    let mut response = if is_off {
        let protocol = Protocol::of(headers);
        let refusal = protocol.skewed(headers, server);
        match protocol {
            Protocol::Cbor => edge::refused(refusal),
            Protocol::Json | Protocol::Query => http::refused(protocol, &refusal).1,
        }
    } else {
        next.run(request).await
    };
    if !response.headers().contains_key(header::DATE) {
        date(&mut response, server);
    }
    response
}
