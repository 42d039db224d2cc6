//! Tasks as `DescribeTasks` shows them.

use serde_json::{Map, Value, json};

use super::super::Service;
use super::super::deaths::Death;
use super::super::tasks::{Life, Task};
use super::{epoch, launch_type, set_times};

/// A task of `DescribeTasks`.
pub fn task(service: &Service, task: &Task) -> Value {
    let template = service.revision(&task.revision).map(|revision| &revision.template);
    let (last, desired) = match &task.life {
        Life::Pending => ("PENDING", "RUNNING"),
        Life::Running => ("RUNNING", "RUNNING"),
        Life::Stopped { .. } => ("STOPPED", "STOPPED"),
    };
    let templates = template.map(|template| template.containers.iter());
    let containers = task.containers.iter().zip(templates.into_iter().flatten());
    let containers = containers.map(|(arn, container)| {
        let mut shown = Map::new();
        shown.insert("containerArn".into(), json!(arn));
        shown.insert("taskArn".into(), json!(task.arn));
        shown.insert("name".into(), json!(container.name));
        shown.insert("image".into(), json!(container.image));
        shown.insert("imageDigest".into(), json!(container.digest));
        shown.insert("lastStatus".into(), json!(last));
        shown.insert("networkInterfaces".into(), json!([]));
        shown.insert("healthStatus".into(), json!("UNKNOWN"));
        shown.insert("networkBindings".into(), bindings(task));
        if matches!(task.life, Life::Stopped { .. }) {
            let died = task.died();
            let code = died.map_or(i32::from(task.crashes), Death::exit_code);
            shown.insert("exitCode".into(), json!(code));
            if let Some(reason) = died.and_then(Death::reason) {
                shown.insert("reason".into(), json!(reason));
            }
        }
        Value::Object(shown)
    });
    let mut answer = json!({
        "taskArn": task.arn,
        "clusterArn": service.cluster_arn,
        "taskDefinitionArn": service.definition_of(&task.revision),
        "containers": containers.collect::<Vec<_>>(),
        "createdAt": epoch(task.created_at),
        "desiredStatus": desired,
        "lastStatus": last,
        "group": format!("service:{}", service.name),
        "startedBy": task.deployment,
        "launchType": launch_type(service),
        "attachments": [],
        "overrides": { "containerOverrides": [] },
        "healthStatus": "UNKNOWN",
        "version": 1,
        "tags": [],
    });
    for (member, size) in [
        ("cpu", template.and_then(|template| template.cpu.clone())),
        ("memory", template.and_then(|template| template.memory.clone())),
    ] {
        if let Some(size) = size {
            answer[member] = json!(size);
        }
    }
    set_times(&mut answer, &[("startedAt", task.started_at)]);
    if let Life::Stopped { at, code, reason } = &task.life {
        set_times(&mut answer, &[("stoppingAt", Some(*at)), ("stoppedAt", Some(*at))]);
        answer["stopCode"] = json!(code);
        answer["stoppedReason"] = json!(reason);
    }
    answer
}

fn bindings(task: &Task) -> Value {
    let shown = task.address.iter().map(|address| {
        let port = address.port();
        let ip = address.ip().to_string();
        json!({ "bindIP": ip, "containerPort": port, "hostPort": port, "protocol": "tcp" })
    });
    Value::Array(shown.collect())
}
