//! What each operation takes. A member that is not listed here is refused, never ignored.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::EcsError;

/// Reads a request's body.
pub fn read<T: DeserializeOwned>(operation: &str, body: &Value) -> Result<T, EcsError> {
    T::deserialize(body).map_err(|error| EcsError::not_modelled(format!("{operation}: {error}")))
}

macro_rules! request {
    ($name:ident { $($field:ident: $kind:ty),* $(,)? }) => {
        #[derive(Debug, Deserialize)]
        #[serde(rename_all = "camelCase", deny_unknown_fields)]
        pub struct $name { $(pub(super) $field: $kind),* }
    };
}

request!(CreateCluster { cluster_name: Option<String> });
request!(DeregisterTaskDefinition { task_definition: String });
request!(DescribeTaskDefinition { task_definition: String, include: Option<Vec<String>> });
request!(CreateService {
    cluster: Option<String>,
    service_name: String,
    task_definition: Option<String>,
    desired_count: Option<usize>,
    launch_type: Option<String>,
    client_token: Option<String>,
    load_balancers: Option<Value>,
    network_configuration: Option<Value>,
    deployment_configuration: Option<Configuration>,
    deployment_controller: Option<DeploymentController>,
});
request!(UpdateService {
    cluster: Option<String>,
    service: String,
    task_definition: Option<String>,
    desired_count: Option<usize>,
    force_new_deployment: Option<bool>,
    deployment_configuration: Option<Configuration>,
});
request!(DescribeServices {
    cluster: Option<String>,
    services: Vec<String>,
    include: Option<Vec<String>>,
});
request!(ListClusters { next_token: Option<String>, max_results: Option<usize> });
request!(ListServices {
    cluster: Option<String>,
    next_token: Option<String>,
    max_results: Option<usize>,
});
request!(ListTasks {
    cluster: Option<String>,
    service_name: Option<String>,
    family: Option<String>,
    desired_status: Option<String>,
    next_token: Option<String>,
    max_results: Option<usize>,
});
request!(DescribeTasks { cluster: Option<String>, tasks: Vec<String>, include: Option<Vec<String>> });
request!(ListServiceDeployments {
    service: String,
    cluster: Option<String>,
    status: Option<Vec<String>>,
    created_at: Option<CreatedAt>,
    next_token: Option<String>,
    max_results: Option<usize>,
});
request!(CreatedAt { before: Option<f64>, after: Option<f64> });
request!(DescribeServiceDeployments { service_deployment_arns: Vec<String> });
request!(DescribeServiceRevisions { service_revision_arns: Vec<String> });
request!(StopServiceDeployment { service_deployment_arn: String, stop_type: Option<String> });

request!(ContinueServiceDeployment {
    service_deployment_arn: String,
    hook_id: String,
    action: Option<String>,
});

/// How a service is deployed.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Configuration {
    #[serde(default)]
    pub(super) deployment_circuit_breaker: CircuitBreaker,
    #[serde(default = "double")]
    pub(super) maximum_percent: usize,
    #[serde(default = "whole")]
    pub(super) minimum_healthy_percent: usize,
    #[serde(default)]
    pub(super) strategy: Strategy,
    #[serde(default)]
    pub(super) bake_time_in_minutes: u32,
    #[serde(default)]
    pub(super) lifecycle_hooks: Vec<Hook>,
    pub(super) alarms: Option<Alarms>,
    #[serde(rename = "linearConfiguration")]
    pub(super) linear: Option<Linear>,
    #[serde(rename = "canaryConfiguration")]
    pub(super) canary: Option<Canary>,
}

impl Default for Configuration {
    fn default() -> Self {
        let deployment_circuit_breaker = CircuitBreaker::default();
        Self {
            deployment_circuit_breaker,
            maximum_percent: double(),
            minimum_healthy_percent: whole(),
            strategy: Strategy::default(),
            bake_time_in_minutes: 0,
            lifecycle_hooks: Vec::new(),
            alarms: None,
            linear: None,
            canary: None,
        }
    }
}

/// How the requests get from the old revision to the new one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Strategy {
    /// One task after the other.
    #[default]
    Rolling,
    /// All at once, between two whole sets of tasks.
    BlueGreen,
    /// As blue/green, in equal parts.
    Linear,
    /// As blue/green, a small part first.
    Canary,
}

impl Strategy {
    /// Its name in the API.
    pub fn name(self) -> &'static str {
        match self {
            Self::Rolling => "ROLLING",
            Self::BlueGreen => "BLUE_GREEN",
            Self::Linear => "LINEAR",
            Self::Canary => "CANARY",
        }
    }
}

/// A hook of a deployment's lifecycle; Lambdas are not modelled.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Hook {
    pub(super) target_type: HookTarget,
    pub(super) lifecycle_stages: Vec<String>,
}

/// Who says how a deployment goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum HookTarget {
    /// Whoever calls `ContinueServiceDeployment`.
    Pause,
}

/// The alarms that fail a deployment.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Alarms {
    pub(super) alarm_names: Vec<String>,
    pub(super) enable: bool,
    pub(super) rollback: bool,
}

/// The parts of a linear deployment.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Linear {
    pub(super) step_percent: f64,
    #[serde(default)]
    pub(super) step_bake_time_in_minutes: u32,
}

/// The first part of a canary deployment.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Canary {
    pub(super) canary_percent: f64,
    #[serde(default)]
    pub(super) canary_bake_time_in_minutes: u32,
}

fn double() -> usize {
    200
}

fn whole() -> usize {
    100
}

/// ECS's own guard against tasks that never start.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CircuitBreaker {
    pub(super) enable: bool,
    pub(super) rollback: bool,
}

request!(DeploymentController { r#type: Controller });

/// Who carries deployments out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub enum Controller {
    /// ECS itself, by rolling updates.
    #[serde(rename = "ECS")]
    Ecs,
    /// AWS `CodeDeploy`.
    #[serde(rename = "CODE_DEPLOY")]
    CodeDeploy,
    /// A third party, by task sets.
    #[serde(rename = "EXTERNAL")]
    External,
}

/// One page out of `all`, and the token of the next one.
pub fn page<T>(
    all: Vec<T>,
    token: Option<&str>,
    size: usize,
) -> Result<(Vec<T>, Option<String>), EcsError> {
    let start = match token {
        None => 0,
        Some(token) => token
            .strip_prefix("next-")
            .and_then(|offset| offset.parse().ok())
            .ok_or_else(|| EcsError::invalid("Invalid token"))?,
    };
    let total = all.len();
    let page = all.into_iter().skip(start).take(size).collect();
    let next = (start + size < total).then(|| format!("next-{}", start + size));
    Ok((page, next))
}

/// The page size that was asked for, when it is within its limits.
pub fn page_size(asked: Option<usize>, usual: usize) -> Result<usize, EcsError> {
    match asked {
        None => Ok(usual),
        Some(size @ 1..=100) => Ok(size),
        Some(_) => Err(EcsError::invalid("maxResults must be between 1 and 100")),
    }
}
