//! `POST /hooks/heartbeats/JOB`: a scheduled job tells that it ran.
//!
//! Answered 202 once it is kept. The same again within a millisecond is one beat. A job that
//! no policy names is kept too, because its policy may come later; the answer's `warnings` say
//! so, and the log at the job's first beat.
//!
//! A job belongs to the services whose policies name it. A token that may not speak of all
//! services may tell of the jobs of its own alone; where the policy is for several services
//! the beat says of which it is.

use std::collections::BTreeSet;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Face;
use super::asked::Path;
use super::auth::Caller;
use super::body::optional_json;
use super::openapi::texts::{Job, MAY_BE_LEFT_OUT};
use super::openapi::{Also, ToDo};
use super::problem::Problem;
use crate::engine::clock;
use crate::model::{Beat, Service, ServiceKey, is_job};
use crate::policy::{Glob, Policy, PolicySet, Vars};
use crate::settings::Role;
use crate::watch::Watch;

/// How a run ended; nothing: well.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Run, example = json!({ "status": "ok" }))]
struct Told {
    #[serde(default)]
    #[schema(inline)]
    status: Status,
    /// Whose job it is, for tokens that may not speak of all.
    service: Option<String>,
    environment: Option<String>,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum Status {
    #[default]
    Ok,
    Failed,
}

/// A beat that is kept.
#[derive(Debug, Serialize, ToSchema)]
pub struct Beaten {
    job: String,
    /// That nobody reads it, with what may have been meant.
    warnings: Vec<Warning>,
}

/// Something to look at.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = BeatWarning)]
pub struct Warning {
    detail: String,
}

/// Tells that a scheduled job ran.
///
/// A job that no policy names is kept too, with a warning. The same again within a
/// millisecond is one beat.
#[utoipa::path(
    post,
    path = "/hooks/heartbeats/{job}",
    operation_id = "beat",
    tag = "announcing",
    params(("job" = Job, Path, description = "As policies name it.", example = "payments-nightly")),
    request_body(content = Told, description = MAY_BE_LEFT_OUT),
    responses(
        (status = 202, description = "It is kept.", body = Beaten),
        Also<429>,
        ToDo,
    ),
    security(("token" = ["deploy"])),
)]
pub async fn post(
    State(face): State<Face>,
    Path(job): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<(StatusCode, Json<Beaten>), Problem> {
    let caller = face.caller(&headers, Role::Deploy)?;
    check_job(&job)?;
    let told: Told = optional_json(&headers, body).await?;
    if caller.is_scoped() {
        let loaded = face.policies.borrow().clone();
        let mut policies = loaded.set.iter().map(|written| &written.policy);
        if !policies.any(|policy| owns(&caller, policy, &job, &told)) {
            let detail = format!(
                "the token `{}` is not for the job {job}: no policy of a service that it is for \
                 names it in a `heartbeat`; where a policy is for several services say which \
                 one: {{\"service\": \"web\"}}",
                caller.name
            );
            return Err(Problem::new(StatusCode::FORBIDDEN, detail));
        }
    }
    let well = told.status == Status::Ok;
    let warning = face.unnamed(&job).await?;
    let is_first = warning.is_some() && face.store.beats(&job).await?.is_empty();
    face.beaten(&job, Beat { at: clock::now(), well }).await?;
    if let Some(warning) = warning.as_ref().filter(|_| is_first) {
        tracing::warn!(job, token = caller.name, "a heartbeat that nobody reads: {warning}");
    }
    let warnings = warning.into_iter().map(|detail| Warning { detail }).collect();
    Ok((StatusCode::ACCEPTED, Json(Beaten { job, warnings })))
}

fn check_job(job: &str) -> Result<(), Problem> {
    let detail = "a job's name has letters, digits, `-`, `_` and `.`, at most 100";
    is_job(job).then_some(()).ok_or_else(|| Problem::new(StatusCode::BAD_REQUEST, detail))
}

/// The jobs that the policies name; `*` stands for what a pattern leaves open.
fn jobs(policies: &PolicySet) -> BTreeSet<String> {
    let open = || vec!["*".to_owned()];
    let names =
        |pattern: &str| Glob::parse(pattern).ok().and_then(|glob| glob.plain()).map(Vec::from_iter);
    let mut jobs = BTreeSet::new();
    for policy in policies.iter().map(|written| &written.policy) {
        let place = &policy.matches;
        let service = place.service.rsplit('/').next().unwrap_or_default();
        let clusters = names(&place.cluster).unwrap_or_else(open);
        for name in names(service).unwrap_or_else(open) {
            for cluster in &clusters {
                jobs.extend(policy.jobs(&vars(policy, name.clone(), cluster.clone())));
            }
        }
    }
    jobs
}

/// Why nobody reads the beats of `job`, with what may have been meant; `None`: a policy names
/// it. `seen`: the services that are there.
fn unnamed(policies: &PolicySet, seen: &BTreeSet<ServiceKey>, job: &str) -> Option<String> {
    let mut named = jobs(policies);
    if named.iter().any(|name| Glob::parse(name).is_ok_and(|glob| glob.matches(job))) {
        return None;
    }
    named.retain(|name| !name.contains('*'));
    for key in seen {
        let Some(written) = policies.matching(key).first() else { continue };
        let name = key.name().to_owned();
        named.extend(written.policy.jobs(&vars(&written.policy, name, key.cluster.clone())));
    }
    let near = crate::policy::nearest(job, named.iter().map(String::as_str));
    let near = near.first().map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
    Some(format!("no policy names the job `{job}` in a `heartbeat`{near}"))
}

fn vars(policy: &Policy, name: String, cluster: String) -> Vars {
    let target = policy.matches.target.clone().unwrap_or_default();
    let key = ServiceKey { target, cluster, service: name.clone() };
    Vars::of_named(&Service { name, environment: policy.environment.clone(), key })
}

/// Whether the job is of a service that the policy guards and the caller may speak of.
fn owns(caller: &Caller, policy: &Policy, job: &str, told: &Told) -> bool {
    let pattern = policy.matches.service.rsplit('/').next().unwrap_or_default();
    let name = told.service.as_deref().unwrap_or(pattern).to_owned();
    let environment = policy.environment.clone();
    let is_theirs = caller.may_speak_of(&name, &environment).is_ok()
        && told.environment.as_ref().is_none_or(|named| *named == environment)
        && Glob::parse(pattern).is_ok_and(|glob| glob.matches(&name));
    let vars = vars(policy, name, policy.matches.cluster.clone());
    is_theirs && policy.jobs(&vars).any(|named| named == job)
}

impl Face {
    /// Why nobody reads the beats of `job`; `None`: a policy names it, or one that a watch
    /// still has.
    async fn unnamed(&self, job: &str) -> Result<Option<String>, Problem> {
        let loaded = self.policies.borrow().clone();
        let Some(why) = unnamed(&loaded.set, &self.known_services().await?, job) else {
            return Ok(None);
        };
        let watches = self.store.open_watches::<Watch>().await?;
        let is_read = watches.iter().any(|(watch, _)| {
            let vars = Vars::of_named(&watch.deployment.service);
            watch.pinned.policy.jobs(&vars).any(|named| named == job)
        });
        let broken = "whether a policy names it is not known: the policies are broken";
        let why = if loaded.unread.is_some() { broken.to_owned() } else { why };
        Ok((!is_read).then_some(why))
    }

    /// Keeps that a job ran.
    pub(super) async fn beaten(&self, job: &str, beat: Beat) -> Result<(), Problem> {
        check_job(job)?;
        let kept = self.store.beat(job, beat).await?;
        if kept {
            return Ok(());
        }
        let detail = "too many jobs beat here already; name one job the same each time";
        Err(Problem::new(StatusCode::TOO_MANY_REQUESTS, detail))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::{SourceFile, read};

    const PAYMENTS: &str = "
version: 1
policy: payments
environment: production
match: { cluster: prod, service: payments }
phases: { immediate: { until: 15m, interval: 15s } }
checks:
  nightly: { heartbeat: { job: payments-nightly, schedule: '0 2 * * *' }, breach: { SEV3: 1 failure } }
";
    const WEB: &str = "
version: 1
policy: web
environment: staging
match: { cluster: stage, service: 'web-*' }
phases: { immediate: { until: 15m, interval: 15s } }
checks:
  sync: { heartbeat: { job: '${service}-sync-${environment}', schedule: '0 2 * * *' }, breach: { SEV3: 1 failure } }
";

    fn policies() -> PolicySet {
        let file = |path: &str, text: &str| SourceFile { path: path.into(), bytes: text.into() };
        read(&[file("payments.yaml", PAYMENTS), file("web.yaml", WEB)]).unwrap()
    }

    fn may(services: &[&str], environments: &[&str], job: &str, service: Option<&str>) -> bool {
        let globs: Vec<Glob> = services.iter().map(|text| Glob::parse(text).unwrap()).collect();
        let caller = Caller {
            name: "ci".to_owned(),
            role: Role::Deploy,
            services: (!globs.is_empty()).then_some(globs),
            environments: environments.iter().map(|name| (*name).to_owned()).collect(),
        };
        assert!(caller.is_scoped());
        let told = Told { service: service.map(str::to_owned), ..Told::default() };
        policies().iter().any(|written| owns(&caller, &written.policy, job, &told))
    }

    #[test]
    fn a_token_of_some_services_tells_of_their_jobs_alone() {
        assert!(may(&["payments"], &[], "payments-nightly", None));
        assert!(may(&["pay*"], &["production"], "payments-nightly", Some("payments")));
        // The name of a service of its own makes nobody else's job its own.
        assert!(!may(&["web-*"], &[], "payments-nightly", Some("web-shop")));
        assert!(!may(&["web-*"], &[], "payments-nightly", None));
        assert!(!may(&["payments"], &["staging"], "payments-nightly", None));
        assert!(!may(&["payments"], &[], "nobodys", None));
        assert!(may(&[], &["production"], "payments-nightly", None));
        assert!(!may(&[], &["staging"], "payments-nightly", None));
    }

    #[test]
    fn a_job_that_no_policy_names_is_told_with_what_may_have_been_meant() {
        let key = |cluster: &str, service: &str| ServiceKey {
            target: "default".to_owned(),
            cluster: cluster.to_owned(),
            service: service.to_owned(),
        };
        let seen = BTreeSet::from([key("stage", "web-shop"), key("other", "web-else")]);
        let told = |job: &str| unnamed(&policies(), &seen, job);
        assert_eq!(told("payments-nightly"), None);
        assert_eq!(told("web-shop-sync-staging"), None);
        assert_eq!(told("web-new-sync-staging"), None, "nobody has seen that service yet");
        let slip = "no policy names the job `paymentsnightly` in a `heartbeat`; did you mean \
                    `payments-nightly`?";
        assert_eq!(told("paymentsnightly").unwrap(), slip);
        let near = told("web-shop-sink-staging").unwrap();
        assert!(near.ends_with("did you mean `web-shop-sync-staging`?"), "{near}");
        assert!(told("nobodys").unwrap().ends_with("in a `heartbeat`"));
    }

    #[test]
    fn where_a_policy_is_for_several_services_the_beat_says_of_which_it_is() {
        let sync = |service| may(&["web-*"], &[], "web-shop-sync-staging", service);
        assert!(sync(Some("web-shop")));
        assert!(!sync(None));
        assert!(!sync(Some("web-blog")), "it is another's");
        assert!(!sync(Some("payments")));
        assert!(!may(&["web-blog"], &[], "web-shop-sync-staging", Some("web-shop")));
    }
}
