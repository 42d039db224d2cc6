//! What a wait comes to: a pure function of how the watch stands.

use crate::cli::github::Level;
use crate::model::Outcome;
use crate::web::WatchView;

/// What the exit code says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ruling {
    /// Passed, or the phase that was waited for ended without a breach.
    Passed,
    /// Nobody guards the deployment, and that was allowed.
    Unguarded,
    /// Rolled back, not rolled back though it should be, or in breach with nobody asked.
    Harmed,
    /// Inconclusive, no data, time-out.
    Undecided,
    /// The daemon could not be asked, or not that.
    NotAsked,
    /// Superseded or cancelled.
    Replaced,
    /// Ctrl-C.
    Interrupted,
}

impl Ruling {
    pub fn code(self) -> u8 {
        match self {
            Self::Passed | Self::Unguarded => 0,
            Self::Harmed => 1,
            Self::Undecided => 2,
            Self::NotAsked => 3,
            Self::Replaced => 4,
            Self::Interrupted => 130,
        }
    }

    pub fn sign(self) -> &'static str {
        match self {
            Self::Passed => "✓",
            Self::Harmed => "✗",
            Self::Unguarded | Self::Undecided | Self::NotAsked => "?",
            Self::Replaced | Self::Interrupted => "·",
        }
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Unguarded => "not guarded",
            Self::Harmed => "did not pass",
            Self::Undecided => "undecided",
            Self::NotAsked => "could not ask",
            Self::Replaced => "was not judged to its end",
            Self::Interrupted => "interrupted",
        }
    }

    pub fn level(self) -> Level {
        match self {
            Self::Passed => Level::Notice,
            Self::Unguarded | Self::Undecided | Self::Replaced | Self::Interrupted => {
                Level::Warning
            }
            Self::Harmed | Self::NotAsked => Level::Error,
        }
    }
}

/// The end of a wait, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct End {
    pub ruling: Ruling,
    pub because: String,
}

impl End {
    pub fn new(ruling: Ruling, because: impl Into<String>) -> Self {
        Self { ruling, because: because.into() }
    }
}

/// Whether there is a verdict now. The outcome of a watch that has ended is it; of an open
/// one the end of the phase `until`.
///
/// At that end counts what holds *then*: a breach that is over is none. While a rollback is
/// under way, or a person is asked, that is waited for, because it decides. A breach about
/// which nobody is asked stays one, and too little measured is no pass.
pub fn settled(view: &WatchView, until: Option<&str>) -> Option<End> {
    if let Some(outcome) = view.outcome {
        return Some(End::new(ruling(outcome), view.status.clone()));
    }
    let phase = until.filter(|phase| is_over(view, phase))?;
    let would = view.would_end.as_ref().filter(|_| !view.rolling_back)?;
    let open = view.incident.as_ref().is_some_and(|incident| incident.resolved_at.is_none());
    let said = |ruling, what: &str| {
        Some(End::new(ruling, format!("the {phase} phase is over{what}: {}", would.because)))
    };
    match would.outcome {
        Outcome::Passed if open => said(Ruling::Passed, ", and its incident is back to normal"),
        Outcome::Passed => said(Ruling::Passed, " without a breach"),
        Outcome::Breached if view.asked.is_some() => None,
        Outcome::Breached => said(Ruling::Harmed, " and a breach is open"),
        Outcome::RollbackFailed => said(Ruling::Harmed, " and it could not be rolled back"),
        Outcome::Inconclusive | Outcome::RolledBack | Outcome::Superseded | Outcome::Cancelled => {
            said(Ruling::Undecided, "")
        }
    }
}

/// What it comes to where time is up before there is a verdict.
pub fn timed_out(view: Option<&WatchView>, waited: &str) -> End {
    let Some(view) = view else {
        let because = format!("no watch over it appeared within {waited}");
        return End::new(Ruling::Undecided, because);
    };
    let breached = view
        .would_end
        .as_ref()
        .is_some_and(|would| matches!(would.outcome, Outcome::Breached | Outcome::RollbackFailed));
    let harmed = view.rolling_back || (breached && view.asked.is_none());
    let ruling = if harmed { Ruling::Harmed } else { Ruling::Undecided };
    End::new(ruling, format!("no end within {waited}; it stands at: {}", view.status))
}

fn ruling(outcome: Outcome) -> Ruling {
    match outcome {
        Outcome::Passed => Ruling::Passed,
        Outcome::RolledBack | Outcome::RollbackFailed | Outcome::Breached => Ruling::Harmed,
        Outcome::Superseded | Outcome::Cancelled => Ruling::Replaced,
        Outcome::Inconclusive => Ruling::Undecided,
    }
}

/// Why the phase can't be waited for; `None`: it can.
pub fn no_such_phase(view: &WatchView, until: Option<&str>) -> Option<String> {
    let phase = until?;
    if view.phases.is_empty() {
        return Some("the daemon does not tell a watch's phases: it is older than this".into());
    }
    let names: Vec<&str> = view.phases.iter().map(|phase| phase.name.as_str()).collect();
    let known = names.contains(&phase);
    (!known)
        .then(|| format!("--until: its policy has no phase `{phase}`; it has {}", names.join(", ")))
}

fn is_over(view: &WatchView, phase: &str) -> bool {
    let at = |name: &str| view.phases.iter().position(|phase| phase.name == name);
    at(phase).zip(at(&view.phase)).is_some_and(|(wanted, current)| current > wanted)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::wait::made::{asked, incident, view};
    use crate::web::WouldEnd;

    /// A watch in its second phase that would end as `outcome`.
    fn after_the_first(outcome: Outcome) -> WatchView {
        let would = WouldEnd { outcome, because: "so it is".to_owned() };
        WatchView { phase: "short-term".into(), would_end: Some(would), ..view() }
    }

    fn code(view: &WatchView, until: Option<&str>) -> Option<u8> {
        settled(view, until).map(|end| end.ruling.code())
    }

    #[test]
    fn every_outcome_has_its_exit_code() {
        for (outcome, expected) in [
            (Outcome::Passed, 0),
            (Outcome::RolledBack, 1),
            (Outcome::RollbackFailed, 1),
            (Outcome::Breached, 1),
            (Outcome::Inconclusive, 2),
            (Outcome::Superseded, 4),
            (Outcome::Cancelled, 4),
        ] {
            let ended = WatchView { outcome: Some(outcome), ..view() };
            for until in [None, Some("immediate")] {
                assert_eq!(code(&ended, until), Some(expected), "{outcome:?}");
            }
        }
    }

    #[test]
    fn a_phase_that_goes_on_is_no_verdict_and_nor_is_a_watch() {
        assert_eq!(code(&view(), Some("immediate")), None);
        assert_eq!(code(&after_the_first(Outcome::Passed), Some("short-term")), None);
        assert_eq!(code(&after_the_first(Outcome::Breached), None), None);
    }

    #[test]
    fn the_end_of_a_phase_counts_as_the_watch_would_end() {
        let at = |outcome| code(&after_the_first(outcome), Some("immediate"));
        assert_eq!(at(Outcome::Passed), Some(0));
        assert_eq!(at(Outcome::Inconclusive), Some(2), "too little measured is no pass");
        assert_eq!(at(Outcome::Breached), Some(1));
        assert_eq!(at(Outcome::RollbackFailed), Some(1));
    }

    #[test]
    fn an_open_decision_at_the_end_of_the_phase_is_waited_for() {
        let breached = after_the_first(Outcome::Breached);
        let pending =
            WatchView { asked: Some(asked()), incident: Some(incident()), ..breached.clone() };
        assert_eq!(code(&pending, Some("immediate")), None);
        let rolling = WatchView { rolling_back: true, ..breached };
        assert_eq!(code(&rolling, Some("immediate")), None);
        let calm = WatchView { incident: Some(incident()), ..after_the_first(Outcome::Passed) };
        assert!(settled(&calm, Some("immediate")).unwrap().because.contains("back to normal"));
    }

    #[test]
    fn at_the_time_out_only_what_nobody_is_asked_about_is_decided() {
        let at = |view: &WatchView| timed_out(Some(view), "30m").ruling.code();
        assert_eq!(at(&view()), 2);
        let breached = after_the_first(Outcome::Breached);
        assert_eq!(at(&breached), 1);
        assert_eq!(at(&WatchView { asked: Some(asked()), ..breached }), 2);
        assert_eq!(at(&WatchView { rolling_back: true, ..view() }), 1);
        assert_eq!(timed_out(None, "30m").ruling.code(), 2);
    }

    #[test]
    fn an_unknown_phase_is_answered_with_those_that_there_are() {
        let why = no_such_phase(&view(), Some("immediat")).unwrap();
        assert!(why.contains("`immediat`; it has immediate, short-term"), "{why}");
        assert_eq!(no_such_phase(&view(), Some("immediate")), None);
        assert_eq!(no_such_phase(&view(), None), None);
        let older = WatchView { phases: Vec::new(), ..view() };
        assert!(no_such_phase(&older, Some("immediate")).unwrap().contains("older"));
    }
}
