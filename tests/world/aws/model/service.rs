//! A service: its deployments, their tasks, and the history that ECS keeps of them.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::requests::{Configuration, Controller};
use super::staged::Staged;
use super::task_definitions::{TaskDefinition, Template};
use super::tasks::{RunningTask, Task};
use super::{Context, ids};

/// A service of a cluster.
pub struct Service {
    pub(super) name: String,
    pub(super) arn: String,
    pub(super) cluster: String,
    pub(super) cluster_arn: String,
    pub(super) created_at: Timestamp,
    pub(super) desired: usize,
    pub(super) controller: Controller,
    pub(super) configuration: Configuration,
    pub(super) launch_type: Option<String>,
    pub(super) load_balancers: Option<Value>,
    pub(super) network: Option<Value>,
    /// Newest first: the first one is PRIMARY, the others are ACTIVE until they are drained.
    pub(super) deployments: Vec<Deployment>,
    /// Newest first.
    pub(super) history: Vec<ServiceDeployment>,
    pub(super) revisions: Vec<Revision>,
    pub(super) last_completed: Option<String>,
    pub(super) tasks: Vec<Task>,
    /// Newest first, as ECS answers them.
    pub(super) events: Vec<ServiceEvent>,
    pub(super) due: Option<Timestamp>,
    /// How far a deployment with stages is.
    pub(super) staged: Option<Staged>,
}

/// One entry of `deployments` in `DescribeServices`.
#[derive(Debug, Clone)]
pub struct Deployment {
    pub(super) id: String,
    pub(super) revision: String,
    pub(super) task_definition: String,
    pub(super) failed: usize,
    pub(super) rollout: Rollout,
    pub(super) reason: String,
    pub(super) created_at: Timestamp,
    pub(super) updated_at: Timestamp,
    /// CodeDeploy's deployment that made it.
    pub(super) code_deploy: Option<String>,
}

/// `rolloutState`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rollout {
    InProgress,
    Completed,
    Failed,
}

/// The history entry of one deployment.
#[derive(Debug, Clone)]
pub struct ServiceDeployment {
    pub(super) arn: String,
    pub(super) status: Status,
    pub(super) reason: Option<String>,
    pub(super) sources: Vec<String>,
    pub(super) target: String,
    pub(super) rollback: Option<Rollback>,
    pub(super) breaker_tripped: bool,
    /// Alarms that were on when it began: they are not held against it.
    pub(super) ignored_alarms: BTreeSet<String>,
    pub(super) triggered_alarms: Vec<String>,
    pub(super) failures: usize,
    pub(super) created_at: Timestamp,
    pub(super) started_at: Option<Timestamp>,
    pub(super) finished_at: Option<Timestamp>,
    pub(super) stopped_at: Option<Timestamp>,
    pub(super) updated_at: Timestamp,
}

/// The states a service deployment is in here; `STOP_REQUESTED` passes at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    Pending,
    InProgress,
    Successful,
    Stopped,
    RollbackRequested,
    RollbackInProgress,
    RollbackSuccessful,
    RollbackFailed,
}

impl Status {
    /// Its name in the API.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pending => "PENDING",
            Self::InProgress => "IN_PROGRESS",
            Self::Successful => "SUCCESSFUL",
            Self::Stopped => "STOPPED",
            Self::RollbackRequested => "ROLLBACK_REQUESTED",
            Self::RollbackInProgress => "ROLLBACK_IN_PROGRESS",
            Self::RollbackSuccessful => "ROLLBACK_SUCCESSFUL",
            Self::RollbackFailed => "ROLLBACK_FAILED",
        }
    }

    /// Whether ECS is still at work on it.
    pub fn in_flight(self) -> bool {
        match self {
            Self::Pending
            | Self::InProgress
            | Self::RollbackRequested
            | Self::RollbackInProgress => true,
            Self::Successful | Self::Stopped | Self::RollbackSuccessful | Self::RollbackFailed => {
                false
            }
        }
    }
}

/// That a service deployment is being, or was, rolled back.
#[derive(Debug, Clone)]
pub struct Rollback {
    pub(super) reason: String,
    pub(super) started_at: Timestamp,
    pub(super) revision: String,
}

/// A service revision: the workload as it was resolved when it was deployed.
#[derive(Debug, Clone)]
pub struct Revision {
    pub(super) arn: String,
    pub(super) template: Template,
    pub(super) created_at: Timestamp,
}

/// One line of the service's event log.
#[derive(Debug, Clone)]
pub struct ServiceEvent {
    pub(super) id: String,
    pub(super) at: Timestamp,
    pub(super) message: String,
}

/// Who called the API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// Somebody over HTTP: the program under test.
    Client,
    /// The test or the demo itself, past HTTP.
    Hand,
}

/// A change of a service's task definition, or of a deployment's course, that took effect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mutation {
    /// Who asked for it.
    pub origin: Origin,
    /// `CreateService`, `UpdateService` or `StopServiceDeployment`.
    pub operation: &'static str,
    /// The service's name.
    pub service: String,
    /// The task definition that was being deployed before; none before the service was created.
    pub before: Option<String>,
    /// The task definition that is being deployed after it.
    pub after: String,
    /// When it took effect.
    pub at: Timestamp,
}

impl Service {
    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The task definition of the PRIMARY deployment.
    pub fn task_definition(&self) -> Option<&str> {
        self.deployments.get(self.primary_index()).map(|one| one.task_definition.as_str())
    }

    /// The identifier (`ecs-svc/...`) of the PRIMARY deployment.
    pub fn primary_id(&self) -> Option<&str> {
        self.deployments.get(self.primary_index()).map(|one| one.id.as_str())
    }

    /// Whether nothing is left to be done: one deployment, not in progress, nothing due.
    pub fn is_stable(&self) -> bool {
        self.due.is_none() && self.deployments.len() <= 1
    }

    /// The tasks that are in service.
    pub fn running_tasks(&self) -> Vec<RunningTask> {
        let running = self
            .tasks
            .iter()
            .filter(|task| task.is_running() && self.gets_requests(&task.deployment));
        let in_service = running.filter_map(|task| {
            Some(RunningTask {
                task: task.arn.clone(),
                service: self.name.clone(),
                task_definition: self.definition_of(&task.revision).to_owned(),
                address: task.address?,
            })
        });
        in_service.collect()
    }

    /// Makes a revision of `definition` PRIMARY, as a deployment of its own, and stops whatever
    /// was in flight.
    pub(super) fn deploy(
        &mut self,
        context: &mut Context,
        operation: &'static str,
        definition: &TaskDefinition,
        now: Timestamp,
    ) {
        let before = self.task_definition().map(str::to_owned);
        self.supersede(now);
        let sources = self.deployments.iter().map(|deployment| deployment.revision.clone());
        let sources = sources.collect();
        let arn = context.ids.service_revision(&self.cluster, &self.name);
        let template = definition.template(context);
        self.revisions.push(Revision { arn: arn.clone(), template, created_at: now });
        if self.controller == Controller::Ecs {
            let history = ServiceDeployment {
                arn: context.ids.service_deployment(&self.cluster, &self.name),
                status: Status::Pending,
                reason: None,
                sources,
                target: arn.clone(),
                rollback: None,
                breaker_tripped: false,
                ignored_alarms: context.alarms.clone(),
                triggered_alarms: Vec::new(),
                failures: 0,
                created_at: now,
                started_at: None,
                finished_at: None,
                stopped_at: None,
                updated_at: now,
            };
            self.history.insert(0, history);
        }
        self.make_primary(context, &arn, now);
        self.stage(context, now);
        let after = definition.arn.clone();
        let note = format!("{operation}: {} is to run {}", self.name, ids::last_part(&after));
        context.note(note);
        let service = self.name.clone();
        let origin = context.origin;
        context.mutations.push(Mutation { origin, operation, service, before, after, at: now });
        self.wake(context, now);
    }

    /// A new PRIMARY deployment of `revision`.
    pub(super) fn make_primary(&mut self, context: &mut Context, revision: &str, now: Timestamp) {
        let id = context.ids.deployment();
        let deployment = Deployment {
            reason: format!("ECS deployment {id} in progress."),
            id,
            revision: revision.to_owned(),
            task_definition: self.definition_of(revision).to_owned(),
            failed: 0,
            rollout: Rollout::InProgress,
            created_at: now,
            updated_at: now,
            code_deploy: None,
        };
        self.deployments.insert(0, deployment);
    }

    fn supersede(&mut self, now: Timestamp) {
        for former in self.history.iter_mut().filter(|entry| entry.status.in_flight()) {
            former.status = Status::Stopped;
            former.reason = Some("Service deployment stopped: a newer one was started.".into());
            former.stopped_at = Some(now);
            former.finished_at = Some(now);
            former.updated_at = now;
        }
    }

    /// Has the next step happen one step's time from now.
    pub(super) fn wake(&mut self, context: &Context, now: Timestamp) {
        let step = SignedDuration::try_from(context.settings.step).unwrap_or_default();
        self.due = Some(self.due.map_or(now + step, |due| due.min(now + step)));
    }

    pub(super) fn current(&mut self) -> Option<&mut ServiceDeployment> {
        self.history.first_mut().filter(|entry| entry.status.in_flight())
    }

    pub(super) fn revision(&self, arn: &str) -> Option<&Revision> {
        self.revisions.iter().find(|revision| revision.arn == arn)
    }

    pub(super) fn definition_of(&self, revision: &str) -> &str {
        self.revision(revision).map_or("", |revision| &revision.template.task_definition)
    }

    pub(super) fn count(&self, deployment: &str, which: fn(&Task) -> bool) -> usize {
        self.tasks.iter().filter(|task| task.deployment == deployment && which(task)).count()
    }

    pub(super) fn log(&mut self, context: &mut Context, message: String, now: Timestamp) {
        context.note(message.clone());
        let id = context.ids.uuid();
        self.events.insert(0, ServiceEvent { id, at: now, message });
        self.events.truncate(100);
    }
}
