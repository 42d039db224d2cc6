//! GitHub: which deployment there announced one here, and what is written back to it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Facts, Service};

/// What announced a deployment at GitHub.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct GitHubOrigin {
    /// `acme/shopflow`, as the settings write it.
    pub repository: String,
    /// Its deployment; `None`: a release or a run of a workflow did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deployment: Option<u64>,
    /// Every service that it was announced for, sorted: its deployment is one thing at GitHub.
    #[serde(default)]
    pub services: Vec<String>,
}

/// What is written at GitHub about a deployment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GitHubNote {
    /// How its watch stands, at its commit and its deployment. A newer one replaces an
    /// undelivered older one.
    Mark(Mark),
    /// That it was rolled back, for whoever mends the code. The report is made of the
    /// journal up to the notice's time when it is delivered.
    Revert(RevertWish),
}

/// How a watch stands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Mark {
    pub place: CodePlace,
    pub state: MarkState,
    /// Finished words, one line.
    pub words: String,
}

/// Where at GitHub something is written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CodePlace {
    pub repository: String,
    /// As it was announced: a SHA, short or whole.
    pub commit: Option<String>,
    /// The tag that is looked up where no commit was announced.
    pub version: Option<String>,
    pub origin: Option<GitHubOrigin>,
    pub service: String,
    pub environment: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MarkState {
    /// It is watched.
    Watched,
    /// It passed: the only one that is a success.
    Passed,
    /// It is being or was rolled back, or is in breach.
    Failed,
    /// It was not judged to the end.
    Undecided,
    /// Another deployment is in place before it could be judged.
    Superseded,
}

/// What people who mend the code get.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RevertWish {
    pub place: CodePlace,
    pub what: Revert,
    /// "shopflow-api v1.5.0 in production was rolled back: error rate 40%".
    pub title: String,
}

/// What is opened at GitHub after a rollback. Nothing is ever merged.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Revert {
    #[default]
    Off,
    /// An issue with the report.
    Issue,
    /// A pull request that reverts the one that brought the commit; an issue where there is
    /// none to revert.
    PullRequest,
}

/// The repositories whose deployments the settings know: which service a deployment means is
/// said there and nowhere else.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Repositories {
    /// From when on in the life of a deployment at GitHub it is announced.
    pub announce: Stadium,
    /// By `OWNER/NAME`.
    pub all: BTreeMap<String, Repository>,
}

/// How far a deployment is at GitHub.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stadium {
    Created,
    #[default]
    InProgress,
    Success,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Repository {
    /// What is deployed there, by GitHub's name of the environment.
    pub environments: BTreeMap<String, Vec<DeployedService>>,
    /// The environment that a release is deployed to, where a release is a deployment.
    pub releases: Option<String>,
    /// By the workflow's file (`deploy.yml`), the environment that its runs deploy to.
    pub workflows: BTreeMap<String, String>,
}

/// A service that a deployment of a repository puts in place.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DeployedService {
    pub service: String,
    /// The policy's name of the environment, where it is another than GitHub's.
    pub environment: Option<String>,
    pub target: Option<String>,
    pub cluster: Option<String>,
    /// GitHub's `task` of the deployments that are about it; `None`: `deploy`.
    pub task: Option<String>,
}

impl Repositories {
    /// The repository of that name, which GitHub reads in any case, as the settings write it.
    pub fn named(&self, name: &str) -> Option<(&str, &Repository)> {
        let (known, repository) =
            self.all.iter().find(|(known, _)| known.eq_ignore_ascii_case(name))?;
        Some((known, repository))
    }

    /// The one repository that a service is deployed from. `None`: none, or several, so that
    /// a commit could be of either.
    pub fn of(&self, service: &Service) -> Option<&str> {
        let mut fitting = self.all.iter().filter(|(_, one)| one.deploys(service));
        match (fitting.next(), fitting.next()) {
            (Some((name, _)), None) => Some(name),
            (None | Some(_), _) => None,
        }
    }
}

impl Repository {
    fn deploys(&self, service: &Service) -> bool {
        self.environments
            .iter()
            .any(|(environment, services)| services.iter().any(|one| one.is(service, environment)))
    }
}

impl DeployedService {
    /// The policy's name of the environment, of what GitHub calls `environment`.
    pub fn environment<'a>(&'a self, environment: &'a str) -> &'a str {
        self.environment.as_deref().unwrap_or(environment)
    }

    fn is(&self, service: &Service, environment: &str) -> bool {
        let said = |said: &Option<String>, is: &str| said.as_ref().is_none_or(|said| said == is);
        let key = &service.key;
        self.service == key.service
            && self.environment(environment) == service.environment
            && said(&self.target, &key.target)
            && said(&self.cluster, &key.cluster)
    }
}

impl GitHubNote {
    pub fn place(&self) -> &CodePlace {
        match self {
            Self::Mark(mark) => &mark.place,
            Self::Revert(wish) => &wish.place,
        }
    }

    /// What it says, in one line.
    pub fn words(&self) -> &str {
        match self {
            Self::Mark(mark) => &mark.words,
            Self::Revert(wish) => &wish.title,
        }
    }
}

impl CodePlace {
    /// Where something about a deployment is written: in the repository that announced it,
    /// or else in `known`, the settings' one. `None`: nowhere, or nobody said which commit.
    pub fn of(service: &Service, facts: &Facts, known: Option<&str>) -> Option<Self> {
        let origin = facts.github.clone();
        let repository = origin.as_ref().map(|origin| origin.repository.as_str()).or(known)?;
        facts.commit.as_ref().or(origin.as_ref().and(facts.version.as_ref()))?;
        Some(Self {
            repository: repository.to_owned(),
            commit: facts.commit.clone(),
            version: facts.version.clone(),
            service: service.name.clone(),
            environment: service.environment.clone(),
            origin,
        })
    }

    /// The commit status's name.
    pub fn context(&self) -> String {
        format!("deployguard/{}/{}", self.environment, self.service)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ServiceKey;

    fn service(name: &str, cluster: &str) -> Service {
        let key = ServiceKey {
            target: "prod".into(),
            cluster: cluster.to_owned(),
            service: name.to_owned(),
        };
        Service { name: name.to_owned(), environment: "production".into(), key }
    }

    fn one(service: &str, cluster: Option<&str>) -> DeployedService {
        let cluster = cluster.map(str::to_owned);
        DeployedService { service: service.to_owned(), cluster, ..DeployedService::default() }
    }

    #[test]
    fn a_service_has_a_repository_only_where_one_alone_deploys_it() {
        let of = |services| Repository {
            environments: BTreeMap::from([("production".to_owned(), services)]),
            ..Repository::default()
        };
        let repositories = Repositories {
            announce: Stadium::default(),
            all: BTreeMap::from([
                ("acme/shop".to_owned(), of(vec![one("api", Some("us")), one("web", None)])),
                ("acme/infra".to_owned(), of(vec![one("web", None)])),
            ]),
        };
        assert_eq!(repositories.of(&service("api", "us")), Some("acme/shop"));
        assert_eq!(repositories.of(&service("api", "eu")), None, "another cluster");
        assert_eq!(repositories.of(&service("web", "us")), None, "of two repositories");
        let (name, _) = repositories.named("ACME/Shop").unwrap();
        assert_eq!(name, "acme/shop");
    }

    #[test]
    fn nothing_is_written_where_nobody_said_which_commit() {
        let service = service("api", "us");
        let mut facts = Facts { version: Some("v1".into()), ..Facts::default() };
        assert_eq!(CodePlace::of(&service, &facts, Some("acme/shop")), None, "whose tag is it?");
        facts.commit = Some("4f1c2aa".into());
        assert_eq!(CodePlace::of(&service, &facts, None), None);
        let place = CodePlace::of(&service, &facts, Some("acme/shop")).unwrap();
        assert_eq!(place.context(), "deployguard/production/api");
        (facts.commit, facts.github) = (
            None,
            Some(GitHubOrigin {
                repository: "acme/other".into(),
                deployment: None,
                services: vec![],
            }),
        );
        let place = CodePlace::of(&service, &facts, Some("acme/shop")).unwrap();
        assert_eq!(place.repository, "acme/other", "who announced it knows best");
    }
}
