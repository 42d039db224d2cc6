//! What goes wrong between us and Slack, and whether another try may help.

use std::error::Error;
use std::time::Duration;

use slack_morphism::errors::SlackClientError;

use crate::notify::{DeliverError, LONGEST_WAIT, MENDING};

/// Said of a token that is good for nothing, wherever it was used.
pub const TOKEN: &str = "give deployguard a valid bot token";

/// One call that failed. Holds neither the request nor the answer: they may be
/// long, and a proxy's answer may repeat our headers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Fault {
    /// Slack understood and said no, with this code.
    Refused(String),
    /// Too many calls.
    Limited(Option<Duration>),
    /// No answer, or none that means anything; the call may have taken effect.
    Unanswered(String),
}

impl Fault {
    /// Whether the message or its thread is not there any more.
    pub(super) fn is_gone(&self) -> bool {
        const GONE: [&str; 4] = [
            "message_not_found",
            "thread_not_found",
            "cannot_reply_to_message",
            "restricted_action_thread_locked",
        ];
        matches!(self, Self::Refused(code) if GONE.contains(&code.as_str()))
    }

    /// Whether this token may not read there, now and later.
    pub(super) fn is_unreadable(&self) -> bool {
        const UNREADABLE: [&str; 6] = [
            "missing_scope",
            "not_in_channel",
            "channel_not_found",
            "no_permission",
            "not_allowed_token_type",
            "access_denied",
        ];
        matches!(self, Self::Refused(code) if UNREADABLE.contains(&code.as_str()))
    }

    /// The outbox's view of a fault in `method`.
    pub(super) fn into_error(self, method: &str) -> DeliverError {
        let transient = |reason, retry_after| DeliverError::Transient { reason, retry_after };
        match self {
            Self::Limited(wait) => {
                let wait = wait.map(|wait| wait.min(LONGEST_WAIT));
                transient(format!("Slack limits the rate of {method}"), wait)
            }
            Self::Unanswered(why) => transient(format!("{method} got no answer: {why}"), None),
            Self::Refused(code) => {
                let reason = format!("Slack refused {method}: {code}{}", mend(&code));
                match whose(&code) {
                    Whose::Letter => DeliverError::Permanent(reason),
                    Whose::Access => transient(reason, Some(MENDING)),
                    Whose::Slack => transient(reason, None),
                }
            }
        }
    }
}

impl Fault {
    /// The same where files are brought: what is asked for more than words is missing until
    /// people change the app, and a picture of yesterday helps nobody.
    pub(super) fn into_file_error(self, method: &str) -> DeliverError {
        match &self {
            Self::Refused(code) if is_about_files(code) => {
                let mend = match code.as_str() {
                    "missing_scope" => {
                        " (pictures and reports need the scope files:write: add it to the app \
                         and install it anew)"
                    }
                    "file_uploads_disabled" | "file_uploads_except_images_disabled" => {
                        " (the workspace allows no such files)"
                    }
                    _ => "",
                };
                DeliverError::Permanent(format!("Slack refused {method}: {code}{mend}"))
            }
            Self::Refused(_) | Self::Limited(_) | Self::Unanswered(_) => self.into_error(method),
        }
    }
}

fn is_about_files(code: &str) -> bool {
    matches!(
        code,
        "missing_scope"
            | "alt_txt_too_large"
            | "blocked_file_type"
            | "file_type_not_allowed"
            | "file_upload_size_restricted"
            | "file_uploads_disabled"
            | "file_uploads_except_images_disabled"
            | "message_not_found"
            | "missing_argument"
            | "posting_to_channel_denied"
            | "storage_limit_reached"
            | "thread_not_found"
    )
}

/// What a refusal is about.
enum Whose {
    /// This letter, as it is: it will be refused again.
    Letter,
    /// The token or its rights: people mend them, and then the letter goes.
    Access,
    /// Slack itself, or a code we do not know.
    Slack,
}

fn whose(code: &str) -> Whose {
    match code {
        "as_user_not_supported"
        | "block_mismatch"
        | "cant_broadcast_message"
        | "cant_update_message"
        | "channel_type_not_supported"
        | "edit_window_closed"
        | "invalid_arguments"
        | "invalid_array_arg"
        | "invalid_blocks"
        | "invalid_blocks_format"
        | "invalid_json"
        | "invalid_metadata_format"
        | "invalid_metadata_schema"
        | "is_inactive"
        | "json_not_object"
        | "metadata_too_large"
        | "msg_blocks_too_long"
        | "msg_too_long"
        | "no_text"
        | "restricted_action"
        | "restricted_action_non_threadable_channel"
        | "restricted_action_read_only_channel"
        | "restricted_action_thread_only_channel"
        | "too_many_attachments" => Whose::Letter,
        "access_denied"
        | "account_inactive"
        | "channel_not_found"
        | "ekm_access_denied"
        | "enterprise_is_restricted"
        | "invalid_auth"
        | "is_archived"
        | "missing_scope"
        | "no_permission"
        | "not_allowed_token_type"
        | "not_authed"
        | "not_in_channel"
        | "org_login_required"
        | "team_access_not_granted"
        | "token_expired"
        | "token_revoked"
        | "two_factor_setup_required" => Whose::Access,
        _ => Whose::Slack,
    }
}

/// What people can do about it, where that is known.
fn mend(code: &str) -> &'static str {
    match code {
        "not_in_channel" => " (invite the app to the channel)",
        "channel_not_found" => " (check the channel's id; invite the app to a private channel)",
        "is_archived" => " (unarchive the channel or name another)",
        "invalid_auth" | "not_authed" | "token_revoked" | "token_expired" | "account_inactive" => {
            " (give deployguard a valid bot token)"
        }
        "missing_scope" => " (add the scope to the app and install it anew)",
        _ => "",
    }
}

impl From<SlackClientError> for Fault {
    fn from(error: SlackClientError) -> Self {
        match error {
            SlackClientError::ApiError(said) => match said.code.as_str() {
                "ratelimited" | "rate_limited" | "message_limit_exceeded" => Self::Limited(None),
                _ => Self::Refused(said.code),
            },
            SlackClientError::RateLimitError(said) => Self::Limited(said.retry_after),
            SlackClientError::HttpError(said) => {
                Self::Unanswered(format!("HTTP {}", said.status_code.as_u16()))
            }
            SlackClientError::HttpProtocolError(said) => {
                let cause = said.cause.as_deref().map(|cause| cause as &dyn Error);
                Self::Unanswered(chain(cause, "the connection failed"))
            }
            SlackClientError::SystemError(_) | SlackClientError::EndOfStream(_) => {
                Self::Unanswered("the connection broke".to_owned())
            }
            SlackClientError::ProtocolError(_) | SlackClientError::SocketModeProtocolError(_) => {
                Self::Unanswered("the answer is not Slack's".to_owned())
            }
        }
    }
}

/// The causes of a connection's failure: they name addresses and system errors only.
fn chain(mut cause: Option<&dyn Error>, otherwise: &str) -> String {
    let mut said = Vec::new();
    while let Some(error) = cause {
        said.push(error.to_string());
        cause = error.source();
    }
    if said.is_empty() { otherwise.to_owned() } else { said.join(": ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(code: &str) -> DeliverError {
        Fault::Refused(code.to_owned()).into_error("chat.postMessage")
    }

    #[test]
    fn a_letter_that_is_always_refused_is_given_up() {
        for code in ["restricted_action", "no_text", "invalid_blocks", "msg_too_long"] {
            assert!(matches!(refused(code), DeliverError::Permanent(_)), "{code}");
        }
    }

    #[test]
    fn an_access_that_people_mend_loses_no_letter() {
        for code in
            ["invalid_auth", "token_revoked", "not_in_channel", "channel_not_found", "is_archived"]
        {
            let DeliverError::Transient { retry_after, .. } = refused(code) else {
                panic!("{code} is permanent");
            };
            assert_eq!(retry_after, Some(MENDING), "{code}");
        }
    }

    #[test]
    fn trouble_of_slack_and_unknown_codes_are_tried_again() {
        for code in
            ["internal_error", "fatal_error", "service_unavailable", "request_timeout", "new"]
        {
            let DeliverError::Transient { retry_after, .. } = refused(code) else {
                panic!("{code} is permanent");
            };
            assert_eq!(retry_after, None, "{code}");
        }
    }

    #[test]
    fn a_wait_that_slack_asks_for_is_bounded() {
        let fault = Fault::Limited(Some(Duration::from_secs(u64::MAX)));
        let error = fault.into_error("chat.update");
        assert!(
            matches!(error, DeliverError::Transient { retry_after: Some(LONGEST_WAIT), .. }),
            "{error:?}"
        );
    }
}
