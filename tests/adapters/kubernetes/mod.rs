//! The Kubernetes adapter in front of the stand-in.

mod looking;
mod rolling_back;
mod weights;

use std::sync::Arc;
use std::time::Duration;

use deployguard::model::{
    ActFailure, Acted, Permit, Revision, RollbackPlan, ServiceKey, Sighting, StopSwitch, WatchId,
};
use deployguard::platform::kubernetes::{Access, Kubernetes};
use deployguard::platform::{LookError, Platform};
use serde_json::json;

use crate::world::aws::NoProcesses;
use crate::world::kubernetes::{self as world, NAMESPACE, objects};
use crate::world::now;

pub const TARGET: &str = "taskflow-k8s";
pub const SWITCH: &str = "service/taskflow-api";
const STEP: Duration = Duration::from_millis(10);

/// A cluster, and the adapter under test.
pub struct Stage {
    pub cluster: world::Kubernetes,
    pub platform: Kubernetes,
}

pub fn key(service: &str) -> ServiceKey {
    ServiceKey { target: TARGET.into(), cluster: NAMESPACE.into(), service: service.into() }
}

impl Stage {
    pub async fn empty() -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let cluster =
            world::Kubernetes::start(STEP, Arc::new(NoProcesses)).await.expect("a cluster");
        let platform = connect(&cluster).await;
        Self { cluster, platform }
    }

    /// `api` runs v1, at rest.
    pub async fn with_api() -> Self {
        let stage = Self::empty().await;
        let labels = json!({ "app": "api" });
        stage.create("deployments", objects::deployment("api", &labels, "example.com/api:v1", &[]));
        stage.cluster.wait_complete("api").await;
        stage
    }

    /// Blue runs v1.0.0, green v1.1.0, and the Service selects blue.
    pub async fn blue_and_green() -> Self {
        let stage = Self::empty().await;
        for (side, image) in [("blue", "taskflow:v1.0.0"), ("green", "taskflow:v1.1.0")] {
            let name = format!("taskflow-api-{side}");
            let labels = objects::side(side);
            stage.create("deployments", objects::deployment(&name, &labels, image, &[]));
            stage.cluster.wait_complete(&name).await;
        }
        stage.create("services", objects::service("taskflow-api", &objects::side("blue")));
        stage
    }

    pub fn create(&self, kind: &str, object: serde_json::Value) {
        self.cluster.create(kind, object).expect("created");
    }

    pub fn patch(&self, kind: &str, name: &str, merge: &serde_json::Value) {
        self.cluster.patch(kind, name, merge).expect("patched");
    }

    /// Gives `api` this image; the roll-out begins.
    pub fn set_image(&self, image: &str) {
        self.patch("deployments", "api", &image_of("api", image));
    }

    /// The same, to its end.
    pub async fn deploy(&self, image: &str) {
        self.set_image(image);
        self.cluster.wait_complete("api").await;
    }

    /// The selector goes to one side.
    pub fn switch(&self, side: &str) {
        let merge = json!({ "spec": { "selector": { "version": side } } });
        self.patch("services", "taskflow-api", &merge);
    }

    pub async fn look(&self, service: &str) -> Result<Option<Sighting>, LookError> {
        let mut looks = self.platform.look(&[key(service)], now()).await;
        assert_eq!(looks.len(), 1);
        looks.remove(0).1
    }

    pub async fn sighting(&self, service: &str) -> Sighting {
        self.look(service).await.expect("seen").expect("in place")
    }

    /// To put `target` back in the place of what is in place now.
    pub async fn plan(&self, service: &str, target: Revision) -> RollbackPlan {
        let judged = self.sighting(service).await.primary;
        RollbackPlan {
            service: key(service),
            judged: judged.id,
            judged_revision: judged.revision,
            target,
            target_because: "it ran before".into(),
            decided_at: now(),
            pin_digests: false,
            means: deployguard::model::Means::default(),
        }
    }

    pub async fn roll_back(&self, plan: &RollbackPlan) -> Result<Acted, ActFailure> {
        self.platform.roll_back(&permit(), plan).await
    }
}

pub async fn connect(cluster: &world::Kubernetes) -> Kubernetes {
    let access = Access { kubeconfig: Some(cluster.kubeconfig()), ..Access::default() };
    Kubernetes::connect(TARGET, &access).await.expect("a client")
}

pub fn permit() -> Permit {
    Permit::issued_by_store(WatchId::of(&key("api"), "d"), true).unless(StopSwitch::default())
}

/// A change of the main container's image.
pub fn image_of(app: &str, image: &str) -> serde_json::Value {
    let template = objects::template(&json!({ "app": app }), image, &[]);
    json!({ "spec": { "template": template } })
}
