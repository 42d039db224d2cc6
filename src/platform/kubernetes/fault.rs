//! A failed request to the Kubernetes API, in words that say what to do about it.

use kube::Error;

use crate::model::ActFailure;
use crate::platform::LookError;

/// What a failure means for whoever asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Nobody knows whether it had an effect.
    Unknown,
    /// Not done, and may be done later.
    Throttled,
    /// Somebody else changed the object in between: nothing was done.
    Conflict,
    /// There is no such object, or no such kind of objects.
    Absent,
    /// Not done, and will not be.
    Refused,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) kind: Kind,
    /// Whether other requests to this cluster would fail in the same way.
    pub(super) everywhere: bool,
    pub(super) words: String,
}

/// What was asked: a verb and a resource as a Role names them.
#[derive(Debug, Clone, Copy)]
pub(super) struct Call<'a> {
    pub(super) verb: &'static str,
    /// With its group: `deployments.apps`.
    pub(super) resource: &'static str,
    pub(super) namespace: &'a str,
}

/// What is asked of `resource` in `namespace`. Each call of the API is named in this way, and
/// a test holds the Role of `deploy/kubernetes/rbac.yaml` against the names.
pub(super) fn call<'a>(verb: &'static str, resource: &'static str, namespace: &'a str) -> Call<'a> {
    Call { verb, resource, namespace }
}

impl Fault {
    pub(super) fn of(call: Call<'_>, error: &Error) -> Self {
        let what = format!("{} {} in {}", call.verb, call.resource, call.namespace);
        let (kind, everywhere, why) = match error {
            Error::Api(status) => of_status(call, status.code, &status.message),
            // Whoever gives out credentials is out of reach, or says no.
            Error::Auth(error) => (
                Kind::Unknown,
                true,
                format!("no credentials: {error}; try `kubectl auth whoami` as the same user"),
            ),
            Error::SerdeError(error) => {
                (Kind::Unknown, false, format!("the answer can't be read: {error}"))
            }
            other => (Kind::Unknown, true, format!("the API is out of reach: {}", chain(other))),
        };
        Self { kind, everywhere, words: format!("{what}: {why}") }
    }

    pub(super) fn late(call: Call<'_>, seconds: u64) -> Self {
        let Call { verb, resource, namespace } = call;
        Self {
            kind: Kind::Unknown,
            everywhere: true,
            words: format!("{verb} {resource} in {namespace}: no answer within {seconds} s"),
        }
    }
}

fn of_status(call: Call<'_>, code: u16, message: &str) -> (Kind, bool, String) {
    let Call { verb, resource, namespace } = call;
    match code {
        401 => (Kind::Unknown, true, "the credentials are refused (401)".to_owned()),
        403 => (
            Kind::Refused,
            false,
            format!(
                "forbidden (403): give deployguard's Role in namespace {namespace} the verb \
                 `{verb}` on `{resource}` (deploy/kubernetes/rbac.yaml)"
            ),
        ),
        404 => (Kind::Absent, false, format!("not found (404): {message}")),
        409 => (Kind::Conflict, false, format!("changed by somebody else (409): {message}")),
        429 => (Kind::Throttled, true, "the API throttles (429)".to_owned()),
        500.. => (Kind::Unknown, true, format!("the API fails ({code}): {message}")),
        _ => (Kind::Refused, false, format!("refused ({code}): {message}")),
    }
}

/// An error with its causes: those of HTTP say nothing by themselves.
fn chain(error: &Error) -> String {
    let mut words = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(one) = cause {
        let more = one.to_string();
        if !words.contains(&more) {
            words = format!("{words}: {more}");
        }
        cause = one.source();
    }
    words
}

impl From<Fault> for LookError {
    fn from(fault: Fault) -> Self {
        match fault.kind {
            Kind::Unknown | Kind::Throttled if fault.everywhere => Self::Everywhere(fault.words),
            Kind::Unknown | Kind::Throttled | Kind::Conflict => Self::Transient(fault.words),
            Kind::Absent | Kind::Refused => Self::Permanent(fault.words),
        }
    }
}

impl From<Fault> for ActFailure {
    fn from(fault: Fault) -> Self {
        match fault.kind {
            Kind::Unknown | Kind::Throttled | Kind::Conflict => Self::Transient(fault.words),
            Kind::Absent | Kind::Refused => Self::Permanent(fault.words),
        }
    }
}

/// What a look that failed means for whoever was about to act.
pub(super) fn unseen(error: LookError) -> ActFailure {
    match error {
        LookError::Everywhere(words) | LookError::Transient(words) => ActFailure::Transient(words),
        LookError::Permanent(words) => ActFailure::Permanent(words),
    }
}
