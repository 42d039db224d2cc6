//! What a test expects, held against what a rehearsal came to.

use jiff::Timestamp;
use regex::Regex;

use super::places::Place;
use crate::judge::{Blame, Judgement};
use crate::model::{Outcome, Reply, Severity, Verdict};
use crate::rehearsal::{Act, Deed, Report};
use crate::watch::Stage;

/// One expectation: all that is wanted of one time.
#[derive(Debug, Clone)]
pub struct Expect {
    pub(super) place: Place,
    pub when: When,
    /// What verdict, severity, blame and reason are of.
    pub check: Option<String>,
    pub wanted: Vec<Wanted>,
}

/// When an expectation must hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// As things stand then.
    At(Timestamp),
    /// At some time up to then.
    By(Timestamp),
    /// All the time, both ends included.
    During(Timestamp, Timestamp),
}

/// One thing that is wanted.
#[derive(Debug, Clone)]
pub enum Wanted {
    Verdict(Verdict),
    Severity(Severity),
    Blame(Culprit),
    Reason(Pattern),
    /// What was done last; `None`: nothing yet.
    Action(Option<Deed>),
    Would(Option<Deed>),
    Message(Pattern),
    NoMessage(Pattern),
    /// `None`: the watch is open.
    Outcome(Option<Outcome>),
}

/// Whose doing it is, without the particulars.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Culprit {
    Deployment,
    Before,
    Dependency,
    Shared,
    Another,
}

/// A part of a text, or `/a regular expression/`.
#[derive(Debug, Clone)]
pub enum Pattern {
    Part(String),
    Regex(Regex),
}

impl Pattern {
    fn matches(&self, text: &str) -> bool {
        match self {
            Self::Part(part) => text.contains(part.as_str()),
            Self::Regex(regex) => regex.is_match(text),
        }
    }
}

impl std::fmt::Display for Pattern {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Part(part) => write!(f, "{part:?}"),
            Self::Regex(regex) => write!(f, "/{regex}/"),
        }
    }
}

/// Something wanted that was not so: at what time, what was wanted, what was there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Miss {
    pub at: Timestamp,
    pub wanted: String,
    pub got: String,
}

impl Expect {
    /// What of this `report` does not come up to.
    pub fn misses(&self, report: &Report) -> Vec<Miss> {
        let (of_check, of_watch): (Vec<&Wanted>, Vec<&Wanted>) =
            self.wanted.iter().partition(|wanted| wanted.is_of_check());
        let mut misses = Vec::new();
        if let (Some(check), false) = (&self.check, of_check.is_empty()) {
            misses.extend(self.misses_of_check(check, &of_check, report));
        }
        for wanted in of_watch {
            misses.extend(self.miss_of_watch(wanted, report));
        }
        misses
    }

    /// Verdict, severity and blame must be so of one judgement.
    fn misses_of_check(&self, check: &str, wanted: &[&Wanted], report: &Report) -> Vec<Miss> {
        let at_once = |judgement: Option<&Judgement>, at: Timestamp| -> Vec<Miss> {
            let each = wanted.iter().filter(|one| !one.holds_of(judgement));
            each.map(|one| Miss {
                at,
                wanted: one.in_words(),
                got: judgement.map_or("nothing yet".to_owned(), in_words),
            })
            .collect()
        };
        let judged = report.judged.get(check).map_or(&[][..], Vec::as_slice);
        match self.when {
            When::At(at) => at_once(report.judgement(check, at), at),
            When::By(at) => {
                let mut up_to = judged.iter().filter(|one| one.at <= at);
                if up_to.any(|one| at_once(Some(one), at).is_empty()) {
                    return Vec::new();
                }
                let worst = judged.iter().filter(|one| one.at <= at);
                let worst = worst.max_by_key(|one| one.verdict);
                at_once(worst, worst.map_or(at, |one| one.at))
            }
            When::During(from, to) => {
                let mut within = judged.iter().filter(|one| one.at >= from && one.at <= to);
                let first = within.clone().next();
                if first.is_none() {
                    return at_once(None, from);
                }
                let missed = within.find_map(|one| {
                    let misses = at_once(Some(one), one.at);
                    (!misses.is_empty()).then_some(misses)
                });
                missed.unwrap_or_default()
            }
        }
    }

    fn miss_of_watch(&self, wanted: &Wanted, report: &Report) -> Option<Miss> {
        let (from, to) = match self.when {
            When::At(at) | When::By(at) => (Timestamp::MIN, at),
            When::During(from, to) => (from, to),
        };
        let by = matches!(self.when, When::By(_));
        let deeds = || report.acts.iter().filter(move |act| act.at >= from && act.at <= to);
        let replies = || report.replies().filter(move |(at, _)| *at >= from && *at <= to);
        let latest = deeds().next_back().map(|act| act.deed);
        let holds = match wanted {
            Wanted::Action(None) => !deeds().any(|act| act.deed <= Deed::Ask),
            Wanted::Would(None) => !deeds().any(|act| act.deed.is_action()),
            Wanted::Action(Some(deed)) | Wanted::Would(Some(deed)) => {
                latest == Some(*deed) || (by && deeds().any(|act| act.deed == *deed))
            }
            Wanted::Message(pattern) => replies().any(|(_, reply)| says(reply, pattern)),
            Wanted::NoMessage(pattern) => !replies().any(|(_, reply)| says(reply, pattern)),
            Wanted::Outcome(outcome) => outcome_at(report, to) == *outcome,
            Wanted::Verdict(_) | Wanted::Severity(_) | Wanted::Blame(_) | Wanted::Reason(_) => true,
        };
        let got = || match wanted {
            Wanted::Outcome(_) => {
                outcome_at(report, to).map_or("open".to_owned(), |one| one.as_str().to_owned())
            }
            Wanted::Message(_) | Wanted::NoMessage(_) => {
                let said: Vec<String> = replies().map(|(_, one)| one.headline.clone()).collect();
                if said.is_empty() { "silence".to_owned() } else { said.join(" | ") }
            }
            Wanted::Action(_)
            | Wanted::Would(_)
            | Wanted::Verdict(_)
            | Wanted::Severity(_)
            | Wanted::Blame(_)
            | Wanted::Reason(_) => {
                let all: Vec<String> = deeds().map(Act::in_words).collect();
                if all.is_empty() { "none".to_owned() } else { all.join(", then ") }
            }
        };
        (!holds).then(|| Miss { at: to, wanted: wanted.in_words(), got: got() })
    }
}

fn outcome_at(report: &Report, to: Timestamp) -> Option<Outcome> {
    match &report.watch.stage {
        Stage::Ended { outcome, at, .. } if *at <= to => Some(*outcome),
        Stage::Ended { .. }
        | Stage::Announced { .. }
        | Stage::Starting
        | Stage::Watching
        | Stage::RollingBack(_) => None,
    }
}

fn says(reply: &Reply, pattern: &Pattern) -> bool {
    let fields = reply.fields.iter().map(|(name, value)| format!("{name}: {value}"));
    pattern.matches(&reply.headline)
        || reply.lines.iter().any(|line| pattern.matches(line))
        || fields.into_iter().any(|field| pattern.matches(&field))
}

impl Wanted {
    fn is_of_check(&self) -> bool {
        match self {
            Self::Verdict(_) | Self::Severity(_) | Self::Blame(_) | Self::Reason(_) => true,
            Self::Action(_)
            | Self::Would(_)
            | Self::Message(_)
            | Self::NoMessage(_)
            | Self::Outcome(_) => false,
        }
    }

    fn holds_of(&self, judgement: Option<&Judgement>) -> bool {
        let Some(judgement) = judgement else { return false };
        match self {
            Self::Verdict(verdict) => judgement.verdict == *verdict,
            Self::Severity(severity) => judgement.severity == Some(*severity),
            Self::Blame(culprit) => culprit_of(judgement) == Some(*culprit),
            Self::Reason(pattern) => pattern.matches(&judgement.reason),
            Self::Action(_)
            | Self::Would(_)
            | Self::Message(_)
            | Self::NoMessage(_)
            | Self::Outcome(_) => true,
        }
    }

    fn in_words(&self) -> String {
        let deed = |deed: &Option<Deed>| deed.map_or("none", Deed::as_str);
        match self {
            Self::Verdict(verdict) => format!("verdict {}", verdict.as_str()),
            Self::Severity(severity) => format!("severity {severity}"),
            Self::Blame(culprit) => format!("blame {}", culprit.as_str()),
            Self::Reason(pattern) => format!("a reason with {pattern}"),
            Self::Action(wanted) => format!("action {}", deed(wanted)),
            Self::Would(None) => "no action, and none that would have been".to_owned(),
            Self::Would(wanted) => deed(wanted).to_owned(),
            Self::Message(pattern) => format!("a message with {pattern}"),
            Self::NoMessage(pattern) => format!("no message with {pattern}"),
            Self::Outcome(outcome) => {
                format!("outcome {}", outcome.map_or("open", Outcome::as_str))
            }
        }
    }
}

impl Culprit {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Deployment => "deployment",
            Self::Before => "before",
            Self::Dependency => "dependency",
            Self::Shared => "shared",
            Self::Another => "another",
        }
    }
}

fn culprit_of(judgement: &Judgement) -> Option<Culprit> {
    judgement.blame.as_ref().map(|blame| match blame {
        Blame::Deployment => Culprit::Deployment,
        Blame::Before { .. } => Culprit::Before,
        Blame::Dependency { .. } => Culprit::Dependency,
        Blame::Shared { .. } => Culprit::Shared,
        Blame::Another { .. } => Culprit::Another,
    })
}

/// Verdict, severity, blame.
pub(super) fn in_words(judgement: &Judgement) -> String {
    let severity = judgement.severity.map(|severity| format!(" {severity}"));
    let blame = culprit_of(judgement).map(|culprit| format!(", blame {}", culprit.as_str()));
    let verdict = judgement.verdict.as_str();
    format!("{verdict}{}{}", severity.unwrap_or_default(), blame.unwrap_or_default())
}
