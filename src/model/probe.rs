//! Probes: what is done with a service to see whether it works.

use std::collections::BTreeMap;
use std::fmt;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::WebAsk;

/// The series of a probe, under the label [`super::CHECK`].
pub const PROBE: &str = "probe";

/// A probe of a deployment.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ProbeAsk {
    /// The check that it is of: of one only one runs at a time.
    pub check: String,
    pub of: Probing,
    /// From the beginning of one run to that of the next.
    pub every: SignedDuration,
    /// What is known of the deployment, by the variable's name.
    pub values: BTreeMap<String, String>,
    /// When the roll-out began: each deployment is probed afresh.
    pub since: Option<Timestamp>,
    /// When it came into service: what ran before met what it replaced.
    #[serde(default)]
    pub live: Option<Timestamp>,
    /// When the grace ends: it is probed then.
    pub clear: Option<Timestamp>,
    /// When the target of a rollback came into place: it is probed then, and what ran before
    /// says nothing of it.
    #[serde(default)]
    pub again: Option<Timestamp>,
}

/// What is done.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Probing {
    /// A command of the settings, by its name.
    Command(String),
    /// One after the other, up to the first that fails.
    Requests(Vec<StepAsk>),
}

/// A request, and what its answer must be.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct StepAsk {
    pub web: WebAsk,
    pub expect: Expect,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Expect {
    /// First and last of each range of codes; none: 200 to 299.
    pub status: Vec<(u16, u16)>,
    pub body_contains: Option<String>,
    /// What each JSONPath must find, a text or as JSON has it.
    pub json: BTreeMap<String, String>,
}

impl fmt::Display for ProbeAsk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.of {
            Probing::Command(name) => write!(f, "command {name}"),
            Probing::Requests(steps) => match steps.as_slice() {
                [] => f.write_str("no requests"),
                [one] => write!(f, "{}", one.web),
                [first, ..] => write!(f, "{} requests from {} on", steps.len(), first.web),
            },
        }
    }
}
