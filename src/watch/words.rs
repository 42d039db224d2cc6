//! What the guard says, in finished words. How it looks is the notifier's.

use jiff::Timestamp;

use super::{Actor, PreflightState, RollbackRun, RunStep, Said, Stage, Watch};
use crate::judge::{Baseline, CheckState, Judgement};
use crate::model::{
    Body, Card, CardCheck, IncidentStatus, Mode, Outcome, Reply, Severity, Tone, Verdict,
};
use crate::policy::{Check, OnTimeout};

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
        let shown = self.visible();
        if shown == self.card_shown {
            return;
        }
        self.card_shown = shown;
        let card = self.card();
        let notice = self.notice(now, Body::Card(card));
        said.notices.push(notice);
    }

    /// What a card shows, but for the values: they alone are no reason to edit.
    fn visible(&self) -> String {
        let verdicts: Vec<_> = self.checks.values().map(CheckState::verdict).collect();
        let status = self.incident.as_ref().map(|incident| (incident.status, incident.severity));
        let facts = (&self.deployment.facts, &self.ceiling, &self.pending);
        format!("{}|{verdicts:?}|{status:?}|{facts:?}", self.status_line())
    }

    /// Where the deployment stands, in one line.
    pub fn status_line(&self) -> String {
        match &self.stage {
            Stage::Announced { .. } => "announced; waiting for the roll-out".to_owned(),
            Stage::Starting => "rolling out; no new task in service yet".to_owned(),
            Stage::Watching => {
                let until = self.phase_ends_at().map(clock).unwrap_or_default();
                let phase = self.phase_name();
                let rolling = if self.is_rolling_out() { ", rolling out" } else { "" };
                match &self.incident {
                    Some(incident) if incident.resolved_at.is_none() => format!(
                        "{} incident since {}; {}",
                        incident.severity,
                        clock(incident.opened_at),
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

    fn next_step(&self) -> String {
        match &self.pending {
            Some(pending) => match (pending.until, pending.on_timeout) {
                (Some(until), OnTimeout::Rollback) => {
                    format!("rolls back at {} unless held", clock(until))
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

    fn tone(&self) -> Tone {
        match &self.stage {
            Stage::Ended { outcome, .. } => match outcome {
                Outcome::Passed | Outcome::RolledBack => Tone::Good,
                Outcome::RollbackFailed | Outcome::Breached => Tone::Bad,
                Outcome::Superseded | Outcome::Cancelled => Tone::Quiet,
                Outcome::Inconclusive => Tone::Warn,
            },
            Stage::RollingBack(run) => match run.step {
                RunStep::Recovering { .. } => Tone::Warn,
                RunStep::Acting { .. } | RunStep::Settling { .. } => Tone::Bad,
            },
            Stage::Watching if self.has_open_incident() => Tone::Bad,
            Stage::Watching | Stage::Starting | Stage::Announced { .. } => Tone::Quiet,
        }
    }

    fn card(&self) -> Card {
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
        ];
        let pinned = &self.pinned;
        let commit = match (&pinned.commit, pinned.dirty) {
            (Some(commit), false) => format!(" at {}", commit.get(..8).unwrap_or(commit)),
            (Some(commit), true) => format!(" at {}, edited", commit.get(..8).unwrap_or(commit)),
            (None, _) => ", not in git".to_owned(),
        };
        let mode = match &self.ceiling.because {
            Some(because) => format!("{} ({because})", self.ceiling.mode),
            None => self.ceiling.mode.to_string(),
        };
        Card {
            tone: self.tone(),
            title: self.title(),
            status: self.status_line(),
            about: about.into_iter().flatten().collect(),
            url: facts.url.clone(),
            checks: self.policy().checks.iter().map(|check| self.card_check(check)).collect(),
            footer: format!(
                "watch {} · policy {} ({}{commit}) · mode {mode}",
                self.id, pinned.policy.name, pinned.file
            ),
        }
    }

    fn card_check(&self, check: &Check) -> CardCheck {
        let state = self.checks.get(&check.name);
        let last = state.and_then(|state| state.last.as_ref());
        let value = match last {
            Some(Judgement { value: Some(value), .. }) => check.unit().show(*value),
            Some(judgement) => judgement.reason.clone(),
            None => "not measured yet".to_owned(),
        };
        let baseline = state.and_then(|state| baseline_in_words(check, &state.baseline));
        CardCheck {
            name: check.name.clone(),
            verdict: last.map_or(Verdict::NoData, |judgement| judgement.verdict),
            value,
            limits: limits_in_words(check),
            baseline,
        }
    }

    /// The checks in breach with value against limit against baseline, one line.
    pub(super) fn breach_in_words(&self) -> String {
        let lines = self.evidence();
        if lines.is_empty() { "a breach".to_owned() } else { lines.join("; ") }
    }

    /// What was measured when the incident was at its worst.
    fn evidence(&self) -> Vec<String> {
        self.incident.as_ref().map(|incident| incident.evidence.clone()).unwrap_or_default()
    }

    /// Value against limit against baseline, one line per check of the incident.
    pub(super) fn measured_evidence(&self) -> Vec<String> {
        let Some(incident) = &self.incident else { return Vec::new() };
        let interval = self.interval();
        incident
            .checks
            .iter()
            .filter_map(|name| {
                let (check, state) = (self.policy().check(name)?, self.checks.get(name)?);
                let last = state.last.as_ref()?;
                let before = baseline_in_words(check, &state.baseline)
                    .map(|before| format!("; {before}"))
                    .unwrap_or_default();
                let window = check.window(interval);
                let traffic = last
                    .traffic
                    .map(|events| format!("; {events:.0} events in {window:#}"))
                    .unwrap_or_default();
                Some(format!("{name} {}{before}{traffic}", last.reason))
            })
            .collect()
    }

    /// The incident in ShopFlow's six fields.
    fn template(&self, resolution: &str, eta: &str) -> Vec<(String, String)> {
        let Some(incident) = &self.incident else { return Vec::new() };
        let field = |name: &str, value: String| (name.to_owned(), value);
        vec![
            field("Status", incident.status.in_template().to_owned()),
            field("Severity", incident.severity.to_string()),
            field(
                "Impact",
                list(&incident.checks.iter().cloned().collect::<Vec<_>>()) + " outside the limits",
            ),
            field("Start Time", full(incident.opened_at)),
            field("Resolution", resolution.to_owned()),
            field("ETA", eta.to_owned()),
        ]
    }

    fn incident_reply(&self, tone: Tone, headline: String, resolution: &str, eta: &str) -> Reply {
        Reply {
            tone,
            headline,
            fields: self.template(resolution, eta),
            lines: self.evidence(),
            broadcast: self.is_sev1(),
            page: false,
        }
    }

    fn is_sev1(&self) -> bool {
        self.incident.as_ref().is_some_and(|incident| incident.severity == Severity::Sev1)
    }

    fn severity(&self) -> String {
        self.incident.as_ref().map_or("incident".to_owned(), |i| i.severity.to_string())
    }

    fn target_in_words(&self) -> String {
        match &self.preflight {
            PreflightState::Ready { target, because, .. } => {
                format!("{} ({because})", target.short())
            }
            PreflightState::Impossible { because } => format!("none: {because}"),
            PreflightState::Unknown => "not found yet".to_owned(),
        }
    }

    pub(super) fn say_rolling_back(&self, run: &RollbackRun) -> Reply {
        let who = match &run.by {
            Actor::Guard => "deployguard is rolling back".to_owned(),
            Actor::Person(name) => format!("{name} is rolling back"),
            Actor::Platform => "the platform is rolling back".to_owned(),
        };
        let target = format!("{} ({})", run.plan.target.short(), run.plan.target_because);
        let resolution = match &run.by {
            Actor::Guard => format!("{who} to {target}"),
            Actor::Person(_) | Actor::Platform => format!("{who} to {target}: {}", run.because),
        };
        let headline =
            format!("{}: {who} {} to {}", self.severity(), self.title(), run.plan.target.short());
        let mut reply = self.incident_reply(Tone::Bad, headline, &resolution, "not known");
        if reply.fields.is_empty() {
            reply.lines = vec![resolution];
        }
        reply
    }

    pub(super) fn say_undone_by_platform(&self, run: &RollbackRun) -> Reply {
        let headline = format!("{} is being undone: {}", self.title(), run.because);
        let lines = vec![format!(
            "{} is coming back; deployguard watches the recovery",
            run.plan.target.short()
        )];
        Reply { lines, ..self.plain(Tone::Warn, headline) }
    }

    pub(super) fn say_in_place(&self) -> Reply {
        let Stage::RollingBack(run) = &self.stage else {
            return self.plain(Tone::Warn, "the target is in place".to_owned());
        };
        let by = self.policy().rollback.recover_within;
        let headline = format!(
            "{} is back in place; checking that the numbers recover",
            run.plan.target.short()
        );
        let lines = vec![format!("people are paged if they have not within {by:#}")];
        Reply { lines, ..self.plain(Tone::Warn, headline) }
    }

    pub(super) fn say_recovered(&self, since: Timestamp) -> Reply {
        let target = match &self.stage {
            Stage::RollingBack(run) => run.plan.target.short().to_owned(),
            _ => "the target".to_owned(),
        };
        let headline =
            format!("Recovered: {} is healthy on {target}", self.deployment.service.name);
        let resolution =
            format!("{target} was back in place at {}; the numbers recovered", full(since));
        self.incident_reply(Tone::Good, headline, &resolution, "recovered")
    }

    pub(super) fn say_not_recovered(&self) -> Reply {
        let headline = match &self.stage {
            Stage::RollingBack(run) => match run.step {
                RunStep::Recovering { .. } => format!(
                    "The numbers have not recovered on {}: the deployment may not be the cause",
                    run.plan.target.short()
                ),
                RunStep::Acting { .. } | RunStep::Settling { .. } => {
                    format!("The platform has not put {} in place yet", run.plan.target.short())
                }
            },
            _ => "The numbers have not recovered".to_owned(),
        };
        let reply = self.incident_reply(Tone::Bad, headline, "a person has to look", "not known");
        Reply { page: true, ..reply }
    }

    pub(super) fn say_rollback_failed(&self, why: &str) -> Reply {
        let headline = format!("{} was NOT rolled back: {why}", self.title());
        let reply =
            self.incident_reply(Tone::Bad, headline, "a person has to act now", "not known");
        Reply { page: true, ..reply }
    }

    pub(super) fn say_mismatch(&self, mismatch: &str) -> Reply {
        let headline = "The rollback replaced something else than what was judged".to_owned();
        let lines = vec![mismatch.to_owned()];
        Reply { lines, page: true, ..self.plain(Tone::Bad, headline) }
    }

    pub(super) fn say_decision_due(&self) -> Reply {
        let Some(pending) = &self.pending else { return self.plain(Tone::Warn, String::new()) };
        let (eta, then) = match (pending.until, pending.on_timeout) {
            (Some(until), OnTimeout::Rollback) => (
                format!("decision due {}", full(until)),
                format!("unanswered, it is rolled back at {}", clock(until)),
            ),
            (Some(until), OnTimeout::Escalate) => (
                format!("decision due {}", full(until)),
                format!(
                    "unanswered, people are paged again at {}; nothing is rolled back by itself",
                    clock(until)
                ),
            ),
            (None, _) => ("not known".to_owned(), "nothing happens by itself".to_owned()),
        };
        let headline =
            format!("{}: roll {} back? A person has to decide", pending.severity, self.title());
        let resolution = format!("proposed: back to {}", self.target_in_words());
        let mut reply = self.incident_reply(Tone::Bad, headline, &resolution, &eta);
        reply.lines.push(format!("asked because {}", pending.because));
        reply.lines.push(then);
        reply.lines.push(format!("to roll back: deployguard rollback {}", self.id));
        reply.page = true;
        reply
    }

    pub(super) fn say_nobody_answered(&self) -> Reply {
        let headline = format!("{}: nobody has decided about {}", self.severity(), self.title());
        let reply = self.incident_reply(Tone::Bad, headline, "waiting for a person", "not known");
        Reply { page: true, ..reply }
    }

    pub(super) fn say_held(&self, by: &str, reason: &str) -> Reply {
        let until = self.pending.as_ref().and_then(|pending| pending.until);
        let until = until.map(full).unwrap_or_default();
        self.plain(Tone::Warn, format!("{by} holds the decision until {until}{reason}"))
    }

    pub(super) fn say_would(&self, what: &str) -> Reply {
        let headline = format!(
            "{}: {} is in breach; in mode auto it would have been {what}",
            self.severity(),
            self.title()
        );
        let because =
            self.ceiling.because.as_deref().map(|b| format!(" ({b})")).unwrap_or_default();
        let resolution =
            format!("none: mode observe{because}; target would be {}", self.target_in_words());
        self.incident_reply(Tone::Bad, headline, &resolution, "not known")
    }

    pub(super) fn say_noted(&self) -> Reply {
        let headline = format!("{}: {} is in breach", self.severity(), self.title());
        self.incident_reply(
            Tone::Warn,
            headline,
            "noted; the policy asks for no action",
            "not known",
        )
    }

    pub(super) fn say_cannot_roll_back(&self, because: &str) -> Reply {
        let headline = format!(
            "{}: {} is in breach and CANNOT be rolled back by itself",
            self.severity(),
            self.title()
        );
        let mut reply =
            self.incident_reply(Tone::Bad, headline, "a person has to act now", "not known");
        reply.lines.push(format!("no automatic rollback: {because}"));
        reply.page = true;
        reply
    }

    pub(super) fn say_resolved_by_itself(&self) -> Reply {
        let headline = format!("{} is back to normal by itself", self.title());
        self.incident_reply(Tone::Good, headline, "none needed", "recovered")
    }

    pub(super) fn say_missing_data(&self, names: &[String]) -> Reply {
        let lines = names
            .iter()
            .filter_map(|name| {
                let last = self.checks.get(name)?.last.as_ref()?;
                Some(format!("{name}: {} ({})", last.verdict.as_str(), last.reason))
            })
            .collect();
        let headline = format!("{}: {} can't be judged right now", self.title(), list(names));
        Reply { lines, ..self.plain(Tone::Warn, headline) }
    }

    pub(super) fn say_roll_out_failed(&self, reason: Option<String>) -> Reply {
        let headline = format!("ECS says that the roll-out of {} failed", self.title());
        let lines = reason.into_iter().collect();
        Reply { lines, page: true, ..self.plain(Tone::Bad, headline) }
    }

    pub(super) fn say_not_in_service(&self) -> Reply {
        let headline = format!("No task of {} has come into service yet", self.title());
        Reply { page: true, ..self.plain(Tone::Warn, headline) }
    }

    pub(super) fn say_no_target(&self) -> Reply {
        let headline = format!("{} could not be rolled back", self.title());
        let lines = vec![self.target_in_words()];
        Reply { lines, ..self.plain(Tone::Warn, headline) }
    }

    pub(super) fn say_ceiling(&self, lowered: bool) -> Reply {
        let because = self.ceiling.because.as_deref().map(|b| format!(": {b}")).unwrap_or_default();
        let way = if lowered { "lowered" } else { "raised" };
        self.plain(Tone::Warn, format!("The mode is {way} to {}{because}", self.ceiling.mode))
    }

    pub(super) fn say_ended_open(&self) -> Reply {
        let headline = format!("{}: {}", self.title(), self.status_line());
        let page = self.has_open_incident()
            && !matches!(self.outcome(), Some(Outcome::Superseded | Outcome::Cancelled));
        let resolution = "open when the watch ended";
        let reply = self.incident_reply(Tone::Warn, headline, resolution, "not known");
        Reply { page, broadcast: false, ..reply }
    }

    fn plain(&self, tone: Tone, headline: String) -> Reply {
        let broadcast = tone == Tone::Bad && self.is_sev1();
        Reply { tone, headline, fields: Vec::new(), lines: Vec::new(), broadcast, page: false }
    }

    /// What a `passed` rests on: every check that was measured only in part is named.
    pub(super) fn coverage_in_words(&self) -> String {
        let partly: Vec<String> = self
            .checks
            .iter()
            .filter(|(_, state)| state.measured < state.due)
            .map(|(name, state)| format!("{name} {:.0}%", state.coverage() * 100.0))
            .collect();
        match partly.as_slice() {
            [] => "every check was measured all the time".to_owned(),
            some => format!("measured in part: {}", some.join(", ")),
        }
    }

    /// How the incident stands, for the API.
    pub fn incident_status(&self) -> Option<IncidentStatus> {
        self.incident.as_ref().map(|incident| incident.status)
    }
}

fn limits_in_words(check: &Check) -> String {
    let normal = check.normal.iter().map(|bound| format!("normal {bound}"));
    let limits = check.breach.iter().map(|(severity, limit)| format!("{severity} {limit}"));
    normal.chain(limits).collect::<Vec<_>>().join(" · ")
}

fn baseline_in_words(check: &Check, baseline: &Baseline) -> Option<String> {
    match baseline {
        Baseline::NotAsked | Baseline::Pending => None,
        Baseline::Measured { value } => Some(format!("before: {}", check.unit().show(*value))),
        Baseline::Missing { because } => Some(format!("no baseline: {because}")),
    }
}

fn list(names: &[String]) -> String {
    match names {
        [] => String::new(),
        [one] => one.clone(),
        [head @ .., last] => format!("{} and {last}", head.join(", ")),
    }
}

/// "10:30 UTC", or with seconds where phases are short enough to need them.
fn clock(at: Timestamp) -> String {
    at.strftime("%H:%M:%S UTC").to_string()
}

fn full(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
}
