//! GitHub Actions: annotations, the summary of a step, and a log in which words from outside
//! command nothing.
//!
//! The runner reads each line that a step prints. One that begins with `::` commands it, and
//! so does `##[` anywhere in a line. Of each level ten annotations of a step are shown, and a
//! summary of more than a mebibyte is dropped whole.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::path::PathBuf;

/// Bytes of one summary; other steps of ours may add theirs to the file.
const MOST_BYTES: usize = 200_000;
/// Annotations of a level on the way: the last two of ten are for what it comes to.
const MOST_ON_THE_WAY: usize = 8;

/// How loudly something is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    Notice,
    Warning,
    Error,
}

impl Level {
    fn command(self) -> &'static str {
        match self {
            Self::Notice => "notice",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

/// A step of a workflow.
#[derive(Debug, Clone)]
pub struct Step {
    summary: Option<PathBuf>,
    /// Annotations so far, by level.
    told: [usize; 3],
}

impl Step {
    /// The step that this is; `None` outside of GitHub Actions. `variable` reads the
    /// environment.
    pub fn here(variable: impl Fn(&str) -> Option<String>) -> Option<Self> {
        (variable("GITHUB_ACTIONS").as_deref() == Some("true")).then(|| Self {
            summary: variable("GITHUB_STEP_SUMMARY")
                .filter(|path| !path.is_empty())
                .map(PathBuf::from),
            told: [0; 3],
        })
    }

    /// A line that annotates the run; once there are too many, the plain line. `last`: what
    /// it comes to, which is always an annotation.
    pub fn annotate(&mut self, level: Level, title: &str, text: &str, last: bool) -> String {
        let told = &mut self.told[level as usize];
        if !last && *told >= MOST_ON_THE_WAY {
            return line(text);
        }
        *told += 1;
        annotation(level, title, text)
    }

    /// Adds Markdown to the step's summary; nothing where there is none.
    ///
    /// # Errors
    /// Where the file can't be written.
    pub fn summarize(&self, markdown: &str) -> io::Result<()> {
        let Some(path) = &self.summary else { return Ok(()) };
        let mut file = OpenOptions::new().create(true).append(true).open(path)?;
        let cut = markdown.floor_char_boundary(MOST_BYTES);
        let more = if cut < markdown.len() { "\n\n…cut\n" } else { "\n" };
        file.write_all(format!("{}{more}", &markdown[..cut]).as_bytes())
    }
}

/// The command that annotates.
fn annotation(level: Level, title: &str, text: &str) -> String {
    format!("::{} title={}::{}", level.command(), property(title), data(text))
}

/// A plain line of the log, which commands nothing.
pub fn line(text: &str) -> String {
    let one = text.replace(['\r', '\n'], " ").replace("##[", "# #[");
    if one.trim_start().starts_with("::") { format!("· {}", one.trim_start()) } else { one }
}

/// What an annotation says. `##[` commands in there as well.
fn data(text: &str) -> String {
    let escaped = text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A");
    escaped.replace("##[", "# #[")
}

fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_annotation_is_one_line_whatever_is_in_it() {
        let said = annotation(Level::Error, "api: v2, bad", "100% of\r\n::error::x");
        assert_eq!(said, "::error title=api%3A v2%2C bad::100%25 of%0D%0A::error::x");
    }

    #[test]
    fn no_words_of_the_log_are_a_command() {
        assert_eq!(line("  ::set-env name=PATH::x"), "· ::set-env name=PATH::x");
        assert_eq!(line("v2\n::error::x"), "v2 ::error::x");
        assert_eq!(line("v2 ###[add-path]x"), "v2 ## #[add-path]x");
        assert_eq!(data("##[debug]x"), "# #[debug]x");
        assert_eq!(line("a::b # usual"), "a::b # usual");
    }

    #[test]
    fn what_it_comes_to_is_annotated_however_much_was_before() {
        let actions = |name: &str| (name == "GITHUB_ACTIONS").then(|| "true".to_owned());
        let mut step = Step::here(actions).unwrap();
        let lines: Vec<_> =
            (0..20).map(|_| step.annotate(Level::Warning, "t", "flaps", false)).collect();
        assert_eq!(lines.iter().filter(|line| line.starts_with("::")).count(), MOST_ON_THE_WAY);
        assert_eq!(step.annotate(Level::Warning, "t", "end", true), "::warning title=t::end");
        assert_eq!(step.annotate(Level::Error, "t", "bad", false), "::error title=t::bad");
    }

    #[test]
    fn outside_of_github_there_is_no_step() {
        assert!(Step::here(|_| None).is_none());
        assert!(Step::here(|_| Some("false".to_owned())).is_none());
    }

    #[test]
    fn a_summary_is_added_to_what_is_there_and_bounded() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("summary.md");
        std::fs::write(&path, "before\n").unwrap();
        let step = Step { summary: Some(path.clone()), told: [0; 3] };
        step.summarize("# one").unwrap();
        step.summarize(&"ä".repeat(MOST_BYTES)).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.starts_with("before\n# one\nää"), "{}", &text[..40]);
        assert!(text.ends_with("ä\n\n…cut\n") && text.len() < MOST_BYTES + 100);
    }
}
