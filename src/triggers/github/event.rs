//! What GitHub's events say of deployments.

use jiff::Timestamp;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::payload::{Extra, extra};
use crate::model::{DeployedService, GitHubOrigin, Repositories, Repository, Stadium};

/// GitHub's own `task` of a deployment where nobody says another.
const DEPLOY: &str = "deploy";
/// Characters of a SHA that people read.
const SHORT: usize = 7;

/// What an event comes to.
#[derive(Debug, Clone, PartialEq)]
pub enum Heard {
    /// A deployment of these services.
    Deployed(Box<Deployed>),
    /// Nothing is to be done: why.
    Ignored(String),
}

/// A deployment as GitHub tells of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Deployed {
    /// `github/acme/shopflow/deployment/1234`: of one deployment the same in all its events.
    pub id: String,
    /// GitHub's name of the environment.
    pub environment: String,
    pub services: Vec<DeployedService>,
    /// As the settings write it.
    pub repository: String,
    /// Where at GitHub it is written about; `None`: nowhere.
    pub origin: Option<GitHubOrigin>,
    pub version: Option<String>,
    pub commit: Option<String>,
    pub author: Option<String>,
    pub url: Option<String>,
    pub at: Timestamp,
    pub extra: Extra,
}

/// Why an event can't be read: the field, and what is wrong with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    pub field: String,
    pub why: String,
}

#[derive(Debug, Deserialize)]
struct Named {
    full_name: String,
}

#[derive(Debug, Deserialize)]
struct User {
    login: String,
}

#[derive(Debug, Deserialize)]
struct OfDeployment {
    action: String,
    deployment: Deployment,
    deployment_status: Option<Status>,
    workflow_run: Option<RunBeside>,
    repository: Named,
}

#[derive(Debug, Deserialize)]
struct Deployment {
    id: u64,
    sha: String,
    #[serde(rename = "ref")]
    of: String,
    task: String,
    environment: String,
    #[serde(default)]
    payload: Value,
    creator: Option<User>,
    created_at: Timestamp,
}

#[derive(Debug, Deserialize)]
struct Status {
    state: String,
    log_url: Option<String>,
    target_url: Option<String>,
    created_at: Timestamp,
}

/// The run of a workflow that made the deployment, where one did.
#[derive(Debug, Deserialize)]
struct RunBeside {
    html_url: Option<String>,
    actor: Option<User>,
}

#[derive(Debug, Deserialize)]
struct OfRelease {
    action: String,
    release: Release,
    repository: Named,
}

#[derive(Debug, Deserialize)]
struct Release {
    id: u64,
    tag_name: String,
    target_commitish: String,
    html_url: Option<String>,
    author: Option<User>,
    published_at: Option<Timestamp>,
    created_at: Timestamp,
}

#[derive(Debug, Deserialize)]
struct OfRun {
    action: String,
    workflow_run: Run,
    repository: Named,
}

#[derive(Debug, Deserialize)]
struct Run {
    id: u64,
    #[serde(rename = "run_attempt")]
    attempt: u64,
    path: String,
    event: String,
    conclusion: Option<String>,
    head_sha: String,
    head_branch: Option<String>,
    html_url: Option<String>,
    actor: Option<User>,
    head_repository: Option<Named>,
    #[serde(rename = "run_started_at")]
    began_at: Timestamp,
    updated_at: Timestamp,
}

/// Reads an event that GitHub has signed. `event`: its `X-GitHub-Event`.
///
/// # Errors
/// It is not as GitHub documents it, or says something to deployguard that can't be.
pub fn read(event: &str, body: &[u8], known: &Repositories) -> Result<Heard, Told> {
    match event {
        "deployment" | "deployment_status" => deployment(&decode(body)?, known),
        "release" => Ok(release(&decode(body)?, known)),
        "workflow_run" => Ok(run(&decode(body)?, known)),
        "ping" => Ok(Heard::Ignored("pong".to_owned())),
        other => Ok(Heard::Ignored(format!(
            "`{}` tells of no deployment: deployment_status, deployment, release and \
             workflow_run do",
            other.chars().take(100).collect::<String>()
        ))),
    }
}

fn decode<T: DeserializeOwned>(body: &[u8]) -> Result<T, Told> {
    let mut reader = serde_json::Deserializer::from_slice(body);
    serde_path_to_error::deserialize(&mut reader).map_err(|error| {
        let field = error.path().to_string();
        Told { field, why: error.into_inner().to_string() }
    })
}

fn deployment(told: &OfDeployment, known: &Repositories) -> Result<Heard, Told> {
    let ignored = |why: String| Ok(Heard::Ignored(why));
    let one = &told.deployment;
    if told.action != "created" {
        return ignored(format!("action `{}`", told.action));
    }
    let state = told.deployment_status.as_ref().map(|status| status.state.as_str());
    let stadium = match state {
        None => Stadium::Created,
        Some("in_progress") => Stadium::InProgress,
        Some("success") => Stadium::Success,
        Some(state) => return ignored(format!("state `{state}` begins no deployment")),
    };
    if stadium < known.announce {
        let waits = match known.announce {
            Stadium::Created => "created",
            Stadium::InProgress => "in_progress",
            Stadium::Success => "success",
        };
        return ignored(format!("it is announced from `{waits}` on (github.announce)"));
    }
    let place = match place(&told.repository.full_name, &one.environment, known) {
        Ok(place) => place,
        Err(why) => return ignored(why),
    };
    let extra = extra(&one.payload).map_err(|(field, why)| Told { field, why })?;
    let services = services(&place, one, &extra)?;
    if services.is_empty() {
        let (repository, task) = (place.repository, &one.task);
        let why = format!("the settings name no service for task `{task}` of {repository}");
        return ignored(format!("{why} in {}", one.environment));
    }
    let beside = told.workflow_run.as_ref();
    let status = told.deployment_status.as_ref();
    let links = [
        status.and_then(|status| status.log_url.clone()),
        status.and_then(|status| status.target_url.clone()),
        beside.and_then(|run| run.html_url.clone()),
    ];
    let actor = beside.and_then(|run| run.actor.as_ref());
    let author = match &one.creator {
        // Whoever set the pipeline off says more than the pipeline's own account.
        Some(creator) if creator.login.ends_with("[bot]") => actor.or(one.creator.as_ref()),
        creator => creator.as_ref().or(actor),
    };
    let version = extra.version.clone().unwrap_or_else(|| version(&one.of, &one.sha));
    Ok(Heard::Deployed(Box::new(Deployed {
        id: format!("github/{}/deployment/{}", place.repository, one.id),
        environment: one.environment.clone(),
        repository: place.repository.to_owned(),
        origin: Some(origin(place.repository, Some(one.id), &services)),
        services,
        version: Some(version),
        commit: Some(one.sha.clone()),
        author: author.map(|user| user.login.clone()),
        url: links.into_iter().flatten().find(|link| !link.is_empty()),
        at: status.map_or(one.created_at, |status| status.created_at),
        extra,
    })))
}

fn release(told: &OfRelease, known: &Repositories) -> Heard {
    let one = &told.release;
    // Once for each: when it is published as none, or stops being a pre-release.
    if told.action != "released" {
        return Heard::Ignored(format!("action `{}`: a release is `released` once", told.action));
    }
    let Some((_, repository)) = known.named(&told.repository.full_name) else {
        return Heard::Ignored(unknown(&told.repository.full_name));
    };
    let Some(environment) = &repository.releases else {
        return Heard::Ignored("the settings have no `releases` for it".to_owned());
    };
    let place = match place(&told.repository.full_name, environment, known) {
        Ok(place) => place,
        Err(why) => return Heard::Ignored(why),
    };
    let services = place.services.to_vec();
    Heard::Deployed(Box::new(Deployed {
        id: format!("github/{}/release/{}", place.repository, one.id),
        environment: environment.clone(),
        repository: place.repository.to_owned(),
        origin: Some(origin(place.repository, None, &services)),
        services,
        version: Some(one.tag_name.clone()),
        commit: is_sha(&one.target_commitish).then(|| one.target_commitish.clone()),
        author: one.author.as_ref().map(|user| user.login.clone()),
        url: one.html_url.clone(),
        at: one.published_at.unwrap_or(one.created_at),
        extra: Extra::default(),
    }))
}

fn run(told: &OfRun, known: &Repositories) -> Heard {
    let one = &told.workflow_run;
    let stadium = match (told.action.as_str(), one.conclusion.as_deref()) {
        ("requested", _) => Stadium::Created,
        ("in_progress", _) => Stadium::InProgress,
        ("completed", Some("success")) => Stadium::Success,
        (action, conclusion) => {
            let conclusion = conclusion.unwrap_or("no conclusion");
            return Heard::Ignored(format!("action `{action}`, {conclusion}"));
        }
    };
    if stadium < known.announce {
        return Heard::Ignored("it is announced later (github.announce)".to_owned());
    }
    // A stranger's fork can run a workflow of the same name.
    let own = one
        .head_repository
        .as_ref()
        .is_some_and(|head| head.full_name.eq_ignore_ascii_case(&told.repository.full_name));
    if !own || one.event.starts_with("pull_request") {
        return Heard::Ignored("a run for a pull request or of a fork deploys nothing".to_owned());
    }
    let Some((_, repository)) = known.named(&told.repository.full_name) else {
        return Heard::Ignored(unknown(&told.repository.full_name));
    };
    // `.github/workflows/deploy.yml`, in some events with `@refs/heads/main`.
    let path = one.path.split('@').next().unwrap_or_default();
    let file = path.rsplit('/').next().unwrap_or_default();
    let Some(environment) = repository.workflows.get(file) else {
        return Heard::Ignored(format!("the settings have no `workflows` with {file} for it"));
    };
    let place = match place(&told.repository.full_name, environment, known) {
        Ok(place) => place,
        Err(why) => return Heard::Ignored(why),
    };
    let services = place.services.to_vec();
    let of = one.head_branch.as_deref().unwrap_or(&one.head_sha);
    Heard::Deployed(Box::new(Deployed {
        id: format!("github/{}/run/{}/{}", place.repository, one.id, one.attempt),
        environment: environment.clone(),
        repository: place.repository.to_owned(),
        origin: Some(origin(place.repository, None, &services)),
        services,
        version: Some(version(of, &one.head_sha)),
        commit: Some(one.head_sha.clone()),
        author: one.actor.as_ref().map(|user| user.login.clone()),
        url: one.html_url.clone(),
        at: if stadium == Stadium::Success { one.updated_at } else { one.began_at },
        extra: Extra::default(),
    }))
}

/// What the settings know of a repository's environment.
struct Place<'a> {
    /// As the settings write it.
    repository: &'a str,
    services: &'a [DeployedService],
}

fn place<'a>(
    repository: &str,
    environment: &str,
    known: &'a Repositories,
) -> Result<Place<'a>, String> {
    let (name, one) = known.named(repository).ok_or_else(|| unknown(repository))?;
    let Repository { environments, .. } = one;
    match environments.get(environment) {
        Some(services) => Ok(Place { repository: name, services }),
        None => Err(format!("the settings have no environment `{environment}` for {name}")),
    }
}

fn unknown(repository: &str) -> String {
    format!("the settings have no repository {repository} (github.repositories)")
}

/// The services of the settings that a deployment is about.
fn services(
    place: &Place<'_>,
    one: &Deployment,
    extra: &Extra,
) -> Result<Vec<DeployedService>, Told> {
    let known = |name: &String| place.services.iter().any(|service| service.service == *name);
    if let Some(other) = extra.services.iter().find(|name| !known(name)) {
        let field = "deployment.payload.deployguard.services".to_owned();
        let why = format!("the settings name no `{other}` for {} there", place.repository);
        return Err(Told { field, why });
    }
    let meant = |service: &&DeployedService| {
        let task = service.task.as_deref().unwrap_or(DEPLOY);
        let named = extra.services.is_empty() || extra.services.contains(&service.service);
        task == one.task && named
    };
    let services: Vec<DeployedService> = place.services.iter().filter(meant).cloned().collect();
    if extra.task_definition.is_some() && services.len() > 1 {
        let field = "deployment.payload.deployguard.task_definition".to_owned();
        let why =
            "it is of one service, and the deployment is about several: name it in `services`";
        return Err(Told { field, why: why.to_owned() });
    }
    Ok(services)
}

fn origin(repository: &str, deployment: Option<u64>, services: &[DeployedService]) -> GitHubOrigin {
    let mut names: Vec<String> = services.iter().map(|one| one.service.clone()).collect();
    names.sort();
    GitHubOrigin { repository: repository.to_owned(), deployment, services: names }
}

/// A tag is a version; a branch is none, and is told with its commit.
fn version(of: &str, sha: &str) -> String {
    let of = of.strip_prefix("refs/heads/").or(of.strip_prefix("refs/tags/")).unwrap_or(of);
    let short: String = sha.chars().take(SHORT).collect();
    let numbered = of.trim_start_matches(['v', 'V']).starts_with(|c: char| c.is_ascii_digit());
    if is_sha(of) {
        short
    } else if numbered {
        of.to_owned()
    } else {
        format!("{of}@{short}")
    }
}

fn is_sha(text: &str) -> bool {
    text.len() == 40 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}
