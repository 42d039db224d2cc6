//! `POST /hooks/deployments`: a pipeline announces what it is deploying.

use std::collections::{BTreeMap, BTreeSet};

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Deserializer};
use serde_json::{Value, json};

use super::Face;
use super::body::read_json;
use super::place;
use super::problem::Problem;
use super::said::PlatformSaid;
use crate::engine::{Announced, clock};
use crate::model::{Announcement, Facts, RollbackSafe, Service, ServiceKey, WatchId};
use crate::policy::{Glob, Matches};
use crate::settings::Role;
use crate::watch::{Seen, Watch};

/// How far the announcer's clock may run ahead.
const CLOCK_SKEW: SignedDuration = SignedDuration::from_mins(2);
/// The longest text in any field, in characters.
const TEXT_LIMIT: usize = 1024;
/// The most labels.
const LABEL_LIMIT: usize = 64;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Hook {
    id: String,
    service: String,
    environment: String,
    /// The settings' name of the account and region, where there are several.
    target: Option<String>,
    #[serde(default)]
    platform: PlatformSaid,
    version: Option<String>,
    commit: Option<String>,
    author: Option<String>,
    url: Option<String>,
    at: Option<Timestamp>,
    #[serde(default, deserialize_with = "rollback_safe")]
    rollback_safe: RollbackSafe,
    #[serde(default)]
    labels: BTreeMap<String, String>,
}

/// `true`, `false` or `"unknown"`.
fn rollback_safe<'de, D: Deserializer<'de>>(deserializer: D) -> Result<RollbackSafe, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Said {
        Bool(bool),
        Word(String),
    }
    match Said::deserialize(deserializer) {
        Ok(Said::Bool(true)) => Ok(RollbackSafe::Yes),
        Ok(Said::Bool(false)) => Ok(RollbackSafe::No),
        Ok(Said::Word(word)) if word == "unknown" => Ok(RollbackSafe::Unknown),
        _ => Err(serde::de::Error::custom("give true, false or \"unknown\"")),
    }
}

pub async fn announce(
    State(face): State<Face>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let caller = face.caller(&headers, Role::Deploy)?;
    let (hook, digest): (Hook, String) = read_json(body).await?;
    check_texts(&hook)?;
    caller.may_speak_of(&hook.service, &hook.environment)?;
    let now = clock::now();
    let at = hook.at.unwrap_or(now);
    if at.duration_since(now) > CLOCK_SKEW {
        let detail = format!("{at} lies in the future; it is {now} here");
        return Err(Problem::field("at", detail));
    }
    let named = hook.platform.service(&hook.service).into_owned();
    let Some(key) = face.seek(&hook.sought(&named)).await? else {
        let known = face.known_services().await?;
        let names = known.iter().map(|key| key.service.as_str());
        let nearest = crate::policy::nearest(&hook.service, names);
        let guarded = face.guarded_names();
        let guarded = crate::policy::nearest(&hook.service, guarded.iter().map(String::as_str));
        let nearest: BTreeSet<&str> = nearest.into_iter().chain(guarded).collect();
        face.metrics.announced(&Ok(Announced::Unguarded { nearest: Vec::new() }));
        return Ok(unguarded(&face.unguarded_words(&hook.sought(&named)), &nearest));
    };
    // The name that is announced and the service that is meant may differ.
    caller.may_speak_of(&key.service, &hook.environment)?;
    if let Some(expected) = face.environment_of(&key)
        && expected != hook.environment
    {
        let detail = format!("`{}`, but the policy of {key} says `{expected}`", hook.environment);
        return Err(Problem::field("environment", detail));
    }
    let why = face.unguarded_words(&hook.sought(&named));
    let (revision, platform_id) = hook.platform.revision();
    let announcement = Announcement {
        id: hook.id.clone(),
        service: Service { name: hook.service.clone(), environment: hook.environment, key },
        revision,
        platform_id,
        at,
        facts: Facts {
            version: hook.version,
            commit: hook.commit,
            author: hook.author,
            url: hook.url,
            rollback_safe: hook.rollback_safe,
            announced_by: Some(caller.name),
            labels: hook.labels,
        },
    };
    match face.engine.announce(announcement, digest).await? {
        Announced::Watched(watch) => {
            let url = format!("http://{}/api/v1/watches/{watch}", face.address);
            let warnings = face.warnings(&watch).await;
            let body = json!({
                "guarded": true, "watch": watch, "deployment": hook.id, "url": url,
                "warnings": warnings,
            });
            Ok((StatusCode::ACCEPTED, Json(body)).into_response())
        }
        Announced::Unguarded { nearest } => Ok(unguarded(&why, &nearest)),
    }
}

fn unguarded(detail: &str, nearest: &impl serde::Serialize) -> Response {
    let body = json!({ "guarded": false, "detail": detail, "nearest": nearest });
    (StatusCode::OK, Json(body)).into_response()
}

/// A service that somebody speaks of, as far as they said where it is.
pub(super) struct Sought<'a> {
    pub service: &'a str,
    pub environment: &'a str,
    pub target: Option<&'a str>,
    pub cluster: Option<&'a str>,
}

impl Hook {
    /// `named`: the service, as a policy names it.
    fn sought<'a>(&'a self, named: &'a str) -> Sought<'a> {
        Sought {
            service: named,
            environment: &self.environment,
            target: self.target.as_deref(),
            cluster: self.platform.cluster(),
        }
    }
}

impl Face {
    /// Where the service runs: as is said, or the one place that fits.
    pub(super) async fn seek(&self, sought: &Sought<'_>) -> Result<Option<ServiceKey>, Problem> {
        let targets = self.targets_of(sought)?;
        if let Some(cluster) = sought.cluster {
            let loaded = self.policies.borrow();
            return place::in_cluster(&loaded.set, &targets, cluster, sought.service)
                .map_err(|detail| Problem::field("target", detail));
        }
        let fitting: Vec<ServiceKey> = self
            .known_services()
            .await?
            .into_iter()
            .filter(|key| key.service == sought.service && targets.contains(&key.target.as_str()))
            .filter(|key| self.environment_of(key).as_deref() == Some(sought.environment))
            .collect();
        match fitting.as_slice() {
            [] => {
                let loaded = self.policies.borrow();
                place::of(&loaded.set, &targets, sought.service, sought.environment)
                    .map_err(|detail| Problem::field("platform.ecs.cluster", detail))
            }
            [only] => Ok(Some(only.clone())),
            several => {
                let places: Vec<_> = several.iter().map(ToString::to_string).collect();
                let detail = format!("say which one is meant: {}", places.join(", "));
                Err(Problem::field("platform.ecs.cluster", detail))
            }
        }
    }

    /// That no policy guards it, and which one comes nearest.
    pub(super) fn unguarded_words(&self, sought: &Sought<'_>) -> String {
        let names: Vec<&str> = self.place.names().collect();
        let only = if let [only] = names[..] { Some(only) } else { None };
        let asked = place::Unguarded {
            service: sought.service,
            environment: sought.environment,
            target: sought.target.or(only),
            cluster: sought.cluster,
        };
        let near = place::nearest(&self.policies.borrow().set, &asked);
        let near = near.map(|near| format!(": {near}")).unwrap_or_default();
        format!("no policy guards `{}`{near}", sought.service)
    }

    /// The targets that it may be in: the one that is named, or all.
    fn targets_of<'a>(&'a self, sought: &Sought<'_>) -> Result<Vec<&'a str>, Problem> {
        let known: Vec<&str> = self.place.names().collect();
        let Some(said) = sought.target else { return Ok(known) };
        if let Some(target) = known.iter().find(|name| **name == said) {
            return Ok(vec![*target]);
        }
        let detail =
            format!("the settings have no target `{said}`; they have: {}", known.join(", "));
        Err(Problem::field("target", detail))
    }

    /// What the announcement lacks. It is kept by now, so that this can't be told is no
    /// reason to refuse it.
    async fn warnings(&self, id: &WatchId) -> Vec<Value> {
        let watch = match self.store.watch::<Watch>(id).await {
            Ok(watch) => watch,
            Err(error) => {
                tracing::warn!(watch = %id, %error, "what the announcement lacks can't be told");
                None
            }
        };
        let lacking = watch.map(|watch| watch.unlabelled()).unwrap_or_default();
        let said = lacking.into_iter();
        said.map(
            |one| json!({ "label": one.label, "checks": one.checks, "detail": one.to_string() }),
        )
        .collect()
    }

    /// The names of services that policies spell out.
    fn guarded_names(&self) -> BTreeSet<String> {
        let loaded = self.policies.borrow();
        let names = loaded
            .set
            .iter()
            .filter_map(|written| Glob::parse(&written.policy.matches.service).ok()?.plain());
        names.flatten().collect()
    }

    /// The services that have been seen on the platform.
    async fn known_services(&self) -> Result<BTreeSet<ServiceKey>, Problem> {
        let seen = self.store.seen::<Seen>().await?;
        Ok(seen.into_iter().map(|seen| seen.service).collect())
    }

    pub(super) fn environment_of(&self, key: &ServiceKey) -> Option<String> {
        let loaded = self.policies.borrow();
        let first = match loaded.set.matching(key) {
            Matches::None => return None,
            Matches::One(written) => written,
            Matches::Several(all) => *all.first()?,
        };
        Some(first.policy.environment.clone())
    }
}

fn check_texts(hook: &Hook) -> Result<(), Problem> {
    let required =
        [("id", &hook.id), ("service", &hook.service), ("environment", &hook.environment)];
    let optional = [
        ("version", &hook.version),
        ("commit", &hook.commit),
        ("author", &hook.author),
        ("url", &hook.url),
        ("target", &hook.target),
    ];
    let places = hook.platform.texts();
    for (field, text) in required.into_iter().chain(places.iter().copied()) {
        if text.trim().is_empty() {
            return Err(Problem::field(field, "must not be empty"));
        }
    }
    hook.platform.check(&hook.service)?;
    let given = optional.into_iter().filter_map(|(field, text)| Some((field, text.as_ref()?)));
    for (field, text) in required.into_iter().chain(places).chain(given) {
        check_text(field, text)?;
    }
    if hook.labels.len() > LABEL_LIMIT {
        return Err(Problem::field("labels", format!("at most {LABEL_LIMIT} of them")));
    }
    for (name, text) in &hook.labels {
        check_text("labels", name)?;
        check_text(&format!("labels.{name}"), text)?;
    }
    Ok(())
}

pub(super) fn check_text(field: &str, text: &str) -> Result<(), Problem> {
    if text.chars().count() > TEXT_LIMIT || text.chars().any(char::is_control) {
        let detail = format!("at most {TEXT_LIMIT} characters, none of them control characters");
        return Err(Problem::field(field, detail));
    }
    Ok(())
}
