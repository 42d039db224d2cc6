//! Mistakes of a test file, each at its place.

use jiff::{SignedDuration, Timestamp};

use super::file::Text;
use crate::policy::{Diagnostic, duration, nearest};

/// Line and column, counted from 1.
pub(super) type Place = (usize, usize);

/// Why a text is not what it should be, and what to do about it.
pub(super) type Mistaken = (String, Option<String>);

/// Mistakes found so far.
#[derive(Debug)]
pub(super) struct Places {
    pub file: String,
    pub found: Vec<Diagnostic>,
}

pub(super) fn place(text: &Text) -> Place {
    text.span().start().map_or((1, 1), |marker| (marker.line(), marker.column()))
}

impl Places {
    pub fn tell(&mut self, place: Place, (message, mend): Mistaken) {
        let (line, column) = place;
        self.found.push(Diagnostic { file: self.file.clone(), line, column, message, mend });
    }

    pub fn parse<T>(
        &mut self,
        text: Option<&Text>,
        parse: impl FnOnce(&str) -> Result<T, Mistaken>,
    ) -> Option<T> {
        let text = text?;
        match parse(text.as_str()) {
            Ok(value) => Some(value),
            Err(mistake) => {
                self.tell(place(text), mistake);
                None
            }
        }
    }

    /// A text that must be there.
    pub fn needed<'a>(&mut self, text: Option<&'a Text>, key: &str, of: Place) -> Option<&'a Text> {
        if text.is_none() {
            self.tell(of, (format!("`{key}` is missing"), None));
        }
        text
    }

    /// One of a few words.
    pub fn word<T: Copy>(&mut self, text: Option<&Text>, words: &[(&str, T)]) -> Option<T> {
        self.parse(text, |text| {
            let found = words.iter().find(|(word, _)| *word == text);
            found.map(|(_, value)| *value).ok_or_else(|| not_among(text, words.iter().map(|w| w.0)))
        })
    }

    pub fn duration(&mut self, text: Option<&Text>) -> Option<SignedDuration> {
        self.parse(text, duration)
    }

    pub fn instant(&mut self, text: Option<&Text>) -> Option<Timestamp> {
        self.parse(text, |text| {
            let mend = Some("write `2026-03-02T10:00:00Z`".to_owned());
            text.parse().map_err(|_| (format!("`{text}` is no time"), mend))
        })
    }
}

/// `word` with "did you mean" where one is near, or else the list.
pub(super) fn not_among<'a>(word: &str, known: impl Iterator<Item = &'a str>) -> Mistaken {
    let known: Vec<&str> = known.collect();
    let mend = match nearest(word, known.iter().copied()).first() {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("known are `{}`", known.join("`, `")),
    };
    (format!("`{word}` is not known here"), Some(mend))
}

/// A mistake that no advice goes with.
pub(super) fn plain(message: String) -> Mistaken {
    (message, None)
}
