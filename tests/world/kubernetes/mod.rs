//! Kubernetes on loopback: the API over objects that a model of the Deployment controller
//! moves on, and pods that really run.

mod controller;
mod exporters;
mod http;
pub mod objects;
mod patch;
mod pods;
mod policy;
pub mod staged;
mod store;

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::anyhow;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;

use super::aws::TaskRunner;
use super::aws::model::RunningTask;
use super::faults::Faults;
use super::lock;
use super::server::Server;
use controller::text;
use pods::Pods;
use store::Store;

/// The namespace of everything here.
pub const NAMESPACE: &str = "production";

/// What goes wrong with a call.
#[derive(Clone)]
pub enum Fault {
    /// Answered with this status, and nothing is done.
    Status(u16),
    /// No answer, and nothing is done.
    Hang,
    /// It is done, and the answer is lost.
    Lost,
    /// This happens right before it is done.
    Meanwhile(Arc<dyn Fn() + Send + Sync>),
}

/// A change over the API.
#[derive(Debug, Clone)]
pub struct Mutation {
    /// The field manager.
    pub by: String,
    /// `services/taskflow-api`.
    pub what: String,
    pub patch: Value,
}

struct Inner {
    store: Mutex<Store>,
    faults: Faults<Fault>,
    /// `patch services`: what the caller may not.
    forbidden: Mutex<BTreeSet<String>>,
    /// Images whose pods never become ready.
    stuck: Mutex<BTreeSet<String>>,
    calls: Mutex<Vec<String>>,
    mutations: Mutex<Vec<Mutation>>,
    /// The controller has something to do at once.
    wake: Notify,
    /// Watches are cut off.
    ended: watch::Sender<u32>,
    /// No step is made while it is held.
    held: Mutex<bool>,
}

/// A running cluster; everything in it ends when it is dropped.
pub struct Kubernetes {
    inner: Arc<Inner>,
    server: Server,
    pods: Arc<Pods>,
    home: TempDir,
    stepping: JoinHandle<()>,
}

impl Drop for Kubernetes {
    fn drop(&mut self) {
        self.stepping.abort();
    }
}

impl Kubernetes {
    /// An empty cluster whose controller makes a step each `step`.
    pub async fn start(step: Duration, runner: Arc<dyn TaskRunner>) -> anyhow::Result<Self> {
        let inner = Arc::new(Inner {
            store: Mutex::default(),
            faults: Faults::default(),
            forbidden: Mutex::default(),
            stuck: Mutex::default(),
            calls: Mutex::default(),
            mutations: Mutex::default(),
            wake: Notify::new(),
            ended: watch::Sender::new(0),
            held: Mutex::default(),
        });
        let server = Server::start(http::router(inner.clone())).await?;
        let pods = Arc::new(Pods::new(runner));
        let (model, running) = (inner.clone(), pods.clone());
        let stepping = tokio::spawn(async move {
            loop {
                tokio::select! {
                    () = tokio::time::sleep(step) => {}
                    () = model.wake.notified() => {}
                }
                let held = *lock(&model.held);
                if !held {
                    let stuck = lock(&model.stuck).clone();
                    controller::step(&mut lock(&model.store), &stuck);
                }
                running.follow(&model).await;
            }
        });
        let home = TempDir::with_prefix("deployguard-kubernetes-")?;
        let config = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "test",
            "clusters": [{ "name": "test", "cluster": { "server": server.url() } }],
            "users": [{ "name": "test", "user": { "token": "token-0123456789" } }],
            "contexts": [{ "name": "test", "context": { "cluster": "test", "user": "test" } }],
        });
        fs::write(home.path().join("config"), config.to_string())?;
        Ok(Self { inner, server, pods, home, stepping })
    }

    pub fn url(&self) -> String {
        self.server.url()
    }

    /// A kubeconfig for it.
    pub fn kubeconfig(&self) -> PathBuf {
        self.home.path().join("config")
    }

    /// Creates an object, as `kubectl apply` does.
    pub fn create(&self, kind: &str, object: Value) -> anyhow::Result<()> {
        let made = lock(&self.inner.store).create(kind, "kubectl-client-side-apply", object);
        self.inner.wake.notify_one();
        made.map_err(|(code, why)| anyhow!("{code}: {why}"))
    }

    /// Changes an object, as `kubectl patch` does.
    pub fn patch(&self, kind: &str, name: &str, merge: &Value) -> anyhow::Result<()> {
        self.inner.change(kind, name, merge)
    }

    /// The same, by whoever holds it later.
    pub fn patcher(&self) -> impl Fn(&str, &str, &Value) + Send + Sync + 'static {
        let inner = self.inner.clone();
        move |kind, name, merge| inner.change(kind, name, merge).expect("a patch that fits")
    }

    pub fn delete(&self, kind: &str, name: &str) {
        lock(&self.inner.store).delete(kind, NAMESPACE, name);
    }

    pub fn get(&self, kind: &str, name: &str) -> Option<Value> {
        lock(&self.inner.store).get(kind, NAMESPACE, name).cloned()
    }

    pub fn faults(&self) -> &Faults<Fault> {
        &self.inner.faults
    }

    pub fn forbid(&self, call: &str) {
        lock(&self.inner.forbidden).insert(call.to_owned());
    }

    /// Pods of this image never become ready.
    pub fn never_starts(&self, image: &str) {
        lock(&self.inner.stuck).insert(image.to_owned());
    }

    /// The controller makes no step until it is let go.
    pub fn hold(&self, held: bool) {
        *lock(&self.inner.held) = held;
    }

    /// Every watch ends now.
    pub fn cut_watches(&self) {
        self.inner.ended.send_modify(|count| *count += 1);
    }

    /// `list services`, in the order in which they came.
    pub fn calls(&self) -> Vec<String> {
        lock(&self.inner.calls).clone()
    }

    /// What deployguard changed.
    pub fn mutations(&self) -> Vec<Mutation> {
        let all = lock(&self.inner.mutations).clone();
        all.into_iter().filter(|one| one.by == "deployguard").collect()
    }

    /// Every pod that runs.
    pub fn running(&self) -> watch::Receiver<Vec<RunningTask>> {
        self.pods.running()
    }

    /// The pods that get requests: a Service's, or an Ingress's by its weights.
    pub fn serving(&self) -> watch::Receiver<Vec<RunningTask>> {
        self.pods.serving()
    }

    /// Waits until no roll-out is under way.
    pub async fn wait_complete(&self, deployment: &str) {
        let complete = async {
            loop {
                let done = self.get("deployments", deployment).is_some_and(|one| {
                    let status = &one["status"];
                    status["observedGeneration"] == one["metadata"]["generation"]
                        && status["replicas"] == one["spec"]["replicas"]
                        && status["conditions"][0]["reason"] == "NewReplicaSetAvailable"
                });
                if done {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        let waited = tokio::time::timeout(Duration::from_secs(30), complete).await;
        waited.expect("the roll-out ends");
    }

    /// The image of a Deployment's template.
    pub fn image(&self, deployment: &str) -> String {
        let found = self.get("deployments", deployment).unwrap_or_default();
        text(&found["spec"]["template"]["spec"]["containers"][0]["image"])
    }
}

impl Inner {
    fn change(&self, kind: &str, name: &str, merge: &Value) -> anyhow::Result<()> {
        let mut store = lock(&self.store);
        let mut object = store.get(kind, NAMESPACE, name).cloned().ok_or(anyhow!("no {name}"))?;
        let patched = patch::apply(&mut object, "application/merge-patch+json", merge);
        let written = patched.and_then(|()| store.write(kind, "kubectl-patch", object).map(drop));
        drop(store);
        self.wake.notify_one();
        written.map_err(|(code, why)| anyhow!("{code}: {why}"))
    }
}
