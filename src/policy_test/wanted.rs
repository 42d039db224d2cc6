//! What a test expects and what people press in it, read word by word.

use jiff::Timestamp;

use super::expect::{Culprit, Pattern, Wanted};
use super::file::{ExpectText, PressText};
use super::places::{Mistaken, Places, place, plain};
use super::when::{Clock, moment};
use crate::model::{Outcome, Severity, Verdict};
use crate::rehearsal::Deed;
use crate::watch::{Command, Press};

/// All that one expectation wants.
pub(super) fn wanted(text: &ExpectText, places: &mut Places) -> Vec<Wanted> {
    let verdicts = [
        Verdict::NoData,
        Verdict::LowTraffic,
        Verdict::Healthy,
        Verdict::Elevated,
        Verdict::Breach,
    ]
    .map(|verdict| (verdict.as_str(), verdict));
    let severities = [("SEV1", Severity::Sev1), ("SEV2", Severity::Sev2), ("SEV3", Severity::Sev3)];
    let culprits = [
        Culprit::Deployment,
        Culprit::Before,
        Culprit::Dependency,
        Culprit::Shared,
        Culprit::Another,
    ]
    .map(|culprit| (culprit.as_str(), culprit));
    let actions = [
        ("none", None),
        ("rollback", Some(Deed::RollBack)),
        ("ask", Some(Deed::Ask)),
        ("page", Some(Deed::Page)),
        ("notify", Some(Deed::Notify)),
        ("excuse", Some(Deed::Excuse)),
    ];
    let would =
        [("none", None), ("rollback", Some(Deed::WouldRollBack)), ("ask", Some(Deed::WouldAsk))];
    let outcomes = [
        ("open", None),
        ("passed", Some(Outcome::Passed)),
        ("rolled_back", Some(Outcome::RolledBack)),
        ("rollback_failed", Some(Outcome::RollbackFailed)),
        ("breached", Some(Outcome::Breached)),
        ("superseded", Some(Outcome::Superseded)),
        ("cancelled", Some(Outcome::Cancelled)),
        ("inconclusive", Some(Outcome::Inconclusive)),
    ];
    [
        places.word(text.verdict.as_ref(), &verdicts).map(Wanted::Verdict),
        places.word(text.severity.as_ref(), &severities).map(Wanted::Severity),
        places.word(text.blame.as_ref(), &culprits).map(Wanted::Blame),
        places.parse(text.reason.as_ref(), pattern).map(Wanted::Reason),
        places.word(text.action.as_ref(), &actions).map(Wanted::Action),
        places.word(text.would.as_ref(), &would).map(Wanted::Would),
        places.parse(text.message.as_ref(), pattern).map(Wanted::Message),
        places.parse(text.no_message.as_ref(), pattern).map(Wanted::NoMessage),
        places.word(text.outcome.as_ref(), &outcomes).map(Wanted::Outcome),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn pattern(text: &str) -> Result<Pattern, Mistaken> {
    match text.strip_prefix('/').and_then(|rest| rest.strip_suffix('/')) {
        Some(regex) => {
            let why = |error: regex::Error| {
                let error = error.to_string();
                let what = error.lines().last().unwrap_or_default();
                plain(format!("no regular expression: {}", what.trim_start_matches("error: ")))
            };
            regex::Regex::new(regex).map(Pattern::Regex).map_err(why)
        }
        None => Ok(Pattern::Part(text.to_owned())),
    }
}

/// One press, with its time.
pub(super) fn press(
    text: &PressText,
    clock: Clock,
    places: &mut Places,
) -> Option<(Timestamp, Press)> {
    let given = [
        (&text.ack, Command::Ack),
        (&text.hold, Command::Hold),
        (&text.resume, Command::Resume),
        (&text.rollback, Command::Rollback),
        (&text.cancel, Command::Cancel),
    ];
    let mut given = given.into_iter().filter_map(|(by, command)| Some((by.as_ref()?, command)));
    let (Some((by, command)), None) = (given.next(), given.next()) else {
        let here = text.at.as_ref().map_or((1, 1), place);
        let why =
            "say who presses what: `ack`, `hold`, `resume`, `rollback` or `cancel`".to_owned();
        places.tell(here, (why, None));
        return None;
    };
    let at = places.needed(text.at.as_ref(), "at", place(by))?;
    let at = moment(at, clock, places)?;
    let reason = text.reason.as_ref().map(|text| text.as_str().to_owned());
    Some((at, Press::new(command, by.as_str(), reason)))
}
