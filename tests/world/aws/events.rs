//! What EventBridge is told of the modelled ECS: an event for every deployment that begins,
//! completes or fails.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::model::{Model, Origin, Settings};

/// Sees what has changed from one look at the model to the next.
pub struct Bus {
    /// By deployment, the name of its latest event.
    known: BTreeMap<String, &'static str>,
    count: u64,
    /// Every event so far.
    pub events: Vec<Value>,
    /// The address of the queue that a rule sends them to.
    pub queue: Option<String>,
    /// How often each one is sent: 0 loses it, 2 repeats it.
    pub times: usize,
}

impl Bus {
    /// Sends each event once, as soon as there is a queue.
    pub fn new() -> Self {
        Self { known: BTreeMap::new(), count: 0, events: Vec::new(), queue: None, times: 1 }
    }

    /// The events of what has happened since the last time.
    pub fn news(&mut self, model: &mut Model, settings: &Settings, now: Timestamp) -> Vec<Value> {
        let mut news = Vec::new();
        for (cluster, service) in model.places() {
            let asked = json!({ "cluster": cluster, "services": [service] });
            let Ok(answer) = model.call(Origin::Hand, "DescribeServices", &asked, now) else {
                continue;
            };
            let service = &answer["services"][0];
            for deployment in service["deployments"].as_array().into_iter().flatten() {
                let name = match deployment["rolloutState"].as_str() {
                    Some("IN_PROGRESS") => "SERVICE_DEPLOYMENT_IN_PROGRESS",
                    Some("COMPLETED") => "SERVICE_DEPLOYMENT_COMPLETED",
                    Some("FAILED") => "SERVICE_DEPLOYMENT_FAILED",
                    _ => continue,
                };
                let id = deployment["id"].as_str().unwrap_or_default().to_owned();
                if self.known.insert(id.clone(), name) == Some(name) {
                    continue;
                }
                self.count += 1;
                let arn = service["serviceArn"].as_str().unwrap_or_default();
                news.push(event(self.count, name, arn, &id, deployment, settings, now));
            }
        }
        self.events.extend(news.iter().cloned());
        news
    }
}

fn event(
    number: u64,
    name: &str,
    arn: &str,
    id: &str,
    deployment: &Value,
    settings: &Settings,
    now: Timestamp,
) -> Value {
    let at = now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    let kind = if name.ends_with("FAILED") { "ERROR" } else { "INFO" };
    json!({
        "version": "0",
        "id": format!("ddca6449-b258-46c0-8653-{number:012}"),
        "detail-type": "ECS Deployment State Change",
        "source": "aws.ecs",
        "account": settings.account,
        "time": at,
        "region": settings.region,
        "resources": [arn],
        "detail": {
            "eventType": kind,
            "eventName": name,
            "deploymentId": id,
            "updatedAt": at,
            "reason": deployment["rolloutStateReason"],
        },
    })
}
