//! PagerDuty's Events API v2: it refuses what PagerDuty refuses, and keeps alerts by their key.

use std::io;
use std::sync::{Arc, Mutex};

use axum::body::Bytes;
use axum::extract::{ConnectInfo, State};
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use axum::{Json, Router};
use serde_json::{Value, json};

use super::{HttpFault, meet};
use crate::world::faults::Faults;
use crate::world::lock;
use crate::world::server::{Server, Wire};

/// The integration that there is.
pub const ROUTING_KEY: &str = "0123456789abcdef0123456789abcdef";

/// An alert as it is now.
#[derive(Debug, Clone, PartialEq)]
pub struct Alert {
    pub key: String,
    /// `triggered`, `acknowledged` or `resolved`.
    pub status: &'static str,
    /// The summaries of its triggers, oldest first.
    pub log: Vec<String>,
}

/// A running stand-in; it ends when dropped.
pub struct PagerDuty {
    shared: Arc<Shared>,
    server: Server,
}

#[derive(Default)]
struct Shared {
    events: Mutex<Vec<Value>>,
    alerts: Mutex<Vec<Alert>>,
    refused: Mutex<Vec<String>>,
    faults: Faults<HttpFault>,
}

impl PagerDuty {
    /// Starts it on a free port.
    pub async fn start() -> io::Result<Self> {
        let shared = Arc::<Shared>::default();
        let router = Router::new().route("/v2/enqueue", any(enqueue));
        let server = Server::start(router.with_state(Arc::clone(&shared))).await?;
        Ok(Self { shared, server })
    }

    /// Where events go.
    pub fn url(&self) -> String {
        format!("{}/v2/enqueue", self.server.url())
    }

    /// The next `times` events meet `fault`.
    pub fn fault(&self, fault: &HttpFault, times: usize) {
        self.shared.faults.plan("enqueue", fault, times);
    }

    pub fn clear_faults(&self) {
        self.shared.faults.clear();
    }

    /// The events that were taken, oldest first.
    pub fn events(&self) -> Vec<Value> {
        lock(&self.shared.events).clone()
    }

    /// The actions of the events that were taken, oldest first.
    pub fn actions(&self) -> Vec<String> {
        let events = self.events();
        let actions = events.iter().filter_map(|event| event["event_action"].as_str());
        actions.map(str::to_owned).collect()
    }

    pub fn alerts(&self) -> Vec<Alert> {
        lock(&self.shared.alerts).clone()
    }

    /// How many times people were called about `key`: a trigger of what is open already, and
    /// of what somebody has acknowledged, calls nobody.
    pub fn rings(&self, key: &str) -> usize {
        self.alerts().iter().filter(|alert| alert.key == key).count()
    }

    /// What was wrong with the events that were refused.
    pub fn refused(&self) -> Vec<String> {
        lock(&self.shared.refused).clone()
    }
}

async fn enqueue(
    State(shared): State<Arc<Shared>>,
    ConnectInfo(wire): ConnectInfo<Wire>,
    method: Method,
    body: Bytes,
) -> Response {
    if method != Method::POST {
        return StatusCode::METHOD_NOT_ALLOWED.into_response();
    }
    match shared.faults.take("enqueue") {
        None => shared.take(&body),
        Some(fault) => meet(fault, &wire, || shared.take(&body)).await,
    }
}

impl Shared {
    fn take(&self, body: &[u8]) -> Response {
        let event: Value = serde_json::from_slice(body).unwrap_or_default();
        let errors = mistakes(&event, body.len());
        if !errors.is_empty() {
            lock(&self.refused).extend(errors.clone());
            let message = "Event object is invalid";
            let answer = json!({ "status": "invalid event", "message": message, "errors": errors });
            return (StatusCode::BAD_REQUEST, Json(answer)).into_response();
        }
        let key = event["dedup_key"].as_str().unwrap_or_default().to_owned();
        let mut alerts = lock(&self.alerts);
        let open = alerts.iter_mut().find(|one| one.key == key && one.status != "resolved");
        match (event["event_action"].as_str().unwrap_or_default(), open) {
            ("trigger", open) => {
                let summary = event["payload"]["summary"].as_str().unwrap_or_default().to_owned();
                match open {
                    Some(alert) => alert.log.push(summary),
                    None => alerts.push(Alert {
                        key: key.clone(),
                        status: "triggered",
                        log: vec![summary],
                    }),
                }
            }
            ("acknowledge", Some(alert)) => alert.status = "acknowledged",
            ("resolve", Some(alert)) => alert.status = "resolved",
            // PagerDuty drops what is about no open alert.
            _ => {}
        }
        lock(&self.events).push(event);
        let answer = json!({ "status": "success", "message": "Event processed", "dedup_key": key });
        (StatusCode::ACCEPTED, Json(answer)).into_response()
    }
}

/// Everything that PagerDuty would not take.
fn mistakes(event: &Value, size: usize) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut check = |fits: bool, what: &str| {
        if !fits {
            wrong.push(what.to_owned());
        }
    };
    let within = |value: &Value, most: usize| {
        value.as_str().is_some_and(|text| !text.is_empty() && text.chars().count() <= most)
    };
    let only = |value: &Value, keys: &[&str]| {
        value.as_object().is_some_and(|map| map.keys().all(|key| keys.contains(&key.as_str())))
    };
    check(size <= 512 * 1024, "the event is larger than 512 KB");
    check(
        event["routing_key"].as_str().is_some_and(|key| key.len() == 32),
        "Length of 'routing_key' is incorrect (should be 32 characters)",
    );
    check(event["routing_key"] == ROUTING_KEY, "Invalid routing key");
    let action = event["event_action"].as_str().unwrap_or_default();
    check(["trigger", "acknowledge", "resolve"].contains(&action), "'event_action' is invalid");
    let key = &event["dedup_key"];
    check(within(key, 255), "'dedup_key' is missing, blank or longer than 255 characters");
    let keys =
        ["routing_key", "event_action", "dedup_key", "payload", "links", "client", "client_url"];
    check(only(event, &keys), "unknown keys");
    if action != "trigger" {
        return wrong;
    }
    let payload = &event["payload"];
    check(within(&payload["summary"], 1024), "'payload.summary' is missing, blank or too long");
    check(within(&payload["source"], usize::MAX), "'payload.source' is missing or blank");
    let severity = payload["severity"].as_str().unwrap_or_default();
    let known = ["critical", "error", "warning", "info"].contains(&severity);
    check(known, "'payload.severity' is invalid (must be one of critical, error, warning, info)");
    let time = payload["timestamp"].as_str().map(str::parse::<jiff::Timestamp>);
    check(time.is_none_or(|time| time.is_ok()), "'payload.timestamp' is no ISO 8601 time");
    for key in ["component", "group", "class"] {
        check(payload[key].is_string() || payload[key].is_null(), key);
    }
    check(payload["custom_details"].is_object(), "'payload.custom_details' is no object");
    let links = event["links"].as_array().into_iter().flatten();
    let linked = |link: &Value| within(&link["href"], usize::MAX) && only(link, &["href", "text"]);
    check(links.into_iter().all(linked), "'links' is invalid");
    wrong
}
