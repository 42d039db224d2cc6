//! The way from the command line to a running daemon.

use anyhow::{Context, bail};
use clap::Args;
use reqwest::{Method, StatusCode, Url};
use serde::de::DeserializeOwned;
use serde_json::Value;

/// Which daemon, and as whom.
#[derive(Debug, Clone, Args)]
pub struct Server {
    /// The daemon's address
    #[arg(long, env = "DEPLOYGUARD_URL", default_value = "http://127.0.0.1:8080")]
    url: String,
    /// The token; better given as `DEPLOYGUARD_TOKEN`
    #[arg(long, env = "DEPLOYGUARD_TOKEN", hide_env_values = true)]
    token: Option<String>,
}

/// The daemon could not be asked, so nobody knows what it would have said: exit code 3.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{0}")]
pub struct NotAsked(String);

impl Server {
    pub fn get<T: DeserializeOwned>(&self, path: &[&str]) -> anyhow::Result<T> {
        self.call(Method::GET, &self.address(path)?, None)
    }

    /// What is no JSON, as it comes.
    pub fn text(&self, path: &[&str]) -> anyhow::Result<String> {
        self.fetch(Method::GET, &self.address(path)?, None)
    }

    /// What a link of such a text points at.
    pub fn linked(&self, path: &[&str], link: &str) -> anyhow::Result<String> {
        self.fetch(Method::GET, &self.address(path)?.join(link)?, None)
    }

    /// The same with a query: `days=7`.
    pub fn ask<T: DeserializeOwned>(&self, path: &[&str], query: &str) -> anyhow::Result<T> {
        let mut url = self.address(path)?;
        url.set_query(Some(query));
        self.call(Method::GET, &url, None)
    }

    pub fn post<T: DeserializeOwned>(&self, path: &[&str], body: &Value) -> anyhow::Result<T> {
        self.call(Method::POST, &self.address(path)?, Some(body))
    }

    fn not_reached(&self, why: &reqwest::Error) -> NotAsked {
        let mut cause: &dyn std::error::Error = why;
        while let Some(inner) = cause.source() {
            cause = inner;
        }
        NotAsked(format!("no deployguard answers at {}: {cause}", self.url))
    }

    /// What people type is never taken for more than one step of the path.
    fn address(&self, path: &[&str]) -> anyhow::Result<Url> {
        let wrong = || format!("`{}` is no address: give http://HOST:PORT", self.url);
        let mut url = Url::parse(&self.url).with_context(wrong)?;
        url.path_segments_mut().ok().with_context(wrong)?.pop_if_empty().extend(path);
        Ok(url)
    }

    fn call<T: DeserializeOwned>(
        &self,
        method: Method,
        url: &Url,
        body: Option<&Value>,
    ) -> anyhow::Result<T> {
        let text = self.fetch(method, url, body)?;
        let odd = |why| NotAsked(format!("{url} answered what is not deployguard's: {why}"));
        Ok(serde_json::from_str(&text).map_err(odd)?)
    }

    fn fetch(&self, method: Method, url: &Url, body: Option<&Value>) -> anyhow::Result<String> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            let client =
                reqwest::Client::builder().timeout(std::time::Duration::from_secs(20)).build()?;
            let mut request = client.request(method, url.clone());
            if let Some(token) = &self.token {
                request = request.bearer_auth(token);
            }
            if let Some(body) = body {
                request = request.json(body);
            }
            let response = request.send().await.map_err(|why| self.not_reached(&why))?;
            let status = response.status();
            let text = response.text().await.map_err(|why| self.not_reached(&why))?;
            if status.is_success() {
                return Ok(text);
            }
            let problem: Value = serde_json::from_str(&text).unwrap_or_default();
            let Some(detail) = problem["detail"].as_str() else {
                return Err(NotAsked(format!(
                    "{url} answered {status} and not as a deployguard does"
                ))
                .into());
            };
            match status {
                StatusCode::UNAUTHORIZED => bail!("{detail} (--token or DEPLOYGUARD_TOKEN)"),
                // Nothing was decided: it may be asked again.
                StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT => {
                    Err(NotAsked(detail.to_owned()).into())
                }
                _ => bail!("{detail}"),
            }
        })
    }
}
