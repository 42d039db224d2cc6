//! A real Prometheus that discovers and scrapes the shop's tasks.

use std::fs::{self, File};
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, bail};
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::process::Command;
use tokio::sync::watch;

use super::aws::model::RunningTask;
use super::http::client_builder;
use super::leash::Leashed;
use super::server::Server;

/// A port that was free a moment ago can be taken by somebody else in between.
const PORTS_TO_TRY: usize = 5;
const READY_WITHIN: Duration = Duration::from_secs(15);

/// A running Prometheus; killed, and its folder removed, when dropped.
pub struct Prometheus {
    process: Option<Leashed>,
    port: u16,
    folder: TempDir,
    client: reqwest::Client,
    /// Where Prometheus asks for the tasks to scrape.
    _discovery: Server,
}

impl Prometheus {
    /// Starts Debian's `prometheus` on a free port and waits until it is ready.
    pub async fn start(tasks: watch::Receiver<Vec<RunningTask>>) -> anyhow::Result<Self> {
        let labels = |task: &RunningTask| json!({ "service": task.service });
        Self::labelling(tasks, labels, Vec::new(), true).await
    }

    /// The same, with the labels that whoever discovers the tasks gives them, and with `others`
    /// to scrape. `honours`: a label that a task gives itself wins.
    pub async fn labelling(
        tasks: watch::Receiver<Vec<RunningTask>>,
        labels: fn(&RunningTask) -> Value,
        others: Vec<Value>,
        honours: bool,
    ) -> anyhow::Result<Self> {
        let discovery = Server::start(discovery(tasks, labels, others)).await?;
        let folder = tempfile::Builder::new().prefix("deployguard-prometheus-").tempdir()?;
        let text = configuration(&discovery.url(), honours);
        fs::write(folder.path().join("prometheus.yml"), text)?;
        let client = client_builder().timeout(Duration::from_secs(1)).build()?;
        let mut prometheus = Self { process: None, port: 0, folder, client, _discovery: discovery };
        for _ in 0..PORTS_TO_TRY {
            prometheus.port = free_port()?;
            if prometheus.start_again().await.is_ok() {
                return Ok(prometheus);
            }
        }
        let log = fs::read_to_string(prometheus.log()).unwrap_or_default();
        bail!("Prometheus did not start on any of {PORTS_TO_TRY} ports; its log says:\n{log}")
    }

    /// Its root, without a slash at the end.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// An outage: the process is killed, its history stays.
    pub fn stop(&mut self) {
        drop(self.process.take());
    }

    /// The end of the outage: on the same port, with its history.
    pub async fn start_again(&mut self) -> anyhow::Result<()> {
        self.stop();
        let log = File::options().create(true).append(true).open(self.log())?;
        let folder = self.folder.path();
        let command = [
            "prometheus".into(),
            format!("--config.file={}", folder.join("prometheus.yml").display()),
            format!("--storage.tsdb.path={}", folder.join("data").display()),
            format!("--web.listen-address=127.0.0.1:{}", self.port),
            "--storage.tsdb.retention.time=30d".into(),
            "--scrape.discovery-reload-interval=1s".into(),
            "--log.level=warn".into(),
        ];
        let process = Leashed::start(command, log)?;
        self.process = Some(process);
        let ready = tokio::time::timeout(READY_WITHIN, self.ready()).await;
        ready.context("Prometheus did not become ready").flatten()
    }

    /// Puts samples of the past (as `OpenMetrics` with times) into its history, and
    /// starts it again.
    pub async fn remember(&mut self, openmetrics: &str) -> anyhow::Result<()> {
        self.stop();
        let (text, data) = (self.folder.path().join("past.om"), self.folder.path().join("data"));
        fs::write(&text, openmetrics)?;
        let blocks = ["tsdb", "create-blocks-from", "openmetrics"];
        let made = Command::new("promtool").args(blocks).args([&text, &data]).output().await?;
        let words = String::from_utf8_lossy(&made.stderr);
        anyhow::ensure!(made.status.success(), "promtool made no blocks: {words}");
        self.start_again().await
    }

    async fn ready(&mut self) -> anyhow::Result<()> {
        let url = format!("{}/-/ready", self.url());
        loop {
            if let Some(ended) = self.process.as_mut().map(Leashed::ended).transpose()?.flatten() {
                bail!("Prometheus ended at once ({ended}): is the Debian package installed?");
            }
            let answer = self.client.get(&url).send().await;
            if answer.is_ok_and(|answer| answer.status().is_success()) {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// The results of an instant query, as Prometheus answers them.
    pub async fn query(&self, promql: &str) -> anyhow::Result<Vec<Value>> {
        let request = self.client.get(format!("{}/api/v1/query", self.url()));
        let answer: Value = request.query(&[("query", promql)]).send().await?.json().await?;
        let result = answer["data"]["result"].as_array();
        result.cloned().with_context(|| format!("{promql} was answered with {answer}"))
    }

    /// The value of an instant query that gives exactly one series.
    pub async fn value(&self, promql: &str) -> anyhow::Result<f64> {
        let results = self.query(promql).await?;
        let [one] = results.as_slice() else { bail!("{promql} gave {} series", results.len()) };
        let value = one["value"][1].as_str().context("an instant value")?;
        Ok(value.parse()?)
    }

    /// Waits until an instant query gives exactly one series and `enough` holds for its value.
    pub async fn wait_for(
        &self,
        promql: &str,
        within: Duration,
        enough: impl Fn(f64) -> bool,
    ) -> anyhow::Result<f64> {
        let poll = async {
            loop {
                match self.value(promql).await {
                    Ok(value) if enough(value) => return value,
                    _ => tokio::time::sleep(Duration::from_millis(200)).await,
                }
            }
        };
        let reached = tokio::time::timeout(within, poll).await;
        reached.with_context(|| format!("{promql} did not get there within {within:?}"))
    }

    fn log(&self) -> PathBuf {
        self.folder.path().join("prometheus.log")
    }
}

pub fn free_port() -> io::Result<u16> {
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    Ok(TcpListener::bind(any)?.local_addr()?.port())
}

fn configuration(discovery: &str, honours: bool) -> String {
    format!(
        "global:
  scrape_interval: 1s
  scrape_timeout: 900ms
  evaluation_interval: 1s
scrape_configs:
  - job_name: shop
    honor_labels: {honours}
    http_sd_configs:
      - url: {discovery}/targets
        refresh_interval: 1s
"
    )
}

fn discovery(
    tasks: watch::Receiver<Vec<RunningTask>>,
    labels: fn(&RunningTask) -> Value,
    others: Vec<Value>,
) -> Router {
    let group = move |task: &RunningTask| target(task.address, &labels(task));
    let targets = move || {
        let groups: Vec<Value> = tasks.borrow().iter().map(group).chain(others.clone()).collect();
        async { Json(groups) }
    };
    Router::new().route("/targets", get(targets))
}

/// One address with labels, as whoever discovers targets answers it.
pub fn target(address: SocketAddr, labels: &Value) -> Value {
    json!({ "targets": [address.to_string()], "labels": labels })
}
