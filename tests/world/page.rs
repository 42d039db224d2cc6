//! One page with the metrics of all tasks in service, each series with its instance, as a
//! collector beside them shows it.

use std::fmt::Write;
use std::net::SocketAddr;

use axum::Router;
use axum::extract::State;
use axum::routing::get;
use tokio::sync::watch;

use super::aws::model::RunningTask;
use super::http::client_builder;
use super::server::Server;

/// A running page.
pub struct Collected(Server);

impl Collected {
    pub async fn start(tasks: watch::Receiver<Vec<RunningTask>>) -> anyhow::Result<Self> {
        let client = client_builder().build()?;
        let router = Router::new().route("/metrics", get(collected)).with_state((tasks, client));
        Ok(Self(Server::start(router).await?))
    }

    /// Its root, without a slash at the end.
    pub fn url(&self) -> String {
        self.0.url()
    }
}

type Place = (watch::Receiver<Vec<RunningTask>>, reqwest::Client);

async fn collected(State((tasks, client)): State<Place>) -> String {
    let addresses: Vec<SocketAddr> = tasks.borrow().iter().map(|task| task.address).collect();
    let mut page = String::new();
    for address in addresses {
        let Ok(answer) = client.get(format!("http://{address}/metrics")).send().await else {
            continue;
        };
        let text = answer.text().await.unwrap_or_default();
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            // Each has labels of its own.
            let Some((name, rest)) = line.split_once('{') else { continue };
            let _ = writeln!(page, "{name}{{instance=\"{address}\",{rest}");
        }
    }
    page
}
