//! Document 002's policy, as it stands in `policies/taskflow-k8s`, for a story of a minute.

use std::fs;
use std::path::Path;

use anyhow::Context;
use serde_json::{Map, Value, json};

use super::super::system::in_seconds;

/// What of it is guarded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Guarded {
    /// The Service, whose selector is switched.
    Service,
    /// The Ingress, whose canary's weight deployguard moves on.
    Ingress,
}

impl Guarded {
    /// The policy, as JSON, which is YAML too. What is not as the files have it:
    ///
    /// - `mode: auto`; the phases last for seconds, with a sample in each and the file's weights
    ///   for the Ingress alone, which the guard moves on; 2 seconds of grace;
    /// - `for 5m` of a limit becomes `for 5s`, and a window is 5 seconds;
    /// - an instance is down after 12 failed scrapes: Prometheus drops a pod that is gone within
    ///   ten seconds, which is less than two of its scrapes in life, and ten of them here;
    /// - requests go to `site` instead of the document's hosts;
    /// - the thread is in the channel of the world; the gate is left out, and so are probes,
    ///   which have stories of their own.
    pub fn policy(self, site: &str) -> anyhow::Result<String> {
        let mut policy = read("production.yaml")?;
        policy.extend(read("_defaults.yaml")?);
        policy.remove("gate");
        policy.insert("mode".into(), json!("auto"));
        policy.insert("grace".into(), json!("2s"));
        policy.remove("canary");
        if self == Self::Ingress {
            policy.insert("canary".into(), json!({ "moved_by": "deployguard" }));
        }
        let (service, times): (&str, &[(&str, &str)]) = match self {
            Self::Service => ("service/taskflow-api", &[("full", "12s"), ("blue-kept", "18s")]),
            Self::Ingress => (
                "ingress/taskflow-api",
                &[("canary-10", "8s"), ("canary-50", "13s"), ("full", "18s"), ("blue-kept", "20s")],
            ),
        };
        policy["match"]["service"] = json!(service);
        policy["notify"] = json!({ "slack": { "channel": "C0DEPLOYS01", "page": ["S0ONCALL"] } });
        policy["rollback"]["recover_within"] = json!("60s");
        let written = policy.remove("phases").context("phases")?;
        let phase = |(name, until): &(&str, &str)| {
            let mut phase = json!({ "until": until, "interval": "1s" });
            if let (Self::Ingress, Some(weight)) = (self, written[*name].get("weight")) {
                phase["weight"] = weight.clone();
            }
            format!(r#""{name}": {phase}"#)
        };
        let phases = times.iter().map(phase).collect::<Vec<_>>().join(", ");
        let checks = policy.get_mut("checks").and_then(Value::as_object_mut).context("checks")?;
        checks.retain(|_, check| check.get("probe").is_none());
        let uptime = checks.get_mut("uptime").context("uptime")?;
        uptime["breach"] = json!({ "SEV2": "12 failures" });
        for check in checks.values_mut() {
            let asks_back = check["query"].as_str().is_some_and(|text| text.contains("${window}"));
            let kinds = ["ratio", "latency", "json"];
            if asks_back || kinds.iter().any(|kind| check.get(kind).is_some()) {
                check["window"] = json!("5s");
            }
            in_seconds(check, site)?;
        }
        // Phases stand in the order of their ends, which a JSON value does not keep.
        let rest = serde_json::to_string_pretty(&policy)?;
        Ok(format!("{{ \"phases\": {{ {phases} }},{}", rest.trim_start_matches('{')))
    }
}

fn read(name: &str) -> anyhow::Result<Map<String, Value>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("policies/taskflow-k8s");
    Ok(serde_norway::from_str(&fs::read_to_string(folder.join(name))?)?)
}
