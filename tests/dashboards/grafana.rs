//! That Grafana takes each dashboard as it is, and that people can read it.

use std::collections::BTreeSet;

use regex::Regex;
use serde_json::{Value, json};

use super::{Dashboard, dashboards, list, text, variables_in};

/// Panels that every Grafana has.
const PANELS: &[&str] = &["row", "stat", "table", "timeseries"];
/// Variables that Grafana itself has.
const BUILT_IN: &[&str] = &["__range", "__rate_interval"];
/// The newest version of the dashboards' schema, of Grafana 12; an older Grafana from 10 on reads
/// it too.
const SCHEMA: u64 = 42;
/// Variables whose "All" is every value that is found.
const LISTED: &[(&str, &str)] =
    &[("deployment-monitor.json", "job"), ("system-health.json", "job")];
/// How wide a dashboard is.
const COLUMNS: u64 = 24;

/// What is wrong with each dashboard, in words that say where to look.
fn wrong(of: impl Fn(&Dashboard) -> Vec<String>) {
    let all = dashboards();
    assert!(all.len() >= 6, "only {} dashboards", all.len());
    let found: Vec<String> = all
        .iter()
        .flat_map(|one| of(one).into_iter().map(|wrong| format!("{}: {wrong}", one.file)))
        .collect();
    assert!(found.is_empty(), "\n{}\n", found.join("\n"));
}

#[test]
fn every_dashboard_has_a_name_of_its_own_that_stays() {
    let all = dashboards();
    for key in ["uid", "title"] {
        let names: BTreeSet<&str> = all.iter().map(|one| text(&one.json, key)).collect();
        assert_eq!(names.len(), all.len(), "{key}: {names:?}");
    }
    wrong(|one| {
        let (name, uid) = (one.file.trim_end_matches(".json"), text(&one.json, "uid"));
        let mut wrong = Vec::new();
        if uid != name && uid != format!("deployguard-{name}") {
            wrong.push(format!("its uid `{uid}` is not that of its file"));
        }
        if one.json["schemaVersion"] != SCHEMA {
            wrong.push(format!("its schema is {}", one.json["schemaVersion"]));
        }
        // With a number a Grafana takes it for one that it has.
        if !one.json["id"].is_null() {
            wrong.push("it has an `id`".to_owned());
        }
        if !list(&one.json["tags"]).contains(&json!("deployguard")) {
            wrong.push("without the tag `deployguard` no other links to it".to_owned());
        }
        if text(&one.json, "description").is_empty() {
            wrong.push("it has no description".to_owned());
        }
        wrong
    });
}

#[test]
fn panels_have_numbers_of_their_own_lie_on_the_grid_and_beside_each_other() {
    wrong(|one| {
        let mut wrong = Vec::new();
        let (mut numbers, mut taken) = (BTreeSet::new(), BTreeSet::new());
        for panel in one.panels() {
            let title = text(panel, "title");
            if !numbers.insert(panel["id"].as_u64().unwrap()) {
                wrong.push(format!("{title}: its id is another's"));
            }
            let [x, y, w, h] = ["x", "y", "w", "h"].map(|key| panel["gridPos"][key].as_u64());
            let (x, y, w, h) = (x.unwrap(), y.unwrap(), w.unwrap(), h.unwrap());
            if x + w > COLUMNS || w == 0 || h == 0 {
                wrong.push(format!("{title}: it lies beside the grid"));
            }
            let places = (x..x + w).flat_map(|x| (y..y + h).map(move |y| (x, y)));
            if places.filter(|place| !taken.insert(*place)).count() > 0 {
                wrong.push(format!("{title}: it lies upon another"));
            }
        }
        let bottom = taken.iter().map(|(_, y)| y + 1).max().unwrap_or_default();
        if taken.len() as u64 != bottom * COLUMNS {
            wrong.push("there are holes between its panels".to_owned());
        }
        wrong
    });
}

#[test]
fn every_panel_says_what_it_answers_in_which_unit_and_needs_no_plugin() {
    wrong(|one| {
        let mut wrong = Vec::new();
        for panel in one.panels().iter().filter(|panel| panel["type"] != "row") {
            let title = text(panel, "title");
            if !PANELS.contains(&text(panel, "type")) {
                wrong.push(format!("{title}: not every Grafana has `{}`", text(panel, "type")));
            }
            if !text(panel, "description").contains('?') {
                wrong.push(format!("{title}: which question does it answer?"));
            }
            let defaults = &panel["fieldConfig"]["defaults"];
            // A count that is written whole, words and names need none.
            let is_plain = panel["type"] == "table"
                || panel["options"]["textMode"] == "name"
                || !list(&defaults["mappings"]).is_empty()
                || defaults["decimals"] == 0;
            if text(defaults, "unit").is_empty() && !is_plain {
                wrong.push(format!("{title}: it has no unit"));
            }
            wrong.extend(thresholds(panel).into_iter().map(|why| format!("{title}: {why}")));
            let targets = list(&panel["targets"]);
            let letters: BTreeSet<&str> = targets.iter().map(|one| text(one, "refId")).collect();
            if targets.is_empty() || letters.len() != targets.len() {
                wrong.push(format!("{title}: its queries are {letters:?}"));
            }
        }
        wrong
    });
}

/// Of a panel and its overrides: they begin below everything, and rise.
fn thresholds(panel: &Value) -> Vec<String> {
    let config = &panel["fieldConfig"];
    let properties = list(&config["overrides"]).iter().flat_map(|one| list(&one["properties"]));
    let own = properties.filter(|one| one["id"] == "thresholds").map(|one| &one["value"]);
    let mut wrong = Vec::new();
    for steps in own.chain([&config["defaults"]["thresholds"]]).map(|one| list(&one["steps"])) {
        let values: Vec<Option<f64>> = steps.iter().map(|step| step["value"].as_f64()).collect();
        let rise = values.windows(2).all(|pair| pair[0] < pair[1]);
        if values.first() != Some(&None) || !rise {
            wrong.push(format!("its thresholds are {values:?}"));
        }
    }
    wrong
}

#[test]
fn what_is_said_of_a_query_is_about_one_that_is_there() {
    wrong(|one| {
        let mut wrong = Vec::new();
        for panel in one.panels() {
            let legends: Vec<&str> =
                list(&panel["targets"]).iter().map(|target| text(target, "legendFormat")).collect();
            for rule in list(&panel["fieldConfig"]["overrides"]) {
                let about = text(&rule["matcher"], "options");
                if !legends.contains(&about) {
                    wrong.push(format!("{}: no query is `{about}`", text(panel, "title")));
                }
            }
        }
        wrong
    });
}

#[test]
fn everything_is_asked_of_the_prometheus_that_was_chosen() {
    let chosen = json!({ "type": "prometheus", "uid": "${datasource}" });
    wrong(|one| {
        let variables = one.variables();
        let of_prometheus = variables.iter().filter(|variable| variable["type"] == "query");
        let targets = one.panels().iter().flat_map(|panel| list(&panel["targets"]));
        let panels = one.panels().iter().filter(|panel| panel["type"] != "row");
        let mut wrong: Vec<String> = of_prometheus
            .chain(targets)
            .chain(panels)
            .chain(one.annotations())
            .filter(|asks| asks["datasource"] != chosen)
            .map(|asks| format!("{} asks {}", asks, asks["datasource"]))
            .collect();
        let first = variables.first();
        if first.is_none_or(|one| one["name"] != "datasource" || one["type"] != "datasource") {
            wrong.push("its first variable is not the data source".to_owned());
        }
        wrong
    });
}

#[test]
fn every_variable_of_a_query_is_declared_before_it_is_used_and_every_one_declared_is_used() {
    wrong(|one| {
        let mut wrong = Vec::new();
        let (mut known, mut used) = (BTreeSet::from(["datasource"]), BTreeSet::new());
        for variable in one.variables() {
            for name in variables_in(text(&variable["query"], "query")) {
                if !known.contains(name.as_str()) {
                    wrong.push(format!("${name} is asked for before it is known"));
                }
            }
            known.insert(text(variable, "name"));
        }
        for asked in one.asked() {
            for name in variables_in(&asked.expression) {
                if !known.contains(name.as_str()) && !BUILT_IN.contains(&name.as_str()) {
                    wrong.push(format!("{}: ${name} is not declared", asked.place));
                }
                used.insert(name);
            }
        }
        let idle = known.iter().filter(|name| **name != "datasource" && !used.contains(**name));
        wrong.extend(idle.map(|name| format!("${name} is declared and no panel uses it")));
        wrong
    });
}

#[test]
fn a_variable_that_may_be_all_matches_what_has_no_such_label_too_or_the_api_alone() {
    let exact = Regex::new(r#"[^~]"\$\{?\w"#).unwrap();
    wrong(|one| {
        let mut wrong = Vec::new();
        for variable in one.variables().iter().filter(|variable| variable["type"] == "query") {
            // Where exporters show the same names as the API, `.*` would take them in.
            let name = (one.file.as_str(), text(variable, "name"));
            let all = if LISTED.contains(&name) { Value::Null } else { json!(".*") };
            if variable["includeAll"] != true || variable["allValue"] != all {
                wrong.push(format!("`All` of ${} is not {all}", text(variable, "name")));
            }
        }
        let asked = one.asked();
        let matched = asked.iter().filter(|asked| exact.is_match(&asked.expression));
        wrong.extend(matched.map(|asked| format!("{}: match it by `=~`", asked.place)));
        wrong
    });
}

#[test]
fn a_single_number_is_that_of_now_and_says_when_there_is_none() {
    wrong(|one| {
        let mut wrong = Vec::new();
        for panel in one.panels().iter().filter(|panel| panel["type"] == "stat") {
            let title = text(panel, "title");
            let asks_now = |target: &Value| target["instant"] == true && target["range"] == false;
            // The last number of a range may be as old as the range is long.
            if !list(&panel["targets"]).iter().all(asks_now) {
                wrong.push(format!("{title}: it asks for a range"));
            }
            if panel["options"]["graphMode"] != "none" {
                wrong.push(format!("{title}: it draws a line of one point"));
            }
            if text(&panel["fieldConfig"]["defaults"], "noValue") != "no data" {
                wrong.push(format!("{title}: it is empty where there is nothing"));
            }
        }
        wrong
    });
}

#[test]
fn every_dashboard_shows_deployments_and_rollbacks_as_deployguard_counts_them() {
    wrong(|one| {
        let shown: Vec<&str> = one.annotations().map(|one| text(one, "expr")).collect();
        ["announced|starting", "rolling_back", "deployguard_watches_ended_total"]
            .into_iter()
            .filter(|part| !shown.iter().any(|query| query.contains(part)))
            .map(|part| format!("no annotation shows `{part}`"))
            .collect()
    });
}
