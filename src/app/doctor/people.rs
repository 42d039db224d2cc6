//! Slack: the token, the channels, and whom a page mentions.

use std::collections::{BTreeMap, BTreeSet};

use super::report::Report;
use crate::model::Recipient;
use crate::notify::slack::Probe;
use crate::policy::Glob;
use crate::policy_repo::Loaded;
use crate::settings::{OperatorSettings, Operators, Settings, SlackSettings};
use crate::triggers::slack::Door;

/// Scopes of the token, whether delivering needs it, and what for.
const SCOPES: [(&str, bool, &str); 4] = [
    ("chat:write", true, "posting"),
    ("files:write", false, "charts and incident reports in the thread"),
    ("channels:history", false, "finding a post whose answer was lost"),
    ("channels:read", false, "seeing here whether it is in a channel"),
];

pub(super) async fn examine(settings: &Settings, loaded: &Loaded, post: bool) -> Report {
    let mut report = Report::of("slack");
    let Some(slack) = &settings.slack else {
        report.warn("no slack in the settings", "what is said is only logged: give `slack`");
        return report;
    };
    let probe = match Probe::of(&slack.api_url, slack.token.expose()) {
        Ok(probe) => probe,
        Err(why) => {
            report.fail(&why, "see slack.api_url");
            return report;
        }
    };
    match probe.bot().await {
        Ok(bot) => {
            report.ok(&format!("{} in {}", bot.user, bot.team));
            scopes(bot.scopes.as_ref(), &mut report);
        }
        Err(why) => {
            let mend = if is_of_the_way(&why) {
                "see slack.api_url, and whether it can be reached from here"
            } else {
                "see slack.token: a bot token, xoxb-..."
            };
            report.fail(&why, mend);
            return report;
        }
    }
    let rules = loaded.set.iter().map(|written| &written.policy.notify);
    let rules: Vec<_> = rules.collect();
    let mut channels: BTreeMap<&String, &str> =
        settings.digest.iter().map(|digest| (&digest.slack, "digest.slack")).collect();
    let of_policies = rules.iter().filter_map(|rule| rule.slack_channel.as_ref());
    channels.extend(of_policies.map(|channel| (channel, "notify.slack.channel")));
    for (channel, key) in channels {
        examine_channel(&probe, (channel, key), post, &mut report).await;
    }
    let on_ladders: Vec<_> = rules.iter().flat_map(|rule| rule.called()).collect();
    let on_ladders = on_ladders.iter().filter_map(|who| match who {
        Recipient::Slack(id) => Some(id),
        Recipient::PagerDuty(_)
        | Recipient::Webhook(_)
        | Recipient::Email(_)
        | Recipient::GitHub(_) => None,
    });
    let paged: BTreeSet<&String> = rules.iter().flat_map(|rule| &rule.page).collect();
    let on_ladders: BTreeSet<&String> = on_ladders.filter(|id| !paged.contains(id)).collect();
    people(&probe, ("page", "notify.slack.page"), paged, &mut report).await;
    people(&probe, ("rung", "notify.escalate"), on_ladders, &mut report).await;
    let rules: Vec<_> = slack.operators.iter().map(OperatorSettings::rule).collect();
    let operators: BTreeSet<&String> = rules.iter().flat_map(|rule| &rule.who).collect();
    buttons(slack, &operators, &mut report);
    socket_mode(slack, &mut report).await;
    for group in operators.iter().filter(|id| id.starts_with('S')) {
        match probe.members(group).await {
            Ok(0) => report.warn(&format!("nobody is in {group}"), "let somebody be in the group"),
            Ok(1) => report.ok(&format!("operator {group} has one member")),
            Ok(count) => report.ok(&format!("operator {group} has {count} members")),
            Err(why) => {
                let mend = "add the scope usergroups:read: until then none of them may press";
                report.fail(&format!("who is in {group} can't be read: {why}"), mend);
            }
        }
    }
    people(&probe, ("operator", "slack.operators"), operators, &mut report).await;
    of_no_service(&rules, loaded, &mut report);
    report
}

/// Operators of services and environments that no policy guards: a slip of the pen, mostly.
fn of_no_service(rules: &[Operators], loaded: &Loaded, report: &mut Report) {
    let policies: Vec<_> = loaded.set.iter().map(|written| &written.policy).collect();
    for rule in rules {
        let who = rule.who.join(", ");
        for services in &rule.services {
            let all = policies.iter().map(|policy| &policy.matches.service);
            if !all.into_iter().any(|guarded| may_meet(services, guarded)) {
                let words =
                    format!("operator {who} is one of `{services}`, which no policy guards");
                report.warn(&words, "see `services` in slack.operators, and `match.service`");
            }
        }
        for environment in &rule.environments {
            if !policies.iter().any(|policy| policy.environment == *environment) {
                let words =
                    format!("operator {who} is one of `{environment}`, which no policy names");
                report.warn(&words, "see `environments` in slack.operators, and `environment`");
            }
        }
    }
}

/// Whether some service can be of both patterns; yes where that is not known.
fn may_meet(one: &str, other: &str) -> bool {
    match (Glob::parse(one), Glob::parse(other)) {
        (Ok(one), Ok(other)) => one.shared(&other).is_some(),
        (Err(_), _) | (_, Err(_)) => true,
    }
}

/// Whether the bot is in the channel, and with `post` whether it can post there.
/// `key`: where it is named.
async fn examine_channel(
    probe: &Probe,
    (channel, key): (&str, &str),
    post: bool,
    report: &mut Report,
) {
    match probe.channel(channel).await {
        Ok((true, name)) => report.ok(&format!("is in {channel} ({name})")),
        Ok((false, name)) => {
            report.fail(&format!("is not in {channel} ({name})"), "invite it to the channel");
        }
        Err(why) => report.fail(&format!("{channel}: {why}"), &to_post(&why, key)),
    }
    if post {
        match probe.post(channel).await {
            Ok(()) => report.ok(&format!("posted to {channel}, and deleted it")),
            Err(why) => report.fail(&format!("{channel}: {why}"), &to_post(&why, key)),
        }
    }
}

/// Whether no answer of Slack's came: what Slack says is a code.
fn is_of_the_way(why: &str) -> bool {
    why.split_once(": ").is_some_and(|(_, said)| said.contains(' '))
}

/// What lets the bot post.
fn to_post(why: &str, key: &str) -> String {
    match why.rsplit(": ").next() {
        Some("is_archived") => format!("unarchive the channel, or name another in {key}"),
        Some("not_in_channel") => "invite it to the channel".to_owned(),
        Some("channel_not_found") => {
            format!("see {key}; invite it, if the channel is a private one")
        }
        _ => "let it post there".to_owned(),
    }
}

/// Whether there are buttons, and why not.
fn buttons(slack: &SlackSettings, operators: &BTreeSet<&String>, report: &mut Report) {
    let ways = (&slack.signing_secret, &slack.app_token);
    match (ways, operators.is_empty()) {
        ((Some(_), _), false) => {
            report.ok("buttons: let the app's interactivity post to /slack/interactivity here");
        }
        ((None, Some(_)), false) => report.ok("buttons: what is pressed comes by Socket Mode"),
        ((Some(_), _) | (_, Some(_)), true) => {
            report.warn("no buttons: nobody may press", "give slack.operators");
        }
        ((None, None), false) => {
            let mend = "give slack.signing_secret or slack.app_token";
            report.warn("no buttons: there is no way in for a press", mend);
        }
        ((None, None), true) => {
            report
                .ok("no buttons: no slack.signing_secret, no slack.app_token, no slack.operators");
        }
    }
}

/// Whether a connection of Socket Mode can be had. It is closed after Slack's hello, because
/// only there Slack says whether Socket Mode is turned on.
async fn socket_mode(slack: &SlackSettings, report: &mut Report) {
    let Some(token) = &slack.app_token else { return };
    let door = match Door::new(&slack.api_url, token.expose()) {
        Ok(door) => door,
        Err(why) => return report.fail(&why, "see slack.api_url"),
    };
    match door.open().await {
        Ok(socket) => {
            socket.close().await;
            report.ok("Socket Mode connects (apps.connections.open)");
        }
        Err(shut) => {
            let mend = shut.mend().unwrap_or("see whether Slack can be reached from here");
            report.fail(&format!("Socket Mode: {shut}"), mend);
        }
    }
}

fn scopes(has: Option<&BTreeSet<String>>, report: &mut Report) {
    let Some(has) = has else {
        report.warn("Slack did not say the token's scopes", "nothing to mend with a stand-in");
        return;
    };
    for (scope, needed, what_for) in SCOPES {
        if has.contains(scope) {
            report.ok(&format!("scope {scope}"));
        } else if needed {
            report.fail(&format!("no scope {scope}, for {what_for}"), "add it to the app");
        } else {
            report.warn(&format!("no scope {scope}, for {what_for}"), "add it to the app");
        }
    }
}

/// Who is named somewhere as something: `(as, where)`.
async fn people(
    probe: &Probe,
    (role, place): (&str, &str),
    ids: BTreeSet<&String>,
    report: &mut Report,
) {
    let mend = format!("see {place}");
    let groups = if ids.iter().any(|id| id.starts_with('S')) {
        match probe.groups().await {
            Ok(groups) => Some(groups),
            Err(why) => {
                let mend = "see it here with scope usergroups:read";
                report.warn(&format!("groups can't be looked up: {why}"), mend);
                None
            }
        }
    } else {
        None
    };
    for id in ids {
        if id.starts_with('S') {
            match &groups {
                Some(groups) if groups.contains(id) => {
                    report.ok(&format!("{role} {id} is a group"));
                }
                Some(_) => report.fail(&format!("{role} {id} is no user group"), &mend),
                None => {}
            }
            continue;
        }
        match probe.user(id).await {
            Ok(true) => report.ok(&format!("{role} {id} is a person")),
            Ok(false) => report.fail(&format!("{role} {id} has left"), &mend),
            Err(why) if why.ends_with("missing_scope") => {
                let mend = "see it here with scope users:read";
                report.warn(&format!("{role} {id} can't be looked up: {why}"), mend);
            }
            Err(why) => report.fail(&format!("{role} {id}: {why}"), &mend),
        }
    }
}
