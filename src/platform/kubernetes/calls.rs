//! Requests to the API: each with a time-out, none repeated by itself.

use std::fmt::Debug;
use std::time::Duration;

use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet};
use k8s_openapi::api::core::v1::{Namespace as NamespaceObject, Service};
use k8s_openapi::api::networking::v1::Ingress;
use kube::api::{Api, ApiResource, DynamicObject, ListParams, Patch, PatchParams};
use kube::core::GroupVersionKind;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::Kubernetes;
use super::fault::{Call, Fault, Kind, call};
use super::named::Named;

/// The most that one request may take.
const ANSWER: Duration = Duration::from_secs(10);
/// Objects in a page, and pages: more is refused, never cut off silently.
const PAGE: u32 = 500;
const PAGES: usize = 40;
/// As `managedFields` names whoever changed something.
const MANAGER: &str = "deployguard";

/// All that is read of a namespace, at about one time.
#[derive(Debug, Clone, Default)]
pub(super) struct Namespace {
    pub(super) deployments: Vec<Deployment>,
    /// Read after the Deployments, so that the one in place is among them.
    pub(super) sets: Vec<ReplicaSet>,
    pub(super) services: Vec<Service>,
    pub(super) ingresses: Vec<Ingress>,
    /// `HTTPRoutes`, as they are.
    pub(super) routes: Vec<DynamicObject>,
}

/// What of a namespace is read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Parts {
    pub(super) services: bool,
    pub(super) ingresses: bool,
    pub(super) routes: bool,
}

impl Parts {
    pub(super) const ALL: Self = Self { services: true, ingresses: true, routes: true };

    /// With what has to be read to see this.
    #[must_use]
    pub(super) fn with(mut self, named: &Named<'_>) -> Self {
        match named {
            Named::Deployment(_) => {}
            Named::Service(_) => self.services = true,
            Named::Ingress(_) => (self.services, self.ingresses) = (true, true),
            Named::Route(_) => (self.services, self.routes) = (true, true),
        }
        self
    }
}

impl Kubernetes {
    pub(super) async fn namespaces(&self) -> Result<Vec<String>, Fault> {
        let api = Api::<NamespaceObject>::all(self.client().clone());
        let all = list(call("list", "namespaces", "the cluster"), &api).await?;
        Ok(all.into_iter().filter_map(|one| one.metadata.name).collect())
    }

    /// Reads a namespace: the switches before what they lead to, a Deployment before its
    /// `ReplicaSets`.
    pub(super) async fn read(&self, namespace: &str, parts: Parts) -> Result<Namespace, Fault> {
        let client = || self.client().clone();
        let mut read = Namespace::default();
        if parts.routes {
            read.routes = self.routes(namespace).await?;
        }
        if parts.ingresses {
            let api = Api::<Ingress>::namespaced(client(), namespace);
            let asked = call("list", "ingresses.networking.k8s.io", namespace);
            read.ingresses = list(asked, &api).await?;
        }
        if parts.services {
            let api = Api::<Service>::namespaced(client(), namespace);
            read.services = list(call("list", "services", namespace), &api).await?;
        }
        let api = Api::<Deployment>::namespaced(client(), namespace);
        read.deployments = list(call("list", "deployments.apps", namespace), &api).await?;
        let api = Api::<ReplicaSet>::namespaced(client(), namespace);
        read.sets = list(call("list", "replicasets.apps", namespace), &api).await?;
        Ok(read)
    }

    /// None where the Gateway API is not installed.
    async fn routes(&self, namespace: &str) -> Result<Vec<DynamicObject>, Fault> {
        let api = self.route_api(namespace);
        let asked = call("list", "httproutes.gateway.networking.k8s.io", namespace);
        match list(asked, &api).await {
            Err(fault) if fault.kind == Kind::Absent => Ok(Vec::new()),
            other => other,
        }
    }

    fn route_api(&self, namespace: &str) -> Api<DynamicObject> {
        let kind = GroupVersionKind::gvk("gateway.networking.k8s.io", "v1", "HTTPRoute");
        let resource = ApiResource::from_gvk_with_plural(&kind, "httproutes");
        Api::namespaced_with(self.client().clone(), namespace, &resource)
    }

    /// A `ReplicaSet` as it is, with what this version knows nothing of.
    pub(super) async fn raw_set(&self, namespace: &str, name: &str) -> Result<Value, Fault> {
        let kind = GroupVersionKind::gvk("apps", "v1", "ReplicaSet");
        let resource = ApiResource::from_gvk_with_plural(&kind, "replicasets");
        let api: Api<DynamicObject> =
            Api::namespaced_with(self.client().clone(), namespace, &resource);
        let asked = call("get", "replicasets.apps", namespace);
        Ok(bounded(asked, api.get(name)).await?.data)
    }

    pub(super) async fn patch_deployment(&self, place: &Place<'_>) -> Result<(), Fault> {
        let api = Api::<Deployment>::namespaced(self.client().clone(), place.namespace);
        patch(call("patch", "deployments.apps", place.namespace), &api, place).await
    }

    pub(super) async fn patch_service(&self, place: &Place<'_>) -> Result<(), Fault> {
        let api = Api::<Service>::namespaced(self.client().clone(), place.namespace);
        patch(call("patch", "services", place.namespace), &api, place).await
    }

    pub(super) async fn patch_ingress(&self, place: &Place<'_>) -> Result<(), Fault> {
        let api = Api::<Ingress>::namespaced(self.client().clone(), place.namespace);
        patch(call("patch", "ingresses.networking.k8s.io", place.namespace), &api, place).await
    }

    pub(super) async fn patch_route(&self, place: &Place<'_>) -> Result<(), Fault> {
        let asked = call("patch", "httproutes.gateway.networking.k8s.io", place.namespace);
        patch(asked, &self.route_api(place.namespace), place).await
    }
}

/// One object, and what is to be changed of it, as a JSON patch.
pub(super) struct Place<'a> {
    pub(super) namespace: &'a str,
    pub(super) name: &'a str,
    /// As it was read: the API refuses the change of any other.
    pub(super) version: &'a str,
    pub(super) changes: Vec<Value>,
}

/// Changes an object if it still is as it was read. Asked once.
async fn patch<K>(asked: Call<'_>, api: &Api<K>, place: &Place<'_>) -> Result<(), Fault>
where
    K: Clone + DeserializeOwned + Debug,
{
    let mut changes = place.changes.clone();
    // The API answers 409 where this is not the version that it has.
    changes.push(serde_json::json!({
        "op": "replace", "path": "/metadata/resourceVersion", "value": place.version,
    }));
    let read = serde_json::from_value(Value::Array(changes)).map_err(|error| Fault {
        kind: Kind::Refused,
        everywhere: false,
        words: format!("{} {}: {error}", asked.verb, asked.resource),
    })?;
    let by = PatchParams { field_manager: Some(MANAGER.to_owned()), ..PatchParams::default() };
    bounded(asked, api.patch(place.name, &by, &Patch::<()>::Json(read))).await.map(drop)
}

async fn list<K>(asked: Call<'_>, api: &Api<K>) -> Result<Vec<K>, Fault>
where
    K: Clone + DeserializeOwned + Debug,
{
    let mut found = Vec::new();
    let mut page = ListParams::default().limit(PAGE);
    for _ in 0..PAGES {
        let some = bounded(asked, api.list(&page)).await?;
        let next = some.metadata.continue_.clone().filter(|token| !token.is_empty());
        found.extend(some);
        match next {
            Some(token) => page = page.continue_token(&token),
            None => return Ok(found),
        }
    }
    let most = PAGES * PAGE as usize;
    let Call { resource, namespace, .. } = asked;
    let words = format!("{namespace} has more than {most} {resource}");
    Err(Fault { kind: Kind::Refused, everywhere: false, words })
}

pub(super) async fn bounded<T>(
    asked: Call<'_>,
    answer: impl Future<Output = kube::Result<T>>,
) -> Result<T, Fault> {
    match tokio::time::timeout(ANSWER, answer).await {
        Ok(answer) => answer.map_err(|error| Fault::of(asked, &error)),
        Err(_) => Err(Fault::late(asked, ANSWER.as_secs())),
    }
}
