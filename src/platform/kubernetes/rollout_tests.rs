use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet};
use serde_json::{Value, json};

use super::*;

/// `api`, whose template was last written at 12:00:10, and that uses its first `ReplicaSet`
/// again; what the controller says of its progress.
fn undone(reason: &str, written: &str) -> Namespace {
    let owner = json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "name": "api", "uid": "d", "controller": true,
    });
    let condition = json!({
        "type": "Progressing", "status": "False", "reason": reason, "lastUpdateTime": written,
    });
    let deployment: Value = json!({
        "metadata": {
            "name": "api", "uid": "d", "generation": 3, "annotations": { REVISION: "3" },
            "managedFields": [{
                "manager": "deployguard", "operation": "Update", "time": "2025-11-22T12:00:10Z",
                "fieldsType": "FieldsV1", "fieldsV1": { "f:spec": { "f:template": {} } },
            }],
        },
        "spec": { "replicas": 3, "selector": {}, "template": {} },
        "status": {
            "observedGeneration": 3, "replicas": 4, "updatedReplicas": 3, "availableReplicas": 3,
            "conditions": [condition],
        },
    });
    let set: Value = json!({
        "metadata": {
            "name": "api-1", "uid": "s", "creationTimestamp": "2025-11-22T11:00:00Z",
            "annotations": { REVISION: "3", HISTORY: "1" }, "ownerReferences": [owner],
        },
        "spec": { "selector": {} },
    });
    let deployment: Deployment = serde_json::from_value(deployment).unwrap();
    let set: ReplicaSet = serde_json::from_value(set).unwrap();
    Namespace { deployments: vec![deployment], sets: vec![set], ..Namespace::default() }
}

#[test]
fn how_the_roll_out_before_ended_is_no_failure_of_the_undo() {
    let rows = [
        ("ProgressDeadlineExceeded", "2025-11-22T12:00:05Z", RollOut::InProgress),
        ("ProgressDeadlineExceeded", "2025-11-22T12:00:10Z", RollOut::InProgress),
        ("ProgressDeadlineExceeded", "2025-11-22T12:10:10Z", RollOut::Failed),
        ("ReplicaSetUpdated", "2025-11-22T12:00:11Z", RollOut::InProgress),
        ("NewReplicaSetAvailable", "2025-11-22T12:00:12Z", RollOut::Completed),
    ];
    for (reason, written, expected) in rows {
        let read = undone(reason, written);
        let rolled = Rolled::of(&read, "api").unwrap().unwrap();
        assert_eq!(rolled.roll_out().0, expected, "{reason} of {written}");
    }
}
