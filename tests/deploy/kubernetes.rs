//! Each rule of the Roles for Kubernetes is tied to the call in the source that needs it, in
//! both directions, and `doctor` tries each.

use std::collections::BTreeSet;
use std::fs;

use serde::Deserialize;
use serde_norway::Value;

const ROLES: &str = "deploy/kubernetes/rbac.yaml";
/// What is called without a rule of ours, and why.
const BESIDE: [(&str, &str); 2] = [
    ("list namespaces", "only for policies with a pattern of namespaces; `clusters` names them"),
    ("create selfsubjectaccessreviews.authorization.k8s.io", "whoever is known may ask it"),
];

/// `VERB RESOURCE.GROUP` of every rule of the Roles.
fn allowed() -> BTreeSet<String> {
    let text = fs::read_to_string(ROLES).unwrap();
    let documents = serde_norway::Deserializer::from_str(&text);
    let documents: Vec<Value> = documents.map(|one| Value::deserialize(one).unwrap()).collect();
    let words = |value: &Value| -> Vec<String> {
        value.as_sequence().unwrap().iter().map(|one| one.as_str().unwrap().to_owned()).collect()
    };
    let roles = documents.iter().filter(|one| one["kind"] == "Role");
    let rules = roles.flat_map(|role| role["rules"].as_sequence().unwrap());
    let mut all = BTreeSet::new();
    for rule in rules {
        for group in words(&rule["apiGroups"]) {
            for resource in words(&rule["resources"]) {
                for verb in words(&rule["verbs"]) {
                    let dot = if group.is_empty() { "" } else { "." };
                    all.insert(format!("{verb} {resource}{dot}{group}"));
                }
            }
        }
    }
    all
}

/// `call("VERB", "RESOURCE.GROUP", ...)` of the adapter.
fn called() -> BTreeSet<String> {
    let pattern = regex::Regex::new(r#"\bcall\(\s*"([a-z]+)",\s*"([a-z0-9.]+)""#).unwrap();
    let mut all = BTreeSet::new();
    for entry in fs::read_dir("src/platform/kubernetes").unwrap() {
        let text = fs::read_to_string(entry.unwrap().path()).unwrap();
        all.extend(
            pattern.captures_iter(&text).map(|found| format!("{} {}", &found[1], &found[2])),
        );
    }
    all
}

#[test]
fn each_rule_for_kubernetes_has_its_call_and_each_call_its_rule() {
    let beside: BTreeSet<String> = BESIDE.iter().map(|(call, _)| (*call).to_owned()).collect();
    let called = called();
    assert!(called.len() > 8, "the calls are found: {called:?}");
    let needing: BTreeSet<String> = called.difference(&beside).cloned().collect();
    assert_eq!(needing, allowed(), "calls of src/platform/kubernetes and rules of {ROLES}");
    assert!(beside.is_subset(&called), "what is beside is called");
}

#[test]
fn doctor_tries_each_rule_for_kubernetes() {
    let text = fs::read_to_string("src/platform/kubernetes/probe.rs").unwrap();
    let pattern = regex::Regex::new(r#"\("([a-z]+)", "([a-z0-9.]+)", (?:true|false)\)"#).unwrap();
    let tried: BTreeSet<String> =
        pattern.captures_iter(&text).map(|found| format!("{} {}", &found[1], &found[2])).collect();
    assert_eq!(tried, allowed());
}
