//! What a health endpoint says now, and whether the check reads it rightly.

use super::Asked;
use super::look::{Finding, Status};
use crate::model::{Ask, BESIDE, CHECK, HealthAsk, STATUS};
use crate::policy::nearest;
use crate::sources::{Fetched, Seen, Track};

/// Doubts an endpoint that is down, and names in the check that the answer does not have.
pub(super) async fn looked(asked: &Asked<'_>, finding: &mut Finding, ask: &Ask, answer: &Fetched) {
    let Ask::Health(health) = ask else { return };
    let down = down(answer);
    if let Some(words) = &down {
        finding.note(Status::Doubt, ask, words.clone());
    }
    let names_something = !health.depends_on.is_empty() || health.version.is_some();
    let Some(web) = asked.sources.web.as_ref().filter(|_| names_something) else { return };
    let Some(seen) = web.seen(health, asked.now).await else { return };
    // A page of an error says nothing about the names.
    if down.is_some() && !seen.is_json {
        return;
    }
    for words in missing(health, &seen) {
        finding.note(Status::Doubt, ask, words);
    }
}

/// What is down, and what is said of it.
fn down(answer: &Fetched) -> Option<String> {
    let is_down = |track: &&Track| track.samples.last().is_some_and(|(_, up)| *up == 0.0);
    let named = answer.tracks.iter().filter(is_down).filter_map(|track| track.labels.get(CHECK));
    let named: Vec<&str> = named.map(String::as_str).collect();
    if named.is_empty() {
        return None;
    }
    let said = answer.tracks.iter().filter_map(|track| track.labels.get(BESIDE));
    let said: Vec<&str> = said.map(String::as_str).collect();
    let what = if named == [STATUS] {
        "it is down now".to_owned()
    } else {
        format!("down now: {}", named.join(", "))
    };
    let said = if said.is_empty() { String::new() } else { format!(" ({})", said.join("; ")) };
    let path = if said.contains("HTTP 404") { "; is the path right?" } else { "" };
    Some(format!("{what}{said}: it judges nothing until it has been up{path}"))
}

/// What the check names and the answer does not have, in words.
fn missing(health: &HealthAsk, seen: &Seen) -> Vec<String> {
    let mut said = Vec::new();
    if !seen.is_json {
        let words = "the answer is no JSON mapping: `depends_on` and `version` find nothing in it";
        return vec![words.to_owned()];
    }
    let meant = |name: &str, known: &mut dyn Iterator<Item = &str>| {
        let known: Vec<&str> = known.collect();
        match (nearest(name, known.iter().copied()).first(), known.is_empty()) {
            (Some(near), _) => format!("; did you mean `{near}`?"),
            (None, true) => String::new(),
            (None, false) => format!("; there are `{}`", known.join("`, `")),
        }
    };
    for name in health.depends_on.iter().filter(|name| *name != STATUS) {
        if !seen.checks.contains(name) {
            let meant = meant(name, &mut seen.checks.iter().map(String::as_str));
            said.push(format!(
                "`depends_on` names `{name}`, and the answer has no such check: it excuses \
                 nothing{meant}"
            ));
        }
    }
    if let (Some(path), None) = (&health.version, &seen.version) {
        let meant = meant(path, &mut seen.paths.iter().map(String::as_str));
        said.push(format!("the answer has no text or number at `{path}`{meant}"));
    }
    said
}
