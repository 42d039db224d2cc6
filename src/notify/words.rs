//! What the ways beside Slack have in common: short words for a turn, and bounds.

use super::slack::text::line;
use crate::model::{Signal, Turn};

/// The longest line that is sent of what was measured, and how many there are at most.
pub(super) const LINE: usize = 500;
pub(super) const LINES: usize = 40;

/// What has happened, in few words.
pub(super) fn turn(turn: &Turn) -> String {
    match turn {
        Turn::Opened => "incident opened".to_owned(),
        Turn::Called => "nobody has acknowledged yet".to_owned(),
        Turn::Acknowledged { by } => format!("acknowledged by {by}"),
        Turn::RolledBack { to, by } => format!("rolled back to {to} by {by}"),
        Turn::NeedsHelp => "a person is needed".to_owned(),
        Turn::Resolved => "over".to_owned(),
        Turn::Closed => "not resolved, and watched no longer".to_owned(),
    }
}

/// The incident template's fields, each in one bounded line.
pub(super) fn fields(signal: &Signal) -> Vec<(String, String)> {
    let fields = signal.fields.iter().take(LINES);
    fields.map(|(label, value)| (line(label, 80), line(value, LINE))).collect()
}

/// What was measured, one bounded line a check.
pub(super) fn evidence(signal: &Signal) -> Vec<String> {
    signal.evidence.iter().take(LINES).map(|text| line(text, LINE)).collect()
}

/// A link to the pipeline or release, where one was announced and it is one.
pub(super) fn link(signal: &Signal) -> Option<String> {
    let url = reqwest::Url::parse(signal.deployment.facts.url.as_deref()?).ok()?;
    let plain = url.username().is_empty() && url.password().is_none() && url.has_host();
    let web = matches!(url.scheme(), "https" | "http") && url.as_str().len() <= 2000;
    (plain && web).then(|| url.into())
}
