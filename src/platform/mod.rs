//! Platforms: where services run. One room per platform that both looks and
//! acts, because acting is looking again first.
//!
//! A platform never decides: it says what is in place, and does what a plan
//! says if the plan still fits what it sees.

mod accounts;
mod actuator;
mod balancers;
pub mod ecs;
mod host;
pub mod kubernetes;
pub mod render;

pub use accounts::Accounts;
pub use actuator::{Actuators, Endpoint};
pub use balancers::Balancers;
pub use host::Host;

use jiff::Timestamp;

use crate::aws::Fault;
use crate::model::{
    ActFailure, Acted, Inspection, Permit, Revision, RollbackPlan, ServiceKey, ShiftPlan, Sighting,
    StopSwitch,
};

/// A failed look at a platform.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LookError {
    /// The account throttles, is out of reach, or the credentials have run out: other
    /// looks there would fail the same way. The next ones may succeed.
    #[error("{0}")]
    Everywhere(String),
    /// Something passing about what was looked at: the next look may succeed.
    #[error("{0}")]
    Transient(String),
    /// Refused (permissions, unknown cluster): people must mend it.
    #[error("{0}")]
    Permanent(String),
}

impl From<Fault> for LookError {
    fn from(fault: Fault) -> Self {
        if fault.is_transient() && fault.everywhere {
            Self::Everywhere(fault.words)
        } else if fault.is_transient() {
            Self::Transient(fault.words)
        } else {
            Self::Permanent(fault.words)
        }
    }
}

impl From<Fault> for ActFailure {
    fn from(fault: Fault) -> Self {
        if fault.is_transient() {
            Self::Transient(fault.words)
        } else {
            Self::Permanent(fault.words)
        }
    }
}

/// What the engine asks of a platform.
#[expect(async_fn_in_trait, reason = "used with concrete types inside this crate only")]
pub trait Platform {
    /// The names of all clusters of the account and region; namespaces, owners elsewhere.
    async fn clusters(&self) -> Result<Vec<String>, LookError>;

    /// The services that run in `cluster`.
    async fn services(&self, cluster: &str) -> Result<Vec<ServiceKey>, LookError>;

    /// Looks at services at `now`, in as few calls as the platform allows, and
    /// answers once for each distinct one, in any order. `Ok(None)` is a service
    /// that no longer exists or has nothing in place; a failed call costs only
    /// its own batch.
    async fn look(
        &self,
        services: &[ServiceKey],
        now: Timestamp,
    ) -> Vec<(ServiceKey, Result<Option<Sighting>, LookError>)>;

    /// Whether `target` can be put back in the place of `judged`, and what that
    /// would not restore. `pin_digests`: a revision pinned to the target's digests may
    /// be registered for it.
    async fn inspect(
        &self,
        service: &ServiceKey,
        judged: &Revision,
        target: &Revision,
        pin_digests: bool,
    ) -> Result<Inspection, LookError>;

    /// Reads the platform, and says what rolling back would do now. Changes nothing.
    ///
    /// # Errors
    /// Why it would not be done.
    async fn foresee(&self, plan: &RollbackPlan) -> Result<String, ActFailure>;

    /// Reads the platform, and rolls back if the judged deployment is still the
    /// one in place. Idempotent: a target already in place is reported, not set again.
    async fn roll_back(&self, permit: &Permit, plan: &RollbackPlan) -> Result<Acted, ActFailure>;

    /// Reads the platform, and moves a canary's share of the traffic if the judged deployment
    /// is still the one in place, and has less. Idempotent; asks `stop` right before the call.
    async fn shift(&self, plan: &ShiftPlan, stop: &StopSwitch) -> Result<(), ActFailure> {
        let _ = (plan, stop);
        let why = "this platform moves its traffic by itself: no phase can have a weight here";
        Err(ActFailure::Permanent(why.to_owned()))
    }
}
