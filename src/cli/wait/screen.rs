//! On a terminal: how the watch stands, redrawn in place, with news above it.

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use jiff::{SignedDuration, Timestamp};

use super::news::{News, clock, title};
use super::trace::Traces;
use crate::cli::github::Level;
use crate::cli::visible::visible;
use crate::cli::watches::sign;
use crate::model::Verdict;
use crate::web::{CheckView, WatchView};

/// Checks that are shown; of more the worst.
const MOST_CHECKS: usize = 15;
/// The most pictures a second.
const PICTURES: u8 = 4;
/// Characters of a name, and of a value, so that the columns stay.
const NAME: usize = 24;
const VALUE: usize = 12;

/// A display of some lines at the end of the screen.
pub struct Screen {
    all: MultiProgress,
    head: ProgressBar,
    status: ProgressBar,
    phase: ProgressBar,
    checks: Vec<ProgressBar>,
    paint: Paint,
    /// The last look changed lines; the terminal may not have been given all of them.
    moved: bool,
}

/// Whether there are colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Paint(pub bool);

impl Screen {
    pub fn new(looking_for: &str, paint: Paint) -> Self {
        Self::onto(ProgressDrawTarget::stderr_with_hz(PICTURES), looking_for, paint)
    }

    fn onto(target: ProgressDrawTarget, looking_for: &str, paint: Paint) -> Self {
        let all = MultiProgress::with_draw_target(target);
        let line = || all.add(ProgressBar::new_spinner().with_style(style("{wide_msg}")));
        let (head, status) = (line(), line());
        head.set_message(visible(looking_for));
        let phase = all.add(ProgressBar::new(1).with_style(style("  {prefix}  {bar:24}  {msg}")));
        Self { head, status, phase, checks: Vec::new(), paint, moved: false, all }
    }

    pub fn tell(&self, now: Timestamp, news: &News) {
        let text = visible(&news.text);
        let text = match news.level {
            Some(Level::Error) => self.paint.red(&text),
            Some(Level::Warning) => self.paint.yellow(&text),
            Some(Level::Notice) | None => text,
        };
        // Whether anybody looks or not, the exit code is waited for.
        let _ = self.all.println(format!("{}  {text}", clock(now)));
    }

    /// Every line that is set is a picture of all of them: only those that change are.
    pub fn draw(&mut self, now: Timestamp, view: &WatchView, traces: &Traces, away: bool) {
        let away = if away { "  (the daemon can't be reached)" } else { "" };
        let rows = rows(view, traces, self.paint);
        let mut moved = says(&self.head, visible(&format!("{}  [{}]", title(view), view.mode)));
        moved |= says(&self.status, format!("  {}{away}", visible(&view.status)));
        moved |= self.draw_phase(visible(&view.phase), phase(view, now));
        while self.checks.len() < rows.len() {
            let row = ProgressBar::new_spinner().with_style(style("{wide_msg}"));
            self.checks.push(self.all.add(row));
        }
        for (bar, row) in self.checks.iter().zip(rows) {
            moved |= says(bar, row);
        }
        if self.moved && !moved {
            self.head.tick();
        }
        self.moved = moved;
    }

    fn draw_phase(&self, name: String, phase: Phase) -> bool {
        let (bar, length) = (&self.phase, phase.length.max(1));
        let passed = phase.passed.min(length);
        let shown = (bar.prefix(), bar.message(), bar.position(), bar.length());
        if shown == (name.clone(), phase.left.clone(), passed, Some(length)) {
            return false;
        }
        let bar = bar.clone().with_prefix(name).with_message(phase.left);
        bar.update(|state| {
            state.set_len(length);
            state.set_pos(passed);
        });
        true
    }

    /// Leaves the last picture of what was `seen` on the screen, and nothing that moves.
    pub fn end(&self, seen: bool) {
        self.phase.finish_and_clear();
        for bar in [&self.head, &self.status].into_iter().chain(&self.checks) {
            if seen {
                bar.abandon();
            } else {
                bar.finish_and_clear();
            }
        }
    }
}

/// Whether the line said something else before.
fn says(bar: &ProgressBar, text: String) -> bool {
    let moved = bar.message() != text;
    if moved {
        bar.set_message(text);
    }
    moved
}

/// A template that can't be read shows the text alone.
fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template)
        .unwrap_or_else(|_| ProgressStyle::default_spinner())
        .progress_chars("█▉▊▋▌▍▎▏░")
}

/// How far a phase is, in seconds.
struct Phase {
    passed: u64,
    length: u64,
    left: String,
}

fn phase(view: &WatchView, now: Timestamp) -> Phase {
    let nothing = || Phase { passed: 0, length: 1, left: String::new() };
    let Some(began) = view.in_service_at.filter(|_| view.outcome.is_none()) else {
        return nothing();
    };
    let ends = |index: usize| view.phases.get(index).and_then(|phase| phase.ends_at);
    let current = view.phases.iter().position(|phase| phase.name == view.phase).unwrap_or(0);
    let began = current.checked_sub(1).and_then(ends).unwrap_or(began);
    let (Some(end), Some(last)) = (ends(current), view.phases.last().and_then(|p| p.ends_at))
    else {
        return nothing();
    };
    let seconds = |from: Timestamp, to: Timestamp| {
        u64::try_from(to.duration_since(from).as_secs()).unwrap_or(0)
    };
    let left = if end <= now {
        // No phase ends in the middle of a roll-out, or without a sample.
        "over with the next sample".to_owned()
    } else if last == end {
        format!("{} left", span(now, end))
    } else {
        format!("{} left, {} of the watch", span(now, end), span(now, last))
    };
    Phase { passed: seconds(began, now), length: seconds(began, end), left }
}

/// "7m 12s", to the second.
fn span(from: Timestamp, to: Timestamp) -> String {
    format!("{:#}", SignedDuration::from_secs(to.duration_since(from).as_secs()))
}

/// A line for each check: sign, name, value, its latest values, limits.
fn rows(view: &WatchView, traces: &Traces, paint: Paint) -> Vec<String> {
    let mut checks: Vec<&CheckView> = view.checks.iter().collect();
    let left_out = checks.len().saturating_sub(MOST_CHECKS);
    if left_out > 0 {
        checks.sort_by_key(|check| std::cmp::Reverse(gravity(check.verdict)));
        checks.truncate(MOST_CHECKS);
    }
    let names: Vec<String> = checks.iter().map(|check| short(&check.name, NAME)).collect();
    let wide = names.iter().map(|name| name.chars().count()).max().unwrap_or(0);
    let rows = checks.iter().zip(&names).map(|(check, name)| {
        let spark = traces.spark(&check.name);
        let sign = paint.verdict(check.verdict, sign(check.verdict));
        let (value, more) = match check.shown.as_ref().filter(|_| check.verdict.is_some()) {
            Some(shown) => {
                let value = format!("{:<VALUE$}", short(shown, VALUE));
                (paint.verdict(check.verdict, &value), &check.limits)
            }
            None => (format!("{:<VALUE$}", "-"), &check.reason),
        };
        format!("  {sign} {name:<wide$}  {value} {spark:<20}  {}", visible(more))
    });
    let mut rows: Vec<String> = rows.collect();
    if left_out > 0 {
        rows.push(format!("  and {left_out} more"));
    }
    rows
}

/// What is looked at first.
fn gravity(verdict: Option<Verdict>) -> u8 {
    match verdict {
        Some(Verdict::Breach) => 4,
        Some(Verdict::Elevated) => 3,
        Some(Verdict::NoData) => 2,
        Some(Verdict::LowTraffic) | None => 1,
        Some(Verdict::Healthy) => 0,
    }
}

fn short(text: &str, most: usize) -> String {
    let text = visible(text);
    if text.chars().count() <= most {
        return text;
    }
    text.chars().take(most.saturating_sub(1)).chain(['…']).collect()
}

impl Paint {
    fn red(self, text: &str) -> String {
        self.with("31", text)
    }

    fn yellow(self, text: &str) -> String {
        self.with("33", text)
    }

    fn verdict(self, verdict: Option<Verdict>, text: &str) -> String {
        match verdict {
            Some(Verdict::Breach) => self.red(text),
            Some(Verdict::Elevated) => self.yellow(text),
            Some(Verdict::Healthy) => self.with("32", text),
            Some(Verdict::LowTraffic | Verdict::NoData) | None => self.with("2", text),
        }
    }

    fn with(self, code: &str, text: &str) -> String {
        if self.0 { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use indicatif::TermLike;

    use super::*;
    use crate::cli::wait::made::{at, check, view};

    /// Counts the pictures that it is given.
    #[derive(Debug, Clone, Default)]
    struct Terminal(Arc<AtomicUsize>);

    impl TermLike for Terminal {
        fn width(&self) -> u16 {
            80
        }
        fn move_cursor_up(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn move_cursor_down(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn move_cursor_right(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn move_cursor_left(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn write_line(&self, _: &str) -> io::Result<()> {
            Ok(())
        }
        fn write_str(&self, _: &str) -> io::Result<()> {
            Ok(())
        }
        fn clear_line(&self) -> io::Result<()> {
            Ok(())
        }
        fn flush(&self) -> io::Result<()> {
            self.0.fetch_add(1, Ordering::Relaxed);
            Ok(())
        }
    }

    #[test]
    fn a_terminal_is_given_one_picture_for_a_change_and_none_without() {
        let terminal = Terminal::default();
        let target = ProgressDrawTarget::term_like(Box::new(terminal.clone()));
        let mut screen = Screen::onto(target, "looking for v2", Paint(false));
        let mut view = view();
        view.checks = (0..12).map(|n| check(&format!("c{n}"), Verdict::Healthy, 0.0)).collect();
        let traces = Traces::default();
        let mut pictures = |at, view: &WatchView| {
            let before = terminal.0.load(Ordering::Relaxed);
            screen.draw(at, view, &traces, false);
            terminal.0.load(Ordering::Relaxed) - before
        };
        assert!(pictures(at(60), &view) > 12, "there is something to see");
        let idle: usize = (0..100).map(|_| pictures(at(60), &view)).sum();
        assert!(idle <= 1, "{idle}");
        assert_eq!(pictures(at(61), &view), 1, "a second is a picture");
        view.checks[3] = check("c3", Verdict::Breach, 0.5);
        assert_eq!(pictures(at(61), &view), 1);
    }

    #[test]
    fn each_check_has_its_line_and_the_columns_stay() {
        let mut now = view();
        now.checks[0].recent = vec![0.0, 0.0002];
        now.checks.push(check("p95 latency of all the pages of the shop", Verdict::Breach, 0.03));
        now.checks.push(CheckView {
            name: "orders\u{1b}[2J".into(),
            verdict: Some(Verdict::NoData),
            reason: "no series".into(),
            ..CheckView::default()
        });
        let mut traces = Traces::default();
        traces.take(&now);
        assert_eq!(
            rows(&now, &traces, Paint(false)),
            [
                "  ✓ error rate                0.02%        ▁█                    normal < 0.1% · SEV2 > 1%",
                "  ✗ p95 latency of all the …  3%           █                     normal < 0.1% · SEV2 > 1%",
                "  ? orders\\u{1b}[2J           -                                  no series",
            ]
        );
        let painted = rows(&now, &traces, Paint(true)).remove(1);
        assert!(painted.starts_with("  \u{1b}[31m✗\u{1b}[0m p95"), "{painted:?}");
    }

    #[test]
    fn of_many_checks_the_worst_are_shown() {
        let mut now = view();
        now.checks = (0..30).map(|n| check(&format!("c{n}"), Verdict::Healthy, 0.0)).collect();
        now.checks[29].verdict = Some(Verdict::Breach);
        let rows = rows(&now, &Traces::default(), Paint(false));
        assert_eq!(rows.len(), MOST_CHECKS + 1);
        assert!(rows[0].starts_with("  ✗ c29"), "{rows:#?}");
        assert_eq!(rows.last().unwrap(), "  and 15 more");
    }

    #[test]
    fn the_time_left_is_of_the_phase_and_of_the_watch() {
        let of = |view: &WatchView, seconds| {
            let phase = phase(view, at(seconds));
            (phase.passed, phase.length, phase.left)
        };
        assert_eq!(of(&view(), 60), (60, 900, "14m left, 59m of the watch".to_owned()));
        assert_eq!(of(&view(), 901), (901, 900, "over with the next sample".to_owned()));
        let last = WatchView { phase: "short-term".into(), ..view() };
        assert_eq!(of(&last, 960), (60, 2700, "44m left".to_owned()));
        let rolling = WatchView { in_service_at: None, ..view() };
        assert_eq!(of(&rolling, 60), (0, 1, String::new()));
    }
}
