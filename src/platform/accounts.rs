//! Every place that is guarded (account and region, Kubernetes cluster, ...), by the name of
//! its target.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;

use super::actuator::Actuators;
use super::{Host, LookError, Platform};
use crate::model::{
    ActFailure, Acted, Inspection, Permit, Revision, RollbackPlan, ServiceKey, ShiftPlan,
    StopSwitch, WatchId,
};
use crate::policy::RollbackRule;

/// Every target. Cheap to clone; they share nothing with one another, so none waits for
/// another.
#[derive(Clone, Default)]
pub struct Accounts {
    targets: Arc<BTreeMap<String, Host>>,
    actuators: Actuators,
}

impl FromIterator<(String, Host)> for Accounts {
    fn from_iter<I: IntoIterator<Item = (String, Host)>>(targets: I) -> Self {
        let targets = Arc::new(targets.into_iter().collect());
        Self { targets, actuators: Actuators::default() }
    }
}

impl Accounts {
    /// The same, with other ways to bring a version back.
    #[must_use]
    pub fn with(self, actuators: Actuators) -> Self {
        Self { actuators, ..self }
    }

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

    /// As [`Platform::inspect`], where the service is; where something else than its call
    /// brings the target back, whether that is there.
    pub async fn inspect(
        &self,
        service: &ServiceKey,
        judged: &Revision,
        target: &Revision,
        rule: &RollbackRule,
    ) -> Result<Inspection, LookError> {
        let host = self.of(service).map_err(LookError::Permanent)?;
        let hooks = rule.maintenance.iter().flat_map(|hooks| [&hooks.on, &hooks.off]);
        let missing = hooks.filter_map(|hook| self.actuators.check(hook).err());
        let unasked: Vec<String> =
            missing.map(|why| format!("no maintenance mode: {why}")).collect();
        if let Some(by) = &rule.by {
            let obstacle = self.actuators.check(by).err();
            return Ok(Inspection { obstacle, unasked, ..Inspection::default() });
        }
        let mut inspection = host.inspect(service, judged, target, rule.pin_digests).await?;
        inspection.unasked.extend(unasked);
        Ok(inspection)
    }

    /// As [`Platform::foresee`], where the plan's service is.
    pub async fn foresee(&self, plan: &RollbackPlan) -> Result<String, ActFailure> {
        let host = self.of(&plan.service).map_err(ActFailure::Permanent)?;
        match &plan.means.by {
            None => host.foresee(plan).await,
            Some(by) => {
                self.actuators.check(by).map_err(ActFailure::Refused)?;
                Ok(format!("{by} would be set off"))
            }
        }
    }

    /// As [`Platform::roll_back`], where the plan's service is.
    pub async fn roll_back(
        &self,
        permit: &Permit,
        plan: &RollbackPlan,
        now: Timestamp,
    ) -> Result<Acted, ActFailure> {
        let host = self.of(&plan.service).map_err(ActFailure::Permanent)?;
        self.actuators.roll_back(host, permit, plan, now).await
    }

    /// Turns off the maintenance mode that a rollback by `plan` turned on.
    ///
    /// # Errors
    /// Why it may still be on.
    pub async fn leave_maintenance(
        &self,
        plan: &RollbackPlan,
        watch: &WatchId,
        now: Timestamp,
    ) -> Result<(), String> {
        self.actuators.leave(plan, watch, now).await
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
