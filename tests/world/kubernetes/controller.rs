//! The Deployment controller, one step at a time: `ReplicaSets` of the templates, pods that
//! come up and go one after another, revision numbers, the history that is kept.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::store::{Store, seconds};

const REVISION: &str = "deployment.kubernetes.io/revision";
const HISTORY: &str = "deployment.kubernetes.io/revision-history";
const CAUSE: &str = "kubernetes.io/change-cause";
const BY: &str = "kube-controller-manager";

/// One step of every Deployment.
pub fn step(store: &mut Store, stuck: &BTreeSet<String>) {
    for deployment in store.all("deployments") {
        let namespace = text(&deployment["metadata"]["namespace"]);
        let Some(current) = observed(store, &deployment) else { continue };
        if deployment["spec"]["paused"] != true {
            roll(store, &deployment, &current, stuck);
        }
        report(store, &namespace, &text(&deployment["metadata"]["name"]), &current);
        clean(store, &namespace, &deployment);
    }
}

/// Takes the Deployment's latest change up, and answers the name of its `ReplicaSet`.
fn observed(store: &mut Store, deployment: &Value) -> Option<String> {
    let namespace = text(&deployment["metadata"]["namespace"]);
    let sets = owned(store, deployment);
    let template = &deployment["spec"]["template"];
    let found = sets.iter().find(|set| without_hash(&set["spec"]["template"]) == *template);
    let paused = deployment["spec"]["paused"] == true;
    if found.is_none() && paused {
        return None;
    }
    let highest = sets.iter().map(number).max().unwrap_or_default();
    let (name, revision) = match found {
        Some(set) if number(set) == highest => (text(&set["metadata"]["name"]), highest),
        Some(set) if paused => (text(&set["metadata"]["name"]), number(set)),
        Some(set) => {
            let mut again = set.clone();
            let notes = &mut again["metadata"]["annotations"];
            let former = [notes[HISTORY].as_str(), notes[REVISION].as_str()];
            let former: Vec<&str> = former.into_iter().flatten().collect();
            notes[HISTORY] = json!(former.join(","));
            notes[REVISION] = json!((highest + 1).to_string());
            if let Some(cause) = deployment["metadata"]["annotations"][CAUSE].as_str() {
                notes[CAUSE] = json!(cause);
            }
            store.write("replicasets", BY, again).ok()?;
            (text(&set["metadata"]["name"]), highest + 1)
        }
        None => (make(store, deployment, highest + 1)?, highest + 1),
    };
    let mut seen =
        store.get("deployments", &namespace, &text(&deployment["metadata"]["name"]))?.clone();
    seen["metadata"]["annotations"][REVISION] = json!(revision.to_string());
    store.write("deployments", BY, seen).ok()?;
    Some(name)
}

fn make(store: &mut Store, deployment: &Value, revision: u64) -> Option<String> {
    let meta = &deployment["metadata"];
    let digest = Sha256::digest(deployment["spec"]["template"].to_string());
    let hash: String = digest.iter().take(5).fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    });
    let name = format!("{}-{hash}", text(&meta["name"]));
    let mut template = deployment["spec"]["template"].clone();
    template["metadata"]["labels"]["pod-template-hash"] = json!(hash);
    let mut selector = deployment["spec"]["selector"].clone();
    selector["matchLabels"]["pod-template-hash"] = json!(hash);
    let mut notes = json!({ REVISION: revision.to_string() });
    if let Some(cause) = meta["annotations"][CAUSE].as_str() {
        notes[CAUSE] = json!(cause);
    }
    let set = json!({
        "apiVersion": "apps/v1", "kind": "ReplicaSet",
        "metadata": {
            "name": name, "namespace": meta["namespace"], "annotations": notes,
            "ownerReferences": [{
                "apiVersion": "apps/v1", "kind": "Deployment", "name": meta["name"],
                "uid": meta["uid"], "controller": true, "blockOwnerDeletion": true,
            }],
        },
        "spec": { "replicas": 0, "selector": selector, "template": template },
        "status": { "replicas": 0, "readyReplicas": 0, "availableReplicas": 0 },
    });
    store.create("replicasets", BY, set).ok()?;
    Some(name)
}

/// One pod more of the new one, one less of an old one while enough are ready.
fn roll(store: &mut Store, deployment: &Value, current: &str, stuck: &BTreeSet<String>) {
    let wanted = deployment["spec"]["replicas"].as_u64().unwrap_or(1);
    let sets = owned(store, deployment);
    let ready: u64 = sets.iter().map(|set| count(&set["status"]["readyReplicas"])).sum();
    for set in sets {
        let is_new = set["metadata"]["name"] == current;
        let has = count(&set["spec"]["replicas"]);
        let replicas = match (is_new, has.cmp(&wanted)) {
            (true, std::cmp::Ordering::Less) => has + 1,
            (true, _) => wanted,
            (false, _) if ready > wanted || wanted == 0 => has.saturating_sub(1),
            (false, _) => has,
        };
        let starts = !(is_new && stuck.contains(&image(&set)));
        let up = if starts { replicas } else { 0 };
        let mut next = set;
        next["spec"]["replicas"] = json!(replicas);
        next["status"] =
            json!({ "replicas": replicas, "readyReplicas": up, "availableReplicas": up });
        drop(store.write("replicasets", BY, next));
    }
}

/// Writes the Deployment's status.
fn report(store: &mut Store, namespace: &str, name: &str, current: &str) {
    let Some(mut deployment) = store.get("deployments", namespace, name).cloned() else { return };
    let sets = owned(store, &deployment);
    let sum = |part: &str| sets.iter().map(|set| count(&set["status"][part])).sum::<u64>();
    let new = sets.iter().find(|set| set["metadata"]["name"] == current);
    let of_new = |part: &str| new.map_or(0, |set| count(&set["status"][part]));
    let wanted = deployment["spec"]["replicas"].as_u64().unwrap_or(1);
    let (all, ready) = (sum("replicas"), sum("readyReplicas"));
    let (updated, available) = (of_new("replicas"), of_new("readyReplicas"));
    let revision = deployment["metadata"]["annotations"][REVISION].clone();
    let before = deployment["status"]["conditions"][0].clone();
    // A Deployment that was complete stays so while it is only scaled.
    let was = before["message"] == revision && before["reason"] == "NewReplicaSetAvailable";
    let is_complete = was || (updated == wanted && all == wanted && available == wanted);
    let same = before["message"] == revision;
    let deadline = deployment["spec"]["progressDeadlineSeconds"].as_i64().unwrap_or(600);
    let waited = text(&before["lastUpdateTime"]).parse::<jiff::Timestamp>();
    let waited = waited.map_or(0, |at| super::super::now().duration_since(at).as_secs());
    let timed_out = match before["reason"].as_str() {
        Some("ProgressDeadlineExceeded") => same,
        Some("ReplicaSetUpdated") => same && waited > deadline,
        Some(_) | None => false,
    };
    let reason = match (is_complete, deployment["spec"]["paused"] == true) {
        (true, _) => "NewReplicaSetAvailable",
        (false, true) => "DeploymentPaused",
        (false, false) if timed_out => "ProgressDeadlineExceeded",
        (false, false) => "ReplicaSetUpdated",
    };
    // An entry's time is that of its last change.
    let stays = same && before["reason"] == reason;
    let since = if stays { text(&before["lastUpdateTime"]) } else { seconds() };
    let state = if reason == "ProgressDeadlineExceeded" { "False" } else { "True" };
    deployment["status"] = json!({
        "observedGeneration": deployment["metadata"]["generation"],
        "replicas": all, "readyReplicas": ready, "availableReplicas": ready,
        "updatedReplicas": updated,
        "conditions": [{
            "type": "Progressing", "status": state, "reason": reason, "message": revision,
            "lastUpdateTime": since, "lastTransitionTime": since,
        }],
    });
    drop(store.write("deployments", BY, deployment));
}

/// Deletes what the history does not keep, the oldest revision first.
fn clean(store: &mut Store, namespace: &str, deployment: &Value) {
    let keeps = deployment["spec"]["revisionHistoryLimit"].as_u64().unwrap_or(10);
    let sets = owned(store, deployment);
    let newest = sets.iter().map(number).max().unwrap_or_default();
    let old: BTreeMap<u64, String> = sets
        .iter()
        .filter(|set| number(set) < newest && count(&set["status"]["replicas"]) == 0)
        .map(|set| (number(set), text(&set["metadata"]["name"])))
        .collect();
    let many = old.len().saturating_sub(usize::try_from(keeps).unwrap_or(usize::MAX));
    for name in old.values().take(many) {
        store.delete("replicasets", namespace, name);
    }
}

/// The `ReplicaSets` of a Deployment.
pub fn owned(store: &Store, deployment: &Value) -> Vec<Value> {
    let meta = &deployment["metadata"];
    let mut sets = store.list("replicasets", &text(&meta["namespace"]));
    sets.retain(|set| set["metadata"]["ownerReferences"][0]["uid"] == meta["uid"]);
    sets
}

pub fn image(set: &Value) -> String {
    text(&set["spec"]["template"]["spec"]["containers"][0]["image"])
}

pub fn count(value: &Value) -> u64 {
    value.as_u64().unwrap_or_default()
}

pub fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn number(set: &Value) -> u64 {
    let number = set["metadata"]["annotations"][REVISION].as_str();
    number.and_then(|number| number.parse().ok()).unwrap_or_default()
}

fn without_hash(template: &Value) -> Value {
    let mut bare = template.clone();
    if let Some(labels) = bare["metadata"]["labels"].as_object_mut() {
        labels.remove("pod-template-hash");
    }
    bare
}
