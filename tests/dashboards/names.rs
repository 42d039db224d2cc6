//! The guard's own metrics, as dashboards, alerts and made series name them, against the code and
//! the table of `docs/metrics.md`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use proc_macro2::{TokenStream, TokenTree};
use promql_parser::label::MatchOp;
use promql_parser::parser::{Expr, LabelModifier, VectorSelector, parse};
use regex::Regex;

use super::queries::selectors;
use super::{Asked, Dashboard, dashboards, made, rules, text, with_all};

/// Labels that Prometheus gives every series by its target, or a histogram its buckets.
const GIVEN: &[&str] = &["instance", "job", "le"];
/// One that a target may have as well.
const OF_TARGETS: &[&str] = &["instance", "job", "pod"];

/// Where the metrics stand with their labels; a test of the room that makes them holds it.
const TABLE: &str = "docs/metrics.md";
/// What a request to a source comes to.
const RESULTS: &[&str] = &["error", "ok", "refused", "unreachable"];

/// The labels of each metric, as a series of it has them: of a histogram by its parts.
type Table = BTreeMap<String, BTreeSet<String>>;

fn table() -> Table {
    let text = std::fs::read_to_string(TABLE).expect(TABLE);
    let row = Regex::new(r"(?m)^\| `(deployguard_\w+)` \| (\w+) \| ([^|]*)\|").unwrap();
    let mut table = Table::new();
    for found in row.captures_iter(&text) {
        let own = found[3].split(',').map(str::trim).filter(|label| !label.is_empty());
        let all = own.chain(OF_TARGETS.iter().copied()).map(str::to_owned);
        let all: BTreeSet<String> = all.collect();
        if &found[2] == "histogram" {
            for part in ["sum", "count"] {
                table.insert(format!("{}_{part}", &found[1]), all.clone());
            }
            let mut bucket = all;
            bucket.insert("le".to_owned());
            table.insert(format!("{}_bucket", &found[1]), bucket);
        } else {
            table.insert(found[1].to_owned(), all);
        }
    }
    assert!(table.len() > 25, "{TABLE} has only {:?}", table.keys());
    table
}

/// What is wrong with a selector of ours.
fn wrong_in(table: &Table, selector: &VectorSelector) -> Vec<String> {
    let name = selector.name.clone().unwrap_or_default();
    if !name.starts_with("deployguard_") {
        return Vec::new();
    }
    let Some(labels) = table.get(&name) else {
        return vec![format!("there is no `{name}`")];
    };
    let mut wrong = Vec::new();
    for matcher in &selector.matchers.matchers {
        if !labels.contains(&matcher.name) {
            wrong.push(format!("`{name}` has no label `{}`", matcher.name));
        }
        let is_result = name == "deployguard_source_requests_total" && matcher.name == "result";
        if is_result && !RESULTS.contains(&matcher.value.as_str()) {
            wrong.push(format!("no request to a source comes to `{}`", matcher.value));
        }
    }
    wrong
}

/// The labels that the answer to a query has, and none where they are not known, because it is no
/// metric of ours. What it groups and joins by and is not there goes to `wrong`.
fn labels_of(table: &Table, asked: &Expr, wrong: &mut Vec<String>) -> Option<BTreeSet<String>> {
    let missed = |known: Option<&BTreeSet<String>>, by: &[String], wrong: &mut Vec<String>| {
        let strange = by.iter().filter(|label| known.is_some_and(|all| !all.contains(*label)));
        wrong.extend(strange.map(|label| format!("by `{label}`, which is not there: {asked}")));
    };
    match asked {
        Expr::VectorSelector(selector) => table.get(selector.name.as_ref()?).cloned(),
        Expr::MatrixSelector(matrix) => table.get(matrix.vs.name.as_ref()?).cloned(),
        Expr::Paren(inner) => labels_of(table, &inner.expr, wrong),
        Expr::Unary(inner) => labels_of(table, &inner.expr, wrong),
        Expr::Subquery(inner) => labels_of(table, &inner.expr, wrong),
        Expr::Call(call) => {
            let all: Vec<_> =
                call.args.args.iter().map(|one| labels_of(table, one, wrong)).collect();
            all.into_iter().flatten().next()
        }
        Expr::Aggregate(inner) => {
            let known = labels_of(table, &inner.expr, wrong);
            let by = match &inner.modifier {
                Some(LabelModifier::Include(by)) => by.labels.clone(),
                Some(LabelModifier::Exclude(_)) => return known,
                None => Vec::new(),
            };
            missed(known.as_ref(), &by, wrong);
            Some(by.into_iter().collect())
        }
        Expr::Binary(two) => {
            let left = labels_of(table, &two.lhs, wrong);
            let right = labels_of(table, &two.rhs, wrong);
            let matching = two.modifier.as_ref().and_then(|how| how.matching.as_ref());
            if let Some(LabelModifier::Include(on)) = matching {
                missed(left.as_ref(), &on.labels, wrong);
                missed(right.as_ref(), &on.labels, wrong);
            }
            left.or(right)
        }
        _ => None,
    }
}

#[test]
fn every_metric_is_asked_for_tested_and_grouped_by_labels_that_it_has_itself() {
    let table = table();
    let mut wrong = Vec::new();
    for asked in asked() {
        let expression = with_all(&asked.expression);
        let mut found: Vec<String> =
            selectors(&expression).iter().flat_map(|one| wrong_in(&table, one)).collect();
        labels_of(&table, &parse(&expression).unwrap(), &mut found);
        wrong.extend(found.into_iter().map(|why| format!("{}: {why}", asked.place)));
    }
    let made = made::own().map(|(name, labels)| format!("{name}{{{labels}}}"));
    for series in made.chain(rules::series()) {
        let found = selectors(&series);
        let found = found.iter().flat_map(|one| wrong_in(&table, one));
        wrong.extend(found.map(|why| format!("{series}: {why}")));
    }
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
}

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
    known.contains(bare) || known.contains(&format!("deployguard_{bare}"))
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
                instant: true,
                ..Asked::default()
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
    let is_label = |label: &str| known.contains(label) || GIVEN.contains(&label);
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
