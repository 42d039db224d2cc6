//! What a rollback would be if somebody asked for it now.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::clock;
use crate::model::ActFailure;
use crate::platform::Accounts;
use crate::watch::{PreflightState, Watch};

/// How long somebody waits to hear what would be called.
const PATIENCE: Duration = Duration::from_secs(5);

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
    /// Why nothing would be done; empty: nothing is known that would stop it.
    pub obstacles: Vec<String>,
    /// Why the platform could not be asked now: the call is not known then, and the platform
    /// is asked again before anything is done.
    #[serde(default)]
    pub unasked: Option<String>,
}

/// What a look at the platform came to.
#[derive(Debug, PartialEq, Eq)]
enum Looked {
    /// The call that would be made.
    Call(String),
    /// It would be refused.
    Refused(String),
    /// It could not be asked now.
    NotNow(String),
}

impl Looked {
    fn of(answer: Result<String, ActFailure>) -> Self {
        match answer {
            Ok(call) => Self::Call(call),
            Err(failure) => match failure.itself() {
                ActFailure::Transient(why) => Self::NotNow(why.clone()),
                ActFailure::Superseded(_)
                | ActFailure::Refused(_)
                | ActFailure::Permanent(_)
                | ActFailure::Stopped(_)
                | ActFailure::Maintained { .. } => Self::Refused(failure.to_string()),
            },
        }
    }

    async fn in_time(answer: impl Future<Output = Result<String, ActFailure>>) -> Self {
        match tokio::time::timeout(PATIENCE, answer).await {
            Ok(answer) => Self::of(answer),
            Err(_) => Self::NotNow(format!("no answer within {PATIENCE:?}")),
        }
    }
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
        let (mut route, mut unasked) = (None, None);
        if let Some(plan) = &plan {
            match Looked::in_time(self.platform.foresee(plan)).await {
                Looked::Call(call) => route = Some(call),
                Looked::Refused(why) => obstacles.push(why),
                Looked::NotNow(why) => unasked = Some(why),
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
            unasked,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_not_be_asked_now_is_no_refusal() {
        let of = |failure| Looked::of(Err(failure));
        let throttled = ActFailure::Transient("ThrottlingException".to_owned());
        assert_eq!(of(throttled), Looked::NotNow("ThrottlingException".to_owned()));
        for failure in [
            ActFailure::Refused("in place already".to_owned()),
            ActFailure::Superseded("api:3 is in place".to_owned()),
            ActFailure::Permanent("AccessDeniedException".to_owned()),
        ] {
            let words = failure.to_string();
            assert_eq!(of(failure), Looked::Refused(words));
        }
        assert_eq!(
            Looked::of(Ok("UpdateService".to_owned())),
            Looked::Call("UpdateService".into())
        );
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_waits_long_for_what_would_be_called() {
        let looked = Looked::in_time(std::future::pending()).await;
        assert_eq!(looked, Looked::NotNow("no answer within 5s".to_owned()));
    }
}
