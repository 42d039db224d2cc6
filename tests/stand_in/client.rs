//! An ECS of the tests' own, and the real SDK client in front of it.

use std::sync::Arc;
use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_codedeploy::types::{ComputePlatform, EcsService};
use aws_sdk_ecs::Client;
use aws_sdk_ecs::config::{Credentials, SharedCredentialsProvider};
use aws_sdk_ecs::types::{
    AdvancedConfiguration, ContainerDefinition, Deployment, DeploymentCircuitBreaker,
    DeploymentConfiguration, DeploymentController, DeploymentControllerType, KeyValuePair,
    LoadBalancer, Service, ServiceDeployment,
};
use aws_smithy_http_client::{Builder, tls};

use crate::world::aws::model::Settings;
use crate::world::aws::{Ecs, NoProcesses};
use crate::world::timeline::Timeline;

pub const CLUSTER: &str = "shop";
pub const SERVICE: &str = "api";
const TARGET_GROUP: &str = "arn:aws:elasticloadbalancing:us-east-1:123456789012:targetgroup";

/// The stand-in and a client of it.
pub struct Account {
    pub ecs: Ecs,
    pub client: Client,
}

impl Account {
    /// With a cluster and nothing in it.
    pub async fn empty() -> Self {
        Self::stepping(Duration::from_millis(20)).await
    }

    /// The same; a roll-out takes a step in this time.
    async fn stepping(step: Duration) -> Self {
        let settings = Settings { step, minute: step * 10, ..Settings::default() };
        let ecs = Ecs::start(settings, Arc::new(NoProcesses), Timeline::default()).await;
        let ecs = ecs.expect("a free port");
        let client = client(&ecs.url());
        client.create_cluster().cluster_name(CLUSTER).send().await.expect("a cluster");
        Self { ecs, client }
    }

    /// With a service of three tasks that runs `api:1`, at rest.
    pub async fn with_service(breaker: Option<bool>) -> Self {
        let account = Self::empty().await;
        account.serve(breaker).await;
        account
    }

    /// As [`Account::with_service`], so slow that a roll-out can be met in its middle.
    pub async fn with_slow_service() -> Self {
        let account = Self::stepping(Duration::from_millis(300)).await;
        account.serve(None).await;
        account
    }

    async fn serve(&self, breaker: Option<bool>) {
        self.register(&[]).await;
        let breaker = DeploymentCircuitBreaker::builder()
            .enable(breaker.is_some())
            .rollback(breaker.unwrap_or(false));
        let breaker = breaker.build();
        let configuration = DeploymentConfiguration::builder().deployment_circuit_breaker(breaker);
        self.create(DeploymentControllerType::Ecs, configuration.build()).await;
    }

    /// As [`Account::with_service`], deployed in another way.
    pub async fn deployed_by(configuration: DeploymentConfiguration) -> Self {
        let account = Self::empty().await;
        account.register(&[]).await;
        account.create(DeploymentControllerType::Ecs, configuration).await;
        account
    }

    /// The service `api`, behind two target groups, at rest.
    async fn create(&self, by: DeploymentControllerType, configuration: DeploymentConfiguration) {
        let advanced = AdvancedConfiguration::builder()
            .alternate_target_group_arn(format!("{TARGET_GROUP}/green/2"))
            .production_listener_rule("arn:aws:elasticloadbalancing:us-east-1:1:listener-rule/1")
            .build();
        let balancer = LoadBalancer::builder()
            .target_group_arn(format!("{TARGET_GROUP}/blue/1"))
            .container_name("app")
            .container_port(80)
            .advanced_configuration(advanced)
            .build();
        let creation = self.client.create_service().cluster(CLUSTER).service_name(SERVICE);
        let controller = DeploymentController::builder().r#type(by).build().expect("a type");
        let creation = creation.task_definition("api:1").desired_count(3);
        let creation = creation.deployment_controller(controller).load_balancers(balancer);
        creation.deployment_configuration(configuration).send().await.expect("a service");
        self.ecs.wait_stable(SERVICE).await;
    }

    /// The same service with CodeDeploy as its controller, and `CodeDeploy` in front of it.
    pub async fn with_code_deploy() -> (Self, aws_sdk_codedeploy::Client) {
        let account = Self::empty().await;
        account.register(&[]).await;
        let bakes = DeploymentConfiguration::builder().bake_time_in_minutes(1).build();
        account.create(DeploymentControllerType::CodeDeploy, bakes).await;
        let client = code_deploy(&account.ecs.url());
        let application = client.create_application().application_name("shop");
        application.compute_platform(ComputePlatform::Ecs).send().await.expect("an application");
        let service = EcsService::builder().cluster_name(CLUSTER).service_name(SERVICE).build();
        let group = client.create_deployment_group().application_name("shop");
        let group = group.deployment_group_name("api").ecs_services(service);
        group.service_role_arn("arn:aws:iam::1:role/deploys").send().await.expect("a group");
        (account, client)
    }

    #[allow(dead_code)] // Another binary uses it.
    /// Turns the tag that every task definition names over to another image.
    pub fn push(&self, digest: &str) {
        self.ecs.push_image("registry.example/api:latest", digest);
    }

    /// Registers the next revision of `api` and answers its ARN.
    pub async fn register(&self, environment: &[(&str, &str)]) -> String {
        self.register_of("registry.example/api:latest", environment).await
    }

    /// As [`Account::register`], with an image in ECR.
    #[allow(dead_code)] // Another binary uses it.
    pub async fn register_image(&self, tag: &str, environment: &[(&str, &str)]) -> String {
        let image = format!("123456789012.dkr.ecr.us-east-1.amazonaws.com/api:{tag}");
        self.register_of(&image, environment).await
    }

    async fn register_of(&self, image: &str, environment: &[(&str, &str)]) -> String {
        let pairs = environment
            .iter()
            .map(|(name, value)| KeyValuePair::builder().name(*name).value(*value).build());
        let container = ContainerDefinition::builder()
            .name("app")
            .image(image)
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

/// What every client of the stand-in is made of: as the daemon's, without retries of its own.
pub fn config(url: &str) -> SdkConfig {
    let http = Builder::new()
        .tls_provider(tls::Provider::Rustls(tls::rustls_provider::CryptoMode::Ring))
        .build_https();
    let credentials = Credentials::new("AKIDEXAMPLE", "secret", None, None, "test");
    SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .endpoint_url(url)
        .http_client(http)
        .retry_config(RetryConfig::disabled())
        .build()
}

pub fn client(url: &str) -> Client {
    Client::new(&config(url))
}

pub fn code_deploy(url: &str) -> aws_sdk_codedeploy::Client {
    aws_sdk_codedeploy::Client::new(&config(url))
}

pub fn ecr(url: &str) -> aws_sdk_ecr::Client {
    aws_sdk_ecr::Client::new(&config(url))
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
