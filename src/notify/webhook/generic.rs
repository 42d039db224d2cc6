//! Our own document, version 1: fields may be added, none goes or changes its meaning.

use serde_json::{Value, json};

use super::Document;
use crate::model::{Revision, Signal, Turn};
use crate::notify::{Call, words};

/// The version of the document.
const VERSION: u32 = 1;

/// What has happened, as the header and the document name it.
pub fn event(turn: &Turn) -> &'static str {
    match turn {
        Turn::Opened => "incident.opened",
        Turn::Called => "incident.escalated",
        Turn::Acknowledged { .. } => "incident.acknowledged",
        Turn::RolledBack { .. } => "incident.rolled_back",
        Turn::NeedsHelp => "incident.needs_help",
        Turn::Resolved => "incident.resolved",
        Turn::Closed => "incident.closed",
    }
}

pub fn document(call: &Call) -> Document {
    let signal = &call.signal;
    let event = event(&signal.turn);
    let (by, to) = match &signal.turn {
        Turn::Acknowledged { by } => (Some(by), None),
        Turn::RolledBack { to, by } => (Some(by), Some(to)),
        Turn::Opened | Turn::Called | Turn::NeedsHelp | Turn::Resolved | Turn::Closed => {
            (None, None)
        }
    };
    let body = json!({
        "version": VERSION,
        "event": event,
        "delivery": call.key,
        "at": call.at,
        // Who acknowledged or rolled back, and what is in place again.
        "by": by,
        "to": to,
        "incident": incident(signal),
        "deployment": deployment(signal),
    });
    Document { event, content_type: "application/json", body }
}

fn incident(signal: &Signal) -> Value {
    let fields = words::fields(signal).into_iter();
    let fields = fields.map(|(label, value)| json!({ "label": label, "value": value }));
    json!({
        "id": signal.incident,
        "severity": signal.severity.to_string(),
        "opened_at": signal.opened_at,
        "title": signal.title,
        "headline": signal.headline,
        "fields": fields.collect::<Vec<_>>(),
        "evidence": words::evidence(signal),
        "policy": signal.policy,
    })
}

fn deployment(signal: &Signal) -> Value {
    let deployment = &signal.deployment;
    let (service, facts) = (&deployment.service, &deployment.facts);
    let task_definition =
        |revision: &Option<Revision>| revision.as_ref().map(|revision| revision.name.clone());
    json!({
        "id": deployment.id,
        "service": service.name,
        "environment": service.environment,
        "ecs": {
            "target": service.key.target,
            "cluster": service.key.cluster,
            "service": service.key.service,
            "deployment": deployment.platform_id,
            "task_definition": task_definition(&deployment.revision),
            "replaced": task_definition(&deployment.source),
        },
        "started_at": deployment.started_at,
        "version": facts.version,
        "commit": facts.commit,
        "author": facts.author,
        "url": facts.url,
    })
}
