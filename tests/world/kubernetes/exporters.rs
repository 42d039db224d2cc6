//! What document 002's Prometheus scrapes beside the API: the database, the cache and the node.

use std::net::SocketAddr;
use std::time::Instant;

use axum::Router;
use axum::routing::get;
use serde_json::{Value, json};

use super::super::prometheus::target;
use super::super::server::Server;

/// They are all well.
pub struct Exporters {
    server: Server,
}

/// Of a query's time, in seconds, the share that is no slower.
const QUERIES: [(&str, f64); 6] =
    [("0.01", 0.66), ("0.025", 0.91), ("0.05", 0.99), ("0.1", 1.0), ("0.2", 1.0), ("+Inf", 1.0)];
const QUERIES_PER_SECOND: f64 = 80.0;

impl Exporters {
    pub async fn start() -> std::io::Result<Self> {
        let begun = Instant::now();
        let page = move || async move {
            let queries = begun.elapsed().as_secs_f64() * QUERIES_PER_SECOND;
            let buckets = QUERIES.map(|(le, share)| {
                let count = (queries * share).floor();
                format!("db_query_duration_seconds_bucket{{le=\"{le}\"}} {count}\n")
            });
            let gauges = "pg_stat_activity_count 30\nnode_filesystem_avail_bytes 5e9\n\
                          node_filesystem_size_bytes 1e10\n";
            buckets.concat() + gauges
        };
        let router = Router::new().route("/metrics", get(page));
        Ok(Self { server: Server::start(router).await? })
    }

    pub fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// Each job that it stands for; `taskflow-api` measures its queries itself.
    pub fn targets(&self) -> Vec<Value> {
        let address = self.address();
        ["postgres", "redis", "taskflow-api"]
            .map(|job| target(address, &json!({ "job": job })))
            .to_vec()
    }
}
