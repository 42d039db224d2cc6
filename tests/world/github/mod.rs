//! GitHub as far as it is written to: commits, their statuses and pull requests, deployments
//! and their statuses, issues, the mutation that reverts, and Apps. Paths, status codes,
//! bounds and headers are the real API's.

mod api;
pub mod app;
mod graphql;
pub mod hook;

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::routing::{get, post};
use serde_json::{Value, json};

use super::faults::Faults;
use super::lock;
use super::server::Server;

pub const TOKEN: &str = "github_pat_0123456789abcdef";
pub const REPOSITORY: &str = "acme/shopflow";
/// The commits that there are.
pub const GOOD: &str = "1111111111111111111111111111111111111111";
pub const BAD: &str = "2222222222222222222222222222222222222222";
/// Brought by no pull request.
pub const PUSHED: &str = "3333333333333333333333333333333333333333";
/// The pull request that brought [`BAD`].
pub const PULL: u64 = 41;

/// What goes wrong with a request.
#[derive(Debug, Clone)]
pub enum GitHubFault {
    Http(super::called::HttpFault),
    /// 403 for too many requests at a time, and no word for how long.
    Secondary,
    /// 403 because the hour's requests are spent, for so many seconds more.
    Spent(i64),
}

/// A running stand-in; it ends when dropped.
pub struct GitHub {
    shared: Arc<Shared>,
    server: Server,
}

#[derive(Default)]
struct Shared {
    known: Mutex<Known>,
    faults: Faults<GitHubFault>,
}

#[derive(Default)]
struct Known {
    ids: u64,
    /// By commit, the oldest first.
    statuses: BTreeMap<String, Vec<Value>>,
    /// By deployment, the oldest first.
    deployments: BTreeMap<u64, Vec<Value>>,
    /// Pull requests among them, the oldest first.
    issues: Vec<Value>,
    tags: BTreeMap<String, String>,
    /// Operations in their order.
    calls: Vec<String>,
    /// Why no pull request can be reverted.
    conflict: Option<String>,
    /// Tokens of installations, and how many there were.
    tokens: Vec<String>,
}

impl Known {
    fn id(&mut self) -> u64 {
        self.ids += 1;
        self.ids
    }

    /// The whole SHA of a commit, a short one, or a tag.
    fn sha(&self, of: &str) -> Option<String> {
        if let Some(tag) = of.strip_prefix("tags/") {
            return self.tags.get(tag).cloned();
        }
        let shas = [GOOD, BAD, PUSHED];
        shas.into_iter().find(|sha| of.len() >= 4 && sha.starts_with(of)).map(str::to_owned)
    }
}

impl GitHub {
    /// Starts it on a free port.
    pub async fn start() -> io::Result<Self> {
        let shared = Arc::<Shared>::default();
        let router = Router::new()
            .route("/repos/{owner}/{name}", get(api::repository))
            .route("/repos/{owner}/{name}/commits", get(api::commits))
            .route("/repos/{owner}/{name}/commits/{*of}", get(api::commit))
            .route("/repos/{owner}/{name}/statuses/{sha}", post(api::mark))
            .route("/repos/{owner}/{name}/deployments", get(api::deployments))
            .route(
                "/repos/{owner}/{name}/deployments/{id}/statuses",
                get(api::deployment).post(api::mark_deployment),
            )
            .route("/repos/{owner}/{name}/issues", get(api::issues).post(api::open_issue))
            .route("/repos/{owner}/{name}/pulls", post(api::open_pull))
            .route("/repos/{owner}/{name}/installation", get(app::installation))
            .route("/app/installations/{id}/access_tokens", post(app::grant))
            .route("/graphql", post(graphql::mutate));
        let server = Server::start(router.with_state(Arc::clone(&shared))).await?;
        Ok(Self { shared, server })
    }

    pub fn url(&self) -> String {
        self.server.url()
    }

    /// The next `times` calls of `operation` (`POST statuses`) meet `fault`.
    pub fn fault(&self, operation: &str, fault: &GitHubFault, times: usize) {
        self.shared.faults.plan(operation, fault, times);
    }

    pub fn clear_faults(&self) {
        self.shared.faults.clear();
    }

    /// GitHub has made a deployment.
    pub fn deploy(&self, id: u64) {
        lock(&self.shared.known).deployments.insert(id, Vec::new());
    }

    /// The pipeline says something about it.
    pub fn pipeline_says(&self, id: u64, state: &str, environment_url: &str) {
        let mut known = lock(&self.shared.known);
        let status = json!({
            "id": known.id(), "state": state, "description": "", "environment_url": environment_url,
        });
        known.deployments.entry(id).or_default().push(status);
    }

    pub fn tag(&self, name: &str, sha: &str) {
        lock(&self.shared.known).tags.insert(name.to_owned(), sha.to_owned());
    }

    /// No pull request can be reverted from now on.
    pub fn conflicts(&self, why: &str) {
        lock(&self.shared.known).conflict = Some(why.to_owned());
    }

    /// Statuses of a commit, the oldest first.
    pub fn statuses(&self, sha: &str) -> Vec<Value> {
        lock(&self.shared.known).statuses.get(sha).cloned().unwrap_or_default()
    }

    /// State and description of the statuses of one name, the oldest first.
    pub fn marks(&self, sha: &str, context: &str) -> Vec<(String, String)> {
        let all = self.statuses(sha).into_iter().filter(|one| one["context"] == context);
        all.map(|one| said(&one)).collect()
    }

    /// State and description of a deployment's statuses, the oldest first.
    pub fn deployment(&self, id: u64) -> Vec<(String, String)> {
        let known = lock(&self.shared.known);
        known.deployments.get(&id).into_iter().flatten().map(said).collect()
    }

    /// Issues and pull requests, the oldest first.
    pub fn issues(&self) -> Vec<Value> {
        lock(&self.shared.known).issues.clone()
    }

    /// Operations in their order.
    pub fn calls(&self) -> Vec<String> {
        lock(&self.shared.known).calls.clone()
    }

    pub fn tokens(&self) -> usize {
        lock(&self.shared.known).tokens.len()
    }
}

fn said(status: &Value) -> (String, String) {
    let text = |key: &str| status[key].as_str().unwrap_or_default().to_owned();
    (text("state"), text("description"))
}
