//! deployguard itself, as a child process with a home of its own: settings, a git checkout
//! of policies, and a store that outlives every kill.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::time::Instant;

use super::World;
use super::leash::Leashed;
use super::postgres::Postgres;

/// The token that may announce deployments.
pub const CI_TOKEN: &str = "ci-token-0123456789";
/// The token that may act.
pub const OPS_TOKEN: &str = "ops-token-0123456789";
/// What is asked at an instant is up again after twice these seconds, instead of two minutes.
pub const SOON_UP: (&str, &str) = ("DEPLOYGUARD_TEST_WINDOW", "3");
/// The policy of the story.
pub const STORY: &str = include_str!("story.yaml");

/// The daemon and its home. The process ends when this is dropped.
pub struct Daemon {
    home: TempDir,
    binary: PathBuf,
    environment: BTreeMap<String, String>,
    http: reqwest::Client,
    running: Option<Running>,
    starts: u32,
    /// Where its policy lies, from its home on.
    policy: String,
}

struct Running {
    leash: Leashed,
    url: String,
    pid: i32,
}

impl Daemon {
    /// Lays its home out; starts nothing. `policy` is committed to git.
    pub fn at_home(binary: &Path, world: &World, policy: &str) -> anyhow::Result<Self> {
        Self::with_policy_at(binary, world, "policies/shopflow.yaml", policy)
    }

    /// The same, with the policy in the file `path` below `policies`.
    pub fn with_policy_at(
        binary: &Path,
        world: &World,
        path: &str,
        policy: &str,
    ) -> anyhow::Result<Self> {
        let settings = json!({
            "listen": "127.0.0.1:0",
            "policies": "policies",
            "store": "sqlite://deployguard.db",
            "prometheus": { "url": world.prometheus.url(), "timeout": "2s" },
            "aws": { "target": "default" },
            "slack": {
                "token": { "env": "SLACK_BOT_TOKEN" },
                "api_url": world.slack.url(),
            },
            "tokens": [
                { "name": "ci", "role": "deploy", "token": { "env": "CI_TOKEN" } },
                { "name": "oncall", "role": "operate", "token": { "env": "OPS_TOKEN" } },
            ],
            "open_reads": true,
            "discover": { "ecs": { "every": "1s", "clusters": [world.config().cluster] } },
            "log": { "format": "json", "level": "info,deployguard=debug" },
        });
        Self::lay_out(binary, &settings, world.environment(), (path, policy))
    }

    /// The same for a world of other parts, with these settings.
    pub fn lay_out(
        binary: &Path,
        settings: &Value,
        environment: BTreeMap<&'static str, String>,
        (path, policy): (&str, &str),
    ) -> anyhow::Result<Self> {
        // The daemon's clients and ours share this process's choice.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let home = TempDir::with_prefix("deployguard-")?;
        let file = home.path().join(path);
        fs::create_dir_all(file.parent().context("the policy lies in a folder")?)?;
        // JSON is YAML too.
        fs::write(home.path().join("deployguard.yaml"), settings.to_string())?;
        let mut environment: BTreeMap<String, String> =
            environment.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        environment.insert("SLACK_BOT_TOKEN".into(), super::slack::TOKEN.into());
        environment
            .insert("SLACK_SIGNING_SECRET".into(), super::slack::press::SIGNING_SECRET.into());
        environment.insert("SLACK_APP_TOKEN".into(), super::slack::socket::APP_TOKEN.into());
        environment.insert("CI_TOKEN".into(), CI_TOKEN.into());
        environment.insert("OPS_TOKEN".into(), OPS_TOKEN.into());
        let daemon = Self {
            home,
            binary: binary.to_owned(),
            environment,
            http: reqwest::Client::builder().timeout(Duration::from_secs(10)).build()?,
            running: None,
            starts: 0,
            policy: path.to_owned(),
        };
        daemon.git(&["init", "-q", "."])?;
        daemon.commit_policy(policy)?;
        Ok(daemon)
    }

    /// Changes its settings, for the next start.
    pub fn settle(&self, change: impl FnOnce(&mut Value)) -> anyhow::Result<()> {
        let file = self.home().join("deployguard.yaml");
        let mut settings: Value = serde_json::from_slice(&fs::read(&file)?)?;
        change(&mut settings);
        Ok(fs::write(file, settings.to_string())?)
    }

    /// Keeps everything in this Postgres, from the next start on.
    pub fn use_postgres(&mut self, postgres: &Postgres) -> anyhow::Result<()> {
        self.environment.insert("PG_PASSWORD".into(), super::postgres::PASSWORD.into());
        let url = postgres.url();
        self.settle(|settings| {
            settings["store"] = json!({ "url": url, "password": { "env": "PG_PASSWORD" } });
        })
    }

    /// Its home folder.
    pub fn home(&self) -> &Path {
        self.home.path()
    }

    /// Writes the policy file without committing it.
    pub fn write_policy(&self, text: &str) -> anyhow::Result<()> {
        // As editors do: never half a file.
        let (temporary, file) = (self.home().join("policies/.new"), self.home().join(&self.policy));
        fs::write(&temporary, text)?;
        fs::rename(temporary, file)?;
        Ok(())
    }

    /// Writes and commits the policy file.
    pub fn commit_policy(&self, text: &str) -> anyhow::Result<()> {
        self.write_policy(text)?;
        self.git(&["add", "policies"])?;
        let who = ["-c", "user.name=test", "-c", "user.email=test@example.org"];
        self.git(&[who.as_slice(), &["commit", "-qm", "policy"]].concat())
    }

    fn git(&self, arguments: &[&str]) -> anyhow::Result<()> {
        let done = Command::new("git").args(arguments).current_dir(self.home()).output()?;
        ensure!(done.status.success(), "git {arguments:?}: {done:?}");
        Ok(())
    }

    /// Starts it, and returns once it listens.
    pub async fn start(&mut self) -> anyhow::Result<()> {
        self.start_with(&[]).await
    }

    /// Starts it with more in its environment, such as `FAILPOINTS`.
    pub async fn start_with(&mut self, more: &[(&str, &str)]) -> anyhow::Result<()> {
        self.starts += 1;
        let log = self.log();
        let mut command = vec!["env".to_owned()];
        let pairs = self.environment.iter().map(|(n, v)| (n.as_str(), v.as_str()));
        command.extend(pairs.chain(more.iter().copied()).map(|(n, v)| format!("{n}={v}")));
        command.push(self.binary.display().to_string());
        command.extend(["serve".to_owned(), "--config".to_owned()]);
        command.push(self.home().join("deployguard.yaml").display().to_string());
        let mut leash = Leashed::start(command, File::create(&log)?)?;
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            let text = fs::read_to_string(&log)?;
            if let Some(line) = text.lines().find(|line| line.contains("\"listening\"")) {
                let line: Value = serde_json::from_str(line)?;
                let address = line["address"].as_str().context("an address")?;
                let pid = i32::try_from(line["pid"].as_i64().context("a pid")?)?;
                self.running = Some(Running { leash, url: format!("http://{address}"), pid });
                return Ok(());
            }
            if leash.ended()?.is_some() || Instant::now() > deadline {
                bail!("deployguard did not start:\n{text}");
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Returns once it has looked at ECS, and Prometheus has history enough for a baseline.
    pub async fn knows_its_world(&self, world: &World) -> anyhow::Result<()> {
        let history = "sum(increase(http_requests_total[10s]))";
        world.prometheus.wait_for(history, Duration::from_secs(20), |n| n > 300.0).await?;
        self.wait_for("the first look at ECS", Duration::from_secs(20), async |daemon| {
            let ready = daemon.get("/readyz").await?;
            Ok((!ready["detail"]["looked_at"].is_null()).then_some(()))
        })
        .await
    }

    /// The log of the newest start.
    pub fn log(&self) -> PathBuf {
        self.home().join(format!("log-{}.json", self.starts))
    }

    /// What all its lives have logged, in order.
    pub fn logs(&self) -> String {
        let logs = (1..=self.starts).map(|n| self.home().join(format!("log-{n}.json")));
        logs.filter_map(|path| fs::read_to_string(path).ok()).collect()
    }

    /// Where it listens.
    pub fn url(&self) -> &str {
        self.running.as_ref().map_or("", |running| &running.url)
    }

    /// Whether it has died.
    pub fn has_died(&mut self) -> bool {
        match &mut self.running {
            Some(running) => !matches!(running.leash.ended(), Ok(None)),
            None => true,
        }
    }

    /// SIGKILL, as when the machine goes.
    pub fn kill(&mut self) {
        self.running = None;
    }

    /// SIGSTOP, as when its machine stands still; SIGCONT.
    pub fn signal(&self, signal: Signal) -> anyhow::Result<()> {
        let running = self.running.as_ref().context("it runs")?;
        Ok(kill(Pid::from_raw(running.pid), signal)?)
    }

    /// Whether it leads: `leading`, `standby`, or nothing while it does not answer.
    pub async fn role(&self) -> String {
        let ready = self.get("/readyz").await.unwrap_or_default();
        ready["role"].as_str().unwrap_or_default().to_owned()
    }

    /// SIGTERM, as when it is redeployed. Returns once it has ended.
    pub async fn terminate(&mut self) -> anyhow::Result<()> {
        let Some(running) = &mut self.running else { return Ok(()) };
        kill(Pid::from_raw(running.pid), Signal::SIGTERM)?;
        let deadline = Instant::now() + Duration::from_secs(30);
        while running.leash.ended()?.is_none() {
            ensure!(Instant::now() < deadline, "it did not stop");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        self.running = None;
        Ok(())
    }

    /// Announces a deployment as a pipeline would.
    pub async fn announce(&self, body: &Value) -> anyhow::Result<(u16, Value)> {
        self.post("/hooks/deployments", CI_TOKEN, body).await
    }

    /// A request of a person or pipeline: the status and the body.
    pub async fn post(
        &self,
        path: &str,
        token: &str,
        body: &Value,
    ) -> anyhow::Result<(u16, Value)> {
        let url = format!("{}{path}", self.url());
        let response = self.http.post(url).bearer_auth(token).json(body).send().await?;
        Ok((response.status().as_u16(), response.json().await?))
    }

    /// Reads JSON from the API.
    pub async fn get(&self, path: &str) -> anyhow::Result<Value> {
        Ok(self.http.get(format!("{}{path}", self.url())).send().await?.json().await?)
    }

    /// Reads a page as text.
    pub async fn text(&self, path: &str) -> anyhow::Result<String> {
        Ok(self.http.get(format!("{}{path}", self.url())).send().await?.text().await?)
    }

    /// All the watches, open ones first.
    pub async fn watches(&self) -> anyhow::Result<Vec<Value>> {
        let list = self.get("/api/v1/watches").await?;
        Ok(list["watches"].as_array().cloned().unwrap_or_default())
    }

    /// Asks for something until it is there.
    pub async fn wait_for<T>(
        &self,
        what: &str,
        within: Duration,
        mut look: impl AsyncFnMut(&Daemon) -> anyhow::Result<Option<T>>,
    ) -> anyhow::Result<T> {
        let deadline = Instant::now() + within;
        loop {
            // A daemon that is down for a moment is looked for again.
            if let Ok(Some(found)) = look(self).await {
                return Ok(found);
            }
            if Instant::now() > deadline {
                let watches = self.watches().await;
                bail!("{what} did not come within {within:?}; watches: {watches:#?}");
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Waits for the watch over the version to end, and answers it.
    pub async fn outcome_of(&self, version: &str, within: Duration) -> anyhow::Result<Value> {
        self.wait_for(&format!("the end of {version}"), within, async |daemon| {
            let watches = daemon.watches().await?;
            Ok(watches
                .into_iter()
                .find(|watch| watch["version"] == version && !watch["outcome"].is_null()))
        })
        .await
    }
}

/// What a pipeline announces for a version.
pub fn announcement(version: &str, task_definition: &str) -> Value {
    json!({
        "id": format!("gha-{version}"),
        "service": "shopflow-api",
        "environment": "production",
        "platform": { "ecs": {
            "cluster": "shopflow-production",
            "task_definition": task_definition,
        }},
        "version": version,
        "commit": "4f1c2aa",
        "author": "dana",
        "rollback_safe": true,
    })
}
