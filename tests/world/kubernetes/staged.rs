//! TaskFlow on Kubernetes (document 002), guarded: blue in place, green beside it, customers,
//! a Prometheus that scrapes the pods as a cluster's does, and deployguard with the document's
//! policy.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::super::aws::model::RunningTask;
use super::super::daemon::Daemon;
use super::super::load::Load;
use super::super::past;
use super::super::prometheus::Prometheus;
use super::super::shop::Shops;
use super::super::site::Site;
use super::super::{World, WorldConfig};
use super::exporters::Exporters;
use super::policy::Guarded;
use super::{Kubernetes, NAMESPACE, objects};

/// The Ingress of the canary.
pub const CANARY: &str = "taskflow-api-canary";
const WEIGHT: &str = "nginx.ingress.kubernetes.io/canary-weight";

/// Everything of it; ends when it is dropped.
pub struct Staged {
    pub daemon: Daemon,
    pub cluster: Kubernetes,
    /// Where people are told, with the Prometheus that scrapes the pods; its ECS idles.
    pub world: World,
    _load: Load,
    _beside: (Exporters, Site),
}

impl Staged {
    /// Starts it, guarded where the Service's selector is switched, and returns once deployguard
    /// has seen blue and an hour's worth of requests.
    pub async fn start(binary: &Path) -> anyhow::Result<Self> {
        Self::guarding(binary, Guarded::Service).await
    }

    /// The same, with a canary's Ingress that gets nothing yet; deployguard moves its weight on.
    pub async fn with_canary(binary: &Path) -> anyhow::Result<Self> {
        Self::guarding(binary, Guarded::Ingress).await
    }

    async fn guarding(binary: &Path, guarded: Guarded) -> anyhow::Result<Self> {
        let idle = WorldConfig { tasks: 1, requests_per_second: 1, ..WorldConfig::default() };
        let mut world = World::start(idle).await?;
        let shops = Arc::new(Shops::new("production"));
        let cluster = Kubernetes::start(Duration::from_millis(300), shops).await?;
        cluster.create("services", objects::service("taskflow-api", &objects::side("blue")))?;
        let blue = ("taskflow-api-blue", "blue", "registry.example.com/taskflow:v1.0.0");
        let green = ("taskflow-api-green", "green", "registry.example.com/taskflow:v1.0.1");
        for (name, side, image) in [blue, green] {
            let deployment = objects::deployment(name, &objects::side(side), image, &[]);
            cluster.create("deployments", deployment)?;
            cluster.wait_complete(name).await;
        }
        if guarded == Guarded::Ingress {
            cluster.create("services", objects::service("green", &objects::side("green")))?;
            let ingress = objects::ingress("taskflow-api", "taskflow-api", None);
            cluster.create("ingresses", ingress)?;
            cluster.create("ingresses", objects::ingress(CANARY, "green", Some(0)))?;
        }
        let load = Load::start(cluster.serving(), "taskflow-api", 80);
        let (exporters, site) = (Exporters::start().await?, Site::start().await?);
        site.says("/taskflow-*/_count", 200, r#"{"count":2}"#);
        let beside = exporters.targets();
        world.prometheus = Prometheus::labelling(cluster.running(), labels, beside, false).await?;
        world.prometheus.remember(&past::of_pods(exporters.address())).await?;
        let policy = guarded.policy(&site.url())?;
        let mut daemon = Daemon::at_home(binary, &world, &policy)?;
        let (url, kubeconfig) = (world.prometheus.url(), cluster.kubeconfig());
        daemon.settle(|settings| {
            settings["prometheus"]["url"] = json!(url);
            settings["targets"] = json!({ "taskflow-k8s": {
                "kubernetes": { "kubeconfig": kubeconfig }, "clusters": [NAMESPACE],
            } });
            settings["outbound"] = json!({ "allow": [site.url()] });
            settings["discover"] = json!({ "ecs": { "every": "1s" } });
            if let Some(all) = settings.as_object_mut() {
                all.remove("aws");
            }
        })?;
        daemon.start().await?;
        let history = r#"sum(increase(http_requests_total{service="taskflow-api"}[10s]))"#;
        world.prometheus.wait_for(history, Duration::from_secs(30), |n| n > 300.0).await?;
        daemon
            .wait_for("the first look at Kubernetes", Duration::from_secs(20), async |daemon| {
                let ready = daemon.get("/readyz").await?;
                Ok((!ready["detail"]["looked_at"].is_null()).then_some(()))
            })
            .await?;
        Ok(Self { daemon, cluster, world, _load: load, _beside: (exporters, site) })
    }

    /// Gives a side another version, and waits until its pods are there.
    pub async fn prepare(
        &self,
        side: &str,
        version: &str,
        env: &[(&str, &str)],
    ) -> anyhow::Result<()> {
        let image = format!("registry.example.com/taskflow:{version}");
        let name = format!("taskflow-api-{side}");
        let template = objects::template(&objects::side(side), &image, env);
        self.cluster.patch("deployments", &name, &json!({ "spec": { "template": template } }))?;
        // The controller takes it up first.
        tokio::time::sleep(Duration::from_millis(400)).await;
        self.cluster.wait_complete(&name).await;
        self.wait_scraped(side).await
    }

    /// Waits until Prometheus scrapes the pods that run, and none that is gone.
    async fn wait_scraped(&self, side: &str) -> anyhow::Result<()> {
        let scraped = async {
            loop {
                let pods = self.cluster.running().borrow().clone();
                let sets: BTreeSet<&str> =
                    pods.iter().map(|pod| pod.task_definition.as_str()).collect();
                let of_side = sets.iter().filter(|set| set.contains(side)).count();
                let running: BTreeSet<String> =
                    pods.iter().map(|pod| pod.address.to_string()).collect();
                let up = self.world.prometheus.query(r#"up{version!=""}"#).await?;
                let found: BTreeSet<String> = up
                    .iter()
                    .filter_map(|one| Some(one["metric"]["instance"].as_str()?.to_owned()))
                    .collect();
                let all_up = up.iter().all(|one| one["value"][1] == "1");
                if of_side == 1 && all_up && found == running {
                    return Ok(());
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), scraped).await?
    }

    /// Switches the Service's selector, as document 002 does, and announces the version.
    pub async fn switch(&self, side: &str, version: &str) -> anyhow::Result<()> {
        let merge = json!({ "spec": { "selector": { "version": side } } });
        self.cluster.patch("services", "taskflow-api", &merge)?;
        let body = announcement(version, &json!({ "service": "taskflow-api" }));
        self.daemon.announce(&body).await?;
        Ok(())
    }

    /// Gives the canary its first share, in percent, as document 002 does, and announces it.
    pub async fn begin_canary(&self, version: &str, weight: u8) -> anyhow::Result<()> {
        let notes = json!({ "metadata": { "annotations": { WEIGHT: weight.to_string() } } });
        self.cluster.patch("ingresses", CANARY, &notes)?;
        self.daemon.announce(&announcement(version, &json!({ "ingress": "taskflow-api" }))).await?;
        Ok(())
    }

    /// The canary's weight.
    pub fn weight(&self) -> String {
        let ingress = self.cluster.get("ingresses", CANARY).unwrap_or_default();
        ingress["metadata"]["annotations"][WEIGHT].as_str().unwrap_or_default().to_owned()
    }

    /// The side that the Service selects.
    pub fn selected(&self) -> String {
        let service = self.cluster.get("services", "taskflow-api").unwrap_or_default();
        service["spec"]["selector"]["version"].as_str().unwrap_or_default().to_owned()
    }
}

/// What a cluster's discovery gives a pod: the job of document 002's `prometheus.yml`, and the
/// label of its side.
fn labels(pod: &RunningTask) -> Value {
    let set = pod.task_definition.trim_start_matches("taskflow-api-");
    let side = set.split('-').next().unwrap_or_default();
    json!({ "job": "taskflow-api", "service": pod.service, "version": side })
}

/// What a pipeline announces; `what`: the Service, the Ingress or the Deployment.
pub fn announcement(version: &str, what: &Value) -> Value {
    let mut kubernetes = what.clone();
    kubernetes["namespace"] = json!(NAMESPACE);
    json!({
        "id": format!("gha-{version}"), "service": "taskflow-api", "environment": "production",
        "platform": { "kubernetes": kubernetes },
        "version": version, "author": "dana", "rollback_safe": true,
    })
}
