//! The guard's own metrics, as dashboards, alerts and made series name them, against the code.

use std::collections::BTreeSet;
use std::path::Path;

use proc_macro2::{TokenStream, TokenTree};
use promql_parser::label::MatchOp;
use regex::Regex;

use super::queries::selectors;
use super::{Asked, Dashboard, dashboards, made, rules, text, with_all};

// TO BE REMOVED with the merge of the branch `metrics`, which builds these: the names and labels
// that it has promised. A test below says when it is time.
const PROMISED: &[&str] = &[
    "blind",
    "http_request_duration_seconds",
    "last_step_timestamp_seconds",
    "rollbacks_total",
    "source_request_duration_seconds",
    "source_requests_total",
    "tick_lag_seconds",
    "watches_in_phase",
];
const PROMISED_LABELS: &[&str] = &["commit", "method", "phase", "place", "rustc"];

/// Labels that Prometheus gives every series, or a histogram its buckets.
const GIVEN: &[&str] = &["instance", "job", "le"];

/// The strings in the code below `path`, macros and attributes included, comments not.
fn strings(path: &Path) -> BTreeSet<String> {
    fn gather(tokens: TokenStream, found: &mut BTreeSet<String>) {
        for token in tokens {
            match token {
                TokenTree::Group(group) => gather(group.stream(), found),
                TokenTree::Literal(literal) => {
                    if let Ok(text) = syn::parse_str::<syn::LitStr>(&literal.to_string()) {
                        found.insert(text.value());
                    }
                }
                _ => {}
            }
        }
    }
    let mut found = BTreeSet::new();
    if path.is_dir() {
        for entry in std::fs::read_dir(path).unwrap() {
            found.extend(strings(&entry.unwrap().path()));
        }
    } else if path.extension().is_some_and(|extension| extension == "rs") {
        let text = std::fs::read_to_string(path).unwrap();
        gather(text.parse().unwrap(), &mut found);
    }
    found
}

/// What the code calls its metrics and their labels: the strings of the room that alone names
/// them.
fn telemetry() -> BTreeSet<String> {
    let rooms = [Path::new("src/telemetry"), Path::new("src/telemetry.rs")];
    rooms.into_iter().filter(|room| room.exists()).flat_map(strings).collect()
}

/// A metric by what the code calls it: without the prefix, and without what a histogram adds.
fn bare(name: &str) -> &str {
    let name = name.trim_start_matches("deployguard_");
    let parts = ["_bucket", "_sum", "_count"];
    parts.iter().find_map(|part| name.strip_suffix(part)).unwrap_or(name)
}

fn is_known(known: &BTreeSet<String>, name: &str) -> bool {
    let bare = bare(name);
    known.contains(bare)
        || known.contains(&format!("deployguard_{bare}"))
        || PROMISED.contains(&bare)
}

/// All that is asked about the guard itself.
fn asked() -> Vec<Asked> {
    let mut asked: Vec<Asked> = dashboards().iter().flat_map(Dashboard::asked).collect();
    for one in dashboards() {
        let queries = one.variables().iter().filter(|variable| variable["type"] == "query");
        asked.extend(queries.filter_map(|variable| {
            let query = text(&variable["query"], "query");
            let (selector, _) = query.strip_prefix("label_values(")?.rsplit_once(", ")?;
            Some(Asked {
                place: format!("{}: ${}", one.file, text(variable, "name")),
                expression: selector.to_owned(),
                legend: String::new(),
                instant: true,
            })
        }));
    }
    asked.extend(rules::asked());
    asked
}

#[test]
fn every_metric_of_ours_that_is_asked_for_is_one_of_the_code() {
    let known = telemetry();
    assert!(known.contains("watches"), "the code's names are not found any more");
    let (mut wrong, mut seen) = (Vec::new(), BTreeSet::new());
    for asked in asked() {
        for selector in selectors(&with_all(&asked.expression)) {
            let name = selector.name.clone().unwrap_or_default();
            if !name.starts_with("deployguard_") {
                continue;
            }
            if !is_known(&known, &name) {
                wrong.push(format!("{}: the code has no `{name}`", asked.place));
            }
            seen.insert(bare(&name).to_owned());
        }
    }
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
    assert!(seen.len() > 25, "only {seen:?}");
}

#[test]
fn every_label_that_a_query_matches_or_a_made_series_has_is_one_of_the_code() {
    let (known, words) = (telemetry(), strings(Path::new("src")));
    let is_label = |label: &str| {
        known.contains(label) || GIVEN.contains(&label) || PROMISED_LABELS.contains(&label)
    };
    let mut wrong = Vec::new();
    for asked in asked() {
        for selector in selectors(&with_all(&asked.expression)) {
            if !selector.name.as_deref().unwrap_or_default().starts_with("deployguard_") {
                continue;
            }
            for matcher in &selector.matchers.matchers {
                if !is_label(&matcher.name) {
                    wrong.push(format!("{}: no label `{}`", asked.place, matcher.name));
                }
                // Patterns of several words, and not those of codes and routes.
                let plain = match matcher.op {
                    MatchOp::Equal | MatchOp::NotEqual => true,
                    MatchOp::Re(_) | MatchOp::NotRe(_) => {
                        matcher.value.chars().all(|c| c.is_ascii_lowercase() || "_|".contains(c))
                    }
                };
                let values = matcher.value.split('|').filter(|_| plain && matcher.name != "job");
                let strange = values.filter(|value| !words.contains(*value));
                wrong.extend(
                    strange.map(|value| {
                        format!("{}: nothing in the code says `{value}`", asked.place)
                    }),
                );
            }
        }
    }
    let label = Regex::new(r"(\w+)=").unwrap();
    for (name, labels) in made::own() {
        if !is_known(&known, &name) {
            wrong.push(format!("made series: the code has no `{name}`"));
        }
        let strange = label.captures_iter(labels).filter(|found| !is_label(&found[1]));
        wrong.extend(strange.map(|found| format!("{name}: the code has no label `{}`", &found[1])));
    }
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
}

#[test]
fn what_was_promised_is_not_there_yet() {
    let known = telemetry();
    let names = PROMISED
        .iter()
        .filter(|name| known.contains(**name) || known.contains(&format!("deployguard_{name}")));
    let there: Vec<_> =
        names.chain(PROMISED_LABELS.iter().filter(|l| known.contains(**l))).collect();
    assert!(there.is_empty(), "the code has {there:?} now: take them out of the lists above");
}
