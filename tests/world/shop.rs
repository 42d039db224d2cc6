//! A small HTTP shop: one server per running task, behaving as its task definition says.

mod behaviour;
mod metrics;

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use axum::Router;
use axum::extract::State;
use axum::http::{Method, StatusCode, Uri};
use axum::response::IntoResponse;
use axum::routing::{get, post};

use super::aws::model::TaskSpec;
use super::aws::{Soon, TaskRunner};
use super::lock;
use super::server::Server;
use behaviour::Behaviour;
use metrics::Metrics;

/// Runs the tasks of ECS as shops within this process.
pub struct Shops {
    environment: String,
    running: Mutex<HashMap<String, Server>>,
}

impl Shops {
    /// Shops that call their environment `environment` in their metrics.
    pub fn new(environment: &str) -> Self {
        Self { environment: environment.to_owned(), running: Mutex::default() }
    }
}

impl TaskRunner for Shops {
    fn start<'a>(&'a self, task: &'a TaskSpec) -> Soon<'a, io::Result<SocketAddr>> {
        Box::pin(async {
            let shop = Arc::new(Shop::new(task, &self.environment));
            let server = Server::start(router(shop)).await?;
            let address = server.address();
            lock(&self.running).insert(task.task.clone(), server);
            Ok(address)
        })
    }

    fn stop<'a>(&'a self, task: &'a str) -> Soon<'a, ()> {
        drop(lock(&self.running).remove(task));
        Box::pin(async {})
    }
}

/// One copy of the shop.
struct Shop {
    behaviour: Behaviour,
    metrics: Metrics,
    started: Instant,
}

impl Shop {
    fn new(task: &TaskSpec, environment: &str) -> Self {
        let behaviour = Behaviour::read(&task.environment);
        let metrics = Metrics::new(&task.service, environment, &behaviour);
        Self { behaviour, metrics, started: Instant::now() }
    }
}

fn router(shop: Arc<Shop>) -> Router {
    Router::new()
        .route("/", get(page))
        .route("/products", get(page))
        .route("/checkout", post(checkout))
        .route("/health", get(health))
        .route("/metrics", get(metrics))
        .with_state(shop)
}

async fn page(State(shop): State<Arc<Shop>>, method: Method, uri: Uri) -> StatusCode {
    shop.serve(&method, uri.path()).await
}

async fn checkout(State(shop): State<Arc<Shop>>, method: Method, uri: Uri) -> StatusCode {
    let status = shop.serve(&method, uri.path()).await;
    let placed = status.is_success() && !shop.behaviour.order_fails();
    shop.metrics.order(placed);
    status
}

async fn health(State(shop): State<Arc<Shop>>) -> StatusCode {
    if shop.behaviour.healthy() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }
}

async fn metrics(State(shop): State<Arc<Shop>>) -> impl IntoResponse {
    let text = shop.metrics.text(&shop.behaviour, shop.started.elapsed());
    ([("content-type", "text/plain; version=0.0.4; charset=utf-8")], text)
}

impl Shop {
    async fn serve(&self, method: &Method, path: &str) -> StatusCode {
        let began = Instant::now();
        tokio::time::sleep(self.behaviour.latency()).await;
        let failed = self.behaviour.request_fails();
        let status = if failed { StatusCode::INTERNAL_SERVER_ERROR } else { StatusCode::OK };
        self.metrics.request(method, path, status, began.elapsed());
        status
    }
}
