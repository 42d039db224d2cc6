//! The REST API.

use std::sync::Arc;

use axum::Json;
use axum::extract::{ConnectInfo, Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::{BAD, GitHubFault, Known, PULL, REPOSITORY, Shared, TOKEN};
use crate::world::called::meet;
use crate::world::server::Wire;
use crate::world::{lock, now};

type Repo = (String, String);
type Q = Query<std::collections::BTreeMap<String, String>>;

const COMMIT_STATES: [&str; 4] = ["error", "failure", "pending", "success"];
const DEPLOYMENT_STATES: [&str; 7] =
    ["error", "failure", "inactive", "in_progress", "queued", "pending", "success"];

/// An answer with the headers of each.
pub fn answer(status: u16, body: &Value) -> Response {
    let reset = (now().as_second() + 3600).to_string();
    let headers = [
        ("x-ratelimit-limit", "5000".to_owned()),
        ("x-ratelimit-remaining", "4999".to_owned()),
        ("x-ratelimit-reset", reset),
    ];
    let status = StatusCode::from_u16(status).expect("a status");
    (status, headers, Json(body)).into_response()
}

fn message(status: u16, text: &str) -> Response {
    answer(status, &json!({ "message": text, "documentation_url": "https://docs.github.com/rest" }))
}

/// `Validation Failed`, of one field.
fn invalid(field: &str, text: &str) -> Response {
    let errors =
        json!([{ "resource": "Status", "field": field, "code": "custom", "message": text }]);
    answer(422, &json!({ "message": "Validation Failed", "errors": errors }))
}

impl Shared {
    /// What every request goes through: faults, the token, the repository.
    pub async fn pass(
        &self,
        operation: &str,
        wire: &Wire,
        headers: &HeaderMap,
        repository: Option<&Repo>,
        take: impl FnOnce(&mut Known) -> Response,
    ) -> Response {
        let refused = self.refuses(operation, headers, repository);
        let take = || refused.unwrap_or_else(|| take(&mut lock(&self.known)));
        match self.faults.take(operation) {
            None => take(),
            Some(GitHubFault::Http(fault)) => meet(fault, wire, take).await,
            Some(GitHubFault::Secondary) => {
                message(403, "You have exceeded a secondary rate limit. Please wait a few minutes.")
            }
            Some(GitHubFault::Spent(seconds)) => {
                let reset = (now().as_second() + seconds).to_string();
                let headers =
                    [("x-ratelimit-remaining", "0".to_owned()), ("x-ratelimit-reset", reset)];
                let body = json!({ "message": "API rate limit exceeded for user ID 1." });
                (StatusCode::FORBIDDEN, headers, Json(body)).into_response()
            }
        }
    }
}

impl Shared {
    fn refuses(
        &self,
        operation: &str,
        headers: &HeaderMap,
        repository: Option<&Repo>,
    ) -> Option<Response> {
        let mut known = lock(&self.known);
        known.calls.push(operation.to_owned());
        let given = headers.get("authorization").and_then(|value| value.to_str().ok());
        let given = given.and_then(|value| value.strip_prefix("Bearer ")).unwrap_or_default();
        if given != TOKEN && !known.tokens.iter().any(|token| token == given) {
            return Some(message(401, "Bad credentials"));
        }
        let agent = headers.get("user-agent").is_some_and(|agent| !agent.is_empty());
        if !agent || headers.get("x-github-api-version").is_none_or(|it| it != "2022-11-28") {
            return Some(message(403, "Request forbidden by administrative rules"));
        }
        let other = |(owner, name): &Repo| format!("{owner}/{name}") != REPOSITORY;
        repository.is_some_and(other).then(|| message(404, "Not Found"))
    }
}

pub async fn repository(
    State(shared): State<Arc<Shared>>,
    ConnectInfo(wire): ConnectInfo<Wire>,
    Path(repo): Path<Repo>,
    headers: HeaderMap,
) -> Response {
    let take = |_: &mut Known| answer(200, &json!({ "full_name": REPOSITORY }));
    shared.pass("GET repository", &wire, &headers, Some(&repo), take).await
}

pub async fn commits(
    State(shared): State<Arc<Shared>>,
    ConnectInfo(wire): ConnectInfo<Wire>,
    Path(repo): Path<Repo>,
    headers: HeaderMap,
) -> Response {
    let take = |_: &mut Known| answer(200, &json!([{ "sha": BAD }]));
    shared.pass("GET commits", &wire, &headers, Some(&repo), take).await
}

/// A commit by any name, its statuses, or the pull requests that brought it.
pub async fn commit(
    State(shared): State<Arc<Shared>>,
    ConnectInfo(wire): ConnectInfo<Wire>,
    Path((owner, name, of)): Path<(String, String, String)>,
    headers: HeaderMap,
) -> Response {
    let take = |known: &mut Known| {
        let (of, what) = match of.rsplit_once('/') {
            Some((of, what @ ("statuses" | "pulls"))) => (of, what),
            Some(_) | None => (of.as_str(), "commit"),
        };
        let Some(sha) = known.sha(of) else {
            return message(422, &format!("No commit found for SHA: {of}"));
        };
        match what {
            "statuses" => {
                let mut all = known.statuses.get(&sha).cloned().unwrap_or_default();
                all.reverse();
                answer(200, &json!(all))
            }
            "pulls" if sha == BAD => answer(
                200,
                &json!([{
                    "number": PULL, "node_id": format!("PR_{PULL}"), "state": "closed",
                    "merged_at": "2026-11-20T10:00:00Z", "merge_commit_sha": sha,
                }]),
            ),
            "pulls" => answer(200, &json!([])),
            _ => answer(200, &json!({ "sha": sha })),
        }
    };
    shared.pass("GET commit", &wire, &headers, Some(&(owner, name)), take).await
}

pub async fn mark(
    State(shared): State<Arc<Shared>>,
    ConnectInfo(wire): ConnectInfo<Wire>,
    Path((owner, name, sha)): Path<(String, String, String)>,
    headers: HeaderMap,
    Json(body): Json<Value>,
) -> Response {
    let take = |known: &mut Known| {
        if let Err(wrong) = is_status(&body, &COMMIT_STATES) {
            return *wrong;
        }
        if known.sha(&sha).is_none_or(|whole| whole != sha) {
            return message(422, &format!("No commit found for SHA: {sha}"));
        }
        let id = known.id();
        let all = known.statuses.entry(sha.clone()).or_default();
        if all.iter().filter(|one| one["context"] == body["context"]).count() >= 1000 {
            return invalid(
                "context",
                "This SHA and context has reached the maximum number of statuses.",
            );
        }
        let mut status = body.clone();
        status["id"] = json!(id);
        all.push(status.clone());
        answer(201, &status)
    };
    shared.pass("POST statuses", &wire, &headers, Some(&(owner, name)), take).await
}

fn is_status(body: &Value, states: &[&str]) -> Result<(), Box<Response>> {
    if !body["state"].as_str().is_some_and(|state| states.contains(&state)) {
        return Err(Box::new(invalid("state", "state is not included in the list")));
    }
    let long = body["description"].as_str().is_some_and(|text| text.chars().count() > 140);
    if long {
        let text = "description is too long (maximum is 140 characters)";
        return Err(Box::new(invalid("description", text)));
    }
    Ok(())
}

pub async fn deployments(
    State(shared): State<Arc<Shared>>,
    ConnectInfo(wire): ConnectInfo<Wire>,
    Path(repo): Path<Repo>,
    headers: HeaderMap,
) -> Response {
    let take = |known: &mut Known| {
        let all: Vec<Value> =
            known.deployments.keys().rev().map(|id| json!({ "id": id })).collect();
        answer(200, &json!(all))
    };
    shared.pass("GET deployments", &wire, &headers, Some(&repo), take).await
}

pub async fn deployment(
    State(shared): State<Arc<Shared>>,
    ConnectInfo(wire): ConnectInfo<Wire>,
    Path((owner, name, id)): Path<(String, String, u64)>,
    headers: HeaderMap,
) -> Response {
    let take = |known: &mut Known| match known.deployments.get(&id) {
        None => message(404, "Not Found"),
        Some(all) => {
            let all: Vec<&Value> = all.iter().rev().collect();
            answer(200, &json!(all))
        }
    };
    shared.pass("GET deployment", &wire, &headers, Some(&(owner, name)), take).await
}

pub async fn mark_deployment(
    State(shared): State<Arc<Shared>>,
    ConnectInfo(wire): ConnectInfo<Wire>,
    Path((owner, name, id)): Path<(String, String, u64)>,
    headers: HeaderMap,
    Json(body): Json<Value>,
) -> Response {
    let take = |known: &mut Known| {
        if !known.deployments.contains_key(&id) {
            return message(404, "Not Found");
        }
        if let Err(wrong) = is_status(&body, &DEPLOYMENT_STATES) {
            return *wrong;
        }
        let mut status = body.clone();
        status["id"] = json!(known.id());
        known.deployments.entry(id).or_default().push(status.clone());
        answer(201, &status)
    };
    shared.pass("POST deployment", &wire, &headers, Some(&(owner, name)), take).await
}

/// Pull requests are among them.
pub async fn issues(
    State(shared): State<Arc<Shared>>,
    ConnectInfo(wire): ConnectInfo<Wire>,
    Path(repo): Path<Repo>,
    Query(query): Q,
    headers: HeaderMap,
) -> Response {
    let number = |name: &str, usual: usize| {
        query.get(name).and_then(|text| text.parse().ok()).unwrap_or(usual)
    };
    let (page, size) = (number("page", 1), number("per_page", 30));
    let take = |known: &mut Known| {
        let all: Vec<&Value> =
            known.issues.iter().rev().skip((page - 1) * size).take(size).collect();
        answer(200, &json!(all))
    };
    shared.pass("GET issues", &wire, &headers, Some(&repo), take).await
}

pub async fn open_issue(
    State(shared): State<Arc<Shared>>,
    ConnectInfo(wire): ConnectInfo<Wire>,
    Path(repo): Path<Repo>,
    headers: HeaderMap,
    Json(body): Json<Value>,
) -> Response {
    let take = |known: &mut Known| match body["title"].as_str() {
        None => invalid("title", "missing_field"),
        Some(title) if title.chars().count() > 256 => invalid("title", "title is too long"),
        Some(_) if body["body"].as_str().is_some_and(|text| text.chars().count() > 65_536) => {
            invalid("body", "body is too long (maximum is 65536 characters)")
        }
        Some(_) => {
            let mut issue = body.clone();
            issue["number"] = json!(known.id());
            known.issues.push(issue.clone());
            answer(201, &issue)
        }
    };
    shared.pass("POST issues", &wire, &headers, Some(&repo), take).await
}

pub async fn open_pull(
    State(shared): State<Arc<Shared>>,
    ConnectInfo(wire): ConnectInfo<Wire>,
    Path(repo): Path<Repo>,
    headers: HeaderMap,
) -> Response {
    let take = |_: &mut Known| invalid("head", "missing_field");
    shared.pass("POST pulls", &wire, &headers, Some(&repo), take).await
}
