//! How a watch stands, in finished words: its line, its card, its evidence. What is
//! said in the thread is in `replies`; how it looks is the notifier's.

use jiff::{SignedDuration, Timestamp};

use super::{Pending, PreflightState, RunStep, Said, Stage, Watch};
use crate::judge::{Baseline, CheckState};
use crate::model::{
    About, Body, Command, Incident, IncidentStatus, Mode, Offer, Outcome, RollbackSafe, Severity,
    Tone, WatchId,
};
use crate::policy::{Check, OnTimeout, Unannounced};

impl Watch {
    /// "shopflow-api v1.5.0 in production".
    pub fn title(&self) -> String {
        let service = &self.deployment.service;
        format!("{} {} in {}", service.name, self.version(), service.environment)
    }

    /// The version as announced, or the revision.
    pub fn version(&self) -> String {
        match (&self.deployment.facts.version, &self.deployment.revision) {
            (Some(version), _) => version.clone(),
            (None, Some(revision)) => revision.short().to_owned(),
            (None, None) => self.deployment.id.clone(),
        }
    }

    /// Edits the deployment's message when what it shows has changed.
    pub(super) fn show_card(&mut self, now: Timestamp, said: &mut Said) {
        let offers = self.offers(now);
        let shown =
            format!("{}|{}|{:?}", self.visible(), self.requests().is_some(), offered(&offers));
        if shown == self.card_shown && !self.is_card_stale(now) {
            return;
        }
        (self.card_shown, self.card_shown_at) = (shown, Some(now));
        let card = self.card(offers);
        let notice = self.notice(now, Body::Card(card));
        said.notices.push(notice);
    }

    /// What a card shows, but for the values: they alone are no reason to edit at once.
    fn visible(&self) -> String {
        let verdicts: Vec<_> = self.checks.values().map(CheckState::verdict).collect();
        let status = self.incident.as_ref().map(|incident| (incident.status, incident.severity));
        let found = (&self.changes_in_words(), matches!(self.preflight, PreflightState::Unknown));
        let found = (found, self.joins_in_words(), self.lead_in_words());
        let facts = (&self.deployment.facts, &self.ceiling, &self.pending, found);
        format!("{}|{verdicts:?}|{status:?}|{facts:?}", self.status_line())
    }

    /// Where the deployment stands, in one line.
    pub fn status_line(&self) -> String {
        match &self.stage {
            Stage::Announced { .. } => "announced; waiting for the roll-out".to_owned(),
            Stage::Starting => format!("rolling out; no new {} in service yet", self.copy()),
            Stage::Watching => {
                let until = self.phase_ends_at().map(clock).unwrap_or_default();
                let phase = self.phase_name();
                let rolling = match (self.share(), self.awaited_weight()) {
                    (Some(share), Some(weight)) => {
                        format!(", {share} % of the traffic, waiting for {weight} %")
                    }
                    (Some(share), None) if share < 100 => format!(", {share} % of the traffic"),
                    (Some(_) | None, _) if self.is_rolling_out() => ", rolling out".to_owned(),
                    (Some(_) | None, _) => String::new(),
                };
                match &self.incident {
                    Some(incident) if incident.resolved_at.is_none() => format!(
                        "{} incident {}{}; {}",
                        incident.called_at(),
                        self.again_in_words()
                            .unwrap_or_else(|| format!("since {}", clock(incident.opened_at))),
                        seen_by(incident),
                        self.next_step()
                    ),
                    _ => format!("watching, {phase} phase until {until}{rolling}"),
                }
            }
            Stage::RollingBack(run) => {
                let target = run.plan.target.short();
                match &run.step {
                    RunStep::Acting { .. } => format!("rolling back to {target}"),
                    RunStep::Settling { .. } => format!("rolling back to {target}: under way"),
                    RunStep::Recovering { .. } => {
                        format!("{target} is back in place; waiting for the numbers to recover")
                    }
                }
            }
            Stage::Ended { outcome, because, .. } => match outcome {
                Outcome::Passed => format!("passed: {because}"),
                Outcome::RolledBack => format!("rolled back: {because}"),
                Outcome::RollbackFailed => format!("NOT rolled back: {because}"),
                Outcome::Breached => format!("breached, not rolled back: {because}"),
                Outcome::Superseded | Outcome::Cancelled => because.clone(),
                Outcome::Inconclusive => format!("inconclusive: {because}"),
            },
        }
    }

    pub(super) fn next_step(&self) -> String {
        if !self.is_in_breach() {
            let until = self.calm_until().map(|until| format!("; over at {}", clock(until)));
            return format!("back to normal{}", until.unwrap_or_default());
        }
        if let Some(hushed) = &self.hushed {
            return format!(
                "people are told at the end of the quiet hours, {}",
                clock(hushed.until)
            );
        }
        match &self.pending {
            Some(pending) => match (pending.until, self.unanswered(pending)) {
                (Some(until), OnTimeout::Rollback) => {
                    format!("rolls back at {}{}", clock(until), pending.unless_held())
                }
                (Some(until), OnTimeout::Escalate) => {
                    format!("a person decides; paged again at {}", clock(until))
                }
                (None, _) => "a person has to decide".to_owned(),
            },
            None if self.ceiling.mode == Mode::Observe => "observing only".to_owned(),
            None => "people have been told".to_owned(),
        }
    }

    /// What silence is answered with, as far as the mode lets it now.
    pub(super) fn unanswered(&self, pending: &Pending) -> OnTimeout {
        match self.ceiling.mode {
            Mode::Auto => pending.on_timeout,
            Mode::Ask | Mode::Observe => OnTimeout::Escalate,
        }
    }

    /// How it should strike whoever looks.
    pub fn tone(&self) -> Tone {
        match &self.stage {
            Stage::Ended { outcome, .. } => match outcome {
                Outcome::RolledBack if self.has_open_incident() => Tone::Warn,
                Outcome::Passed | Outcome::RolledBack => Tone::Good,
                Outcome::RollbackFailed | Outcome::Breached => Tone::Bad,
                Outcome::Superseded | Outcome::Cancelled => Tone::Quiet,
                Outcome::Inconclusive => Tone::Warn,
            },
            Stage::RollingBack(run) => match run.step {
                RunStep::Recovering { .. } => Tone::Warn,
                RunStep::Acting { .. } | RunStep::Settling { .. } => Tone::Bad,
            },
            Stage::Watching => match self.open_incident().map(|incident| incident.severity) {
                Some(Severity::Sev1 | Severity::Sev2) => Tone::Bad,
                Some(Severity::Sev3) => Tone::Warn,
                None => Tone::Quiet,
            },
            Stage::Starting | Stage::Announced { .. } => Tone::Quiet,
        }
    }

    /// That a rollback would wait for a person, because nobody said whether it is safe.
    pub(super) fn unannounced_in_words(&self) -> Option<String> {
        let unknown = self.deployment.facts.rollback_safe == RollbackSafe::Unknown;
        let asks = self.policy().rollback.unannounced == Unannounced::Ask;
        (unknown && asks && self.policy().mode == Mode::Auto && self.is_open())
            .then(|| "asks before a rollback: rollback_safe is not announced".to_owned())
    }

    /// What the deployment changed, as the pre-flight saw it.
    pub(super) fn changes_in_words(&self) -> Option<String> {
        let PreflightState::Ready { differences, .. } = &self.preflight else { return None };
        (!differences.is_empty()).then(|| format!("changes {}", differences.join("; ")))
    }

    /// The checks in breach with value against limit against baseline, one line.
    pub(super) fn breach_in_words(&self) -> String {
        let lines = self.evidence();
        if lines.is_empty() { "a breach".to_owned() } else { lines.join("; ") }
    }

    /// What was measured when the incident was at its worst.
    pub(super) fn evidence(&self) -> Vec<String> {
        self.incident.as_ref().map(|incident| incident.evidence.clone()).unwrap_or_default()
    }

    /// Value against limit against baseline, one line per check of the incident, the worst
    /// first: pagers show no more than that.
    pub(super) fn measured_evidence(&self) -> Vec<String> {
        let Some(incident) = &self.incident else { return Vec::new() };
        let interval = self.interval();
        let mut names: Vec<&String> = incident.checks.iter().collect();
        names.sort_by_key(|name| {
            let severity = self.checks.get(*name).and_then(|state| state.last.as_ref()?.severity);
            (severity.is_none(), severity)
        });
        names
            .into_iter()
            .filter_map(|name| {
                let (check, state) = (self.policy().check(name)?, self.checks.get(name)?);
                let last = state.last.as_ref()?;
                let before = baselines_in_words(check, state)
                    .map(|before| format!("; {before}"))
                    .unwrap_or_default();
                let window = check.window(interval);
                let traffic = last
                    .traffic
                    .map(|events| format!("; {events:.0} events in {window:#}"))
                    .unwrap_or_default();
                Some(format!("{name} {}{before}{traffic}", last.reason))
            })
            .chain(self.stops_in_words())
            .collect()
    }

    /// What a `passed` rests on: every check that was measured only in part is named.
    pub(super) fn coverage_in_words(&self) -> String {
        let partly: Vec<String> = self
            .checks
            .iter()
            .filter(|(name, state)| state.answered < state.due && !self.is_left_aside(name))
            .map(|(name, state)| format!("{name} {:.0}%", state.coverage() * 100.0))
            .collect();
        // The tasks are looked at beside the samples, and cover nothing.
        let of_tasks = |name: &str| self.policy().check(name).is_some_and(Check::is_of_tasks);
        let never = self
            .checks
            .iter()
            .filter(|(name, state)| state.due == 0 && !of_tasks(name) && !self.is_left_aside(name));
        let never: Vec<String> = never.map(|(name, _)| name.clone()).collect();
        let names = self.checks.keys().filter(|name| self.is_left_aside(name));
        let aside: Vec<String> = names.cloned().collect();
        let covered = match (partly.as_slice(), never.as_slice()) {
            ([], []) if aside.is_empty() => "every check was measured all the time".to_owned(),
            ([], []) => "every other check was measured all the time".to_owned(),
            ([], never) => format!("never due: {}; what was due was measured", list(never)),
            (partly, []) => format!("measured in part: {}", partly.join(", ")),
            (partly, never) => {
                format!("measured in part: {}; never due: {}", partly.join(", "), list(never))
            }
        };
        let covered = match aside.as_slice() {
            [] => covered,
            aside => format!("{covered}; optional and not measured: {}", list(aside)),
        };
        match self.never_enough_traffic().as_slice() {
            [] => covered,
            quiet => format!("{covered}; never enough traffic to tell: {}", list(quiet)),
        }
    }

    /// How the incident stands, for the API.
    pub fn incident_status(&self) -> Option<IncidentStatus> {
        self.incident.as_ref().map(|incident| incident.status)
    }
}

impl Pending {
    /// Whether its time can be put off, which it can be once.
    pub(super) fn unless_held(&self) -> &'static str {
        if self.held { "; held once already" } else { " unless held" }
    }
}

/// What is offered, but for the times, which pass.
fn offered(offers: &[Offer]) -> Vec<(Command, &str, About)> {
    let nobody = WatchId::typed("");
    let offers = offers.iter();
    offers.map(|one| (one.command, one.label.as_str(), About::of(&nobody, one))).collect()
}

/// ", acknowledged by dana".
fn seen_by(incident: &Incident) -> String {
    let acked = incident.acked.as_ref();
    acked.map(|acked| format!(", acknowledged by {}", acked.by)).unwrap_or_default()
}

/// "normal < 0.1% · SEV2 > 1%".
pub fn limits_in_words(check: &Check) -> String {
    let normal = check.normal.iter().map(|bound| format!("normal {bound}"));
    let limits = check.breach.iter().map(|(severity, limit)| format!("{severity} {limit}"));
    normal.chain(limits).collect::<Vec<_>>().join(" · ")
}

/// What each baseline says: "before: 0.1%; a week ago: 0.12%".
fn baselines_in_words(check: &Check, state: &CheckState) -> Option<String> {
    let said: Vec<String> = state
        .baselines
        .iter()
        .filter_map(|(against, baseline)| {
            let of = against.in_words();
            match baseline {
                Baseline::Pending => None,
                Baseline::Measured(reference) => {
                    let began =
                        reference.began.map(|began| format!(", worse since {}", clock(began)));
                    let value = check.show(reference.value);
                    let left_out = reference.left_out_in_words().map(|left| format!(" ({left})"));
                    let (began, left_out) =
                        (began.unwrap_or_default(), left_out.unwrap_or_default());
                    Some(format!("{of}: {value}{began}{left_out}"))
                }
                Baseline::Missing { because } => Some(format!("{of}: no baseline ({because})")),
            }
        })
        .chain(passed_before(state))
        .collect();
    (!said.is_empty()).then(|| said.join("; "))
}

/// What a change must outlast, where something has passed by itself before.
pub(super) fn passed_before(state: &CheckState) -> Option<String> {
    let longest = state.passed_before().longest();
    let longest = SignedDuration::try_from_secs_f64(longest).ok().filter(|one| !one.is_zero())?;
    Some(format!("bad spells of up to {longest:#} passed by themselves before"))
}

pub(super) fn list(names: &[String]) -> String {
    match names {
        [] => String::new(),
        [one] => one.clone(),
        [head @ .., last] => format!("{} and {last}", head.join(", ")),
    }
}

/// "10:30 UTC", or with seconds where phases are short enough to need them.
pub(super) fn clock(at: Timestamp) -> String {
    at.strftime("%H:%M:%S UTC").to_string()
}

pub(super) fn full(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
}
