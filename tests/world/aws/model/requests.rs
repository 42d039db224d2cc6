//! What each operation takes. A member that is not listed here is refused, never ignored.

use serde::Deserialize;
use serde::de::DeserializeOwned;
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
    #[serde(default = "rolling")]
    pub(super) strategy: Strategy,
}

impl Default for Configuration {
    fn default() -> Self {
        let deployment_circuit_breaker = CircuitBreaker::default();
        Self {
            deployment_circuit_breaker,
            maximum_percent: double(),
            minimum_healthy_percent: whole(),
            strategy: rolling(),
        }
    }
}

/// The one strategy that is modelled.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Strategy {
    /// One task after the other.
    Rolling,
}

fn double() -> usize {
    200
}

fn whole() -> usize {
    100
}

fn rolling() -> Strategy {
    Strategy::Rolling
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
