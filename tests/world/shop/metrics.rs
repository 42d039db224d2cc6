//! The numbers a shop shows to Prometheus.
//!
//! `ecs_container_*` and `ecs_task_*` are named as prometheus-community/ecs_exporter names them.

use std::time::Duration;

use ::prometheus::core::Collector;
use ::prometheus::{
    CounterVec, GaugeVec, HistogramOpts, HistogramVec, Opts, Registry, TextEncoder,
};
use axum::http::{Method, StatusCode};

use super::behaviour::Behaviour;

const BUCKETS: [f64; 12] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.3, 0.5, 1.0, 2.0, 5.0, 10.0];
const MEMORY_LIMIT: f64 = 512.0 * 1024.0 * 1024.0;
const CPU_LIMIT: f64 = 1.0;

/// One shop's metrics; `service`, `environment` and `version` are labels of every one.
pub struct Metrics {
    registry: Registry,
    requests: CounterVec,
    durations: HistogramVec,
    orders: CounterVec,
    cpu: [CounterVec; 2],
    memory: [GaugeVec; 2],
}

impl Metrics {
    /// All at zero.
    pub fn new(service: &str, environment: &str, behaviour: &Behaviour) -> Self {
        let opts = |name: &str, help: &str| {
            Opts::new(name, help)
                .const_label("service", service)
                .const_label("environment", environment)
                .const_label("version", &behaviour.version)
        };
        let counter = |name, help, labels: &[&str]| {
            CounterVec::new(opts(name, help), labels).expect("a valid metric")
        };
        let gauge = |name, help, labels: &[&str]| {
            GaugeVec::new(opts(name, help), labels).expect("a valid metric")
        };
        let durations = opts("http_request_duration_seconds", "How long requests took.");
        let durations = HistogramOpts::from(durations).buckets(BUCKETS.to_vec());
        let limits = [
            gauge("ecs_container_memory_limit_bytes", "Memory limit.", &["container_name"]),
            gauge("ecs_task_memory_limit_bytes", "Task memory limit.", &[]),
            gauge("ecs_task_cpu_limit_vcpus", "Task CPU limit in vCPUs.", &[]),
            gauge("ecs_container_memory_page_cache_size_bytes", "Page cache.", &["container_name"]),
        ];
        let metrics = Self {
            registry: Registry::new(),
            requests: counter(
                "http_requests_total",
                "Requests answered.",
                &["method", "path", "status"],
            ),
            durations: HistogramVec::new(durations, &["path"]).expect("a valid metric"),
            orders: counter("orders_total", "Orders placed.", &["result"]),
            cpu: [
                counter("process_cpu_seconds_total", "CPU time.", &[]),
                counter(
                    "ecs_container_cpu_usage_seconds_total",
                    "Container CPU time.",
                    &["container_name"],
                ),
            ],
            memory: [
                gauge("process_resident_memory_bytes", "Resident memory.", &[]),
                gauge("ecs_container_memory_usage_bytes", "Memory in use.", &["container_name"]),
            ],
        };
        metrics.register();
        for limit in &limits {
            metrics.add(limit);
        }
        let [container, task, cpu, cache] = &limits;
        container.with_label_values(&["app"]).set(MEMORY_LIMIT);
        task.with_label_values::<&str>(&[]).set(MEMORY_LIMIT);
        cpu.with_label_values::<&str>(&[]).set(CPU_LIMIT);
        cache.with_label_values(&["app"]).set(0.0);
        metrics
    }

    fn register(&self) {
        self.add(&self.requests);
        self.add(&self.durations);
        self.add(&self.orders);
        self.cpu.iter().for_each(|one| self.add(one));
        self.memory.iter().for_each(|one| self.add(one));
        for result in ["ok", "failed"] {
            self.orders.with_label_values(&[result]);
        }
        // A counter that first appears with its first failure hides that failure from rate().
        for (method, path) in [("GET", "/"), ("GET", "/products"), ("POST", "/checkout")] {
            self.durations.with_label_values(&[path]);
            for status in ["200", "500"] {
                self.requests.with_label_values(&[method, path, status]);
            }
        }
    }

    fn add(&self, metric: &(impl Collector + Clone + 'static)) {
        self.registry.register(Box::new(metric.clone())).expect("every metric once");
    }

    /// Counts a request.
    pub fn request(&self, method: &Method, path: &str, status: StatusCode, took: Duration) {
        self.requests.with_label_values(&[method.as_str(), path, status.as_str()]).inc();
        self.durations.with_label_values(&[path]).observe(took.as_secs_f64());
    }

    /// Counts an order.
    pub fn order(&self, placed: bool) {
        self.orders.with_label_values(&[if placed { "ok" } else { "failed" }]).inc();
    }

    /// Everything, in Prometheus' text format, as it is after this uptime.
    pub fn text(&self, behaviour: &Behaviour, uptime: Duration) -> String {
        let labels: [&[&str]; 2] = [&[], &["app"]];
        let cpu_seconds = behaviour.cpu * uptime.as_secs_f64();
        let resident = behaviour.resident_bytes(uptime);
        for (of, counter) in labels.iter().zip(&self.cpu) {
            let counter = counter.with_label_values(of);
            counter.inc_by((cpu_seconds - counter.get()).max(0.0));
        }
        for (of, gauge) in labels.iter().zip(&self.memory) {
            gauge.with_label_values(of).set(resident);
        }
        TextEncoder::new().encode_to_string(&self.registry.gather()).unwrap_or_default()
    }
}
