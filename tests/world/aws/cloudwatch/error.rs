//! The errors of the CloudWatch API. Each has two names: the shape's in the body, and that of the
//! old query protocol in a header, which is the one that an SDK shows.

use serde_json::{Value, json};

use crate::world::aws::failure::Refusal;

/// An error answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CloudWatchError {
    /// The HTTP status.
    pub status: u16,
    /// The exception's name, the `__type` of the answer.
    pub shape: &'static str,
    /// Its name in the query protocol, what an SDK calls the code.
    pub code: &'static str,
    /// The message for people.
    pub message: String,
}

impl CloudWatchError {
    fn refusal(shape: &'static str, code: &'static str, message: impl Into<String>) -> Self {
        Self { status: 400, shape, code, message: message.into() }
    }

    /// A request that breaks a rule of its own operation.
    pub fn validation(message: impl Into<String>) -> Self {
        Self::refusal("ValidationError", "ValidationError", message)
    }

    /// A value outside its limits.
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::refusal("InvalidParameterValueException", "InvalidParameterValue", message)
    }

    /// Members that exclude each other.
    pub fn combination(message: impl Into<String>) -> Self {
        let code = "InvalidParameterCombination";
        Self::refusal("InvalidParameterCombinationException", code, message)
    }

    /// A member that had to be there.
    pub fn missing(message: impl Into<String>) -> Self {
        Self::refusal("MissingRequiredParameterException", "MissingParameter", message)
    }

    /// A page that no answer named.
    pub fn next_token() -> Self {
        Self::refusal("InvalidNextToken", "InvalidNextToken", "The NextToken is not valid")
    }

    /// No such alarm.
    pub fn not_found(message: impl Into<String>) -> Self {
        let refusal = Self::refusal("ResourceNotFound", "ResourceNotFound", message);
        Self { status: 404, ..refusal }
    }

    /// More calls than the account may make.
    pub fn throttled() -> Self {
        Self::refusal("ThrottlingException", "Throttling", "Rate exceeded")
    }

    /// What every service answers so.
    pub(in crate::world::aws) fn of(refusal: Refusal) -> Self {
        let Refusal { status, code: shape, query_code: code, message } = refusal;
        Self { status: status.as_u16(), shape, code, message }
    }

    /// A caller who may not.
    pub fn denied(operation: &str) -> Self {
        let message = format!(
            "User: arn:aws:iam::123456789012:user/deployguard is not authorized to perform: \
             cloudwatch:{operation} because no identity-based policy allows the \
             cloudwatch:{operation} action"
        );
        let refusal = Self::refusal("AccessDeniedException", "AccessDenied", message);
        Self { status: 403, ..refusal }
    }

    /// A request without credentials.
    pub fn unsigned() -> Self {
        let (shape, code) = ("MissingAuthenticationTokenException", "MissingAuthenticationToken");
        let refusal = Self::refusal(shape, code, "Request is missing Authentication Token");
        Self { status: 403, ..refusal }
    }

    /// The service's own trouble.
    pub fn internal() -> Self {
        let message = "Service Unavailable. Please try again later.".into();
        Self { status: 500, shape: "InternalServiceFault", code: "InternalServiceError", message }
    }

    /// Real CloudWatch has it, the stand-in does not: refused, so that no test relies on it
    /// unnoticed.
    pub fn not_modelled(what: impl std::fmt::Display) -> Self {
        let message = format!("the stand-in does not model {what}");
        Self::refusal("NotModelled", "NotModelled", message)
    }

    /// The answer's body.
    pub fn body(&self) -> Value {
        // The one shape that spells it so.
        let member = if self.shape == "InternalServiceFault" { "Message" } else { "message" };
        json!({ "__type": format!("com.amazonaws.cloudwatch#{}", self.shape), member: self.message })
    }

    /// The header of the query protocol's name: code, and whose fault it is.
    pub fn header(&self) -> String {
        let fault = if self.status >= 500 { "Receiver" } else { "Sender" };
        format!("{};{fault}", self.code)
    }
}
