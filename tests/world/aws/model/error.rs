//! The errors of the ECS API, by their names on the wire.

/// An error answer: HTTP 400 with its type and message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EcsError {
    /// The exception's name, the `__type` of the answer.
    pub code: &'static str,
    /// The message for people.
    pub message: String,
}

impl EcsError {
    /// A client fault that has no exception of its own.
    pub fn client(message: impl Into<String>) -> Self {
        Self { code: "ClientException", message: message.into() }
    }

    /// A parameter outside its limits.
    pub fn invalid(message: impl Into<String>) -> Self {
        Self { code: "InvalidParameterException", message: message.into() }
    }

    /// The current state does not allow the call.
    pub fn conflict(message: impl Into<String>) -> Self {
        Self { code: "ConflictException", message: message.into() }
    }

    /// No such cluster.
    pub fn cluster_not_found() -> Self {
        Self { code: "ClusterNotFoundException", message: "Cluster not found.".into() }
    }

    /// No such service.
    pub fn service_not_found() -> Self {
        Self { code: "ServiceNotFoundException", message: "Service not found.".into() }
    }

    /// No such service deployment.
    pub fn deployment_not_found() -> Self {
        let message = "Service deployment not found.".into();
        Self { code: "ServiceDeploymentNotFoundException", message }
    }

    /// Real ECS has it, the stand-in does not: refused, so that no test relies on it unnoticed.
    pub fn not_modelled(what: impl std::fmt::Display) -> Self {
        let message = format!("the stand-in does not model {what}");
        Self { code: "UnsupportedFeatureException", message }
    }
}
