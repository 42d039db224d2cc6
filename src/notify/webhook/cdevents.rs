//! The same as CDEvents 0.5.1, in a structured CloudEvent.
//!
//! | turn | event |
//! | --- | --- |
//! | opened, or worse; escalated, for whoever hears of it first then | `incident.detected`, of one subject |
//! | rolled back | `service.rolledback` |
//! | resolved | `incident.resolved` |
//! | acknowledged, a person is needed | none: CDEvents has no word for it |
//! | closed, which is not resolved | none: there is but `resolved`, and that it is not |
//!
//! `incident.reported` is for whoever keeps tickets: it must name one, and there is none.

use serde_json::{Value, json};

use super::Document;
use super::generic;
use crate::model::{Revision, Turn, repository};
use crate::notify::slack::text::line;
use crate::notify::{Call, words};

const SPEC: &str = "0.5.1";
const DETECTED: &str = "dev.cdevents.incident.detected.0.3.0";
const RESOLVED: &str = "dev.cdevents.incident.resolved.0.3.0";
const ROLLED_BACK: &str = "dev.cdevents.service.rolledback.0.3.0";

/// `None`: CDEvents knows no such event.
pub fn document(call: &Call) -> Option<Document> {
    let signal = &call.signal;
    let key = &signal.deployment.service.key;
    let source = format!("/deployguard/{}", encoded(&key.target, ""));
    let (kind, subject, content) = match &signal.turn {
        Turn::Opened | Turn::Called => (DETECTED, signal.incident.clone(), incident(call)),
        Turn::Resolved => (RESOLVED, signal.incident.clone(), incident(call)),
        Turn::RolledBack { to, .. } => (ROLLED_BACK, key.to_string(), rolled_back(call, to)),
        Turn::Acknowledged { .. } | Turn::NeedsHelp | Turn::Closed => return None,
    };
    let at = call.at.to_string();
    let event = json!({
        "context": {
            "specversion": SPEC,
            "id": call.key,
            "source": source,
            "type": kind,
            "timestamp": at,
            "chainId": signal.incident,
        },
        "subject": { "id": subject, "source": source, "content": content },
        // What CDEvents has no place for.
        "customData": generic::document(call).body,
        "customDataContentType": "application/json",
    });
    let body = json!({
        "specversion": "1.0",
        "id": call.key,
        "source": source,
        "type": kind,
        "subject": subject,
        "time": at,
        "datacontenttype": "application/json",
        "data": event,
    });
    let event = generic::event(&signal.turn);
    Some(Document { event, content_type: "application/cloudevents+json", body })
}

fn incident(call: &Call) -> Value {
    let signal = &call.signal;
    let deployment = &signal.deployment;
    let key = &deployment.service.key;
    let place = format!("/{}/{}", encoded(&key.target, ""), encoded(&key.cluster, ""));
    let words = format!("[{}] {}", signal.severity, signal.headline);
    let mut content = json!({
        "description": line(&words, words::LINE),
        "environment": { "id": environment(call) },
        "service": { "id": key.service, "source": place },
    });
    if let Some(artifact) = deployment.revision.as_ref().and_then(artifact) {
        content["artifactId"] = Value::from(artifact);
    }
    content
}

fn rolled_back(call: &Call, to: &str) -> Value {
    let source = call.signal.deployment.source.as_ref().filter(|source| source.short() == to);
    let in_place = source.and_then(artifact).unwrap_or_else(|| {
        let (family, revision) = to.split_once(':').unwrap_or((to, ""));
        let version = if revision.is_empty() { String::new() } else { format!("@{revision}") };
        format!("pkg:generic/{}{version}", encoded(family, ""))
    });
    json!({ "environment": { "id": environment(call) }, "artifactId": in_place })
}

/// It must not be empty.
fn environment(call: &Call) -> &str {
    let environment = call.signal.deployment.service.environment.as_str();
    if environment.is_empty() { "unknown" } else { environment }
}

/// The first image of a revision as a package URL, where its digest is known.
fn artifact(revision: &Revision) -> Option<String> {
    let (image, digest) = revision.digests.first()?.split_once('@')?;
    let image = repository(image);
    let name = image.rsplit('/').next().unwrap_or(image).to_ascii_lowercase();
    let (name, digest) = (encoded(&name, ""), encoded(digest, ""));
    Some(format!("pkg:oci/{name}@{digest}?repository_url={}", encoded(image, "/:")))
}

/// Percent-encoded, but for what stands in an address as it is, and `also`.
fn encoded(text: &str, also: &str) -> String {
    text.bytes().fold(String::new(), |mut encoded, byte| {
        let char = char::from(byte);
        let plain = char.is_ascii_alphanumeric() || "-._~".contains(char) || also.contains(char);
        if plain {
            encoded.push(char);
        } else {
            use std::fmt::Write as _;
            let _ = write!(encoded, "%{byte:02X}");
        }
        encoded
    })
}
