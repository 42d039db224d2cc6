//! The model as the API shows it.

mod tasks;

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::Service;
use super::requests::{Configuration, Controller};
use super::service::{Deployment, Revision, Rollout, ServiceDeployment};
use super::staged::Lifecycle;
use super::tasks::Task;

pub use self::tasks::task;

/// Seconds since 1970, with milliseconds, as the protocol writes times.
pub fn seconds(at: Timestamp) -> f64 {
    at.as_duration().as_secs_f64()
}

/// [`seconds`] as JSON.
pub fn epoch(at: Timestamp) -> Value {
    json!((seconds(at) * 1000.0).round() / 1000.0)
}

/// A failure of a batch call.
pub fn missing(arn: &str) -> Value {
    json!({ "arn": arn, "reason": "MISSING" })
}

/// Adds the token of the next page.
pub fn with_token(mut answer: Value, next: Option<String>) -> Value {
    if let Some(token) = next {
        answer["nextToken"] = json!(token);
    }
    answer
}

fn launch_type(service: &Service) -> &str {
    service.launch_type.as_deref().unwrap_or("EC2")
}

/// What only a service on Fargate shows.
fn add_platform(service: &Service, answer: &mut Value) {
    if launch_type(service) == "FARGATE" {
        answer["platformVersion"] = json!("1.4.0");
        answer["platformFamily"] = json!("Linux");
    }
}

/// A cluster.
pub fn cluster(arn: &str, name: &str, services: &BTreeMap<String, Service>) -> Value {
    let count = |which: fn(&Task) -> bool| {
        services.values().flat_map(|service| &service.tasks).filter(|task| which(task)).count()
    };
    json!({
        "clusterArn": arn,
        "clusterName": name,
        "status": "ACTIVE",
        "registeredContainerInstancesCount": 0,
        "runningTasksCount": count(Task::is_running),
        "pendingTasksCount": count(Task::is_pending),
        "activeServicesCount": services.len(),
        "statistics": [],
        "tags": [],
        "settings": [{ "name": "containerInsights", "value": "disabled" }],
        "capacityProviders": [],
        "defaultCapacityProviderStrategy": [],
    })
}

/// A service as `DescribeServices` and `UpdateService` answer it.
pub fn service(service: &Service) -> Value {
    let counted = |which: fn(&Task) -> bool| service.tasks.iter().filter(|t| which(t)).count();
    let controller = match service.controller {
        Controller::Ecs => "ECS",
        Controller::CodeDeploy => "CODE_DEPLOY",
        Controller::External => "EXTERNAL",
    };
    let events = service.events.iter();
    let deployments = service.deployments.iter().enumerate();
    let by_task_sets = service.has_task_sets();
    let current = service.history.first().filter(|entry| entry.status.in_flight());
    let mut answer = json!({
        "serviceArn": service.arn,
        "serviceName": service.name,
        "clusterArn": service.cluster_arn,
        "status": "ACTIVE",
        "desiredCount": service.desired,
        "runningCount": counted(Task::is_running),
        "pendingCount": counted(Task::is_pending),
        "launchType": launch_type(service),
        "taskDefinition": service.task_definition(),
        "loadBalancers": service.load_balancers.clone().unwrap_or_else(|| json!([])),
        "serviceRegistries": [],
        "deploymentConfiguration": configuration(&service.configuration),
        "deployments": deployments
            .filter(|_| !by_task_sets)
            .map(|(index, one)| deployment(service, one, index == 0))
            .collect::<Vec<_>>(),
        "events": events
            .map(|e| json!({ "id": e.id, "createdAt": epoch(e.at), "message": e.message }))
            .collect::<Vec<_>>(),
        "createdAt": epoch(service.created_at),
        "placementConstraints": [],
        "placementStrategy": [],
        "schedulingStrategy": "REPLICA",
        "deploymentController": { "type": controller },
        "enableECSManagedTags": false,
        "enableExecuteCommand": false,
        "propagateTags": "NONE",
    });
    add_platform(service, &mut answer);
    if let Some(network) = &service.network {
        answer["networkConfiguration"] = network.clone();
    }
    if let Some(current) = current {
        answer["currentServiceDeployment"] = json!(current.arn);
    }
    if by_task_sets {
        let sets = service.deployments.iter().enumerate();
        answer["taskSets"] = sets.map(|(index, one)| task_set(service, one, index)).collect();
    } else {
        answer["currentServiceRevisions"] = current_revisions(service);
    }
    answer
}

fn current_revisions(service: &Service) -> Value {
    let revisions = service.deployments.iter().map(|one| summary(service, &one.revision));
    Value::Array(revisions.collect())
}

fn configuration(configuration: &Configuration) -> Value {
    let breaker = configuration.deployment_circuit_breaker;
    let mut answer = json!({
        "deploymentCircuitBreaker": { "enable": breaker.enable, "rollback": breaker.rollback },
        "maximumPercent": configuration.maximum_percent,
        "minimumHealthyPercent": configuration.minimum_healthy_percent,
        "strategy": configuration.strategy.name(),
        "bakeTimeInMinutes": configuration.bake_time_in_minutes,
    });
    if !configuration.lifecycle_hooks.is_empty() {
        answer["lifecycleHooks"] = json!(configuration.lifecycle_hooks);
    }
    if let Some(alarms) = &configuration.alarms {
        answer["alarms"] = json!(alarms);
    }
    if let Some(linear) = configuration.linear {
        answer["linearConfiguration"] = json!(linear);
    }
    if let Some(canary) = configuration.canary {
        answer["canaryConfiguration"] = json!(canary);
    }
    answer
}

/// An entry of `taskSets`.
fn task_set(service: &Service, one: &Deployment, index: usize) -> Value {
    let primary = service.primary_index();
    let cleans_up = service.staged.as_ref().is_none_or(|s| s.stage == Lifecycle::CleanUp);
    let status = match (index == primary, cleans_up) {
        (true, _) => "PRIMARY",
        (false, true) => "DRAINING",
        (false, false) => "ACTIVE",
    };
    let running = service.count(&one.id, Task::is_running);
    let pending = service.count(&one.id, Task::is_pending);
    let desired = if status == "DRAINING" { 0 } else { service.desired };
    let steady = pending == 0 && running == desired;
    let mut answer = json!({
        "id": one.id,
        "taskSetArn": format!("{}/{}", service.arn.replace(":service/", ":task-set/"), one.id),
        "serviceArn": service.arn,
        "clusterArn": service.cluster_arn,
        "status": status,
        "taskDefinition": one.task_definition,
        "computedDesiredCount": desired,
        "pendingCount": pending,
        "runningCount": running,
        "createdAt": epoch(one.created_at),
        "updatedAt": epoch(one.updated_at),
        "launchType": launch_type(service),
        "loadBalancers": service.load_balancers.clone().unwrap_or_else(|| json!([])),
        "scale": { "value": 100.0, "unit": "PERCENT" },
        "stabilityStatus": if steady { "STEADY_STATE" } else { "STABILIZING" },
        "stabilityStatusAt": epoch(one.updated_at),
    });
    if let Some(id) = &one.code_deploy {
        answer["startedBy"] = json!("CODE_DEPLOY");
        answer["externalId"] = json!(id);
    }
    answer
}

fn deployment(service: &Service, one: &Deployment, primary: bool) -> Value {
    let running = service.count(&one.id, Task::is_running);
    let mut answer = json!({
        "id": one.id,
        "status": if primary { "PRIMARY" } else { "ACTIVE" },
        "taskDefinition": one.task_definition,
        "desiredCount": if primary { service.desired } else { running },
        "runningCount": running,
        "pendingCount": service.count(&one.id, Task::is_pending),
        "failedTasks": one.failed,
        "createdAt": epoch(one.created_at),
        "updatedAt": epoch(one.updated_at),
        "launchType": launch_type(service),
    });
    add_platform(service, &mut answer);
    if service.controller == Controller::Ecs {
        answer["rolloutState"] = json!(match one.rollout {
            Rollout::InProgress => "IN_PROGRESS",
            Rollout::Completed => "COMPLETED",
            Rollout::Failed => "FAILED",
        });
        answer["rolloutStateReason"] = json!(one.reason);
    }
    answer
}

/// A line of `ListServiceDeployments`.
pub fn brief(service: &Service, entry: &ServiceDeployment) -> Value {
    let mut answer = json!({
        "serviceDeploymentArn": entry.arn,
        "serviceArn": service.arn,
        "clusterArn": service.cluster_arn,
        "createdAt": epoch(entry.created_at),
        "targetServiceRevisionArn": entry.target,
        "status": entry.status.name(),
    });
    let times = [("startedAt", entry.started_at), ("finishedAt", entry.finished_at)];
    set_times(&mut answer, &times);
    if let Some(reason) = &entry.reason {
        answer["statusReason"] = json!(reason);
    }
    answer
}

/// An entry of `DescribeServiceDeployments`.
pub fn service_deployment(service: &Service, entry: &ServiceDeployment) -> Value {
    let breaker = service.configuration.deployment_circuit_breaker;
    let breaker_status = match (breaker.enable, entry.breaker_tripped) {
        (false, _) => "DISABLED",
        (true, true) => "TRIGGERED",
        (true, false) if entry.status.in_flight() => "MONITORING",
        (true, false) => "MONITORING_COMPLETE",
    };
    let sources: Vec<Value> = entry.sources.iter().map(|arn| summary(service, arn)).collect();
    let mut answer = json!({
        "serviceDeploymentArn": entry.arn,
        "serviceArn": service.arn,
        "clusterArn": service.cluster_arn,
        "createdAt": epoch(entry.created_at),
        "updatedAt": epoch(entry.updated_at),
        "sourceServiceRevisions": sources,
        "targetServiceRevision": summary(service, &entry.target),
        "status": entry.status.name(),
        "deploymentConfiguration": configuration(&service.configuration),
        "deploymentCircuitBreaker": {
            "status": breaker_status,
            "failureCount": entry.failures,
            "threshold": service.breaker_threshold(),
        },
    });
    let times = [
        ("startedAt", entry.started_at),
        ("finishedAt", entry.finished_at),
        ("stoppedAt", entry.stopped_at),
    ];
    set_times(&mut answer, &times);
    if let Some(reason) = &entry.reason {
        answer["statusReason"] = json!(reason);
    }
    add_stage(service, entry, &mut answer);
    if let Some(rollback) = &entry.rollback {
        answer["rollback"] = json!({
            "reason": rollback.reason,
            "startedAt": epoch(rollback.started_at),
            "serviceRevisionArn": rollback.revision,
        });
    }
    answer
}

/// What only a deployment with stages, hooks or alarms shows.
fn add_stage(service: &Service, entry: &ServiceDeployment, answer: &mut Value) {
    if let Some(staged) = service.staged.as_ref().filter(|_| entry.status.in_flight()) {
        answer["lifecycleStage"] = json!(staged.stage.name());
        if let Some(id) = &staged.waits_at {
            answer["lifecycleHookDetails"] = json!([{
                "hookId": id,
                "targetType": "PAUSE",
                "status": "AWAITING_ACTION",
                "timeoutAction": "ROLLBACK",
            }]);
        }
    }
    if let Some(alarms) = service.configuration.alarms.as_ref().filter(|alarms| alarms.enable) {
        let triggered = &entry.triggered_alarms;
        let status = match (triggered.is_empty(), entry.status.in_flight()) {
            (false, _) => "TRIGGERED",
            (true, true) => "MONITORING",
            (true, false) => "MONITORING_COMPLETE",
        };
        answer["alarms"] = json!({
            "status": status,
            "alarmNames": alarms.alarm_names,
            "triggeredAlarmNames": triggered,
        });
    }
}

fn summary(service: &Service, revision: &str) -> Value {
    let of_it = |which: fn(&Task) -> bool| {
        service.tasks.iter().filter(|task| task.revision == revision && which(task)).count()
    };
    let primary = service.deployments.first().is_some_and(|one| one.revision == revision);
    let running = of_it(Task::is_running);
    json!({
        "arn": revision,
        "requestedTaskCount": if primary { service.desired } else { running },
        "runningTaskCount": running,
        "pendingTaskCount": of_it(Task::is_pending),
    })
}

/// An entry of `DescribeServiceRevisions`.
pub fn service_revision(service: &Service, revision: &Revision) -> Value {
    let images = revision.template.containers.iter();
    let images = images.map(|container| {
        json!({
            "containerName": container.name,
            "image": container.image,
            "imageDigest": container.digest,
        })
    });
    let mut answer = json!({
        "serviceRevisionArn": revision.arn,
        "serviceArn": service.arn,
        "clusterArn": service.cluster_arn,
        "taskDefinition": revision.template.task_definition,
        "launchType": launch_type(service),
        "containerImages": images.collect::<Vec<_>>(),
        "guardDutyEnabled": false,
        "createdAt": epoch(revision.created_at),
    });
    add_platform(service, &mut answer);
    if let Some(network) = &service.network {
        answer["networkConfiguration"] = network.clone();
    }
    if let Some(balancers) = &service.load_balancers {
        answer["loadBalancers"] = balancers.clone();
        answer["resolvedConfiguration"] = json!({ "loadBalancers": [resolved(service, revision)] });
    }
    answer
}

/// Two target groups take turns: each deployment gets the one that the one before has not.
fn resolved(service: &Service, revision: &Revision) -> Value {
    let balancer = service.load_balancers.as_ref().map_or(&Value::Null, |all| &all[0]);
    let place = service.revisions.iter().position(|one| one.arn == revision.arn).unwrap_or(0);
    let advanced = &balancer["advancedConfiguration"];
    let alternate = (place % 2 == 1).then(|| &advanced["alternateTargetGroupArn"]);
    let group = alternate.filter(|group| group.is_string()).unwrap_or(&balancer["targetGroupArn"]);
    let mut answer = json!({ "targetGroupArn": group });
    if advanced["productionListenerRule"].is_string() {
        answer["productionListenerRule"] = advanced["productionListenerRule"].clone();
    }
    answer
}

fn set_times(answer: &mut Value, times: &[(&str, Option<Timestamp>)]) {
    for (member, at) in times {
        if let Some(at) = at {
            answer[*member] = epoch(*at);
        }
    }
}
