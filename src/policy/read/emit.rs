//! A merged tree as YAML, and where each of its values came from.

use std::fmt::Write;

use marked_yaml::types::MarkedMappingNode;
use marked_yaml::{Marker, Node};

use super::report::Report;
use crate::policy::set::Origin;

/// The order in which a policy is told.
const ORDER: [&str; 20] = [
    "version",
    "policy",
    "environment",
    "match",
    "mode",
    "labels",
    "peers",
    "depends_on",
    "phases",
    "canary",
    "grace",
    "checks",
    "actions",
    "no_data",
    "min_coverage",
    "low_traffic",
    "false_rollbacks",
    "rollback",
    "notify",
    "gate",
];

/// The policy as one file that extends nothing: reading it gives the same policy.
pub(super) fn yaml(tree: &MarkedMappingNode) -> String {
    let mut out = String::new();
    for (key, value) in in_order(tree) {
        entry(key, value, 0, &mut out);
    }
    out
}

/// Each value that is no mapping, with its path and place.
pub(super) fn origins(tree: &MarkedMappingNode, report: &Report) -> Vec<Origin> {
    let mut origins = Vec::new();
    for (key, value) in in_order(tree) {
        collect(key, value, report, &mut origins);
    }
    origins
}

fn in_order(tree: &MarkedMappingNode) -> impl Iterator<Item = (&'static str, &Node)> {
    ORDER.iter().filter_map(|key| Some((*key, tree.get(*key)?)))
}

fn collect(path: &str, value: &Node, report: &Report, origins: &mut Vec<Origin>) {
    let marker = value.span().start().copied().unwrap_or_else(|| Marker::new(0, 0, 1, 1));
    let mut told = |value: String| {
        origins.push(Origin {
            path: path.to_owned(),
            value,
            file: report.name(marker).to_owned(),
            line: marker.line(),
        });
    };
    match value {
        Node::Scalar(scalar) => {
            let words: Vec<&str> = scalar.as_str().split_whitespace().collect();
            told(words.join(" "));
        }
        Node::Sequence(_) => told(inline(value)),
        Node::Mapping(mapping) if mapping.is_empty() => told("{}".to_owned()),
        Node::Mapping(mapping) => {
            for (key, value) in mapping.iter() {
                collect(&format!("{path}.{}", key.as_str()), value, report, origins);
            }
        }
    }
}

fn entry(key: &str, value: &Node, indent: usize, out: &mut String) {
    let margin = " ".repeat(indent);
    let key = scalar(key);
    match value {
        Node::Mapping(mapping) if !mapping.is_empty() => {
            let _ = writeln!(out, "{margin}{key}:");
            for (key, value) in mapping.iter() {
                entry(key.as_str(), value, indent + 2, out);
            }
        }
        Node::Mapping(_) | Node::Scalar(_) | Node::Sequence(_) => {
            let _ = writeln!(out, "{margin}{key}: {}", inline(value));
        }
    }
}

/// On one line.
fn inline(value: &Node) -> String {
    match value {
        Node::Scalar(text) => scalar(text.as_str()),
        Node::Sequence(items) => {
            format!("[{}]", items.iter().map(inline).collect::<Vec<_>>().join(", "))
        }
        Node::Mapping(mapping) => {
            let entry = |(key, value): (&marked_yaml::types::MarkedScalarNode, &Node)| {
                format!("{}: {}", scalar(key.as_str()), inline(value))
            };
            format!("{{{}}}", mapping.iter().map(entry).collect::<Vec<_>>().join(", "))
        }
    }
}

/// Plain where nothing in it means anything to YAML, quoted otherwise.
fn scalar(text: &str) -> String {
    let safe = |char: char| char.is_alphanumeric() || "_-./%*${} ".contains(char);
    let starts = text.starts_with(|char: char| char.is_alphanumeric() || char == '_');
    let ends = !text.ends_with(' ');
    let braces = text.contains(['{', '}', '*', '$']);
    let word = !matches!(text, "null" | "Null" | "NULL");
    if starts && ends && word && !braces && text.chars().all(safe) {
        return text.to_owned();
    }
    if text.chars().any(char::is_control) {
        // JSON's strings are YAML's double-quoted ones.
        return serde_json::Value::from(text).to_string();
    }
    format!("'{}'", text.replace('\'', "''"))
}
