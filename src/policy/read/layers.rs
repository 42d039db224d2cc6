//! Which trees lie below a policy, and how they become one.

use std::path::Path;

use marked_yaml::Node;
use marked_yaml::types::MarkedMappingNode;

use super::scalar::{Bundle, Scalar};

/// Sections whose entries are no alternatives of one another: they replace
/// those below them as a whole.
const REPLACED: [[&str; 2]; 1] = [["actions", "after"]];

/// The name of the files that give values to every policy beside and below them.
const DEFAULTS: [&str; 2] = ["_defaults.yaml", "_defaults.yml"];

/// Whether the file at `path` is no policy itself, but gives values to others.
pub(super) fn is_defaults(path: &str) -> bool {
    let name = Path::new(path).file_name().and_then(|name| name.to_str()).unwrap_or_default();
    DEFAULTS.contains(&name)
}

/// How deep the folder of a `_defaults.yaml` lies, if it lies above `policy`.
pub(super) fn depth_above(defaults: &str, policy: &str) -> Option<usize> {
    let (above, below) = (Path::new(defaults).parent()?, Path::new(policy).parent()?);
    below.starts_with(above).then(|| above.components().count())
}

/// The bundle that the topmost of the layers extends.
pub(super) fn bundle_of(layers: &[&MarkedMappingNode]) -> Option<Bundle> {
    let named = layers.iter().rev().find_map(|layer| layer.get_scalar("extends"))?;
    Bundle::parse(named.as_str()).ok()
}

/// The bundle without the checks that no layer mentions and that have no limits
/// of their own (a leak is none), and without the leak of a check for which a
/// layer has a query of its own.
pub(super) fn wanted(
    bundle: &MarkedMappingNode,
    layers: &[&MarkedMappingNode],
) -> MarkedMappingNode {
    let mut bundle = bundle.clone();
    if let Some(Node::Mapping(checks)) = bundle.get_mut("checks") {
        let mentioned = |name: &str| {
            layers.iter().any(|layer| {
                layer.get_mapping("checks").is_some_and(|checks| checks.contains_key(name))
            })
        };
        let measured = |name: &str| {
            layers.iter().any(|layer| {
                let check = layer.get_mapping("checks").and_then(|checks| checks.get_mapping(name));
                check.is_some_and(|check| check.contains_key("query"))
            })
        };
        let offered: Vec<_> = checks
            .iter()
            .filter(|(name, check)| {
                let limits = |check: &MarkedMappingNode| {
                    check.contains_key("breach") || check.contains_key("baseline")
                };
                !mentioned(name.as_str()) && !check.as_mapping().is_some_and(limits)
            })
            .map(|(name, _)| name.clone())
            .collect();
        for name in offered {
            checks.remove(&name);
        }
        for (name, check) in checks.iter_mut() {
            // Its leak's wall speaks of what the bundle measures.
            if let (true, Node::Mapping(check)) = (measured(name.as_str()), check) {
                check.remove("leak");
            }
        }
    }
    bundle
}

/// The layers as one, from the lowest to the topmost.
pub(super) fn merge(layers: &[&MarkedMappingNode]) -> Option<MarkedMappingNode> {
    let (lowest, rest) = layers.split_first()?;
    Some(rest.iter().fold((*lowest).clone(), |below, above| over(below, above, &mut Vec::new())))
}

/// `above` with what only `below` has behind it. Mappings merge by key, all
/// else is replaced; each key keeps the place of the topmost file that has it.
fn over(
    mut below: MarkedMappingNode,
    above: &MarkedMappingNode,
    path: &mut Vec<String>,
) -> MarkedMappingNode {
    let mut merged = MarkedMappingNode::new_empty(*above.span());
    for (key, value) in above.iter() {
        path.push(key.as_str().to_owned());
        let lower = below.remove(key);
        let replaced = REPLACED.iter().any(|replaced| path.iter().eq(replaced.iter()));
        let value = match (lower, value) {
            (Some(Node::Mapping(lower)), Node::Mapping(value)) if !replaced => {
                Node::Mapping(over(lower, value, path))
            }
            (_, value) => value.clone(),
        };
        path.pop();
        merged.insert(key.clone(), value);
    }
    for (key, value) in below.iter() {
        merged.insert(key.clone(), value.clone());
    }
    merged
}
