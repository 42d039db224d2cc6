//! docs/policy.md: its tables have every key of a policy, as `deployguard schema` says it.
//! `UPDATE_EXPECTED=1` writes the tables anew; which keys stand together, and in what order,
//! the document says itself: `<!-- keys PATH: KEY KEY -->`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use serde_json::Value;

const DOCUMENT: &str = "docs/policy.md";
const BEGIN: &str = "<!-- keys";
const END: &str = "<!-- end -->";
/// Stands in a path for what a policy names itself: a phase, a check, a metric.
const NAME: &str = "NAME";
/// How a key ends that says what holds where it is left out.
const LEFT_OUT: [&str; 2] = ["Default: ", "Required"];

fn schema() -> Value {
    let mut out = Vec::new();
    deployguard::cli::schema::run(&mut out).unwrap();
    serde_json::from_slice(&out).unwrap()
}

/// One table of the document, as it is asked for there.
#[derive(Debug, Clone)]
struct Table {
    /// `checks.NAME.ratio`; empty: the policy itself.
    path: String,
    keys: Vec<String>,
}

impl Table {
    /// Of a line `<!-- keys checks.NAME.ratio: bad good total -->`.
    fn of(line: &str) -> Option<Self> {
        let said = line.strip_prefix(BEGIN)?.strip_suffix("-->")?;
        let (path, keys) = said.split_once(':')?;
        let keys = keys.split_whitespace().map(ToOwned::to_owned).collect();
        Some(Self { path: path.trim().to_owned(), keys })
    }

    fn path_of(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }
}

/// What a link leads to: the path without what a policy names itself.
fn anchor(path: &str) -> String {
    path.split('.').filter(|part| *part != NAME).collect::<Vec<_>>().join(".")
}

struct Schema {
    whole: Value,
    /// Where the keys of each definition stand in the document.
    at: BTreeMap<String, String>,
}

impl Schema {
    fn new(tables: &[Table]) -> Self {
        let mut schema = Self { whole: schema(), at: BTreeMap::new() };
        for table in tables.iter().filter(|table| !table.path.is_empty()) {
            let name = schema.named(&table.path).unwrap_or_else(|| {
                panic!("{DOCUMENT}: no key `{}` has keys of its own", table.path)
            });
            let at = schema.at.entry(name.clone()).or_insert_with(|| table.path.clone());
            assert_eq!(*at, table.path, "{DOCUMENT}: the keys of {name} stand in two places");
        }
        schema
    }

    fn definition(&self, name: &str) -> &Value {
        &self.whole["$defs"][name]
    }

    /// The definitions that a value may be, with keys of their own.
    fn mappings(&self, value: &Value) -> Vec<String> {
        if !value.is_object() {
            return Vec::new();
        }
        if let Some(name) = value["$ref"].as_str().and_then(|at| at.strip_prefix("#/$defs/")) {
            return match self.definition(name) {
                object if object["properties"].is_object() => vec![name.to_owned()],
                other => self.mappings(other),
            };
        }
        let choices = value["anyOf"].as_array().into_iter().flatten();
        let inner = [&value["items"], &value["additionalProperties"]];
        choices.chain(inner).flat_map(|one| self.mappings(one)).collect()
    }

    /// The definition whose keys stand below `path`.
    fn named(&self, path: &str) -> Option<String> {
        let mut here = None;
        for part in path.split('.').filter(|part| *part != NAME) {
            let value = &self.properties(here.as_deref())[part];
            here = Some(self.mappings(value).into_iter().next()?);
        }
        here
    }

    fn properties(&self, definition: Option<&str>) -> &Value {
        &definition.map_or(&self.whole, |name| self.definition(name))["properties"]
    }

    fn keys_of(&self, path: &str) -> &Value {
        self.properties(self.named(path).as_deref())
    }

    /// What may stand there, in words.
    fn takes(&self, value: &Value) -> String {
        let words = value["enum"].as_array().into_iter().flatten().chain(value.get("const"));
        let words: Vec<String> = words.map(|word| format!("`{}`", plain(word))).collect();
        if !words.is_empty() {
            return words.join(", ");
        }
        if let Some(name) = value["$ref"].as_str().and_then(|at| at.strip_prefix("#/$defs/")) {
            let there = self.definition(name);
            return match self.at.get(name) {
                Some(path) => format!("[keys](#{})", anchor(path)),
                None => self.takes(there),
            };
        }
        let choices = ["anyOf", "oneOf"].iter().filter_map(|key| value[*key].as_array()).flatten();
        let choices: Vec<String> = choices.map(|one| self.takes(one)).collect();
        if !choices.is_empty() {
            return choices.join(" or ");
        }
        if let Some(title) = value["title"].as_str() {
            // The document's head says how durations are written.
            return if title.starts_with("a duration ") { "a duration" } else { title }.to_owned();
        }
        match value["type"].as_str() {
            Some("array") => match self.takes(&value["items"]) {
                plain if plain == "a text" => "a list".to_owned(),
                inner => format!("a list: {inner}"),
            },
            Some("object") => match self.takes(&value["additionalProperties"]) {
                plain if plain == "a text" => "names, each with a text".to_owned(),
                inner => format!("names, each with {inner}"),
            },
            Some("boolean") => "`true`, `false`".to_owned(),
            Some("string") => "a text".to_owned(),
            _ => panic!("what stands here? {value}"),
        }
    }

    fn row(&self, path: &str, value: &Value) -> String {
        let description = value["description"].as_str().unwrap_or_default().replace('\n', " ");
        let (means, left_out) = parted(&description);
        let anchor = anchor(path);
        let heads_a_table = self.at.values().any(|at| self::anchor(at) == anchor);
        let id = if heads_a_table { String::new() } else { format!("<a id=\"{anchor}\"></a>") };
        let key = path.rsplit('.').next().unwrap_or(path);
        let cells = [format!("{id}`{key}`"), self.takes(value), left_out, means];
        let cells: Vec<String> = cells.iter().map(|cell| cell.replace('|', "\\|")).collect();
        format!("| {} |\n", cells.join(" | "))
    }

    /// The table, with a place to lead to where it is the first of its path.
    fn table(&self, table: &Table, is_first: bool) -> String {
        let mut text = String::new();
        if is_first && !table.path.is_empty() {
            let _ = writeln!(text, "<a id=\"{}\"></a>\n", anchor(&table.path));
        }
        text.push_str("| key | takes | left out | means |\n| --- | --- | --- | --- |\n");
        let keys = self.keys_of(&table.path);
        for key in &table.keys {
            let path = table.path_of(key);
            let value = keys.get(key).unwrap_or_else(|| {
                panic!("{DOCUMENT}: there is no key `{path}` any more: take it out of its table")
            });
            text.push_str(&self.row(&path, value));
        }
        text
    }

    /// Every definition with keys that a policy can reach.
    fn reached(&self) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        let mut next: Vec<&Value> = self.properties(None).as_object().unwrap().values().collect();
        while let Some(value) = next.pop() {
            for name in self.mappings(value) {
                if found.insert(name.clone()) {
                    next.extend(self.properties(Some(&name)).as_object().unwrap().values());
                }
            }
        }
        found
    }
}

fn plain(word: &Value) -> String {
    word.as_str().map_or_else(|| word.to_string(), ToOwned::to_owned)
}

/// What a key means, and what holds where it is left out.
fn parted(description: &str) -> (String, String) {
    let at = LEFT_OUT.iter().filter_map(|begin| description.rfind(begin)).max();
    let (means, rest) = description.split_at(at.unwrap_or(description.len()));
    let rest = rest.strip_prefix("Default: ").unwrap_or(rest).trim_end_matches('.');
    let rest =
        if rest.is_empty() { "—".to_owned() } else { rest.replace("Required", "required") };
    (means.trim().to_owned(), rest)
}

/// The tables that the document asks for.
fn tables(document: &str) -> Vec<Table> {
    document.lines().filter_map(Table::of).collect()
}

/// The document with its tables as the schema says them.
fn written(document: &str, schema: &Schema) -> String {
    let (mut text, mut seen, mut lines) = (String::new(), BTreeSet::new(), document.lines());
    while let Some(line) = lines.next() {
        let _ = writeln!(text, "{line}");
        let Some(table) = Table::of(line) else { continue };
        let is_first = seen.insert(table.path.clone());
        let _ = writeln!(text, "{}{END}", schema.table(&table, is_first));
        assert!(lines.any(|line| line == END), "{DOCUMENT}: no `{END}` after {line}");
    }
    text
}

#[test]
fn the_reference_has_every_key_as_the_schema_says() {
    let document = std::fs::read_to_string(DOCUMENT).unwrap();
    let tables = tables(&document);
    let schema = Schema::new(&tables);
    let mut missing = Vec::new();
    let paths = schema.reached().into_iter().map(|name| match schema.at.get(&name) {
        Some(path) => path.clone(),
        None => panic!("{DOCUMENT}: the keys of {name} stand nowhere: `{BEGIN} PATH: KEY -->`"),
    });
    for path in paths.chain([String::new()]) {
        let all: BTreeSet<&str> =
            schema.keys_of(&path).as_object().unwrap().keys().map(String::as_str).collect();
        let here = tables.iter().filter(|table| table.path == path);
        let told: Vec<&str> = here.flat_map(|table| &table.keys).map(String::as_str).collect();
        let lacking = all.iter().filter(|key| !told.contains(key));
        missing.extend(lacking.map(|key| format!("{path}: {key}")));
        let once: BTreeSet<&str> = told.iter().copied().collect();
        assert_eq!(once.len(), told.len(), "{DOCUMENT}: a key of `{path}` stands there twice");
    }
    assert!(missing.is_empty(), "{DOCUMENT} has no row for {missing:#?}");
    let fresh = written(&document, &schema);
    if std::env::var_os("UPDATE_EXPECTED").is_some() {
        std::fs::write(DOCUMENT, fresh).unwrap();
        return;
    }
    let stale = document.lines().zip(fresh.lines()).find(|(is, ought)| is != ought);
    assert!(document == fresh, "{DOCUMENT} is stale; UPDATE_EXPECTED=1 mends it\n{stale:#?}");
}

#[test]
fn every_key_says_what_it_means_and_what_holds_where_it_is_left_out() {
    let schema = Schema::new(&[]);
    let mut poor = Vec::new();
    let places = schema.reached().into_iter().map(Some).chain([None]);
    for definition in places {
        for (key, value) in schema.properties(definition.as_deref()).as_object().unwrap() {
            let description = value["description"].as_str().unwrap_or_default();
            let (means, left_out) = parted(description);
            // A section alone may be left out: each of its keys says what holds then.
            let says = left_out != "—" || value["$ref"].is_string();
            if means.is_empty() || !says {
                let place = definition.as_deref().unwrap_or("the policy");
                poor.push(format!("`{key}` of {place}: {description:?}"));
            }
        }
    }
    assert!(poor.is_empty(), "`Default: ...` or `Required` ends a key's comment: {poor:#?}");
}

#[test]
fn the_defaults_that_are_told_are_the_ones_that_hold() {
    let text = std::fs::read_to_string("src/policy/bundles/defaults.yaml").unwrap();
    let defaults: Value = serde_norway::from_str(&text).unwrap();
    let schema = Schema::new(&[]);
    let mut compared = 0;
    let mut open = vec![(String::new(), &defaults)];
    while let Some((path, value)) = open.pop() {
        for (key, value) in value.as_object().unwrap() {
            let said = schema.keys_of(&path)[key]["description"].as_str().unwrap();
            let told = parted(said).1;
            let whole = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
            match value {
                Value::Object(_) if told == "—" => open.push((whole, value)),
                Value::Object(_) => {
                    let told: Value = serde_norway::from_str(told.trim_matches('`')).unwrap();
                    assert_eq!(&told, value, "{whole}");
                    compared += 1;
                }
                one => {
                    assert_eq!(told, plain(one), "{whole}");
                    compared += 1;
                }
            }
        }
    }
    assert!(compared > 14, "only {compared} were compared");
}
