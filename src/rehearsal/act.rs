//! What the guard did, told by how it changed its watch's state.

use jiff::Timestamp;

use crate::model::{Body, Incident, Severity};
use crate::watch::{Actor, Answer, Decided, Said, Stage, Watch};

/// One thing that the guard did, or in mode observe would have done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Act {
    pub at: Timestamp,
    pub deed: Deed,
    /// Of the incident; `None` where there is none.
    pub severity: Option<Severity>,
    /// The checks of the incident.
    pub checks: Vec<String>,
    /// The headline under which people heard of it.
    pub headline: String,
    /// Why it is less than a rollback, in the words of the decision.
    pub because: Option<String>,
}

/// Kinds of acts, from the gravest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Deed {
    RollBack,
    Ask,
    /// The mode is observe, and it would have been rolled back.
    WouldRollBack,
    /// The mode is observe, and people would have been asked.
    WouldAsk,
    /// People are paged, and nothing else is done.
    Page,
    Notify,
    /// It is not the deployment's doing: people are told.
    Excuse,
}

impl Deed {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::RollBack => "rollback",
            Self::Ask => "ask",
            Self::WouldRollBack => "would rollback",
            Self::WouldAsk => "would ask",
            Self::Page => "page",
            Self::Notify => "notify",
            Self::Excuse => "excuse",
        }
    }

    /// Whether it undoes the deployment or asks about that, the mode aside.
    pub fn is_action(self) -> bool {
        match self {
            Self::RollBack | Self::Ask | Self::WouldRollBack | Self::WouldAsk => true,
            Self::Page | Self::Notify | Self::Excuse => false,
        }
    }
}

impl Act {
    /// Why nothing graver was done; `None` of a rollback, and where nothing graver was due.
    pub fn why_no_more(&self) -> Option<String> {
        let because = self.because.as_deref();
        match self.deed {
            Deed::RollBack => None,
            Deed::Ask => because.map(|because| format!("asked, not rolled back: {because}")),
            Deed::Page => because.map(|because| format!("paged, not rolled back: {because}")),
            Deed::WouldRollBack => {
                Some("the mode is observe: in mode auto it would have been rolled back".to_owned())
            }
            Deed::WouldAsk => {
                let because = because.map(|because| format!(": {because}")).unwrap_or_default();
                Some(format!(
                    "the mode is observe: in mode auto people would have had to decide{because}"
                ))
            }
            Deed::Notify => {
                let severity = self.severity?;
                Some(format!("people are told and no more: the policy notifies at {severity}"))
            }
            Deed::Excuse => because.map(str::to_owned),
        }
    }

    /// "ask (asked, not rolled back: the mode is ask)".
    pub fn in_words(&self) -> String {
        let why = self.why_no_more().map(|why| format!(" ({why})")).unwrap_or_default();
        format!("{}{why}", self.deed.as_str())
    }
}

/// What of a watch's state tells an act.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mark {
    rolling: bool,
    asked_at: Option<Timestamp>,
    incident: Option<(Timestamp, Severity, bool)>,
}

impl Mark {
    pub fn of(watch: &Watch) -> Self {
        let rolling = match &watch.stage {
            Stage::RollingBack(run) => run.by != Actor::Platform,
            Stage::Announced { .. } | Stage::Starting | Stage::Watching | Stage::Ended { .. } => {
                false
            }
        };
        let open = |one: &&Incident| one.resolved_at.is_none() && one.calm_at.is_none();
        Self {
            rolling,
            asked_at: watch.pending.as_ref().map(|pending| pending.asked_at),
            incident: watch.incident.as_ref().filter(open).map(|incident| {
                (incident.spell_began(), incident.severity, incident.excused.is_some())
            }),
        }
    }

    /// The act that made this of `before`, if one did.
    pub fn act(&self, before: &Mark, watch: &Watch, said: &Said, at: Timestamp) -> Option<Act> {
        let replies = || {
            said.notices.iter().filter_map(|notice| match &notice.body {
                Body::Reply(reply) => Some(reply),
                Body::Card(_) | Body::Signal { .. } | Body::Files { .. } | Body::GitHub(_) => None,
            })
        };
        let changed = self.incident != before.incident;
        let deed = if self.rolling && !before.rolling {
            Deed::RollBack
        } else if self.asked_at.is_some() && self.asked_at != before.asked_at {
            Deed::Ask
        } else if let Some(deed) = replies().find_map(|reply| would(&reply.headline)) {
            deed
        } else if replies().any(|reply| reply.page) {
            Deed::Page
        } else {
            match self.incident.filter(|_| changed && watch.is_open()) {
                Some((.., true)) => Deed::Excuse,
                Some((.., false)) => Deed::Notify,
                None => return None,
            }
        };
        let incident = watch.incident.as_ref().filter(|_| self.incident.is_some());
        Some(Act {
            at,
            deed,
            severity: incident.map(|incident| incident.severity),
            checks: incident.map(|one| one.checks.iter().cloned().collect()).unwrap_or_default(),
            headline: replies().next_back().map(|reply| reply.headline.clone()).unwrap_or_default(),
            because: watch.decided.last().and_then(|decided| because(deed, decided)),
        })
    }
}

/// Why a decision came to this deed and no more.
fn because(deed: Deed, decided: &Decided) -> Option<String> {
    let same = match deed {
        Deed::RollBack | Deed::WouldRollBack => false,
        Deed::Ask => decided.answer == Answer::Ask,
        Deed::WouldAsk => matches!(decided.answer, Answer::Ask | Answer::Page),
        Deed::Page => decided.answer == Answer::Page,
        Deed::Excuse => decided.answer == Answer::NotOurs,
        Deed::Notify => decided.answer == Answer::Note,
    };
    decided.because.clone().filter(|_| same)
}

/// What a headline says would have been done, in mode observe.
fn would(headline: &str) -> Option<Deed> {
    let (_, what) = headline.split_once("in mode auto it would have been ")?;
    if what == "rolled back" { Some(Deed::WouldRollBack) } else { Some(Deed::WouldAsk) }
}
