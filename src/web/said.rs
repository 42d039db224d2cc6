//! Where an announcement says that something is being deployed, and what.

use std::borrow::Cow;

use serde::Deserialize;
use utoipa::ToSchema;

use super::openapi::texts::{EcsName, KubernetesName, Name};
use super::problem::Problem;

/// Where it runs: at most one of these.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Platform)]
pub(super) struct PlatformSaid {
    pub(super) ecs: Option<EcsSaid>,
    pub(super) kubernetes: Option<KubernetesSaid>,
    render: Option<RenderSaid>,
}

/// What of Render is deployed.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = OnRender)]
struct RenderSaid {
    /// A group of the settings, or a service that is in none.
    #[serde(alias = "service")]
    #[schema(value_type = Option<Name>)]
    group: Option<String>,
    /// `dep-...`, of the first service of a group.
    #[schema(value_type = Option<Name>)]
    deploy: Option<String>,
    /// At least its first 7 characters.
    #[schema(value_type = Option<Name>)]
    commit: Option<String>,
}

/// What of ECS is deployed.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = OnEcs)]
pub(super) struct EcsSaid {
    #[schema(value_type = EcsName)]
    pub(super) cluster: String,
    /// The announced service's own name, if it is left out.
    #[schema(value_type = Option<EcsName>)]
    pub(super) service: Option<String>,
    #[schema(value_type = Option<Name>)]
    pub(super) task_definition: Option<String>,
    /// ECS's own id, `ecs-svc/...`.
    #[schema(value_type = Option<Name>)]
    pub(super) deployment: Option<String>,
}

/// Of the four kinds one; none: a Deployment of the service's name.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = OnKubernetes)]
pub(super) struct KubernetesSaid {
    #[schema(value_type = KubernetesName)]
    pub(super) namespace: String,
    #[schema(value_type = Option<KubernetesName>)]
    deployment: Option<String>,
    #[schema(value_type = Option<KubernetesName>)]
    service: Option<String>,
    #[schema(value_type = Option<KubernetesName>)]
    ingress: Option<String>,
    #[schema(value_type = Option<KubernetesName>)]
    route: Option<String>,
    /// The name of the `ReplicaSet`.
    #[schema(value_type = Option<Name>)]
    pub(super) revision: Option<String>,
}

impl KubernetesSaid {
    /// Each kind with its field, what stands before the name in the guard's own words, and
    /// the name.
    fn kinds(&self) -> [(&'static str, &'static str, Option<&String>); 4] {
        [
            ("platform.kubernetes.deployment", "", self.deployment.as_ref()),
            ("platform.kubernetes.service", "service/", self.service.as_ref()),
            ("platform.kubernetes.ingress", "ingress/", self.ingress.as_ref()),
            ("platform.kubernetes.route", "httproute/", self.route.as_ref()),
        ]
    }
}

impl PlatformSaid {
    /// The service as a policy names it; `fallback`: what the announcement calls it.
    pub(super) fn service<'a>(&'a self, fallback: &'a str) -> Cow<'a, str> {
        if let Some(kubernetes) = &self.kubernetes {
            let named = kubernetes
                .kinds()
                .into_iter()
                .find_map(|(_, kind, name)| name.map(|name| Cow::Owned(format!("{kind}{name}"))));
            return named.unwrap_or(Cow::Borrowed(fallback));
        }
        let on_ecs = self.ecs.as_ref().and_then(|ecs| ecs.service.as_deref());
        let on_render = self.render.as_ref().and_then(|render| render.group.as_deref());
        Cow::Borrowed(on_ecs.or(on_render).unwrap_or(fallback))
    }

    pub(super) fn cluster(&self) -> Option<&str> {
        let ecs = self.ecs.as_ref().map(|ecs| ecs.cluster.as_str());
        ecs.or_else(|| self.kubernetes.as_ref().map(|one| one.namespace.as_str()))
    }

    /// What is being deployed, and the platform's id of the deployment.
    pub(super) fn revision(self) -> (Option<String>, Option<String>) {
        match (self.ecs, self.kubernetes, self.render) {
            (Some(ecs), _, _) => (ecs.task_definition, ecs.deployment),
            (None, Some(kubernetes), _) => (kubernetes.revision, None),
            (None, None, Some(render)) => (render.commit, render.deploy),
            (None, None, None) => (None, None),
        }
    }

    /// Every text with its field.
    pub(super) fn texts(&self) -> Vec<(&'static str, &String)> {
        let ecs = self.ecs.iter().flat_map(|ecs| {
            [
                ("platform.ecs.cluster", Some(&ecs.cluster)),
                ("platform.ecs.service", ecs.service.as_ref()),
                ("platform.ecs.task_definition", ecs.task_definition.as_ref()),
                ("platform.ecs.deployment", ecs.deployment.as_ref()),
            ]
        });
        let kubernetes = self.kubernetes.iter().flat_map(|one| {
            let kinds = one.kinds().map(|(field, _, name)| (field, name));
            let more = [
                ("platform.kubernetes.namespace", Some(&one.namespace)),
                ("platform.kubernetes.revision", one.revision.as_ref()),
            ];
            more.into_iter().chain(kinds)
        });
        let render = self.render.iter().flat_map(|one| {
            [
                ("platform.render.group", one.group.as_ref()),
                ("platform.render.deploy", one.deploy.as_ref()),
                ("platform.render.commit", one.commit.as_ref()),
            ]
        });
        ecs.chain(kubernetes)
            .chain(render)
            .filter_map(|(field, text)| Some((field, text?)))
            .collect()
    }

    /// Holds the names against the platform's own rules.
    pub(super) fn check(&self, fallback: &str) -> Result<(), Problem> {
        let named = [self.ecs.is_some(), self.kubernetes.is_some(), self.render.is_some()];
        if named.into_iter().filter(|said| *said).count() > 1 {
            let detail = "it runs in ECS, in Kubernetes or on Render: give one of them";
            return Err(Problem::field("platform", detail));
        }
        if let Some(ecs) = &self.ecs {
            ecs_name("platform.ecs.cluster", &ecs.cluster)?;
            let service = ecs.service.as_deref().unwrap_or(fallback);
            ecs_name("platform.ecs.service", service)?;
        }
        if let Some(kubernetes) = &self.kubernetes {
            kubernetes_name("platform.kubernetes.namespace", &kubernetes.namespace)?;
            let mut named = kubernetes.kinds().into_iter().filter(|(_, _, name)| name.is_some());
            let (first, second) = (named.next(), named.next());
            if let Some((field, _, _)) = second {
                let detail = "give one of deployment, service, ingress and route: what the policy \
                              names";
                return Err(Problem::field(field, detail));
            }
            match first {
                Some((field, _, name)) => {
                    kubernetes_name(field, name.map_or("", String::as_str))?;
                }
                None => kubernetes_name("service", fallback)?,
            }
        }
        Ok(())
    }
}

/// ECS's own rule for the names of clusters and services.
fn ecs_name(field: &str, name: &str) -> Result<(), Problem> {
    let fits = |char: char| char.is_ascii_alphanumeric() || char == '-' || char == '_';
    if !name.is_empty() && name.len() <= 255 && name.chars().all(fits) {
        return Ok(());
    }
    let detail = format!("`{name}` is no name in ECS: letters, digits, `-` and `_`, at most 255");
    Err(Problem::field(field, detail))
}

/// Kubernetes' rule for the names of objects (RFC 1123).
fn kubernetes_name(field: &str, name: &str) -> Result<(), Problem> {
    let fits =
        |char: char| char.is_ascii_lowercase() || char.is_ascii_digit() || "-.".contains(char);
    let is_end = |char: Option<char>| char.is_some_and(|char| char.is_ascii_alphanumeric());
    let ends = is_end(name.chars().next()) && is_end(name.chars().next_back());
    if ends && name.len() <= 253 && name.chars().all(fits) {
        return Ok(());
    }
    let detail = format!(
        "`{name}` is no name in Kubernetes: small letters, digits, `-` and `.`, at most 253"
    );
    Err(Problem::field(field, detail))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(json: &str) -> PlatformSaid {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn a_service_of_kubernetes_is_named_as_its_policy_names_it() {
        for (said_so, service) in [
            (r#"{"kubernetes":{"namespace":"production"}}"#, "api"),
            (r#"{"kubernetes":{"namespace":"production","deployment":"api-v2"}}"#, "api-v2"),
            (r#"{"kubernetes":{"namespace":"production","service":"x"}}"#, "service/x"),
            (r#"{"kubernetes":{"namespace":"production","ingress":"x"}}"#, "ingress/x"),
            (r#"{"kubernetes":{"namespace":"production","route":"x"}}"#, "httproute/x"),
            (r#"{"ecs":{"cluster":"c","service":"x"}}"#, "x"),
            ("{}", "api"),
        ] {
            let read = said(said_so);
            assert_eq!(read.service("api"), service, "{said_so}");
            assert!(read.check("api").is_ok(), "{said_so}");
        }
        let revision = said(r#"{"kubernetes":{"namespace":"production","revision":"api-6d5f"}}"#);
        assert_eq!(revision.cluster(), Some("production"));
        assert_eq!(revision.revision(), (Some("api-6d5f".to_owned()), None));
    }

    #[test]
    fn a_mistake_is_told_with_its_field() {
        for (said_so, field) in [
            (r#"{"kubernetes":{"namespace":"Prod"}}"#, "platform.kubernetes.namespace"),
            (
                r#"{"kubernetes":{"namespace":"p","deployment":"a","service":"b"}}"#,
                "platform.kubernetes.service",
            ),
            (r#"{"kubernetes":{"namespace":"p","ingress":"-a"}}"#, "platform.kubernetes.ingress"),
            (r#"{"kubernetes":{"namespace":"p"},"ecs":{"cluster":"c"}}"#, "platform"),
            (r#"{"ecs":{"cluster":"a b"}}"#, "platform.ecs.cluster"),
        ] {
            let problem = said(said_so).check("api").unwrap_err();
            assert!(format!("{problem:?}").contains(field), "{problem:?}");
        }
    }
}
