//! Every place that is guarded (account and region, Kubernetes cluster, ...), by the name of
//! its target.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Host, LookError, Platform};
use crate::model::{
    ActFailure, Acted, Inspection, Permit, Revision, RollbackPlan, ServiceKey, ShiftPlan,
    StopSwitch,
};

/// Every target. Cheap to clone; they share nothing with one another, so none waits for
/// another.
#[derive(Clone, Default)]
pub struct Accounts {
    targets: Arc<BTreeMap<String, Host>>,
}

impl FromIterator<(String, Host)> for Accounts {
    fn from_iter<I: IntoIterator<Item = (String, Host)>>(targets: I) -> Self {
        Self { targets: Arc::new(targets.into_iter().collect()) }
    }
}

impl Accounts {
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Host)> {
        self.targets.iter().map(|(name, host)| (name.as_str(), host))
    }

    pub fn knows(&self, target: &str) -> bool {
        self.targets.contains_key(target)
    }

    /// The one that a service is in.
    ///
    /// # Errors
    /// The settings have none of this name, in words.
    pub fn of(&self, key: &ServiceKey) -> Result<&Host, String> {
        self.targets.get(&key.target).ok_or_else(|| {
            let known: Vec<&str> = self.targets.keys().map(String::as_str).collect();
            format!(
                "{key}: the settings have no target `{}`: name it under `targets`, beside {}",
                key.target,
                known.join(", ")
            )
        })
    }

    /// As [`Platform::inspect`], where the service is.
    pub async fn inspect(
        &self,
        service: &ServiceKey,
        judged: &Revision,
        target: &Revision,
        pin_digests: bool,
    ) -> Result<Inspection, LookError> {
        let host = self.of(service).map_err(LookError::Permanent)?;
        host.inspect(service, judged, target, pin_digests).await
    }

    /// As [`Platform::foresee`], where the plan's service is.
    pub async fn foresee(&self, plan: &RollbackPlan) -> Result<String, ActFailure> {
        self.of(&plan.service).map_err(ActFailure::Permanent)?.foresee(plan).await
    }

    /// As [`Platform::roll_back`], where the plan's service is.
    pub async fn roll_back(
        &self,
        permit: &Permit,
        plan: &RollbackPlan,
    ) -> Result<Acted, ActFailure> {
        self.of(&plan.service).map_err(ActFailure::Permanent)?.roll_back(permit, plan).await
    }

    /// As [`Platform::shift`], where the plan's service is.
    pub async fn shift(&self, plan: &ShiftPlan, stop: &StopSwitch) -> Result<(), ActFailure> {
        self.of(&plan.service).map_err(ActFailure::Permanent)?.shift(plan, stop).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aws::{Account, AccountSettings};
    use crate::platform::ecs::Ecs;

    #[tokio::test]
    async fn a_service_of_a_target_that_the_settings_do_not_name_is_refused_with_the_key() {
        let account = AccountSettings { target: "prod-us".into(), ..AccountSettings::default() };
        let ecs = Ecs::of(&Account::connect(account).await);
        let accounts: Accounts = [("prod-us".to_owned(), ecs.into())].into_iter().collect();
        let key = |target: &str| ServiceKey {
            target: target.into(),
            cluster: "shop".into(),
            service: "api".into(),
        };
        assert!(accounts.of(&key("prod-us")).is_ok());
        let refused = accounts.of(&key("prod-eu")).err().unwrap_or_default();
        assert_eq!(
            refused,
            "prod-eu/shop/api: the settings have no target `prod-eu`: name it under `targets`, \
             beside prod-us"
        );
    }
}
