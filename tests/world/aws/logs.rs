//! CloudWatch Logs as far as awslogs needs it: every task of a service writes the same lines
//! into a stream of its own, `PREFIX/CONTAINER/TASK`. Beside that, groups with events that have
//! their times, which are searched by plain terms; patterns of JSON and columns are not modelled.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::model::EcsError;

/// Events of one page of a search.
const PAGE: usize = 2_000;

/// What the tasks log, by log group.
#[derive(Debug, Default)]
pub struct Logs {
    pub(super) lines: BTreeMap<String, Vec<String>>,
    /// Events by group: milliseconds since the epoch, and the message.
    pub(super) events: BTreeMap<String, Vec<(i64, String)>>,
}

/// A filter pattern of plain terms: all of those that must be there, one of those that may,
/// none of those that must not. Terms are found within words, as CloudWatch Logs does, and in
/// the case that they are written in.
struct Pattern {
    all: Vec<String>,
    any: Vec<String>,
    none: Vec<String>,
}

impl Pattern {
    fn of(text: &str) -> Option<Self> {
        let mut pattern = Self { all: Vec::new(), any: Vec::new(), none: Vec::new() };
        let mut rest = text.trim();
        while !rest.is_empty() {
            let (list, bare) = match rest.as_bytes()[0] {
                b'{' | b'[' | b'%' => return None,
                b'?' => (&mut pattern.any, &rest[1..]),
                b'-' => (&mut pattern.none, &rest[1..]),
                _ => (&mut pattern.all, rest),
            };
            let (term, after) = match bare.strip_prefix('"') {
                Some(quoted) => quoted.split_once('"')?,
                None => bare.split_once(' ').unwrap_or((bare, "")),
            };
            list.push(term.to_owned());
            rest = after.trim_start();
        }
        Some(pattern)
    }

    fn matches(&self, message: &str) -> bool {
        let has = |term: &String| message.contains(term.as_str());
        // With a term that must be there, those that may are left out of account.
        let any = self.any.is_empty() || !self.all.is_empty() || self.any.iter().any(has);
        self.all.iter().all(has) && any && !self.none.iter().any(has)
    }
}

impl Logs {
    /// Answers one API call; `knows` says whether there is such a task.
    pub(super) fn call(
        &self,
        operation: &str,
        body: &Value,
        knows: impl Fn(&str) -> bool,
    ) -> Result<Value, EcsError> {
        if operation == "FilterLogEvents" {
            return self.filter(body);
        }
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

    fn filter(&self, body: &Value) -> Result<Value, EcsError> {
        let invalid = |message: &str| EcsError {
            code: "InvalidParameterException",
            message: message.to_owned(),
        };
        let group = body["logGroupName"].as_str().unwrap_or_default();
        let events = self.events.get(group).ok_or_else(|| EcsError {
            code: "ResourceNotFoundException",
            message: "The specified log group does not exist.".to_owned(),
        })?;
        let pattern = body["filterPattern"].as_str().unwrap_or_default();
        let pattern = Pattern::of(pattern).ok_or_else(|| invalid("Invalid filter pattern"))?;
        let since = body["startTime"].as_i64().unwrap_or(0);
        let until = body["endTime"].as_i64().unwrap_or(i64::MAX);
        if until < since {
            return Err(invalid("End time should not be less than start time"));
        }
        let mut found: Vec<&(i64, String)> = events
            .iter()
            .filter(|(at, message)| (since..=until).contains(at) && pattern.matches(message))
            .collect();
        found.sort_by_key(|(at, _)| *at);
        let from = match body["nextToken"].as_str() {
            None => 0,
            Some(token) => token
                .strip_prefix("after/")
                .and_then(|from| from.parse::<usize>().ok())
                .ok_or_else(|| invalid("The specified nextToken is invalid."))?,
        };
        let limit = body["limit"].as_u64().and_then(|most| usize::try_from(most).ok());
        // A page of the real one is as long as a megabyte, or shorter: often much.
        let limit = limit.unwrap_or(10_000).min(PAGE);
        let told = found.iter().skip(from).take(limit).enumerate().map(|(place, (at, message))| {
            json!({
                "logStreamName": "ecs/app/0123", "timestamp": at, "message": message,
                "ingestionTime": at, "eventId": format!("{}", from + place),
            })
        });
        let told: Vec<Value> = told.collect();
        let mut answer = json!({ "events": told, "searchedLogStreams": [] });
        // As there: a page that is empty may have others behind it.
        if from + limit < found.len() {
            answer["nextToken"] = json!(format!("after/{}", from + limit));
        }
        Ok(answer)
    }
}
