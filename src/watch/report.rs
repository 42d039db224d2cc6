//! The report of a watch, for people who were not there: what happened when, what it did,
//! who did what about it, and what to look at next. A pure function of the journal's
//! [`Story`], as Markdown; words from outside do nothing in it.

#![allow(
    clippy::format_collect,
    clippy::format_push_string,
    reason = "a report is small, and easier to read made of pieces"
)]

mod impact;
pub mod markdown;
mod next;
#[cfg(test)]
mod tests;

use jiff::Timestamp;

use super::words::list;
use super::{Actor, Answer, Command, Deed, PreflightState, Press, Story};
use crate::model::{Incident, Mode};
use impact::Harm;
use markdown::{link, path, plain, span, table, time};

/// Lines of the timeline: of more the first and the last.
const TIMELINE: (usize, usize) = (30, 50);
/// Rows of what was done; of more the last.
const MOST_DEEDS: usize = 60;

/// The report, as far as the story goes.
pub fn report(story: &Story) -> String {
    let harms = impact::harms(story);
    let watch = &story.watch;
    let mut sections = vec![
        format!("# Incident report: {}\n\n{}\n", plain(&watch.title()), summary(story)),
        section("What, where, when", &facts(story)),
        section("Impact", &impact::impact(story, &harms)),
    ];
    for incident in story.incidents.values() {
        let title = match story.incidents.len() {
            1 => "Times".to_owned(),
            _ => format!("Times of incident {}", incident.number),
        };
        sections.push(section(&title, &impact::times(story, incident, &harms)));
    }
    sections.extend([
        section("Evidence", &evidence(story, &harms)),
        section("What was decided and done, and by whom (UTC)", &deeds(story)),
        section("Timeline (UTC)", &timeline(story)),
        section("How it ended", &ending(story)),
        section("Charts", &charts(&harms)),
        section("What to look at next", &next::next(story, &harms)),
    ]);
    sections.retain(|section| !section.is_empty());
    sections.join("\n")
}

fn section(title: &str, body: &str) -> String {
    let body = body.trim_matches('\n');
    if body.is_empty() { String::new() } else { format!("## {title}\n\n{body}\n") }
}

fn worst(story: &Story) -> Option<&Incident> {
    story.incidents.values().min_by_key(|incident| incident.severity)
}

fn summary(story: &Story) -> String {
    let status = plain(&story.watch.status_line());
    let Some(incident) = worst(story) else {
        return format!("No incident. {status}.");
    };
    let checks: Vec<String> = incident.checks.iter().cloned().collect();
    let ours = match &incident.excused {
        Some(why) => format!(" Not this deployment's doing: {}.", plain(why)),
        None => String::new(),
    };
    let many = match story.incidents.len() {
        1 => String::new(),
        count => format!(" {count} incidents of this deployment are told here."),
    };
    format!(
        "{}: {} outside the limits. {status}.{ours}{many}",
        incident.severity,
        plain(&list(&checks))
    )
}

fn facts(story: &Story) -> String {
    let watch = &story.watch;
    let deployment = &watch.deployment;
    let said = &deployment.facts;
    let mut rows = Vec::new();
    let mut row = |what: &str, value: Option<String>| {
        rows.extend(value.map(|value| vec![what.to_owned(), value]));
    };
    let text = |text: &Option<String>| text.as_deref().map(plain);
    row(
        "service",
        Some(format!(
            "{} in {} ({})",
            plain(&deployment.service.name),
            plain(&deployment.service.environment),
            plain(&deployment.service.key.to_string())
        )),
    );
    row("deployment", Some(plain(&deployment.id)));
    row("version", Some(plain(&watch.version())));
    row(
        "revision",
        deployment.revision.as_ref().map(|to| match &deployment.source {
            Some(from) => format!("{}, before it {}", plain(to.short()), plain(from.short())),
            None => plain(to.short()),
        }),
    );
    row("commit", text(&said.commit));
    row("author", text(&said.author));
    row("announced by", text(&said.announced_by));
    row("link", said.url.as_deref().map(link));
    row("roll-out began", Some(time(deployment.started_at)));
    row("in service", watch.in_service_at.map(time));
    row("severity", worst(story).map(|incident| incident.severity.to_string()));
    for incident in story.incidents.values() {
        let over = match incident.resolved_at {
            Some(at) => format!("{} to {}", time(incident.opened_at), time(at)),
            None => format!("{}, not resolved", time(incident.opened_at)),
        };
        row("incident", Some(over));
    }
    let mode = match &watch.ceiling.because {
        Some(because) => format!("{} ({})", watch.ceiling.mode, plain(because)),
        None => watch.ceiling.mode.to_string(),
    };
    row("mode", Some(mode));
    let pinned = &watch.pinned;
    let commit = match (&pinned.commit, pinned.dirty) {
        (Some(commit), false) => format!("commit {}", plain(commit)),
        (Some(commit), true) => {
            format!("commit {}, with changes that are not in it", plain(commit))
        }
        (None, _) => "not in git".to_owned(),
    };
    let policy = format!("{}, {}, {commit}", plain(&pinned.policy.name), plain(&pinned.file));
    row("policy", Some(policy));
    row("watch", Some(plain(watch.id.as_str())));
    table(&["what", "(times in UTC)"], &rows)
}

fn evidence(story: &Story, harms: &[Harm<'_>]) -> String {
    let mut said = impact::evidence(harms, story);
    for incident in story.incidents.values() {
        let lines: String =
            incident.evidence.iter().map(|line| format!("- {}\n", plain(line))).collect();
        if !lines.is_empty() {
            let at = time(incident.opened_at);
            said += &format!("\nAs it was told of the incident of {at}:\n\n{lines}");
        }
    }
    said
}

fn deeds(story: &Story) -> String {
    let mut rows: Vec<(Timestamp, Vec<String>)> = Vec::new();
    for decided in &story.watch.decided {
        let (what, would) = answer(decided.answer);
        let severity = decided.severity;
        let what = if decided.would {
            format!("{severity}: mode auto would have {would}")
        } else {
            format!("{severity}: decided to {what}")
        };
        let why = decided.because.as_deref().map(plain).unwrap_or_default();
        rows.push((decided.at, vec![time(decided.at), "deployguard".to_owned(), what, why]));
    }
    let done = story.deeds.iter().filter_map(|(at, deed)| Some((*at, row(*at, deed)?)));
    rows.extend(done);
    // Stable: of one moment the decision stands before what came of it.
    rows.sort_by_key(|(at, _)| *at);
    let mut rows: Vec<Vec<String>> = rows.into_iter().map(|(_, row)| row).collect();
    rows.drain(..rows.len().saturating_sub(MOST_DEEDS));
    table(&["time", "who", "what", "why"], &rows)
}

/// What was decided, and what would have been done.
fn answer(answer: Answer) -> (&'static str, &'static str) {
    match answer {
        Answer::RollBack => ("roll back", "rolled back"),
        Answer::Ask => ("ask people", "asked people"),
        Answer::Page => ("page people: no rollback by itself", "paged people"),
        Answer::Note => ("note it", "noted it"),
        Answer::NotOurs => ("leave it alone: not this deployment's doing", "left it alone"),
    }
}

fn row(at: Timestamp, deed: &Deed) -> Option<Vec<String>> {
    let of =
        |who: &str, what: String, why: &str| Some(vec![time(at), plain(who), what, plain(why)]);
    match deed {
        // The timeline has them.
        Deed::Opened { .. } | Deed::Worse { .. } | Deed::Resolved { .. } => None,
        Deed::Asked { because } => of("deployguard", "asked people to decide".to_owned(), because),
        Deed::RollBack { by, because, target } => {
            let who = match by {
                Actor::Guard => "deployguard".to_owned(),
                Actor::Person(name) => name.clone(),
                Actor::Platform => "the platform, or somebody outside the guard".to_owned(),
            };
            of(&who, format!("began the rollback to {}", plain(target)), because)
        }
        Deed::Accepted { route } => of("the platform", format!("accepted it ({route})"), ""),
        Deed::InPlace { target } => {
            of("the platform", format!("has {} in place", plain(target)), "")
        }
        Deed::Withdrawn => of(
            "deployguard",
            "took the rollback back".to_owned(),
            "not carried out in time, or not to be done by itself",
        ),
        Deed::Failed { because } => of("the platform", "did NOT roll back".to_owned(), because),
        Deed::Pressed(press) => Some(pressed(at, press)),
        Deed::Ended(outcome) => {
            of("deployguard", format!("ended the watch: {}", outcome.as_str()), "")
        }
    }
}

fn pressed(at: Timestamp, press: &Press) -> Vec<String> {
    let what = match press.command {
        Command::Ack => "acknowledged",
        Command::Hold => "held the decision: a fix is on the way",
        Command::Resume => "let the decision's time go on",
        Command::Rollback => "pressed roll back",
        Command::Cancel => "cancelled the watch",
    };
    let why = press.reason.as_deref().map(plain).unwrap_or_default();
    vec![time(at), plain(&press.by), what.to_owned(), why]
}

fn timeline(story: &Story) -> String {
    let lines = &story.watch.timeline;
    let (head, tail) = TIMELINE;
    let line = |entry: &super::Entry| format!("- {} {}\n", time(entry.at), plain(&entry.text));
    if lines.len() <= head + tail {
        return lines.iter().map(line).collect();
    }
    let left_out = lines.len() - head - tail;
    let first: String = lines[..head].iter().map(line).collect();
    let last: String = lines[lines.len() - tail..].iter().map(line).collect();
    format!("{first}- … {left_out} lines between are left out; the journal has them\n{last}")
}

fn ending(story: &Story) -> String {
    let watch = &story.watch;
    let mut said = vec![plain(&watch.status_line())];
    if watch.is_open() {
        said.push(format!("The watch goes on; this tells it up to {} UTC", time(story.until)));
    } else {
        let lasted = span(watch.opened_at, story.until);
        said.push(format!("It was watched for {lasted}; {}", plain(&watch.coverage_in_words())));
    }
    if watch.has_open_incident() {
        let noted = watch.is_only_noted();
        said.push(if watch.needs_somebody() && !noted {
            "The incident is NOT resolved: a person has to see to it".to_owned()
        } else {
            format!("The incident is {}", plain(&watch.left_open_in_words(noted)))
        });
    }
    if watch.ceiling.mode == Mode::Observe && !story.incidents.is_empty() {
        said.push("The mode is observe: deployguard did nothing about it".to_owned());
    }
    if let PreflightState::Impossible { because } = &watch.preflight {
        said.push(format!("It could not have been rolled back: {}", plain(because)));
    }
    if let Some(why) = &story.broke_off {
        said.push(format!("Another version kept the rest of the journal ({})", plain(why)));
    }
    said.join(".\n") + ".\n"
}

/// Relative to the report's own address in the API.
fn charts(harms: &[Harm<'_>]) -> String {
    let image = |harm: &Harm<'_>| {
        let name = &harm.check.name;
        format!("![{} over time](chart/{}.svg)\n", plain(name), path(name))
    };
    harms.iter().map(image).collect::<Vec<_>>().join("\n")
}
