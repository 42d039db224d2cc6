//! From what a team has to checks of a policy, with every place argued where a
//! rule does not mean what it says.

mod argo;
mod argue;
mod cloudwatch;
mod condition;
mod draw;
mod prometheus;
mod shape;
mod size;
mod text;
mod tree;
mod write;

use std::collections::BTreeMap;

use jiff::SignedDuration;

pub use self::write::UNSAID;
pub(super) use self::write::{comment, quoted, round};
use super::diagnostic::Diagnostic;
use super::{Part, SourceFile};
use crate::model::Severity;

/// Bytes of a file that is imported: the alarms of a whole account fit.
pub const MAX_IMPORT_BYTES: usize = 4 * 1024 * 1024;

/// What a file is an export of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ImportFrom {
    /// Groups of alerting rules.
    PrometheusRules,
    /// `AnalysisTemplate`s of Argo Rollouts.
    Argo,
    /// Alarms, as `aws cloudwatch describe-alarms` prints them or in a `CloudFormation` template.
    CloudWatchAlarms,
}

/// What the file does not say, and a policy needs.
#[derive(Debug, Clone)]
pub struct Frame {
    pub policy: Option<String>,
    pub environment: String,
    pub cluster: String,
    pub service: String,
}

/// A draft of a policy.
#[derive(Debug, Clone)]
pub struct Imported {
    /// A whole policy file that reads without mistakes once every [`UNSAID`] is
    /// filled in; without any check it is
    /// comments alone.
    pub text: String,
    /// Where rules do not mean what they say, and what could not be translated.
    pub arguments: Vec<Diagnostic>,
    pub checks: usize,
    /// Rules that are kept as comments.
    pub kept: usize,
}

/// Drafts a policy from `file`.
///
/// # Errors
/// What is no YAML, or none of this kind, at its place; names of the frame that
/// no policy can have.
pub fn import(from: ImportFrom, file: &SourceFile, frame: &Frame) -> Result<Imported, Diagnostic> {
    let found = match from {
        ImportFrom::PrometheusRules => prometheus::read(file, &tree::documents(file)?)?,
        ImportFrom::Argo => argo::read(file, &tree::documents(file)?)?,
        ImportFrom::CloudWatchAlarms => cloudwatch::read(file, frame)?,
    };
    if let Some(mistake) = size::too_large(file, &found) {
        return Err(mistake);
    }
    // Mostly all is well, and reading each rule alone is slow.
    let drafted = write::policy(from, file, frame, found.clone(), Read::Together);
    if mistake(&drafted).is_none() {
        return Ok(drafted);
    }
    let drafted = write::policy(from, file, frame, found, Read::Alone);
    mistake(&drafted).map_or(Ok(drafted), Err)
}

/// What a reader of the draft would refuse first.
fn mistake(drafted: &Imported) -> Option<Diagnostic> {
    if drafted.checks == 0 {
        return None;
    }
    let path = "the draft".to_owned();
    let bytes = write::filled(&drafted.text).into_bytes();
    super::check(&[SourceFile { path, bytes }]).err()?.into_iter().next()
}

/// How the rules of a draft are read before it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Read {
    /// The draft as a whole is, behind this.
    Together,
    /// What is refused becomes a comment, and the others are drafted.
    Alone,
}

/// What a check measures, as it is to be written.
#[derive(Debug, Clone, PartialEq)]
enum Measured {
    Ratio { part: Part, of: String, total: String },
    Latency { quantile: f64, counter: String },
    Query(String),
    Metric { of: Box<cloudwatch::Metric>, quantile: Option<f64> },
    MetricRatio { part: Part, of: Box<cloudwatch::Metric>, total: Box<cloudwatch::Metric> },
}

/// A statement against a rule, and what the draft does about it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Argument {
    says: String,
    drafted: Option<String>,
}

/// One rule of the file.
#[derive(Debug, Clone)]
struct Rule {
    name: String,
    line: usize,
    column: usize,
    /// As it stands in the file, line by line.
    was: Vec<String>,
    arguments: Vec<Argument>,
    /// `Err`: why no check can say it.
    check: Result<Check, String>,
}

/// A check as it is to be written.
#[derive(Debug, Clone, PartialEq)]
struct Check {
    measured: Measured,
    normal: Option<String>,
    breach: BTreeMap<Severity, String>,
    window: Option<SignedDuration>,
}

/// Everything of a file.
#[derive(Debug, Clone, Default)]
struct Found {
    /// Of the group or template, for the policy.
    name: Option<String>,
    /// Cluster and service, where the file is about one alone.
    service: Option<(String, String)>,
    rules: Vec<Rule>,
    /// About the file as a whole.
    remarks: Vec<String>,
}

impl Argument {
    fn new(says: impl Into<String>) -> Self {
        Self { says: says.into(), drafted: None }
    }

    fn drafted(self, drafted: impl Into<String>) -> Self {
        Self { drafted: Some(drafted.into()), ..self }
    }
}
