//! What one policy is read with: its merged tree, and the report.

use marked_yaml::types::MarkedMappingNode;
use marked_yaml::{Marker, Node};

use super::decode::Path;
use super::report::Report;
use super::source::SourceFile;
use crate::policy::diagnostic::{Mistake, nearest};

/// One policy on the table.
pub(super) struct Desk<'a> {
    pub tree: &'a MarkedMappingNode,
    /// What was there but could not be read.
    pub left_out: Vec<Path>,
    /// Where mistakes of the policy as a whole stand.
    pub top: Marker,
    /// Files that the policy may name.
    pub calendars: &'a [&'a SourceFile],
    /// Keys without a value were taken out of the files below: what is missing
    /// may have been among them.
    pub lost_keys: bool,
    pub report: &'a mut Report,
}

impl Desk<'_> {
    pub fn at(&mut self, marker: Marker, mistake: Mistake) {
        self.report.at(marker, mistake);
    }

    /// The key at `path` is missing: told at the nearest key that is there, and
    /// only if it was not there and left out.
    pub fn missing(&mut self, path: &[&str], mistake: Mistake) {
        self.missing_all(&[path.to_vec()], mistake);
    }

    /// One of these keys should be there, and none is.
    pub fn missing_all(&mut self, paths: &[Vec<&str>], mistake: Mistake) {
        let lost = |path: &Vec<&str>| self.left_out.iter().any(|left| may_be(left, path));
        if !self.lost_keys && !paths.iter().any(lost) {
            let path = paths.first().map_or(&[][..], Vec::as_slice);
            if self.left_out.iter().any(|left| left == &["extends"]) && may_be_given(path) {
                return;
            }
            let marker = self.key(path);
            // Nobody can mend a bundle: what is missing is missing in the policy.
            let own = if self.report.is_built_in(marker) { self.top } else { marker };
            self.report.at(own, mistake);
        }
    }

    /// Where the deepest key of `path` that is there stands.
    pub fn key(&self, path: &[&str]) -> Marker {
        let mut marker = self.top;
        let mut mapping = Some(self.tree);
        for part in path {
            let Some((key, value)) = mapping.and_then(|mapping| mapping.get_key_value(*part))
            else {
                break;
            };
            marker = key.span().start().copied().unwrap_or(marker);
            mapping = value.as_mapping();
        }
        marker
    }

    /// The keys of the mapping at `name`, in order.
    pub fn names(&self, name: &str) -> Vec<String> {
        match self.tree.get(name) {
            Some(Node::Mapping(mapping)) => {
                mapping.keys().map(|key| key.as_str().to_owned()).collect()
            }
            Some(Node::Scalar(_) | Node::Sequence(_)) | None => Vec::new(),
        }
    }
}

/// Whether a bundle may have given what is missing at `path`.
fn may_be_given(path: &[&str]) -> bool {
    match path {
        ["phases", ..] => true,
        ["checks", _, key, ..] => [
            "ratio",
            "latency",
            "query",
            "cloudwatch",
            "json",
            "logs",
            "status",
            "alarm",
            "http",
            "probe",
        ]
        .contains(key),
        _ => false,
    }
}

/// Whether the entry that was left out may have been the one at `path`, held
/// it, was part of it, or was it under a misspelt name.
fn may_be(left_out: &Path, path: &[&str]) -> bool {
    let Some(at) = left_out.iter().zip(path).position(|(left, part)| left != part) else {
        return true;
    };
    at + 1 == left_out.len()
        && at + 1 == path.len()
        && !nearest(&left_out[at], [path[at]]).is_empty()
}
