//! What a page shows of a watch at a glance: made once for each state of it.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::parts;
use crate::model::{Offer, Outcome, Tone};
use crate::store::Filed;
use crate::watch::Watch;
use crate::web::view::{WatchDetail, WatchView};

/// How much a watch wants to be looked at; the first first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rank {
    /// A person has to decide, or to see to it.
    Asks,
    /// An incident is open, or a rollback on its way.
    Suffers,
    Calm,
    Ended,
}

impl Rank {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Asks => "asks",
            Self::Suffers => "suffers",
            Self::Calm => "calm",
            Self::Ended => "ended",
        }
    }
}

/// A watch at a glance.
#[derive(Debug, Clone, PartialEq)]
pub struct Brief {
    pub view: WatchView,
    pub rank: Rank,
    pub tone: Tone,
    pub author: Option<String>,
    pub commit: Option<String>,
    /// The index of the phase that it is in.
    pub phase: usize,
    /// The limits of each check, in base units.
    pub limits: BTreeMap<String, Vec<f64>>,
    /// Who has the open incident in hand.
    pub acked: Option<String>,
    pub offers: Vec<Offer>,
}

/// A watch whose state this version can't read: what is kept beside it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unread {
    pub id: String,
    /// `target/cluster/service`.
    pub place: String,
    /// Empty: an earlier version kept it.
    pub environment: String,
    pub outcome: Option<Outcome>,
    pub opened_at: Timestamp,
}

impl Unread {
    pub fn of(filed: &Filed) -> Self {
        Self {
            id: filed.id.to_string(),
            place: filed.service.clone(),
            environment: filed.environment.clone().unwrap_or_default(),
            outcome: filed.outcome.as_deref().and_then(parts::named),
            opened_at: filed.opened_at,
        }
    }

    pub fn words(&self) -> String {
        format!("{}: kept by another version of deployguard, and can't be read here", self.id)
    }
}

impl Brief {
    /// `now`: what is offered may depend on it.
    pub fn of(watch: &Watch, now: Timestamp) -> Self {
        Self::with(watch, WatchDetail::of(watch).watch, now)
    }

    pub fn with(watch: &Watch, view: WatchView, now: Timestamp) -> Self {
        let checks = watch.policy().checks.iter();
        let limits = checks.map(|check| {
            let limits = crate::chart::limits(check).into_iter().map(|limit| limit.value);
            (check.name.clone(), limits.collect())
        });
        let incident = watch.incident.as_ref().filter(|one| one.resolved_at.is_none());
        let facts = &watch.deployment.facts;
        Self {
            rank: rank(watch),
            tone: watch.tone(),
            author: facts.author.clone(),
            commit: facts.commit.clone(),
            phase: watch.phase,
            limits: limits.collect(),
            acked: incident.and_then(|one| one.acked.as_ref()).map(|acked| acked.by.clone()),
            offers: watch.offers(now),
            view,
        }
    }
}

fn rank(watch: &Watch) -> Rank {
    if !watch.is_open() {
        return Rank::Ended;
    }
    let incident = watch.incident.as_ref().filter(|one| one.resolved_at.is_none());
    let unseen = incident.is_some_and(|one| one.acked.is_none() && one.excused.is_none());
    let rolling = matches!(watch.stage, crate::watch::Stage::RollingBack(_));
    match watch.pending {
        Some(_) => Rank::Asks,
        // The guard is at it.
        None if rolling => Rank::Suffers,
        None if unseen && watch.needs_somebody() && !watch.is_only_noted() => Rank::Asks,
        None if incident.is_some() => Rank::Suffers,
        None => Rank::Calm,
    }
}
