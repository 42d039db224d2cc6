//! Lines of what was found out.

use serde::Serialize;

use crate::model::ServiceKey;

/// How it went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Grade {
    Ok,
    Warn,
    Fail,
}

/// One thing that was tried.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Line {
    pub part: String,
    pub grade: Grade,
    pub what: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mend: Option<String>,
}

/// Lines, and the part that the next one is about.
#[derive(Debug, Default)]
pub(super) struct Report {
    part: String,
    lines: Vec<Line>,
}

/// What one part has found.
#[derive(Debug, Default)]
pub(super) struct Part {
    pub report: Report,
    pub services: Vec<ServiceKey>,
    /// The target whose ECS could be asked for all of its services.
    pub asked: Option<String>,
}

impl From<Report> for Part {
    fn from(report: Report) -> Self {
        Self { report, ..Self::default() }
    }
}

impl Report {
    pub(super) fn of(part: &str) -> Self {
        Self { part: part.to_owned(), lines: Vec::new() }
    }

    pub(super) fn part(&mut self, part: &str) {
        part.clone_into(&mut self.part);
    }

    pub(super) fn ok(&mut self, what: &str) {
        self.add(Grade::Ok, what, None);
    }

    pub(super) fn warn(&mut self, what: &str, mend: &str) {
        self.add(Grade::Warn, what, Some(mend));
    }

    pub(super) fn fail(&mut self, what: &str, mend: &str) {
        self.add(Grade::Fail, what, Some(mend));
    }

    pub(super) fn extend(&mut self, other: Report) {
        self.lines.extend(other.lines);
    }

    /// By part, in the order in which they were found out.
    pub(super) fn lines(mut self) -> Vec<Line> {
        self.lines.sort_by(|a, b| a.part.cmp(&b.part));
        self.lines
    }

    fn add(&mut self, grade: Grade, what: &str, mend: Option<&str>) {
        let (part, what) = (self.part.clone(), what.to_owned());
        self.lines.push(Line { part, grade, what, mend: mend.map(str::to_owned) });
    }
}
