//! A test file as it is written.

use std::collections::BTreeMap;

use marked_yaml::Spanned;
use serde::Deserialize;

/// A value with its place.
pub(super) type Text = Spanned<String>;

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default, expecting = "the keys of a test file")]
pub(super) struct FileText {
    /// The policy's file, from this file's folder on.
    pub policy: Option<Text>,
    /// What every test has that does not say otherwise.
    pub interval: Option<Text>,
    pub start: Option<Text>,
    /// When the test ends; else with its longest series.
    pub until: Option<Text>,
    pub mode: Option<Text>,
    pub deployment: DeploymentText,
    pub platform: PlatformText,
    pub series: Vec<SeriesText>,
    pub tests: Vec<TestText>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default, expecting = "the keys of a test")]
pub(super) struct TestText {
    pub name: Option<Text>,
    pub interval: Option<Text>,
    pub start: Option<Text>,
    /// When the test ends; else with its longest series.
    pub until: Option<Text>,
    pub mode: Option<Text>,
    pub deployment: DeploymentText,
    pub platform: PlatformText,
    pub series: Vec<SeriesText>,
    pub press: Vec<PressText>,
    pub away: Vec<Text>,
    pub expect: Vec<ExpectText>,
}

#[derive(Debug, Default, Clone, Deserialize)]
#[serde(deny_unknown_fields, default, expecting = "`{ service: NAME, at: 2h }`")]
pub(super) struct DeploymentText {
    pub service: Option<Text>,
    pub cluster: Option<Text>,
    pub target: Option<Text>,
    pub version: Option<Text>,
    pub at: Option<Text>,
    pub rollback_safe: Option<Text>,
    pub author: Option<Text>,
    pub commit: Option<Text>,
    pub labels: BTreeMap<String, Text>,
    pub superseded: Option<Text>,
    pub others: Vec<Text>,
}

#[derive(Debug, Default, Clone, Deserialize)]
#[serde(deny_unknown_fields, default, expecting = "`{ in_service_after: 1m, complete_after: 3m }`")]
pub(super) struct PlatformText {
    pub in_service_after: Option<Text>,
    pub complete_after: Option<Text>,
    pub back_after: Option<Text>,
    pub fails: Option<Text>,
    pub tasks_gone_after: Option<Text>,
    pub refuses: Option<Text>,
    pub no_target: Option<Text>,
}

#[derive(Debug, Default, Clone, Deserialize)]
#[serde(deny_unknown_fields, default, expecting = "`{ series: NAME{...}, values: 0+10x30 }`")]
pub(super) struct SeriesText {
    /// Of counters.
    pub series: Option<Text>,
    /// Of a check's query: what it gives.
    pub check: Option<Text>,
    /// Which query of a ratio: `bad`, `good` or `total`.
    pub of: Option<Text>,
    pub labels: BTreeMap<String, Text>,
    /// The service, where it is a control.
    pub service: Option<Text>,
    pub values: Option<Text>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default, expecting = "`{ at: 2h10m, ack: NAME }`")]
pub(super) struct PressText {
    pub at: Option<Text>,
    pub ack: Option<Text>,
    pub hold: Option<Text>,
    pub resume: Option<Text>,
    pub rollback: Option<Text>,
    pub cancel: Option<Text>,
    pub reason: Option<Text>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default, expecting = "`{ at: 2h5m, check: NAME, verdict: breach }`")]
pub(super) struct ExpectText {
    pub at: Option<Text>,
    pub by: Option<Text>,
    pub during: Option<Text>,
    pub check: Option<Text>,
    pub verdict: Option<Text>,
    pub severity: Option<Text>,
    pub blame: Option<Text>,
    pub reason: Option<Text>,
    pub action: Option<Text>,
    pub would: Option<Text>,
    pub message: Option<Text>,
    pub no_message: Option<Text>,
    pub outcome: Option<Text>,
}
