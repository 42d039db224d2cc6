//! A system of `policies/` with the world around it that its document describes.
//!
//! The policy is the real file, limits and all. What a story of a minute changes about it
//! stands in [`hurried`] and nowhere else: a minute of a limit becomes a second, the phases
//! last for seconds, addresses of the document lead to a [`Site`], and the mode is `auto`.

use std::path::Path;

use anyhow::{Context, ensure};
use regex::{Captures, Regex};
use serde_json::{Map, Value, json};

use super::daemon::Daemon;
use super::past;
use super::reported::{self, Rates};
use super::site::Site;
use super::{World, WorldConfig};

/// Where a system's numbers come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Numbers {
    /// A Prometheus that scrapes the tasks.
    Prometheus,
    /// CloudWatch alone: the settings know no Prometheus.
    CloudWatch,
}

/// A system of `policies/`.
#[derive(Debug, Clone, Copy)]
pub struct System {
    /// Its policy, from the top of the repository on.
    pub policy: &'static str,
    pub cluster: &'static str,
    pub service: &'static str,
    pub environment: &'static str,
    pub numbers: Numbers,
    /// What its addresses answer, by their paths.
    pub pages: &'static [(&'static str, &'static str)],
}

/// Document 001.
pub const SHOPFLOW: System = System {
    policy: "policies/shopflow/production.yaml",
    cluster: "shopflow-production",
    service: "shopflow-api",
    environment: "production",
    numbers: Numbers::Prometheus,
    pages: &[
        ("/api/health", "ok"),
        ("/api/health/db", "ok"),
        ("/api/health/cache", "ok"),
        ("/api/health/external", "ok"),
    ],
};

/// Document 000.
pub const TASKFLOW: System = System {
    policy: "policies/taskflow/production.yaml",
    cluster: "taskflow-production",
    service: "taskflow-api",
    environment: "production",
    numbers: Numbers::Prometheus,
    pages: &[
        (
            "/health",
            r#"{"status":"ok","checks":{"api":true,"database":true,"cache":true,"cdn":true}}"#,
        ),
        ("/api/0/organizations/FILL-IN/events/", r#"{"data":[{"count()":2}],"meta":{}}"#),
    ],
};

/// Document 003.
pub const UNIFOCUS: System = System {
    policy: "policies/unifocus/prod.yaml",
    cluster: "unifocus-prod-cluster",
    service: "unifocus-prod-api-service",
    environment: "prod",
    numbers: Numbers::CloudWatch,
    pages: &[("/health", "ok"), ("/", "<html></html>")],
};

/// A system that runs v1 under load, and its guard.
pub struct Staged {
    pub system: System,
    pub world: World,
    pub site: Site,
    pub daemon: Daemon,
    rates: Rates,
}

impl Staged {
    /// Starts all of it, and returns once the guard knows its world. `binary` is deployguard.
    pub async fn start(binary: &Path, system: System) -> anyhow::Result<Self> {
        let mut world = World::start(WorldConfig {
            cluster: system.cluster.into(),
            service: system.service.into(),
            environment: system.environment.into(),
            ..WorldConfig::default()
        })
        .await?;
        if system.numbers == Numbers::Prometheus {
            world.prometheus.remember(&past::of(system.service)).await?;
        }
        let rates = reported::begin(&world);
        let site = Site::start().await?;
        for (path, body) in system.pages {
            site.says(path, 200, body);
        }
        let policy = hurried(
            &std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(system.policy))?,
            &site.url(),
        )?;
        let mut daemon = Daemon::with_policy_at(binary, &world, system.policy, &policy)?;
        let secret = daemon.home().join("sentry.token");
        std::fs::write(&secret, "a-token-of-sentry")?;
        daemon.settle(|settings| {
            settings["outbound"] = json!({ "allow": [site.url()] });
            settings["secrets"] = json!({ "sentry": { "file": secret, "for": [site.url()] } });
            if let (Numbers::CloudWatch, Some(settings)) =
                (system.numbers, settings.as_object_mut())
            {
                settings.remove("prometheus");
            }
        })?;
        daemon.start().await?;
        daemon.knows_its_world(&world).await?;
        Ok(Self { system, world, site, daemon, rates })
    }

    /// Deploys a version as a pipeline does, and announces it as safe to undo.
    pub async fn deploy(&self, version: &str, behaviour: &[(&str, &str)]) -> anyhow::Result<()> {
        self.world.deploy(version, behaviour)?;
        if let Some((_, rate)) = behaviour.iter().find(|(name, _)| *name == "ERROR_RATE") {
            self.rates.set(&self.world.task_definition_in_place(), rate.parse()?);
        }
        let (status, answer) = self.daemon.announce(&self.announcement(version)).await?;
        ensure!(status == 202 && answer["guarded"] == true, "the hook: {status}: {answer}");
        Ok(())
    }

    fn announcement(&self, version: &str) -> Value {
        json!({
            "id": format!("gha-{version}"), "service": self.system.service,
            "environment": self.system.environment,
            "platform": { "ecs": {
                "cluster": self.system.cluster,
                "task_definition": self.world.task_definition_in_place(),
            }},
            "version": version, "commit": "4f1c2aa", "author": "dana", "rollback_safe": true,
        })
    }
}

/// The policy `text` of `policies/` for a story of a minute, as JSON, which is YAML too:
///
/// - `mode: auto`; phases of 8, 12 and 16 seconds, or of 8 and 16, a sample each second, 2 seconds of grace;
///   a revision is known-good after the first; the thread is in the channel of the world;
/// - `for 5m` of a limit becomes `for 5s`, CloudWatch's periods are seconds and 2 seconds
///   late; a window is 5 seconds;
/// - requests go to `site` instead of the document's hosts;
/// - the gate, which asks for other environments, is left out, and so are probes, heartbeats and
///   logs, which have stories of their own.
pub fn hurried(text: &str, site: &str) -> anyhow::Result<String> {
    let mut policy: Map<String, Value> = serde_norway::from_str(text)?;
    policy.remove("gate");
    policy.insert("mode".into(), json!("auto"));
    policy.insert("grace".into(), json!("2s"));
    policy.insert("labels".into(), json!({ "service": "service" }));
    // A bundle brings a third phase, which is to be short too.
    let phases: &[(&str, &str)] = if policy.contains_key("extends") {
        &[("immediate", "8s"), ("short-term", "12s"), ("long-term", "16s")]
    } else {
        &[("immediate", "8s"), ("short-term", "16s")]
    };
    let phase =
        |(name, until): &_| format!(r#""{name}": {{ "until": "{until}", "interval": "1s" }}"#);
    let phases = phases.iter().map(phase).collect::<Vec<_>>().join(", ");
    policy.remove("phases");
    let notify = json!({ "slack": { "channel": "C0DEPLOYS01", "page": ["S0ONCALL"] } });
    policy.insert("notify".into(), notify);
    let rollback = policy.entry("rollback").or_insert_with(|| json!({}));
    rollback["known_good_after"] = json!("immediate");
    rollback["recover_within"] = json!("60s");
    let checks = policy.get_mut("checks").and_then(Value::as_object_mut).context("checks")?;
    let apart = ["probe", "heartbeat", "logs"];
    checks.retain(|_, check| apart.iter().all(|kind| check.get(kind).is_none()));
    for (name, check) in checks.iter_mut() {
        let is_windowed = ["ratio", "latency", "json"].iter().any(|kind| check.get(kind).is_some());
        if is_windowed || name == "cpu" && check.get("cloudwatch").is_none() {
            check["window"] = json!("5s");
        }
        in_seconds(check, site)?;
    }
    // Phases stand in the order of their ends, which a JSON value does not keep.
    let rest = serde_json::to_string_pretty(&policy)?;
    Ok(format!("{{ \"phases\": {{ {phases} }},{}", rest.trim_start_matches('{')))
}

/// Limits, periods and addresses within a check.
pub(super) fn in_seconds(value: &mut Value, site: &str) -> anyhow::Result<()> {
    let limit = Regex::new(r" for (\d+)m$")?;
    let host = Regex::new(r"^https?://[^/]+")?;
    match value {
        Value::Object(inner) => {
            if let Some(metric) = inner.get_mut("cloudwatch") {
                let minutes = metric["period"].as_str().unwrap_or("1m").trim_end_matches('m');
                metric["period"] = json!(format!("{minutes}s"));
                metric["delay"] = json!("2s");
            }
            inner.values_mut().try_for_each(|inner| in_seconds(inner, site))
        }
        Value::Array(inner) => inner.iter_mut().try_for_each(|inner| in_seconds(inner, site)),
        Value::String(text) => {
            let short = |found: &Captures<'_>| format!(" for {}s", &found[1]);
            *text = limit.replace(text, short).into_owned();
            *text = host.replace(text, site).into_owned();
            Ok(())
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => Ok(()),
    }
}
