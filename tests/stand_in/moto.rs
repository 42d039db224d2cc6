//! The calls that moto models, run against moto and against ours: the same errors, and the same
//! values in every member that both answer.

use std::collections::BTreeSet;
use std::net::TcpListener;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use crate::protocol::python;
use crate::world::aws::model::Settings;
use crate::world::aws::{Ecs, NoProcesses};
use crate::world::http::client_builder;
use crate::world::leash::Leashed;
use crate::world::timeline::Timeline;

/// Members whose values are each side's own: times, random identifiers.
const OWN: [&str; 6] =
    ["createdAt", "updatedAt", "registeredAt", "deregisteredAt", "id", "version"];

/// Where moto differs from real ECS and ours follows ECS: a path's end, and what moto does.
const MOTO_DIFFERS: [(&str, &str); 5] = [
    ("CreateService.service.deployments.rolloutState", "completes at once"),
    ("events", "logs none"),
    ("deployments.rolloutStateReason", "carries its own identifier"),
    ("UpdateService.service.deployments", "keeps the old deployment as the only one"),
    ("UpdateService.service.taskDefinition", "echoes what was given instead of the ARN"),
];

pub struct Moto {
    process: Leashed,
    pub url: String,
}

impl Moto {
    pub async fn start() -> Self {
        for _ in 0..5 {
            let port = TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr());
            let port = port.expect("a free port").port();
            let command = [python("moto_server"), "-H".into(), "127.0.0.1".into(), "-p".into()];
            let command = command.into_iter().chain([port.to_string().into()]);
            let process = Leashed::start(command, Stdio::null()).expect("moto starts");
            let mut moto = Self { process, url: format!("http://127.0.0.1:{port}") };
            if tokio::time::timeout(Duration::from_secs(30), moto.ready()).await == Ok(true) {
                return moto;
            }
        }
        panic!("moto did not start on any of five ports");
    }

    /// Whether it answers; false when the process has ended, such as for a taken port.
    async fn ready(&mut self) -> bool {
        let client = client_builder().build().expect("a client");
        while client.get(format!("{}/moto-api/", self.url)).send().await.is_err() {
            if self.process.ended().is_ok_and(|ended| ended.is_some()) {
                return false;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        true
    }
}

/// Ours, with nothing in it.
pub async fn ours() -> Ecs {
    let settings = Settings { step: Duration::from_millis(20), ..Settings::default() };
    let ours = Ecs::start(settings, Arc::new(NoProcesses), Timeline::default()).await;
    ours.expect("a free port")
}

async fn call(url: &str, operation: &str, body: &Value) -> (u16, Value) {
    let credential = "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20260101/us-east-1/ecs/aws4_request, \
                      SignedHeaders=host, Signature=0";
    let client = client_builder().build().expect("a client");
    let request = client
        .post(url)
        .header("x-amz-target", format!("AmazonEC2ContainerServiceV20141113.{operation}"))
        .header("content-type", "application/x-amz-json-1.1")
        .header("authorization", credential)
        .body(body.to_string());
    let answer = request.send().await.expect("an answer");
    let status = answer.status().as_u16();
    (status, answer.json().await.expect("JSON"))
}

/// The calls in their order: each builds on those before it.
fn script() -> Vec<(&'static str, Value)> {
    let container = json!({ "name": "app", "image": "shop:1",
        "environment": [{ "name": "VERSION", "value": "v1" }] });
    let family = json!({ "family": "api", "containerDefinitions": [container],
        "cpu": "256", "memory": "512" });
    let in_shop = |mut body: Value| {
        body["cluster"] = json!("shop");
        body
    };
    vec![
        ("CreateCluster", json!({ "clusterName": "shop" })),
        ("RegisterTaskDefinition", family.clone()),
        ("RegisterTaskDefinition", family),
        ("DescribeTaskDefinition", json!({ "taskDefinition": "api:1" })),
        ("DescribeTaskDefinition", json!({ "taskDefinition": "api" })),
        ("DescribeTaskDefinition", json!({ "taskDefinition": "none" })),
        (
            "CreateService",
            in_shop(json!({ "serviceName": "api", "taskDefinition": "api:1",
            "desiredCount": 0 })),
        ),
        (
            "CreateService",
            json!({ "cluster": "none", "serviceName": "api",
            "taskDefinition": "api:1" }),
        ),
        ("DescribeServices", in_shop(json!({ "services": ["api", "none"] }))),
        ("DescribeServices", json!({ "cluster": "none", "services": ["api"] })),
        ("ListClusters", json!({})),
        ("ListServices", in_shop(json!({}))),
        ("ListServices", json!({ "cluster": "none" })),
        ("UpdateService", in_shop(json!({ "service": "api", "taskDefinition": "api:2" }))),
        ("UpdateService", in_shop(json!({ "service": "none", "desiredCount": 1 }))),
        ("UpdateService", json!({ "cluster": "none", "service": "api" })),
        ("ListTasks", in_shop(json!({ "serviceName": "api" }))),
        ("ListTasks", json!({ "cluster": "none" })),
        ("DescribeTasks", in_shop(json!({ "tasks": [] }))),
        ("DescribeTasks", json!({ "cluster": "none", "tasks": ["x"] })),
        ("DeregisterTaskDefinition", json!({ "taskDefinition": "api:1" })),
        ("DescribeTaskDefinition", json!({ "taskDefinition": "api:1" })),
    ]
}

/// The path in a line of [`differences`].
fn path_of(difference: &str) -> &str {
    difference.split(": ").next().unwrap_or_default()
}

/// Where two answers differ, in the members that both have.
pub fn differences(path: &str, theirs: &Value, ours: &Value, found: &mut Vec<String>) {
    let last = path.rsplit('.').next().unwrap_or_default();
    if OWN.contains(&last) {
        return;
    }
    match (theirs, ours) {
        (Value::Object(theirs), Value::Object(ours)) => {
            for (name, value) in theirs {
                if let Some(own) = ours.get(name) {
                    differences(&format!("{path}.{name}"), value, own, found);
                }
            }
        }
        (Value::Array(theirs), Value::Array(ours)) if theirs.len() == ours.len() => {
            for (value, own) in theirs.iter().zip(ours) {
                differences(path, value, own, found);
            }
        }
        (theirs, ours) if theirs == ours => {}
        (theirs, ours) => found.push(format!("{path}: moto {theirs}, ours {ours}")),
    }
}

#[tokio::test]
async fn ours_answers_as_moto_does_what_moto_models() {
    let moto = Moto::start().await;
    let ours = ours().await;
    let mut found = Vec::new();
    for (number, (operation, body)) in script().into_iter().enumerate() {
        if operation == "DescribeServices" {
            // moto, which has no roll-outs, is there already.
            ours.wait_stable("api").await;
        }
        let theirs = call(&moto.url, operation, &body).await;
        let own = call(&ours.url(), operation, &body).await;
        let place = format!("call {number} {operation}");
        if theirs.0 != own.0 {
            found.push(format!("{place}: moto {theirs:?}, ours {own:?}"));
        } else if theirs.0 == 200 {
            differences(&place, &theirs.1, &own.1, &mut found);
        } else if theirs.1["__type"] != own.1["__type"] {
            found.push(format!("{place}: moto {}, ours {}", theirs.1, own.1));
        }
    }
    let known = |text: &str| MOTO_DIFFERS.iter().position(|(end, _)| path_of(text).ends_with(end));
    let seen: BTreeSet<usize> = found.iter().filter_map(|text| known(text)).collect();
    found.retain(|text| known(text).is_none());
    assert!(found.is_empty(), "{}", found.join("\n"));
    assert_eq!(seen.len(), MOTO_DIFFERS.len(), "moto no longer differs everywhere: {seen:?}");
}

#[test]
fn a_difference_in_a_shared_member_is_found() {
    let mut found = Vec::new();
    let theirs = json!({ "services": [{ "desiredCount": 3, "only": 1, "id": "a" }] });
    let ours = json!({ "services": [{ "desiredCount": 2, "id": "b" }] });
    differences("x", &theirs, &ours, &mut found);
    assert_eq!(found, ["x.services.desiredCount: moto 3, ours 2"]);
}
