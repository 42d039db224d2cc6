//! The mistakes found so far, and the names of the sources they stand in.

use marked_yaml::types::MarkedScalarNode;
use marked_yaml::{Marker, Span};

use crate::policy::diagnostic::{Diagnostic, Mistake, Remark, Weight};

/// Collects mistakes while a reading goes on; each is kept once, however many
/// policies inherit it.
#[derive(Debug)]
pub(super) struct Report {
    /// By the number that markers carry.
    names: Vec<String>,
    found: Vec<Diagnostic>,
    emptied: Vec<Marker>,
    remarks: Vec<Remark>,
}

impl Report {
    pub fn new(names: Vec<String>) -> Self {
        Self { names, found: Vec::new(), emptied: Vec::new(), remarks: Vec::new() }
    }

    pub fn push(&mut self, diagnostic: Diagnostic) {
        if !self.found.contains(&diagnostic) {
            self.found.push(diagnostic);
        }
    }

    pub fn at(&mut self, marker: Marker, mistake: Mistake) {
        self.push(self.placed(marker, mistake));
    }

    /// What is no mistake; kept once, as mistakes are.
    pub fn remark(&mut self, weight: Weight, marker: Marker, mistake: Mistake) {
        let remark = Remark { at: self.placed(marker, mistake), weight };
        if !self.remarks.contains(&remark) {
            self.remarks.push(remark);
        }
    }

    /// A mistake with its place, for the caller to keep.
    pub fn placed(&self, marker: Marker, mistake: Mistake) -> Diagnostic {
        Diagnostic {
            file: self.name(marker).to_owned(),
            line: marker.line(),
            column: marker.column(),
            message: mistake.message,
            mend: mistake.mend,
        }
    }

    pub fn span(&mut self, span: &Span, mistake: Mistake) {
        if let Some(marker) = span.start() {
            self.at(*marker, mistake);
        }
    }

    /// The source that a marker points into.
    pub fn name(&self, marker: Marker) -> &str {
        self.names.get(marker.source()).map_or("", String::as_str)
    }

    /// Whether a marker points into what ships with deployguard.
    pub fn is_built_in(&self, marker: Marker) -> bool {
        self.name(marker).starts_with('<')
    }

    /// `file:line`, as one mistake names the place of another.
    pub fn place(&self, marker: Marker) -> String {
        format!("{}:{}", self.name(marker), marker.line())
    }

    pub fn count(&self) -> usize {
        self.found.len()
    }

    /// Takes out the mistakes since the first `before` that stand in what ships with
    /// deployguard: nobody can mend them there.
    pub fn take_built_in(&mut self, before: usize) -> Vec<Diagnostic> {
        let new = self.found.split_off(before.min(self.found.len()));
        let (built_in, own) = new.into_iter().partition(|one| one.file.starts_with('<'));
        self.found.extend::<Vec<_>>(own);
        built_in
    }

    pub fn is_clean(&self) -> bool {
        self.found.is_empty()
    }

    /// Remembers that a key was there, without a value.
    pub fn damage(&mut self, key: &MarkedScalarNode) {
        self.emptied.extend(key.span().start());
    }

    /// Whether a file of these sources lost keys that had no value.
    pub fn lost_keys(&self, source: usize) -> bool {
        self.emptied.iter().any(|marker| marker.source() == source)
    }

    /// All remarks, by file and place.
    pub fn remarks(mut self) -> Vec<Remark> {
        self.remarks.sort();
        self.remarks
    }

    /// All mistakes, by file and place.
    pub fn finish(mut self) -> Vec<Diagnostic> {
        self.found.sort();
        self.found
    }
}
