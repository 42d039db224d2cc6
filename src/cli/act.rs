//! What people do from a terminal: commands to a watch, pause and unpause. Nothing is
//! decided here; the daemon's API does it.

use std::io::Write;
use std::process::ExitCode;

use clap::Args;
use serde::Deserialize;
use serde_json::json;

use super::client::Server;
use super::watches::{line, pause_in_words};
use crate::engine::{Foreseen, Pause, PauseTurn, Paused};
use crate::web::WatchView;

/// A daemon, and why it is asked to act.
#[derive(Debug, Clone, Args)]
pub struct Act {
    /// Why: it is kept with your name
    #[arg(long)]
    reason: Option<String>,
    #[command(flatten)]
    server: Server,
}

pub fn press(
    act: &Act,
    watch: &str,
    command: &str,
    out: &mut impl Write,
) -> anyhow::Result<ExitCode> {
    let path = ["api", "v1", "watches", watch, command];
    let view: WatchView = act.server.post(&path, &json!({ "reason": act.reason }))?;
    writeln!(out, "{}", line(&view))?;
    Ok(ExitCode::SUCCESS)
}

/// A length of time as the API takes it.
pub fn span(text: &str) -> Result<String, String> {
    match text.parse::<jiff::SignedDuration>() {
        Ok(span) if span > jiff::SignedDuration::ZERO => Ok(text.to_owned()),
        Ok(_) | Err(_) => Err("write `10m` or `1h`".to_owned()),
    }
}

/// Stops the timer, and says until when.
pub fn hold(
    act: &Act,
    watch: &str,
    for_: Option<&str>,
    out: &mut impl Write,
) -> anyhow::Result<ExitCode> {
    let path = ["api", "v1", "watches", watch, "hold"];
    let mut body = json!({ "reason": act.reason });
    if let Some(for_) = for_ {
        body["for"] = json!(for_);
    }
    let view: WatchView = act.server.post(&path, &body)?;
    writeln!(out, "{}", line(&view))?;
    writeln!(out, "{}", held(&view))?;
    Ok(ExitCode::SUCCESS)
}

/// Until when it is held, and what that means for others.
fn held(view: &WatchView) -> String {
    let until = view.decision_due.map(|at| at.strftime(" until %Y-%m-%d %H:%M:%S UTC").to_string());
    format!(
        "held{}; that acknowledges it: nobody else is called meanwhile",
        until.unwrap_or_default()
    )
}

pub fn pause(act: &Act, scope: &str, out: &mut impl Write) -> anyhow::Result<ExitCode> {
    let body = json!({ "scope": scope, "reason": act.reason });
    let paused: Paused = act.server.post(&["api", "v1", "pause"], &body)?;
    if paused.already {
        let known = pause_in_words(&paused.pause);
        writeln!(out, "paused already: {known}. It stays so; that you asked is in its history")?;
        return Ok(ExitCode::SUCCESS);
    }
    let (scope, quoted) = (&paused.pause.scope, quoted(&paused.pause.scope));
    writeln!(
        out,
        "paused: {scope}. Nothing is rolled back by itself until `deployguard unpause --scope {quoted}`"
    )?;
    Ok(ExitCode::SUCCESS)
}

/// As a shell takes it for one word.
fn quoted(text: &str) -> String {
    let plain = |char: char| char.is_ascii_alphanumeric() || "-_./:=@%+,".contains(char);
    if !text.is_empty() && text.chars().all(plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

pub fn unpause(act: &Act, scope: &str, out: &mut impl Write) -> anyhow::Result<ExitCode> {
    #[derive(Deserialize)]
    struct Left {
        #[serde(default)]
        still_paused: Vec<Pause>,
    }
    let body = json!({ "scope": scope, "reason": act.reason });
    let left: Left = act.server.post(&["api", "v1", "unpause"], &body)?;
    writeln!(out, "no longer paused: {scope}")?;
    for pause in &left.still_paused {
        writeln!(out, "still paused: {}", pause_in_words(pause))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The pauses in force, and the latest turns of their history, newest first.
pub fn pauses(act: &Act, out: &mut impl Write) -> anyhow::Result<ExitCode> {
    let now: Vec<Pause> = act.server.get(&["api", "v1", "pause"])?;
    let history: Vec<PauseTurn> = act.server.get(&["api", "v1", "pause", "history"])?;
    if now.is_empty() {
        writeln!(out, "nothing is paused")?;
    }
    for pause in &now {
        writeln!(out, "paused: {}", pause_in_words(pause))?;
    }
    if !history.is_empty() {
        writeln!(out, "\nhistory (UTC)")?;
    }
    for PauseTurn { paused, pause } in &history {
        let what = if *paused { "paused" } else { "unpaused" };
        let why = pause.reason.as_deref().map(|why| format!(": {why}")).unwrap_or_default();
        let at = pause.at.strftime("%Y-%m-%d %H:%M:%S");
        writeln!(out, "  {at}  {what:<8}  {}, by {}{why}", pause.scope, pause.by)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Tells what a rollback would do. Fails where it would not be done, or that is not known.
pub fn foresee(act: &Act, watch: &str, out: &mut impl Write) -> anyhow::Result<ExitCode> {
    let seen: Foreseen = act.server.get(&["api", "v1", "watches", watch, "rollback"])?;
    let target = match (&seen.target, &seen.because) {
        (Some(target), Some(because)) => format!("{target} ({because})"),
        (Some(target), None) => target.clone(),
        (None, _) => "none".to_owned(),
    };
    writeln!(out, "back to       {target}")?;
    let no_call = if seen.unasked.is_some() { "a call not known yet" } else { "no call" };
    writeln!(out, "by            {}", seen.route.as_deref().unwrap_or(no_call))?;
    for what in &seen.not_restored {
        writeln!(out, "not restored  {what}")?;
    }
    for obstacle in &seen.obstacles {
        writeln!(out, "obstacle      {obstacle}")?;
    }
    if let Some(why) = &seen.unasked {
        writeln!(out, "not asked     {why}")?;
    }
    writeln!(out, "nothing was done")?;
    Ok(if seen.obstacles.is_empty() && seen.unasked.is_none() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hold_is_for_a_length_of_time() {
        assert_eq!(span("10m").unwrap(), "10m");
        for wrong in ["10", "0m", "-5m", "soon"] {
            assert!(span(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_is_printed_to_be_typed_is_one_word_of_a_shell() {
        for (text, word) in [
            ("environment:production", "environment:production"),
            ("*/shop/api-*", "'*/shop/api-*'"),
            ("a b", "'a b'"),
            ("it's", r"'it'\''s'"),
            ("", "''"),
        ] {
            assert_eq!(quoted(text), word);
        }
    }
}
