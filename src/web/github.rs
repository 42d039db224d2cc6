//! `POST /hooks/github`: deployments that GitHub's webhooks tell of.
//!
//! Answered 202 with what became of each service, or with why there was nothing to do; 401
//! for what is not signed with a secret of the settings, 422 for what a policy or the settings
//! contradict. GitHub brings nothing again by itself, so what is red among its recent
//! deliveries can be delivered again by hand: it is the same watch.

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::Face;
use super::announce::{Answered, Offered};
use super::body::{digest, read_up_to};
use super::hook::{check_labels, check_text};
use super::openapi::{Also, ToDo};
use super::problem::Problem;
use crate::model::{DeployedService, Facts, Repositories};
use crate::triggers::github::{Deployed, Heard, Secrets, read};

/// Where GitHub posts.
pub const HOOK: &str = "/hooks/github";
/// The largest body, in bytes: an event carries the whole repository and its owner.
const LIMIT: usize = 512 * 1024;

/// What is known of GitHub's webhooks.
#[derive(Debug)]
pub struct GitHubHook {
    pub secrets: Secrets,
    pub repositories: Repositories,
    /// Whether anything can be written back.
    pub writes: bool,
    /// Where people find the daemon: what links there was written by it.
    pub home: Option<String>,
}

impl GitHubHook {
    /// Whether deployguard wrote what told of it: that begins nothing.
    fn wrote(&self, deployed: &Deployed) -> bool {
        let home = self.home.as_deref().map(|home| home.trim_end_matches('/'));
        let link = home.zip(deployed.url.as_deref());
        link.and_then(|(home, link)| link.strip_prefix(home))
            .is_some_and(|path| path.starts_with("/api/v1/watches/"))
    }
}

/// Of what can't be taken.
const SOME: &str = "It is refused, as elsewhere. Of several services some may have been taken; \
                    then it says what became of each.";

/// What became of a delivery.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = GitHubTaken)]
struct Delivered {
    /// GitHub's id of it.
    delivery: String,
    /// Why there was nothing to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    ignored: Option<String>,
    /// What was answered for each service, as to an announcement, with its `service`; or an
    /// `error`, which is a problem document.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    announced: Vec<Value>,
}

/// Tells what was deployed by GitHub.
///
/// Webhooks of the kinds `deployment`, `deployment_status`, `release` and `workflow_run`, with
/// the content type `application/json`; others are answered, and ignored.
#[utoipa::path(
    post,
    path = HOOK,
    operation_id = "hear_github",
    tag = "announcing",
    params(
        ("X-GitHub-Event" = String, Header, description = "What kind of event it is."),
        ("X-GitHub-Delivery" = Option<String>, Header, description = "GitHub's id of it."),
    ),
    request_body(content = BTreeMap<String, Value>, description = "As GitHub writes it."),
    responses(
        ToDo,
        Also<404>,
        Also<415>,
        (status = 202, description = "It is kept, or there is nothing to do.", body = Delivered),
        (status = 409, description = SOME, content(
            (Problem = "application/problem+json"), (Delivered = "application/json"))),
        (status = 422, description = SOME, content(
            (Problem = "application/problem+json"), (Delivered = "application/json"))),
        (status = 503, description = SOME, content(
            (Problem = "application/problem+json"), (Delivered = "application/json"))),
    ),
    security(("github" = [])),
)]
pub async fn post(
    State(face): State<Face>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let Some(github) = face.github.clone() else {
        let detail = "no webhook of GitHub's is taken: give github.webhook_secrets";
        return Err(Problem::new(StatusCode::NOT_FOUND, detail));
    };
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let bytes = read_up_to(LIMIT, body).await?;
    github.secrets.check(header("x-hub-signature-256"), &bytes).map_err(|why| {
        tracing::warn!(%why, "a webhook at {HOOK} is not taken");
        Problem::new(StatusCode::UNAUTHORIZED, why.to_string())
    })?;
    let kind = header(header::CONTENT_TYPE.as_str()).unwrap_or_default();
    if !kind.starts_with("application/json") {
        let detail = "give the webhook at GitHub the content type application/json";
        return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, detail));
    }
    let Some(event) = header("x-github-event") else {
        let detail = "it has no X-GitHub-Event";
        return Err(Problem::new(StatusCode::BAD_REQUEST, detail));
    };
    let delivery = header("x-github-delivery").unwrap_or("unknown").to_owned();
    let heard = read(event, &bytes, &github.repositories);
    match heard.map_err(|told| Problem::field(&told.field, told.why))? {
        Heard::Ignored(why) => {
            tracing::debug!(event, delivery, why, "a webhook of GitHub's is ignored");
            Ok(Delivered::ignored(delivery, why))
        }
        Heard::Deployed(deployed) if github.wrote(&deployed) => {
            Ok(Delivered::ignored(delivery, "deployguard wrote it".to_owned()))
        }
        Heard::Deployed(mut deployed) => {
            if !github.writes {
                deployed.origin = None;
            }
            face.leave_unmarked_out(&mut deployed).await;
            tracing::info!(event, delivery, deployment = deployed.id, "GitHub tells of one");
            face.deployed(&deployed, delivery).await
        }
    }
}

impl Delivered {
    fn ignored(delivery: String, why: String) -> Response {
        let answer = Self { delivery, ignored: Some(why), announced: Vec::new() };
        (StatusCode::ACCEPTED, Json(answer)).into_response()
    }

    fn announced(delivery: String, announced: Vec<Value>) -> Self {
        Self { delivery, ignored: None, announced }
    }
}

impl Face {
    /// Leaves out of what is written about whole those that nothing will be written of: not
    /// guarded, or without statuses. The others would wait for them for ever.
    async fn leave_unmarked_out(&self, deployed: &mut Deployed) {
        let Some(mut origin) = deployed.origin.take() else { return };
        let mut marked = Vec::new();
        for place in &deployed.services {
            let offered = offered(deployed, place);
            if let Ok(Some(key)) = self.seek(&offered.sought()).await
                && self.marks_at_github(&key)
            {
                marked.push(place.service.clone());
            }
        }
        origin.services.retain(|service| marked.contains(service));
        deployed.origin = Some(origin);
    }

    /// Announces it for each of its services. Some may be taken though another is not: what
    /// is delivered again is the same for those.
    async fn deployed(&self, deployed: &Deployed, delivery: String) -> Result<Response, Problem> {
        check(deployed)?;
        let (mut said, mut wrong) = (Vec::new(), None);
        for place in &deployed.services {
            match self.announced(offered(deployed, place), None).await {
                Ok(answered) => said.push(with_service(&place.service, answered)),
                Err(problem) => {
                    said.push(json!({ "service": place.service, "error": problem }));
                    wrong.get_or_insert(problem);
                }
            }
        }
        match wrong {
            Some(problem) if said.len() == 1 => Err(problem),
            Some(problem) => {
                let status = problem.into_response().status();
                Ok((status, Json(Delivered::announced(delivery, said))).into_response())
            }
            None => {
                let answer = Delivered::announced(delivery, said);
                Ok((StatusCode::ACCEPTED, Json(answer)).into_response())
            }
        }
    }
}

fn with_service(service: &str, answered: Answered) -> Value {
    let mut said = answered.json();
    said["service"] = json!(service);
    said
}

/// What is said of one service. Its id is of the deployment, whichever event told of it.
fn offered(deployed: &Deployed, place: &DeployedService) -> Offered {
    let extra = &deployed.extra;
    // The same whatever else is deployed with it: the settings may change in between.
    let places = [place.target.as_deref(), place.cluster.as_deref(), Some(&place.service)];
    let places: Vec<&str> = places.into_iter().flatten().collect();
    let id = format!("{}/{}", deployed.id, places.join("/"));
    // Without what differs between the events of one deployment: its link and its time.
    let same = json!([
        deployed.version,
        deployed.commit,
        deployed.environment,
        extra.rollback_safe,
        extra.labels,
        extra.task_definition,
    ]);
    Offered {
        id,
        service: place.service.clone(),
        named: place.service.clone(),
        environment: place.environment(&deployed.environment).to_owned(),
        target: place.target.clone(),
        cluster: place.cluster.clone(),
        revision: extra.task_definition.clone(),
        platform_id: None,
        at: Some(deployed.at),
        facts: Facts {
            version: deployed.version.clone(),
            commit: deployed.commit.clone(),
            author: deployed.author.clone(),
            url: deployed.url.clone(),
            rollback_safe: extra.rollback_safe,
            announced_by: Some(format!("github:{}", deployed.repository)),
            labels: extra.labels.clone(),
            github: deployed.origin.clone(),
            database: extra.database.clone(),
        },
        digest: digest(same.to_string().as_bytes()),
    }
}

fn check(deployed: &Deployed) -> Result<(), Problem> {
    let script = deployed.extra.database.as_ref().and_then(|one| one.rollback_script.as_ref());
    let texts = [
        ("deployment.ref", deployed.version.as_ref()),
        ("deployment.sha", deployed.commit.as_ref()),
        ("deployment.creator.login", deployed.author.as_ref()),
        ("deployment_status.log_url", deployed.url.as_ref()),
        ("task_definition", deployed.extra.task_definition.as_ref()),
        ("database.rollback_script", script),
    ];
    for (field, text) in texts {
        text.map_or(Ok(()), |text| check_text(field, text))?;
    }
    check_labels(&deployed.extra.labels)
}
