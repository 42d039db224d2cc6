//! GitHub's webhooks, signed as it signs them.

use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha256;

use super::REPOSITORY;

/// What webhooks are signed with, and what they were signed with before.
pub const SECRET: &str = "github-webhook-secret-2";
pub const BEFORE: &str = "github-webhook-secret-1";

/// `X-Hub-Signature-256` of a body.
pub fn signature(secret: &str, body: &[u8]) -> String {
    let mut hmac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("any key");
    hmac.update(body);
    let digest = hmac.finalize().into_bytes();
    let hex = digest.iter().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"));
    format!("sha256={hex}")
}

/// A `deployment_status` of a deployment of `sha` as `version` to production.
pub fn deployment_status(id: u64, sha: &str, version: &str, state: &str) -> Value {
    let at = super::super::now().to_string();
    json!({
        "action": "created",
        "deployment_status": {
            "id": 1, "state": state, "description": "", "environment": "production",
            "log_url": "https://github.example/acme/shopflow/actions/runs/18231",
            "target_url": "", "environment_url": "", "created_at": at,
            "creator": { "login": "github-actions[bot]" },
        },
        "deployment": {
            "id": id, "sha": sha, "ref": version, "task": "deploy", "environment": "production",
            "original_environment": "production", "description": Value::Null,
            "payload": { "deployguard": { "rollback_safe": true } },
            "creator": { "login": "dana" }, "created_at": at, "updated_at": at,
        },
        "repository": { "id": 1, "full_name": REPOSITORY, "name": "shopflow", "private": true },
        "sender": { "login": "github-actions[bot]" },
    })
}
