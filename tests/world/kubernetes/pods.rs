//! The pods that the `ReplicaSets` ask for: each really runs, and gets requests as the
//! Services select.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;
use tokio::sync::{Mutex, watch};

use super::super::aws::TaskRunner;
use super::super::aws::model::{RunningTask, TaskSpec};
use super::super::lock;
use super::controller::{count, text};
use super::{Inner, NAMESPACE};

pub struct Pods {
    runner: Arc<dyn TaskRunner>,
    /// By `ReplicaSet` and number.
    up: Mutex<BTreeMap<(String, u64), RunningTask>>,
    running: watch::Sender<Vec<RunningTask>>,
    serving: watch::Sender<Vec<RunningTask>>,
}

impl Pods {
    pub fn new(runner: Arc<dyn TaskRunner>) -> Self {
        let (running, serving) = (watch::Sender::default(), watch::Sender::default());
        Self { runner, up: Mutex::default(), running, serving }
    }

    pub fn running(&self) -> watch::Receiver<Vec<RunningTask>> {
        self.running.subscribe()
    }

    pub fn serving(&self) -> watch::Receiver<Vec<RunningTask>> {
        self.serving.subscribe()
    }

    /// Starts and stops what the `ReplicaSets` ask for by now.
    pub(super) async fn follow(&self, inner: &Inner) {
        let sets = lock(&inner.store).list("replicasets", NAMESPACE);
        let mut up = self.up.lock().await;
        let wanted = |set: &Value| count(&set["status"]["readyReplicas"]);
        for set in &sets {
            let name = text(&set["metadata"]["name"]);
            for number in 0..wanted(set) {
                if up.contains_key(&(name.clone(), number)) {
                    continue;
                }
                let spec = spec(set, &format!("{name}-{number}"));
                if let Ok(address) = self.runner.start(&spec).await {
                    let TaskSpec { task, service, task_definition, .. } = spec;
                    let pod = RunningTask { task, service, task_definition, address };
                    up.insert((name.clone(), number), pod);
                }
            }
        }
        let surplus: Vec<(String, u64)> = up
            .keys()
            .filter(|(name, number)| {
                let set = sets.iter().find(|set| set["metadata"]["name"] == **name);
                set.is_none_or(|set| *number >= wanted(set))
            })
            .cloned()
            .collect();
        for key in surplus {
            if let Some(pod) = up.remove(&key) {
                self.runner.stop(&pod.task).await;
            }
        }
        let all: Vec<RunningTask> = up.values().cloned().collect();
        let served = served(inner, &sets, &up);
        self.running.send_if_modified(|known| std::mem::replace(known, all.clone()) != all);
        self.serving.send_if_modified(|known| std::mem::replace(known, served.clone()) != served);
    }
}

/// The pods of every Service, by the share that they get: of a hundred turns each pod has as
/// many as its weight.
fn served(
    inner: &Inner,
    sets: &[Value],
    up: &BTreeMap<(String, u64), RunningTask>,
) -> Vec<RunningTask> {
    let store = lock(&inner.store);
    let ingresses = store.list("ingresses", NAMESPACE);
    let weight = |ingress: &Value| {
        let notes = &ingress["metadata"]["annotations"];
        let weight = notes["nginx.ingress.kubernetes.io/canary-weight"].as_str();
        weight.and_then(|weight| weight.parse::<usize>().ok()).unwrap_or_default()
    };
    let backend = |ingress: &Value| {
        let path = &ingress["spec"]["rules"][0]["http"]["paths"][0];
        text(&path["backend"]["service"]["name"])
    };
    let canary = ingresses
        .iter()
        .find(|one| one["metadata"]["annotations"]["nginx.ingress.kubernetes.io/canary"] == "true");
    let share = canary.map_or(0, weight);
    let service = |name: &str| store.get("services", NAMESPACE, name);
    let of = |service: &Value| -> Vec<RunningTask> {
        let selector = service["spec"]["selector"].as_object().cloned().unwrap_or_default();
        let fits = |set: &&Value| {
            let labels = &set["spec"]["template"]["metadata"]["labels"];
            selector.iter().all(|(key, value)| labels[key] == *value)
        };
        let names = sets.iter().filter(fits).map(|set| text(&set["metadata"]["name"]));
        let names: Vec<String> = names.collect();
        let pods = up.iter().filter(|((set, _), _)| names.contains(set));
        pods.map(|(_, pod)| pod.clone()).collect()
    };
    let new = canary.and_then(|one| Some(of(service(&backend(one))?))).unwrap_or_default();
    let plain = service("taskflow-api").map(of).unwrap_or_default();
    let (old, share) = if new.is_empty() { (plain, 0) } else { (plain, share) };
    // Spread evenly, so that ten turns are like a hundred.
    let turns = (0..100).map(|turn| {
        let to_new = (turn * share) % 100 + share >= 100 && share > 0;
        let pods = if to_new { &new } else { &old };
        (!pods.is_empty()).then(|| pods[turn % pods.len()].clone())
    });
    turns.flatten().collect()
}

fn spec(set: &Value, pod: &str) -> TaskSpec {
    let container = &set["spec"]["template"]["spec"]["containers"][0];
    let pairs = container["env"].as_array().into_iter().flatten();
    let mut environment: BTreeMap<String, String> =
        pairs.map(|pair| (text(&pair["name"]), text(&pair["value"]))).collect();
    let image = text(&container["image"]);
    let version = image.rsplit(':').next().unwrap_or_default().to_owned();
    environment.entry("VERSION".into()).or_insert(version);
    TaskSpec {
        task: pod.to_owned(),
        service: "taskflow-api".to_owned(),
        cluster: NAMESPACE.to_owned(),
        task_definition: text(&set["metadata"]["name"]),
        environment,
    }
}
