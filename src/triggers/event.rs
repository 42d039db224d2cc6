//! An EventBridge event of ECS, as the service that it is about.
//!
//! Names and shapes as AWS documents them: "ECS Deployment State Change" and "ECS Service
//! Action" carry the service's ARN in `resources`; "ECS Hook State Change" is about a
//! service deployment, whose ARN begins as the service's does; "ECS Task State Change"
//! names the service in `detail.group`.

use serde::Deserialize;
use serde_json::Value;

/// A service that is worth a look.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Hint {
    pub region: String,
    /// The account number.
    pub account: String,
    pub cluster: String,
    pub service: String,
    /// The deployment that has just begun (`ecs-svc/...`). A look that does not show it
    /// was too early: ECS's answers are eventually consistent.
    pub begun: Option<String>,
}

/// What a message says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Heard {
    Hint(Hint),
    /// In order, but nothing that a look could come of; what it is, in words.
    NotOurs(String),
}

/// A message that is no event.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unreadable(String);

/// EventBridge's envelope, as far as we need it.
#[derive(Debug, Deserialize)]
struct Event {
    source: String,
    #[serde(rename = "detail-type")]
    kind: String,
    #[serde(default)]
    resources: Vec<String>,
    #[serde(default)]
    detail: Value,
}

/// SNS's envelope: a queue that is subscribed without raw delivery gets it.
#[derive(Debug, Deserialize)]
struct Enveloped {
    #[serde(rename = "Type")]
    kind: String,
    #[serde(rename = "TopicArn")]
    _topic: String,
    #[serde(rename = "Message")]
    message: String,
}

/// Reads a message: an event, or one that SNS has put into its envelope.
///
/// # Errors
/// It is neither, in words.
pub fn read(text: &str) -> Result<Heard, Unreadable> {
    match serde_json::from_str::<Enveloped>(text) {
        Ok(Enveloped { kind, message, .. }) if kind == "Notification" => event(&message),
        Ok(Enveloped { kind, .. }) => Ok(Heard::NotOurs(format!("SNS: {kind}"))),
        Err(_) => event(text),
    }
}

fn event(text: &str) -> Result<Heard, Unreadable> {
    let event: Event = serde_json::from_str(text)
        .map_err(|error| Unreadable(format!("no EventBridge event: {error}")))?;
    if event.source != "aws.ecs" {
        return Ok(Heard::NotOurs(format!("{} of {}", event.kind, event.source)));
    }
    let name = event.detail["eventName"].as_str().unwrap_or_default();
    let arn = match event.kind.as_str() {
        "ECS Deployment State Change" | "ECS Service Action" => {
            event.resources.iter().find(|arn| arn.contains(":service/")).map(String::as_str)
        }
        "ECS Hook State Change" => event
            .resources
            .iter()
            .map(String::as_str)
            .chain(event.detail["serviceArn"].as_str())
            .chain(event.detail["serviceDeploymentArn"].as_str())
            .find(|arn| arn.contains(":service/") || arn.contains(":service-deployment/")),
        "ECS Task State Change" => return Ok(of_task(&event)),
        other => return Ok(Heard::NotOurs(format!("{other} of aws.ecs"))),
    };
    let arn = arn.ok_or_else(|| Unreadable(format!("{}: no service is named", event.kind)))?;
    let begun = (name == "SERVICE_DEPLOYMENT_IN_PROGRESS")
        .then(|| event.detail["deploymentId"].as_str().map(str::to_owned))
        .flatten();
    // Accounts from before 2021 may have services without the cluster in the ARN.
    let cluster = event.detail["clusterArn"].as_str().map(last);
    hint(arn, cluster, begun).map(Heard::Hint).ok_or_else(|| {
        Unreadable(format!("{}: `{arn}` names no cluster; the poller finds it", event.kind))
    })
}

/// A task that has stopped says something about its service; all others come and go.
fn of_task(event: &Event) -> Heard {
    let word = |name: &str| event.detail[name].as_str().unwrap_or_default();
    let stopped = word("lastStatus") == "STOPPED";
    let service = word("group").strip_prefix("service:").filter(|_| stopped);
    let cluster = word("clusterArn");
    let region = cluster.split(':').nth(3).filter(|region| !region.is_empty());
    let account = cluster.split(':').nth(4).unwrap_or_default();
    match (service, region) {
        (Some(service), Some(region)) if is_name(service) && is_name(last(cluster)) => {
            Heard::Hint(Hint {
                region: region.to_owned(),
                account: account.to_owned(),
                cluster: last(cluster).to_owned(),
                service: service.to_owned(),
                begun: None,
            })
        }
        _ => Heard::NotOurs("ECS Task State Change of no stopped task of a service".to_owned()),
    }
}

/// `arn:aws:ecs:us-east-1:123456789012:service/shop/api`, or that of a service deployment.
fn hint(arn: &str, cluster: Option<&str>, begun: Option<String>) -> Option<Hint> {
    let mut parts = arn.splitn(6, ':');
    let head = (parts.next()?, parts.next()?, parts.next()?);
    let (region, account, resource) = (parts.next()?, parts.next()?, parts.next()?);
    if head.0 != "arn" || head.2 != "ecs" || region.is_empty() {
        return None;
    }
    let mut steps = resource.split('/').skip(1);
    let (cluster, service) = match (steps.next()?, steps.next()) {
        (named, Some(service)) => (named, service),
        (service, None) => (cluster?, service),
    };
    (is_name(cluster) && is_name(service)).then(|| Hint {
        region: region.to_owned(),
        account: account.to_owned(),
        cluster: cluster.to_owned(),
        service: service.to_owned(),
        begun,
    })
}

/// ECS's own rule for names: what comes from outside goes into requests.
fn is_name(name: &str) -> bool {
    let fits = |char: char| char.is_ascii_alphanumeric() || char == '-' || char == '_';
    !name.is_empty() && name.len() <= 255 && name.chars().all(fits)
}

fn last(arn: &str) -> &str {
    arn.rsplit('/').next().unwrap_or(arn)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const SERVICE: &str = "arn:aws:ecs:eu-west-1:123456789012:service/shop/api";

    fn event(kind: &str, resources: &[&str], detail: &Value) -> Value {
        json!({
            "version": "0", "id": "ddca6449-b258-46c0-8653-e0e3a6000000",
            "detail-type": kind, "source": "aws.ecs", "account": "123456789012",
            "time": "2026-05-23T12:31:14Z", "region": "eu-west-1",
            "resources": resources, "detail": detail,
        })
    }

    fn heard(event: &Value) -> Heard {
        read(&event.to_string()).unwrap()
    }

    fn api(begun: Option<&str>) -> Heard {
        let (region, account) = ("eu-west-1".into(), "123456789012".into());
        let (cluster, service) = ("shop".into(), "api".into());
        let begun = begun.map(str::to_owned);
        Heard::Hint(Hint { region, account, cluster, service, begun })
    }

    #[test]
    fn every_event_of_a_deployment_is_a_hint_at_its_service() {
        let began = json!({ "eventType": "INFO", "eventName": "SERVICE_DEPLOYMENT_IN_PROGRESS",
            "deploymentId": "ecs-svc/123", "reason": "ECS deployment in progress." });
        let said = heard(&event("ECS Deployment State Change", &[SERVICE], &began));
        assert_eq!(said, api(Some("ecs-svc/123")));
        for name in ["SERVICE_DEPLOYMENT_COMPLETED", "SERVICE_DEPLOYMENT_FAILED"] {
            let ended = json!({ "eventName": name, "deploymentId": "ecs-svc/123" });
            let said = heard(&event("ECS Deployment State Change", &[SERVICE], &ended));
            assert_eq!(said, api(None), "an ended one may be gone already: {name}");
        }
        let steady = json!({ "eventName": "SERVICE_STEADY_STATE" });
        assert_eq!(heard(&event("ECS Service Action", &[SERVICE], &steady)), api(None));
        let paused = json!({ "eventName": "HOOK_AWAITING_ACTION" });
        let deployment = "arn:aws:ecs:eu-west-1:123456789012:service-deployment/shop/api/x1";
        assert_eq!(heard(&event("ECS Hook State Change", &[deployment], &paused)), api(None));
    }

    #[test]
    fn a_service_without_its_cluster_in_the_arn_is_found_by_the_detail() {
        let old = "arn:aws:ecs:eu-west-1:123456789012:service/api";
        let cluster = json!({ "clusterArn": "arn:aws:ecs:eu-west-1:123456789012:cluster/shop" });
        assert_eq!(heard(&event("ECS Service Action", &[old], &cluster)), api(None));
        let bare = event("ECS Deployment State Change", &[old], &json!({})).to_string();
        let why = read(&bare).unwrap_err().to_string();
        assert!(why.contains("names no cluster"), "{why}");
    }

    #[test]
    fn only_a_stopped_task_of_a_service_is_worth_a_look() {
        let task = |status: &str, group: &str| {
            let detail = json!({ "lastStatus": status, "group": group,
                "clusterArn": "arn:aws:ecs:eu-west-1:123456789012:cluster/shop" });
            heard(&event("ECS Task State Change", &["arn:aws:ecs:x:1:task/shop/1"], &detail))
        };
        assert_eq!(task("STOPPED", "service:api"), api(None));
        for (status, group) in [("RUNNING", "service:api"), ("STOPPED", "family:api")] {
            assert!(matches!(task(status, group), Heard::NotOurs(_)), "{status} {group}");
        }
    }

    #[test]
    fn an_event_in_an_envelope_of_sns_is_the_same_event() {
        let inner = event("ECS Service Action", &[SERVICE], &json!({})).to_string();
        let topic = "arn:aws:sns:eu-west-1:123456789012:ecs";
        let outer = json!({ "Type": "Notification", "TopicArn": topic, "Message": inner });
        assert_eq!(heard(&outer), api(None));
        let other = json!({ "Type": "SubscriptionConfirmation", "TopicArn": topic, "Message": "" });
        assert!(matches!(heard(&other), Heard::NotOurs(_)));
    }

    #[test]
    fn what_is_in_order_and_not_ours_is_told_from_what_cannot_be_read() {
        let mut s3 = event("Object Created", &[], &json!({}));
        s3["source"] = json!("aws.s3");
        assert_eq!(heard(&s3), Heard::NotOurs("Object Created of aws.s3".to_owned()));
        let instance = event("ECS Container Instance State Change", &[], &json!({}));
        assert!(matches!(heard(&instance), Heard::NotOurs(_)));
        let forged = "arn:aws:ecs:eu-west-1:1:service/shop/api?x=/etc";
        let forged = event("ECS Service Action", &[forged], &json!({})).to_string();
        for text in ["", "hello", "[]", "{}", "{\"source\":1}", forged.as_str()] {
            assert!(read(text).is_err(), "{text}");
        }
    }
}
