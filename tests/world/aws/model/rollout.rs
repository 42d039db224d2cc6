//! A roll-out, step by step: a task starts, it runs, an old one stops, until only new ones run.
//!
//! One task at a time, which is what `maximumPercent` does to a small service; real ECS would
//! start as many at once as that percentage allows.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use super::deaths::Death;
use super::requests::Controller;
use super::service::{Rollback, Rollout, Service, Status};
use super::staged::Onward;
use super::tasks::{Life, Task, TaskSpec};
use super::{Context, Effect, ids};

/// What the next step of a service is.
enum Action {
    BeginRollback,
    Settle(usize),
    Stop(usize),
    Die(usize, Death),
    Start,
    Complete,
    Rest,
}

impl Service {
    /// Does the one thing that is due at `now`.
    pub(super) fn step(&mut self, context: &mut Context, now: Timestamp) {
        let step = SignedDuration::try_from(context.settings.step).unwrap_or_default();
        self.due = Some(now + step);
        if let Some(current) = self.current().filter(|entry| entry.status == Status::Pending) {
            current.status = Status::InProgress;
            current.started_at = Some(now);
            current.updated_at = now;
        }
        if self.history.first().is_none_or(|entry| entry.status != Status::RollbackRequested) {
            match self.onward(context, now) {
                Onward::Start => return self.start_or_settle(context, now),
                Onward::Moved => return,
                Onward::Rest(until) => {
                    self.due = until;
                    return;
                }
                Onward::AsRolling => {}
            }
        }
        match self.next_action() {
            Action::BeginRollback => {
                let reason = "Service deployment rolled back because a stop was requested.";
                self.roll_back(context, reason, now);
            }
            Action::Settle(task) => self.settle(context, task, now),
            Action::Stop(task) => {
                let reason = format!("Scaling activity initiated by ({})", self.deployments[0].id);
                self.stop(context, task, ("ServiceSchedulerInitiated", reason), now);
            }
            Action::Die(task, death) => self.stop(context, task, death.stop(), now),
            Action::Start | Action::Complete if self.is_held(context) => self.due = None,
            Action::Start => self.start(context, now),
            Action::Complete => self.complete(context, now),
            Action::Rest => self.due = None,
        }
        self.drop_drained();
    }

    /// Whether it is to stay as it is now: new tasks run, and the end is not to come.
    pub(super) fn is_held(&self, context: &Context) -> bool {
        self.deployments.first().is_some_and(|newest| {
            context.held.as_ref() == Some(&newest.task_definition)
                && self.count(&newest.id, Task::is_running) > 0
        })
    }

    /// Scales up: a task that was started runs, or the next one is started.
    fn start_or_settle(&mut self, context: &mut Context, now: Timestamp) {
        let id = &self.deployments[0].id;
        let pending = self.tasks.iter().position(|t| t.deployment == *id && t.is_pending());
        match pending {
            Some(task) => self.settle(context, task, now),
            None => self.start(context, now),
        }
        self.drop_drained();
    }

    fn next_action(&self) -> Action {
        let Some(primary) = self.deployments.first() else { return Action::Rest };
        if self.history.first().is_some_and(|entry| entry.status == Status::RollbackRequested) {
            return Action::BeginRollback;
        }
        let first = |new: bool, which: fn(&Task) -> bool| {
            self.tasks.iter().position(|t| (t.deployment == primary.id) == new && which(t))
        };
        let dying = |task: &Task| task.dies.filter(|_| task.is_running());
        if let Some((task, death)) =
            self.tasks.iter().enumerate().find_map(|(place, task)| Some((place, dying(task)?)))
        {
            return Action::Die(task, death);
        }
        if let Some(task) = first(true, Task::is_pending) {
            return Action::Settle(task);
        }
        if let Some(task) = first(false, Task::is_pending) {
            return Action::Stop(task);
        }
        if primary.rollout == Rollout::Failed {
            return Action::Rest;
        }
        let running = self.count(&primary.id, Task::is_running);
        let total = self.tasks.iter().filter(|task| task.is_running()).count();
        if let Some(task) = first(false, Task::is_running)
            && (total > self.desired || running >= self.desired)
        {
            return Action::Stop(task);
        }
        if running < self.desired {
            return Action::Start;
        }
        if running > self.desired
            && let Some(task) = first(true, Task::is_running)
        {
            return Action::Stop(task);
        }
        if primary.rollout == Rollout::InProgress { Action::Complete } else { Action::Rest }
    }

    fn start(&mut self, context: &mut Context, now: Timestamp) {
        let primary = &self.deployments[0];
        let Some(revision) = self.revision(&primary.revision) else { return };
        let arn = context.ids.task(&self.cluster);
        let ids = &mut context.ids;
        let containers = revision.template.containers.iter();
        let containers = containers.map(|_| ids.container(&self.cluster, &arn)).collect();
        let images = revision.template.containers.iter();
        let baked = images.filter_map(|one| context.baked.get(&one.digest));
        let own = |(name, value): (&String, &String)| (name.clone(), value.clone());
        let mut environment: BTreeMap<String, String> = baked.flatten().map(own).collect();
        environment.extend(revision.template.environment.iter().map(own));
        let task = Task {
            arn: arn.clone(),
            deployment: primary.id.clone(),
            revision: primary.revision.clone(),
            containers,
            life: Life::Pending,
            dies: Death::of(&environment),
            crashes: environment.get("CRASH").is_some_and(|value| value == "1"),
            address: None,
            created_at: now,
            started_at: None,
        };
        let spec = TaskSpec {
            task: arn.clone(),
            service: self.name.clone(),
            cluster: self.cluster.clone(),
            task_definition: primary.task_definition.clone(),
            environment,
        };
        if !task.crashes {
            context.effects.push(Effect::Start(spec));
        }
        self.tasks.push(task);
        let name = &self.name;
        let message =
            format!("(service {name}) has started 1 tasks: (task {}).", ids::last_part(&arn));
        self.log(context, message, now);
    }

    /// A PENDING task of the PRIMARY deployment runs, or has failed to.
    fn settle(&mut self, context: &mut Context, task: usize, now: Timestamp) {
        let pending = &mut self.tasks[task];
        if pending.crashes {
            self.fail(context, task, now);
        } else if pending.address.is_some() {
            pending.life = Life::Running;
            pending.started_at = Some(now);
            let id = ids::last_part(&pending.arn).to_owned();
            self.deployments[0].failed = 0;
            self.deployments[0].updated_at = now;
            if let Some(current) = self.current().filter(|entry| !entry.breaker_tripped) {
                current.failures = 0;
            }
            let definition = ids::last_part(&self.deployments[0].task_definition).to_owned();
            context.note(format!("task {} runs {definition}", &id[..8]));
        }
    }

    fn fail(&mut self, context: &mut Context, task: usize, now: Timestamp) {
        let reason = "Essential container in task exited".to_owned();
        self.stop(context, task, ("EssentialContainerExited", reason), now);
        let primary = &mut self.deployments[0];
        primary.failed += 1;
        primary.updated_at = now;
        let failed = primary.failed;
        let threshold = self.breaker_threshold();
        if let Some(current) = self.current() {
            current.failures = failed;
        }
        if self.controller != Controller::Ecs
            || !self.configuration.deployment_circuit_breaker.enable
            || failed < threshold
        {
            return;
        }
        let reason = "ECS deployment circuit breaker: tasks failed to start.";
        let message = format!(
            "(service {}) (deployment {}) deployment failed: tasks failed to start.",
            self.name, self.deployments[0].id
        );
        self.log(context, message, now);
        if let Some(current) = self.current() {
            current.breaker_tripped = true;
        }
        let in_rollback = self.history.first().is_some_and(|entry| entry.rollback.is_some());
        if self.configuration.deployment_circuit_breaker.rollback && !in_rollback {
            self.roll_back(context, reason, now);
        } else {
            self.give_up(reason, now);
        }
    }

    fn give_up(&mut self, reason: &str, now: Timestamp) {
        self.deployments[0].rollout = Rollout::Failed;
        self.deployments[0].reason = reason.into();
        if let Some(current) = self.current() {
            let rolling_back = current.rollback.is_some();
            current.status = if rolling_back { Status::RollbackFailed } else { Status::Stopped };
            current.reason = Some(reason.into());
            current.stopped_at = Some(now);
            current.finished_at = Some(now);
            current.updated_at = now;
        }
    }

    /// The last completed revision becomes PRIMARY again, as a deployment with a new identifier;
    /// its tasks that still run are kept.
    fn roll_back(&mut self, context: &mut Context, reason: &str, now: Timestamp) {
        let Some(source) = self.last_completed.clone() else {
            return self.give_up(reason, now);
        };
        let failed = &mut self.deployments[0];
        failed.rollout = Rollout::Failed;
        failed.reason = reason.into();
        failed.updated_at = now;
        self.staged = None;
        self.make_primary(context, &source, now);
        let id = self.deployments[0].id.clone();
        for task in self.tasks.iter_mut().filter(|task| task.revision == source && task.is_alive())
        {
            task.deployment.clone_from(&id);
        }
        let tripped = self.history.first().is_some_and(|entry| entry.breaker_tripped);
        if tripped {
            self.deployments[0].reason =
                format!("ECS deployment circuit breaker: rolling back to deploymentId {id}.");
        }
        if let Some(current) = self.current() {
            current.status = Status::RollbackInProgress;
            current.reason = Some(reason.into());
            current.updated_at = now;
            let reason = reason.to_owned();
            current.rollback = Some(Rollback { reason, started_at: now, revision: source });
        }
        let message = format!("(service {}) rolling back to deployment {id}.", self.name);
        self.log(context, message, now);
    }

    fn stop(
        &mut self,
        context: &mut Context,
        task: usize,
        (code, reason): (&'static str, String),
        now: Timestamp,
    ) {
        let stopped = &mut self.tasks[task];
        stopped.life = Life::Stopped { at: now, code, reason };
        let arn = stopped.arn.clone();
        let id = ids::last_part(&arn);
        let message = format!("(service {}) has stopped 1 running tasks: (task {id}).", self.name);
        self.log(context, message, now);
        context.effects.push(Effect::Stop { task: arn });
        self.forget_old_tasks();
    }

    fn complete(&mut self, context: &mut Context, now: Timestamp) {
        self.staged = None;
        let primary = &mut self.deployments[0];
        primary.rollout = Rollout::Completed;
        primary.reason = format!("ECS deployment {} completed.", primary.id);
        primary.updated_at = now;
        self.last_completed = Some(primary.revision.clone());
        let id = primary.id.clone();
        if let Some(current) = self.current() {
            let rolled_back = current.status == Status::RollbackInProgress;
            current.status =
                if rolled_back { Status::RollbackSuccessful } else { Status::Successful };
            current.finished_at = Some(now);
            current.updated_at = now;
        }
        let name = self.name.clone();
        self.log(context, format!("(service {name}) (deployment {id}) deployment completed."), now);
        self.log(context, format!("(service {name}) has reached a steady state."), now);
    }

    /// An alarm has gone off: what is in flight fails, if the alarm is one of its own and
    /// was not on when it began.
    pub(super) fn alarmed(&mut self, context: &mut Context, alarm: &str, now: Timestamp) {
        let Some(alarms) = self.configuration.alarms.clone().filter(|alarms| alarms.enable) else {
            return;
        };
        let counts = alarms.alarm_names.iter().any(|name| name == alarm);
        let Some(current) = self.current().filter(|entry| {
            counts
                && matches!(entry.status, Status::Pending | Status::InProgress)
                && !entry.ignored_alarms.contains(alarm)
        }) else {
            return;
        };
        current.triggered_alarms.push(alarm.to_owned());
        let reason = "ECS deployment failed: CloudWatch alarms went off.";
        if alarms.rollback {
            self.roll_back(context, reason, now);
        } else {
            self.give_up(reason, now);
        }
        self.wake(context, now);
    }

    pub(super) fn breaker_threshold(&self) -> usize {
        self.desired.div_ceil(2).clamp(3, 200)
    }

    /// An ACTIVE deployment without tasks is gone.
    fn drop_drained(&mut self) {
        let Self { deployments, tasks, .. } = self;
        let alive = |id: &str| tasks.iter().any(|task| task.deployment == id && task.is_alive());
        let mut index = 0;
        deployments.retain(|deployment| {
            index += 1;
            index == 1 || alive(&deployment.id)
        });
    }

    /// Stopped tasks can be described for a while only.
    fn forget_old_tasks(&mut self) {
        let stopped = self.tasks.iter().filter(|task| !task.is_alive()).count();
        let mut surplus = stopped.saturating_sub(50);
        self.tasks.retain(|task| {
            let forget = surplus > 0 && !task.is_alive();
            surplus -= usize::from(forget);
            !forget
        });
    }
}
