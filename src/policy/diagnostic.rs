//! What is wrong in a policy file, where, and how to mend it.

use std::fmt;

use serde::{Deserialize, Serialize};

/// One mistake. Ordered by file and place.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Diagnostic {
    pub file: String,
    /// Counted from 1. A mistake of the whole file stands at 1:1.
    pub line: usize,
    /// In characters, counted from 1.
    pub column: usize,
    pub message: String,
    /// What to do about it, where that is known.
    pub mend: Option<String>,
}

impl Diagnostic {
    /// A mistake of a file as a whole.
    pub fn of_file(file: &str, message: impl Into<String>) -> Self {
        Self { file: file.to_owned(), line: 1, column: 1, message: message.into(), mend: None }
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}: {}", self.file, self.line, self.column, self.message)?;
        match &self.mend {
            Some(mend) => write!(f, "; {mend}"),
            None => Ok(()),
        }
    }
}

/// What is no mistake, and that people should know of before they rely on a policy.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Remark {
    pub at: Diagnostic,
    pub weight: Weight,
}

/// How much a remark matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Weight {
    /// It is probably not what was meant.
    Warning,
    /// It is what was written, and easily overlooked.
    Note,
}

impl fmt::Display for Remark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let weight = match self.weight {
            Weight::Warning => "warning",
            Weight::Note => "note",
        };
        let message = format!("{weight}: {}", self.at.message);
        write!(f, "{}", Diagnostic { message, ..self.at.clone() })
    }
}

/// A mistake before its place is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mistake {
    pub message: String,
    pub mend: Option<String>,
}

impl Mistake {
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), mend: None }
    }

    pub fn mend(self, mend: impl Into<String>) -> Self {
        Self { mend: Some(mend.into()), ..self }
    }

    /// With "did you mean" where a candidate is near enough, or else the list.
    pub fn mend_from(self, word: &str, candidates: &[&str]) -> Self {
        let near = nearest(word, candidates.iter().copied());
        let distance = |of: &&str| strsim::damerau_levenshtein(word, of);
        // `SEV4` is as near to each of the three.
        let is_tied = near.len() > 1 && near.iter().all(|one| distance(one) == distance(&near[0]));
        let mend = match near.first() {
            Some(_) if is_tied => format!("known are {}", quoted(&near)),
            Some(near) => format!("did you mean `{near}`?"),
            None if candidates.is_empty() => return self,
            None => format!("known are {}", quoted(candidates)),
        };
        self.mend(mend)
    }
}

/// The candidates that `word` may be a slip of, nearest first; at most three.
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    let folded = word.to_lowercase();
    let allowed = (word.chars().count() / 3).max(1);
    let mut near: Vec<(usize, &str)> = candidates
        .into_iter()
        .map(|candidate| {
            (strsim::damerau_levenshtein(&folded, &candidate.to_lowercase()), candidate)
        })
        .filter(|(distance, _)| *distance <= allowed)
        .collect();
    near.sort_unstable();
    near.dedup();
    near.into_iter().map(|(_, candidate)| candidate).take(3).collect()
}

/// `a`, `b` and `c`.
pub(super) fn quoted(words: &[&str]) -> String {
    match words {
        [] => String::new(),
        [one] => format!("`{one}`"),
        [head @ .., last] => {
            let head: Vec<String> = head.iter().map(|word| format!("`{word}`")).collect();
            format!("{} and `{last}`", head.join(", "))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_pen_finds_the_word_that_was_meant_and_a_stranger_finds_none() {
        let words = ["breach", "baseline", "normal", "SEV1"];
        assert_eq!(nearest("braech", words), ["breach"]);
        assert_eq!(nearest("sev1", words), ["SEV1"]);
        assert!(nearest("phases", words).is_empty());
    }
}
