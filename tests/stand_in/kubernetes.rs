//! The stand-in for Kubernetes does what the real one does, as far as anybody relies on it.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use crate::world::aws::NoProcesses;
use crate::world::http::client_builder;
use crate::world::kubernetes::{Kubernetes, NAMESPACE, objects};

const MERGE: &str = "application/merge-patch+json";

async fn cluster() -> Kubernetes {
    let step = Duration::from_millis(10);
    let cluster = Kubernetes::start(step, Arc::new(NoProcesses)).await.expect("a cluster");
    let labels = json!({ "app": "api" });
    let mut api = objects::deployment("api", &labels, "api:v1", &[]);
    api["spec"]["revisionHistoryLimit"] = json!(1);
    cluster.create("deployments", api).expect("created");
    cluster.create("services", objects::service("api", &labels)).expect("created");
    cluster.wait_complete("api").await;
    cluster
}

async fn patch(cluster: &Kubernetes, path: &str, kind: &str, body: &Value) -> (u16, Value) {
    let client = client_builder().build().expect("a client");
    let url = format!("{}{path}", cluster.url());
    let request = client.patch(url).header("content-type", kind).body(body.to_string());
    let answer = request.send().await.expect("answered");
    (answer.status().as_u16(), answer.json().await.expect("JSON"))
}

fn service() -> String {
    format!("/api/v1/namespaces/{NAMESPACE}/services/api")
}

async fn deploy(cluster: &Kubernetes, image: &str) {
    let template = objects::template(&json!({ "app": "api" }), image, &[]);
    let change = json!({ "spec": { "template": template } });
    cluster.patch("deployments", "api", &change).expect("patched");
    tokio::time::sleep(Duration::from_millis(50)).await;
    cluster.wait_complete("api").await;
}

fn revision(cluster: &Kubernetes) -> Value {
    let api = cluster.get("deployments", "api").expect("there");
    api["metadata"]["annotations"]["deployment.kubernetes.io/revision"].clone()
}

#[tokio::test]
async fn a_change_of_an_old_version_is_a_conflict_and_changes_nothing() {
    let cluster = cluster().await;
    let version = |object: &Value| object["metadata"]["resourceVersion"].clone();
    let read = cluster.get("services", "api").expect("there");
    let body = |version: Value, side: &str| json!({ "metadata": { "resourceVersion": version }, "spec": { "selector": { "a": side } } });
    let (status, first) = patch(&cluster, &service(), MERGE, &body(version(&read), "1")).await;
    assert_eq!((status, &first["spec"]["selector"]["a"]), (200, &json!("1")));
    let (status, told) = patch(&cluster, &service(), MERGE, &body(version(&read), "2")).await;
    assert_eq!((status, &told["reason"]), (409, &json!("Conflict")));
    assert_eq!(cluster.get("services", "api"), Some(first.clone()));
    // Without a version whoever comes last wins; what changes nothing is no new version.
    let bare = json!({ "spec": { "selector": { "a": "1" } } });
    let (status, same) = patch(&cluster, &service(), MERGE, &bare).await;
    assert_eq!((status, version(&same)), (200, version(&first)));
}

#[tokio::test]
async fn a_json_patch_replaces_and_tells_of_a_path_that_is_not_there() {
    let cluster = cluster().await;
    let kind = "application/json-patch+json";
    let replaces = json!([{ "op": "replace", "path": "/spec/selector", "value": { "a": "b" } }]);
    let (status, object) = patch(&cluster, &service(), kind, &replaces).await;
    assert_eq!((status, &object["spec"]["selector"]), (200, &json!({ "a": "b" })));
    let nowhere = json!([{ "op": "replace", "path": "/spec/none/such", "value": 1 }]);
    assert_eq!(patch(&cluster, &service(), kind, &nowhere).await.0, 422);
    let wrong = json!([{ "op": "replace", "path": "/spec/selector", "value": "text" }]);
    assert_eq!(patch(&cluster, &service(), kind, &wrong).await.0, 422, "not of its type");
}

#[tokio::test]
async fn revisions_count_up_an_undo_too_and_the_history_has_an_end() {
    let cluster = cluster().await;
    assert_eq!(revision(&cluster), "1");
    deploy(&cluster, "api:v2").await;
    assert_eq!(revision(&cluster), "2");
    deploy(&cluster, "api:v1").await;
    assert_eq!(revision(&cluster), "3");
    cluster.patch("deployments", "api", &json!({ "spec": { "replicas": 5 } })).expect("scaled");
    cluster.wait_complete("api").await;
    assert_eq!(revision(&cluster), "3", "a scale is no revision");
    deploy(&cluster, "api:v3").await;
    deploy(&cluster, "api:v2").await;
    assert_eq!(revision(&cluster), "5", "v2's ReplicaSet was forgotten, and is made anew");
}
