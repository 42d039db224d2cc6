//! A failed call, as what it means for the guard.

use std::error::Error;

use aws_sdk_ecs::config::http::HttpResponse;
use aws_sdk_ecs::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_sts::operation::assume_role::AssumeRoleError;

/// Why a call failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    pub kind: Kind,
    /// AWS's name of the error, where there was an answer.
    pub code: Option<String>,
    /// Operation, code and message.
    pub words: String,
    /// Whether other calls to the account would fail the same way now: it throttles, the
    /// credentials have run out, our clock is off, or it is out of reach.
    pub everywhere: bool,
    pub at: At,
}

/// How far a failed call has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum At {
    /// There are no credentials to sign it with.
    Credentials,
    /// Nobody was reached, or nobody answered.
    Way,
    /// The service has answered, or it was never to be sent.
    Service,
}

/// What a failed call says about its effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Stopped at the door: no effect, and a later try may succeed.
    Throttled,
    /// Time-out, lost connection, 5xx: nobody knows whether it had an effect.
    Unknown,
    /// AWS said no, and will say so again.
    Refused,
}

const THROTTLES: [&str; 9] = [
    "Throttling",
    "ThrottlingException",
    "ThrottledException",
    "RequestThrottledException",
    "RequestThrottled",
    "TooManyRequestsException",
    "RequestLimitExceeded",
    "PriorRequestNotComplete",
    "SlowDown",
];

/// Turned away before anything was done, but credentials are renewed.
const STALE: [&str; 2] = ["ExpiredToken", "ExpiredTokenException"];

/// Turned away because the time that was signed is not the service's. The SDK learns the
/// difference from each answer, so the next try may succeed.
const SKEWED: [&str; 3] = ["RequestExpired", "RequestInTheFuture", "RequestTimeTooSkewed"];
/// How the message begins where the code is that of every wrong signature:
/// `InvalidSignatureException`, or `SignatureDoesNotMatch` in the query protocol.
const SKEWED_WORDS: [&str; 2] = ["Signature expired", "Signature not yet current"];

/// What to do where neither the settings nor the environment say a region.
pub const NO_REGION: &str =
    "no region: set AWS_REGION, or `aws.region` (`targets.NAME.region`) in the settings";

/// What to do where the service could not be reached.
const NO_WAY: &str = "is there a way to the network, a proxy, AWS_ENDPOINT_URL?";

impl Fault {
    /// What a failed call of `operation` means; any service's.
    pub fn of<E>(operation: &str, error: &SdkError<E, HttpResponse>) -> Self
    where
        E: ProvideErrorMetadata + Error + 'static,
    {
        let unknown = |what: String| Self::odd(operation, &what);
        let unsent =
            |at: At, what: String| Self { everywhere: true, at, ..Self::odd(operation, &what) };
        let unreached = |what: String| unsent(At::Way, what);
        match error {
            SdkError::ServiceError(service) => {
                let status = service.raw().status().as_u16();
                Self::answered(operation, status, service.err().code(), service.err().message())
            }
            SdkError::TimeoutError(_) => unreached("no answer in time".into()),
            SdkError::DispatchFailure(failure) if failure.is_timeout() => {
                unreached(format!("no connection in time: {}", root_cause(error)))
            }
            SdkError::DispatchFailure(_) if is_about_credentials(error) => {
                let (at, why) = match refused_role(error) {
                    Some(fault) => (fault.at, fault.words),
                    None => (At::Credentials, shortened(&root_cause(error))),
                };
                unsent(at, format!("no usable credentials: {why}"))
            }
            // Nothing was sent, and nothing will be before somebody says where to.
            _ if lacks_region(error) => Self {
                kind: Kind::Refused,
                everywhere: true,
                at: At::Service,
                code: None,
                words: format!("{operation}: not sent: {NO_REGION}"),
            },
            SdkError::DispatchFailure(_) => {
                unreached(format!("not reached: {}", root_cause(error)))
            }
            SdkError::ResponseError(_) => {
                unknown(format!("unreadable answer: {}", root_cause(error)))
            }
            // Nothing was sent: no region, no credentials.
            SdkError::ConstructionFailure(_) => Self {
                kind: Kind::Refused,
                code: None,
                words: format!("{operation}: not sent: {}", root_cause(error)),
                everywhere: true,
                at: At::Service,
            },
            other => unknown(root_cause(other)),
        }
    }

    fn answered(operation: &str, status: u16, code: Option<&str>, message: Option<&str>) -> Self {
        let skewed = is_skewed(code, message);
        let kind = match code {
            _ if skewed => Kind::Throttled,
            Some(code) if THROTTLES.contains(&code) || STALE.contains(&code) => Kind::Throttled,
            _ if status == 429 => Kind::Throttled,
            Some("ServerException") => Kind::Unknown,
            _ if status >= 500 => Kind::Unknown,
            _ => Kind::Refused,
        };
        let named = code.map_or_else(|| format!("HTTP {status}"), str::to_owned);
        let words = match message {
            Some(message) => format!("{operation}: {named}: {message}"),
            None => format!("{operation}: {named}"),
        };
        let help = if skewed { ": set this machine's clock right (NTP)" } else { "" };
        Self {
            kind,
            code: code.map(str::to_owned),
            words: words + help,
            everywhere: kind == Kind::Throttled,
            at: At::Service,
        }
    }

    /// Whether `code` is what AWS called the error.
    pub fn is(&self, code: &str) -> bool {
        self.code.as_deref() == Some(code)
    }

    /// What to do about it: `allow` where AWS has said no to who asks, or nobody could be asked
    /// for credentials; not where the service was not reached, or is busy.
    pub fn mend<'a>(&self, allow: &'a str) -> &'a str {
        let stale = self.code.as_deref().is_some_and(|code| STALE.contains(&code));
        match (self.at, self.kind) {
            (At::Way, _) => NO_WAY,
            // AWS gives its errors names: who gives none is something on the way.
            (At::Service, Kind::Refused) if self.code.is_none() => NO_WAY,
            (At::Service, Kind::Throttled | Kind::Unknown) if !stale => "try again a little later",
            (At::Credentials | At::Service, _) => allow,
        }
    }

    /// Whether another try may succeed.
    pub fn is_transient(&self) -> bool {
        match self.kind {
            Kind::Throttled | Kind::Unknown => true,
            Kind::Refused => false,
        }
    }

    /// An answer that can't be used.
    pub fn odd(operation: &str, words: &str) -> Self {
        let words = format!("{operation}: {words}");
        Self { kind: Kind::Unknown, code: None, words, everywhere: false, at: At::Service }
    }
}

fn is_skewed(code: Option<&str>, message: Option<&str>) -> bool {
    let told = |message: &str| SKEWED_WORDS.iter().any(|words| message.starts_with(words));
    code.is_some_and(|code| SKEWED.contains(&code)) || message.is_some_and(told)
}

/// The SDK has no type of its own for "the credentials could not be had".
fn is_about_credentials(error: &(dyn Error + 'static)) -> bool {
    error.to_string().contains("credential") || error.source().is_some_and(is_about_credentials)
}

/// What STS has said where a role could not be taken on: the innermost cause does not say it.
fn refused_role(error: &(dyn Error + 'static)) -> Option<Fault> {
    if let Some(refused) = error.downcast_ref::<SdkError<AssumeRoleError, HttpResponse>>() {
        return Some(Fault::of("AssumeRole", refused));
    }
    refused_role(error.source()?)
}

/// Words of the SDK's, and as it has no type for it.
fn lacks_region(error: &(dyn Error + 'static)) -> bool {
    error.to_string().contains("Missing Region") || error.source().is_some_and(lacks_region)
}

/// The chain of providers is told by how many there were: what each lacked fills a page.
fn shortened(why: &str) -> String {
    match why.split_once("Attempted:") {
        Some((why, _)) => {
            let why = why.trim_end().trim_end_matches('.');
            format!("{why}: set AWS_ACCESS_KEY_ID or AWS_PROFILE, or give the task a role")
        }
        None => why.to_owned(),
    }
}

/// The innermost cause, which says what happened without naming the request.
fn root_cause(error: &(dyn Error + 'static)) -> String {
    let mut cause = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answered_error_is_known_by_its_code_first() {
        let cases = [
            (400, Some("ThrottlingException"), Kind::Throttled),
            (400, Some("ExpiredTokenException"), Kind::Throttled),
            (429, None, Kind::Throttled),
            (400, Some("ServerException"), Kind::Unknown),
            (500, None, Kind::Unknown),
            (503, Some("ServiceUnavailable"), Kind::Unknown),
            (400, Some("AccessDeniedException"), Kind::Refused),
            (400, Some("ClientException"), Kind::Refused),
            (403, None, Kind::Refused),
        ];
        for (status, code, kind) in cases {
            let fault = Fault::answered("UpdateService", status, code, Some("why"));
            assert_eq!(fault.kind, kind, "{fault:?}");
        }
        let fault = Fault::answered("UpdateService", 400, Some("ClientException"), Some("why"));
        assert_eq!(fault.words, "UpdateService: ClientException: why");
        assert!(!fault.everywhere);
        for (code, mend) in [
            (Some("InvalidClientTokenId"), "log in"),
            (Some("ExpiredTokenException"), "log in"),
            (Some("ThrottlingException"), "try again a little later"),
            (None, NO_WAY),
        ] {
            let fault = Fault::answered("GetCallerIdentity", 403, code, None);
            assert_eq!(fault.mend("log in"), mend, "{fault:?}");
        }
        assert_eq!(Fault::answered("X", 403, None, None).words, "X: HTTP 403");
    }

    #[test]
    fn a_clock_that_is_off_is_told_from_a_wrong_key() {
        let late = "Signature expired: 20260101T000000Z is now earlier than 20260101T000500Z";
        let early = "Signature not yet current: 20260101T001000Z is still later than";
        let wrong = "The request signature we calculated does not match";
        for (code, message, kind) in [
            ("InvalidSignatureException", late, Kind::Throttled),
            ("InvalidSignatureException", early, Kind::Throttled),
            ("SignatureDoesNotMatch", late, Kind::Throttled),
            ("RequestTimeTooSkewed", "why", Kind::Throttled),
            ("InvalidSignatureException", wrong, Kind::Refused),
            ("SignatureDoesNotMatch", wrong, Kind::Refused),
        ] {
            let fault = Fault::answered("UpdateService", 403, Some(code), Some(message));
            assert_eq!(fault.kind, kind, "{fault:?}");
            assert_eq!(fault.words.ends_with("clock right (NTP)"), kind == Kind::Throttled);
            assert_eq!(fault.everywhere, kind == Kind::Throttled, "{fault:?}");
        }
    }

    #[test]
    fn what_was_sent_and_not_answered_may_have_had_an_effect() {
        type Lost = SdkError<aws_sdk_ecs::operation::update_service::UpdateServiceError>;
        let timeout = Fault::of("UpdateService", &Lost::timeout_error("too slow"));
        assert_eq!((timeout.kind, timeout.everywhere), (Kind::Unknown, true));
        let keyless = aws_sdk_ecs::error::ConnectorError::other("no credentials".into(), None);
        let keyless = Fault::of("UpdateService", &Lost::dispatch_failure(keyless));
        assert_eq!(keyless.words, "UpdateService: no usable credentials: no credentials");
        assert_eq!((keyless.mend("log in"), timeout.mend("log in")), ("log in", NO_WAY));
        let closed = aws_sdk_ecs::error::ConnectorError::io("Connection refused".into());
        let closed = Fault::of("GetCallerIdentity", &Lost::dispatch_failure(closed));
        assert_eq!(closed.words, "GetCallerIdentity: not reached: Connection refused");
        assert_eq!(closed.mend("log in"), NO_WAY);
        let unsent = Fault::of("UpdateService", &Lost::construction_failure("no region"));
        assert_eq!(unsent.kind, Kind::Refused);
    }
}
