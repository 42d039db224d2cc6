//! `deployguard wait`: blocks a pipeline until a deployment's verdict.
//!
//! Nothing is decided here: [`follow`] hears how the watch stands, [`ruling`] says which exit
//! code that is, and [`news`] what is worth a line. Whatever becomes of the output, the exit
//! code is that of the verdict: a job goes by it.

mod follow;
mod lines;
#[cfg(test)]
mod made;
mod news;
mod ruling;
mod screen;
mod summary;
mod trace;

use std::io::{self, IsTerminal, Write};
use std::pin::pin;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use jiff::{SignedDuration, Timestamp};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::Instant;

use super::backtest::duration;
use super::client::Server;
use super::github::{Level, Step};
use crate::engine::clock;
use crate::web::{WatchDetail, WatchView};
use follow::{Follower, Heard, Patience, Spell};
use lines::Lines;
use news::News;
use ruling::{End, Ruling};
use screen::{Paint, Screen};
use trace::Traces;

/// For `--help`.
pub const CODES: &str = "\
Exit codes:
  0    passed; with --until: the phase is over, enough was measured, and no breach is open
  1    rolled back, the rollback failed, or in breach and nobody is asked about it
  2    undecided: inconclusive, too little measured, or time is up before a verdict
  3    could not ask: no daemon, a refused token, an unknown phase
  4    superseded or cancelled
  130  interrupted; the deployment is watched on

While a rollback is under way or a person is asked, wait goes on, also beyond the end of the
phase. What nobody guards, or nobody announced under that id, is 0 with a warning once
--patience is over; with --require-guarded it is 2.";

/// How often what moves is drawn.
const BEAT: Duration = Duration::from_secs(1);

#[derive(Debug, Clone, Args)]
pub struct Wait {
    /// A watch; or a deployment, by the id that it was announced with or that ECS gave it
    #[arg(value_parser = super::named, value_name = "WATCH-OR-DEPLOYMENT")]
    watch: String,
    /// Be content once this phase of the policy is over, without a breach
    #[arg(long, value_name = "PHASE")]
    until: Option<String>,
    /// The longest to wait
    #[arg(long, default_value = "30m", value_parser = duration)]
    timeout: SignedDuration,
    /// How long the daemon may be out of reach, and the deployment unknown
    #[arg(long, default_value = "2m", value_parser = duration)]
    patience: SignedDuration,
    /// A deployment that nobody guards is exit code 2 instead of 0 with a warning
    #[arg(long)]
    require_guarded: bool,
    #[command(flatten)]
    server: Server,
}

/// Waits, and answers with the exit code: never that of another command's failure.
pub fn run(wanted: &Wait, out: &mut impl Write) -> ExitCode {
    let variable = |name: &str| std::env::var(name).ok();
    let step = Step::here(variable);
    let set = |name: &str| variable(name).is_some_and(|value| !value.is_empty());
    let in_ci = step.is_some() || variable("CI").is_some_and(|ci| !matches!(&*ci, "" | "false"));
    let terminal = io::stdout().is_terminal() && io::stderr().is_terminal();
    let board = if terminal && !in_ci && variable("TERM").as_deref() != Some("dumb") {
        let looking_for = format!("looking for {}", wanted.watch);
        Board::Screen(Box::new(Screen::new(&looking_for, Paint(!set("NO_COLOR")))), out)
    } else {
        Board::Lines(Lines::new(out, step.clone()))
    };
    let end = match begin(wanted, board) {
        Ok(end) => end,
        Err(why) => {
            eprintln!("deployguard: {why:#}");
            End::new(Ruling::NotAsked, format!("{why:#}"))
        }
    };
    ExitCode::from(end.ruling.code())
}

fn begin<'a>(wanted: &'a Wait, board: Board<'a>) -> anyhow::Result<End> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let end = runtime.block_on(async {
        let timeout = Duration::try_from(wanted.timeout).unwrap_or_default();
        let mut course = Course {
            wanted,
            board,
            follower: Follower::new(&wanted.server, &wanted.watch)?,
            interrupts: signal(SignalKind::interrupt())?,
            deadline: tokio::time::Instant::now() + timeout,
            known: Known::default(),
            away: Patience::default(),
            unknown: Patience::default(),
        };
        let end = course.run().await;
        course.conclude(&end);
        Ok(end)
    });
    // The system's look-up of a name can't be called off, and is not waited for.
    runtime.shutdown_background();
    end
}

/// Where it is shown.
enum Board<'a> {
    Lines(Lines<'a>),
    Screen(Box<Screen>, &'a mut dyn Write),
}

/// What was heard so far.
#[derive(Default)]
struct Known {
    detail: Option<Box<WatchDetail>>,
    page: String,
    traces: Traces,
    warned_of_time: bool,
}

impl Known {
    fn view(&self) -> Option<&WatchView> {
        self.detail.as_ref().map(|detail| &detail.watch)
    }
}

/// One wait.
struct Course<'a> {
    wanted: &'a Wait,
    board: Board<'a>,
    follower: Follower<'a>,
    interrupts: Signal,
    deadline: Instant,
    known: Known,
    away: Patience,
    unknown: Patience,
}

impl Course<'_> {
    async fn run(&mut self) -> End {
        let mut pace = Duration::ZERO;
        loop {
            let heard = match self.listen(pace).await {
                Ok(heard) => heard,
                Err(end) => return end,
            };
            if let Some(end) = self.take(heard, clock::now(), tokio::time::Instant::now()) {
                return end;
            }
            pace = follow::pace(self.known.view(), clock::now());
        }
    }

    /// The next that is heard, or what ends the wait before.
    async fn listen(&mut self, pace: Duration) -> Result<Heard, End> {
        let waited = format!("{:#}", self.wanted.timeout);
        let Self { board, follower, interrupts, deadline, known, away, .. } = self;
        let mut next = pin!(follower.next(pace));
        let mut beat = tokio::time::interval(BEAT);
        loop {
            tokio::select! {
                heard = &mut next => return Ok(heard),
                _ = beat.tick() => board.tick(clock::now(), known, away.is_tried()),
                _ = interrupts.recv() => {
                    let because = "the deployment is watched on";
                    return Err(End::new(Ruling::Interrupted, because));
                }
                () = tokio::time::sleep_until(*deadline) => {
                    return Err(if away.is_tried() {
                        let because = format!("time is up after {waited}, and no daemon answers");
                        End::new(Ruling::NotAsked, because)
                    } else {
                        ruling::timed_out(known.view(), &waited)
                    });
                }
            }
        }
    }

    fn take(&mut self, heard: Heard, now: Timestamp, at: Instant) -> Option<End> {
        let patience = Duration::try_from(self.wanted.patience).unwrap_or_default();
        let spell = format!("{:#}", self.wanted.patience);
        match heard {
            Heard::Refused(why) => return Some(End::new(Ruling::NotAsked, why)),
            Heard::Away(why) => match self.away.fails(at, patience) {
                Spell::First => {
                    let text = format!("{why}; it is asked again for {spell}");
                    self.tell(now, &News::of(Level::Warning, text));
                }
                Spell::Goes => {}
                Spell::Over => {
                    return Some(End::new(Ruling::NotAsked, format!("{why}, for {spell}")));
                }
            },
            Heard::Unknown => {
                self.is_back(now);
                match self.unknown.fails(at, patience) {
                    Spell::First => {
                        let text = format!("{}; waiting {spell} for it", self.nobody_knows());
                        self.tell(now, &News::plain(text));
                    }
                    Spell::Goes => {}
                    Spell::Over => return Some(self.unguarded(&spell)),
                }
            }
            Heard::Stands(detail) => {
                self.is_back(now);
                self.unknown.ends();
                return self.look_at(detail, now, at);
            }
        }
        None
    }

    fn is_back(&mut self, now: Timestamp) {
        if self.away.ends() {
            self.tell(now, &News::plain("the daemon answers again"));
        }
    }

    fn look_at(&mut self, detail: Box<WatchDetail>, now: Timestamp, at: Instant) -> Option<End> {
        let until = self.wanted.until.as_deref();
        let view = &detail.watch;
        if let Some(why) = ruling::no_such_phase(view, until) {
            return Some(End::new(Ruling::NotAsked, why));
        }
        self.known.page = self.wanted.server.page(&["api", "v1", "watches", &view.id]);
        let mut news = news::news(self.known.view(), view, &self.known.page);
        self.known.traces.take(view);
        let end = ruling::settled(view, until);
        let left = self.deadline.saturating_duration_since(at);
        let late = too_late(view, until, now, left).filter(|_| end.is_none());
        if let Some(late) = late.filter(|_| !self.known.warned_of_time) {
            self.known.warned_of_time = true;
            news.push(News::of(Level::Warning, late));
        }
        self.known.detail = Some(detail);
        for one in &news {
            self.tell(now, one);
        }
        self.board.tick(now, &self.known, false);
        end
    }

    fn nobody_knows(&self) -> String {
        let name = &self.wanted.watch;
        format!("no watch is called `{name}`, and no deployment was announced as that")
    }

    /// It was unknown for as long as it may be.
    fn unguarded(&self, spell: &str) -> End {
        if let Some(view) = self.known.view() {
            let because = format!("the daemon no longer knows the watch {}", view.id);
            return End::new(Ruling::NotAsked, because);
        }
        let ruling =
            if self.wanted.require_guarded { Ruling::Undecided } else { Ruling::Unguarded };
        let because = format!(
            "{} within {spell}: nobody guards it, or it has another id",
            self.nobody_knows()
        );
        End::new(ruling, because)
    }

    fn tell(&mut self, now: Timestamp, news: &News) {
        let title = self.known.view().map_or_else(|| self.wanted.watch.clone(), news::title);
        self.board.tell(now, &title, news, false);
    }

    /// Says what it came to; on GitHub in the step's summary, too.
    fn conclude(&mut self, end: &End) {
        let Known { detail, page, traces, .. } = &self.known;
        let title = self.known.view().map_or_else(|| self.wanted.watch.clone(), news::title);
        let (sign, word) = (end.ruling.sign(), end.ruling.as_str());
        let text = format!("{sign} {title} {word}: {}", end.because);
        let level = (end.ruling != Ruling::Interrupted).then(|| end.ruling.level());
        match &mut self.board {
            Board::Screen(screen, out) => {
                screen.end(detail.is_some());
                let text = super::visible::visible(&text);
                // Whoever does not read along gets the exit code.
                let _ = writeln!(out, "{text}");
            }
            Board::Lines(lines) => {
                lines.tell(clock::now(), &title, &News { level, text }, true);
                let name = &self.wanted.watch;
                let said = summary::summary(name, detail.as_deref(), end, traces, page);
                if level.is_some()
                    && let Err(why) = lines.summarize(&said)
                {
                    eprintln!("deployguard: the step's summary can't be written: {why}");
                }
            }
        }
    }
}

impl Board<'_> {
    fn tell(&mut self, now: Timestamp, title: &str, news: &News, last: bool) {
        match self {
            Self::Lines(lines) => lines.tell(now, title, news, last),
            Self::Screen(screen, _) => screen.tell(now, news),
        }
    }

    fn tick(&mut self, now: Timestamp, known: &Known, away: bool) {
        match (self, known.view()) {
            (Self::Lines(lines), view) => lines.tick(now, view),
            (Self::Screen(screen, _), Some(view)) => screen.draw(now, view, &known.traces, away),
            (Self::Screen(..), None) => {}
        }
    }
}

/// That what is waited for can't come before time is up.
fn too_late(
    view: &WatchView,
    until: Option<&str>,
    now: Timestamp,
    left: Duration,
) -> Option<String> {
    let phase = match until {
        Some(until) => view.phases.iter().find(|phase| phase.name == until)?,
        None => view.phases.last()?,
    };
    let end = phase.ends_at?;
    let up = now.checked_add(left).ok()?;
    let names: Vec<&str> = view.phases.iter().map(|phase| phase.name.as_str()).collect();
    (end > up).then(|| {
        format!(
            "the {} phase ends at {}, and time is up at {}: give a longer --timeout, or --until \
             one of {}",
            phase.name,
            news::clock(end),
            news::clock(up),
            names.join(", ")
        )
    })
}

#[cfg(test)]
mod tests {
    use super::made::{at, view};
    use super::*;

    #[test]
    fn that_time_will_be_up_too_early_is_said_in_time() {
        let of = |until, minutes| {
            too_late(&view(), until, at(60), Duration::from_mins(minutes)).unwrap_or_default()
        };
        assert_eq!(
            of(None, 30),
            "the short-term phase ends at 2026-11-20 11:30:00 UTC, and time is up at \
             2026-11-20 11:01:00 UTC: give a longer --timeout, or --until one of immediate, \
             short-term"
        );
        assert_eq!(of(Some("immediate"), 30), "");
        assert_eq!(of(None, 60), "");
        assert!(of(Some("immediate"), 10).starts_with("the immediate phase ends at"));
    }
}
