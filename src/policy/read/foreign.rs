//! Keys of a check that say nothing about what it measures.

use super::check::Kind;
use super::desk::Desk;
use super::raw::CheckText;
use crate::policy::JsonValue;
use crate::policy::diagnostic::Mistake;

pub(super) fn check(name: &str, text: &CheckText, kind: Kind, desk: &mut Desk) {
    match kind {
        Kind::Ratio | Kind::Latency => {
            if text.leak.is_some() {
                let mistake = Mistake::new("only a value can leak")
                    .mend("remove it, or measure what fills up with a `query` or `cloudwatch`");
                desk.at(desk.key(&["checks", name, "leak"]), mistake);
            }
        }
        Kind::Gauge(_) => {
            // A percentile of CloudWatch is made of events, which are counted beside it.
            if let (Some(traffic), None) = (&text.min_traffic, &text.latency) {
                let mistake = Mistake::new("a value counts no events: it has no `min_traffic`")
                    .mend("remove it, or measure a `ratio` or a `latency`");
                desk.at(traffic.marker, mistake);
            }
        }
        Kind::Status => status(name, text, desk),
    }
}

/// Tasks are counted as they are seen, and have no past.
pub(super) fn tasks(name: &str, text: &CheckText, desk: &mut Desk) {
    let keys = [
        ("baseline", text.baseline.is_some(), "the platform forgets what ended"),
        ("leak", text.leak.is_some(), "nothing fills up"),
        ("window", text.window.is_some(), "failures are counted over ten minutes"),
    ];
    for (key, there, because) in keys {
        if there {
            let mistake = Mistake::new(format!("a check of `tasks` has no `{key}`: {because}"));
            desk.at(desk.key(&["checks", name, key]), mistake.mend("remove it"));
        }
    }
}

/// What can't be asked about the past has none to be compared with.
pub(super) fn json(name: &str, text: &CheckText, value: &JsonValue, desk: &mut Desk) {
    if text.baseline.is_some() && !value.web.has_past() {
        let mistake = Mistake::new(
            "a `json` without `${since}` is asked of the present alone: it has no `baseline`",
        );
        let mend = "write `${since}` into its `url` or `body`, or remove the baseline";
        desk.at(desk.key(&["checks", name, "baseline"]), mistake.mend(mend));
    }
    if let Some(window) = text.window.as_ref().filter(|_| !value.web.looks_back()) {
        let mistake = Mistake::new("a `json` without `${since}` or `${window}` has no `window`");
        desk.at(window.marker, mistake.mend("remove it"));
    }
}

/// A status is up or down at an instant, and its limits say all about it.
fn status(name: &str, text: &CheckText, desk: &mut Desk) {
    let keys = [
        ("normal", text.normal.is_some(), "it is normal while it is up"),
        ("baseline", text.baseline.is_some(), "down is down, whatever it was before"),
        ("leak", text.leak.is_some(), "only a value can leak"),
        ("min_traffic", text.min_traffic.is_some(), "it counts no events"),
        ("window", text.window.is_some(), "it is asked at an instant"),
    ];
    for (key, there, because) in keys {
        if there {
            let mistake = Mistake::new(format!("a `status` has no `{key}`: {because}"));
            desk.at(desk.key(&["checks", name, key]), mistake.mend("remove it"));
        }
    }
    if let Some(query) = &text.status
        && query.value.0.contains("${window}")
    {
        let mistake = Mistake::new("a `status` is asked at an instant: it has no `${window}`")
            .mend("ask for series that are 1 (up) or 0 (down), such as `probe_success`");
        desk.at(query.marker, mistake);
    }
}
