//! The alerts about the guard itself, by promtool.

use std::process::Command;

use serde_json::Value;

use super::{Asked, list, text};

const FOLDER: &str = "dashboards/prometheus";
const DOCUMENT: &str = "docs/operating.md";

fn yaml(file: &str) -> Value {
    let text = std::fs::read_to_string(format!("{FOLDER}/{file}")).unwrap();
    serde_norway::from_str(&text).unwrap()
}

fn alerts() -> Vec<Value> {
    let groups = yaml("deployguard.rules.yaml");
    let all: Vec<Value> =
        list(&groups["groups"]).iter().flat_map(|group| list(&group["rules"])).cloned().collect();
    assert!(all.len() >= 15, "only {} alerts", all.len());
    all
}

/// What the alerts ask, as it is written.
pub fn asked() -> Vec<Asked> {
    let alerts = alerts();
    let one = |alert: &Value| Asked {
        place: text(alert, "alert").to_owned(),
        expression: text(alert, "expr").to_owned(),
        legend: String::new(),
        instant: true,
    };
    alerts.iter().map(one).collect()
}

/// The same without what they compare with: what they would compare, if it is not nothing by
/// its meaning.
pub fn compared() -> Vec<Asked> {
    let mut all = asked();
    // That something is absent is answered with nothing as long as it is there.
    all.retain(|one| !one.expression.starts_with("absent("));
    let limit = regex::Regex::new(r"(?s)^(.+?) (==|>|<) [0-9.]+$").unwrap();
    for one in &mut all {
        let sides = one.expression.split("\n  and ").map(|side| {
            limit.captures(side).map_or_else(|| side.to_owned(), |found| found[1].to_owned())
        });
        let sides: Vec<String> = sides.collect();
        // Of two that must hold at once both are there.
        one.expression = sides.join(" and ");
    }
    all
}

fn promtool(arguments: &[&str]) {
    let done = Command::new("promtool").args(arguments).current_dir(FOLDER).output().unwrap();
    let said = [done.stdout, done.stderr].concat();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&said));
}

#[test]
fn prometheus_takes_the_rules_and_each_alert_fires_and_is_silent_as_its_tests_say() {
    promtool(&["check", "rules", "deployguard.rules.yaml"]);
    promtool(&["test", "rules", "deployguard.rules_test.yaml"]);
}

#[test]
fn every_alert_is_tested_to_fire_and_to_be_silent() {
    let tests = yaml("deployguard.rules_test.yaml");
    let (mut fires, mut silent) = (Vec::new(), Vec::new());
    for test in list(&tests["tests"]) {
        for one in list(&test["promql_expr_test"]) {
            let side = if list(&one["exp_samples"]).is_empty() { &mut silent } else { &mut fires };
            side.push(text(one, "expr").to_owned());
        }
        for one in list(&test["alert_rule_test"]) {
            let is_silent = list(&one["exp_alerts"]).is_empty();
            let side = if is_silent { &mut silent } else { &mut fires };
            side.push(format!("\"{}\"", text(one, "alertname")));
        }
    }
    for alert in alerts() {
        let name = format!("\"{}\"", text(&alert, "alert"));
        assert!(fires.iter().any(|test| test.contains(&name)), "nothing tests that {name} fires");
        // The dead-man's switch never is.
        let is_switch = alert["expr"] == "vector(1)";
        let is_tested = silent.iter().any(|test| test.contains(&name));
        assert_eq!(is_tested, !is_switch, "is it tested that {name} is silent?");
    }
}

#[test]
fn every_alert_says_what_is_so_what_that_means_and_what_to_do() {
    let document = std::fs::read_to_string(DOCUMENT).unwrap();
    let all = alerts();
    for alert in &all {
        let name = text(alert, "alert");
        for key in ["summary", "description", "what_to_do"] {
            assert!(!text(&alert["annotations"], key).is_empty(), "{name} has no `{key}`");
        }
        let severity = text(&alert["labels"], "severity");
        assert!(["critical", "warning", "none"].contains(&severity), "{name}: {severity}");
        let heading = format!("\n**{name}** ({severity})");
        assert!(document.contains(&heading), "{DOCUMENT} does not explain{heading}");
    }
    let form = regex::Regex::new(r"\n\*\*(Deployguard\w+)\*\*").unwrap();
    for found in form.captures_iter(&document) {
        let known = all.iter().any(|alert| alert["alert"] == found[1]);
        assert!(known, "{DOCUMENT} explains {}, which is no alert", &found[1]);
    }
}
