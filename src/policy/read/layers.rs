//! Which trees lie below a policy, and how they become one.

use std::path::Path;

use jiff::SignedDuration;
use marked_yaml::types::{MarkedMappingNode, MarkedScalarNode};
use marked_yaml::{Marker, Node};

use super::amount::stretch;
use super::limit::Wall;
use super::report::Report;
use super::scalar::{Bundle, Scalar};
use crate::policy::Limit;
use crate::policy::diagnostic::{Mistake, Weight};

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
/// of their own (a leak is none), and without the leaks whose wall says nothing
/// about what the layers measure instead.
pub(super) fn wanted(
    bundle: &MarkedMappingNode,
    layers: &[&MarkedMappingNode],
    report: &mut Report,
) -> MarkedMappingNode {
    let mut bundle = bundle.clone();
    let Some(Node::Mapping(checks)) = bundle.get_mut("checks") else { return bundle };
    let offered: Vec<_> = checks
        .iter()
        .filter(|(name, check)| {
            let limits = |check: &MarkedMappingNode| {
                check.contains_key("breach") || check.contains_key("baseline")
            };
            above(layers, name.as_str()).is_empty() && !check.as_mapping().is_some_and(limits)
        })
        .map(|(name, _)| name.clone())
        .collect();
    for name in offered {
        checks.remove(&name);
    }
    for (name, check) in checks.iter_mut() {
        if let Node::Mapping(check) = check {
            fitting_leak(name.as_str(), check, &above(layers, name.as_str()), report);
        }
    }
    bundle
}

/// What the layers say of the check, from the lowest to the topmost.
fn above<'a>(layers: &[&'a MarkedMappingNode], name: &str) -> Vec<&'a Node> {
    let checks = layers.iter().filter_map(|layer| layer.get_mapping("checks"));
    checks.filter_map(|checks| checks.get(name)).collect()
}

/// Takes the leak out of a bundle's check where a layer has a query of its own whose
/// limits are in another unit than the leak's wall, or say that less of it is worse.
fn fitting_leak(
    name: &str,
    check: &mut MarkedMappingNode,
    above: &[&Node],
    report: &mut Report,
) -> Option<()> {
    let wall = check.get_mapping("leak")?.get_scalar("wall")?.as_str().to_owned();
    let unit = Wall::parse(&wall).ok()?.unit;
    let layers: Vec<&MarkedMappingNode> =
        above.iter().filter_map(|node| node.as_mapping()).collect();
    let key = layers.iter().rev().find_map(|layer| Some(layer.get_key_value("query")?.0))?;
    let says =
        |limit: &Limit, upper: bool| limit.bound.unit == unit && limit.bound.is_upper() == upper;
    let texts = |key: &str| -> Vec<Limit> {
        let nodes = layers.iter().filter_map(|layer| layer.get(key));
        let texts = nodes.flat_map(|node| match node {
            Node::Scalar(text) => vec![text.as_str()],
            Node::Mapping(limits) => {
                limits.values().filter_map(|limit| Some(limit.as_scalar()?.as_str())).collect()
            }
            Node::Sequence(_) => Vec::new(),
        });
        texts.filter_map(|text| Limit::parse(text).ok()).collect()
    };
    let (normal, breach) = (texts("normal"), texts("breach"));
    let some = !normal.is_empty() || !breach.is_empty();
    if some
        && normal.iter().all(|limit| says(limit, false))
        && breach.iter().all(|limit| says(limit, true))
    {
        return None;
    }
    check.remove("leak");
    if layers.iter().all(|layer| !layer.contains_key("leak")) {
        let message = format!(
            "`{name}` has a query of its own, and no `leak` any more: the bundle's wall of \
             `{wall}` does not go with its limits"
        );
        let mend = "give it a `leak: { wall: ..., within: 24h }` in the unit of its limits";
        let marker = key.span().start().copied()?;
        report.remark(Weight::Note, marker, Mistake::new(message).mend(mend));
    }
    None
}

/// The layers as one, from the lowest to the topmost.
pub(super) fn merge(layers: &[&MarkedMappingNode]) -> Option<MarkedMappingNode> {
    let (lowest, rest) = layers.split_first()?;
    let whole =
        rest.iter().fold((*lowest).clone(), |below, above| over(below, above, &mut Vec::new()));
    Some(without_what_is_off(whole))
}

/// With every limit of a bundle that has to hold longer than the whole watch held for half
/// of it: who makes the watch shorter has done nothing wrong.
pub(super) fn shortened(mut whole: MarkedMappingNode, report: &mut Report) -> MarkedMappingNode {
    let Some((end, place)) = horizon(&whole) else { return whole };
    let Some(Node::Mapping(checks)) = whole.get_mut("checks") else { return whole };
    for (name, check) in checks.iter_mut() {
        let breach = check.as_mapping_mut().and_then(|check| check.get_mut("breach"));
        let Some(Node::Mapping(breach)) = breach else { continue };
        for (severity, text) in breach.iter_mut() {
            let Node::Scalar(scalar) = text else { continue };
            let span = *scalar.span();
            if !span.start().is_some_and(|place| report.is_built_in(*place)) {
                continue;
            }
            let Ok(limit) = Limit::parse(scalar.as_str()) else { continue };
            let Some(hold) = limit.hold.filter(|hold| *hold >= end) else { continue };
            let half = SignedDuration::from_secs(end.as_secs() / 2);
            let shorter = Limit { hold: Some(half), ..limit };
            let message = format!(
                "the bundle's `{}` is a {} `{limit}`, and the watch is {end:#} long: here it is \
                 `for {half:#}` instead of {hold:#}",
                name.as_str(),
                severity.as_str()
            );
            report.remark(Weight::Note, place, Mistake::new(message));
            *text = Node::Scalar(MarkedScalarNode::new(span, shorter.to_string()));
        }
    }
    whole
}

/// How long the watch is, and where that stands.
fn horizon(whole: &MarkedMappingNode) -> Option<(SignedDuration, Marker)> {
    let phases = whole.get_mapping("phases")?;
    let ends = phases.values().filter_map(|phase| {
        let until = phase.as_mapping()?.get_scalar("until")?;
        Some((stretch(until.as_str()).ok()?, *until.span().start()?))
    });
    ends.max_by_key(|(until, _)| *until)
}

/// A check that a layer says `off` of is not there, whatever lies below.
fn without_what_is_off(mut whole: MarkedMappingNode) -> MarkedMappingNode {
    let Some(Node::Mapping(checks)) = whole.get_mut("checks") else { return whole };
    let off = |check: &Node| check.as_scalar().is_some_and(|word| word.as_str() == "off");
    let names: Vec<_> =
        checks.iter().filter(|(_, check)| off(check)).map(|(name, _)| name.clone()).collect();
    for name in names {
        checks.remove(&name);
    }
    whole
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
