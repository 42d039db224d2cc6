//! `deployguard watches`.

use std::io::Write;
use std::process::ExitCode;

use serde::Deserialize;

use super::client::Server;
use crate::engine::Pause;
use crate::model::Verdict;
use crate::watch::{LogExcerpt, PreflightState};
use crate::web::{CheckView, StopView, WatchDetail, WatchView};

#[derive(Debug, Deserialize)]
struct List {
    watches: Vec<WatchView>,
    /// Deployed in the clusters that are looked at, and not guarded.
    #[serde(default)]
    unguarded: Vec<String>,
    #[serde(default)]
    paused: Vec<Pause>,
}

pub fn list(server: &Server, out: &mut impl Write) -> anyhow::Result<ExitCode> {
    let list: List = server.get(&["api", "v1", "watches"])?;
    for pause in &list.paused {
        writeln!(out, "PAUSED {}", pause_in_words(pause))?;
    }
    let (open, ended): (Vec<_>, Vec<_>) =
        list.watches.iter().partition(|watch| watch.outcome.is_none());
    if open.is_empty() {
        writeln!(out, "no deployment is being watched")?;
    }
    for watch in open {
        writeln!(out, "{}", line(watch))?;
        let checks: Vec<String> = watch
            .checks
            .iter()
            .map(|check| format!("{} {} {}", sign(check.verdict), check.name, check.reason))
            .collect();
        writeln!(out, "    {}", checks.join("   "))?;
    }
    if !ended.is_empty() {
        writeln!(out, "\nended:")?;
    }
    for watch in ended {
        writeln!(out, "{}", line(watch))?;
    }
    if !list.unguarded.is_empty() {
        writeln!(out, "\ndeployed and not guarded:")?;
    }
    for service in &list.unguarded {
        writeln!(out, "{service}")?;
    }
    Ok(ExitCode::SUCCESS)
}

/// "all since 2026-11-21 15:00:00 UTC, by dana: why".
pub fn pause_in_words(pause: &Pause) -> String {
    let since = pause.at.strftime("%Y-%m-%d %H:%M:%S UTC");
    let why = pause.reason.as_deref().map(|why| format!(": {why}")).unwrap_or_default();
    format!("{} since {since}, by {}{why}", pause.scope, pause.by)
}

pub fn line(watch: &WatchView) -> String {
    format!(
        "{}  {} {} in {}  [{}]  {}",
        watch.id, watch.service, watch.version, watch.environment, watch.mode, watch.status
    )
}

pub fn sign(verdict: Option<Verdict>) -> &'static str {
    match verdict {
        None => "·",
        Some(Verdict::Healthy) => "✓",
        Some(Verdict::Elevated) => "▲",
        Some(Verdict::Breach) => "✗",
        Some(Verdict::LowTraffic | Verdict::NoData) => "?",
    }
}

pub fn show(server: &Server, id: &str, out: &mut impl Write) -> anyhow::Result<ExitCode> {
    let detail: WatchDetail = server.get(&["api", "v1", "watches", id])?;
    let watch = &detail.watch;
    writeln!(out, "{} {} in {}", watch.service, watch.version, watch.environment)?;
    writeln!(out, "  {}", watch.status)?;
    let because = watch.mode_because.as_deref().map(|b| format!(" ({b})")).unwrap_or_default();
    writeln!(out, "  mode      {}{because}", watch.mode)?;
    writeln!(out, "  place     {}", watch.place)?;
    if let Some(definition) = &detail.task_definition {
        let definition = short(definition);
        let was = detail.source_task_definition.as_deref().map_or("nothing", short);
        writeln!(out, "  revision  {definition}\n  was       {was}")?;
    }
    let target = match &detail.rollback {
        PreflightState::Unknown => "not looked for yet".to_owned(),
        PreflightState::Ready { target, because, .. } => format!("{} ({because})", target.short()),
        PreflightState::Impossible { because } => format!("none: {because}"),
    };
    writeln!(out, "  back to   {target}")?;
    let policy = &detail.policy;
    let at = standing(policy.commit.as_deref(), policy.dirty);
    writeln!(out, "  policy    {} ({}{at})", policy.name, policy.file)?;
    writeln!(out, "\nchecks")?;
    for check in &watch.checks {
        writeln!(out, "  {}", of_check(check))?;
    }
    evidence(&detail, out)?;
    writeln!(out, "\ntimeline (UTC)")?;
    for entry in &detail.timeline {
        writeln!(out, "  {}  {}", entry.at.strftime("%Y-%m-%d %H:%M:%S"), entry.text)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Where the policy's file stands in git, to be said after its name.
fn standing(commit: Option<&str>, dirty: bool) -> String {
    match (commit, dirty) {
        (Some(commit), true) => format!(" at {commit}, edited"),
        (Some(commit), false) => format!(" at {commit}"),
        (None, _) => ", not in git".to_owned(),
    }
}

/// What the incident rests on: the lines of its message, each task that came to harm, and
/// what one of them logged.
fn evidence(detail: &WatchDetail, out: &mut impl Write) -> std::io::Result<()> {
    for one in &detail.unlabelled {
        writeln!(out, "  {one}")?;
    }
    if let Some(incident) = &detail.watch.incident {
        writeln!(out, "\nevidence")?;
        incident.evidence.iter().try_for_each(|line| writeln!(out, "  {line}"))?;
    }
    if !detail.stops.is_empty() {
        writeln!(out, "\ntasks that came to harm (UTC)")?;
    }
    for StopView { stop, story } in &detail.stops {
        let at = stop.at.strftime("%Y-%m-%d %H:%M:%S");
        writeln!(out, "  {at}  {} of {}  {story}", stop.task, stop.definition)?;
        // Some stories are the platform's words already.
        if !stop.reason.is_empty() && !story.contains(&stop.reason) {
            writeln!(out, "      {}", stop.reason)?;
        }
    }
    match &detail.log {
        None => Ok(()),
        Some(LogExcerpt { task, unread: Some(why), .. }) => {
            writeln!(out, "\nthe log of task {task} could not be read: {why}")
        }
        Some(LogExcerpt { task, lines, .. }) if lines.is_empty() => {
            writeln!(out, "\ntask {task} logged nothing")
        }
        Some(LogExcerpt { task, lines, .. }) => {
            writeln!(out, "\nthe last lines of task {task}")?;
            lines.iter().try_for_each(|line| writeln!(out, "  | {}", line.escape_debug()))
        }
    }
}

fn of_check(check: &CheckView) -> String {
    let (sign, name) = (sign(check.verdict), &check.name);
    let Some(verdict) = check.verdict else {
        return format!("{sign} {name:<20} {}", check.reason);
    };
    let measured = match check.coverage {
        Some(share) => format!("measured {:.0}% of the time", share * 100.0),
        // Before the first task is in service nothing counts yet, though it is looked at.
        None => "nothing counts yet".to_owned(),
    };
    format!("{sign} {name:<20} {:<12} {}  ({measured})", verdict.as_str(), check.reason)
}

/// `arn:aws:ecs:...:task-definition/api:42` is `api:42`.
fn short(definition: &str) -> &str {
    definition.rsplit('/').next().unwrap_or(definition)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_outside_of_git_is_at_no_commit() {
        assert_eq!(standing(None, true), ", not in git");
        assert_eq!(standing(Some("4f1c2aa"), false), " at 4f1c2aa");
        assert_eq!(standing(Some("4f1c2aa"), true), " at 4f1c2aa, edited");
    }

    #[test]
    fn what_was_not_measured_yet_is_said_once() {
        let mut check = CheckView {
            name: "errors".to_owned(),
            reason: "not measured yet".to_owned(),
            ..CheckView::default()
        };
        assert_eq!(of_check(&check), "· errors               not measured yet");
        check.verdict = Some(Verdict::Healthy);
        check.reason = "0.1%".to_owned();
        let early = "✓ errors               healthy      0.1%  (nothing counts yet)";
        assert_eq!(of_check(&check), early);
        check.coverage = Some(1.0);
        let measured = "✓ errors               healthy      0.1%  (measured 100% of the time)";
        assert_eq!(of_check(&check), measured);
    }
}
