//! Who is told, as it is written, and what is easily overlooked there.

use std::collections::BTreeSet;

use marked_yaml::Marker;

use super::desk::Desk;
use super::raw::{ActionText, NotifyText, PolicyFile};
use super::scalar::{At, RungText};
use crate::model::{Mode, Recipient, Revert, Severity};
use crate::policy::diagnostic::{Mistake, Weight};
use crate::policy::{Action, GitHubRule, NotifyRule, Policy};

type Ladder<'a> = (Severity, &'a Option<Vec<At<RungText>>>);

fn ladders(text: &NotifyText) -> [Ladder<'_>; 3] {
    let escalate = &text.escalate;
    [
        (Severity::Sev1, &escalate.sev1),
        (Severity::Sev2, &escalate.sev2),
        (Severity::Sev3, &escalate.sev3),
    ]
}

pub(super) fn notify(text: &NotifyText, desk: &mut Desk) -> NotifyRule {
    let escalate = ladders(text).into_iter().filter_map(|(severity, rungs)| {
        let rungs = rungs.as_ref().filter(|rungs| !rungs.is_empty())?;
        for pair in rungs.windows(2) {
            if pair[1].value.0.after < pair[0].value.0.after {
                let mistake = Mistake::new("a rung comes before the one above it");
                desk.at(
                    pair[1].marker,
                    mistake.mend("order them by time, which counts from the incident's begin"),
                );
            }
        }
        Some((severity, rungs.iter().map(|rung| rung.value.0.clone()).collect()))
    });
    let escalate = escalate.collect();
    for (severity, hours) in [("SEV1", &text.quiet.sev1), ("SEV2", &text.quiet.sev2)] {
        if let Some(hours) = hours {
            let mistake = Mistake::new(format!("a {severity} is said at any hour"));
            desk.at(hours.marker, mistake.mend("quiet hours are for SEV3: `{ SEV3: ... }`"));
        }
    }
    let quiet = text.quiet.sev3.iter().map(|hours| (Severity::Sev3, hours.value.clone()));
    NotifyRule {
        quiet: quiet.collect(),
        escalate,
        tell: text.tell.iter().flatten().map(|told| told.value.0.clone()).collect(),
        slack_channel: text.slack.channel.as_ref().map(|channel| channel.value.0.clone()),
        logs: text.logs.as_ref().is_some_and(|logs| logs.value),
        page: text.slack.page.iter().flatten().map(|id| id.value.0.clone()).collect(),
        github: GitHubRule {
            statuses: text.github.statuses.as_ref().is_none_or(|statuses| statuses.value),
            revert: text.github.revert.as_ref().map_or(Revert::Off, |revert| revert.value),
        },
    }
}

/// Warns of what can't come to anybody, or comes twice.
pub(super) fn check(text: &PolicyFile, policy: &Policy, desk: &mut Desk) {
    let mut told = Vec::new();
    rungs(&text.notify, &mut told, desk);
    too_late(text, policy, &mut told);
    let page = text.notify.slack.page.iter().flatten();
    twice(page.map(|id| (id.value.0.clone(), id.marker)), &mut told);
    let tell = text.notify.tell.iter().flatten();
    twice(tell.map(|one| (one.value.0.to_string(), one.marker)), &mut told);
    let place = desk.key(&["notify", "slack", "page"]);
    told.extend(unheard(policy).map(|mistake| (place, mistake)));
    told.extend(unmentioned(policy).map(|mistake| (place, mistake)));
    for (marker, mistake) in told {
        // What ships with deployguard fits any policy: nobody chose it.
        let marker = if desk.report.is_built_in(marker) { desk.top } else { marker };
        desk.report.remark(Weight::Warning, marker, mistake);
    }
}

fn rungs(text: &NotifyText, told: &mut Vec<(Marker, Mistake)>, desk: &Desk) {
    for (severity, rungs) in ladders(text) {
        let Some(rungs) = rungs else { continue };
        if rungs.is_empty() {
            let key = desk.key(&["notify", "escalate", &severity.to_string()]);
            let mistake = Mistake::new(format!("`[]` calls nobody at {severity}"));
            told.push((key, mistake.mend(format!("write `{severity}: [0m S0ONCALL]`"))));
        }
        for pair in rungs.windows(2) {
            let (one, next) = (&pair[0].value.0, &pair[1].value.0);
            if one.after == next.after {
                let mistake = Mistake::new(format!("two rungs at {:#}", next.after));
                told.push((pair[1].marker, mistake.mend("name all of them in one: `5m A B`")));
            }
        }
        for rung in rungs {
            let names = rung.value.0.call.iter();
            twice(names.map(|who| (who.to_string(), rung.marker)), told);
        }
    }
}

fn twice(names: impl Iterator<Item = (String, Marker)>, told: &mut Vec<(Marker, Mistake)>) {
    let mut known = BTreeSet::new();
    for (name, marker) in names {
        let mistake = Mistake::new(format!("`{name}` is there twice"));
        if !known.insert(name) {
            told.push((marker, mistake.mend("remove one of the two")));
        }
    }
}

/// What would come after the watch's end.
fn too_late(text: &PolicyFile, policy: &Policy, told: &mut Vec<(Marker, Mistake)>) {
    let Some(end) = policy.phases.last().map(|phase| phase.until) else { return };
    for rung in ladders(&text.notify).into_iter().flat_map(|(_, rungs)| rungs.iter().flatten()) {
        let after = rung.value.0.after;
        if after >= end {
            let mistake = Mistake::new(format!(
                "nobody is called after {after:#}: the watch itself lasts {end:#}"
            ));
            told.push((rung.marker, mistake.mend("call them sooner")));
        }
    }
    let actions = &text.actions;
    let asks = [&actions.sev1, &actions.sev2, &actions.sev3].into_iter().flatten();
    let asks = asks.filter_map(|action| match action {
        ActionText::Ask(text) => text.ask.as_ref(),
        ActionText::Word(_) => None,
    });
    let asks = asks.map(|ask| (ask, "an answer is waited for"));
    for (stretch, what) in asks.chain(actions.hold.iter().map(|hold| (hold, "a hold may last"))) {
        let long = stretch.value.0;
        if long >= end && stretch.marker.source() != 0 {
            let words = format!("{what} {long:#}, and the watch itself lasts {end:#}");
            told.push((stretch.marker, Mistake::new(words).mend("write `15m` or so")));
        }
    }
}

/// People are to act, and nobody hears of it.
fn unheard(policy: &Policy) -> Option<Mistake> {
    let acts = acts(policy)?;
    let rule = &policy.notify;
    let called = rule.called();
    let elsewhere = called.iter().any(|who| !matches!(who, Recipient::Slack(_)));
    let Some(channel) = &rule.slack_channel else {
        return (!elsewhere).then(|| {
            Mistake::new(format!("{acts} and tells nobody: there is no `notify.slack.channel`"))
                .mend("write `notify: { slack: { channel: C0123ABC, page: [S0ONCALL] } }`")
        });
    };
    (rule.page.is_empty() && called.is_empty()).then(|| {
        Mistake::new(format!("{acts} and calls nobody: it is posted to {channel} alone"))
            .mend("name who is mentioned: `page: [S0ONCALL]` beside the channel, or `escalate`")
    })
}

/// "asks at SEV1 and SEV2": where people are to act, or are acted for; `None` if nothing is
/// done.
fn acts(policy: &Policy) -> Option<String> {
    let reached: BTreeSet<Severity> = policy.checks.iter().flat_map(severities).collect();
    let (mut asks, mut rolls_back) = (Vec::new(), Vec::new());
    for severity in reached {
        match (policy.mode, policy.actions.by_severity.get(&severity)) {
            (Mode::Observe, _) | (_, Some(Action::Notify) | None) => {}
            (Mode::Auto, Some(Action::Rollback)) => rolls_back.push(severity.to_string()),
            (Mode::Ask, Some(Action::Rollback))
            | (Mode::Ask | Mode::Auto, Some(Action::Ask { .. })) => {
                asks.push(severity.to_string());
            }
        }
    }
    let said: Vec<String> = [("rolls back", rolls_back), ("asks", asks)]
        .into_iter()
        .filter(|(_, severities)| !severities.is_empty())
        .map(|(what, severities)| format!("{what} at {}", severities.join(" and ")))
        .collect();
    (!said.is_empty()).then(|| said.join(", "))
}

fn severities(check: &crate::policy::Check) -> impl Iterator<Item = Severity> {
    let baseline = check.baseline.iter().map(|rule| rule.severity);
    let leak = check.leak.iter().map(|rule| rule.severity);
    check.breach.keys().copied().chain(baseline).chain(leak)
}

/// Whoever is in Slack is mentioned in the thread, and there is none.
fn unmentioned(policy: &Policy) -> Option<Mistake> {
    let rule = &policy.notify;
    let mut people: Vec<String> = rule.page.clone();
    people.extend(rule.called().iter().filter_map(|who| match who {
        Recipient::Slack(id) => Some(id.clone()),
        Recipient::PagerDuty(_)
        | Recipient::Webhook(_)
        | Recipient::Email(_)
        | Recipient::GitHub(_) => None,
    }));
    people.dedup();
    (rule.slack_channel.is_none() && !people.is_empty()).then(|| {
        Mistake::new(format!("{} can't be mentioned: there is no channel", people.join(", ")))
            .mend("give `slack: { channel: C0123ABC }` beside it")
    })
}
