//! The whole story on real parts: a real Prometheus, a real shop under load, the real
//! protocols of ECS and Slack, and the real binary.

mod crash;
mod whole;

#[path = "../world/mod.rs"]
mod world;

use serde_json::{Value, json};

/// The binary under test.
const BINARY: &str = env!("CARGO_BIN_EXE_deployguard");

/// What a pipeline announces for a version.
fn announcement(version: &str, task_definition: &str) -> Value {
    json!({
        "id": format!("gha-{version}"),
        "service": "shopflow-api",
        "environment": "production",
        "platform": { "ecs": {
            "cluster": "shopflow-production",
            "task_definition": task_definition,
        }},
        "version": version,
        "commit": "4f1c2aa",
        "author": "dana",
        "rollback_safe": true,
    })
}
