//! The objects of document 002, and the canaries that it leaves to the reader.

use serde_json::{Value, json};

use super::NAMESPACE;

/// A Deployment `taskflow-api-VERSION` of the image, with these variables.
pub fn deployment(name: &str, labels: &Value, image: &str, env: &[(&str, &str)]) -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": { "name": name, "namespace": NAMESPACE },
        "spec": {
            "replicas": 3,
            "selector": { "matchLabels": labels },
            "template": template(labels, image, env),
        },
    })
}

pub fn template(labels: &Value, image: &str, env: &[(&str, &str)]) -> Value {
    let env: Vec<Value> =
        env.iter().map(|(name, value)| json!({ "name": name, "value": value })).collect();
    json!({
        "metadata": { "labels": labels },
        "spec": { "containers": [{ "name": "api", "image": image, "env": env }] },
    })
}

/// One side of blue and green.
pub fn side(version: &str) -> Value {
    json!({ "app": "taskflow", "version": version })
}

pub fn service(name: &str, selector: &Value) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": { "name": name, "namespace": NAMESPACE },
        "spec": { "selector": selector, "ports": [{ "port": 80, "targetPort": 3000 }] },
    })
}

/// An Ingress of `taskflow.example` to a Service; `weight`: it is a canary's.
pub fn ingress(name: &str, service: &str, weight: Option<u8>) -> Value {
    let mut object = json!({
        "apiVersion": "networking.k8s.io/v1", "kind": "Ingress",
        "metadata": { "name": name, "namespace": NAMESPACE, "annotations": {} },
        "spec": { "rules": [{ "host": "taskflow.example", "http": { "paths": [{
            "path": "/", "pathType": "Prefix",
            "backend": { "service": { "name": service, "port": { "number": 80 } } },
        }] } }] },
    });
    if let Some(weight) = weight {
        object["metadata"]["annotations"] = json!({
            "nginx.ingress.kubernetes.io/canary": "true",
            "nginx.ingress.kubernetes.io/canary-weight": weight.to_string(),
        });
    }
    object
}

/// A route of the Gateway API with two backends.
pub fn route(name: &str, stable: (&str, u8), canary: (&str, u8)) -> Value {
    let backend =
        |(name, weight): (&str, u8)| json!({ "name": name, "port": 80, "weight": weight });
    json!({
        "apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute",
        "metadata": { "name": name, "namespace": NAMESPACE },
        "spec": { "rules": [{ "backendRefs": [backend(stable), backend(canary)] }] },
    })
}
