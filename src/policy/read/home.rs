//! Mistakes that a policy and a bundle make together, told where somebody can mend them.

use marked_yaml::types::MarkedMappingNode;
use marked_yaml::{Marker, Node};

use super::report::Report;
use crate::policy::diagnostic::{Diagnostic, Mistake};

/// Tells what was found since the first `before` in built-in files at the policy's own line.
pub(super) fn bring(tree: &MarkedMappingNode, top: Marker, before: usize, report: &mut Report) {
    for found in report.take_built_in(before) {
        let mut path = Vec::new();
        let there = walk(tree, &found, report, &mut path);
        let keys: Vec<&str> = path.iter().map(|(key, _)| key.as_str()).collect();
        let own = path.iter().rev().find(|(_, place)| !report.is_built_in(*place));
        let extends = || {
            let (key, _) = tree.get_key_value("extends")?;
            key.span().start().copied().filter(|place| !report.is_built_in(*place))
        };
        let place = own.map(|(_, place)| *place).or_else(extends).unwrap_or(top);
        let Diagnostic { file, line, message, mend, .. } = found;
        let of = if there { format!("`{}` of ", keys.join(".")) } else { String::new() };
        let source = file.trim_matches(['<', '>']);
        let source = match source.strip_prefix("bundle ") {
            Some(bundle) => format!("the bundle `{bundle}`"),
            None => format!("the {source}"),
        };
        let mistake = Mistake::new(format!("{message} ({of}{source}, line {line})"));
        let ours = || "say in the policy what holds instead".to_owned();
        report.at(place, mistake.mend(mend.unwrap_or_else(ours)));
    }
}

/// Finds the key or value that `found` points to, with the keys on the way.
fn walk(
    node: &MarkedMappingNode,
    found: &Diagnostic,
    report: &Report,
    path: &mut Vec<(String, Marker)>,
) -> bool {
    let is = |place: Option<&Marker>| {
        place.is_some_and(|place| {
            (place.line(), place.column()) == (found.line, found.column)
                && report.name(*place) == found.file
        })
    };
    for (key, value) in node.iter() {
        let Some(place) = key.span().start() else { continue };
        path.push((key.as_str().to_owned(), *place));
        let hit = is(Some(place)) || is(value.span().start());
        if hit || matches!(value, Node::Mapping(inner) if walk(inner, found, report, path)) {
            return true;
        }
        path.pop();
    }
    false
}
