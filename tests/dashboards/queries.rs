//! Every query of the dashboards and alerts, put to a real Prometheus.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use promql_parser::parser::{Expr, VectorSelector, parse};
use promql_parser::util::{ExprVisitor, walk_expr};
use regex::Regex;
use serde_json::{Value, json};

use super::world::http::client_builder;
use super::world::now;
use super::world::prometheus::Prometheus;
use super::{Asked, dashboards, is_listed, list, made, rules, text, with_all};

/// The series end so long before now, in seconds: a block of Prometheus can't have samples of
/// the time that it is writing itself.
const GAP: i64 = 120;
/// What is shown, in seconds, and how densely.
const SHOWN: i64 = 1800;
const STEP: &str = "60";

/// A Prometheus that has the made series, which end at `end`.
pub struct Made {
    prometheus: Prometheus,
    client: reqwest::Client,
    pub end: i64,
}

impl Made {
    pub async fn start() -> Self {
        let (_, nobody) = tokio::sync::watch::channel(Vec::new());
        let mut prometheus = Prometheus::start(nobody).await.unwrap();
        let end = now().as_second() - GAP;
        prometheus.remember(&made::openmetrics(end)).await.unwrap();
        Self { prometheus, client: client_builder().build().unwrap(), end }
    }

    async fn get(&self, path: &str, query: &[(&str, &str)]) -> Result<Value, String> {
        let request = self.client.get(format!("{}/api/v1/{path}", self.prometheus.url()));
        let answer = request.query(query).send().await.unwrap();
        let answer: Value = answer.json().await.unwrap();
        if answer["status"] != "success" || answer["warnings"].is_array() {
            return Err(answer.to_string());
        }
        Ok(answer["data"].clone())
    }

    /// The series that a query is answered with, as Grafana asks it.
    pub async fn series(&self, expression: &str, instant: bool) -> Result<Vec<Value>, String> {
        let end = self.end.to_string();
        let data = if instant {
            self.get("query", &[("query", expression), ("time", &end)]).await?
        } else {
            let start = (self.end - SHOWN).to_string();
            let range = [("query", expression), ("start", &start), ("end", &end), ("step", STEP)];
            self.get("query_range", &range).await?
        };
        Ok(list(&data["result"]).to_vec())
    }

    /// What is wrong with a query, if anything is.
    async fn wrong(&self, asked: &Asked) -> Vec<String> {
        let expression = asked.as_sent();
        let series = match self.series(&expression, asked.instant).await {
            Ok(series) => series,
            Err(why) => return vec![why],
        };
        let mut wrong = Vec::new();
        if !series.iter().any(has_number) {
            wrong.push(format!("no number: {expression}"));
        }
        for label in labels_of(&asked.legend) {
            if series.iter().any(|one| one["metric"][&label].as_str().is_none()) {
                wrong.push(format!("a series has no `{label}`, by which it is called"));
            }
        }
        // Where one side of an `or` finds nothing the other hides it.
        for selector in selectors(&expression) {
            let found = self.series(&format!("last_over_time({selector}[1h])"), true).await;
            if found.is_ok_and(|found| found.is_empty()) {
                wrong.push(format!("no series: {selector}"));
            }
        }
        wrong
    }
}

fn has_number(series: &Value) -> bool {
    let instant = series.get("value").into_iter();
    instant.chain(list(&series["values"])).any(|sample| {
        sample[1].as_str().and_then(|value| value.parse().ok()).is_some_and(f64::is_finite)
    })
}

/// A label in `{{version}} failed`.
static LABEL: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"\{\{\s*(\w+)\s*\}\}").unwrap());

fn labels_of(legend: &str) -> Vec<String> {
    LABEL.captures_iter(legend).map(|found| found[1].to_owned()).collect()
}

/// The selectors in a query, without the times that they are moved by.
pub fn selectors(expression: &str) -> Vec<VectorSelector> {
    struct Gather(Vec<VectorSelector>);
    impl ExprVisitor for Gather {
        type Error = ();

        fn pre_visit(&mut self, expression: &Expr) -> Result<bool, ()> {
            let found = match expression {
                Expr::VectorSelector(selector) => Some(selector),
                Expr::MatrixSelector(matrix) => Some(&matrix.vs),
                _ => None,
            };
            self.0.extend(found.map(|selector| VectorSelector {
                offset: None,
                at: None,
                ..selector.clone()
            }));
            Ok(true)
        }
    }
    let parsed = parse(expression).unwrap_or_else(|why| panic!("{expression}: {why}"));
    let mut gather = Gather(Vec::new());
    walk_expr(&mut gather, &parsed).unwrap();
    gather.0
}

#[tokio::test]
async fn every_query_of_every_dashboard_and_alert_is_answered_with_data() {
    let made = Made::start().await;
    let mut wrong = Vec::new();
    let mut asked: Vec<Asked> = dashboards().iter().flat_map(super::Dashboard::asked).collect();
    assert!(asked.len() > 120, "only {} queries", asked.len());
    // What an alert compares is there, so that its silence says something.
    asked.extend(rules::compared());
    for asked in &asked {
        let why = made.wrong(asked).await;
        wrong.extend(why.into_iter().map(|why| format!("{}: {why}", asked.place)));
    }
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
}

#[tokio::test]
async fn every_variable_of_every_dashboard_has_values_to_choose_from() {
    let form = Regex::new(r"^label_values\((.+), (\w+)\)$").unwrap();
    let made = Made::start().await;
    let mut seen = BTreeSet::new();
    for one in dashboards() {
        for variable in one.variables().iter().filter(|variable| variable["type"] == "query") {
            let query = with_all(text(&variable["query"], "query"));
            let place = format!("{}: {query}", one.file);
            let found = form.captures(&query).unwrap_or_else(|| panic!("{place}"));
            let (start, end) = ((made.end - SHOWN).to_string(), made.end.to_string());
            let within = [("match[]", &found[1]), ("start", &start), ("end", &end)];
            let path = format!("label/{}/values", &found[2]);
            let values = made.get(&path, &within).await.unwrap();
            assert!(!list(&values).is_empty(), "{place}");
            // Whatever else is scraped, "All" is the API.
            assert!(!is_listed(variable) || values == json!([made::JOB]), "{place}: {values}");
            seen.insert(query);
        }
    }
    assert!(seen.len() > 8, "{seen:?}");
}
