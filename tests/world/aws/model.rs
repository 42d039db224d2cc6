//! What Amazon ECS remembers and does, as far as a guard can see it.
//!
//! Pure: no clock, no I/O. Requests come in as JSON with the time, answers go out as JSON, and
//! `advance` moves the roll-outs on. What the outside has to do (start a task, stop a task) is
//! handed out as [`Effect`]s.

mod code_deploy;
mod deaths;
mod deployments;
mod error;
mod ids;
mod registry;
mod requests;
mod rollout;
mod service;
mod services;
mod staged;
mod task_definitions;
mod tasks;
mod views;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};

pub use error::EcsError;
pub use service::{Mutation, Origin, Service};
pub use tasks::{RunningTask, TaskSpec};

use ids::Ids;
use requests::read;
use task_definitions::TaskDefinition;

/// How the modelled account is called and how fast its tasks come and go.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The region in every ARN.
    pub region: String,
    /// The account number in every ARN.
    pub account: String,
    /// The time between two steps of a roll-out (a task starts, runs, or stops).
    pub step: Duration,
    /// What a minute of bake time takes.
    pub minute: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            region: "us-east-1".into(),
            account: "123456789012".into(),
            step: Duration::from_millis(400),
            minute: Duration::from_mins(1),
        }
    }
}

/// What the world around the model has to do, in this order.
#[derive(Debug, Clone)]
pub enum Effect {
    /// A task is PENDING: start its process and report the address.
    Start(TaskSpec),
    /// A task has been stopped: end its process.
    Stop {
        /// The task's ARN.
        task: String,
    },
    /// Something a person watching the console would have seen.
    Note(String),
}

/// Everything that services share: identifiers, effects to hand out, images in the registry.
pub struct Context {
    settings: Settings,
    ids: Ids,
    effects: Vec<Effect>,
    mutations: Vec<Mutation>,
    /// Of the call that is being answered.
    origin: Origin,
    digests: BTreeMap<String, String>,
    /// The environment that comes with an image, by its digest.
    baked: BTreeMap<String, BTreeMap<String, String>>,
    /// The alarms that are on.
    alarms: BTreeSet<String>,
    /// The task definition whose roll-outs do not come to their end.
    held: Option<String>,
}

/// One AWS account's ECS in one region.
pub struct Model {
    context: Context,
    task_definitions: BTreeMap<String, Vec<TaskDefinition>>,
    clusters: BTreeMap<String, BTreeMap<String, Service>>,
    code_deploy: code_deploy::CodeDeploy,
    /// `repository@tag` or `repository@digest`.
    deleted_images: BTreeSet<String>,
}

impl Model {
    /// An account without clusters.
    pub fn new(settings: Settings) -> Self {
        let context = Context {
            ids: Ids::new(&settings),
            settings,
            effects: Vec::new(),
            mutations: Vec::new(),
            origin: Origin::Hand,
            digests: BTreeMap::new(),
            baked: BTreeMap::new(),
            alarms: BTreeSet::new(),
            held: None,
        };
        Self {
            context,
            task_definitions: BTreeMap::new(),
            clusters: BTreeMap::new(),
            code_deploy: code_deploy::CodeDeploy::default(),
            deleted_images: BTreeSet::new(),
        }
    }

    /// Answers one API call of CodeDeploy or ECR.
    pub fn call_other(
        &mut self,
        origin: Origin,
        (service, operation): (&str, &str),
        body: &Value,
        now: Timestamp,
    ) -> Result<Value, EcsError> {
        self.context.origin = origin;
        match service {
            "codedeploy" => self.call_code_deploy(operation, body, now),
            "ecr" => self.call_ecr(operation, body),
            other => Err(EcsError::not_modelled(other)),
        }
    }

    /// Answers one API call of ECS.
    pub fn call(
        &mut self,
        origin: Origin,
        operation: &str,
        body: &Value,
        now: Timestamp,
    ) -> Result<Value, EcsError> {
        self.context.origin = origin;
        match operation {
            "CreateCluster" => Ok(self.create_cluster(read(operation, body)?)),
            "RegisterTaskDefinition" => self.register_task_definition(body, now),
            "DeregisterTaskDefinition" => {
                self.deregister_task_definition(&read(operation, body)?, now)
            }
            "DescribeTaskDefinition" => self.describe_task_definition(&read(operation, body)?),
            "CreateService" => self.create_service(read(operation, body)?, now),
            "UpdateService" => self.update_service(read(operation, body)?, now),
            "DescribeServices" => self.describe_services(&read(operation, body)?),
            "ListClusters" => self.list_clusters(&read(operation, body)?),
            "ListServices" => self.list_services(&read(operation, body)?),
            "ListTasks" => self.list_tasks(&read(operation, body)?),
            "DescribeTasks" => self.describe_tasks(&read(operation, body)?),
            "ListServiceDeployments" => self.list_service_deployments(&read(operation, body)?),
            "DescribeServiceDeployments" => {
                self.describe_service_deployments(&read(operation, body)?)
            }
            "DescribeServiceRevisions" => self.describe_service_revisions(&read(operation, body)?),
            "ContinueServiceDeployment" => {
                self.continue_service_deployment(read(operation, body)?, now)
            }
            "StopServiceDeployment" => self.stop_service_deployment(read(operation, body)?, now),
            other => Err(EcsError::not_modelled(format!("the operation {other}"))),
        }
    }

    /// Every service with its cluster.
    pub fn places(&self) -> Vec<(String, String)> {
        let all = self.clusters.iter().flat_map(|(cluster, services)| {
            services.keys().map(|service| (cluster.clone(), service.clone()))
        });
        all.collect()
    }

    /// Moves every roll-out on to `now` and hands out what is to be done.
    pub fn advance(&mut self, now: Timestamp) -> Vec<Effect> {
        for service in self.clusters.values_mut().flat_map(BTreeMap::values_mut) {
            while let Some(due) = service.due.filter(|due| *due <= now) {
                service.step(&mut self.context, due);
            }
        }
        self.settle_releases(now);
        std::mem::take(&mut self.context.effects)
    }

    /// From now on a roll-out of this task definition does not come to its end: a rolling one
    /// stays at its first task, one with stages bakes on.
    pub fn hold(&mut self, definition: &str) {
        self.context.held = Some(definition.into());
    }

    /// What was held goes on.
    pub fn let_go(&mut self, now: Timestamp) {
        if self.context.held.take().is_some() {
            for service in self.clusters.values_mut().flat_map(BTreeMap::values_mut) {
                service.wake(&self.context, now);
            }
        }
    }

    /// When `advance` has something to do next.
    pub fn next_due(&self) -> Option<Timestamp> {
        self.clusters.values().flat_map(BTreeMap::values).filter_map(|s| s.due).min()
    }

    /// Tells the model where a started task listens, or that it could not be started.
    pub fn task_started(&mut self, task: &str, address: Option<SocketAddr>) {
        let services = self.clusters.values_mut().flat_map(BTreeMap::values_mut);
        for found in services.flat_map(|s| &mut s.tasks).filter(|t| t.arn == task) {
            found.address = address;
            found.crashes |= address.is_none();
        }
    }

    /// The tasks a load balancer sends requests to.
    pub fn running_tasks(&self) -> Vec<RunningTask> {
        let services = self.clusters.values().flat_map(BTreeMap::values);
        services.flat_map(Service::running_tasks).collect()
    }

    /// A service by name, in whichever cluster it is.
    pub fn find_service(&self, name: &str) -> Option<&Service> {
        self.clusters.values().find_map(|services| services.get(name))
    }

    /// Every change of a service's task definition that took effect, oldest first.
    pub fn mutations(&self) -> &[Mutation] {
        &self.context.mutations
    }

    /// Pushes an image: from now on its tag means this digest.
    pub fn push_image(&mut self, image: &str, digest: &str) {
        self.context.digests.insert(image.into(), digest.into());
    }

    /// What the image of this digest sets in its environment; a task definition goes before it.
    pub fn bake(&mut self, digest: &str, environment: BTreeMap<String, String>) {
        self.context.baked.insert(digest.into(), environment);
    }

    /// A CloudWatch alarm goes off, or is over.
    pub fn set_alarm(&mut self, name: &str, on: bool, now: Timestamp) {
        if !on {
            self.context.alarms.remove(name);
        } else if self.context.alarms.insert(name.into()) {
            for service in self.clusters.values_mut().flat_map(BTreeMap::values_mut) {
                service.alarmed(&mut self.context, name, now);
            }
        }
    }

    fn create_cluster(&mut self, request: requests::CreateCluster) -> Value {
        let name = request.cluster_name.unwrap_or_else(|| "default".into());
        let services = self.clusters.entry(name.clone()).or_default();
        json!({ "cluster": views::cluster(&self.context.ids.cluster(&name), &name, services) })
    }

    /// The services of a cluster given by name or ARN; `default` when none is given.
    fn cluster(
        &self,
        given: Option<&str>,
    ) -> Result<(String, &BTreeMap<String, Service>), EcsError> {
        let name = ids::last_part(given.unwrap_or("default")).to_owned();
        let services = self.clusters.get(&name).ok_or_else(EcsError::cluster_not_found)?;
        Ok((name, services))
    }

    fn service_mut(
        &mut self,
        cluster: Option<&str>,
        service: &str,
    ) -> Result<&mut Service, EcsError> {
        let name = self.cluster(cluster)?.0;
        let services = self.clusters.get_mut(&name).ok_or_else(EcsError::cluster_not_found)?;
        services.get_mut(ids::last_part(service)).ok_or_else(EcsError::service_not_found)
    }
}

impl Context {
    fn note(&mut self, text: String) {
        self.effects.push(Effect::Note(text));
    }
}
