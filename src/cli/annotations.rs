//! What a GitHub Actions job shows beside its log: annotations, and the summary of the step.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::PathBuf;

/// How much an annotation weighs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    Warning,
    Error,
}

/// Where the job shows things; nowhere outside GitHub Actions.
#[derive(Debug, Clone, Default)]
pub struct Job {
    is_on_github: bool,
    summary: Option<PathBuf>,
}

impl Job {
    /// As the environment says.
    pub fn here() -> Self {
        let said = |name: &str| std::env::var(name).ok().filter(|text| !text.is_empty());
        Self {
            is_on_github: said("GITHUB_ACTIONS").is_some_and(|text| text == "true"),
            summary: said("GITHUB_STEP_SUMMARY").map(PathBuf::from),
        }
    }

    /// A line that GitHub shows at the top of the run.
    pub fn annotate(
        &self,
        level: Level,
        title: &str,
        text: &str,
        out: &mut impl Write,
    ) -> std::io::Result<()> {
        if !self.is_on_github {
            return Ok(());
        }
        let level = match level {
            Level::Warning => "warning",
            Level::Error => "error",
        };
        let title = escaped(title).replace(':', "%3A").replace(',', "%2C");
        writeln!(out, "::{level} title={title}::{}", escaped(text))
    }

    /// Adds to the step's summary. That it can't be written keeps nothing from going on.
    pub fn summarize(&self, markdown: &str) {
        let Some(path) = &self.summary else { return };
        let file = OpenOptions::new().append(true).create(true).open(path);
        let written = file.and_then(|mut file| file.write_all(markdown.as_bytes()));
        if let Err(error) = written {
            eprintln!("deployguard: the step's summary can't be written: {error}");
        }
    }
}

/// As a workflow command takes it for one line.
fn escaped(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

/// In a cell of a table in Markdown: no line break, no bar, no markup of its own.
pub fn cell(text: &str) -> String {
    let one_line: Vec<&str> = text.split_whitespace().collect();
    let mut cell = String::new();
    for char in one_line.join(" ").chars() {
        match char {
            '<' => cell.push_str("&lt;"),
            '>' => cell.push_str("&gt;"),
            '&' => cell.push_str("&amp;"),
            '|' | '\\' | '`' | '*' | '_' | '[' | ']' | '#' | '!' | '@' => {
                cell.push('\\');
                cell.push(char);
            }
            _ => cell.push(char),
        }
    }
    cell
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_can_end_no_annotation_and_begin_no_other() {
        let job = Job { is_on_github: true, summary: None };
        let mut out = Vec::new();
        let text = "50% of\n::error::it";
        job.annotate(Level::Warning, "a: b, c", text, &mut out).unwrap();
        let said = String::from_utf8(out).unwrap();
        assert_eq!(said, "::warning title=a%3A b%2C c::50%25 of%0A::error::it\n");
        assert_eq!(cell("a|b\n<img>_x_"), "a\\|b &lt;img&gt;\\_x\\_");
        let mut none = Vec::new();
        Job::default().annotate(Level::Error, "a", "b", &mut none).unwrap();
        assert!(none.is_empty(), "elsewhere nobody reads them");
    }
}
