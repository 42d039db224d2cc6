//! The way from files to policies: bytes to trees ([`source`]), trees over one
//! another ([`layers`]), one tree to raw structs ([`decode`], [`raw`]), and
//! those to what they mean ([`build`]). Every step goes on after a mistake, so
//! that one run tells all of them.

mod amount;
mod build;
mod calendar;
mod check;
mod cloudwatch;
mod decode;
mod desk;
mod doubts;
mod emit;
mod expression;
mod foreign;
mod gate;
mod heartbeat;
mod home;
mod latency;
mod layers;
mod leak;
mod limit;
mod limits;
mod logs;
mod neighbours;
mod notify;
mod origin;
mod phases;
mod probe;
mod raw;
mod report;
mod scalar;
mod services;

mod sharing;
mod source;
mod units;
mod web;

use jiff::SignedDuration;
use marked_yaml::Marker;
use marked_yaml::types::MarkedMappingNode;
use serde::de::DeserializeOwned;

use self::decode::decode;
use self::desk::Desk;
use self::raw::PolicyFile;
use self::report::Report;
use self::scalar::Bundle;
use super::diagnostic::{Diagnostic, Mistake};
use super::set::{PolicySet, Written};

pub use calendar::is_calendar;
pub use raw::schema;
pub(super) use source::text_within;
pub use source::{MAX_BYTES, SourceFile};

const DEFAULTS: (&str, &str) = ("<defaults>", include_str!("../bundles/defaults.yaml"));
const ECS_WEB: (&str, &str) = ("<bundle ecs-web>", include_str!("../bundles/ecs-web.yaml"));
const ECS_CLOUDWATCH: (&str, &str) =
    ("<bundle ecs-cloudwatch>", include_str!("../bundles/ecs-cloudwatch.yaml"));

/// Reads the policies of `files`, among which each `_defaults.yaml` gives its
/// values to the policies in its folder and below, and each `*.ics` is a calendar that a
/// policy may name.
///
/// # Errors
/// Every mistake of every file, sorted by file and place. That two policies
/// guard one service is none while the guard runs: the set says so, and for
/// that service it only notifies.
pub fn read(files: &[SourceFile]) -> Result<PolicySet, Vec<Diagnostic>> {
    let built_in = [DEFAULTS, ECS_WEB, ECS_CLOUDWATCH]
        .map(|(name, text)| SourceFile { path: name.to_owned(), bytes: text.as_bytes().to_vec() });
    let (calendars, files): (Vec<&SourceFile>, Vec<&SourceFile>) =
        files.iter().partition(|file| is_calendar(&file.path));
    let sources: Vec<&SourceFile> = built_in.iter().chain(files).collect();
    let mut report = Report::new(sources.iter().map(|file| file.path.clone()).collect());
    let trees: Vec<_> = sources
        .iter()
        .enumerate()
        .map(|(index, file)| source::tree(index, file, &mut report))
        .collect();
    let shelf = Shelf { sources, trees, calendars };
    let mut written = Vec::new();
    for index in built_in.len()..shelf.sources.len() {
        written.extend(shelf.policy(index, &mut report));
    }
    let overlaps = neighbours::check(&written, &mut report);
    if report.is_clean() {
        let written = written.into_iter().map(|found| found.written).collect();
        Ok(PolicySet::new(written, overlaps, report.remarks()))
    } else {
        for overlap in overlaps {
            report.push(overlap);
        }
        Err(report.finish())
    }
}

/// Reads the policies of `files` as [`read`] does, for people who can still
/// mend them.
///
/// # Errors
/// Every mistake of every file, policies that guard one service among them.
pub fn check(files: &[SourceFile]) -> Result<PolicySet, Vec<Diagnostic>> {
    let set = read(files)?;
    if set.overlaps().is_empty() { Ok(set) } else { Err(set.overlaps().to_vec()) }
}

/// Reads a file of ours that is no policy with the same care: every value may keep its
/// place, and no key goes unread.
///
/// # Errors
/// Every mistake of the file.
pub fn read_other<T: DeserializeOwned + Default>(file: &SourceFile) -> Result<T, Vec<Diagnostic>> {
    let mut report = Report::new(vec![file.path.clone()]);
    let value =
        source::tree(0, file, &mut report).map(|tree| decode::<T>(&tree, &mut report).value);
    match value {
        Some(value) if report.is_clean() => Ok(value),
        Some(_) | None => Err(report.finish()),
    }
}

/// A stretch of time as policies write it: `15m`, `1h30m`, `7d`.
///
/// # Errors
/// Why it is none, and what to do about it.
pub fn duration(text: &str) -> Result<SignedDuration, (String, Option<String>)> {
    amount::stretch(text).map_err(|mistake| (mistake.message, mistake.mend))
}

/// Everything that policies are made of.
struct Shelf<'a> {
    /// The built-in defaults, the bundles, and the files.
    sources: Vec<&'a SourceFile>,
    /// `None` where a source is no readable YAML.
    trees: Vec<Option<MarkedMappingNode>>,
    /// Files of holidays, which policies name.
    calendars: Vec<&'a SourceFile>,
}

/// A policy that could be read, and where its neighbours would point to.
struct Found {
    written: Written,
    /// Of its name and of its `match.service`.
    name_at: Marker,
    service_at: Marker,
}

impl Shelf<'_> {
    /// Reads the file at `index`; `None` for a `_defaults.yaml`, or with
    /// mistakes in the report.
    fn policy(&self, index: usize, report: &mut Report) -> Option<Found> {
        let path = &self.sources[index].path;
        let own = self.trees[index].as_ref()?;
        if layers::is_defaults(path) {
            // Its values are judged where they are used; its keys always are.
            decode::<PolicyFile>(own, report);
            return None;
        }
        let (sources, lacks_one) = self.below(index);
        let mut trees: Vec<_> = sources.iter().filter_map(|at| self.trees[*at].as_ref()).collect();
        let bundle = layers::bundle_of(&trees).and_then(|bundle| {
            let place = match bundle {
                Bundle::EcsWeb => 1,
                Bundle::EcsCloudWatch => 2,
            };
            self.trees[place].as_ref().map(|tree| layers::wanted(tree, &trees, report))
        });
        trees.splice(0..0, self.trees[0].iter().chain(bundle.as_ref()));
        let tree = layers::shortened(layers::merge(&trees)?, report);
        let before = report.count();
        let decoded = decode::<PolicyFile>(&tree, report);
        let first = own.keys().next().and_then(|key| key.span().start().copied());
        let top = first.unwrap_or_else(|| Marker::new(index, 0, 1, 1));
        let mut desk = Desk {
            tree: &tree,
            left_out: decoded.left_out,
            top,
            calendars: &self.calendars,
            lost_keys: lacks_one || sources.iter().any(|source| report.lost_keys(*source)),
            report,
        };
        let policy = build::policy(&decoded.value, &mut desk);
        if let Some(policy) = &policy {
            sharing::check(&decoded.value, &mut desk);
            notify::check(&decoded.value, policy, &mut desk);
            doubts::check(&decoded.value, policy, &mut desk);
        }
        home::bring(&tree, top, before, report);
        let policy = policy?;
        let name_at = decoded.value.policy.as_ref()?.marker;
        let service_at = decoded.value.matches.as_ref()?.service.as_ref()?.marker;
        let text = emit::yaml(&tree);
        let origins = emit::origins(&tree, report);
        let written = Written::new(policy, path.clone(), text, origins);
        Some(Found { written, name_at, service_at })
    }

    /// The files that the policy at `index` is made of, lowest first, and
    /// whether one of them could not be read.
    fn below(&self, index: usize) -> (Vec<usize>, bool) {
        let path = &self.sources[index].path;
        let mut below: Vec<(usize, usize)> = (0..self.sources.len())
            .filter(|at| layers::is_defaults(&self.sources[*at].path))
            .filter_map(|at| Some((layers::depth_above(&self.sources[at].path, path)?, at)))
            .collect();
        below.sort_unstable();
        let sources: Vec<usize> = below.into_iter().map(|(_, at)| at).chain([index]).collect();
        let lacks_one = sources.iter().any(|at| self.trees[*at].is_none());
        (sources, lacks_one)
    }
}

/// A mistake about a whole folder or set of files.
pub fn nothing_there(path: &str) -> Diagnostic {
    let mistake = Mistake::new("no policies are here").mend("a policy is a file `*.yaml`");
    Diagnostic { mend: mistake.mend, ..Diagnostic::of_file(path, mistake.message) }
}
