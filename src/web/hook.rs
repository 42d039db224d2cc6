//! `POST /hooks/deployments`: a pipeline announces what it is deploying.

use std::collections::{BTreeMap, BTreeSet};

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use serde::Deserialize;
use utoipa::ToSchema;

use super::Face;
use super::announce::{Offered, Unguarded, Watched};
use super::body::read_json;
use super::openapi::texts::{Labels, Name, Safe, Text};
use super::openapi::{Also, ToDo};
use super::place;
use super::problem::Problem;
use super::said::PlatformSaid;
use crate::model::{Database, Facts, RollbackSafe, ServiceKey, rollback_safe};
use crate::policy::{Glob, Matches, Policy};
use crate::settings::Role;
use crate::watch::Seen;

/// The longest text in any field, in characters.
pub(super) const TEXT_LIMIT: usize = 1024;
/// The most labels.
pub(super) const LABEL_LIMIT: usize = 64;

/// A deployment that is announced.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Announcement, example = json!({
    "id": "gha-18231-1", "service": "shopflow-api", "environment": "production",
    "platform": { "ecs": {
        "cluster": "shopflow-production", "task_definition": "shopflow-api:42",
    } },
    "version": "v1.5.0", "commit": "4f1c2aa", "author": "dana", "rollback_safe": true,
}))]
struct Hook {
    /// The announcer's own; the same id again is the same watch.
    #[schema(value_type = Name)]
    id: String,
    #[schema(value_type = Name)]
    service: String,
    #[schema(value_type = Name)]
    environment: String,
    /// The settings' name of the account and region, where there are several.
    #[schema(value_type = Option<Text>)]
    target: Option<String>,
    #[serde(default)]
    platform: PlatformSaid,
    #[schema(value_type = Option<Text>)]
    version: Option<String>,
    #[schema(value_type = Option<Text>)]
    commit: Option<String>,
    #[schema(value_type = Option<Text>)]
    author: Option<String>,
    #[schema(value_type = Option<Text>)]
    url: Option<String>,
    /// When it began; now, if it is left out. At most two minutes ahead.
    at: Option<Timestamp>,
    #[serde(default, deserialize_with = "rollback_safe")]
    #[schema(value_type = Safe)]
    rollback_safe: RollbackSafe,
    #[serde(default)]
    #[schema(value_type = Labels)]
    labels: BTreeMap<String, String>,
    /// What is there for the database. Nothing of it is ever run.
    database: Option<Database>,
}

/// Announces a deployment.
///
/// Answered once it is durable: what was answered 202 is watched, whatever happens. The
/// platform is looked at anyway; this tells who, what, and whether it is safe to undo.
#[utoipa::path(
    post,
    path = "/hooks/deployments",
    operation_id = "announce",
    tag = "announcing",
    request_body = Hook,
    responses(
        (status = 202, description = "It is watched, or will be once the platform shows it.", body = Watched),
        (status = 200, description = "No policy guards it.", body = Unguarded),
        Also<409>,
        ToDo,
    ),
    security(("token" = ["deploy"])),
)]
pub async fn announce(
    State(face): State<Face>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let caller = face.caller(&headers, Role::Deploy)?;
    let (hook, digest): (Hook, String) = read_json(body).await?;
    check_texts(&hook)?;
    let named = hook.platform.service(&hook.service).into_owned();
    let cluster = hook.platform.cluster().map(str::to_owned);
    let (revision, platform_id) = hook.platform.revision();
    let offered = Offered {
        id: hook.id,
        service: hook.service,
        named,
        environment: hook.environment,
        target: hook.target,
        cluster,
        revision,
        platform_id,
        at: hook.at,
        facts: Facts {
            version: hook.version,
            commit: hook.commit,
            author: hook.author,
            url: hook.url,
            rollback_safe: hook.rollback_safe,
            announced_by: Some(caller.name.clone()),
            labels: hook.labels,
            github: None,
            database: hook.database,
        },
        digest,
    };
    Ok(face.announced(offered, Some(&caller)).await?.into_response())
}

/// A service that somebody speaks of, as far as they said where it is.
pub(super) struct Sought<'a> {
    pub service: &'a str,
    pub environment: &'a str,
    pub target: Option<&'a str>,
    pub cluster: Option<&'a str>,
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

    /// # Errors
    /// The policies could not be read since the start, so that nobody knows what is guarded:
    /// whoever asks comes again, and takes it for no answer.
    pub(super) fn knows_what_is_guarded(&self) -> Result<(), Problem> {
        let Some(mistake) = self.policies.borrow().unread.clone() else { return Ok(()) };
        let detail = format!(
            "it is not known what is guarded: the policies are broken, and none have been in \
             force since the start: {mistake} (`/readyz` has all mistakes; mended, they take \
             effect without a restart)"
        );
        Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail))
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

    /// The names of services that policies spell out.
    pub(super) fn guarded_names(&self) -> BTreeSet<String> {
        let loaded = self.policies.borrow();
        let names = loaded
            .set
            .iter()
            .filter_map(|written| Glob::parse(&written.policy.matches.service).ok()?.plain());
        names.flatten().collect()
    }

    /// The services that have been seen on the platform.
    pub(super) async fn known_services(&self) -> Result<BTreeSet<ServiceKey>, Problem> {
        let seen = self.store.seen::<Seen>().await?;
        Ok(seen.into_iter().map(|seen| seen.service).collect())
    }

    pub(super) fn environment_of(&self, key: &ServiceKey) -> Option<String> {
        self.of_policy(key, |policy| policy.environment.clone())
    }

    /// Whether a policy guards it that has statuses written at GitHub.
    pub(super) fn marks_at_github(&self, key: &ServiceKey) -> bool {
        self.of_policy(key, |policy| policy.notify.github.statuses).unwrap_or_default()
    }

    fn of_policy<T>(&self, key: &ServiceKey, tell: impl Fn(&Policy) -> T) -> Option<T> {
        let loaded = self.policies.borrow();
        let first = match loaded.set.matching(key) {
            Matches::None => return None,
            Matches::One(written) => written,
            Matches::Several(all) => *all.first()?,
        };
        Some(tell(&first.policy))
    }
}

fn check_texts(hook: &Hook) -> Result<(), Problem> {
    let required =
        [("id", &hook.id), ("service", &hook.service), ("environment", &hook.environment)];
    let none = None;
    let script = hook.database.as_ref().map_or(&none, |database| &database.rollback_script);
    let optional = [
        ("version", &hook.version),
        ("commit", &hook.commit),
        ("author", &hook.author),
        ("url", &hook.url),
        ("target", &hook.target),
        ("database.rollback_script", script),
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
    check_labels(&hook.labels)
}

pub(super) fn check_labels(labels: &BTreeMap<String, String>) -> Result<(), Problem> {
    if labels.len() > LABEL_LIMIT {
        return Err(Problem::field("labels", format!("at most {LABEL_LIMIT} of them")));
    }
    for (name, text) in labels {
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
