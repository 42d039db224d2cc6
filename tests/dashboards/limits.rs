//! The limits that dashboards draw are those of the policies.

use std::path::Path;

use serde_json::Value;

use super::{dashboards, list, rules, text};

/// A panel of a dashboard, a line of a policy, and the limit that both say, in base units.
type Limit = (&'static str, &'static str, &'static str, &'static str, f64);

const ECS: &str = "policies/taskflow/production.yaml";
const KUBERNETES: &str = "policies/taskflow-k8s/production.yaml";

const LIMITS: &[Limit] = &[
    ("deployment-monitor", "Error rate", ECS, r#"normal: "< 0.1%""#, 0.001),
    ("deployment-monitor", "Error rate", ECS, r#"SEV1: "> 5%""#, 0.05),
    ("deployment-monitor", "Error rate by version", ECS, r#"normal: "< 0.1%""#, 0.001),
    ("deployment-monitor", "Error rate by version", ECS, r#"SEV1: "> 5%""#, 0.05),
    ("deployment-monitor", "Response time (p95)", ECS, r#"normal: "< 300ms""#, 0.3),
    ("deployment-monitor", "Response time (p95)", ECS, r#"SEV1: "> 2s""#, 2.0),
    ("deployment-monitor", "Response time by version (p95)", ECS, r#"normal: "< 300ms""#, 0.3),
    ("deployment-monitor", "Response time by version (p95)", ECS, r#"SEV1: "> 2s""#, 2.0),
    ("api-performance", "Error rate", KUBERNETES, r#"normal: "< 0.1%""#, 0.001),
    ("api-performance", "Error rate", KUBERNETES, r#"SEV1: "> 5%""#, 0.05),
    ("api-performance", "Error rate by version", KUBERNETES, r#"SEV1: "> 5%""#, 0.05),
    ("api-performance", "Response time (p95)", KUBERNETES, r#"SEV2: "> 100ms for 5m""#, 0.1),
    ("api-performance", "Response time", KUBERNETES, r#"SEV2: "> 100ms for 5m""#, 0.1),
    ("database", "Query latency (p95)", KUBERNETES, r#"normal: "< 50ms""#, 0.05),
    ("database", "Query latency (p95)", KUBERNETES, r#"SEV3: "> 100ms for 5m""#, 0.1),
    ("database", "Query latency", KUBERNETES, r#"normal: "< 50ms""#, 0.05),
    ("system-health", "Least free disk", KUBERNETES, r#"SEV2: "< 10% for 5m""#, 0.1),
    ("system-health", "Free disk", KUBERNETES, r#"SEV2: "< 10% for 5m""#, 0.1),
];

/// Panels of the guard's own dashboard, and the alerts whose limits they draw.
const ALERTS: &[(&str, &str)] = &[
    ("Last step", "DeployguardStalled"),
    ("Oldest message", "DeployguardOutboxStuck"),
    ("Lag of verdicts", "DeployguardTicksLate"),
    ("Failures by source", "DeployguardSourceFailing"),
];

/// What each panel of that title draws.
fn drawn(dashboard: &str, title: &str) -> Vec<Vec<f64>> {
    let all = dashboards();
    let one = all.iter().find(|one| one.file == format!("{dashboard}.json")).unwrap();
    let panels = one.panels().iter().filter(|panel| text(panel, "title") == title);
    let steps = |panel: &Value| {
        let steps = list(&panel["fieldConfig"]["defaults"]["thresholds"]["steps"]);
        steps.iter().filter_map(|step| step["value"].as_f64()).collect()
    };
    panels.map(steps).collect()
}

#[test]
fn a_dashboard_draws_the_limits_that_the_policy_judges_by() {
    for (dashboard, title, policy, line, limit) in LIMITS {
        let said = std::fs::read_to_string(Path::new(policy)).unwrap();
        let is_said = said.lines().any(|one| one.contains(line) && !one.trim().starts_with('#'));
        assert!(is_said, "{policy} does not say `{line}` any more");
        let drawn = drawn(dashboard, title);
        assert!(!drawn.is_empty(), "{dashboard} has no panel `{title}`");
        for steps in drawn {
            assert!(steps.contains(limit), "{dashboard}: {title} draws {steps:?}, not {limit}");
        }
    }
}

#[test]
fn the_guards_own_dashboard_draws_the_limits_of_its_alerts() {
    let alerts = rules::asked();
    for (title, name) in ALERTS {
        let alert = alerts.iter().find(|alert| alert.place == *name).unwrap();
        let limit = alert.expression.rsplit_once("> ").unwrap().1;
        let limit: f64 = limit.parse().unwrap();
        let drawn = drawn("deployguard", title);
        assert!(!drawn.is_empty(), "no panel `{title}`");
        for steps in drawn {
            assert!(steps.contains(&limit), "{title} draws {steps:?}, {name} is at {limit}");
        }
    }
}
