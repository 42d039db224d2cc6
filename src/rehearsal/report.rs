//! What a rehearsal came to.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::drive::is_ours;
use super::{Act, Deed, Trail};
use crate::judge::{Blame, Judgement};
use crate::model::{Body, LedgerEntry, Notice, Outcome, Reply, Verdict};
use crate::watch::Watch;

/// Everything that was said, judged and done.
#[derive(Debug, Clone)]
pub struct Report {
    /// As it stood at the end.
    pub watch: Watch,
    /// All messages, cards among them.
    pub said: Vec<Notice>,
    pub ledger: Vec<LedgerEntry>,
    pub acts: Vec<Act>,
    /// By check, oldest first; empty unless the scene keeps them.
    pub judged: BTreeMap<String, Vec<Judgement>>,
    /// The first breach that is the deployment's doing.
    pub first_breach: Option<Breach>,
    /// The first breach that is not.
    pub first_excused: Option<Breach>,
    /// The breach, the worst of them, that the first action rests on.
    pub acted_on: Option<Breach>,
    /// Presses that were not taken, and why.
    pub refused: Vec<(Timestamp, String)>,
    /// How the deployment looked to others.
    pub trail: Trail,
    /// Samples that were taken.
    pub samples: u32,
}

/// A check in breach.
#[derive(Debug, Clone, PartialEq)]
pub struct Breach {
    pub check: String,
    pub judgement: Judgement,
    /// Why it is not the deployment's own doing, in words.
    pub excused: Option<String>,
}

impl Breach {
    /// `None` where the judgement is no breach.
    pub(super) fn of(watch: &Watch, check: &str, judgement: &Judgement) -> Option<Self> {
        if judgement.verdict != Verdict::Breach {
            return None;
        }
        let excused = watch.incident.as_ref().filter(|_| watch.has_open_incident());
        let excused = excused.and_then(|one| one.excused.clone());
        let blame = || judgement.blame.as_ref().map(Blame::in_words).unwrap_or_default();
        let excused = (!is_ours(watch, judgement)).then(|| excused.unwrap_or_else(blame));
        Some(Self { check: check.to_owned(), judgement: judgement.clone(), excused })
    }
}

impl Report {
    /// The first rollback or question about one, or in mode observe what would have
    /// been one.
    pub fn action(&self) -> Option<&Act> {
        self.acts.iter().find(|act| act.deed.is_action())
    }

    /// `None` where the rehearsal ended before the watch did.
    pub fn outcome(&self) -> Option<Outcome> {
        self.watch.outcome()
    }

    /// What the latest act up to `at` was.
    pub fn latest_deed(&self, at: Timestamp) -> Option<Deed> {
        self.acts.iter().rev().find(|act| act.at <= at).map(|act| act.deed)
    }

    /// The gravest breach where it ended: of those that are the deployment's doing, or
    /// else of all.
    pub fn breach_at_end(&self) -> Option<Breach> {
        let breaches = self
            .watch
            .checks
            .iter()
            .filter_map(|(check, state)| Breach::of(&self.watch, check, state.last.as_ref()?));
        breaches.min_by_key(|breach| (breach.excused.is_some(), breach.judgement.severity))
    }

    /// What `check` last said up to `at`.
    pub fn judgement(&self, check: &str, at: Timestamp) -> Option<&Judgement> {
        self.judged.get(check)?.iter().rev().find(|one| one.at <= at)
    }

    /// What was said in the thread, with its time.
    pub fn replies(&self) -> impl Iterator<Item = (Timestamp, &Reply)> {
        self.said.iter().filter_map(|notice| match &notice.body {
            Body::Reply(reply) => Some((notice.at, reply)),
            Body::Card(_) | Body::Signal { .. } | Body::Files { .. } | Body::GitHub(_) => None,
        })
    }
}
