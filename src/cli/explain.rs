//! `deployguard watches ID --explain`: the evidence of each check over time.

use std::io::{self, Write};
use std::process::ExitCode;

use jiff::Timestamp;

use super::client::Server;
use crate::judge::Role;
use crate::watch::{BaselineStory, CheckStory, ControlStory, Explanation, Moment};

/// Characters of evidence before the verdict's column begins.
const WIDTH: usize = 52;

pub fn run(server: &Server, id: &str, out: &mut impl Write) -> anyhow::Result<ExitCode> {
    let explained: Explanation = server.get(&["api", "v1", "watches", id, "explain"])?;
    told(&explained, out)?;
    Ok(ExitCode::SUCCESS)
}

fn told(explained: &Explanation, out: &mut impl Write) -> io::Result<()> {
    writeln!(out, "\nevidence (UTC)")?;
    for check in &explained.checks {
        of_check(check, out)?;
    }
    if explained.made_up > 0 {
        let ticks = explained.made_up;
        writeln!(out, "  {ticks} ticks were measured late: they are judged and not shown")?;
    }
    if let Some(why) = &explained.broke_off {
        writeln!(out, "  another version kept the rest of the journal ({why})")?;
    }
    Ok(())
}

fn of_check(check: &CheckStory, out: &mut impl Write) -> io::Result<()> {
    let limits =
        if check.limits.is_empty() { String::new() } else { format!("  {}", check.limits) };
    writeln!(out, "  {}{limits}", check.name)?;
    for baseline in &check.baselines {
        writeln!(out, "    {}", of_baseline(baseline))?;
    }
    if let Some(passed) = &check.passed_before {
        writeln!(out, "    {passed}")?;
    }
    for control in &check.controls {
        writeln!(out, "    {}", of_control(control))?;
    }
    let null = check.moments.iter().rev().find_map(|moment| moment.evidence.as_ref());
    if let Some(null) = null {
        writeln!(out, "    nothing has changed at {}", null.null_in_words)?;
    }
    for moment in &check.moments {
        writeln!(out, "    {}", of_moment(moment))?;
    }
    let left_out = check.samples.saturating_sub(check.moments.len());
    match (check.samples, left_out) {
        (0, _) => writeln!(out, "    not measured yet"),
        (_, 0) => Ok(()),
        (all, left) => writeln!(out, "    {left} of {all} samples said nothing new"),
    }
}

fn of_moment(moment: &Moment) -> String {
    let severity = moment.severity.map(|severity| format!(" {severity}")).unwrap_or_default();
    let value = moment.shown.clone().unwrap_or_else(|| "-".to_owned());
    let (evidence, since) = match &moment.evidence {
        None => ("-", String::new()),
        Some(one) => {
            let since = one.since.filter(|_| one.ln_e > 0.0);
            let since = since.map(|since| format!(", since {}", clock(since)));
            (one.in_words.as_str(), since.unwrap_or_default())
        }
    };
    let verdict = format!("{}{severity}{since}", moment.verdict.as_str());
    let why = match (&moment.not_ours, moment.verdict.is_measured()) {
        (Some(why), _) => format!("  ({why})"),
        (None, false) => format!("  ({})", moment.reason),
        (None, true) => String::new(),
    };
    format!("{}  {value:>9}  {evidence:<WIDTH$}  {verdict}{why}", day(moment.at))
}

fn of_baseline(one: &BaselineStory) -> String {
    let shown = match (&one.shown, &one.missing) {
        (Some(shown), _) => format!("{shown} in {} samples", one.samples),
        (None, missing) => format!("not used: {}", missing.as_deref().unwrap_or("not measured")),
    };
    let began = one.began.map(|began| format!(", worse since {}", day(began)));
    let left_out = one.left_out.as_ref().map(|left_out| format!(", {left_out}"));
    let (began, left_out) = (began.unwrap_or_default(), left_out.unwrap_or_default());
    format!("{}: {shown}{left_out}{began}", one.name)
}

fn of_control(one: &ControlStory) -> String {
    let role = match one.role {
        Role::OldRevision => "",
        Role::Peer => " (not deployed)",
        Role::Dependency => " (needed)",
    };
    let usual = match (&one.usual, &one.missing) {
        (Some(usual), _) => format!("usually {usual}"),
        (None, missing) => format!("not used: {}", missing.as_deref().unwrap_or("not measured")),
    };
    let spells: Vec<String> = one
        .broken
        .iter()
        .map(|spell| {
            let until = spell.until.map(|until| format!(" until {}", clock(until)));
            format!("broken since {}{}", day(spell.since), until.unwrap_or_default())
        })
        .collect();
    let broken = if spells.is_empty() { "never broken".to_owned() } else { spells.join(", ") };
    format!("{}{role}: {usual}, {broken}", one.name)
}

fn day(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M:%S").to_string()
}

fn clock(at: Timestamp) -> String {
    at.strftime("%H:%M:%S").to_string()
}
