//! GitHub: whose deployments are announced by its webhooks, and where is written back.
//!
//! Which service a repository's deployment means stands here and not in a policy: whoever
//! may write a policy could otherwise claim another team's repository.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{bail, ensure};
use serde::Deserialize;

use super::called::web;
use super::{Secret, Settings};
use crate::model::{DeployedService, Repositories, Repository, Stadium};

/// The shortest secret of a webhook, in characters.
const LEAST_SECRET: usize = 16;

#[derive(Debug, Clone, Deserialize)]
#[serde(
    deny_unknown_fields,
    expecting = "`{ webhook_secrets: [{ env: NAME }], token: { env: NAME }, repositories: { OWNER/NAME: { environments: { production: [SERVICE] } } } }`"
)]
pub struct GitHubSettings {
    /// What GitHub signs its webhooks with; two while one takes the other's place. None: no
    /// webhook is taken.
    #[serde(default)]
    pub webhook_secrets: Vec<Secret>,
    /// A fine-grained personal access token. Without it and `app` nothing is written back.
    pub token: Option<Secret>,
    /// A GitHub App in its place.
    pub app: Option<GitHubAppSettings>,
    /// Of GitHub Enterprise Server `https://HOST/api/v3`.
    #[serde(default = "github_api", deserialize_with = "web")]
    pub api_url: String,
    /// From when on a deployment is announced: `created`, `in_progress` or `success`.
    #[serde(default)]
    pub announce: Stadium,
    /// By `OWNER/NAME`.
    #[serde(default)]
    pub repositories: BTreeMap<String, RepositorySettings>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, expecting = "`{ id: 12345, private_key: { file: PATH } }`")]
pub struct GitHubAppSettings {
    /// The App's id or client id.
    pub id: AppId,
    /// As GitHub gives it: PEM.
    pub private_key: Secret,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged, expecting = "an App's id is a number, or its client id")]
pub enum AppId {
    Number(u64),
    Client(String),
}

impl AppId {
    pub fn text(&self) -> String {
        match self {
            Self::Number(id) => id.to_string(),
            Self::Client(id) => id.clone(),
        }
    }
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, expecting = "`{ environments: { production: [SERVICE] } }`")]
pub struct RepositorySettings {
    /// By GitHub's name of the environment, what is deployed there.
    pub environments: BTreeMap<String, Vec<ServiceWritten>>,
    /// The environment that a release is deployed to, where a release is a deployment.
    pub releases: Option<String>,
    /// By a workflow's file, the environment that its runs deploy to.
    #[serde(default)]
    pub workflows: BTreeMap<String, String>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(
    untagged,
    expecting = "a service is its name, or `{ service: NAME, environment: ..., target: ..., cluster: ..., task: ... }`"
)]
pub enum ServiceWritten {
    Name(String),
    Whole(ServiceSettings),
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServiceSettings {
    pub service: String,
    /// The policy's name of the environment, where it is another than GitHub's.
    pub environment: Option<String>,
    pub target: Option<String>,
    pub cluster: Option<String>,
    /// GitHub's `task` of the deployments that are about it.
    pub task: Option<String>,
}

impl ServiceWritten {
    fn deployed(&self) -> DeployedService {
        match self {
            Self::Name(name) => {
                DeployedService { service: name.clone(), ..DeployedService::default() }
            }
            Self::Whole(ServiceSettings { service, environment, target, cluster, task }) => {
                DeployedService {
                    service: service.clone(),
                    environment: environment.clone(),
                    target: target.clone(),
                    cluster: cluster.clone(),
                    task: task.clone(),
                }
            }
        }
    }
}

impl GitHubSettings {
    /// What its repositories deploy.
    pub fn repositories(&self) -> Repositories {
        let repository = |one: &RepositorySettings| Repository {
            environments: one
                .environments
                .iter()
                .map(|(name, services)| {
                    (name.clone(), services.iter().map(ServiceWritten::deployed).collect())
                })
                .collect(),
            releases: one.releases.clone(),
            workflows: one.workflows.clone(),
        };
        let all = self.repositories.iter();
        Repositories {
            announce: self.announce,
            all: all.map(|(name, one)| (name.clone(), repository(one))).collect(),
        }
    }

    /// Whether anything can be written there.
    pub fn writes(&self) -> bool {
        self.token.is_some() || self.app.is_some()
    }
}

impl Settings {
    pub(super) fn check_github(&self) -> anyhow::Result<()> {
        let Some(github) = &self.github else { return Ok(()) };
        if github.webhook_secrets.iter().any(|secret| secret.expose().len() < LEAST_SECRET) {
            bail!(
                "github.webhook_secrets: one is shorter than {LEAST_SECRET} characters: anybody \
                 could sign like GitHub"
            );
        }
        ensure!(
            github.token.is_none() || github.app.is_none(),
            "github: `token` and `app` are two ways to the same: give one of them"
        );
        ensure!(
            github.writes() || !github.webhook_secrets.is_empty(),
            "github: give `webhook_secrets`, so that webhooks are taken, or `token` or `app`, so \
             that something is written back"
        );
        let mut known = BTreeSet::new();
        for (name, repository) in &github.repositories {
            let key = format!("github.repositories.{name}");
            is_repository(name)?;
            ensure!(known.insert(name.to_ascii_lowercase()), "{key}: it is there twice");
            self.check_repository(&key, repository)?;
        }
        Ok(())
    }

    fn check_repository(&self, key: &str, repository: &RepositorySettings) -> anyhow::Result<()> {
        let targets = self.targets();
        for (environment, services) in &repository.environments {
            let key = format!("{key}.environments.{environment}");
            ensure!(!services.is_empty(), "{key}: name the services that are deployed there");
            let mut known = BTreeSet::new();
            for one in services.iter().map(ServiceWritten::deployed) {
                let name = one.service.clone();
                ensure!(!name.is_empty(), "{key}: a service without a name");
                if let Some(target) = one.target.as_ref().filter(|one| !targets.contains_key(*one))
                {
                    let all: Vec<&String> = targets.keys().collect();
                    bail!("{key}: the settings have no target `{target}`; they have: {all:?}");
                }
                let place = (one.service, one.target, one.cluster, one.task);
                ensure!(known.insert(place), "{key}: `{name}` is there twice");
            }
        }
        let named = repository.releases.iter().map(|name| ("releases", name));
        let workflows = repository.workflows.values().map(|name| ("workflows", name));
        for (what, name) in named.chain(workflows) {
            ensure!(
                repository.environments.contains_key(name),
                "{key}.{what}: `environments` has no `{name}`"
            );
        }
        if let Some(file) = repository.workflows.keys().find(|file| file.contains('/')) {
            bail!("{key}.workflows: give the file's name alone, `deploy.yml`, not `{file}`");
        }
        Ok(())
    }
}

fn is_repository(name: &str) -> anyhow::Result<()> {
    let fits = |char: char| char.is_ascii_alphanumeric() || matches!(char, '-' | '_' | '.');
    let is_part = |part: &str| !part.is_empty() && part.chars().all(fits);
    ensure!(
        name.split_once('/').is_some_and(|(owner, name)| is_part(owner) && is_part(name)),
        "github.repositories: `{name}` is no repository: write OWNER/NAME"
    );
    Ok(())
}

fn github_api() -> String {
    "https://api.github.com".to_owned()
}

#[cfg(test)]
mod tests {
    use super::super::tests::read;
    use crate::model::{DeployedService, Stadium};

    fn of(more: &str) -> Result<crate::settings::Settings, String> {
        let folder = tempfile::tempdir().unwrap();
        let secret = |name: &str, value: &str| {
            let file = folder.path().join(name);
            std::fs::write(&file, value).unwrap();
            format!("{{ file: {} }}", file.display())
        };
        let (good, short) = (secret("good", "0123456789abcdef"), secret("short", "0123456"));
        let more = more.replace("SECRET", &good).replace("SHORT", &short);
        read(&format!("aws: {{ region: eu-west-1 }}\ngithub: {{ {more} }}\n"))
    }

    #[test]
    fn repositories_are_read_with_what_each_environment_deploys() {
        let settings = of("webhook_secrets: [SECRET], token: SECRET, repositories: { acme/shopflow: \
             { environments: { production: [shopflow-api, { service: web, environment: prod, \
             task: 'deploy:web' }] }, releases: production, workflows: { deploy.yml: production } } }")
        .unwrap();
        let github = settings.github.unwrap();
        assert_eq!(github.api_url, "https://api.github.com");
        let repositories = github.repositories();
        assert_eq!(repositories.announce, Stadium::InProgress);
        let repository = &repositories.all["acme/shopflow"];
        let name = |name: &str| DeployedService { service: name.to_owned(), ..Default::default() };
        let whole = DeployedService {
            environment: Some("prod".into()),
            task: Some("deploy:web".into()),
            ..name("web")
        };
        assert_eq!(repository.environments["production"], [name("shopflow-api"), whole]);
    }

    #[test]
    fn mistakes_are_told_with_their_key() {
        let repository =
            |text: &str| format!("token: SECRET, repositories: {{ acme/shopflow: {{ {text} }} }}");
        let cases = [
            ("repositories: {}".to_owned(), "give `webhook_secrets`"),
            ("webhook_secrets: [SHORT]".to_owned(), "shorter than 16"),
            ("token: ghp_abc".to_owned(), "never as text"),
            ("token: SECRET, app: { id: 1, private_key: SECRET }".to_owned(), "give one of them"),
            ("token: SECRET, api_url: 'http://github.example'".to_owned(), "must be https"),
            ("token: SECRET, announce: failure".to_owned(), "unknown variant"),
            ("token: SECRET, repositories: { shopflow: { environments: {} } }".to_owned(), "OWNER"),
            (repository("production: [a]"), "unknown field `production`"),
            (repository("environments: { production: [] }"), "name the services"),
            (repository("environments: { production: [a, a] }"), "`a` is there twice"),
            (
                repository("environments: { production: [{ service: a, target: eu }] }"),
                "no target `eu`",
            ),
            (repository("environments: { p: [a] }, releases: q"), "`environments` has no `q`"),
            (repository("environments: { p: [a] }, workflows: { .github/a.yml: p }"), "name alone"),
        ];
        for (text, told) in cases {
            let wrong = of(&text).unwrap_err();
            assert!(wrong.contains(told), "{text}: {wrong}");
            assert!(!wrong.contains("0123456"), "{wrong}");
        }
    }
}
