//! Rolling back from every state of a deployment with stages, and beside ECS's own guards.

use aws_sdk_ecs::types::{
    CanaryConfiguration, DeploymentAlarms, DeploymentConfiguration, DeploymentLifecycleHook,
    DeploymentLifecycleHookStage, DeploymentLifecycleHookTargetType, DeploymentStrategy,
    LinearConfiguration, ServiceDeploymentLifecycleStage,
};
use deployguard::model::{RollOut, RollbackPlan, Route};
use deployguard::platform::Platform;

use crate::client::{Account, SERVICE, shape};
use crate::ecs::{Stage, permit};
use crate::world::aws::Fault;

/// Minutes, of which the stand-in's take a fifth of a second.
const BAKES: i32 = 1;

fn staged(strategy: DeploymentStrategy) -> DeploymentConfiguration {
    let linear = LinearConfiguration::builder().step_percent(50.0).step_bake_time_in_minutes(0);
    let canary = CanaryConfiguration::builder().canary_percent(10.0).canary_bake_time_in_minutes(0);
    let built = DeploymentConfiguration::builder().bake_time_in_minutes(BAKES);
    let built = match strategy {
        DeploymentStrategy::Linear => built.linear_configuration(linear.build()),
        DeploymentStrategy::Canary => built.canary_configuration(canary.build()),
        _ => built,
    };
    built.strategy(strategy).build()
}

/// A service whose deployments wait at a hook, and bake after it.
pub async fn pausing() -> Stage {
    let hook = DeploymentLifecycleHook::builder()
        .target_type(DeploymentLifecycleHookTargetType::Pause)
        .lifecycle_stages(DeploymentLifecycleHookStage::PostTestTrafficShift)
        .build();
    let built = DeploymentConfiguration::builder().strategy(DeploymentStrategy::BlueGreen);
    at(built.bake_time_in_minutes(BAKES).lifecycle_hooks(hook).build()).await
}

/// A service whose deployments bake.
pub async fn baking() -> Stage {
    let built = DeploymentConfiguration::builder().strategy(DeploymentStrategy::BlueGreen);
    at(built.bake_time_in_minutes(BAKES).build()).await
}

async fn at(configuration: DeploymentConfiguration) -> Stage {
    Stage::of(Account::deployed_by(configuration).await).await
}

impl Stage {
    /// Deploys api:2 and waits until its service deployment is in this stage, at a hook
    /// where `waits`. It bakes until its end is waited for.
    pub async fn deploy_until(
        &self,
        stage: ServiceDeploymentLifecycleStage,
        waits: bool,
    ) -> RollbackPlan {
        let target = self.sighting().await.primary.revision;
        let second = self.account.register(&[]).await;
        self.account.ecs.hold(&second);
        self.account.update(&second).await;
        let reached = async {
            loop {
                let newest = self.account.newest_deployment().await;
                let hooked = !newest.lifecycle_hook_details().is_empty();
                if newest.lifecycle_stage() == Some(&stage) && (hooked || !waits) {
                    return;
                }
                tokio::task::yield_now().await;
            }
        };
        let reached = tokio::time::timeout(std::time::Duration::from_secs(20), reached).await;
        reached.expect("the stage is reached");
        self.plan(target).await
    }

    pub async fn is_back(&self) {
        self.account.ecs.wait_stable(SERVICE).await;
        let service = self.account.service().await;
        assert_eq!(shape(&service), [("PRIMARY".into(), "api:1".into(), 3)]);
    }
}

#[tokio::test]
async fn a_baking_deployment_is_stopped_whatever_its_strategy() {
    for strategy in
        [DeploymentStrategy::BlueGreen, DeploymentStrategy::Linear, DeploymentStrategy::Canary]
    {
        let stage = at(staged(strategy.clone())).await;
        let plan = stage.deploy_until(ServiceDeploymentLifecycleStage::BakeTime, false).await;
        let seen = stage.sighting().await;
        assert_eq!((seen.primary.roll_out, seen.others.len()), (RollOut::InProgress, 1));
        let before = stage.changes();
        let acted = stage.roll_back(&plan).await.expect("rolled back");
        assert_eq!((acted.route, acted.mismatch), (Route::StopServiceDeployment, None));
        stage.is_back().await;
        assert_eq!(stage.changes_after(before), ["StopServiceDeployment"], "{strategy:?}");
    }
}

#[tokio::test]
async fn a_deployment_that_waits_at_a_hook_is_sent_back_from_there() {
    for fault in [None, Some(Fault::DropConnectionAfterApplying)] {
        let stage = pausing().await;
        let at_hook = ServiceDeploymentLifecycleStage::PostTestTrafficShift;
        let plan = stage.deploy_until(at_hook, true).await;
        let before = stage.changes();
        if let Some(fault) = fault {
            stage.account.ecs.fault("ContinueServiceDeployment", &fault, 1);
        }
        let acted = stage.roll_back(&plan).await.expect("rolled back");
        assert_eq!((acted.route, acted.mismatch), (Route::ContinueServiceDeployment, None));
        stage.is_back().await;
        assert_eq!(stage.changes_after(before), ["ContinueServiceDeployment"]);
        assert_eq!(stage.calls("ContinueServiceDeployment"), 1);
        let again = stage.ecs.roll_back(&permit(false), &plan).await.expect("in place");
        assert_eq!(again.route, Route::AlreadyInPlace);
    }
}

#[tokio::test]
async fn a_completed_blue_green_deployment_is_updated() {
    let strategy = DeploymentConfiguration::builder().strategy(DeploymentStrategy::BlueGreen);
    let stage = at(strategy.bake_time_in_minutes(0).build()).await;
    let plan = stage.deploy_to_the_end().await;
    let before = stage.changes();
    let acted = stage.roll_back(&plan).await.expect("rolled back");
    assert_eq!((acted.route, acted.mismatch), (Route::UpdateService, None));
    stage.is_back().await;
    assert_eq!(stage.changes_after(before), ["UpdateService"]);
}

#[tokio::test]
async fn an_alarm_that_ecs_rolls_back_for_is_reported_and_never_fought() {
    let alarms = DeploymentAlarms::builder().alarm_names("api-5xx").enable(true).rollback(true);
    let alarms = alarms.build().expect("alarms");
    let built = DeploymentConfiguration::builder().strategy(DeploymentStrategy::BlueGreen);
    let stage = at(built.bake_time_in_minutes(BAKES).alarms(alarms).build()).await;
    let plan = stage.deploy_until(ServiceDeploymentLifecycleStage::BakeTime, false).await;
    let before = stage.changes();
    stage.account.ecs.set_alarm("api-5xx", true);
    let seen = stage.sighting().await;
    let reason = seen.native_rollback.expect("said");
    assert!(reason.contains("(alarms: api-5xx)"), "{reason}");
    let acted = stage.roll_back(&plan).await.expect("in place");
    assert_eq!(acted.route, Route::AlreadyInPlace);
    stage.is_back().await;
    assert_eq!(stage.changes(), before, "nothing was called");
}
