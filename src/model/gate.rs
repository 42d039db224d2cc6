//! What the gate answers, and who went through it all the same.

use std::collections::BTreeSet;
use std::fmt;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Facts, Revision, ServiceKey, WatchId};

/// How long an override waits for its deployment.
pub const OVERRIDE_LASTS: SignedDuration = SignedDuration::from_hours(4);

/// What is to be deployed, as far as whoever asks has named it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct Named {
    pub version: Option<String>,
    pub commit: Option<String>,
    /// A task definition (`api:42` or its ARN), or an image's digest.
    pub revision: Option<String>,
}

/// Whether something may be deployed now, or how much a reason weighs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum GateVerdict {
    Yes,
    Warn,
    No,
}

/// What a reason is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum GateRule {
    Unguarded,
    Freeze,
    Holiday,
    Avoid,
    Window,
    KnownBad,
    OpenIncident,
    RollingBack,
    Soak,
    RollbackTarget,
    Alert,
    Paused,
    Brake,
}

impl GateRule {
    /// Whether a person may go through all the same. What is rolling back can't be gone
    /// through: two that pull at one service end nowhere.
    pub fn may_be_overridden(self) -> bool {
        match self {
            Self::RollingBack => false,
            Self::Unguarded
            | Self::Freeze
            | Self::Holiday
            | Self::Avoid
            | Self::Window
            | Self::KnownBad
            | Self::OpenIncident
            | Self::Soak
            | Self::RollbackTarget
            | Self::Alert
            | Self::Paused
            | Self::Brake => true,
        }
    }
}

/// One thing that speaks for or against it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct GateReason {
    pub rule: GateRule,
    pub verdict: GateVerdict,
    pub words: String,
    /// When it speaks no longer, where that is known.
    #[serde(default)]
    pub until: Option<Timestamp>,
}

/// A person went through the gate all the same, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct GateOverride {
    /// Unique, and later ones are larger: nanoseconds since the epoch, and the service.
    pub id: String,
    pub service: ServiceKey,
    pub environment: String,
    /// What it is for; nothing named: whatever comes next.
    pub named: Named,
    pub by: String,
    /// Whose token said it, where `by` is another's name.
    #[serde(default)]
    pub via: Option<String>,
    pub reason: String,
    pub at: Timestamp,
    /// It is for a deployment that begins before then.
    pub until: Timestamp,
    /// What was gone through, as it was told then.
    pub reasons: Vec<GateReason>,
    /// The deployment that it was for, once it came.
    #[serde(default)]
    pub watch: Option<WatchId>,
}

impl GateOverride {
    pub fn is_in_force(&self, now: Timestamp) -> bool {
        self.watch.is_none() && now < self.until
    }

    pub fn rules(&self) -> BTreeSet<GateRule> {
        self.reasons.iter().map(|reason| reason.rule).collect()
    }

    /// Whether it is for what is asked for: what both name is the same, and at least one
    /// thing is; nothing named is for anything.
    pub fn covers(&self, asked: &Named) -> bool {
        let pairs = [
            (&self.named.version, &asked.version),
            (&self.named.commit, &asked.commit),
            (&self.named.revision, &asked.revision),
        ];
        let both: Vec<bool> =
            pairs.iter().filter_map(|(a, b)| Some(a.as_ref()? == b.as_ref()?)).collect();
        self.named.is_nothing() || (!both.is_empty() && both.iter().all(|same| *same))
    }
}

impl Named {
    pub fn is_nothing(&self) -> bool {
        self.version.is_none() && self.commit.is_none() && self.revision.is_none()
    }

    /// What a deployment is, in the same terms.
    pub fn of(facts: &Facts, revision: Option<&Revision>) -> Self {
        Self {
            version: facts.version.clone(),
            commit: facts.commit.clone(),
            revision: revision.map(|revision| revision.short().to_owned()),
        }
    }

    /// Whether it names this deployment: by what both know of it.
    pub fn means(&self, facts: &Facts, revision: Option<&Revision>) -> bool {
        let version = self.version.is_some() && self.version == facts.version;
        let commit = match (&self.commit, &facts.commit) {
            (Some(a), Some(b)) => {
                a == b || (a.len().min(b.len()) >= 7 && (a.starts_with(b) || b.starts_with(a)))
            }
            (_, None) | (None, _) => false,
        };
        version || commit || revision.is_some_and(|revision| self.means_revision(revision))
    }

    fn means_revision(&self, revision: &Revision) -> bool {
        let Some(named) = &self.revision else { return false };
        let digest = named.rsplit_once('@').map_or(named.as_str(), |(_, digest)| digest);
        if digest.starts_with("sha256:") {
            return revision.digests.iter().any(|known| known.ends_with(digest));
        }
        named == revision.short() || *named == revision.name
    }
}

impl fmt::Display for Named {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let first = self.version.as_ref().or(self.revision.as_ref()).or(self.commit.as_ref());
        f.write_str(first.map_or("the deployment", String::as_str))
    }
}

impl GateVerdict {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Yes => "yes",
            Self::Warn => "warn",
            Self::No => "no",
        }
    }
}
