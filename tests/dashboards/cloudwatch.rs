//! The body of CloudWatch's dashboard: as far as what AWS documents of it can be held, and that
//! it measures what document 003 and its policies measure.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::{list, text};

const BODY: &str = "dashboards/cloudwatch/unifocus.json";
const POLICY: &str = "policies/unifocus/prod.yaml";
/// Named by the document ("RDS metrics (connections, CPU, storage)"), and without a limit.
const UNLIMITED: (&str, &str) = ("AWS/RDS", "CPUUtilization");

/// What AWS documents: the keys that a body, a widget's properties and a metric's options have.
const KEYS: &[(&str, &[&str])] = &[
    ("body", &["start", "end", "periodOverride", "variables", "widgets"]),
    ("widget", &["type", "x", "y", "width", "height", "properties"]),
    (
        "metric",
        &[
            "accountId",
            "annotations",
            "labels",
            "liveData",
            "legend",
            "metrics",
            "period",
            "region",
            "setPeriodToTimeRange",
            "singleValueFullPrecision",
            "sparkline",
            "stacked",
            "stat",
            "table",
            "timezone",
            "title",
            "trend",
            "view",
            "yAxis",
        ],
    ),
    ("log", &["accountId", "query", "region", "stacked", "title", "view"]),
    ("text", &["background", "markdown"]),
    (
        "options",
        &[
            "accountId",
            "color",
            "expression",
            "id",
            "label",
            "period",
            "region",
            "stat",
            "visible",
            "yAxis",
        ],
    ),
    (
        "variable",
        &[
            "defaultValue",
            "id",
            "inputType",
            "label",
            "pattern",
            "populateFrom",
            "property",
            "search",
            "type",
            "values",
            "visible",
        ],
    ),
    ("line", &["color", "fill", "label", "value", "visible", "yAxis"]),
    ("axis", &["label", "max", "min", "showUnits"]),
];

fn body() -> Value {
    serde_json::from_str(&std::fs::read_to_string(BODY).unwrap()).unwrap()
}

/// A thing of the body has no other keys than AWS knows for its kind.
fn known(kind: &str, thing: &Value) {
    let keys = KEYS.iter().find(|(name, _)| *name == kind).unwrap().1;
    for key in thing.as_object().unwrap().keys() {
        assert!(keys.contains(&key.as_str()), "a {kind} has no `{key}`: {thing}");
    }
}

/// A metric of a widget, with what `...` stands for put in.
#[derive(Clone)]
struct Metric {
    namespace: String,
    name: String,
    dimensions: BTreeMap<String, String>,
    stat: String,
}

/// The metrics of a widget; expressions are none.
fn metrics(widget: &Value) -> Vec<Metric> {
    let properties = &widget["properties"];
    let mut found: Vec<Metric> = Vec::new();
    for row in list(&properties["metrics"]) {
        let row = list(row);
        let (words, options) = match row.split_last() {
            Some((options, words)) if options.is_object() => (words, Some(options)),
            _ => (row, None),
        };
        if let Some(options) = options {
            known("options", options);
        }
        if words.is_empty() {
            let expression = options.map_or("", |options| text(options, "expression"));
            assert!(!expression.is_empty(), "neither a metric nor an expression: {row:?}");
            continue;
        }
        let words: Vec<&str> = words.iter().map(|word| word.as_str().unwrap()).collect();
        let stat = options.map_or("", |options| text(options, "stat"));
        let stat = if stat.is_empty() { text(properties, "stat") } else { stat }.to_owned();
        let of = match *words {
            ["..."] => Metric { stat, ..found.last().expect("`...` repeats a metric").clone() },
            [namespace, name, ref dimensions @ ..] => {
                assert_eq!(dimensions.len() % 2, 0, "a dimension without a value: {words:?}");
                let pairs = dimensions.chunks(2).map(|two| (two[0].into(), two[1].into()));
                let dimensions = pairs.collect();
                Metric { namespace: namespace.into(), name: name.into(), dimensions, stat }
            }
            _ => panic!("no metric: {words:?}"),
        };
        found.push(of);
    }
    found
}

fn widgets(body: &Value) -> &[Value] {
    list(&body["widgets"])
}

#[test]
fn the_body_is_as_aws_documents_it() {
    let body = body();
    known("body", &body);
    assert!(text(&body, "start").starts_with("-PT"), "an hour or more before now");
    assert!(["auto", "inherit"].contains(&text(&body, "periodOverride")));
    assert!((1..=500).contains(&widgets(&body).len()));
    let mut taken = BTreeSet::new();
    for widget in widgets(&body) {
        known("widget", widget);
        let (kind, properties) = (text(widget, "type"), &widget["properties"]);
        known(kind, properties);
        let [x, y, w, h] = ["x", "y", "width", "height"].map(|key| widget[key].as_u64().unwrap());
        assert!((1..=24).contains(&w) && x + w <= 24 && (1..=1000).contains(&h), "{widget}");
        for place in (x..x + w).flat_map(|x| (y..y + h).map(move |y| (x, y))) {
            assert!(taken.insert(place), "it lies upon another: {widget}");
        }
        match kind {
            "metric" => metric_widget(properties),
            "log" => {
                assert!(text(properties, "query").starts_with("SOURCE '/"), "{widget}");
                assert!(["table", "timeSeries", "bar", "pie"].contains(&text(properties, "view")));
            }
            "text" => assert!(!text(properties, "markdown").is_empty()),
            other => panic!("a widget of the type `{other}`"),
        }
        let has_region = !text(properties, "region").is_empty();
        assert_eq!(has_region, kind != "text", "{widget}");
    }
}

fn metric_widget(properties: &Value) {
    let views = ["timeSeries", "singleValue", "gauge", "bar", "pie", "table"];
    assert!(views.contains(&text(properties, "view")), "{properties}");
    let period = properties["period"].as_u64().unwrap();
    assert!(period >= 60 && period.is_multiple_of(60), "{properties}");
    assert!(!text(properties, "title").is_empty(), "{properties}");
    for line in list(&properties["annotations"]["horizontal"]) {
        known("line", line);
        assert!(line["value"].is_number() && ["above", "below"].contains(&text(line, "fill")));
    }
    for axis in properties["yAxis"].as_object().into_iter().flat_map(|sides| sides.values()) {
        known("axis", axis);
    }
    let mut ids = BTreeSet::new();
    for options in list(&properties["metrics"]).iter().filter_map(|row| list(row).last()) {
        let id = text(options, "id");
        assert!(id.is_empty() || id.starts_with(|c: char| c.is_ascii_lowercase()), "{options}");
        assert!(id.is_empty() || ids.insert(id), "two are `{id}`");
    }
}

#[test]
fn what_names_another_environment_load_balancer_or_database_can_be_chosen() {
    let body = body();
    let all = body["widgets"].to_string();
    let mut ids = BTreeSet::new();
    for variable in list(&body["variables"]) {
        known("variable", variable);
        assert!(ids.insert(text(variable, "id")), "{variable}");
        assert!(["input", "select", "radio"].contains(&text(variable, "inputType")));
        let replaced = match text(variable, "type") {
            "pattern" => text(variable, "pattern").to_owned(),
            "property" => format!("\"{}\"", text(variable, "property")),
            other => panic!("a variable of the type `{other}`"),
        };
        assert!(all.contains(&replaced), "nothing is {replaced}");
        let values: Vec<&str> =
            list(&variable["values"]).iter().map(|one| text(one, "value")).collect();
        let searched = text(variable, "search");
        assert_ne!(values.is_empty(), searched.is_empty(), "values or a search: {variable}");
        let first = text(variable, "defaultValue");
        assert!(values.contains(&first) || first == "__FIRST", "{variable}");
        let from = text(variable, "populateFrom");
        assert!(searched.is_empty() || searched.contains(&format!(",{from}")), "{variable}");
    }
    // What is to be filled in, is by these.
    for widget in widgets(&body) {
        for metric in metrics(widget) {
            let open = metric.dimensions.iter().filter(|(_, value)| value.contains("FILL-IN"));
            for (name, _) in open {
                let variables = list(&body["variables"]).iter();
                let chosen = variables.filter(|one| one["property"] == name.as_str()).count();
                assert_eq!(chosen, 1, "who chooses {name}?");
            }
        }
    }
}

/// Each metric of the policy, with its dimensions' names.
fn of_the_policy() -> BTreeMap<(String, String), BTreeSet<String>> {
    fn gather(value: &Value, found: &mut BTreeMap<(String, String), BTreeSet<String>>) {
        match value {
            Value::Object(map) => {
                if let Some(one) = map.get("cloudwatch") {
                    let names = one["dimensions"].as_object().unwrap().keys().cloned();
                    let key = (text(one, "namespace").into(), text(one, "metric").into());
                    found.insert(key, names.collect());
                }
                map.values().for_each(|value| gather(value, found));
            }
            Value::Array(all) => all.iter().for_each(|value| gather(value, found)),
            _ => {}
        }
    }
    let policy = serde_norway::from_str(&std::fs::read_to_string(POLICY).unwrap()).unwrap();
    let mut found = BTreeMap::new();
    gather(&policy, &mut found);
    assert!(found.len() > 8, "{found:?}");
    found
}

#[test]
fn it_shows_every_metric_of_the_policy_and_no_other_but_one_that_the_document_names() {
    let mut known = of_the_policy();
    known.insert(
        (UNLIMITED.0.to_owned(), UNLIMITED.1.to_owned()),
        BTreeSet::from(["DBInstanceIdentifier".to_owned()]),
    );
    let body = body();
    let mut shown = BTreeSet::new();
    for metric in widgets(&body).iter().flat_map(metrics) {
        let key = (metric.namespace, metric.name);
        let dimensions: BTreeSet<String> = metric.dimensions.into_keys().collect();
        assert_eq!(known.get(&key), Some(&dimensions), "{key:?} is not measured so");
        let is_stat = ["Average", "Maximum", "Minimum", "SampleCount", "Sum"]
            .contains(&metric.stat.as_str())
            || metric.stat.strip_prefix('p').is_some_and(|p| p.parse::<u8>().is_ok());
        assert!(is_stat, "{key:?} by `{}`", metric.stat);
        shown.insert(key);
    }
    assert_eq!(shown, known.into_keys().collect());
}

/// A line of the policy, and the metric at whose alarm a line is drawn.
const ALARMS: &[(&str, &str, f64)] = &[
    ("AWS/ECS CPUUtilization", r#"breach: { SEV2: "> 80% for 5m" }"#, 80.0),
    ("AWS/ECS MemoryUtilization", r#"breach: { SEV2: "> 80% for 5m" }"#, 80.0),
    ("AWS/ApplicationELB HTTPCode_ELB_5XX_Count", r#"breach: { SEV2: "> 10 for 5m" }"#, 10.0),
    ("AWS/ApplicationELB UnHealthyHostCount", r#"breach: { SEV2: "> 0 for 3m" }"#, 0.0),
    ("AWS/RDS DatabaseConnections", r#"breach: { SEV2: "> 80 for 3m" }"#, 80.0),
    ("AWS/RDS FreeStorageSpace", r#"breach: { SEV2: "< 5 GB for 3m" }"#, 5e9),
];

#[test]
fn each_alarm_of_the_document_is_drawn_at_its_limit() {
    let (body, policy) = (body(), std::fs::read_to_string(POLICY).unwrap());
    for (of, line, limit) in ALARMS {
        assert!(policy.contains(line), "{POLICY} does not say `{line}` any more");
        let drawn = widgets(&body).iter().any(|widget| {
            let lines = list(&widget["properties"]["annotations"]["horizontal"]);
            lines.iter().any(|line| line["value"].as_f64() == Some(*limit))
                && metrics(widget)
                    .iter()
                    .any(|one| format!("{} {}", one.namespace, one.name) == *of)
        });
        assert!(drawn, "no line at {limit} over {of}");
    }
}

#[test]
fn it_looks_into_the_logs_as_the_document_does() {
    let body = body();
    let logs: Vec<&Value> =
        widgets(&body).iter().filter(|widget| widget["type"] == "log").collect();
    assert!(!logs.is_empty());
    for widget in logs {
        let query = text(&widget["properties"], "query");
        assert!(query.starts_with("SOURCE '/ecs/unifocus-prod-api' | "), "{query}");
        assert!(query.contains("/ERROR/"), "{query}");
    }
}
