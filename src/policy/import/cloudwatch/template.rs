//! What `CloudFormation` writes in the place of values.

use std::sync::LazyLock;

use marked_yaml::Node;
use regex::{Captures, Regex};

use super::super::tree::word;

/// A tag in the place of a value.
static TAG: LazyLock<Option<Regex>> = LazyLock::new(|| {
    let value = r"(?m)(^\s*|[:\-]\s+|[\[,]\s*)!(?P<tag>[A-Za-z0-9]+)(?P<space>[ \t]+(?P<name>[A-Za-z0-9_.:]+)?|$)";
    Regex::new(value).ok()
});

/// The text with `!Ref Name` as `'${Name}'`, and without every other tag.
pub(super) fn untagged(text: &str) -> String {
    let Some(tag) = TAG.as_ref() else { return text.to_owned() };
    let plain = |found: &Captures| {
        let part = |name: &str| found.name(name).map_or("", |part| part.as_str());
        let before = found.get(1).map_or("", |part| part.as_str());
        match (part("tag"), part("name")) {
            ("Ref" | "GetAtt" | "ImportValue", name) if !name.is_empty() => {
                format!("{before}'${{{name}}}'")
            }
            (_, _) => format!("{before}{}", part("space")),
        }
    };
    tag.replace_all(text, plain).into_owned()
}

/// The text of a value: `${Name}` for what the template fills in.
pub(super) fn text(node: &Node) -> String {
    match node {
        Node::Scalar(scalar) => scalar.as_str().trim().to_owned(),
        Node::Mapping(function) => {
            let sub = word(function, "Fn::Sub").map(str::to_owned);
            let named =
                ["Ref", "Fn::GetAtt", "Fn::ImportValue"].iter().find_map(|key| word(function, key));
            let named = named.map(|name| format!("${{{name}}}"));
            sub.or(named).unwrap_or_else(|| "${a function}".to_owned())
        }
        Node::Sequence(_) => "${a function}".to_owned(),
    }
}

/// Whether a value is one that the template fills in.
pub(super) fn is_open(text: &str) -> bool {
    text.contains("${")
}
