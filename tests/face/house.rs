//! A world with a daemon in it, and ways to speak to that daemon.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, ensure};
use reqwest::{Method, RequestBuilder, header};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::world::daemon::{CI_TOKEN, Daemon, OPS_TOKEN, STORY, announcement};
use crate::world::{World, WorldConfig, slack};

pub const BINARY: &str = env!("CARGO_BIN_EXE_deployguard");
/// May read only.
pub const READ_TOKEN: &str = "read-token-0123456789";
/// May announce deployments of services called `billing-...` in production.
pub const BILLING_TOKEN: &str = "billing-token-0123456789";
/// May act on services called `billing-...`.
pub const BILLING_OPS_TOKEN: &str = "billing-ops-token-0123456789";
/// Every secret that the daemon is given.
pub const SECRETS: [&str; 6] =
    [CI_TOKEN, OPS_TOKEN, READ_TOKEN, BILLING_TOKEN, BILLING_OPS_TOKEN, slack::TOKEN];
/// Where its settings find them, beside those that every daemon has.
pub const TOKENS: [(&str, &str); 3] = [
    ("READ_TOKEN", READ_TOKEN),
    ("BILLING_TOKEN", BILLING_TOKEN),
    ("BILLING_OPS_TOKEN", BILLING_OPS_TOKEN),
];
/// Longer than anything here should take on a busy machine.
pub const LONG: Duration = Duration::from_mins(1);

/// A world, and the daemon that guards it.
pub struct House {
    pub daemon: Daemon,
    pub world: World,
    http: reqwest::Client,
}

/// What came back from a request.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub kind: String,
    pub body: Value,
}

impl Answer {
    /// Sends a request.
    pub async fn to(request: RequestBuilder) -> anyhow::Result<Answer> {
        let response = request.send().await?;
        let kind = response.headers().get(header::CONTENT_TYPE);
        let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or_default().to_owned();
        let status = response.status().as_u16();
        let text = response.text().await?;
        let body = serde_json::from_str(&text).unwrap_or(Value::String(text));
        Ok(Answer { status, kind, body })
    }

    /// The fields that a problem document names.
    pub fn fields(&self) -> Vec<&str> {
        let errors = self.body["errors"].as_array();
        errors.into_iter().flatten().filter_map(|error| error["field"].as_str()).collect()
    }

    pub fn detail(&self) -> &str {
        self.body["detail"].as_str().unwrap_or_default()
    }

    /// It must be a problem document with this status, whose detail has these words.
    pub fn is_problem(&self, status: u16, words: &str) {
        assert_eq!(self.status, status, "{self:?}");
        assert_eq!(self.kind, "application/problem+json", "{self:?}");
        assert_eq!(self.body["status"], json!(status), "{self:?}");
        assert!(self.detail().contains(words), "no {words:?} in {self:?}");
    }

    /// It must name exactly this field.
    pub fn blames(&self, field: &str) {
        assert_eq!(self.status, 422, "{self:?}");
        assert_eq!(self.kind, "application/problem+json", "{self:?}");
        assert_eq!(self.fields(), [field], "{self:?}");
    }
}

/// How a command of the command line ended.
#[derive(Debug)]
pub struct Said {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl House {
    /// A world with a quiet shop and a daemon that runs. `settle` may change the settings.
    pub async fn open(policy: &str, settle: impl FnOnce(&mut Value)) -> anyhow::Result<House> {
        let config = WorldConfig { requests_per_second: 50, ..WorldConfig::default() };
        let world = World::start(config).await?;
        let daemon = Daemon::at_home(Path::new(BINARY), &world, policy)?;
        let file = daemon.home().join("deployguard.yaml");
        let mut settings: Value = serde_json::from_slice(&std::fs::read(&file)?)?;
        let more = json!([
            { "name": "viewer", "role": "read", "token": { "env": "READ_TOKEN" } },
            { "name": "billing", "role": "deploy", "token": { "env": "BILLING_TOKEN" },
              "services": ["billing-*"], "environments": ["production"] },
            { "name": "billing-oncall", "role": "operate", "token": { "env": "BILLING_OPS_TOKEN" },
              "services": ["billing-*"] },
        ]);
        let tokens = settings["tokens"].as_array_mut().context("tokens")?;
        tokens.extend(more.as_array().cloned().unwrap_or_default());
        settle(&mut settings);
        std::fs::write(&file, settings.to_string())?;
        let http = reqwest::Client::builder().timeout(Duration::from_secs(20)).build()?;
        let mut house = House { daemon, world, http };
        house.start().await?;
        Ok(house)
    }

    /// Starts the daemon, again after a kill, and waits for its first look at the platform.
    pub async fn start(&mut self) -> anyhow::Result<()> {
        self.start_with(&[]).await
    }

    /// The same with more in its environment.
    pub async fn start_with(&mut self, more: &[(&str, &str)]) -> anyhow::Result<()> {
        self.daemon.start_with(&[&TOKENS, more].concat()).await?;
        self.until("the first look", async |house| {
            let ready = house.ask(Method::GET, "/readyz", Some(READ_TOKEN), "").await?.body;
            Ok((!ready["detail"]["looked_at"].is_null()).then_some(()))
        })
        .await
    }

    /// Asks for something until it is there.
    pub async fn until<T>(
        &self,
        what: &str,
        mut look: impl AsyncFnMut(&House) -> anyhow::Result<Option<T>>,
    ) -> anyhow::Result<T> {
        let looked = self.daemon.wait_for(what, LONG, async |_| look(self).await).await;
        looked.with_context(|| format!("the log says:\n{}", tail(&self.daemon.logs())))
    }

    /// Waits until the watch over `version` is as it should be, and answers it.
    pub async fn watch_until(
        &self,
        version: &str,
        what: &str,
        enough: impl Fn(&Value) -> bool,
    ) -> anyhow::Result<Value> {
        self.until(&format!("{version}: {what}"), async |house| {
            let watches = house.daemon.watches().await?;
            Ok(watches.into_iter().find(|watch| watch["version"] == version && enough(watch)))
        })
        .await
    }

    /// Deploys a version and announces it; answers its watch.
    pub async fn deploy(
        &self,
        version: &str,
        environment: &[(&str, &str)],
    ) -> anyhow::Result<String> {
        self.world.deploy(version, environment)?;
        let body = announcement(version, &self.world.task_definition_in_place());
        let (status, answer) = self.daemon.announce(&body).await?;
        ensure!(status == 202, "{status}: {answer}");
        answer["watch"].as_str().map(str::to_owned).context("the answer names the watch")
    }

    /// A request with any body and token, not sent yet.
    pub fn request(
        &self,
        method: Method,
        path: &str,
        token: Option<&str>,
        body: impl Into<reqwest::Body>,
    ) -> RequestBuilder {
        let request = self.http.request(method, format!("{}{path}", self.daemon.url()));
        let request = request.header(header::CONTENT_TYPE, "application/json").body(body);
        match token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }

    /// A request with any body and token.
    pub async fn ask(
        &self,
        method: Method,
        path: &str,
        token: Option<&str>,
        body: impl Into<reqwest::Body>,
    ) -> anyhow::Result<Answer> {
        Answer::to(self.request(method, path, token, body)).await
    }

    /// Announces as the pipeline would.
    pub async fn hook(&self, body: &Value) -> anyhow::Result<Answer> {
        self.ask(Method::POST, "/hooks/deployments", Some(CI_TOKEN), body.to_string()).await
    }

    /// A person's act.
    pub async fn act(&self, path: &str, body: &Value) -> anyhow::Result<Answer> {
        self.ask(Method::POST, path, Some(OPS_TOKEN), body.to_string()).await
    }

    /// Sends bytes as they are, and answers what comes back until the connection ends.
    pub async fn raw(&self, head: &str, parts: &[&[u8]]) -> anyhow::Result<String> {
        let address = self.daemon.url().trim_start_matches("http://");
        let mut stream = TcpStream::connect(address).await?;
        let head = format!("{head}\r\nhost: {address}\r\nconnection: close\r\n\r\n");
        stream.write_all(head.as_bytes()).await?;
        for part in parts {
            stream.write_all(part).await?;
        }
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        Ok(answer)
    }

    /// Runs a command of the command line against this daemon.
    pub async fn cli(&self, arguments: &[&str]) -> anyhow::Result<Said> {
        cli(self.daemon.url(), OPS_TOKEN, arguments).await
    }
}

/// Runs a command of the command line.
pub async fn cli(url: &str, token: &str, arguments: &[&str]) -> anyhow::Result<Said> {
    let run = tokio::process::Command::new(BINARY)
        .args(arguments)
        .env("DEPLOYGUARD_URL", url)
        .env("DEPLOYGUARD_TOKEN", token)
        .stdin(Stdio::null())
        .output();
    let done = tokio::time::timeout(LONG, run).await.context("it never ended")??;
    Ok(Said {
        code: done.status.code().context("it was killed")?,
        out: String::from_utf8(done.stdout)?,
        err: String::from_utf8(done.stderr)?,
    })
}

/// The policy of the story with phases that outlast any test.
pub fn long_story() -> String {
    STORY.replace("until: 12s", "until: 1h").replace("until: 18s", "until: 2h")
}

fn tail(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(40)..].join("\n")
}
