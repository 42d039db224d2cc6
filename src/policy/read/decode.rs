//! From a tree to the raw structs, with every mistake and not only the first.

use marked_yaml::types::MarkedMappingNode;
use marked_yaml::{Error as SerdeError, FromNodeError, Marker, Node, from_node};
use serde::de::DeserializeOwned;

use super::report::Report;
use super::scalar::MEND;
use crate::policy::diagnostic::Mistake;

/// Mistakes of one policy that are told in one run.
const MAX_MISTAKES: usize = 100;

/// Keys of the policy language that this version does not act on yet.
const COMING: [&str; 5] = ["alarm", "cloudwatch", "health", "logs", "tasks"];
/// Of these, the ones that are a check's measurement: without it the rest of
/// the check means nothing.
const COMING_MEASURES: [&str; 4] = ["alarm", "cloudwatch", "logs", "tasks"];

/// Keys from the root to a value.
pub(super) type Path = Vec<String>;

/// What could be read, and what had to be left out.
#[derive(Debug)]
pub(super) struct Decoded<T> {
    pub value: T,
    pub left_out: Vec<Path>,
}

/// Reads `tree`, leaving out and reporting what can't be read.
pub(super) fn decode<T: DeserializeOwned + Default>(
    tree: &MarkedMappingNode,
    report: &mut Report,
) -> Decoded<T> {
    let mut node = Node::Mapping(tree.clone());
    let mut left_out = Vec::new();
    for _ in 0..MAX_MISTAKES {
        let error = match from_node::<T>(&node) {
            Ok(value) => return Decoded { value, left_out },
            Err(error) => error,
        };
        let Some(spot) = spot(&node, &error) else {
            report.at(start(&node), mistake(&error));
            break;
        };
        report.at(spot.marker, mistake(&error));
        let mut path = spot.path;
        if COMING_MEASURES.contains(&spot.key.as_str()) {
            path.truncate(2);
        }
        remove(&mut node, &path);
        left_out.push(path);
    }
    left_out.push(Vec::new());
    Decoded { value: T::default(), left_out }
}

/// The entry that an error is about.
struct Spot {
    path: Path,
    /// The last key of the path.
    key: String,
    marker: Marker,
}

fn spot(node: &Node, error: &FromNodeError) -> Option<Spot> {
    let marker = error.start_mark()?;
    let unknown = match &**error {
        SerdeError::UnknownFieldError(field, ..) => Some(field.as_str()),
        _ => None,
    };
    let mut path = Vec::new();
    find(node, unknown, marker, &mut path).then(|| Spot {
        key: path.last().cloned().unwrap_or_default(),
        path,
        marker,
    })
}

/// Walks down to the key named `unknown` at `marker`, or else to the outermost
/// value that starts there.
fn find(node: &Node, unknown: Option<&str>, marker: Marker, path: &mut Path) -> bool {
    let mut entries: Vec<(String, Option<Marker>, &Node)> = Vec::new();
    match node {
        Node::Scalar(_) => {}
        Node::Mapping(mapping) => entries.extend(
            mapping
                .iter()
                .map(|(key, value)| (key.as_str().to_owned(), key.span().start().copied(), value)),
        ),
        Node::Sequence(items) => entries
            .extend(items.iter().enumerate().map(|(index, item)| (index.to_string(), None, item))),
    }
    for (key, key_marker, value) in entries {
        let hit = match unknown {
            Some(field) => key == field && key_marker == Some(marker),
            None => value.span().start() == Some(&marker),
        };
        path.push(key);
        if hit || find(value, unknown, marker, path) {
            return true;
        }
        path.pop();
    }
    false
}

fn remove(node: &mut Node, path: &[String]) {
    let Some((first, rest)) = path.split_first() else { return };
    match node {
        Node::Scalar(_) => {}
        Node::Mapping(mapping) if rest.is_empty() => {
            mapping.remove(first.as_str());
        }
        Node::Mapping(mapping) => {
            if let Some(inner) = mapping.get_mut(first.as_str()) {
                remove(inner, rest);
            }
        }
        Node::Sequence(items) => {
            let index: usize = first.parse().unwrap_or(usize::MAX);
            if rest.is_empty() && index < items.len() {
                items.remove(index);
            } else if let Some(inner) = items.get_mut(index) {
                remove(inner, rest);
            }
        }
    }
}

fn start(node: &Node) -> Marker {
    node.span().start().copied().unwrap_or_else(|| Marker::new(0, 0, 1, 1))
}

fn mistake(error: &FromNodeError) -> Mistake {
    match &**error {
        SerdeError::UnknownFieldError(field, _, _) if COMING.contains(&field.as_str()) => {
            Mistake::new(format!("`{field}` is not implemented yet"))
                .mend("remove it: nothing in a policy is ignored")
        }
        SerdeError::UnknownFieldError(field, ..) if field == "<<" => {
            Mistake::new("merge keys (`<<`) are not read in a policy")
                .mend("put what is shared into `_defaults.yaml`")
        }
        SerdeError::UnknownFieldError(field, known, _)
            if field == "window" && (known.contains(&"url") || known.contains(&"group")) =>
        {
            Mistake::new("unknown key `window`")
                .mend("it stands in the check, beside this and `breach`")
        }
        SerdeError::UnknownFieldError(field, known, _) => {
            Mistake::new(format!("unknown key `{field}`")).mend_from(field, known)
        }
        SerdeError::Other(message, _) => match message.split_once(MEND) {
            Some((message, "")) => Mistake::new(message),
            Some((message, mend)) => Mistake::new(message).mend(mend),
            None => match one_for_a_list(message) {
                Some(one) => Mistake::new(in_plain_words(message)).mend(format!("write `[{one}]`")),
                None => Mistake::new(in_plain_words(message)),
            },
        },
        error @ (SerdeError::NotBoolean(_)
        | SerdeError::IntegerParseFailure(..)
        | SerdeError::FloatParseFailure(..)) => Mistake::new(error.to_string()),
    }
}

/// The text that stands where a list has to.
fn one_for_a_list(message: &str) -> Option<&str> {
    let (found, expected) =
        message.strip_prefix("invalid type: string ")?.rsplit_once(", expected ")?;
    let text = found.strip_prefix('"')?.strip_suffix('"')?;
    (expected == "a sequence" && !text.trim().is_empty()).then_some(text)
}

/// `invalid type: map, expected a sequence` as a person would say it.
fn in_plain_words(message: &str) -> String {
    let Some(rest) = message.strip_prefix("invalid type: ") else { return message.to_owned() };
    let Some((found, expected)) = rest.rsplit_once(", expected ") else {
        return message.to_owned();
    };
    let found = match found {
        "map" => "a mapping".to_owned(),
        "sequence" => "a list".to_owned(),
        text => text.replacen("string ", "", 1).replace('"', "`"),
    };
    let expected = match expected {
        "a map" => "a mapping",
        "a sequence" => "a list",
        text => text,
    };
    format!("expected {expected}, found {found}")
}
