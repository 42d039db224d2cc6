//! The whole outside world of deployguard, on loopback: Amazon ECS with a service that really
//! runs, its customers, a Prometheus that scrapes it, and a Slack workspace. A test binary or
//! the demo mounts it at its root, as `world`.
#![allow(dead_code)] // Each test binary uses a part of it.
#![allow(clippy::expect_used, clippy::missing_panics_doc)] // A world that breaks fails its test.

pub mod aws;
pub mod called;
pub mod collector;
pub mod daemon;
pub mod faults;
pub mod github;
pub mod http;
pub mod kubernetes;
pub mod leash;
pub mod load;
pub mod page;
pub mod past;
pub mod postgres;
pub mod prometheus;
pub mod render;
pub mod reported;
pub mod server;
pub mod shop;
pub mod site;
pub mod slack;
pub mod system;
pub mod taskforge;
pub mod timeline;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context, anyhow};
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::sync::broadcast;

use aws::Ecs;
use aws::model::{Mutation, Origin, Settings};
use load::Load;
use prometheus::Prometheus;
use shop::Shops;
use slack::Slack;
use timeline::{Moment, Side, Timeline};

/// How the world is set up.
#[derive(Debug, Clone)]
pub struct WorldConfig {
    /// The ECS cluster.
    pub cluster: String,
    /// The ECS service, and the family of its task definitions.
    pub service: String,
    /// The `environment` label of the shop's metrics.
    pub environment: String,
    /// How many tasks the service has.
    pub tasks: usize,
    /// How many requests customers send each second.
    pub requests_per_second: u32,
    /// The time between two steps of a roll-out.
    pub step: Duration,
    /// ECS's own circuit breaker: none, or whether it rolls back.
    pub circuit_breaker: Option<bool>,
}

impl Default for WorldConfig {
    fn default() -> Self {
        Self {
            cluster: "shopflow-production".into(),
            service: "shopflow-api".into(),
            environment: "production".into(),
            tasks: 3,
            requests_per_second: 80,
            step: Duration::from_millis(400),
            circuit_breaker: None,
        }
    }
}

/// A running world; everything in it ends when it is dropped.
pub struct World {
    /// Customers.
    pub load: Load,
    /// What measures.
    pub prometheus: Prometheus,
    /// Where people are told.
    pub slack: Slack,
    /// What runs the service.
    pub ecs: Ecs,
    timeline: Timeline,
    config: WorldConfig,
}

impl World {
    /// Starts it, and returns once v1 is in place, under load and visible to Prometheus.
    pub async fn start(config: WorldConfig) -> anyhow::Result<Self> {
        let timeline = Timeline::default();
        let settings = Settings { step: config.step, ..Settings::default() };
        let shops = Arc::new(Shops::new(&config.environment));
        let ecs = Ecs::start(settings, shops, timeline.clone()).await?;
        call(&ecs, "CreateCluster", &json!({ "clusterName": config.cluster }))?;
        let first = register(&ecs, &config.service, "v1", &[])?;
        let breaker = json!({
            "enable": config.circuit_breaker.is_some(),
            "rollback": config.circuit_breaker.unwrap_or(false),
        });
        let service = json!({
            "cluster": config.cluster,
            "serviceName": config.service,
            "taskDefinition": first,
            "desiredCount": config.tasks,
            "launchType": "FARGATE",
            "networkConfiguration": { "awsvpcConfiguration": { "subnets": ["subnet-1"] } },
            "deploymentConfiguration": { "deploymentCircuitBreaker": breaker },
        });
        call(&ecs, "CreateService", &service)?;
        ecs.wait_stable(&config.service).await;
        let load = Load::start(ecs.in_service(), &config.service, config.requests_per_second);
        let slack = Slack::start(timeline.clone()).await?;
        let prometheus = Prometheus::start(ecs.in_service()).await?;
        let world = Self { load, prometheus, slack, ecs, timeline, config };
        world.seen_by_prometheus("v1").await?;
        world.timeline.tell(Side::World, "v1 is in place, under load, and measured");
        Ok(world)
    }

    /// Deploys a version with this environment on top of `VERSION`, as a pipeline would, and
    /// answers the deployment's identifier (`ecs-svc/...`).
    pub fn deploy(&self, version: &str, environment: &[(&str, &str)]) -> anyhow::Result<String> {
        let set: Vec<String> = environment.iter().map(|(k, v)| format!(" {k}={v}")).collect();
        self.timeline.tell(Side::World, format!("deploying {version}{}", set.concat()));
        let definition = register(&self.ecs, &self.config.service, version, environment)?;
        let update = json!({
            "cluster": self.config.cluster,
            "service": self.config.service,
            "taskDefinition": definition,
        });
        let answer = call(&self.ecs, "UpdateService", &update)?;
        let id = answer["service"]["deployments"][0]["id"].as_str();
        id.map(str::to_owned).context("the answer names the new deployment")
    }

    /// The task definition of the PRIMARY deployment, such as `shopflow-api:1`.
    pub fn task_definition_in_place(&self) -> String {
        let arn = self.ecs.task_definition(&self.config.service).unwrap_or_default();
        arn.rsplit('/').next().unwrap_or_default().to_owned()
    }

    /// The version in place: `VERSION` of that task definition.
    pub fn version_in_place(&self) -> anyhow::Result<String> {
        let asked = json!({ "taskDefinition": self.task_definition_in_place() });
        let answer = call(&self.ecs, "DescribeTaskDefinition", &asked)?;
        let pairs = &answer["taskDefinition"]["containerDefinitions"][0]["environment"];
        let mut pairs = pairs.as_array().into_iter().flatten();
        let version = pairs.find(|pair| pair["name"] == "VERSION");
        let version = version.and_then(|pair| pair["value"].as_str());
        version.map(str::to_owned).context("every task definition here has a VERSION")
    }

    /// What the program under test changed in ECS, oldest first: deployments by
    /// [`World::deploy`] are not among them.
    pub fn mutations_by_client(&self) -> Vec<Mutation> {
        let all = self.ecs.mutations(&self.config.service);
        all.into_iter().filter(|mutation| mutation.origin == Origin::Client).collect()
    }

    /// Waits until the service has come to rest.
    pub async fn wait_stable(&self) {
        self.ecs.wait_stable(&self.config.service).await;
    }

    /// Waits until Prometheus has scraped exactly the tasks of this version, all of them up.
    pub async fn seen_by_prometheus(&self, version: &str) -> anyhow::Result<()> {
        let (service, tasks) = (&self.config.service, self.config.tasks);
        let of =
            format!("{{service=\"{service}\",version=\"{version}\",path=\"/\",status=\"200\"}}");
        let query = format!("count(http_requests_total{of}) == {tasks}");
        self.prometheus.wait_for(&query, Duration::from_secs(30), |_| true).await?;
        Ok(())
    }

    /// Adds what somebody does to the timeline.
    pub fn tell(&self, side: Side, text: &str) {
        self.timeline.tell(side, text);
    }

    /// What each side sees from now on.
    pub fn timeline(&self) -> broadcast::Receiver<Moment> {
        self.timeline.listen()
    }

    /// How it was set up.
    pub fn config(&self) -> &WorldConfig {
        &self.config
    }

    /// The environment variables that lead a program into this world.
    pub fn environment(&self) -> BTreeMap<&'static str, String> {
        BTreeMap::from([
            ("AWS_ENDPOINT_URL", self.ecs.url()),
            ("AWS_REGION", Settings::default().region),
            ("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE".into()),
            ("AWS_SECRET_ACCESS_KEY", "secret".into()),
            ("AWS_EC2_METADATA_DISABLED", "true".into()),
        ])
    }
}

fn call(ecs: &Ecs, operation: &str, body: &Value) -> anyhow::Result<Value> {
    ecs.call(operation, body).map_err(|error| anyhow!("{operation}: {error:?}"))
}

/// Registers the next task definition of a family and answers its ARN.
fn register(
    ecs: &Ecs,
    family: &str,
    version: &str,
    environment: &[(&str, &str)],
) -> anyhow::Result<String> {
    let version_pair = ("VERSION", version);
    let pairs = std::iter::once(&version_pair).chain(environment);
    let pairs: Vec<_> =
        pairs.map(|(name, value)| json!({ "name": name, "value": value })).collect();
    let body = json!({
        "family": family,
        "cpu": "1024",
        "memory": "512",
        "networkMode": "awsvpc",
        "requiresCompatibilities": ["FARGATE"],
        "containerDefinitions": [{
            "name": "app",
            "image": format!("registry.example/{family}:{version}"),
            "environment": pairs,
            "logConfiguration": { "logDriver": "awslogs", "options": {
                "awslogs-group": format!("/ecs/{family}"),
                "awslogs-region": Settings::default().region,
                "awslogs-stream-prefix": "ecs",
            } },
        }],
    });
    let answer = call(ecs, "RegisterTaskDefinition", &body)?;
    let arn = answer["taskDefinition"]["taskDefinitionArn"].as_str();
    arn.map(str::to_owned).context("the answer names the task definition")
}

/// The time: the world is outside, and has the real clock.
#[allow(clippy::disallowed_methods)]
pub(crate) fn now() -> Timestamp {
    Timestamp::now()
}

/// Locks, also after a panic elsewhere: that panic is the failure to report, not this lock.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
