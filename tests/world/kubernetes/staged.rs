//! TaskFlow on Kubernetes (document 002), guarded: blue in place, green beside it, customers,
//! a Prometheus that scrapes the pods, and deployguard.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::super::daemon::Daemon;
use super::super::load::Load;
use super::super::prometheus::Prometheus;
use super::super::shop::Shops;
use super::super::{World, WorldConfig};
use super::{Kubernetes, NAMESPACE, objects};

/// Document 002's own trigger, 5 % of errors, in seconds instead of hours.
pub const POLICY: &str = r#"
version: 1
policy: taskflow-k8s-production
environment: production
match: { target: taskflow-k8s, cluster: production, service: service/taskflow-api }
mode: auto
labels: { service: service }
phases:
  full:      { until: 12s, interval: 1s }
  blue-kept: { until: 18s, interval: 1s }
grace: 2s
checks:
  error rate:
    ratio:
      bad: { counter: 'http_requests_total{status=~"5.."}' }
      total: { counter: http_requests_total }
    normal: "< 0.1%"
    breach: { SEV1: "> 5%" }
    baseline: { against: [before], worse_by: 2x, severity: SEV3 }
    window: 5s
actions: { SEV1: rollback, SEV2: { ask: 15m, on_timeout: escalate }, SEV3: notify }
rollback: { to: known-good, known_good_after: full, fallback: previous, recover_within: 60s, cooldown: 1h }
notify: { slack: { channel: C0DEPLOYS01, page: [S0ONCALL] } }
"#;

/// Everything of it; ends when it is dropped.
pub struct Staged {
    pub daemon: Daemon,
    pub cluster: Kubernetes,
    /// Where people are told, with the Prometheus that scrapes the pods; its ECS idles.
    pub world: World,
    _load: Load,
}

impl Staged {
    /// Starts it, and returns once deployguard has seen blue and an hour's worth of requests.
    pub async fn start(binary: &Path) -> anyhow::Result<Self> {
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
        let load = Load::start(cluster.serving(), "taskflow-api", 80);
        world.prometheus = Prometheus::start(cluster.running()).await?;
        let mut daemon = Daemon::at_home(binary, &world, POLICY)?;
        let (url, kubeconfig) = (world.prometheus.url(), cluster.kubeconfig());
        daemon.settle(|settings| {
            settings["prometheus"]["url"] = json!(url);
            settings["targets"] = json!({ "taskflow-k8s": {
                "kubernetes": { "kubeconfig": kubeconfig }, "clusters": [NAMESPACE],
            } });
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
        Ok(Self { daemon, cluster, world, _load: load })
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
        Ok(())
    }

    /// Switches the Service's selector, as document 002 does, and announces the version.
    pub async fn switch(&self, side: &str, version: &str) -> anyhow::Result<()> {
        let merge = json!({ "spec": { "selector": { "version": side } } });
        self.cluster.patch("services", "taskflow-api", &merge)?;
        let body = announcement(version, &json!({ "service": "taskflow-api" }));
        self.daemon.announce(&body).await?;
        Ok(())
    }

    /// The side that the Service selects.
    pub fn selected(&self) -> String {
        let service = self.cluster.get("services", "taskflow-api").unwrap_or_default();
        service["spec"]["selector"]["version"].as_str().unwrap_or_default().to_owned()
    }
}

/// What a pipeline announces; `what`: the Service, or the Deployment.
pub fn announcement(version: &str, what: &Value) -> Value {
    let mut kubernetes = what.clone();
    kubernetes["namespace"] = json!(NAMESPACE);
    json!({
        "id": format!("gha-{version}"), "service": "taskflow-api", "environment": "production",
        "platform": { "kubernetes": kubernetes },
        "version": version, "author": "dana", "rollback_safe": true,
    })
}
