//! What the ways beside Slack have in common: short words for a turn, and bounds.

use super::slack::text::line;
use crate::model::{Signal, Turn};

/// The longest line that is sent of what was measured, and how many there are at most.
pub(super) const LINE: usize = 500;
pub(super) const LINES: usize = 40;

/// The deployment of a test.
pub const TEST: &str = "deployguard doctor";

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

/// What people type to acknowledge it: the watch's id is the incident's, without its number.
pub(super) fn watch(signal: &Signal) -> &str {
    signal.incident.rsplit_once('#').map_or(signal.incident.as_str(), |(watch, _)| watch)
}

/// Where the watch stands at the daemon that answers at `home`.
pub(super) fn of_watch(signal: &Signal, home: Option<&str>) -> Option<String> {
    at_home(watch(signal), home)
}

/// The same of a watch by its id.
pub(super) fn at_home(watch: &str, home: Option<&str>) -> Option<String> {
    let mut url = reqwest::Url::parse(home?).ok()?;
    let path = ["api", "v1", "watches", watch];
    url.path_segments_mut().ok()?.pop_if_empty().extend(path);
    (url.as_str().len() <= 2000).then(|| url.into())
}

/// What was measured of the check that is named first, or what has happened.
pub(super) fn worst(signal: &Signal) -> String {
    let Some(first) = signal.evidence.first() else { return line(&signal.headline, LINE) };
    match signal.evidence.len() {
        1 => line(first, LINE),
        all => format!("{} and {} more", line(first, LINE), all - 1),
    }
}

/// A link to the pipeline or release, where one was announced and it is one.
pub(super) fn link(signal: &Signal) -> Option<String> {
    let url = reqwest::Url::parse(signal.deployment.facts.url.as_deref()?).ok()?;
    let plain = url.username().is_empty() && url.password().is_none() && url.has_host();
    let web = matches!(url.scheme(), "https" | "http") && url.as_str().len() <= 2000;
    (plain && web).then(|| url.into())
}
