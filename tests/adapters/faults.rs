//! Faults x calls: nothing is lost and nothing happens twice, whatever goes wrong.

use std::time::Duration;

use aws_sdk_ecs::types::{ServiceDeploymentLifecycleStage, TaskDefinition};
use deployguard::model::{ActFailure, RollbackPlan};
use deployguard::platform::Platform;

use crate::code_deploy::Shop;
use crate::ecs::{Stage, key, permit, spawnable};
use crate::pinning::forced;
use crate::states::pausing;
use crate::world::aws::Fault;

/// Once each; `Hang` is a time-out that had no effect.
fn faults() -> [Fault; 6] {
    [
        Fault::Throttle,
        Fault::Error5xx,
        Fault::Html(502),
        Fault::Expired,
        Fault::Hang(Duration::from_millis(50)),
        Fault::DropConnectionAfterApplying,
    ]
}

/// As the engine does: tries again after what is transient. Says how many tries it took.
async fn until_done(stage: &Stage, plan: &RollbackPlan) -> usize {
    for tries in 1..=3 {
        match stage.ecs.roll_back(&permit(tries == 1), plan).await {
            Ok(_) => return tries,
            Err(ActFailure::Transient(_)) => {}
            Err(failure) => panic!("{failure:?}"),
        }
    }
    panic!("three tries were not enough");
}

#[tokio::test]
async fn a_faulty_continue_sends_a_deployment_back_once() {
    for fault in faults() {
        let stage = pausing().await;
        let at_hook = ServiceDeploymentLifecycleStage::PostTestTrafficShift;
        let plan = stage.deploy_until(at_hook, true).await;
        let before = stage.changes();
        stage.account.ecs.fault("ContinueServiceDeployment", &fault, 1);
        until_done(&stage, &plan).await;
        stage.is_back().await;
        assert_eq!(stage.changes_after(before), ["ContinueServiceDeployment"], "{fault:?}");
    }
}

#[tokio::test]
async fn a_faulty_registration_or_update_pins_once() {
    for operation in ["RegisterTaskDefinition", "UpdateService"] {
        for fault in faults() {
            let (stage, plan) = forced().await;
            let before = stage.changes();
            stage.account.ecs.fault(operation, &fault, 1);
            until_done(&stage, &plan).await;
            assert_eq!(stage.changes_after(before), ["UpdateService"], "{operation} {fault:?}");
            let newest = stage.account.client.describe_task_definition().task_definition("api");
            let newest = newest.send().await.expect("described");
            let revision = newest.task_definition().map_or(0, TaskDefinition::revision);
            assert_eq!(revision, 2, "registered once: {operation} {fault:?}");
        }
    }
}

#[tokio::test]
async fn a_faulty_stop_in_code_deploy_reroutes_once() {
    for fault in faults() {
        let shop = Shop::open().await;
        shop.bakes_long();
        let plan = shop.deploy().await;
        let before = shop.stage.changes();
        shop.stage.account.ecs.fault("StopDeployment", &fault, 1);
        until_done(&shop.stage, &plan).await;
        shop.is_back().await;
        assert_eq!(shop.stage.changes_after(before), ["StopDeployment"], "{fault:?}");
    }
}

#[tokio::test]
async fn a_faulty_creation_in_code_deploy_deploys_once() {
    for fault in faults() {
        let shop = Shop::open().await;
        let plan = shop.deploy_to_the_end().await;
        let before = shop.stage.changes();
        shop.stage.account.ecs.fault("CreateDeployment", &fault, 1);
        until_done(&shop.stage, &plan).await;
        shop.is_back().await;
        assert_eq!(shop.stage.changes_after(before), ["CreateDeployment"], "{fault:?}");
    }
}

#[tokio::test]
async fn reads_that_fail_once_cost_no_try_and_cause_no_call() {
    let reads =
        ["GetDeployment", "ListDeployments", "BatchGetDeployments", "GetApplicationRevision"];
    for operation in reads {
        for fault in [Fault::Throttle, Fault::Error5xx, Fault::Expired] {
            let shop = Shop::open().await;
            let plan = shop.deploy_to_the_end().await;
            let before = shop.stage.changes();
            shop.stage.account.ecs.fault(operation, &fault, 1);
            until_done(&shop.stage, &plan).await;
            shop.is_back().await;
            let changes = shop.stage.changes_after(before);
            assert_eq!(changes, ["CreateDeployment"], "{operation} {fault:?}");
        }
    }
}

#[tokio::test]
async fn a_registry_that_cannot_be_asked_is_told_and_is_no_obstacle() {
    let stage = Stage::at_rest().await;
    let plan = stage.deploy_in_ecr().await;
    let key = key();
    for (fault, times) in [
        (Fault::Denied, 1),
        (Fault::Throttle, 3),
        (Fault::Error5xx, 3),
        (Fault::Expired, 3),
        (Fault::Html(502), 3),
    ] {
        stage.account.ecs.clear_faults();
        stage.account.ecs.fault("BatchGetImage", &fault, times);
        let inspect = stage.ecs.inspect(&key, &plan.judged_revision, &plan.target, false);
        let found = spawnable(inspect).await.expect("inspected");
        assert_eq!(found.obstacle, None, "{fault:?}");
        assert_eq!(found.unasked.len(), 1, "{fault:?}: {found:?}");
    }
    stage.account.ecs.clear_faults();
    let inspect = || stage.ecs.inspect(&key, &plan.judged_revision, &plan.target, false);
    let found = inspect().await.expect("inspected");
    assert_eq!((found.obstacle, found.unasked.len()), (None, 0));
    assert_eq!(
        found.differences,
        [
            "image of app: 123456789012.dkr.ecr.us-east-1.amazonaws.com/api:v1 -> \
             123456789012.dkr.ecr.us-east-1.amazonaws.com/api:v2",
            "environment of app: FLAG added",
        ]
    );
    stage.account.ecs.delete_image("api", "v1");
    let obstacle = inspect().await.expect("inspected").obstacle.expect("an obstacle");
    assert!(obstacle.ends_with("/api:v1 is gone from the registry"), "{obstacle}");
}
