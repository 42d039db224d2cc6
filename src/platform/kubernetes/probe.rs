//! Whether deployguard may do what it will need, asked without doing it.

use k8s_openapi::api::authorization::v1::{
    ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec,
};
use kube::api::{Api, PostParams};

use super::Kubernetes;
use super::calls::bounded;
use super::fault::call;

/// What is needed of each namespace: verb and resource, and whether only acting needs it.
const NEEDED: [(&str, &str, bool); 13] = [
    ("list", "deployments.apps", false),
    ("list", "replicasets.apps", false),
    ("list", "services", false),
    ("list", "ingresses.networking.k8s.io", false),
    ("list", "httproutes.gateway.networking.k8s.io", false),
    ("watch", "deployments.apps", false),
    ("watch", "services", false),
    ("watch", "ingresses.networking.k8s.io", false),
    ("get", "replicasets.apps", true),
    ("patch", "deployments.apps", true),
    ("patch", "services", true),
    ("patch", "ingresses.networking.k8s.io", true),
    ("patch", "httproutes.gateway.networking.k8s.io", true),
];

/// One thing that is needed, and whether it is allowed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tried {
    /// `patch services`.
    pub what: String,
    /// Only a rollback needs it: watching does without.
    pub to_act: bool,
    /// In words why it could not be asked.
    pub allowed: Result<bool, String>,
}

impl Kubernetes {
    /// Asks the API what it would allow in a namespace. Nothing is changed.
    pub async fn probe(&self, namespace: &str) -> Vec<Tried> {
        let mut all = Vec::with_capacity(NEEDED.len());
        for (verb, resource, to_act) in NEEDED {
            let allowed = self.allows(verb, resource, namespace).await;
            all.push(Tried { what: format!("{verb} {resource}"), to_act, allowed });
        }
        all
    }

    async fn allows(&self, verb: &str, resource: &str, namespace: &str) -> Result<bool, String> {
        let (name, group) = resource.split_once('.').unwrap_or((resource, ""));
        let attributes = ResourceAttributes {
            group: Some(group.to_owned()),
            namespace: Some(namespace.to_owned()),
            resource: Some(name.to_owned()),
            verb: Some(verb.to_owned()),
            ..ResourceAttributes::default()
        };
        let review = SelfSubjectAccessReview {
            spec: SelfSubjectAccessReviewSpec {
                resource_attributes: Some(attributes),
                ..SelfSubjectAccessReviewSpec::default()
            },
            ..SelfSubjectAccessReview::default()
        };
        let api = Api::<SelfSubjectAccessReview>::all(self.client().clone());
        // Whoever is known to the cluster may ask this.
        let asked = call("create", "selfsubjectaccessreviews.authorization.k8s.io", namespace);
        let answer = bounded(asked, api.create(&PostParams::default(), &review)).await;
        answer
            .map(|review| review.status.is_some_and(|status| status.allowed))
            .map_err(|fault| fault.words)
    }
}
