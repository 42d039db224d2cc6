//! CloudWatch Logs as far as awslogs needs it: every task of a service writes the same lines
//! into a stream of its own, `PREFIX/CONTAINER/TASK`.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::model::EcsError;

/// What the tasks log, by log group.
#[derive(Debug, Default)]
pub struct Logs {
    pub(super) lines: BTreeMap<String, Vec<String>>,
}

impl Logs {
    /// Answers one API call; `knows` says whether there is such a task.
    pub(super) fn call(
        &self,
        operation: &str,
        body: &Value,
        knows: impl Fn(&str) -> bool,
    ) -> Result<Value, EcsError> {
        if operation != "GetLogEvents" {
            return Err(EcsError::not_modelled(format!("the operation {operation}")));
        }
        let text = |member: &str| body[member].as_str().unwrap_or_default();
        let not_found = |what: &str| EcsError {
            code: "ResourceNotFoundException",
            message: format!("The specified log {what} does not exist."),
        };
        let group = self.lines.get(text("logGroupName")).ok_or_else(|| not_found("group"))?;
        let parts: Vec<&str> = text("logStreamName").split('/').collect();
        if parts.len() != 3 || !knows(parts[2]) {
            return Err(not_found("stream"));
        }
        let limit = body["limit"].as_u64().and_then(|most| usize::try_from(most).ok());
        let limit = limit.unwrap_or(10_000);
        let tail = &group[group.len().saturating_sub(limit)..];
        let events: Vec<Value> = tail
            .iter()
            .map(|line| {
                json!({ "timestamp": 1_700_000_000_000_u64, "message": line, "ingestionTime": 1_700_000_000_000_u64 })
            })
            .collect();
        Ok(json!({ "events": events, "nextForwardToken": "f/1", "nextBackwardToken": "b/1" }))
    }
}
