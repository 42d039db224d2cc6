//! What a change to the policies does, in words: `deployguard check --diff`.
//!
//! Every struct is taken apart by all its fields, so that a new one cannot be
//! forgotten here.

mod checks;
mod gating;
mod sides;
mod telling;

use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::fmt;

use jiff::SignedDuration;

use self::sides::{Told, optional, time};
use super::{
    Action, Actions, DatabaseRule, Fallback, Glob, LabelNames, LowTraffic, Match, MovedBy,
    OnTimeout, Phase, Policy, RollbackRule, Unannounced,
};
use crate::model::{Actuator, MaintenanceHooks, Mode, Severity};

/// One difference between two versions of a policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The policy's name, the later one where it was renamed.
    pub policy: String,
    /// The pattern of the services that it guards: `cluster/service`.
    pub guards: String,
    pub what: String,
    pub effect: Effect,
}

/// Which way a change goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// The guard may roll back without a person where it could not before.
    Unattended,
    /// More is a breach, or more is done about it.
    Stricter,
    /// Less is a breach, or less is done about it.
    Looser,
    /// Neither, or both at once.
    Other,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let effect = match self.effect {
            Effect::Unattended => ": LETS THE GUARD ACT UNATTENDED",
            Effect::Stricter => ": stricter",
            Effect::Looser => ": looser",
            Effect::Other => "",
        };
        write!(f, "{}{effect}", self.what)
    }
}

/// What happens to the services of `before` when `after` comes into force, policy
/// by policy, in the order of `after`; policies that are gone come last.
pub fn diff(before: &[&Policy], after: &[&Policy]) -> Vec<Change> {
    let named = |policies: &[&Policy], name: &str| policies.iter().any(|p| p.name == name);
    let mut taken = BTreeSet::new();
    let mut changes = Vec::new();
    for new in after {
        let old = before.iter().find(|old| old.name == new.name).or_else(|| {
            let renamed = |old: &&&Policy| old.matches == new.matches && !named(after, &old.name);
            before.iter().find(renamed)
        });
        let mut told = Told::about(new);
        match old {
            Some(old) => {
                taken.insert(old.name.as_str());
                changed(old, new, &mut told);
            }
            None => added(new, &mut told),
        }
        changes.extend(told.changes);
    }
    for old in before.iter().filter(|old| !taken.contains(old.name.as_str())) {
        let mut told = Told::about(old);
        let what = format!("removed (mode {}): it guards its services no longer", old.mode);
        told.say(what, Effect::Looser);
        changes.extend(told.changes);
    }
    changes
}

fn added(new: &Policy, told: &mut Told) {
    told.say(format!("added, mode {}", new.mode), Effect::Stricter);
    unattended(None, new, told);
    for check in &new.checks {
        told.say(checks::whole(check), Effect::Stricter);
    }
}

fn changed(old: &Policy, new: &Policy, told: &mut Told) {
    let Policy {
        name,
        environment,
        matches,
        mode,
        labels,
        phases,
        moved_by,
        grace,
        checks,
        actions,
        no_data_notify_after,
        min_coverage,
        low_traffic,
        false_rollbacks,
        peers,
        depends_on,
        rollback,
        notify,
        gate,
    } = old;
    told.neutral("name", name, &new.name);
    told.acting("mode", mode, new.mode, new.mode.cmp(mode));
    unattended(Some(old), new, told);
    told.neutral("environment", environment, &new.environment);
    matching(matches, &new.matches, told);
    label_names(labels, &new.labels, told);
    checks::changed(checks, &new.checks, told);
    acting(actions, &new.actions, told);
    phased(phases, &new.phases, told);
    let mover = |by: MovedBy| match by {
        MovedBy::Pipeline => "pipeline",
        MovedBy::Deployguard => "deployguard",
    };
    let by_guard = new.moved_by.cmp(moved_by);
    told.acting("canary.moved_by", mover(*moved_by), mover(new.moved_by), by_guard);
    told.looser_if_longer("grace", *grace, new.grace);
    told.looser_if_longer("no_data.notify_after", *no_data_notify_after, new.no_data_notify_after);
    let share = |share: f64| super::Unit::Ratio.show(share);
    told.changed(
        "min_coverage",
        share(*min_coverage),
        share(new.min_coverage),
        new.min_coverage.total_cmp(min_coverage),
    );
    let ends = |low: LowTraffic| match low {
        LowTraffic::Pass => "pass",
        LowTraffic::Inconclusive => "inconclusive",
    };
    told.neutral("low_traffic", ends(*low_traffic), ends(new.low_traffic));
    let odds = |chance: f64| format!("1 in {:.0}", 1.0 / chance);
    let bolder = new.false_rollbacks.total_cmp(false_rollbacks);
    told.acting("false_rollbacks", odds(*false_rollbacks), odds(new.false_rollbacks), bolder);
    let names =
        |names: &[String]| if names.is_empty() { "none".to_owned() } else { names.join(", ") };
    told.neutral("peers", names(peers), names(&new.peers));
    told.neutral("depends_on", names(depends_on), names(&new.depends_on));
    rolling_back(rollback, new, told);
    telling::telling(notify, &new.notify, told);
    gating::gating(gate, &new.gate, told);
}

/// Where the guard may roll back with no person asked: a check and its severity.
fn alone(policy: &Policy) -> BTreeSet<String> {
    let mut alone = BTreeSet::new();
    if policy.mode != Mode::Auto {
        return alone;
    }
    for check in &policy.checks {
        let severities = check.breach.keys().chain(check.baseline.iter().map(|b| &b.severity));
        for severity in severities.filter(|severity| acts(policy.actions.of(**severity))) {
            alone.insert(format!("{} ({severity})", check.name));
        }
    }
    alone
}

fn acts(action: Action) -> bool {
    match action {
        Action::Rollback | Action::Ask { on_timeout: OnTimeout::Rollback, .. } => true,
        Action::Ask { on_timeout: OnTimeout::Escalate, .. } | Action::Notify => false,
    }
}

fn unattended(old: Option<&Policy>, new: &Policy, told: &mut Told) {
    let (before, after) = (old.map(alone).unwrap_or_default(), alone(new));
    let list =
        |names: Vec<&String>| names.into_iter().map(String::as_str).collect::<Vec<_>>().join(", ");
    let more = list(after.difference(&before).collect());
    let less = list(before.difference(&after).collect());
    if !more.is_empty() {
        let until = new.actions.ask_after.map(|at| format!(" in the first {at:#}"));
        let which = match new.rollback.unannounced {
            Unannounced::Ask => "of deployments that are announced as safe to roll back",
            Unannounced::Rollback => "also of deployments of which nobody said that it is safe",
        };
        let until = until.unwrap_or_default();
        let what = format!("rolls back by itself on {more}{until}, {which}");
        told.say(what, Effect::Unattended);
    }
    if after.is_empty() && !before.is_empty() {
        told.say("rolls back nothing by itself any more".to_owned(), Effect::Looser);
    } else if !less.is_empty() {
        told.say(format!("no longer rolls back by itself on {less}"), Effect::Looser);
    }
}

fn matching(old: &Match, new: &Match, told: &mut Told) {
    let Match { target, cluster, service } = old;
    let any = |target: &Option<String>| target.clone().unwrap_or_else(|| "any".to_owned());
    let star = |target: &Option<String>| target.clone().unwrap_or_else(|| "*".to_owned());
    let more = wider(&star(target), &star(&new.target));
    told.changed("match.target", any(target), any(&new.target), more);
    told.changed("match.cluster", cluster, &new.cluster, wider(cluster, &new.cluster));
    told.changed("match.service", service, &new.service, wider(service, &new.service));
}

/// Whether the new pattern stands for more names; `Equal` where for others.
fn wider(old: &str, new: &str) -> Ordering {
    let (Ok(old), Ok(new)) = (Glob::parse(old), Glob::parse(new)) else { return Ordering::Equal };
    match (new.covers(&old), old.covers(&new)) {
        (Some(true), Some(false)) => Ordering::Greater,
        (Some(false), Some(true)) => Ordering::Less,
        (Some(_) | None, Some(_) | None) => Ordering::Equal,
    }
}

fn label_names(old: &LabelNames, new: &LabelNames, told: &mut Told) {
    let LabelNames { service, version, instance } = old;
    let none = |label: &Option<String>| label.clone().unwrap_or_else(|| "none".to_owned());
    told.neutral("labels.service", none(service), none(&new.service));
    told.neutral("labels.version", none(version), none(&new.version));
    told.neutral("labels.instance", none(instance), none(&new.instance));
}

fn acting(old: &Actions, new: &Actions, told: &mut Told) {
    let Actions { by_severity: _, ask_after, hold } = old;
    for severity in [Severity::Sev1, Severity::Sev2, Severity::Sev3] {
        let (before, after) = (old.of(severity), new.of(severity));
        let effect = weight(after).cmp(&weight(before));
        told.changed(&format!("{severity}"), words(before), words(after), effect);
    }
    let shown = |at: Option<SignedDuration>| optional(at, "never");
    let never = SignedDuration::MAX;
    let later = new.ask_after.unwrap_or(never).cmp(&ask_after.unwrap_or(never));
    told.acting("asks instead of acting after", shown(*ask_after), shown(new.ask_after), later);
    told.looser_if_longer("actions.hold", *hold, new.hold);
}

fn words(action: Action) -> String {
    match action {
        Action::Rollback => "rollback".to_owned(),
        Action::Notify => "notify".to_owned(),
        Action::Ask { wait, on_timeout: OnTimeout::Escalate } => {
            format!("ask for {wait:#}, then escalate")
        }
        Action::Ask { wait, on_timeout: OnTimeout::Rollback } => {
            format!("ask for {wait:#}, then rollback")
        }
    }
}

/// How much is done, and then how soon.
fn weight(action: Action) -> (u8, SignedDuration) {
    match action {
        Action::Notify => (0, SignedDuration::ZERO),
        Action::Ask { wait, on_timeout: OnTimeout::Escalate } => (1, -wait),
        Action::Ask { wait, on_timeout: OnTimeout::Rollback } => (2, -wait),
        Action::Rollback => (3, SignedDuration::ZERO),
    }
}

fn phased(old: &[Phase], new: &[Phase], told: &mut Told) {
    for Phase { name, until, interval, weight } in old {
        let Some(after) = new.iter().find(|phase| phase.name == *name) else {
            told.say(format!("phase {name}: removed (until {until:#})"), Effect::Other);
            continue;
        };
        let longer = after.until.cmp(until);
        told.changed(&format!("phase {name}: until"), time(*until), time(after.until), longer);
        told.looser_if_longer(&format!("phase {name}: interval"), *interval, after.interval);
        let share = |weight: Option<u8>| weight.map_or("none".to_owned(), |one| format!("{one}%"));
        let less = after.weight.cmp(weight);
        told.changed(&format!("phase {name}: weight"), share(*weight), share(after.weight), less);
    }
    for phase in new.iter().filter(|phase| old.iter().all(|old| old.name != phase.name)) {
        let Phase { name, until, interval, weight: _ } = phase;
        told.say(
            format!("phase {name}: added, until {until:#}, every {interval:#}"),
            Effect::Other,
        );
    }
    let end = |phases: &[Phase]| phases.last().map_or(SignedDuration::ZERO, |phase| phase.until);
    let (before, after) = (end(old), end(new));
    told.changed("watches for", time(before), time(after), after.cmp(&before));
}

fn rolling_back(old: &RollbackRule, policy: &Policy, told: &mut Told) {
    let RollbackRule {
        known_good_after,
        max_age,
        fallback,
        unannounced: unsaid,
        recover_within,
        cooldown,
        pin_digests,
        by,
        maintenance,
        database,
    } = old;
    let new = &policy.rollback;
    told.neutral("rollback.known_good_after", known_good_after, &new.known_good_after);
    told.acting("rollback.max_age", time(*max_age), time(new.max_age), new.max_age.cmp(max_age));
    let falls = |fallback: Fallback| match fallback {
        Fallback::Ask => (0, "ask"),
        Fallback::Previous => (1, "previous"),
    };
    let (before, after) = (falls(*fallback), falls(new.fallback));
    told.acting("rollback.fallback", before.1, after.1, after.0.cmp(&before.0));
    let unannounced = |rule: Unannounced| match rule {
        Unannounced::Ask => (0, "ask"),
        Unannounced::Rollback => (1, "rollback"),
    };
    let (before, after) = (unannounced(*unsaid), unannounced(new.unannounced));
    told.acting("rollback.unannounced", before.1, after.1, after.0.cmp(&before.0));
    told.looser_if_longer("rollback.recover_within", *recover_within, new.recover_within);
    told.acting(
        "rollback.cooldown",
        time(*cooldown),
        time(new.cooldown),
        cooldown.cmp(&new.cooldown),
    );
    let pins = (*pin_digests, new.pin_digests);
    told.acting("rollback.pin_digests", pins.0, pins.1, pins.1.cmp(&pins.0));
    let means = |by: &Option<Actuator>| {
        by.as_ref().map_or("the platform's own call".to_owned(), Actuator::to_string)
    };
    told.neutral("rollback.by", means(by), means(&new.by));
    let hooks = |hooks: &Option<MaintenanceHooks>| {
        let words = |hooks: &MaintenanceHooks| format!("{} and {}", hooks.on, hooks.off);
        hooks.as_ref().map_or("none".to_owned(), words)
    };
    told.neutral("rollback.maintenance", hooks(maintenance), hooks(&new.maintenance));
    let decider = |rule: &DatabaseRule| {
        rule.decided_by.as_ref().map_or_else(|| "nobody".to_owned(), ToString::to_string)
    };
    let scripts = |rule: &DatabaseRule| rule.scripts.join(", ");
    told.neutral("rollback.database.scripts", scripts(database), scripts(&new.database));
    told.neutral("rollback.database.decided_by", decider(database), decider(&new.database));
}

/// More of it is stricter.
impl From<Ordering> for Effect {
    fn from(more: Ordering) -> Self {
        match more {
            Ordering::Greater => Self::Stricter,
            Ordering::Less => Self::Looser,
            Ordering::Equal => Self::Other,
        }
    }
}
