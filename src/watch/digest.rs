//! What the policies did, or would have done, in a stretch of days: what tells people
//! whether an observing policy may be trusted with more.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Answer, Decided, Stage, Watch};
use crate::model::{Mode, Outcome};

/// Deployments of one policy that are listed; all are counted.
const LISTED: usize = 200;
/// Policies, and the worst deployments, that a message names.
const WORST: usize = 10;

/// The policies of a stretch of days, by name.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Digest {
    pub since: Timestamp,
    pub until: Timestamp,
    /// There were more deployments than are read: the newest are missing.
    pub cut: bool,
    pub policies: Vec<PolicyDigest>,
}

/// What one policy came to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct PolicyDigest {
    pub policy: String,
    /// Of the newest deployment.
    pub mode: Mode,
    pub watched: usize,
    /// How many deployments came to each; they add up to `watched`.
    pub came: BTreeMap<Came, usize>,
    /// Of the last, how many in a mode that only observed.
    pub would: BTreeMap<Came, usize>,
    /// Those that came to anything, newest first.
    pub deployments: Vec<Digested>,
}

/// What a deployment came to under its policy; the gravest of several.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Came {
    RolledBack,
    Asked,
    /// A rollback was due and not to be had.
    Paged,
    Noted,
    /// In breach, and not this deployment's doing.
    NotOurs,
    Inconclusive,
    /// Its roll-out, or its first task in service, is waited for.
    Waiting,
    /// Nothing to say of it, so far or at all.
    Quiet,
}

/// A deployment that came to something.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Digested {
    pub watch: String,
    pub deployment: String,
    pub service: String,
    pub environment: String,
    pub version: String,
    /// When it was decided, or when the watch began.
    pub at: Timestamp,
    pub came: Came,
    /// Nothing was done: it would have been.
    pub would: bool,
    /// `None` while it is watched.
    pub outcome: Option<Outcome>,
    pub check: Option<String>,
    pub value: Option<String>,
    pub limit: Option<String>,
    pub reason: String,
}

impl Digest {
    pub fn new(since: Timestamp, until: Timestamp) -> Self {
        Self { since, until, cut: false, policies: Vec::new() }
    }

    /// Takes a watch in; oldest first.
    pub fn add(&mut self, watch: &Watch) {
        let name = &watch.policy().name;
        let place = self.policies.iter().position(|one| one.policy == *name);
        let place = place.unwrap_or_else(|| {
            self.policies.push(PolicyDigest::of(name));
            self.policies.len() - 1
        });
        if let Some(policy) = self.policies.get_mut(place) {
            policy.add(watch);
        }
    }

    /// Deployments that were watched.
    pub fn watched(&self) -> usize {
        self.policies.iter().map(|policy| policy.watched).sum()
    }

    /// "would have rolled back 2 of 41 deployments this week".
    pub fn headline(&self, period: &str) -> String {
        let count = |of: fn(&PolicyDigest) -> &BTreeMap<Came, usize>| {
            let counts = self.policies.iter().filter_map(|one| of(one).get(&Came::RolledBack));
            counts.sum::<usize>()
        };
        let would = count(|one| &one.would);
        let did = count(|one| &one.came).saturating_sub(would);
        let observes = self.policies.iter().any(|policy| policy.mode == Mode::Observe);
        let would_have = (would > 0 || observes).then(|| format!("would have rolled back {would}"));
        let has = (did > 0 || would_have.is_none()).then(|| format!("rolled back {did}"));
        let said: Vec<String> = would_have.into_iter().chain(has).collect();
        let (all, cut) = (self.watched(), if self.cut { " or more" } else { "" });
        let deployments = if all == 1 { "deployment" } else { "deployments" };
        format!("{} of {all}{cut} {deployments} {period}", said.join(" and "))
    }

    /// Each policy in a line, and the worst deployments.
    pub fn lines(&self) -> Vec<String> {
        let mut worst: Vec<&Digested> =
            self.policies.iter().flat_map(|policy| &policy.deployments).collect();
        worst.retain(|one| one.came < Came::Noted);
        worst.sort_by_key(|one| (one.came, std::cmp::Reverse(one.at)));
        let named = worst.iter().take(WORST).map(|one| {
            let would = if one.would { "would have been: " } else { "" };
            format!(
                "{} {} in {}: {would}{}; {}",
                one.service,
                one.version,
                one.environment,
                one.came.in_words(),
                one.reason
            )
        });
        let policies = self.policies.iter().take(WORST).map(PolicyDigest::in_words);
        policies.chain(named).collect()
    }

    /// With the policies by name, and the newest deployments first.
    #[must_use]
    pub fn finished(mut self) -> Self {
        self.policies.sort_by(|a, b| a.policy.cmp(&b.policy));
        for policy in &mut self.policies {
            policy.deployments.reverse();
        }
        self
    }
}

impl PolicyDigest {
    fn of(name: &str) -> Self {
        Self {
            policy: name.to_owned(),
            mode: Mode::Observe,
            watched: 0,
            came: BTreeMap::new(),
            would: BTreeMap::new(),
            deployments: Vec::new(),
        }
    }

    fn add(&mut self, watch: &Watch) {
        let one = Digested::of(watch);
        self.mode = watch.policy().mode;
        self.watched += 1;
        *self.came.entry(one.came).or_default() += 1;
        if one.would {
            *self.would.entry(one.came).or_default() += 1;
        }
        if one.came != Came::Quiet {
            if self.deployments.len() >= LISTED {
                self.deployments.remove(0);
            }
            self.deployments.push(one);
        }
    }

    /// "shopflow-production (observe): would have rolled back 2 of 41 deployments".
    pub fn in_words(&self) -> String {
        let all = match self.watched {
            1 => "1 deployment".to_owned(),
            more => format!("{more} deployments"),
        };
        let count = |of: &BTreeMap<Came, usize>, came| of.get(&came).copied().unwrap_or(0);
        let mut said = Vec::new();
        for (came, words) in [
            (Came::RolledBack, "rolled back"),
            (Came::Asked, "asked about"),
            (Came::Paged, "paged for want of a rollback of"),
        ] {
            let would = count(&self.would, came);
            let did = count(&self.came, came).saturating_sub(would);
            said.extend((would > 0).then(|| format!("would have {words} {would}")));
            said.extend((did > 0).then(|| format!("{words} {did}")));
        }
        for (came, words) in [
            (Came::Noted, "noted"),
            (Came::NotOurs, "found to be no deployment's doing"),
            (Came::Inconclusive, "inconclusive"),
            (Came::Waiting, "waiting"),
        ] {
            let number = count(&self.came, came);
            said.extend((number > 0).then(|| format!("{number} {words}")));
        }
        let what = match said.split_first() {
            None => format!("nothing to say of {all}"),
            Some((first, [])) => format!("{first} of {all}"),
            Some((first, rest)) => format!("{first} of {all}; {}", rest.join(", ")),
        };
        format!("{} ({}): {what}", self.policy, self.mode)
    }
}

impl Came {
    /// "rolled back", "asked about".
    pub fn in_words(self) -> &'static str {
        match self {
            Self::RolledBack => "rolled back",
            Self::Asked => "asked about",
            Self::Paged => "no rollback to be had",
            Self::Noted => "noted",
            Self::NotOurs => "not its doing",
            Self::Inconclusive => "inconclusive",
            Self::Waiting => "waiting",
            Self::Quiet => "nothing to say",
        }
    }
}

impl Digested {
    fn of(watch: &Watch) -> Self {
        let outcome = watch.outcome();
        // What was done counts before what would have been.
        let gravest = watch.decided.iter().min_by_key(|decided| (decided.answer, decided.would));
        let waits = match &watch.stage {
            Stage::Announced { .. } | Stage::Starting => gravest.is_none(),
            Stage::Watching | Stage::RollingBack(_) | Stage::Ended { .. } => false,
        };
        let came = if waits { Came::Waiting } else { came(outcome, gravest) };
        // What it came to is said beside it.
        let stands = match &watch.stage {
            Stage::Ended { because, .. } => because.clone(),
            Stage::Announced { .. } | Stage::Starting | Stage::Watching | Stage::RollingBack(_) => {
                watch.status_line()
            }
        };
        let because = |decided: &Decided| {
            let because = decided.because.clone();
            let reasons = decided.checks.iter().map(|one| format!("{} {}", one.check, one.reason));
            reasons.chain(because).collect::<Vec<_>>().join("; ")
        };
        let check = gravest.and_then(|decided| decided.checks.first());
        let service = &watch.deployment.service;
        Self {
            watch: watch.id.to_string(),
            deployment: watch.deployment.id.clone(),
            service: service.name.clone(),
            environment: service.environment.clone(),
            version: watch.version(),
            at: gravest.map_or(watch.opened_at, |decided| decided.at),
            came,
            would: gravest.is_some_and(|decided| decided.would) && !is_undone(outcome),
            outcome,
            check: check.map(|one| one.check.clone()),
            value: check.and_then(|one| one.value.clone()),
            limit: check.and_then(|one| one.limit.clone()),
            reason: gravest.map_or(stands, because),
        }
    }
}

fn is_undone(outcome: Option<Outcome>) -> bool {
    outcome == Some(Outcome::RolledBack)
}

fn came(outcome: Option<Outcome>, gravest: Option<&Decided>) -> Came {
    match (outcome, gravest.map(|decided| decided.answer)) {
        (Some(Outcome::RollbackFailed), None | Some(Answer::RollBack)) => Came::Paged,
        (Some(Outcome::RolledBack), _) | (_, Some(Answer::RollBack)) => Came::RolledBack,
        (_, Some(Answer::Ask)) => Came::Asked,
        (_, Some(Answer::Page)) => Came::Paged,
        (_, Some(Answer::Note)) | (Some(Outcome::Breached), None) => Came::Noted,
        (_, Some(Answer::NotOurs)) => Came::NotOurs,
        (Some(Outcome::Inconclusive), None) => Came::Inconclusive,
        (None | Some(Outcome::Passed | Outcome::Superseded | Outcome::Cancelled), None) => {
            Came::Quiet
        }
    }
}
