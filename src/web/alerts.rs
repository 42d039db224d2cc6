//! `POST /hooks/alertmanager`: what Alertmanager's webhook (version 4) tells, as evidence.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Face;
use super::auth::Caller;
use super::body::read_json_up_to;
use super::openapi::ToDo;
use super::place;
use super::problem::Problem;
use crate::engine::clock;
use crate::model::{Alert, ServiceKey};
use crate::policy::{Policy, PolicySet};
use crate::settings::Role;
use crate::watch::Watch;

/// The largest body, in bytes: a group of alerts with long annotations.
const LIMIT: usize = 512 * 1024;
/// Alerts of one post that are taken, and services that one of them may be about.
const MOST: usize = 200;
// As `max_items` says.
const _: () = assert!(MOST == 200);
const MOST_SERVICES: usize = 10;
/// The longest text that is kept of an alert, in characters.
const TEXT: usize = 300;

/// What Alertmanager posts, as far as it matters.
///
/// It may say more in later versions.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = AlertmanagerWebhook, example = json!({
    "version": "4",
    "alerts": [{
        "status": "firing",
        "labels": { "alertname": "HighLatency", "severity": "warning", "service": "shopflow-api" },
        "annotations": { "summary": "p95 above 500ms" },
        "startsAt": "2026-11-20T10:35:00Z",
        "endsAt": "0001-01-01T00:00:00Z",
        "fingerprint": "9a3c1d2e4f5b6a78",
    }],
}))]
struct Webhook {
    #[schema(pattern = "^4$", example = "4")]
    version: String,
    #[schema(max_items = 200)]
    alerts: Vec<Told>,
    /// How many Alertmanager left out, by its own `max_alerts`.
    #[serde(default, rename = "truncatedAlerts")]
    #[schema(format = Int64, maximum = 4_294_967_295.0)]
    truncated: u32,
}

/// One alert.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = ToldAlert)]
struct Told {
    #[schema(inline)]
    status: Status,
    labels: BTreeMap<String, String>,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
    starts_at: Timestamp,
    ends_at: Timestamp,
    fingerprint: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum Status {
    Firing,
    Resolved,
}

/// What was taken.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AlertsTaken)]
pub struct Heard {
    /// How many alerts are about services that are guarded.
    matched: usize,
    /// The names of the others.
    unmatched: Vec<String>,
    /// How many Alertmanager left out.
    truncated: u32,
}

/// Tells what fires at Alertmanager, as evidence.
///
/// Its webhook of version 4. It is told in the threads of the watches that it is about, and
/// never counted.
///
/// Answers once what concerns guarded services is kept. While nobody knows what is guarded,
/// what concerns no open watch is asked for again.
#[utoipa::path(
    post,
    path = "/hooks/alertmanager",
    operation_id = "hear_alerts",
    tag = "announcing",
    request_body = Webhook,
    responses(
        (status = 202, description = "It is kept.", body = Heard),
        ToDo,
    ),
    security(("token" = ["deploy"])),
)]
pub async fn post(
    State(face): State<Face>,
    headers: HeaderMap,
    body: Body,
) -> Result<(StatusCode, Json<Heard>), Problem> {
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
        let mut about: Vec<ServiceKey> =
            about.take(MOST_SERVICES).map(|(key, _)| key.clone()).collect();
        if about.is_empty() {
            about.extend(face.not_seen_yet(told, &caller));
        }
        if about.is_empty() {
            unmatched.push(told.name());
        }
        alerts.extend(about.into_iter().map(|key| told.alert(key, now)));
    }
    let matched = hook.alerts.len() - unmatched.len();
    if !alerts.is_empty() {
        face.engine.hear_alerts(alerts).await?;
    }
    if !unmatched.is_empty() {
        face.knows_what_is_guarded()?;
    }
    let heard = Heard { matched, unmatched, truncated: hook.truncated };
    Ok((StatusCode::ACCEPTED, Json(heard)))
}

/// Whether it may be a service's: bounded, and on one line.
fn is_name(text: &str) -> bool {
    !text.is_empty() && text.len() <= TEXT && !text.chars().any(char::is_control)
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

    /// The one service that it is about by what the policies say of places; `None`: none, or
    /// it may be several.
    fn place(&self, policies: &PolicySet, targets: &[&str]) -> Option<(ServiceKey, String)> {
        let label = |name: &str| self.labels.get(name).map(String::as_str);
        let mut places = BTreeSet::new();
        for policy in policies.iter().map(|written| &written.policy) {
            let environment = &policy.environment;
            let named = policy.labels.service.as_deref().unwrap_or("service");
            let Some(service) = label(named).filter(|name| is_name(name)) else { continue };
            if label("environment").is_some_and(|said| said != environment) {
                continue;
            }
            let found = match label("cluster") {
                Some(cluster) => place::in_cluster(policies, targets, cluster, service),
                None => place::of(policies, targets, service, environment),
            };
            let Some(key) = found.ok()? else { continue };
            let guard = policies.matching(&key).first().map(|written| &written.policy);
            if guard.is_some_and(|guard| guard.name == policy.name && self.is_about(&key, guard)) {
                places.insert((key, environment.clone()));
            }
        }
        places.pop_first().filter(|_| places.is_empty())
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
    /// The services that are seen and guarded or watched, and that the caller may speak of.
    async fn guarded_services(
        &self,
        caller: &Caller,
    ) -> Result<BTreeMap<ServiceKey, Arc<Policy>>, Problem> {
        let loaded = self.policies.borrow().clone();
        let mut guarded = BTreeMap::new();
        // What was announced and not seen yet, and what the policies no longer guard.
        for (watch, _) in self.store.open_watches::<Watch>().await? {
            guarded.insert(watch.deployment.service.key, Arc::new(watch.pinned.policy));
        }
        for key in self.known_services().await?.into_iter().chain(guarded.clone().into_keys()) {
            if let Some(written) = loaded.set.matching(&key).first() {
                guarded.insert(key, written.policy.clone());
            }
        }
        guarded
            .retain(|key, policy| caller.may_speak_of(&key.service, &policy.environment).is_ok());
        Ok(guarded)
    }

    /// What the alert is about, where the platform has not shown the service (yet, or because
    /// it can't be asked) and the policies leave one place for it.
    fn not_seen_yet(&self, told: &Told, caller: &Caller) -> Option<ServiceKey> {
        let loaded = self.policies.borrow().clone();
        let targets: Vec<&str> = self.place.names().collect();
        let (key, environment) = told.place(&loaded.set, &targets)?;
        caller.may_speak_of(&key.service, &environment).is_ok().then_some(key)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::policy::{SourceFile, check};

    /// Policies by environment, cluster and service.
    fn policies(matches: &[(&str, &str, &str)]) -> PolicySet {
        let file = |(number, (environment, cluster, service)): (usize, &(&str, &str, &str))| {
            let text = format!(
                "version: 1\npolicy: p{number}\nenvironment: {environment}\n\
                 match: {{ cluster: '{cluster}', service: '{service}' }}\n\
                 labels: {{ service: app }}\n\
                 phases: {{ all: {{ until: 1h, interval: 1m }} }}\n\
                 checks: {{ depth: {{ query: queue_depth, breach: {{ SEV2: '> 10' }} }} }}\n"
            );
            SourceFile { path: format!("p{number}.yaml"), bytes: text.into_bytes() }
        };
        check(&matches.iter().enumerate().map(file).collect::<Vec<_>>()).unwrap()
    }

    fn told(labels: &Value) -> Told {
        let told = json!({ "status": "firing", "labels": labels, "fingerprint": "f",
            "startsAt": "2026-11-21T12:00:00Z", "endsAt": "0001-01-01T00:00:00Z" });
        serde_json::from_value(told).unwrap()
    }

    #[test]
    fn an_alert_about_what_nobody_has_seen_is_placed_where_the_policies_leave_one_place() {
        let shop = policies(&[("production", "shop", "api"), ("staging", "{a,b}", "shop-*")]);
        let place = |labels: Value| {
            told(&labels).place(&shop, &["default"]).map(|(key, _)| key.to_string())
        };
        assert_eq!(place(json!({ "app": "api" })).unwrap(), "default/shop/api");
        assert_eq!(place(json!({ "service": "api" })), None, "the policy's label is another");
        assert_eq!(place(json!({ "app": "api", "environment": "staging" })), None);
        assert_eq!(place(json!({ "app": "api", "cluster": "other" })), None);
        assert_eq!(place(json!({ "app": "shop-web" })), None, "in a or in b");
        let said = json!({ "app": "shop-web", "cluster": "b" });
        assert_eq!(place(said).unwrap(), "default/b/shop-web");
        let both = policies(&[("production", "shop", "api"), ("staging", "stage", "api")]);
        let place = |labels: Value| {
            told(&labels).place(&both, &["default"]).map(|(key, _)| key.to_string())
        };
        assert_eq!(place(json!({ "app": "api" })), None, "of either environment");
        let said = json!({ "app": "api", "environment": "staging" });
        assert_eq!(place(said).unwrap(), "default/stage/api");
    }
}
