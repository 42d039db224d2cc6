//! What whoever makes a deployment at GitHub can say to deployguard: the key `deployguard` of
//! its payload.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use crate::model::{Database, RollbackSafe, rollback_safe};

/// `payload: { deployguard: { rollback_safe: false, labels: { ... } } }`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Extra {
    #[serde(deserialize_with = "rollback_safe")]
    pub rollback_safe: RollbackSafe,
    pub labels: BTreeMap<String, String>,
    /// Instead of the deployment's ref.
    pub version: Option<String>,
    /// What is put in place: `shopflow-api:42`, where it is one service alone.
    pub task_definition: Option<String>,
    /// Of the services that the settings name for it, those that it is about; empty: all.
    pub services: Vec<String>,
    pub database: Option<Database>,
}

/// What `payload` says to deployguard. GitHub gives back what it was given: an object, or
/// the text of one.
///
/// # Errors
/// The field that is wrong, and why: what was meant for deployguard is never overlooked.
pub(super) fn extra(payload: &Value) -> Result<Extra, (String, String)> {
    let read;
    let payload = match payload {
        Value::String(text) => {
            read = serde_json::from_str::<Value>(text).unwrap_or_default();
            &read
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
            payload
        }
    };
    let Some(said) = payload.get("deployguard") else { return Ok(Extra::default()) };
    serde_path_to_error::deserialize(said).map_err(|error| {
        let path = error.path().to_string();
        let path = if path == "." { String::new() } else { format!(".{path}") };
        let field = format!("deployment.payload.deployguard{path}");
        (field, error.into_inner().to_string())
    })
}
