//! PagerDuty, by its Events API v2: one alert an incident, triggered, acknowledged and
//! resolved under one key. PagerDuty itself tells a repeated event by that key.
//!
//! What only brings news of an incident (nobody acknowledged, rolled back) triggers the same
//! alert again: PagerDuty adds it to the alert's log, and calls nobody who has acknowledged.
//! Where people are to be called once more, that alert is resolved first: the trigger after it
//! opens another under the same key. A crash between the two is made up for by the next try,
//! which sends both; PagerDuty drops a `resolve` of what is not open.

use std::fmt;
use std::time::Duration;

use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use serde_json::{Map, Value, json};

use super::http::Poster;
use super::slack::render::mark;
use super::slack::text::line;
use super::{Call, DeliverError, words};
use crate::crash;
use crate::model::{Severity, Turn};

/// The action that opens an alert.
const TRIGGER: &str = "trigger";
/// What PagerDuty takes of a summary, in characters.
const SUMMARY: usize = 1024;
/// The bound of the fields that PagerDuty gives none, in characters.
const FIELD: usize = 255;
/// How long to wait where PagerDuty limits the rate and does not say for how long.
const LIMITED: Duration = Duration::from_mins(1);

/// One integration of PagerDuty's.
pub struct PagerDuty {
    poster: Poster,
    url: String,
    routing_key: String,
    /// Where the daemon is found, for links.
    home: Option<String>,
}

/// Shows nothing of the key.
impl fmt::Debug for PagerDuty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PagerDuty").field("url", &self.url).finish_non_exhaustive()
    }
}

impl PagerDuty {
    /// For the events address at `url`. Sends nothing yet.
    pub fn connect(url: &str, routing_key: &str) -> Result<Self, reqwest::Error> {
        let (url, routing_key) = (url.to_owned(), routing_key.to_owned());
        Ok(Self { poster: Poster::new()?, url, routing_key, home: None })
    }

    /// The same with another bound for one call.
    #[must_use]
    pub fn with_time_out(self, time_out: Duration) -> Self {
        Self { poster: self.poster.with_time_out(time_out), ..self }
    }

    /// The same with links to the daemon that is found at `home`.
    #[must_use]
    pub fn with_home(self, home: Option<String>) -> Self {
        Self { home, ..self }
    }

    /// Brings one event, once.
    pub async fn call(&self, call: &Call) -> Result<(), DeliverError> {
        let event = event(call, self.home.as_deref());
        if call.signal.anew && event["event_action"] == TRIGGER {
            let key = &event["dedup_key"];
            self.send(json!({ "event_action": "resolve", "dedup_key": key })).await?;
            crash::point("page-anew");
        }
        self.send(event).await
    }

    async fn send(&self, mut event: Value) -> Result<(), DeliverError> {
        event["routing_key"] = Value::from(self.routing_key.as_str());
        let json = HeaderValue::from_static("application/json");
        let headers = HeaderMap::from_iter([(CONTENT_TYPE, json)]);
        let answer = self.poster.post(&self.url, headers, event.to_string().into_bytes()).await?;
        let errors = self.errors(&answer.body);
        answer.judge(errors.as_deref()).map_err(|error| match error {
            DeliverError::Transient { reason, retry_after: None }
                if answer.status.as_u16() == 429 =>
            {
                DeliverError::Transient { reason, retry_after: Some(LIMITED) }
            }
            DeliverError::Transient { .. } | DeliverError::Permanent(_) => error,
        })
    }

    /// Whether something answers at its address. Nobody is woken.
    pub async fn probe(&self) -> Result<String, String> {
        let status = self.poster.probe(&self.url).await?;
        Ok(format!("answers (HTTP {})", status.as_u16()))
    }

    /// What PagerDuty says is wrong with an event.
    fn errors(&self, body: &[u8]) -> Option<String> {
        let answer: Value = serde_json::from_slice(body).ok()?;
        let errors = answer["errors"].as_array().into_iter().flatten().filter_map(Value::as_str);
        let message = answer["message"].as_str().into_iter();
        let said: Vec<&str> = message.chain(errors).collect();
        (!said.is_empty()).then(|| said.join("; ").replace(&self.routing_key, "…"))
    }
}

/// The event of a call, without the routing key. `home`: where the daemon is found.
pub fn event(call: &Call, home: Option<&str>) -> Value {
    let signal = &call.signal;
    let dedup_key = mark(&signal.incident);
    let action = match signal.turn {
        Turn::Opened | Turn::Called | Turn::NeedsHelp | Turn::RolledBack { .. } => TRIGGER,
        Turn::Acknowledged { .. } => "acknowledge",
        Turn::Resolved | Turn::Closed => "resolve",
    };
    // Of what is not resolved the alert's log has to say why it is closed all the same.
    if action != TRIGGER && signal.turn != Turn::Closed {
        return json!({ "event_action": action, "dedup_key": dedup_key });
    }
    let service = &signal.deployment.service;
    let mut event = json!({
        "event_action": action,
        "dedup_key": dedup_key,
        "client": "deployguard",
        "payload": {
            "summary": summary(call),
            "source": line(&service.key.to_string(), FIELD),
            "severity": match signal.severity {
                Severity::Sev1 => "critical",
                Severity::Sev2 => "error",
                Severity::Sev3 => "warning",
            },
            "timestamp": call.at.to_string(),
            "component": line(&service.name, FIELD),
            "group": line(&service.environment, FIELD),
            "class": "deployment",
            "custom_details": details(call),
        },
    });
    let (release, watch) = (words::link(signal), words::of_watch(signal, home));
    if let Some(url) = watch.as_ref().or(release.as_ref()) {
        event["client_url"] = json!(url);
    }
    let links = [(release, "the deployment"), (watch, "the watch in deployguard")];
    let links: Vec<Value> = links
        .into_iter()
        .filter_map(|(url, text)| Some(json!({ "href": url?, "text": text })))
        .collect();
    if !links.is_empty() {
        event["links"] = Value::from(links);
    }
    event
}

/// What is shown in a list, and read out on the telephone: how bad, which service, where,
/// which version, and the worst check with its limit.
fn summary(call: &Call) -> String {
    let signal = &call.signal;
    let about = format!("{} {}: {}", signal.severity, signal.title, words::worst(signal));
    let turn = words::turn(&signal.turn);
    let summary = match &signal.turn {
        Turn::Opened | Turn::Acknowledged { .. } | Turn::Resolved => about,
        Turn::Called | Turn::RolledBack { .. } | Turn::Closed => format!("{turn}: {about}"),
        Turn::NeedsHelp => format!("{turn}: {}; {about}", line(&signal.headline, words::LINE)),
    };
    line(&summary, SUMMARY)
}

fn details(call: &Call) -> Value {
    let signal = &call.signal;
    let facts = &signal.deployment.facts;
    let mut details = Map::new();
    details.insert("why".to_owned(), Value::from(words::turn(&signal.turn)));
    details.insert("what happened".to_owned(), Value::from(line(&signal.headline, words::LINE)));
    for (label, value) in words::fields(signal) {
        details.insert(label, Value::from(value));
    }
    details.insert("measured".to_owned(), Value::from(words::evidence(signal)));
    let acknowledge = format!("here, or deployguard ack {}", words::watch(signal));
    let told = [
        ("version", facts.version.as_ref()),
        ("commit", facts.commit.as_ref()),
        ("author", facts.author.as_ref()),
        ("deployment", Some(&signal.deployment.id)),
        ("policy", Some(&signal.policy)),
        ("acknowledge", Some(&acknowledge)),
    ];
    for (label, value) in told {
        let Some(value) = value else { continue };
        details.insert(label.to_owned(), Value::from(line(value, FIELD)));
    }
    Value::Object(details)
}
