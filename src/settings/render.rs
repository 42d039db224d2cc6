//! A target on Render.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::bail;
use reqwest::Url;
use serde::Deserialize;

use super::{Secret, TargetSettings};

/// Services of a group: more are no services that ship together.
const MOST_MEMBERS: usize = 20;

/// A workspace of Render.
#[derive(Debug, Clone, Deserialize)]
#[serde(
    deny_unknown_fields,
    expecting = "`{ api_key: { env: RENDER_API_KEY }, groups: { NAME: [SERVICE, SERVICE] } }`"
)]
pub struct RenderSettings {
    pub api_key: Secret,
    #[serde(default = "url")]
    pub url: String,
    /// What policies call it: their `cluster`.
    #[serde(default = "workspace")]
    pub workspace: String,
    /// Its id, `tea-...` or `usr-...`, where the key sees several.
    pub owner: Option<String>,
    /// Services that ship together, by name or `srv-...`, in the order in which they go
    /// back. What is in no group is guarded by itself, under its own name.
    #[serde(default)]
    pub groups: BTreeMap<String, Vec<String>>,
    /// The signing secret of the webhook that posts to `/hooks/render`.
    pub webhook_secret: Option<Secret>,
}

fn url() -> String {
    "https://api.render.com/v1".to_owned()
}

fn workspace() -> String {
    "render".to_owned()
}

impl RenderSettings {
    pub(super) fn check(&self, name: &str, target: &TargetSettings) -> anyhow::Result<()> {
        let at = format!("targets.{name}");
        let TargetSettings {
            region,
            role_arn,
            external_id,
            endpoint_url,
            prometheus: _,
            sqs,
            clusters,
            kubernetes,
            render: _,
        } = target;
        if kubernetes.is_some() {
            bail!("{at}: a target is in Kubernetes or on Render, not both");
        }
        for (key, given) in [
            ("region", region.is_some()),
            ("role_arn", role_arn.is_some()),
            ("external_id", external_id.is_some()),
            ("endpoint_url", endpoint_url.is_some()),
            ("sqs", sqs.is_some()),
            ("clusters", clusters.is_some()),
        ] {
            if given {
                bail!("{at}: `{key}` is about AWS, and this target is on Render: leave it out");
            }
        }
        let parsed = Url::parse(&self.url).ok();
        if !parsed.is_some_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host()) {
            bail!("{at}.render.url: `{}` is no URL: leave it out for Render's own", self.url);
        }
        if self.workspace.is_empty() || self.workspace.contains('/') {
            bail!("{at}.render.workspace: `{}` is no name: no `/`", self.workspace);
        }
        let mut known = BTreeSet::new();
        for (group, members) in &self.groups {
            if group.is_empty() || group.contains('/') {
                bail!("{at}.render.groups: `{group}` is no name: no `/`");
            }
            if members.is_empty() || members.len() > MOST_MEMBERS {
                bail!("{at}.render.groups.{group}: name 1 to {MOST_MEMBERS} services");
            }
            if let Some(twice) = members.iter().find(|member| !known.insert(*member)) {
                bail!("{at}.render.groups.{group}: {twice} is named twice: one group each");
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::read;

    const KEY: &str = "api_key: { file: Cargo.toml }";

    #[test]
    fn a_workspace_of_render_is_a_target_without_anything_of_aws() {
        let settings = read(&format!(
            "aws: {{ region: us-east-1 }}\ndiscover: {{ ecs: {{ clusters: [shop] }} }}\ntargets:\n  \
             us: {{}}\n  forge: {{ render: {{ {KEY}, workspace: taskforge, \
             groups: {{ taskforge: [web, srv-1] }} }} }}\n"
        ));
        let targets = settings.unwrap().targets();
        let forge = &targets["forge"];
        let render = forge.render.as_ref().unwrap();
        assert_eq!(forge.region, None);
        assert_eq!(forge.clusters.as_deref(), Some(["taskforge".to_owned()].as_slice()));
        assert_eq!(render.url, "https://api.render.com/v1");
        assert_eq!(render.groups["taskforge"], ["web", "srv-1"]);
        assert_eq!(targets["us"].clusters.as_deref(), Some(["shop".to_owned()].as_slice()));
    }

    #[test]
    fn mistakes_in_it_are_told_by_their_key() {
        let cases = [
            (format!("{{ region: eu-west-1, render: {{ {KEY} }} }}"), "`region` is about AWS"),
            (format!("{{ clusters: [a], render: {{ {KEY} }} }}"), "`clusters` is about AWS"),
            (format!("{{ render: {{ {KEY}, url: render }} }}"), "targets.a.render.url"),
            (format!("{{ render: {{ {KEY}, groups: {{ x: [] }} }} }}"), "groups.x: name 1 to"),
            (
                format!("{{ render: {{ {KEY}, groups: {{ x: [web], y: [web] }} }} }}"),
                "web is named twice",
            ),
            ("{ render: { api_key: { env: NOT_THERE_4711 } } }".to_owned(), "NOT_THERE_4711"),
        ];
        for (target, told) in cases {
            let wrong = read(&format!("targets: {{ a: {target} }}\n")).unwrap_err();
            assert!(wrong.contains(told), "{target}: {wrong}");
        }
    }
}
