//! What people look at: the dashboards of `dashboards/`, and the alerts about the guard itself.
//! Every query is put to a real Prometheus and has to be answered with data, and every metric of
//! ours has to be one that the code has.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may end there")]

#[path = "../world/mod.rs"]
mod world;

mod cloudwatch;
mod grafana;
mod limits;
mod made;
mod names;
mod queries;
mod rules;
mod values;

use std::path::PathBuf;
use std::sync::LazyLock;

use regex::Regex;
use serde_json::Value;

const GRAFANA: &str = "dashboards/grafana";

/// A dashboard of Grafana.
struct Dashboard {
    /// `deployguard.json`.
    file: String,
    json: Value,
}

/// All of them, by their file names.
fn dashboards() -> Vec<Dashboard> {
    let entries = std::fs::read_dir(GRAFANA).unwrap();
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let read = |path: PathBuf| Dashboard {
        file: path.file_name().unwrap().to_str().unwrap().to_owned(),
        json: serde_json::from_str(&std::fs::read_to_string(&path).unwrap())
            .unwrap_or_else(|error| panic!("{}: {error}", path.display())),
    };
    paths.into_iter().map(read).collect()
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_default()
}

/// A query of a dashboard.
#[derive(Default)]
struct Asked {
    /// Where it stands, in words.
    place: String,
    /// As it is written, with its variables.
    expression: String,
    /// How its series are called.
    legend: String,
    /// Asked for the latest moment only.
    instant: bool,
    /// What its dashboard's variables are where nothing was chosen, as far as that is not `.*`.
    given: Vec<(String, String)>,
}

impl Asked {
    /// As Grafana sends it where nothing was chosen.
    fn as_sent(&self) -> String {
        with(&self.expression, &self.given)
    }
}

/// Whether Grafana takes all the values that a variable's query finds for its "All".
fn is_listed(variable: &Value) -> bool {
    variable["type"] == "query" && variable["allValue"].is_null()
}

impl Dashboard {
    /// Its panels; the rows' own are none here, because none is collapsed.
    fn panels(&self) -> &[Value] {
        list(&self.json["panels"])
    }

    fn variables(&self) -> &[Value] {
        list(&self.json["templating"]["list"])
    }

    /// Those that deployguard's metrics make.
    fn annotations(&self) -> impl Iterator<Item = &Value> {
        list(&self.json["annotations"]["list"]).iter().filter(|one| one["builtIn"] != 1)
    }

    /// What its variables are where nothing was chosen, as far as that is not `.*`.
    fn given(&self) -> Vec<(String, String)> {
        let value = |variable: &Value| match text(variable, "type") {
            "textbox" => Some(text(variable, "query").to_owned()),
            _ => is_listed(variable).then(|| made::JOB.to_owned()),
        };
        let all = self.variables().iter();
        all.filter_map(|one| Some((text(one, "name").to_owned(), value(one)?))).collect()
    }

    /// What its panels and annotations ask.
    fn asked(&self) -> Vec<Asked> {
        let (file, given) = (&self.file, &self.given());
        let of_panels = self.panels().iter().flat_map(|panel| {
            let title = text(panel, "title");
            list(&panel["targets"]).iter().map(move |target| Asked {
                place: format!("{file}: {title}, {}", text(target, "refId")),
                expression: text(target, "expr").to_owned(),
                legend: text(target, "legendFormat").to_owned(),
                instant: target["instant"] == true,
                given: given.clone(),
            })
        });
        let of_annotations = self.annotations().map(|one| Asked {
            place: format!("{file}: annotation {}", text(one, "name")),
            expression: text(one, "expr").to_owned(),
            legend: text(one, "titleFormat").to_owned(),
            ..Asked::default()
        });
        of_panels.chain(of_annotations).collect()
    }
}

/// `$job` or `${job}`.
static VARIABLE: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"\$\{?(\w+)\}?").unwrap());

/// The variables in a text.
fn variables_in(text: &str) -> Vec<String> {
    VARIABLE.captures_iter(text).map(|found| found[1].to_owned()).collect()
}

/// A query where each variable is `.*`.
fn with_all(expression: &str) -> String {
    with(expression, &[])
}

/// A query whose variables have these values, and `.*` where none is named.
fn with(expression: &str, given: &[(String, String)]) -> String {
    let value = |found: &regex::Captures<'_>| match &found[1] {
        // Four times the scrape interval.
        "__rate_interval" => "2m".to_owned(),
        "__range" => "1h".to_owned(),
        name => {
            let named = given.iter().find(|(known, _)| known == name);
            named.map_or_else(|| ".*".to_owned(), |(_, value)| value.clone())
        }
    };
    VARIABLE.replace_all(expression, value).into_owned()
}
