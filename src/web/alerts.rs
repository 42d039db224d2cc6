//! `POST /hooks/alertmanager`: what Alertmanager's webhook (version 4) tells, as evidence.

use std::collections::BTreeMap;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};

use super::Face;
use super::auth::Caller;
use super::body::read_json_up_to;
use super::problem::Problem;
use crate::engine::clock;
use crate::model::{Alert, ServiceKey};
use crate::policy::Policy;
use crate::settings::Role;
use crate::watch::Seen;

/// The largest body, in bytes: a group of alerts with long annotations.
const LIMIT: usize = 512 * 1024;
/// Alerts of one post that are taken, and services that one of them may be about.
const MOST: usize = 200;
const MOST_SERVICES: usize = 10;
/// The longest text that is kept of an alert, in characters.
const TEXT: usize = 300;

/// As far as it matters: Alertmanager may say more in later versions.
#[derive(Debug, Deserialize)]
struct Webhook {
    version: String,
    alerts: Vec<Told>,
    /// How many Alertmanager left out, by its own `max_alerts`.
    #[serde(default, rename = "truncatedAlerts")]
    truncated: u64,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Told {
    status: Status,
    labels: BTreeMap<String, String>,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
    starts_at: Timestamp,
    ends_at: Timestamp,
    fingerprint: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Status {
    Firing,
    Resolved,
}

/// Answers once what concerns guarded services is kept.
pub async fn post(
    State(face): State<Face>,
    headers: HeaderMap,
    body: Body,
) -> Result<(StatusCode, Json<Value>), Problem> {
    let caller = face.caller(&headers, Role::Deploy)?;
    let hook: Webhook = read_json_up_to(LIMIT, body).await?;
    if hook.version != "4" {
        let detail = format!("`{}`: this deployguard reads version 4", hook.version);
        return Err(Problem::field("version", detail));
    }
    if hook.alerts.len() > MOST {
        let detail = format!("at most {MOST} of them: set `max_alerts: {MOST}` in Alertmanager");
        return Err(Problem::field("alerts", detail));
    }
    let known = face.guarded_services(&caller).await?;
    let now = clock::now();
    let (mut alerts, mut unmatched) = (Vec::new(), Vec::new());
    for told in &hook.alerts {
        let about = known.iter().filter(|(key, policy)| told.is_about(key, policy));
        let before = alerts.len();
        alerts.extend(about.take(MOST_SERVICES).map(|(key, _)| told.alert(key.clone(), now)));
        if alerts.len() == before {
            unmatched.push(told.name());
        }
    }
    let matched = hook.alerts.len() - unmatched.len();
    if !alerts.is_empty() {
        face.engine.hear_alerts(alerts).await?;
    }
    let answer = json!({ "matched": matched, "unmatched": unmatched, "truncated": hook.truncated });
    Ok((StatusCode::ACCEPTED, Json(answer)))
}

impl Told {
    /// Whether its labels name the service: by the policy's label, and by cluster and
    /// environment where it has labels of those names.
    fn is_about(&self, key: &ServiceKey, policy: &Policy) -> bool {
        let label = |name: &str| self.labels.get(name).map(String::as_str);
        let named = policy.labels.service.as_deref().unwrap_or("service");
        let says = |name: &str, value: &str| label(name).is_none_or(|said| said == value);
        label(named) == Some(&key.service)
            && says("cluster", &key.cluster)
            && says("environment", &policy.environment)
    }

    fn alert(&self, service: ServiceKey, now: Timestamp) -> Alert {
        let text = |text: &String| -> String {
            let one_line: Vec<&str> = text.split_whitespace().collect();
            one_line.join(" ").chars().filter(|char| !char.is_control()).take(TEXT).collect()
        };
        let summary = self.annotations.get("summary").or(self.annotations.get("description"));
        Alert {
            fingerprint: text(&self.fingerprint),
            service,
            name: self.name(),
            severity: self.labels.get("severity").map(text),
            summary: summary.map(text),
            since: self.starts_at,
            // Of one that fires it is when it would be over if nobody spoke of it again.
            ended: (self.status == Status::Resolved).then_some(self.ends_at),
            heard: now,
        }
    }

    fn name(&self) -> String {
        let name = self.labels.get("alertname").map_or("without a name", String::as_str);
        name.chars().filter(|char| !char.is_control()).take(TEXT).collect()
    }
}

impl Face {
    /// The services that are seen and guarded, and that the caller may speak of.
    async fn guarded_services(
        &self,
        caller: &Caller,
    ) -> Result<Vec<(ServiceKey, std::sync::Arc<Policy>)>, Problem> {
        let seen = self.store.seen::<Seen>().await?;
        let loaded = self.policies.borrow().clone();
        let guarded = seen.into_iter().filter_map(|seen| {
            let policy = loaded.set.matching(&seen.service).first()?.policy.clone();
            let allowed = caller.may_speak_of(&seen.service.service, &policy.environment).is_ok();
            allowed.then_some((seen.service, policy))
        });
        Ok(guarded.collect())
    }
}
