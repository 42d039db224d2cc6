//! What is said of a check and of a watch: verdict, severity, mode, outcome.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What a check says now. Never a bool: too little data is neither health nor guilt.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// The source gives nothing usable.
    NoData,
    /// Too little traffic to tell.
    LowTraffic,
    /// Inside the normal range.
    Healthy,
    /// Outside normal, not in breach: shown, no action.
    Elevated,
    /// A limit or a baseline is exceeded for as long as the policy asks.
    Breach,
}

impl Verdict {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NoData => "no_data",
            Self::LowTraffic => "low_traffic",
            Self::Healthy => "healthy",
            Self::Elevated => "elevated",
            Self::Breach => "breach",
        }
    }

    /// Whether the verdict rests on a measurement.
    pub fn is_measured(self) -> bool {
        match self {
            Self::NoData | Self::LowTraffic => false,
            Self::Healthy | Self::Elevated | Self::Breach => true,
        }
    }
}

/// How bad a breach is. `Sev1` is the worst and the smallest in order.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    Serialize,
    Deserialize,
    JsonSchema,
    ToSchema,
)]
#[serde(rename_all = "UPPERCASE")]
pub enum Severity {
    Sev1,
    Sev2,
    Sev3,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Sev1 => "SEV1",
            Self::Sev2 => "SEV2",
            Self::Sev3 => "SEV3",
        })
    }
}

/// What the guard may do at most. Ordered: a lower mode is a lower ceiling.
#[derive(
    Debug,
    Clone,
    Copy,
    Default,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    Serialize,
    Deserialize,
    JsonSchema,
    ToSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Only says what it would do.
    #[default]
    Observe,
    /// Does nothing that no person pressed, time-outs included.
    Ask,
    /// May act by itself.
    Auto,
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Observe => "observe",
            Self::Ask => "ask",
            Self::Auto => "auto",
        })
    }
}

/// How a watch ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Watched to the end with the policy's coverage and no open breach.
    Passed,
    /// The former revision is back in place, whoever put it there.
    RolledBack,
    /// A rollback was due and could not be done.
    RollbackFailed,
    /// A breach was notified and not rolled back.
    Breached,
    /// A newer deployment took its place.
    Superseded,
    /// An operator ended it.
    Cancelled,
    /// Too little was measured to say anything.
    Inconclusive,
}

impl Outcome {
    /// Each of them.
    pub const ALL: [Self; 7] = [
        Self::Passed,
        Self::RolledBack,
        Self::RollbackFailed,
        Self::Breached,
        Self::Superseded,
        Self::Cancelled,
        Self::Inconclusive,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::RolledBack => "rolled_back",
            Self::RollbackFailed => "rollback_failed",
            Self::Breached => "breached",
            Self::Superseded => "superseded",
            Self::Cancelled => "cancelled",
            Self::Inconclusive => "inconclusive",
        }
    }
}
