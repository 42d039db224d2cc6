//! What the platform shows of a service.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Revision, ServiceKey};

/// One look at a service on its platform.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Sighting {
    pub service: ServiceKey,
    pub at: Timestamp,
    pub controller: Controller,
    /// What the platform is making true.
    pub primary: PlatformDeployment,
    /// What is still draining beside it.
    pub others: Vec<PlatformDeployment>,
    /// ARN of the service deployment in flight, where the API offers it.
    pub in_flight: Option<String>,
    /// Why the platform is rolling back by itself, if it is.
    pub native_rollback: Option<String>,
    /// What the deployment in flight or the newest one came from, where the API tells.
    pub source: Option<Revision>,
}

/// One entry of a service's deployments.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PlatformDeployment {
    pub id: String,
    pub revision: Revision,
    pub created_at: Timestamp,
    pub roll_out: RollOut,
    /// In the platform's words.
    pub reason: Option<String>,
    pub desired: u32,
    pub running: u32,
    /// Start failures in a row; no signal of application errors.
    pub failed: u32,
}

/// How far a roll-out is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RollOut {
    InProgress,
    Completed,
    Failed,
}

/// Who changes the service's task definition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Controller {
    Ecs,
    CodeDeploy,
    External,
}

impl Sighting {
    /// Whether two looks show the same, their time aside.
    pub fn shows_the_same_as(&self, other: &Sighting) -> bool {
        Sighting { at: other.at, ..self.clone() } == *other
    }

    /// Whether the roll-out has ended well.
    pub fn is_stable(&self) -> bool {
        self.primary.roll_out == RollOut::Completed && self.others.is_empty()
    }
}
