//! The objects, their versions, and who wrote which field when.

use std::collections::BTreeMap;

use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet};
use k8s_openapi::api::core::v1::Service;
use k8s_openapi::api::networking::v1::Ingress;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::sync::broadcast;

use super::super::now;

/// Kind (as in a path), namespace and name.
pub type Key = (String, String, String);

/// What was written.
#[derive(Debug, Clone)]
pub struct Event {
    pub kind: String,
    pub namespace: String,
    /// `ADDED`, `MODIFIED` or `DELETED`.
    pub what: &'static str,
    pub object: Value,
}

pub struct Store {
    objects: BTreeMap<Key, Value>,
    version: u64,
    events: broadcast::Sender<Event>,
}

impl Default for Store {
    fn default() -> Self {
        Self { objects: BTreeMap::new(), version: 0, events: broadcast::Sender::new(1024) }
    }
}

/// A write that the API refuses: status and words.
pub type Refused = (u16, String);

impl Store {
    pub fn events(&self) -> broadcast::Receiver<Event> {
        self.events.subscribe()
    }

    pub fn version(&self) -> u64 {
        self.version
    }

    pub fn get(&self, kind: &str, namespace: &str, name: &str) -> Option<&Value> {
        self.objects.get(&(kind.to_owned(), namespace.to_owned(), name.to_owned()))
    }

    pub fn list(&self, kind: &str, namespace: &str) -> Vec<Value> {
        let of = self.objects.iter().filter(|((a, b, _), _)| a == kind && b == namespace);
        of.map(|(_, object)| object.clone()).collect()
    }

    pub fn all(&self, kind: &str) -> Vec<Value> {
        let of = self.objects.iter().filter(|((a, _, _), _)| a == kind);
        of.map(|(_, object)| object.clone()).collect()
    }

    pub fn namespaces(&self) -> Vec<String> {
        let mut all: Vec<String> = self.objects.keys().map(|(_, name, _)| name.clone()).collect();
        all.dedup();
        all.sort();
        all.dedup();
        all
    }

    /// Creates an object.
    pub fn create(&mut self, kind: &str, by: &str, mut object: Value) -> Result<(), Refused> {
        let (namespace, name) = place(&object);
        let key = (kind.to_owned(), namespace.clone(), name.clone());
        if self.objects.contains_key(&key) {
            return Err((409, format!("{kind} \"{name}\" already exists")));
        }
        self.version += 1;
        let meta = &mut object["metadata"];
        meta["uid"] = json!(format!("{kind}-{name}-{}", self.version));
        meta["creationTimestamp"] = json!(seconds());
        meta["resourceVersion"] = json!(self.version.to_string());
        meta["generation"] = json!(1);
        written(&Value::Null, &mut object, by);
        check(kind, &object)?;
        self.keep(key, "ADDED", object);
        Ok(())
    }

    /// Writes what an object shall be; nothing is written where it is so. `status`: the
    /// controller's part, which is no new generation.
    ///
    /// # Errors
    /// 409: `object` is not of the version that is here.
    pub fn write(&mut self, kind: &str, by: &str, mut object: Value) -> Result<Value, Refused> {
        let (namespace, name) = place(&object);
        let key = (kind.to_owned(), namespace, name.clone());
        let missing = || (404, format!("{kind} \"{name}\" not found"));
        let before = self.objects.get(&key).ok_or_else(missing)?.clone();
        if object["metadata"]["resourceVersion"] != before["metadata"]["resourceVersion"] {
            let words = format!(
                "Operation cannot be fulfilled on {kind} \"{name}\": the object has been modified; \
                 please apply your changes to the latest version and try again"
            );
            return Err((409, words));
        }
        if object == before {
            return Ok(before);
        }
        check(kind, &object)?;
        if object["spec"] != before["spec"] {
            let generation = before["metadata"]["generation"].as_i64().unwrap_or_default();
            object["metadata"]["generation"] = json!(generation + 1);
        }
        written(&before, &mut object, by);
        self.version += 1;
        object["metadata"]["resourceVersion"] = json!(self.version.to_string());
        self.keep(key, "MODIFIED", object.clone());
        Ok(object)
    }

    pub fn delete(&mut self, kind: &str, namespace: &str, name: &str) {
        let key = (kind.to_owned(), namespace.to_owned(), name.to_owned());
        if let Some(object) = self.objects.remove(&key) {
            self.version += 1;
            self.tell(&key, "DELETED", object);
        }
    }

    fn keep(&mut self, key: Key, what: &'static str, object: Value) {
        self.tell(&key, what, object.clone());
        self.objects.insert(key, object);
    }

    fn tell(&self, (kind, namespace, _): &Key, what: &'static str, object: Value) {
        let (kind, namespace) = (kind.clone(), namespace.clone());
        // Nobody has to listen.
        drop(self.events.send(Event { kind, namespace, what, object }));
    }
}

/// The time as the API writes it: whole seconds.
pub fn seconds() -> String {
    now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

fn place(object: &Value) -> (String, String) {
    let part = |name: &str| object["metadata"][name].as_str().unwrap_or_default().to_owned();
    (part("namespace"), part("name"))
}

/// Holds an object against its type: all of it must be known there.
fn check(kind: &str, object: &Value) -> Result<(), Refused> {
    fn typed<T: DeserializeOwned + Serialize>(object: &Value) -> Result<(), String> {
        let read: T = serde_json::from_value(object.clone()).map_err(|e| e.to_string())?;
        let again = serde_json::to_value(read).map_err(|e| e.to_string())?;
        let lost = |part: &str| object[part]["selector"] != again[part]["selector"];
        if lost("spec") { Err("spec.selector is not of its type".to_owned()) } else { Ok(()) }
    }
    let checked = match kind {
        "deployments" => typed::<Deployment>(object),
        "replicasets" => typed::<ReplicaSet>(object),
        "services" => typed::<Service>(object),
        "ingresses" => typed::<Ingress>(object),
        _ => Ok(()),
    };
    checked.map_err(|why| (422, why))
}

/// Brings `managedFields` up to date: whoever changes a field owns it, and an entry's time is
/// that of its manager's last change.
fn written(before: &Value, object: &mut Value, by: &str) {
    let mut changed: Vec<(&str, String)> = Vec::new();
    for part in ["labels", "annotations"] {
        if before["metadata"][part] != object["metadata"][part] {
            changed.push(("f:metadata", format!("f:{part}")));
        }
    }
    let empty = serde_json::Map::new();
    let spec = object["spec"].as_object().unwrap_or(&empty);
    for (name, value) in spec {
        if before["spec"][name] != *value {
            changed.push(("f:spec", format!("f:{name}")));
        }
    }
    if changed.is_empty() {
        return;
    }
    let mut entries = before["metadata"]["managedFields"].as_array().cloned().unwrap_or_default();
    for entry in &mut entries {
        for (part, field) in &changed {
            if let Some(fields) = entry["fieldsV1"][*part].as_object_mut() {
                fields.remove(field);
            }
        }
    }
    let known = entries.iter().position(|entry| entry["manager"] == by);
    let at = known.unwrap_or_else(|| {
        let fields = json!({ "f:metadata": {}, "f:spec": {} });
        entries.push(json!({
            "manager": by, "operation": "Update", "fieldsType": "FieldsV1", "fieldsV1": fields,
        }));
        entries.len() - 1
    });
    entries[at]["time"] = json!(seconds());
    for (part, field) in changed {
        entries[at]["fieldsV1"][part][field] = json!({});
    }
    object["metadata"]["managedFields"] = Value::Array(entries);
}
