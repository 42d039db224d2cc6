//! An ECS of the tests' own, and the real SDK client in front of it.

use std::sync::Arc;
use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::{BehaviorVersion, Region};
use aws_sdk_ecs::Client;
use aws_sdk_ecs::config::Credentials;
use aws_sdk_ecs::types::{
    ContainerDefinition, Deployment, DeploymentCircuitBreaker, DeploymentConfiguration,
    KeyValuePair, Service, ServiceDeployment,
};
use aws_smithy_http_client::{Builder, tls};

use crate::world::aws::model::Settings;
use crate::world::aws::{Ecs, NoProcesses};
use crate::world::timeline::Timeline;

pub const CLUSTER: &str = "shop";
pub const SERVICE: &str = "api";

/// The stand-in and a client of it.
pub struct Account {
    pub ecs: Ecs,
    pub client: Client,
}

impl Account {
    /// With a cluster and nothing in it.
    pub async fn empty() -> Self {
        let step = Duration::from_millis(20);
        let settings = Settings { step, ..Settings::default() };
        let ecs = Ecs::start(settings, Arc::new(NoProcesses), Timeline::default()).await;
        let ecs = ecs.expect("a free port");
        let client = client(&ecs.url());
        client.create_cluster().cluster_name(CLUSTER).send().await.expect("a cluster");
        Self { ecs, client }
    }

    /// With a service of three tasks that runs `api:1`, at rest.
    pub async fn with_service(breaker: Option<bool>) -> Self {
        let account = Self::empty().await;
        account.register(&[]).await;
        let breaker = DeploymentCircuitBreaker::builder()
            .enable(breaker.is_some())
            .rollback(breaker.unwrap_or(false));
        let breaker = breaker.build();
        let configuration =
            DeploymentConfiguration::builder().deployment_circuit_breaker(breaker).build();
        let creation = account.client.create_service().cluster(CLUSTER).service_name(SERVICE);
        let creation = creation.task_definition("api:1").desired_count(3);
        creation.deployment_configuration(configuration).send().await.expect("a service");
        account.ecs.wait_stable(SERVICE).await;
        account
    }

    /// Registers the next revision of `api` and answers its ARN.
    pub async fn register(&self, environment: &[(&str, &str)]) -> String {
        let pairs = environment
            .iter()
            .map(|(name, value)| KeyValuePair::builder().name(*name).value(*value).build());
        let container = ContainerDefinition::builder()
            .name("app")
            .image("registry.example/api:latest")
            .set_environment(Some(pairs.collect()))
            .build();
        let registration = self.client.register_task_definition().family("api");
        let answer = registration.container_definitions(container).cpu("256").memory("512");
        let answer = answer.send().await.expect("registered");
        let registered = answer.task_definition().and_then(|d| d.task_definition_arn());
        registered.expect("an ARN").to_owned()
    }

    pub async fn update(&self, task_definition: &str) -> Service {
        let update = self.client.update_service().cluster(CLUSTER).service(SERVICE);
        let answer = update.task_definition(task_definition).send().await.expect("updated");
        answer.service().expect("a service").clone()
    }

    pub async fn service(&self) -> Service {
        let answer = self.client.describe_services().cluster(CLUSTER).services(SERVICE);
        let answer = answer.send().await.expect("described");
        answer.services().first().expect("the service").clone()
    }

    /// The newest service deployment, in full.
    pub async fn newest_deployment(&self) -> ServiceDeployment {
        let list = self.client.list_service_deployments().cluster(CLUSTER).service(SERVICE);
        let list = list.send().await.expect("listed");
        let arn = list.service_deployments()[0].service_deployment_arn().expect("an ARN");
        let described = self.client.describe_service_deployments().service_deployment_arns(arn);
        let described = described.send().await.expect("described");
        described.service_deployments()[0].clone()
    }
}

/// A client as the daemon has it, without retries of its own.
pub fn client(url: &str) -> Client {
    let http = Builder::new()
        .tls_provider(tls::Provider::Rustls(tls::rustls_provider::CryptoMode::Ring))
        .build_https();
    let config = aws_sdk_ecs::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .credentials_provider(Credentials::new("AKIDEXAMPLE", "secret", None, None, "test"))
        .endpoint_url(url)
        .http_client(http)
        .retry_config(RetryConfig::disabled());
    Client::from_conf(config.build())
}

/// The deployments of a service as (status, task definition's revision, running).
pub fn shape(service: &Service) -> Vec<(String, String, i32)> {
    let one = |deployment: &Deployment| {
        let status = deployment.status().unwrap_or_default().to_owned();
        let revision = revision(deployment.task_definition().unwrap_or_default());
        (status, revision, deployment.running_count())
    };
    service.deployments().iter().map(one).collect()
}

/// `api:2` of a task definition's ARN.
pub fn revision(arn: &str) -> String {
    arn.rsplit('/').next().unwrap_or_default().to_owned()
}
