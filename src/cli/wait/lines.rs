//! Where there is no terminal: a line for each change, and a sign of life now and then.

use std::io::Write;

use jiff::{SignedDuration, Timestamp};

use super::news::{News, clock};
use crate::cli::github::{self, Step};
use crate::cli::visible::visible;
use crate::web::WatchView;

/// After so much silence some take a job for hung.
const SILENCE: SignedDuration = SignedDuration::from_mins(5);

/// Lines on standard output.
pub struct Lines<'a> {
    out: &'a mut dyn Write,
    /// In GitHub's log annotations are lines too.
    step: Option<Step>,
    spoke_at: Option<Timestamp>,
}

impl<'a> Lines<'a> {
    pub fn new(out: &'a mut dyn Write, step: Option<Step>) -> Self {
        Self { out, step, spoke_at: None }
    }

    /// `last`: what it comes to. `title`: what annotations are about.
    pub fn tell(&mut self, now: Timestamp, title: &str, news: &News, last: bool) {
        let text = format!("{}  {}", clock(now), visible(&news.text));
        let line = match (&mut self.step, news.level) {
            (Some(step), Some(level)) => step.annotate(level, &visible(title), &text, last),
            (Some(_), None) => github::line(&text),
            (None, _) => text,
        };
        // Whether anybody reads along or not, the exit code is waited for.
        let _ = writeln!(self.out, "{line}").and_then(|()| self.out.flush());
        self.spoke_at = Some(now);
    }

    /// Adds to the summary of the step; nothing outside of GitHub.
    ///
    /// # Errors
    /// Where its file can't be written.
    pub fn summarize(&self, markdown: &str) -> std::io::Result<()> {
        self.step.as_ref().map_or(Ok(()), |step| step.summarize(markdown))
    }

    /// Says that it still waits, where nothing was said for long.
    pub fn tick(&mut self, now: Timestamp, view: Option<&WatchView>) {
        let spoke_at = *self.spoke_at.get_or_insert(now);
        if now.duration_since(spoke_at) >= SILENCE {
            self.tell(now, "", &News::plain(still(view)), false);
        }
    }
}

fn still(view: Option<&WatchView>) -> String {
    let Some(view) = view else { return "still waiting for the watch to appear".to_owned() };
    let mut counts: Vec<(&str, usize)> = Vec::new();
    for check in &view.checks {
        let verdict = check.verdict.map_or("not measured yet", |verdict| verdict.as_str());
        match counts.iter_mut().find(|(known, _)| *known == verdict) {
            Some((_, count)) => *count += 1,
            None => counts.push((verdict, 1)),
        }
    }
    let counts: Vec<String> =
        counts.iter().map(|(verdict, count)| format!("{count} {verdict}")).collect();
    format!("still {}; checks: {}", view.status, counts.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::github::Level;
    use crate::cli::wait::made::{at, check, view};
    use crate::model::Verdict;

    fn told(step: Option<Step>, tell: impl FnOnce(&mut Lines<'_>)) -> String {
        let mut out = Vec::new();
        tell(&mut Lines::new(&mut out, step));
        String::from_utf8(out).unwrap()
    }

    fn on_github() -> Option<Step> {
        Step::here(|name| (name == "GITHUB_ACTIONS").then(|| "true".to_owned()))
    }

    #[test]
    fn a_line_has_the_time_and_no_control_characters() {
        let hostile = News::of(Level::Error, "v2\u{1b}[2J\n::error::x is bad");
        let said = told(None, |lines| lines.tell(at(0), "t", &hostile, false));
        assert_eq!(said, "2026-11-20 10:30:00 UTC  v2\\u{1b}[2J\\n::error::x is bad\n");
    }

    #[test]
    fn on_github_what_has_a_level_is_an_annotation_and_nothing_else_is_a_command() {
        let said = told(on_github(), |lines| {
            lines.tell(at(0), "api: v2", &News::of(Level::Error, "100% bad\n::x"), false);
            lines.tell(at(0), "t", &News::plain("plain ##[debug]x\n::error::x"), false);
        });
        assert_eq!(
            said,
            "::error title=api%3A v2::2026-11-20 10:30:00 UTC  100%25 bad\\n::x\n\
             2026-11-20 10:30:00 UTC  plain # #[debug]x\\n::error::x\n"
        );
    }

    #[test]
    fn silence_is_broken_every_five_minutes_and_no_more() {
        let mut waiting = view();
        waiting.checks.push(check("p95", Verdict::Healthy, 0.1));
        waiting.checks.push(check("orders", Verdict::LowTraffic, 0.1));
        let said = told(None, |lines| {
            for second in 0..660 {
                lines.tick(at(second), Some(&waiting));
            }
        });
        assert_eq!(
            said.lines().collect::<Vec<_>>(),
            [
                "2026-11-20 10:35:00 UTC  still watching, immediate phase until 10:45:00 UTC; \
                 checks: 2 healthy, 1 low_traffic",
                "2026-11-20 10:40:00 UTC  still watching, immediate phase until 10:45:00 UTC; \
                 checks: 2 healthy, 1 low_traffic",
            ]
        );
        let said = told(None, |lines| (0..600).for_each(|second| lines.tick(at(second), None)));
        assert_eq!(said, "2026-11-20 10:35:00 UTC  still waiting for the watch to appear\n");
    }
}
