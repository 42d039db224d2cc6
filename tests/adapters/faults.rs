//! Faults x calls that change something: nothing is lost and nothing happens twice, whatever
//! goes wrong. Calls that only read: `reads`.

use std::time::Duration;

use aws_sdk_ecs::types::{ServiceDeploymentLifecycleStage, TaskDefinition};
use deployguard::model::{ActFailure, RollbackPlan};
use deployguard::platform::Platform;
use deployguard::triggers::sqs::Queue;
use jiff::SignedDuration;
use serde_json::json;
use tokio::task::JoinSet;

use crate::client::SERVICE;
use crate::code_deploy::Shop;
use crate::ecs::{Stage, aws_at, permit};
use crate::operations::WRITES;
use crate::pinning::forced;
use crate::states::{baking, pausing};
use crate::world::aws::Fault;

/// All that pass, each once; `Hang` is a time-out that had no effect.
pub fn passing() -> [Fault; 7] {
    [
        Fault::Throttle,
        Fault::Error5xx,
        Fault::Html(502),
        Fault::Expired,
        Fault::Skewed,
        Fault::Hang(Duration::from_millis(50)),
        Fault::DropConnectionAfterApplying,
    ]
}

/// As the engine does: tries again after what is transient. `Err`: it was refused at the first
/// try.
async fn until_done(stage: &Stage, plan: &RollbackPlan) -> Result<(), String> {
    for tries in 1..=3 {
        match stage.ecs.roll_back(&permit(tries == 1), plan).await {
            Ok(_) => return Ok(()),
            Err(ActFailure::Transient(_)) => {}
            Err(ActFailure::Permanent(why)) if tries == 1 => return Err(why),
            Err(failure) => panic!("{failure:?}"),
        }
    }
    panic!("three tries were not enough");
}

/// A rollback that is made with this operation, and what changes by it.
async fn scene(operation: &str) -> (Stage, RollbackPlan, &'static str) {
    use ServiceDeploymentLifecycleStage::{BakeTime, PostTestTrafficShift};
    match operation {
        "ContinueServiceDeployment" => {
            let stage = pausing().await;
            let plan = stage.deploy_until(PostTestTrafficShift, true).await;
            (stage, plan, "ContinueServiceDeployment")
        }
        "StopServiceDeployment" => {
            let stage = baking().await;
            let plan = stage.deploy_until(BakeTime, false).await;
            (stage, plan, "StopServiceDeployment")
        }
        "RegisterTaskDefinition" | "UpdateService" => {
            let (stage, plan) = forced().await;
            (stage, plan, "UpdateService")
        }
        "StopDeployment" => {
            let shop = Shop::open().await;
            let plan = shop.deploy().await;
            (shop.stage, plan, "StopDeployment")
        }
        "CreateDeployment" => {
            let shop = Shop::open().await;
            let plan = shop.deploy_to_the_end().await;
            (shop.stage, plan, "CreateDeployment")
        }
        other => panic!("no rollback is made with {other}: add a scene"),
    }
}

/// What was in place before is so again, in the right images.
async fn is_back(stage: &Stage, operation: &str) {
    stage.account.ecs.wait_stable(SERVICE).await;
    let seen = stage.sighting().await;
    let pinned = ["RegisterTaskDefinition", "UpdateService"].contains(&operation);
    let back = if pinned { "api:2" } else { "api:1" };
    assert_eq!((seen.primary.revision.short(), seen.is_stable()), (back, true), "{operation}");
    if pinned {
        let newest = stage.account.client.describe_task_definition().task_definition("api");
        let newest = newest.send().await.expect("described");
        let revision = newest.task_definition().map_or(0, TaskDefinition::revision);
        assert_eq!(revision, 2, "registered once: {operation}");
    }
}

/// Meets each fault once, in a rollback of its own.
async fn meet(operation: &'static str, fault: Fault) {
    let (stage, plan, change) = scene(operation).await;
    let before = stage.changes();
    stage.account.ecs.fault(operation, &fault, 1);
    let done = until_done(&stage, &plan).await;
    let changes = stage.changes_after(before);
    let Err(why) = done else {
        // Where a stop is not allowed, another call may be.
        let instead = match (&fault, operation) {
            (Fault::Denied, "ContinueServiceDeployment") => "StopServiceDeployment",
            (Fault::Denied, _) => "UpdateService",
            _ => change,
        };
        is_back(&stage, operation).await;
        let changes = stage.changes_after(before);
        assert_eq!(changes, [instead], "{operation} {fault:?}");
        return;
    };
    assert!(matches!(fault, Fault::Denied) && why.contains("AccessDenied"), "{operation}: {why}");
    assert!(changes.is_empty(), "{operation} was refused, and {changes:?}");
    stage.ecs.roll_back(&permit(false), &plan).await.expect("once it is allowed");
    is_back(&stage, operation).await;
    assert_eq!(stage.changes_after(before), [change], "{operation} {fault:?}");
}

#[tokio::test]
async fn every_call_of_a_rollback_has_one_effect_whatever_goes_wrong_with_it() {
    let mut meetings = JoinSet::new();
    for called in WRITES {
        let (service, operation) = called.split_once(':').expect("a service and an operation");
        if service == "sqs" {
            continue;
        }
        for fault in passing().into_iter().chain([Fault::Denied]) {
            meetings.spawn(meet(operation, fault));
        }
    }
    while let Some(met) = meetings.join_next().await {
        met.expect("it holds");
    }
}

#[tokio::test]
async fn messages_are_deleted_and_given_back_whatever_goes_wrong_and_none_is_lost() {
    let stage = Stage::at_rest().await;
    let url = stage.account.ecs.events_to("events", 1000);
    let queue = Queue::of(&aws_at(stage.account.ecs.url()).await, &url);
    for operation in ["ChangeMessageVisibilityBatch", "DeleteMessageBatch"] {
        assert!(WRITES.contains(&format!("sqs:{operation}").as_str()));
        for fault in passing().into_iter().chain([Fault::Denied]) {
            let sent = json!({ "QueueUrl": url, "MessageBody": "a message" });
            stage.account.ecs.call_sqs("SendMessage", &sent).expect("sent");
            let letters = queue.receive(Duration::ZERO).await.expect("received");
            assert_eq!(letters.len(), 1, "{operation} {fault:?}: what was given back is there");
            stage.account.ecs.fault(operation, &fault, 1);
            let asked = match operation {
                "DeleteMessageBatch" => queue.delete(&letters).await,
                _ => queue.release(&letters).await,
            };
            // Both are harmless twice, so the SDK tries again where that may help.
            let fails = matches!(fault, Fault::Denied | Fault::Expired | Fault::Skewed);
            assert_eq!(asked.is_err(), fails, "{operation} {fault:?}");
            stage.account.ecs.time_out_messages();
            let kept = operation != "DeleteMessageBatch" || asked.is_err();
            let again = queue.receive(Duration::ZERO).await.expect("received");
            assert_eq!(again.len(), usize::from(kept), "{operation} {fault:?}");
            queue.delete(&again).await.expect("deleted");
        }
    }
}

#[tokio::test]
async fn with_a_clock_that_is_an_hour_off_a_rollback_is_made_once() {
    for hours in [1, -1] {
        let (stage, plan) = forced().await;
        let before = stage.changes();
        stage.account.ecs.run_ahead(SignedDuration::from_hours(hours));
        until_done(&stage, &plan).await.expect("not refused");
        stage.account.ecs.run_ahead(SignedDuration::ZERO);
        assert_eq!(stage.changes_after(before), ["UpdateService"], "{hours} h");
        assert!(stage.calls("RegisterTaskDefinition") == 2, "the test's own, and one: {hours} h");
    }
}

#[tokio::test]
async fn a_registry_that_cannot_be_asked_is_no_obstacle_and_an_image_that_is_gone_is_one() {
    let stage = Stage::at_rest().await;
    let plan = stage.deploy_in_ecr().await;
    let key = crate::ecs::key();
    let inspect = || stage.ecs.inspect(&key, &plan.judged_revision, &plan.target, false);
    stage.account.ecs.fault("BatchGetImage", &Fault::Denied, 1);
    let found = inspect().await.expect("inspected");
    assert_eq!((found.obstacle, found.unasked.len()), (None, 1));
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
