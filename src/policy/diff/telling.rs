//! Who hears of it.

use std::cmp::Ordering;

use super::Effect;
use super::sides::Told;
use crate::model::{Recipient, Revert, Severity};
use crate::policy::{NotifyRule, Rung};

pub(super) fn telling(old: &NotifyRule, new: &NotifyRule, told: &mut Told) {
    // The rungs are compared severity by severity.
    let NotifyRule { slack_channel, page, logs, escalate: _, tell, quiet: _, github } = old;
    told.changed("notify.logs", logs, new.logs, Ordering::Equal);
    let none = |channel: &Option<String>| channel.clone().unwrap_or_else(|| "none".to_owned());
    let heard = new.slack_channel.is_some().cmp(&slack_channel.is_some());
    told.changed("notify.slack.channel", none(slack_channel), none(&new.slack_channel), heard);
    for gone in page.iter().filter(|id| !new.page.contains(id)) {
        told.say(format!("a page mentions {gone} no longer"), Effect::Looser);
    }
    for come in new.page.iter().filter(|id| !page.contains(id)) {
        told.say(format!("a page mentions {come} too"), Effect::Stricter);
    }
    for severity in [Severity::Sev1, Severity::Sev2, Severity::Sev3] {
        let rungs = |rule: &NotifyRule| rule.escalate.get(&severity).cloned().unwrap_or_default();
        let (before, after) = (rungs(old), rungs(new));
        let more = after.len().cmp(&before.len());
        told.changed(&format!("notify.escalate.{severity}"), ladder(&before), ladder(&after), more);
    }
    for severity in [Severity::Sev1, Severity::Sev2, Severity::Sev3] {
        let hours = |rule: &NotifyRule| rule.quiet.get(&severity).map(ToString::to_string);
        let (before, after) = (hours(old), hours(new));
        let less = before.is_some().cmp(&after.is_some());
        told.changed(&format!("notify.quiet.{severity}"), none(&before), none(&after), less);
    }
    let more = new.tell.len().cmp(&tell.len());
    told.changed("notify.tell", names(tell), names(&new.tell), more);
    let (before, after) = (github, &new.github);
    let more = after.statuses.cmp(&before.statuses);
    told.changed("notify.github.statuses", before.statuses, after.statuses, more);
    let opened = |revert: Revert| match revert {
        Revert::Off => "off",
        Revert::Issue => "issue",
        Revert::PullRequest => "pull-request",
    };
    let (before, after) = (opened(before.revert), opened(after.revert));
    told.changed("notify.github.revert", before, after, Ordering::Equal);
}

fn ladder(rungs: &[Rung]) -> String {
    let words = rungs.iter().map(|rung| format!("{:#} {}", rung.after, names(&rung.call)));
    or_nobody(&words.collect::<Vec<_>>())
}

fn names(recipients: &[Recipient]) -> String {
    or_nobody(&recipients.iter().map(ToString::to_string).collect::<Vec<_>>())
}

fn or_nobody(words: &[String]) -> String {
    if words.is_empty() { "nobody".to_owned() } else { words.join(", ") }
}
