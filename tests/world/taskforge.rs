//! TaskForge of document 004: a web service and a worker on Render, a health endpoint, and no
//! metrics at all.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use anyhow::ensure;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha256;

use super::daemon::{Daemon, SOON_UP};
use super::render::{API_KEY, OWNER, Render};
use super::site::Site;
use super::slack::Slack;
use super::timeline::Timeline;

/// The services that ship together.
pub const BOTH: [&str; 2] = ["taskforge-web", "taskforge-worker"];
/// Of the webhook; the key is these bytes.
const WEBHOOK_KEY: &[u8] = b"webhook-key!";
const WEBHOOK_SECRET: &str = "whsec_d2ViaG9vay1rZXkh";

const POLICY: &str = r#"
version: 1
policy: taskforge-production
environment: production
match: { target: render, cluster: taskforge, service: taskforge }
mode: auto
phases:
  immediate:  { until: 8s, interval: 1s }
  short-term: { until: 10s, interval: 1s }
grace: 2s
checks:
  health:
    http:
      url: "SITE/health"
      depends_on: [fireflies_api, gemini_api, monday_api]
      version: $.version
    breach: { SEV1: 3 failures }
  auto-push:
    heartbeat: { job: auto-push, schedule: "0 * * * *", late: 10m }
    breach: { SEV3: 1 failure }
actions: { SEV1: rollback, SEV2: { ask: 15m, on_timeout: escalate }, SEV3: notify }
rollback: { to: known-good, known_good_after: immediate, fallback: previous, recover_within: 4m, cooldown: 1h }
notify: { slack: { channel: C0DEPLOYS01, page: [S0ONCALL] } }
"#;

/// Everything, running; both services run commit a.
pub struct Forge {
    pub render: Render,
    pub site: Site,
    pub slack: Slack,
    pub daemon: Daemon,
    pub timeline: Timeline,
    http: reqwest::Client,
}

impl Forge {
    /// Returns once the guard has seen what runs.
    pub async fn start(binary: &Path) -> anyhow::Result<Self> {
        Self::start_with(binary, "", |_| json!({})).await
    }

    /// The same; a policy's `rollback` says this too, with these commands in the settings, which
    /// may ask for Render's address.
    pub async fn start_with(
        binary: &Path,
        rollback: &str,
        commands: impl FnOnce(&str) -> Value,
    ) -> anyhow::Result<Self> {
        let timeline = Timeline::default();
        let render = Render::start(Duration::from_millis(300), timeline.clone()).await?;
        let pip = "pip install -r requirements.txt";
        let build = format!(
            "{pip} && python manage.py collectstatic --noinput && python manage.py migrate"
        );
        render.service(BOTH[0], "web_service", &build);
        render.service(BOTH[1], "background_worker", pip);
        render.service("daily-sync", "cron_job", pip);
        render.push('a', "The first one");
        render.wait_live(&BOTH, 'a').await;
        let site = Site::start().await?;
        health(&site, "a", &[]);
        let slack = Slack::start(timeline.clone()).await?;
        let settings = json!({
            "listen": "127.0.0.1:0",
            "policies": "policies",
            "store": "sqlite://deployguard.db",
            "targets": { "render": { "render": {
                "api_key": { "env": "RENDER_API_KEY" },
                "url": render.url(),
                "workspace": "taskforge",
                "owner": OWNER,
                "groups": { "taskforge": BOTH },
                "webhook_secret": { "env": "RENDER_WEBHOOK_SECRET" },
            }}},
            "outbound": { "allow": [site.url()] },
            "slack": { "token": { "env": "SLACK_BOT_TOKEN" }, "api_url": slack.url() },
            "tokens": [
                { "name": "ci", "role": "deploy", "token": { "env": "CI_TOKEN" } },
                { "name": "oncall", "role": "operate", "token": { "env": "OPS_TOKEN" } },
            ],
            "open_reads": true,
            "commands": commands(&render.url()),
            "discover": { "ecs": { "every": "1s" } },
            "log": { "format": "json", "level": "info,deployguard=debug" },
        });
        let environment = BTreeMap::from([
            ("RENDER_API_KEY", API_KEY.to_owned()),
            ("RENDER_WEBHOOK_SECRET", WEBHOOK_SECRET.to_owned()),
            (SOON_UP.0, SOON_UP.1.to_owned()),
            ("SITE_URL", site.url()),
        ]);
        let policy = POLICY.replace("SITE", &site.url());
        let policy = policy.replace("cooldown: 1h", &format!("cooldown: 1h{rollback}"));
        let mut daemon =
            Daemon::lay_out(binary, &settings, environment, ("policies/taskforge.yaml", &policy))?;
        daemon.start().await?;
        daemon
            .wait_for("the first look at Render", Duration::from_secs(20), async |daemon| {
                let ready = daemon.get("/readyz").await?;
                Ok((!ready["detail"]["looked_at"].is_null()).then_some(()))
            })
            .await?;
        let http = super::http::client_builder().build()?;
        Ok(Self { render, site, slack, daemon, timeline, http })
    }

    /// What the health endpoint says of this version: all is well but `down`.
    pub fn health(&self, version: &str, down: &[&str]) {
        health(&self.site, version, down);
    }

    /// Waits until this page of the site has been asked for.
    pub async fn visited(&self, path: &str) -> anyhow::Result<()> {
        let visited = async |_: &Daemon| {
            Ok(self.site.visits().iter().any(|visit| visit.path == path).then_some(()))
        };
        self.daemon.wait_for(&format!("a visit of {path}"), Duration::from_mins(1), visited).await
    }

    /// Pushes a commit, and tells the guard of it, as its pipeline does.
    pub async fn ship(&self, letter: char, message: &str) -> anyhow::Result<()> {
        self.render.push(letter, message);
        let commit = letter.to_string().repeat(7);
        let (status, answer) = self.daemon.announce(&announcement(letter, &commit)).await?;
        ensure!(status == 202, "the hook was answered {status}: {answer}");
        Ok(())
    }

    /// Render's webhook, signed with `key`: the status and the answer.
    pub async fn event(&self, kind: &str, key: Option<&[u8]>) -> anyhow::Result<(u16, Value)> {
        self.event_of(kind, BOTH[1], key).await
    }

    /// The same about any service.
    pub async fn event_of(
        &self,
        kind: &str,
        service: &str,
        key: Option<&[u8]>,
    ) -> anyhow::Result<(u16, Value)> {
        let body = json!({
            "type": kind,
            "timestamp": super::now().to_string(),
            "data": { "id": "evt-1", "serviceId": "srv-x", "serviceName": service, "status": "succeeded" },
        })
        .to_string();
        let seconds = super::now().as_second();
        let mut hmac = Hmac::<Sha256>::new_from_slice(key.unwrap_or(WEBHOOK_KEY))?;
        hmac.update(format!("msg_1.{seconds}.{body}").as_bytes());
        let signature = encoded(&hmac.finalize().into_bytes());
        let request = self.http.post(format!("{}/hooks/render", self.daemon.url()));
        let sent = request
            .header("webhook-id", "msg_1")
            .header("webhook-timestamp", seconds.to_string())
            .header("webhook-signature", format!("v1,{signature}"))
            .body(body)
            .send()
            .await?;
        Ok((sent.status().as_u16(), sent.json().await?))
    }

    /// What was changed at Render, services by their names.
    pub fn changes(&self) -> Vec<String> {
        let named = |call: &String| {
            let id = |number| format!("srv-{number:020}");
            call.replace(&id(1), BOTH[0]).replace(&id(2), BOTH[1])
        };
        self.render.changes().iter().map(named).collect()
    }
}

/// As document 004 has it: 503 where one of the checks fails.
fn health(site: &Site, version: &str, down: &[&str]) {
    let checks = ["database", "fireflies_api", "gemini_api", "monday_api", "scheduler"];
    let checks: BTreeMap<_, _> =
        checks.into_iter().map(|check| (check, !down.contains(&check))).collect();
    let body = json!({
        "status": if down.is_empty() { "healthy" } else { "unhealthy" },
        "checks": checks,
        "timestamp": super::now().to_string(),
        "version": version,
    });
    site.says("/health", if down.is_empty() { 200 } else { 503 }, &body.to_string());
}

fn announcement(letter: char, commit: &str) -> Value {
    json!({
        "id": format!("push-{letter}"),
        "service": "taskforge",
        "environment": "production",
        "platform": { "render": { "group": "taskforge", "commit": commit } },
        "version": letter.to_string(),
        "commit": commit,
        "author": "dana",
        "rollback_safe": true,
    })
}

/// Base64.
fn encoded(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for group in bytes.chunks(3) {
        let of = |place: usize| u32::from(group.get(place).copied().unwrap_or_default());
        let bits = of(0) << 16 | of(1) << 8 | of(2);
        for place in 0..4 {
            let value = (bits >> (18 - 6 * place) & 63) as usize;
            text.push(if place > group.len() { '=' } else { char::from(LETTERS[value]) });
        }
    }
    text
}
