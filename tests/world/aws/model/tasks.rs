//! Tasks: what they run, how they live, and the calls that read them.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::deaths::Death;
use super::requests::{self, page, page_size};
use super::{EcsError, Model, ids, views};

/// What a task runner needs to start a task's process.
#[derive(Debug, Clone)]
pub struct TaskSpec {
    /// The task's ARN.
    pub task: String,
    /// The service it belongs to.
    pub service: String,
    /// The cluster's name.
    pub cluster: String,
    /// The task definition it runs, as an ARN.
    pub task_definition: String,
    /// The environment of its containers, taken together.
    pub environment: BTreeMap<String, String>,
}

/// A task that is in service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunningTask {
    /// The task's ARN.
    pub task: String,
    /// The service it belongs to.
    pub service: String,
    /// The task definition it runs, as an ARN.
    pub task_definition: String,
    /// Where it listens.
    pub address: SocketAddr,
}

/// One copy of a service.
#[derive(Debug, Clone)]
pub struct Task {
    pub(super) arn: String,
    pub(super) deployment: String,
    pub(super) revision: String,
    pub(super) containers: Vec<String>,
    pub(super) life: Life,
    pub(super) crashes: bool,
    pub(super) dies: Option<Death>,
    pub(super) address: Option<SocketAddr>,
    pub(super) created_at: Timestamp,
    pub(super) started_at: Option<Timestamp>,
}

/// How far a task has come.
#[derive(Debug, Clone)]
pub enum Life {
    /// Its process is being started.
    Pending,
    /// In service.
    Running,
    /// Over.
    Stopped {
        /// When it ended.
        at: Timestamp,
        /// `stopCode` of the API.
        code: &'static str,
        /// `stoppedReason` of the API.
        reason: String,
    },
}

impl Task {
    pub(super) fn is_pending(&self) -> bool {
        matches!(self.life, Life::Pending)
    }

    pub(super) fn is_running(&self) -> bool {
        matches!(self.life, Life::Running)
    }

    /// What it died of, if it did.
    pub(super) fn died(&self) -> Option<Death> {
        let Life::Stopped { reason, .. } = &self.life else { return None };
        self.dies.filter(|death| death.stop().1 == *reason)
    }

    pub(super) fn is_alive(&self) -> bool {
        self.is_pending() || self.is_running()
    }
}

impl Model {
    /// Whether there is, or was lately, a task of this identifier.
    pub fn knows_task(&self, id: &str) -> bool {
        let services = self.clusters.values().flat_map(BTreeMap::values);
        services.flat_map(|s| &s.tasks).any(|task| ids::last_part(&task.arn) == id)
    }

    pub(super) fn list_tasks(&self, request: &requests::ListTasks) -> Result<Value, EcsError> {
        let (_, services) = self.cluster(request.cluster.as_deref())?;
        let named = request.service_name.as_deref().map(ids::last_part);
        if named.is_some_and(|name| !services.contains_key(name)) {
            return Err(EcsError::service_not_found());
        }
        let alive = request.desired_status.as_deref() != Some("STOPPED");
        let in_family = |definition: &str| {
            let family = ids::last_part(definition).split(':').next();
            request.family.as_deref().is_none_or(|asked| Some(asked) == family)
        };
        let mut arns = Vec::new();
        for service in services.values().filter(|s| named.is_none_or(|name| s.name == name)) {
            let tasks = service.tasks.iter().filter(|task| task.is_alive() == alive);
            let tasks = tasks.filter(|task| in_family(service.definition_of(&task.revision)));
            arns.extend(tasks.map(|task| task.arn.clone()));
        }
        let size = page_size(request.max_results, 100)?;
        let (arns, next) = page(arns, request.next_token.as_deref(), size)?;
        Ok(views::with_token(json!({ "taskArns": arns }), next))
    }

    pub(super) fn describe_tasks(
        &self,
        request: &requests::DescribeTasks,
    ) -> Result<Value, EcsError> {
        if request.tasks.is_empty() {
            return Err(EcsError::invalid("Tasks cannot be empty."));
        }
        if request.tasks.len() > 100 {
            return Err(EcsError::invalid("Tasks can have at most 100 items."));
        }
        let (_, services) = self.cluster(request.cluster.as_deref())?;
        let (mut found, mut failures) = (Vec::new(), Vec::new());
        for asked in &request.tasks {
            let id = ids::last_part(asked);
            let hit = services.values().find_map(|service| {
                let task = service.tasks.iter().find(|task| ids::last_part(&task.arn) == id)?;
                Some(views::task(service, task))
            });
            match hit {
                Some(task) => found.push(task),
                None => failures.push(views::missing(&self.context.ids.missing("task", asked))),
            }
        }
        Ok(json!({ "tasks": found, "failures": failures }))
    }
}
