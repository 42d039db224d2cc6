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
    /// The platform's id of what is in flight (ECS: ARN of the service deployment), where
    /// the API offers it.
    pub in_flight: Option<String>,
    /// Why the platform is rolling back by itself, if it is.
    pub native_rollback: Option<String>,
    /// What the deployment in flight or the newest one came from, where the API tells.
    pub source: Option<Revision>,
    /// The newest deployment that only builds yet, where the platform tells: it takes nothing
    /// from what is in place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub coming: Option<Box<PlatformDeployment>>,
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
    /// The share of the traffic that is routed to it, in percent, where the platform routes
    /// by weight; 100 of the primary ends the roll-out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight: Option<u8>,
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

/// Who changes what is in place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Controller {
    Ecs,
    CodeDeploy,
    External,
    /// Kubernetes rolls a Deployment's pods over.
    Rollout,
    /// People or a pipeline change the selector of a Kubernetes Service (blue/green).
    Selector,
    /// People, a pipeline or the guard change the weights of a Kubernetes route (canary).
    Weights,
    Render,
}

impl Controller {
    /// Who it is, in words.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ecs | Self::External => "ECS",
            Self::CodeDeploy => "CodeDeploy",
            Self::Rollout | Self::Selector | Self::Weights => "Kubernetes",
            Self::Render => "Render",
        }
    }
}

impl Controller {
    /// What people call one running copy there.
    pub fn copy(self) -> &'static str {
        match self {
            Self::Ecs | Self::External | Self::CodeDeploy => "task",
            Self::Rollout | Self::Selector | Self::Weights => "pod",
            Self::Render => "instance",
        }
    }
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
