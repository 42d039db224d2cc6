//! From the raw structs to a policy, section by section.

use std::collections::BTreeMap;

use jiff::SignedDuration;

use super::amount::{Stretch, stretch};
use super::check::check;
use super::desk::Desk;
use super::gate::gate;
use super::notify::notify;
use super::origin::{Origin, bring, origin};
use super::phases::{known_good_after, moved_by, phases};
use super::raw::{
    ActionText, ActionsText, ActuatorText, MaintenanceText, PolicyFile, RollbackText,
};
use super::scalar::{ActionWord, At, LabelName, Scalar};
use super::services::services;
use crate::model::{Actuator, MaintenanceHooks, Severity};
use crate::policy::diagnostic::Mistake;
use crate::policy::{
    Action, Actions, Check, DatabaseRule, LabelNames, Match, OnTimeout, Phase, Policy,
    RollbackRule, UNSAID,
};

/// How long an `ask` waits that does not say so.
const ASK: SignedDuration = SignedDuration::from_mins(15);

/// The policy that `text` means. `None`: the report says why.
pub(super) fn policy(text: &PolicyFile, desk: &mut Desk) -> Option<Policy> {
    let before = desk.report.count();
    head(text, desk);
    let matches = matches(text, desk);
    let peers = services("peers", text.peers.as_ref(), text, desk);
    let depends_on = services("depends_on", text.depends_on.as_ref(), text, desk);
    let phases = phases(&text.phases, desk);
    let moved_by = moved_by(text, phases.as_deref().unwrap_or_default(), desk);
    let checks = checks(text, desk);
    let actions = actions(&text.actions, desk);
    let gate = gate(text, desk);
    let rollback = rollback(&text.rollback, phases.as_deref().unwrap_or_default(), desk);
    if let Some(phases) = &phases {
        within_watch(text, phases, desk);
    }
    if desk.report.count() > before || !desk.left_out.is_empty() {
        return None;
    }
    Some(Policy {
        name: text.policy.as_ref()?.value.clone(),
        environment: text.environment.as_ref()?.value.clone(),
        matches: matches?,
        mode: text.mode.as_ref()?.value,
        labels: labels(text),
        phases: phases?,
        moved_by,
        grace: text.grace.as_ref()?.value.0,
        checks,
        actions: actions?,
        no_data_notify_after: text.no_data.notify_after.as_ref()?.value.0,
        min_coverage: text.min_coverage.as_ref()?.value.0,
        low_traffic: text.low_traffic.as_ref()?.value,
        false_rollbacks: text.false_rollbacks.as_ref()?.value.0,
        peers,
        depends_on,
        rollback: rollback?,
        notify: notify(&text.notify, desk),
        gate: gate?,
    })
}

/// `version`, `policy` and `environment` must be there.
fn head(text: &PolicyFile, desk: &mut Desk) {
    let needed = [
        ("version", text.version.is_some(), "1"),
        ("policy", text.policy.is_some(), "NAME"),
        ("environment", text.environment.is_some(), "production"),
    ];
    for (key, there, example) in needed {
        if !there {
            let mistake = Mistake::new(format!("the policy has no `{key}`"));
            desk.missing(&[key], mistake.mend(format!("add `{key}: {example}`")));
        }
    }
}

fn matches(text: &PolicyFile, desk: &mut Desk) -> Option<Match> {
    let Some(matches) = &text.matches else {
        let mistake = Mistake::new("the policy guards nothing: it has no `match`")
            .mend("add `match: { cluster: NAME, service: NAME }`");
        desk.missing(&["match"], mistake);
        return None;
    };
    for (key, there) in
        [("cluster", matches.cluster.is_some()), ("service", matches.service.is_some())]
    {
        if !there {
            desk.missing(&["match", key], Mistake::new(format!("`match` has no `{key}`")));
        }
    }
    for given in [&matches.target, &matches.cluster, &matches.service].into_iter().flatten() {
        if given.value.0 == UNSAID {
            let mistake = Mistake::new(format!("`{UNSAID}` stands for a name that nobody gave"));
            desk.at(
                given.marker,
                mistake.mend("write the name, or a pattern such as `\"shop-*\"`"),
            );
        }
    }
    Some(Match {
        target: matches.target.as_ref().map(|target| target.value.0.clone()),
        cluster: matches.cluster.as_ref()?.value.0.clone(),
        service: matches.service.as_ref()?.value.0.clone(),
    })
}

fn labels(text: &PolicyFile) -> LabelNames {
    let name = |label: &Option<At<LabelName>>| label.as_ref().map(|label| label.value.0.clone());
    LabelNames {
        service: name(&text.labels.service),
        version: name(&text.labels.version),
        instance: name(&text.labels.instance),
    }
}

fn checks(text: &PolicyFile, desk: &mut Desk) -> Vec<Check> {
    let mut checks = Vec::new();
    let common = text.source.as_ref();
    let common = common.map_or(Origin::Prometheus, |text| origin(&["source"], text, desk));
    for name in desk.names("checks") {
        let marker = desk.key(&["checks", &name]);
        if let Err(mistake) = <String as Scalar>::parse(&name) {
            desk.at(marker, mistake);
        }
        if let Some(text) = text.checks.get(&name) {
            let read = check(&name, text, desk);
            checks.extend(read.map(|read| bring(read, text, &common, desk)));
        }
    }
    if text.checks.is_empty() {
        let mistake = Mistake::new("the policy measures nothing: it has no `checks`");
        desk.missing(&["checks"], mistake);
    }
    checks
}

fn actions(text: &ActionsText, desk: &mut Desk) -> Option<Actions> {
    let mut by_severity = BTreeMap::new();
    let texts =
        [(Severity::Sev1, &text.sev1), (Severity::Sev2, &text.sev2), (Severity::Sev3, &text.sev3)];
    for (severity, text) in texts {
        if let Some(text) = text {
            by_severity.insert(severity, action(severity, text, desk)?);
        }
    }
    let mut ask_after = None;
    for key in text.after.keys() {
        let marker = desk.key(&["actions", "after", key]);
        match stretch(key) {
            Err(mistake) => desk.at(marker, mistake),
            Ok(_) if ask_after.is_some() => {
                desk.at(marker, Mistake::new("`after` has one time, from which on is asked"));
            }
            Ok(time) => ask_after = Some(time),
        }
    }
    let hold = text.hold.as_ref()?;
    if hold.value.0.is_zero() {
        let mistake = Mistake::new("nobody can hold a decision for no time");
        desk.at(hold.marker, mistake.mend("write `15m`, or remove it: that is the default"));
    }
    let hold = hold.value.0;
    Some(Actions { by_severity, ask_after, hold })
}

fn action(severity: Severity, text: &ActionText, desk: &mut Desk) -> Option<Action> {
    match text {
        ActionText::Word(ActionWord::Rollback) => Some(Action::Rollback),
        ActionText::Word(ActionWord::Notify) => Some(Action::Notify),
        ActionText::Word(ActionWord::Ask) => {
            Some(Action::Ask { wait: ASK, on_timeout: OnTimeout::Escalate })
        }
        ActionText::Ask(text) => {
            let on_timeout = text.on_timeout.as_ref().map_or(OnTimeout::Escalate, |at| at.value);
            let Some(ask) = &text.ask else {
                let key = severity.to_string();
                let mistake = Mistake::new("the action does not say what it does");
                desk.missing(&["actions", &key], mistake.mend("write `{ ask: 15m }`"));
                return None;
            };
            if ask.value.0.is_zero() {
                desk.at(ask.marker, Mistake::new("nobody can answer within no time"));
            }
            Some(Action::Ask { wait: ask.value.0, on_timeout })
        }
    }
}

fn rollback(text: &RollbackText, phases: &[Phase], desk: &mut Desk) -> Option<RollbackRule> {
    let known_good_after = known_good_after(text.known_good_after.as_ref(), phases, desk);
    Some(RollbackRule {
        known_good_after: known_good_after?,
        max_age: text.max_age.as_ref()?.value.0,
        fallback: text.fallback.as_ref()?.value,
        unannounced: text.unannounced.as_ref()?.value,
        recover_within: text.recover_within.as_ref()?.value.0,
        cooldown: text.cooldown.as_ref()?.value.0,
        pin_digests: text.pin_digests.as_ref().is_some_and(|pin| pin.value),
        by: text.by.as_ref().and_then(|by| actuator(by, &["rollback", "by"], desk)),
        maintenance: text.maintenance.as_ref().and_then(|hooks| maintenance(hooks, desk)),
        database: DatabaseRule {
            scripts: text.database.scripts.iter().flatten().map(|at| at.value.0.clone()).collect(),
            decided_by: text.database.decided_by.as_ref().map(|at| at.value.0.clone()),
        },
    })
}

/// Exactly one of a command and a webhook.
fn actuator(text: &ActuatorText, path: &[&str], desk: &mut Desk) -> Option<Actuator> {
    match (&text.command, &text.webhook) {
        (Some(command), None) => Some(Actuator::Command(command.value.clone())),
        (None, Some(webhook)) => Some(Actuator::Webhook(webhook.value.clone())),
        (Some(_), Some(second)) => {
            desk.at(second.marker, Mistake::new("a command or a webhook, and not both"));
            None
        }
        (None, None) => {
            let mistake = Mistake::new("nothing says what is set off");
            desk.missing(path, mistake.mend("write `{ command: NAME }` or `{ webhook: NAME }`"));
            None
        }
    }
}

fn maintenance(text: &MaintenanceText, desk: &mut Desk) -> Option<MaintenanceHooks> {
    let mut hook = |text: &Option<ActuatorText>, key| {
        let path = ["rollback", "maintenance", key];
        actuator(text.as_ref().unwrap_or(&ActuatorText::default()), &path, desk)
    };
    let (on, off) = (hook(&text.on, "on"), hook(&text.off, "off"));
    Some(MaintenanceHooks { on: on?, off: off? })
}

/// What can't be longer than the watch itself.
fn within_watch(text: &PolicyFile, phases: &[Phase], desk: &mut Desk) {
    let Some(last) = phases.last() else { return };
    let end = last.until;
    let mut told = |stretch: &At<Stretch>, what: &str| {
        if stretch.value.0 >= end {
            let mistake = format!("{what} is not shorter than the watch ({end:#})");
            desk.at(stretch.marker, Mistake::new(mistake));
        }
    };
    if let Some(grace) = &text.grace {
        told(grace, "the grace");
    }
    for check in text.checks.values() {
        if let Some(window) = &check.window {
            told(window, "the window");
        }
        let breach = &check.breach;
        for limit in [&breach.sev1, &breach.sev2, &breach.sev3].into_iter().flatten() {
            if let Some(hold) = limit.value.hold {
                told(&At { value: Stretch(hold), marker: limit.marker }, "the limit's `for`");
            }
        }
    }
}
