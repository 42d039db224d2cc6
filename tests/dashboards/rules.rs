//! The alerts about the guard itself, by promtool.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use serde_json::Value;

use super::{Asked, list, text};

const FOLDER: &str = "dashboards/prometheus";
const TESTS: &str = "deployguard.rules_test.yaml";
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
        instant: true,
        ..Asked::default()
    };
    alerts.iter().map(one).collect()
}

/// The same without what they compare with: what they would compare, if it is not nothing by
/// its meaning.
pub fn compared() -> Vec<Asked> {
    let mut all = asked();
    // That something is absent is answered with nothing as long as it is there.
    all.retain(|one| !one.expression.starts_with("absent("));
    // Who leads is chosen by what it shows.
    let limit = regex::Regex::new(r"(deployguard_leading == 1)| (?:==|>|<) [0-9.]+").unwrap();
    for one in &mut all {
        // What must not be there is so in good times, together with what it is missed beside.
        one.expression = limit.replace_all(&one.expression, "$1").replace(" unless ", " and ");
    }
    all
}

/// The series of the alerts' tests, as they are written there.
pub fn series() -> Vec<String> {
    let tests = yaml(TESTS);
    let all = list(&tests["tests"]).iter().flat_map(|test| list(&test["input_series"]));
    all.map(|one| text(one, "series").to_owned()).collect()
}

fn promtool(arguments: &[&str]) {
    let done = Command::new("promtool").args(arguments).current_dir(FOLDER).output().unwrap();
    let said = [done.stdout, done.stderr].concat();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&said));
}

#[test]
fn prometheus_takes_the_rules_and_each_alert_fires_and_is_silent_as_its_tests_say() {
    promtool(&["check", "rules", "deployguard.rules.yaml"]);
    promtool(&["test", "rules", TESTS, "deployguard.rules_day_test.yaml"]);
}

#[test]
fn every_alert_is_tested_to_fire_and_to_be_silent() {
    let tests = yaml(TESTS);
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
    // An alert's part goes to the next heading, and begins with its severities.
    let parts = document.split("\n#").filter_map(|part| part.strip_prefix("## Deployguard"));
    let parts: BTreeMap<String, &str> =
        parts.map(|part| (format!("Deployguard{}", part.lines().next().unwrap()), part)).collect();
    let form = regex::Regex::new(r"\*(critical|warning|none)\*").unwrap();
    let mut severities = BTreeMap::<String, BTreeSet<String>>::new();
    for alert in &alerts() {
        let name = text(alert, "alert");
        for key in ["summary", "description", "what_to_do"] {
            assert!(!text(&alert["annotations"], key).is_empty(), "{name} has no `{key}`");
        }
        let anchor = format!("{DOCUMENT}#{}", name.to_lowercase());
        assert_eq!(text(&alert["annotations"], "runbook_url"), anchor, "{name}");
        let severity = text(&alert["labels"], "severity").to_owned();
        severities.entry(name.to_owned()).or_default().insert(severity);
    }
    let said = parts.iter().map(|(name, part)| {
        let found: BTreeSet<String> =
            form.captures_iter(part).map(|found| found[1].to_owned()).collect();
        (name.clone(), found)
    });
    let said: BTreeMap<String, BTreeSet<String>> = said.collect();
    assert_eq!(said, severities, "what {DOCUMENT} says of alerts, and what they are");
}
