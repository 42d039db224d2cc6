//! YAML of others: several documents, each value with its place.

use marked_yaml::types::MarkedMappingNode;
use marked_yaml::{LoadError, LoaderOptions, Marker, Node, parse_yaml_with_options};

use super::super::diagnostic::Diagnostic;
use super::super::read::text_within;
use super::MAX_IMPORT_BYTES;
use crate::policy::SourceFile;

/// The documents of a file that are mappings, with places counted from the
/// file's first line.
///
/// # Errors
/// The first place that is no YAML.
pub(super) fn documents(file: &SourceFile) -> Result<Vec<MarkedMappingNode>, Diagnostic> {
    let text = text_within(file, MAX_IMPORT_BYTES)?;
    let mut found = Vec::new();
    let (mut document, mut begins) = (String::new(), 0);
    for (number, line) in text.lines().enumerate() {
        if line == "---" || line.starts_with("--- ") {
            found.extend(parsed(file, &document, begins)?);
            (document, begins) = (String::new(), number + 1);
        } else {
            document.push_str(line);
            document.push('\n');
        }
    }
    found.extend(parsed(file, &document, begins)?);
    if found.is_empty() {
        return Err(Diagnostic::of_file(&file.path, "the file is empty"));
    }
    Ok(found)
}

fn parsed(
    file: &SourceFile,
    document: &str,
    begins: usize,
) -> Result<Option<MarkedMappingNode>, Diagnostic> {
    if document.lines().all(|line| line.trim().is_empty() || line.starts_with('#')) {
        return Ok(None);
    }
    let options = LoaderOptions::default().prevent_coercion(true);
    // Empty lines stand for the documents before, so that places are right.
    let padded = "\n".repeat(begins) + document;
    match parse_yaml_with_options(0, padded, options) {
        Ok(Node::Mapping(mapping)) => Ok(Some(mapping)),
        Ok(other) => Err(at(file, other.span().start().copied(), "this is not a mapping")),
        Err(error) => {
            let (place, message) = match &error {
                LoadError::TopLevelMustBeMapping(at) | LoadError::TopLevelMustBeSequence(at) => {
                    (Some(*at), "this is not a mapping".to_owned())
                }
                LoadError::UnexpectedAnchor(at) => {
                    (Some(*at), "anchors (`&name`) are not read: write it out".to_owned())
                }
                LoadError::MappingKeyMustBeScalar(at) => {
                    (Some(*at), "a key must be plain text".to_owned())
                }
                LoadError::UnexpectedTag(at) => {
                    (Some(*at), "tags (`!name`) are not read".to_owned())
                }
                LoadError::ScanError(at, error) => {
                    (Some(*at), format!("not YAML: {}", error.info()))
                }
                LoadError::DuplicateKey(keys) => (
                    keys.key.span().start().copied(),
                    format!("`{}` is there twice", keys.key.as_str()),
                ),
            };
            Err(at(file, place, message))
        }
    }
}

/// A mistake at its place.
pub(super) fn at(
    file: &SourceFile,
    place: Option<Marker>,
    message: impl Into<String>,
) -> Diagnostic {
    let whole = Diagnostic::of_file(&file.path, message);
    match place {
        Some(place) => Diagnostic { line: place.line(), column: place.column(), ..whole },
        None => whole,
    }
}

/// The text at `key`.
pub(super) fn word<'a>(node: &'a MarkedMappingNode, key: &str) -> Option<&'a str> {
    node.get(key)?.as_scalar().map(|scalar| scalar.as_str().trim())
}

/// The mapping at `key`.
pub(super) fn under<'a>(node: &'a MarkedMappingNode, key: &str) -> Option<&'a MarkedMappingNode> {
    node.get(key)?.as_mapping()
}

/// The mappings in the list at `key`.
pub(super) fn each<'a>(
    node: &'a MarkedMappingNode,
    key: &str,
) -> impl Iterator<Item = &'a MarkedMappingNode> {
    node.get(key)
        .and_then(Node::as_sequence)
        .into_iter()
        .flat_map(|list| list.iter())
        .filter_map(Node::as_mapping)
}

/// Where the value at `key` stands.
pub(super) fn place(node: &MarkedMappingNode, key: &str) -> Option<Marker> {
    node.get(key)?.span().start().copied()
}

/// Where a mapping begins: at its first key.
pub(super) fn begin(node: &MarkedMappingNode) -> Option<Marker> {
    node.keys().next()?.span().start().copied()
}
