//! What a rollback would be if somebody asked for it now.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::clock;
use crate::platform::Accounts;
use crate::watch::{PreflightState, Watch};

/// The platform, for questions only.
#[derive(Clone)]
pub struct Foresight {
    platform: Accounts,
}

/// A rollback that was not made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Foreseen {
    pub watch: String,
    /// What would be put back, and why that.
    pub target: Option<String>,
    pub because: Option<String>,
    /// The call that would be made.
    pub route: Option<String>,
    /// What it would not restore.
    pub not_restored: Vec<String>,
    /// Why nothing would be done; empty: it would.
    pub obstacles: Vec<String>,
}

impl Foresight {
    pub fn new(platform: Accounts) -> Self {
        Self { platform }
    }

    /// What a person's rollback of this watch would do now. Reads the platform, and
    /// changes nothing.
    pub async fn of(&self, watch: &Watch) -> Foreseen {
        let (plan, refused) = watch.would_roll_back(clock::now());
        let mut obstacles: Vec<String> = refused.into_iter().collect();
        let mut route = None;
        if let Some(plan) = &plan {
            match self.platform.foresee(plan).await {
                Ok(call) => route = Some(call),
                Err(failure) => obstacles.push(failure.to_string()),
            }
        }
        let not_restored = match &watch.preflight {
            PreflightState::Ready { not_restored, .. } => not_restored.clone(),
            PreflightState::Unknown => Vec::new(),
            PreflightState::Impossible { because } => {
                // The mode may be what is said first: that there is no target counts too.
                if !obstacles.contains(because) {
                    obstacles.push(because.clone());
                }
                Vec::new()
            }
        };
        Foreseen {
            watch: watch.id.to_string(),
            target: plan.as_ref().map(|plan| plan.target.short().to_owned()),
            because: plan.map(|plan| plan.target_because),
            route,
            not_restored,
            obstacles,
        }
    }
}
