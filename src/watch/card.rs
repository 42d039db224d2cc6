//! The deployment's card: the monitor box, and the incident while one is open.

use jiff::{SignedDuration, Timestamp};

use super::words::{full, limits_in_words};
use super::{Actor, PreflightState, RunStep, Stage, Watch};
use crate::judge::{Baseline, CheckState, Reference};
use crate::model::{Card, Health, Offer, Outcome, Tile, Trend, Verdict};
use crate::policy::{Check, Measure, OnTimeout};

/// A change of less than this share of what was before is none.
const STABLE: f64 = 0.05;
/// From this many times on a change is told as a multiple.
const MANY: f64 = 10.0;

/// Of when the numbers of a card are.
const AS_OF: &str = "Numbers as of";
/// A card whose numbers are older than this is edited for them alone. Edits notify nobody,
/// and Slack takes some fifty a minute: of a hundred watches this makes ten.
const FRESH: SignedDuration = SignedDuration::from_mins(10);

impl Watch {
    /// Whether there are newer numbers, and those that people see are old.
    pub(super) fn is_card_stale(&self, now: Timestamp) -> bool {
        let shown = self.card_shown_at.is_none_or(|at| now.duration_since(at) >= FRESH);
        shown && self.last_tick > self.card_shown_at
    }

    pub(super) fn card(&self, offers: Vec<Offer>) -> Card {
        let facts = &self.deployment.facts;
        let revision = self.deployment.revision.as_ref().map(|to| match &self.deployment.source {
            Some(from) => format!("{} (was {})", to.short(), from.short()),
            None => to.short().to_owned(),
        });
        let about = [
            facts.author.as_ref().map(|author| format!("by {author}")),
            facts.commit.as_ref().map(|commit| format!("commit {commit}")),
            revision,
            match &self.preflight {
                PreflightState::Ready { target, .. } => Some(format!("back to {}", target.short())),
                PreflightState::Impossible { .. } => Some("can't be rolled back".to_owned()),
                PreflightState::Unknown => None,
            },
            self.unannounced_in_words(),
            self.unlabelled_in_words(),
            self.changes_in_words(),
            self.lead_in_words(),
            self.joins_in_words(),
        ];
        let pinned = &self.pinned;
        let commit = match (&pinned.commit, pinned.dirty) {
            (Some(commit), false) => format!(" at {}", commit.get(..8).unwrap_or(commit)),
            (Some(commit), true) => format!(" at {}, edited", commit.get(..8).unwrap_or(commit)),
            (None, _) => ", not in git".to_owned(),
        };
        // A box of nothing but question marks says nothing.
        let is_measured = self.checks.values().any(|state| state.last.is_some());
        let mode = match &self.ceiling.because {
            Some(because) => format!("{} ({because})", self.ceiling.mode),
            None => self.ceiling.mode.to_string(),
        };
        Card {
            tone: self.tone(),
            title: self.title(),
            status: self.status_line(),
            head: [
                Some(("Version".to_owned(), self.version())),
                Some(("Deployed".to_owned(), minute(self.deployment.started_at))),
                // People read it hours later: a number without its time is taken for now's.
                self.last_tick.filter(|_| is_measured).map(|at| (AS_OF.to_owned(), minute(at))),
            ]
            .into_iter()
            .flatten()
            .collect(),
            about: about.into_iter().flatten().collect(),
            url: facts.url.clone(),
            incident: self.incident_on_card(),
            tiles: if is_measured { self.tiles() } else { Vec::new() },
            health: if is_measured { self.health() } else { Vec::new() },
            footer: format!(
                "watch {} · policy {} ({}{commit}) · mode {mode}",
                self.id, pinned.policy.name, pinned.file
            ),
            offers,
        }
    }

    /// The template's fields while an incident is open, and to the end of what a rollback
    /// ended.
    pub fn incident_on_card(&self) -> Vec<(String, String)> {
        let Some(incident) = &self.incident else { return Vec::new() };
        let rolled_back = match &self.stage {
            Stage::RollingBack(_) => true,
            Stage::Ended { outcome, .. } => *outcome == Outcome::RolledBack,
            Stage::Announced { .. } | Stage::Starting | Stage::Watching => false,
        };
        if incident.resolved_at.is_some() && !rolled_back {
            return Vec::new();
        }
        let (resolution, eta) = self.resolution();
        self.template(&resolution, &eta)
    }

    /// What is done about the incident, and when that is due where a time is known.
    fn resolution(&self) -> (String, String) {
        let unknown = || "not known".to_owned();
        match &self.stage {
            Stage::RollingBack(run) => {
                let who = match &run.by {
                    Actor::Guard => String::new(),
                    Actor::Person(name) => format!(" ({name})"),
                    Actor::Platform => format!(" ({})", run.because),
                };
                let target = run.plan.target.short();
                let words = match run.step {
                    RunStep::Acting { .. } | RunStep::Settling { .. } => {
                        format!("rolling back to {target}{who}")
                    }
                    RunStep::Recovering { .. } => {
                        format!("{target} is back in place{who}; the numbers are to recover")
                    }
                };
                (words, unknown())
            }
            Stage::Ended { outcome: Outcome::RolledBack, because, .. } => {
                let recovered = !self.has_open_incident();
                let eta = if recovered { "recovered".to_owned() } else { unknown() };
                (format!("rolled back; {because}"), eta)
            }
            Stage::Ended { because, .. } => (because.clone(), unknown()),
            Stage::Announced { .. } | Stage::Starting | Stage::Watching => match &self.pending {
                Some(pending) => {
                    let proposed = format!("proposed: back to {}", self.target_in_words());
                    let due = pending.until.map(|until| match self.unanswered(pending) {
                        OnTimeout::Rollback => {
                            format!("rolled back at {}{}", full(until), pending.unless_held())
                        }
                        OnTimeout::Escalate => format!("decision due {}", full(until)),
                    });
                    (proposed, due.unwrap_or_else(unknown))
                }
                None => (self.next_step(), unknown()),
            },
        }
    }

    /// What is measured, with the requests in front of the first thing that counts none.
    fn tiles(&self) -> Vec<Tile> {
        let policy = self.policy();
        let checks = policy.checks.iter().filter(|check| !is_of_health(check));
        let (counting, others): (Vec<_>, Vec<_>) = checks.partition(|check| check.counts_events());
        let counted = counting.into_iter().map(|check| self.tile(check));
        let others = others.into_iter().map(|check| self.tile(check));
        counted.chain(self.requests()).chain(others).collect()
    }

    fn tile(&self, check: &Check) -> Tile {
        let state = self.checks.get(&check.name);
        let last = state.and_then(|state| state.last.as_ref());
        let verdict = last.map_or(Verdict::NoData, |judgement| judgement.verdict);
        let before = state.and_then(before);
        let (value, trend, note) = match last.map(|last| (last.value, last)) {
            Some((Some(value), _)) => {
                let before = before.map(|reference| reference.value);
                let (trend, mut note) = compared(value, before, |value| check.show(value));
                if verdict == Verdict::Healthy
                    && check.normal.is_some_and(|one| one.contains(value))
                {
                    note =
                        if note.is_empty() { "normal".into() } else { format!("{note} · normal") };
                }
                (check.show(value), trend, note)
            }
            Some((None, judgement)) => {
                let aside = self.is_left_aside(&check.name);
                let note = if aside { "optional" } else { "" };
                (judgement.reason.clone(), None, note.to_owned())
            }
            None => ("not measured yet".to_owned(), None, String::new()),
        };
        let limits = match last.and_then(|last| last.limit.as_ref()) {
            Some(limit) => format!("limit {limit}"),
            None => limits_in_words(check),
        };
        Tile { name: check.name.clone(), verdict, value, trend, note, limits }
    }

    /// Requests a second, of the ratio that counts the most of them.
    pub(super) fn requests(&self) -> Option<Tile> {
        let interval = self.interval();
        let rates = self.policy().checks.iter().filter_map(|check| {
            let Measure::Ratio { .. } = check.measure else { return None };
            let state = self.checks.get(&check.name)?;
            let seconds = check.window(interval).as_secs_f64();
            // The first samples cover a part of the window only.
            if interval.as_secs_f64() * f64::from(state.answered) < seconds {
                return None;
            }
            let rate = state.last.as_ref()?.traffic? / seconds;
            let before = before(state).map(|reference| reference.events_per_second);
            (rate.is_finite() && seconds > 0.0).then_some((rate, before))
        });
        let (rate, before) = rates.max_by(|(one, _), (other, _)| one.total_cmp(other))?;
        let show = |rate: f64| format!("{} req/s", rounded(rate));
        let (trend, note) = compared(rate, before.filter(|rate| *rate > 0.0), show);
        Some(Tile {
            name: "requests/s".to_owned(),
            verdict: Verdict::Healthy,
            value: show(rate),
            trend,
            note,
            limits: String::new(),
        })
    }

    fn health(&self) -> Vec<Health> {
        let checks = self.policy().checks.iter().filter(|check| is_of_health(check));
        let health = checks.map(|check| {
            let last = self.checks.get(&check.name).and_then(|state| state.last.as_ref());
            let well = match last.map(|last| last.verdict) {
                Some(Verdict::Healthy) => Some(true),
                Some(Verdict::Elevated | Verdict::Breach) => Some(false),
                Some(Verdict::LowTraffic | Verdict::NoData) | None => None,
            };
            let why = last.filter(|_| well != Some(true)).map(|last| last.reason.clone());
            let aside = self.is_left_aside(&check.name);
            let why = why.map(|why| if aside { format!("optional: {why}") } else { why });
            Health { name: check.name.clone(), well, why }
        });
        health.collect()
    }
}

/// What is up or down rather than more or less.
fn is_of_health(check: &Check) -> bool {
    matches!(check.measure, Measure::Status { .. }) || check.is_of_tasks()
}

/// What it was before, by the first baseline that was measured.
fn before(state: &CheckState) -> Option<&Reference> {
    state.baselines.values().find_map(|baseline| match baseline {
        Baseline::Measured(reference) => Some(&**reference),
        Baseline::Pending | Baseline::Missing { .. } => None,
    })
}

/// Which way a value has gone, and how far in words.
fn compared(
    value: f64,
    before: Option<f64>,
    show: impl Fn(f64) -> String,
) -> (Option<Trend>, String) {
    let Some(before) = before.filter(|before| before.is_finite() && value.is_finite()) else {
        return (None, String::new());
    };
    let difference = value - before;
    let small = difference.abs() <= STABLE * before.abs();
    // What is shown as the same has not gone anywhere.
    if small || show(value) == show(before) {
        return (Some(Trend::Flat), "stable".to_owned());
    }
    let trend = if difference > 0.0 { Trend::Up } else { Trend::Down };
    let times = value / before;
    let note = if before.abs() < f64::EPSILON || times < 0.0 {
        format!("before {}", show(before))
    } else if times >= MANY {
        format!("×{} (before {})", rounded(times), show(before))
    } else {
        format!("{:+.0}% (before {})", difference / before * 100.0, show(before))
    };
    (Some(trend), note)
}

fn rounded(value: f64) -> String {
    if value.abs() >= 10.0 { format!("{value:.0}") } else { format!("{value:.1}") }
}

/// "2024-01-15 10:30 UTC".
fn minute(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M UTC").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_told_against_what_it_was_before() {
        let of = |value: f64, before: f64| {
            let (trend, note) = compared(value, Some(before), |value| format!("{value}"));
            (trend, note)
        };
        let told = |trend, note: &str| (Some(trend), note.to_owned());
        assert_eq!(of(104.0, 100.0), told(Trend::Flat, "stable"));
        assert_eq!(of(140.0, 100.0), told(Trend::Up, "+40% (before 100)"));
        assert_eq!(of(50.0, 100.0), told(Trend::Down, "-50% (before 100)"));
        assert_eq!(of(1000.0, 2.0), told(Trend::Up, "×500 (before 2)"));
        assert_eq!(of(0.0, 0.0), told(Trend::Flat, "stable"));
        assert_eq!(of(3.0, 0.0), told(Trend::Up, "before 0"));
        assert_eq!(compared(1.0, None, |value| format!("{value}")), (None, String::new()));
    }
}
