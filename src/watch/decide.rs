//! From a breach to what is done about it. One pure table.

use jiff::{SignedDuration, Timestamp};

use super::{Pending, PreflightState, Said, Stage, Watch};
use crate::model::{IncidentStatus, Mode, RollbackSafe, Severity};
use crate::policy::{Action, OnTimeout, Policy, Unannounced};

/// Everything that a decision rests on beside the policy.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Standpoint<'a> {
    pub severity: Severity,
    pub ceiling: Mode,
    pub preflight: &'a PreflightState,
    pub rollback_safe: RollbackSafe,
    /// Why the breach is not the deployment's doing; `None` where it is.
    pub excused: Option<Excuse<'a>>,
    /// Since the first new task in service.
    pub elapsed: SignedDuration,
}

/// A breach that is not the deployment's doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Excuse<'a> {
    pub because: &'a str,
    /// It breaks elsewhere too, and has for so long that people must decide: the new
    /// version may be what overloads the others.
    pub lasting: bool,
}

/// What follows from a breach.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    RollBack,
    /// People are asked. `wait: None`: silence is never answered.
    Ask {
        wait: Option<SignedDuration>,
        on_timeout: OnTimeout,
        because: String,
    },
    /// The mode is observe: nothing is done. What would have been is in
    /// [`super::Decided`].
    Would,
    Notify,
    /// It is not this deployment's doing: people are told, and nothing is done.
    NotOurs(String),
    /// A rollback is due and is not to be had by itself: people are paged.
    Page(String),
}

/// How long a breach that controls share is left alone before people are asked.
const SHARED_HOLD: SignedDuration = SignedDuration::from_mins(10);
/// How long people are asked for where a rollback became a question.
const ASK: SignedDuration = SignedDuration::from_mins(15);

/// Decides. The order is the order of what forbids most.
pub fn decide(policy: &Policy, at: &Standpoint<'_>) -> Decision {
    let action = policy.actions.of(at.severity);
    let (wait, on_timeout, because) = match action {
        Action::Notify => return Decision::Notify,
        Action::Ask { wait, on_timeout } => {
            (wait, on_timeout, format!("the policy asks at {}", at.severity))
        }
        Action::Rollback => (ASK, OnTimeout::Escalate, String::new()),
    };
    let automatic = action == Action::Rollback;
    if let Some(excuse) = at.excused.filter(|excuse| !excuse.lasting) {
        return Decision::NotOurs(excuse.because.to_owned());
    }
    if at.ceiling == Mode::Observe {
        return Decision::Would;
    }
    if let PreflightState::Impossible { because } = at.preflight {
        return Decision::Page(because.clone());
    }
    if at.rollback_safe == RollbackSafe::No {
        return Decision::Page(
            "the deployment was announced as not safe to roll back (rollback_safe: false)".into(),
        );
    }
    if at.ceiling == Mode::Ask {
        let because = if automatic { "the mode is ask".to_owned() } else { because };
        return Decision::Ask { wait: Some(wait), on_timeout: OnTimeout::Escalate, because };
    }
    match reason_to_ask(policy, at) {
        Some(because) => {
            Decision::Ask { wait: Some(wait), on_timeout: OnTimeout::Escalate, because }
        }
        None if automatic => Decision::RollBack,
        None => Decision::Ask { wait: Some(wait), on_timeout, because },
    }
}

/// Why nothing may be done unattended though the mode is auto.
fn reason_to_ask(policy: &Policy, at: &Standpoint<'_>) -> Option<String> {
    if let Some(excuse) = at.excused {
        return Some(format!("it has lasted though {}", excuse.because));
    }
    if at.rollback_safe == RollbackSafe::Unknown && policy.rollback.unannounced == Unannounced::Ask
    {
        return Some("nobody announced whether a rollback is safe (rollback_safe)".into());
    }
    if let Some(limit) = policy.actions.ask_after.filter(|limit| at.elapsed >= *limit) {
        return Some(format!("the deployment is older than {limit:#}: the policy asks then"));
    }
    match at.preflight {
        PreflightState::Ready { not_restored, .. } if !not_restored.is_empty() => {
            Some(format!("a rollback would not restore: {}", not_restored.join("; ")))
        }
        PreflightState::Unknown => Some("no rollback target has been found yet".into()),
        PreflightState::Ready { .. } | PreflightState::Impossible { .. } => None,
    }
}

impl Watch {
    pub(super) fn standpoint(&self, severity: Severity, now: Timestamp) -> Standpoint<'_> {
        Standpoint {
            severity,
            ceiling: self.ceiling.mode,
            preflight: &self.preflight,
            rollback_safe: self.deployment.facts.rollback_safe,
            excused: self.excuse(now),
            elapsed: self.in_service_at.map_or(SignedDuration::ZERO, |at| now.duration_since(at)),
        }
    }

    fn excuse(&self, now: Timestamp) -> Option<Excuse<'_>> {
        let incident = self.incident.as_ref().filter(|_| self.has_open_incident())?;
        let because = incident.excused.as_deref()?;
        let lasting = incident.shared && now.duration_since(incident.spell_began()) >= SHARED_HOLD;
        Some(Excuse { because, lasting })
    }

    /// Does what a breach of `severity` calls for.
    pub(super) fn respond(&mut self, severity: Severity, now: Timestamp, said: &mut Said) {
        let decision = match &self.rollback_spent {
            Some(why) => Decision::Page(why.clone()),
            None if self.rollback_accepted => {
                Decision::Page("it was rolled back already".to_owned())
            }
            None => decide(self.policy(), &self.standpoint(severity, now)),
        };
        self.record(&decision, severity, now);
        // In mode observe, and about what is not the deployment's doing, nobody is called.
        let calls = match decision {
            Decision::RollBack | Decision::Ask { .. } | Decision::Notify | Decision::Page(_) => {
                true
            }
            Decision::Would | Decision::NotOurs(_) => false,
        };
        let loud = match decision {
            Decision::RollBack | Decision::Ask { .. } | Decision::Page(_) => true,
            Decision::Would | Decision::NotOurs(_) | Decision::Notify => false,
        };
        let must_act = matches!(decision, Decision::Page(_));
        let hushed = self.hush(severity, loud, now);
        if must_act && !hushed {
            self.leave_lead();
        }
        let from = said.notices.len();
        let says = !hushed && self.is_worth_saying(severity);
        self.note(now, Self::decided_in_words(&decision, now));
        match decision {
            Decision::RollBack => {
                let because = self.breach_in_words();
                self.begin_rollback(super::Actor::Guard, because, now, said);
            }
            Decision::Ask { wait, on_timeout, because } => {
                self.ask(severity, wait, on_timeout, because, now, said);
            }
            Decision::Page(because) => {
                self.identify();
                if says {
                    let reply = self.say_cannot_roll_back(&because);
                    self.reply(now, reply, said);
                }
            }
            Decision::Would if says => {
                let reply = self.say_would();
                self.reply(now, reply, said);
            }
            Decision::NotOurs(because) if says => {
                let reply = self.say_not_ours(&because);
                self.reply(now, reply, said);
            }
            Decision::Notify if says => {
                let reply = self.say_noted();
                self.reply(now, reply, said);
            }
            Decision::Would | Decision::NotOurs(_) | Decision::Notify => {}
        }
        if let Some(lead) = self.lead().cloned().filter(|_| !hushed && self.is_led()) {
            said.call_nobody(from);
            self.reply_once(&format!("part of {}", lead.key()), now, |w| w.say_joined(&lead), said);
        }
        self.alarm(calls && !hushed, now, said);
        if says {
            self.show_breach(now, said);
        }
    }

    /// The step of the way from the breach to its end that this decision is.
    fn decided_in_words(decision: &Decision, now: Timestamp) -> String {
        match decision {
            Decision::RollBack => "decided: immediate rollback".to_owned(),
            Decision::Ask { wait, because, .. } => {
                let until = wait.and_then(|wait| now.checked_add(wait).ok());
                let until = until.map(|until| format!(" until {}", super::words::full(until)));
                let until = until.unwrap_or_default();
                format!("decided: evaluate the fix time, hotfix or rollback{until}, as {because}")
            }
            Decision::Would => "decided: nothing is done, the mode is observe".to_owned(),
            Decision::Notify => "decided: noted only".to_owned(),
            Decision::NotOurs(because) => format!("decided: nothing is done, as {because}"),
            Decision::Page(because) => format!("decided: a person has to act, as {because}"),
        }
    }

    /// Puts the question. Whether people who had acknowledged before are called anew.
    pub(super) fn ask(
        &mut self,
        severity: Severity,
        wait: Option<SignedDuration>,
        on_timeout: OnTimeout,
        because: String,
        now: Timestamp,
        said: &mut Said,
    ) -> bool {
        self.identify();
        let anew = self.forget_ack(now);
        let until = wait.and_then(|wait| now.checked_add(wait).ok());
        self.pending = Some(Pending {
            severity,
            asked_at: now,
            until,
            on_timeout,
            held: false,
            held_from: None,
            because,
            target: self.target().cloned(),
        });
        let reply = self.say_decision_due(now);
        self.reply(now, reply, said);
        if anew {
            self.call_due(now, said);
        }
        anew
    }

    /// Puts an open question once more where a rollback would now do something else than
    /// people were told.
    pub(super) fn ask_of_target(&mut self, now: Timestamp, said: &mut Said) {
        let target = self.target().cloned();
        let Some(pending) = self.pending.as_mut() else { return };
        let same = match (&pending.target, &target) {
            (Some(told), Some(found)) => told.name == found.name,
            (None, Some(_)) => false,
            // That there is none is said by itself.
            (_, None) => true,
        };
        if !same {
            pending.target = target;
            let reply = self.say_other_target(now);
            self.reply(now, reply, said);
        }
    }

    /// A person has to act on what people were told of otherwise. `asked`: on what they
    /// were asked about, and an acknowledgement of that is none of this.
    fn page_anew(&mut self, asked: bool, because: &str, now: Timestamp, said: &mut Said) {
        self.leave_lead();
        if asked {
            self.forget_ack(now);
        }
        let reply = self.say_cannot_roll_back(because);
        self.reply(now, reply, said);
        if self.escalation.is_some() {
            self.call_again(now, said);
        } else {
            self.alarm(true, now, said);
        }
    }

    pub(super) fn identify(&mut self) {
        if let Some(incident) = self.incident.as_mut() {
            incident.status = IncidentStatus::Identified;
        }
    }

    /// Silence is answered as the policy says; never with more than the mode
    /// allows, and never on old numbers.
    pub(super) fn answer_silence(&mut self, now: Timestamp, said: &mut Said) {
        let Some(pending) = self.pending.as_mut() else { return };
        let Some(until) = pending.until.filter(|until| now >= *until) else { return };
        pending.until = None;
        let (severity, asked_at) = (pending.severity, pending.asked_at);
        let announced = pending.on_timeout == OnTimeout::Rollback;
        // Decided again, as of when it was asked: what forbids a rollback may have
        // come up since.
        let decision = decide(self.policy(), &self.standpoint(severity, asked_at));
        let unattended = matches!(decision, Decision::Ask { on_timeout: OnTimeout::Rollback, .. });
        if announced && unattended && self.may_still_roll_back() && self.is_blamed_now(now) {
            let because = format!("nobody decided; {}", self.breach_in_words());
            self.begin_rollback(super::Actor::Guard, because, now, said);
        } else if announced {
            // Whoever acknowledged it counted on the rollback.
            self.forget_ack(now);
            let reply = self.say_not_rolled_back(until, &self.why_not(&decision));
            self.reply(now, reply, said);
            self.call_again(now, said);
        } else if !self.is_acknowledged() {
            let reply = self.say_nobody_answered(now);
            self.reply(now, reply, said);
            self.call_again(now, said);
        }
    }

    /// Why silence is not answered with the rollback that was announced.
    fn why_not(&self, decision: &Decision) -> String {
        match decision {
            Decision::Page(because) | Decision::NotOurs(because) => because.clone(),
            Decision::Ask { on_timeout: OnTimeout::Rollback, .. } | Decision::RollBack => {
                "no breach is measured now that is the deployment's doing".to_owned()
            }
            Decision::Ask { on_timeout: OnTimeout::Escalate, because, .. }
                if self.ceiling.mode == Mode::Auto =>
            {
                because.clone()
            }
            Decision::Ask { .. } | Decision::Would | Decision::Notify => {
                let because = self.ceiling.because.as_deref();
                let because = because.map(|why| format!(": {why}")).unwrap_or_default();
                format!("the mode is {}{because}", self.ceiling.mode)
            }
        }
    }

    /// Whether no rollback of the deployment has been accepted or given up.
    fn may_still_roll_back(&self) -> bool {
        matches!(self.stage, Stage::Watching)
            && self.rollback_spent.is_none()
            && !self.rollback_accepted
    }

    /// Decides again about an open breach when something that a decision rests on
    /// has changed: a target was found, the deployment was announced.
    pub(super) fn reconsider(&mut self, now: Timestamp, said: &mut Said) {
        let Some(incident) = self.incident.as_ref().filter(|_| self.has_open_incident()) else {
            return;
        };
        let severity = incident.severity;
        if !self.may_still_roll_back() || !self.breaches_now(now) {
            return;
        }
        let decision = decide(self.policy(), &self.standpoint(severity, now));
        // What may never be done by itself is heard at once, whoever sees to the question.
        if self.is_in_hands() && !matches!(decision, Decision::Page(_)) {
            return;
        }
        let is_news = self.record(&decision, severity, now);
        let from = said.notices.len();
        match decision {
            Decision::RollBack => {
                let because = self.breach_in_words();
                self.begin_rollback(super::Actor::Guard, because, now, said);
                self.alarm(true, now, said);
            }
            Decision::Page(because) => {
                let asked = self.pending.take().is_some();
                if asked || is_news {
                    self.page_anew(asked, &because, now, said);
                }
            }
            Decision::Ask { wait, on_timeout, because } if self.pending.is_none() => {
                self.ask(severity, wait, on_timeout, because, now, said);
                self.alarm(true, now, said);
            }
            Decision::Would if is_news && self.hushed.is_none() => {
                let reply = self.say_would();
                self.reply(now, reply, said);
            }
            Decision::Ask { .. } | Decision::Would | Decision::NotOurs(_) | Decision::Notify => {}
        }
        if self.is_led() {
            said.call_nobody(from);
        }
    }
}
