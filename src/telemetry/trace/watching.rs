//! What a step has changed of a watch, as spans: read off its state before and after, as what
//! is wanted is. A tick is told only where a verdict changes: a watch of 24 hours has thousands.
//! People's names and what they wrote are not told: a collector is read by others.
//!
//! ```text
//! deployguard.watch                       told when it ends
//! |- POST /hooks/deployments              the hook; linked to the pipeline's own trace; one that
//! |                                       brings several services is told of each watch's
//! |  `- deployguard.join                  kept, and this watch's
//! |- deployguard.tick                     due until judged and kept
//! |  `- deployguard.decide                what follows from it
//! |     |- deployguard.permit             brakes, and the one permit
//! |     |- deployguard.roll_back          the call to the platform; one for each try
//! |     |- deployguard.settle             until the target is in place
//! |     `- deployguard.recover            until the numbers are back
//! `- deployguard.deliver                  a message to people; one for each try
//! ```

use jiff::Timestamp;
use opentelemetry::trace::SpanId;

use super::span::Span;
use super::{Traces, ids};
use crate::model::{Outcome, Verdict};
use crate::watch::{Actor, Answer, RollbackRun, RunStep, Stage, Watch};

impl Traces {
    /// A step that is kept has changed this watch. `before`: as it was; `None`: it is new.
    pub fn step(&self, before: Option<&Watch>, after: &Watch, now: Timestamp) {
        if self.are_on() {
            for span in spans(before, after, now) {
                self.tell(span);
            }
        }
    }
}

fn spans(before: Option<&Watch>, after: &Watch, now: Timestamp) -> Vec<Span> {
    let tick = tick(before, after, now);
    let parent = tick.as_ref().map(|tick| tick.id);
    let decision = decision(before, after, now, parent);
    let run = way_back(before, after, now);
    let whole = whole(before, after, now);
    [tick, decision].into_iter().flatten().chain(run).chain(whole).collect()
}

/// A sample that changed what is said of a check.
fn tick(before: Option<&Watch>, after: &Watch, now: Timestamp) -> Option<Span> {
    let at = after.last_tick?;
    if before.and_then(|before| before.last_tick) == Some(at) {
        return None;
    }
    let said = |verdict: Option<Verdict>| verdict.map_or("none", Verdict::as_str);
    let changes: Vec<String> = after
        .checks
        .iter()
        .filter_map(|(name, state)| {
            let known = before.and_then(|before| before.checks.get(name)?.verdict());
            let verdict = state.verdict();
            (known != verdict).then(|| format!("{name}: {} -> {}", said(known), said(verdict)))
        })
        .collect();
    let in_breach = |name: &&String| {
        after.checks.get(*name).is_some_and(|state| state.verdict() == Some(Verdict::Breach))
    };
    let breached: Vec<&str> = after.checks.keys().filter(in_breach).map(String::as_str).collect();
    let failed = format!("in breach: {}", breached.join(", "));
    let failed = (!breached.is_empty()).then_some(("breach", failed));
    let span = Span::of(&after.id, "deployguard.tick", (at, now));
    let span = span.with("deployguard.phase", after.phase_name());
    let span = span.with_list("deployguard.verdicts.changed", &changes).failing(failed);
    (!changes.is_empty()).then_some(span)
}

/// A rollback that begins, or what else was decided about a breach.
fn decision(
    before: Option<&Watch>,
    after: &Watch,
    now: Timestamp,
    tick: Option<SpanId>,
) -> Option<Span> {
    let parent = tick.unwrap_or_else(|| ids::root(&after.id));
    let known = |run: &RollbackRun| {
        let runs = before.map(|before| [running(before), before.withdrawn.as_deref()]);
        let runs = runs.into_iter().flatten().flatten();
        runs.into_iter().any(|known| known.plan.decided_at == run.plan.decided_at)
    };
    if let Some(run) = running(after).filter(|run| !known(run)) {
        let at = run.plan.decided_at;
        let (by, because) = match &run.by {
            Actor::Guard => ("guard", Some(run.because.as_str())),
            // Theirs is their name and what they wrote.
            Actor::Person(_) => ("person", None),
            Actor::Platform => ("platform", Some(run.because.as_str())),
        };
        let span = Span::of(&after.id, "deployguard.decide", (at, now)).below(parent);
        let span = Span { id: ids::decision(&after.id, at), ..span };
        let span = span.with("deployguard.decision", answer(Answer::RollBack));
        let span = span.with("deployguard.decision.by", by);
        let span = span.with_some("deployguard.decision.because", because);
        return Some(span.with("deployguard.rollback.target", run.plan.target.short()));
    }
    let last = after.decided.last()?;
    if before.and_then(|before| before.decided.last()) == Some(last) {
        return None;
    }
    let span = Span::of(&after.id, "deployguard.decide", (last.at, now)).below(parent);
    let span = span.with("deployguard.decision", answer(last.answer));
    let span = span.with_value("deployguard.decision.would", last.would);
    let span = span.with("deployguard.severity", &last.severity.to_string());
    Some(span.with_some("deployguard.decision.because", last.because.as_deref()))
}

fn answer(answer: Answer) -> &'static str {
    match answer {
        Answer::RollBack => "roll_back",
        Answer::Ask => "ask",
        Answer::Page => "page",
        Answer::Note => "note",
        Answer::NotOurs => "not_ours",
    }
}

/// What came to its end of a rollback: settling, and recovering after it.
fn way_back(before: Option<&Watch>, after: &Watch, now: Timestamp) -> Vec<Span> {
    let run = running(after).or_else(|| before.and_then(running));
    let (Some(run), Some(before)) = (run, before) else { return Vec::new() };
    let parent = ids::decision(&after.id, run.plan.decided_at);
    let span = |name: &'static str, when| {
        let span = Span::of(&after.id, name, when).below(parent);
        span.with("deployguard.rollback.target", run.plan.target.short())
    };
    let rolled_back = after.outcome() == Some(Outcome::RolledBack);
    let gave_up = || {
        let why = after.rollback_spent.clone();
        Some(("given_up", why.unwrap_or_else(|| "broken off".to_owned())))
    };
    let mut told = Vec::new();
    match (step_of(before), step_of(after)) {
        (Some(RunStep::Settling { since, .. }), Some(RunStep::Recovering { since: until, .. })) => {
            told.push(span("deployguard.settle", (*since, *until)));
        }
        // The target was seen in place before the answer to the call came.
        (Some(RunStep::Acting { .. }), Some(RunStep::Recovering { since, .. })) => {
            told.push(span("deployguard.settle", (*since, *since)));
        }
        (Some(RunStep::Settling { since, .. }), None) => {
            let failed = if rolled_back { None } else { gave_up() };
            told.push(span("deployguard.settle", (*since, now)).failing(failed));
        }
        (Some(RunStep::Recovering { since, .. }), None) => {
            let failed = if rolled_back { None } else { gave_up() };
            told.push(span("deployguard.recover", (*since, now)).failing(failed));
        }
        _ => {}
    }
    told
}

/// The watch, when it has ended.
fn whole(before: Option<&Watch>, after: &Watch, now: Timestamp) -> Option<Span> {
    let Stage::Ended { outcome, because, at } = &after.stage else { return None };
    // After its end only its messages change.
    if before.is_some_and(|before| !before.is_open()) {
        return None;
    }
    let deployment = &after.deployment;
    let bad = match outcome {
        Outcome::RolledBack | Outcome::RollbackFailed | Outcome::Breached => true,
        Outcome::Passed | Outcome::Superseded | Outcome::Cancelled | Outcome::Inconclusive => false,
    };
    let failed = bad.then(|| (outcome.as_str(), because.clone()));
    // Of a cancelled one it is who cancelled it, and what they wrote.
    let told = (*outcome != Outcome::Cancelled).then_some(because.as_str());
    let status = match outcome {
        Outcome::Passed => Some("succeeded"),
        _ if bad => Some("failed"),
        _ => None,
    };
    let when = (after.opened_at, (*at).max(after.opened_at).min(now));
    let span = Span::of(&after.id, "deployguard.watch", when);
    let span = Span { id: ids::root(&after.id), parent: None, ..span };
    let span = span
        .with("deployment.environment.name", &deployment.service.environment)
        .with("deployment.id", &deployment.id)
        .with_some("deployment.status", status)
        .with("deployguard.service.name", &deployment.service.name)
        .with("deployguard.service.place", &deployment.service.key.to_string())
        .with("deployguard.service.version", &after.version())
        .with("deployguard.policy", &after.policy().name)
        .with("deployguard.outcome", outcome.as_str())
        .with_some("deployguard.outcome.because", told);
    Some(span.failing(failed))
}

fn step_of(watch: &Watch) -> Option<&RunStep> {
    running(watch).map(|run| &run.step)
}

fn running(watch: &Watch) -> Option<&RollbackRun> {
    match &watch.stage {
        Stage::RollingBack(run) => Some(run),
        _ => None,
    }
}

#[cfg(test)]
#[path = "watching_tests.rs"]
mod tests;
