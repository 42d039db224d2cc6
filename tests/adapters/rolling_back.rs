//! Rolling back in ECS: whatever goes wrong, at most one effective rollback.

use std::time::Duration;

use aws_sdk_ecs::types::{DeploymentController, DeploymentControllerType};
use deployguard::model::{ActFailure, Controller, Revision, RollbackPlan, Route, ServiceKey};
use deployguard::platform::Platform;

use crate::client::{Account, CLUSTER, SERVICE, shape};
use crate::ecs::{Stage, key, permit};
use crate::world::aws::Fault;
use crate::world::now;

async fn is_back(stage: &Stage) {
    stage.account.ecs.wait_stable(SERVICE).await;
    let service = stage.account.service().await;
    assert_eq!(shape(&service), [("PRIMARY".into(), "api:1".into(), 3)]);
}

#[tokio::test]
async fn a_deployment_in_flight_is_stopped() {
    let stage = Stage::at_rest().await;
    let plan = stage.deploy().await;
    let before = stage.changes();
    let acted = stage.roll_back(&plan).await.expect("rolled back");
    assert_eq!((acted.route, acted.mismatch), (Route::StopServiceDeployment, None));
    is_back(&stage).await;
    assert_eq!(stage.changes_after(before), ["StopServiceDeployment"]);
}

#[tokio::test]
async fn a_deployment_that_is_over_is_updated() {
    let stage = Stage::at_rest().await;
    let plan = stage.deploy_to_the_end().await;
    let before = stage.changes();
    let acted = stage.roll_back(&plan).await.expect("rolled back");
    assert_eq!((acted.route, &acted.mismatch), (Route::UpdateService, &None));
    assert_eq!(acted.deployment, stage.account.ecs.primary_id(SERVICE));
    is_back(&stage).await;
    assert_eq!(stage.changes_after(before), ["UpdateService"]);
}

#[tokio::test]
async fn a_target_that_is_not_the_source_is_updated_while_in_flight() {
    let stage = Stage::at_rest().await;
    let first = stage.sighting().await.primary.revision;
    stage.deploy_to_the_end().await;
    let third = stage.account.register(&[("N", "3")]).await;
    stage.account.update(&third).await;
    stage.account.ecs.wait_running(SERVICE, &third, 1).await;
    let plan = stage.plan(first).await;
    let before = stage.changes();
    let acted = stage.roll_back(&plan).await.expect("rolled back");
    assert_eq!((acted.route, acted.mismatch), (Route::UpdateService, None));
    is_back(&stage).await;
    assert_eq!(stage.changes_after(before), ["UpdateService"]);
}

#[tokio::test]
async fn a_second_try_finds_the_target_in_place_and_calls_nothing() {
    for in_flight in [true, false] {
        let stage = Stage::at_rest().await;
        let plan = if in_flight { stage.deploy().await } else { stage.deploy_to_the_end().await };
        let before = stage.changes();
        stage.roll_back(&plan).await.expect("rolled back");
        let again = stage.ecs.roll_back(&permit(false), &plan).await.expect("in place");
        assert_eq!(again.route, Route::AlreadyInPlace);
        assert_eq!(again.deployment, stage.account.ecs.primary_id(SERVICE));
        is_back(&stage).await;
        assert_eq!(stage.changes_after(before).len(), 1);
    }
}

#[tokio::test]
async fn an_answer_lost_after_the_effect_is_looked_for_and_not_asked_for_again() {
    for (in_flight, operation, route) in [
        (false, "UpdateService", Route::UpdateService),
        (true, "StopServiceDeployment", Route::StopServiceDeployment),
    ] {
        let stage = Stage::at_rest().await;
        let plan = if in_flight { stage.deploy().await } else { stage.deploy_to_the_end().await };
        let before = (stage.changes(), stage.calls(operation));
        stage.account.ecs.fault(operation, &Fault::DropConnectionAfterApplying, 1);
        let acted = stage.roll_back(&plan).await.expect("found");
        assert_eq!((acted.route, acted.mismatch), (route, None));
        is_back(&stage).await;
        assert_eq!(stage.changes_after(before.0), [operation]);
        assert_eq!(stage.calls(operation) - before.1, 1);
    }
}

#[tokio::test]
async fn a_call_without_an_effect_is_transient_and_made_once() {
    let faults = [
        Fault::Throttle,
        Fault::Error5xx,
        Fault::Html(502),
        Fault::Hang(Duration::from_millis(200)),
    ];
    let stage = Stage::at_rest().await;
    let plan = stage.deploy_to_the_end().await;
    for fault in faults {
        let before = (stage.changes(), stage.calls("UpdateService"));
        stage.account.ecs.fault("UpdateService", &fault, 1);
        let failure = stage.roll_back(&plan).await.expect_err("no effect");
        assert!(matches!(failure, ActFailure::Transient(_)), "{fault:?}: {failure:?}");
        assert_eq!(stage.calls("UpdateService") - before.1, 1, "{fault:?}");
        assert_eq!(stage.changes(), before.0, "{fault:?}");
    }
    let acted = stage.ecs.roll_back(&permit(false), &plan).await.expect("the next try");
    assert_eq!(acted.route, Route::UpdateService);
}

#[tokio::test]
async fn silence_ends_with_the_time_out_and_what_came_of_it_is_looked_for() {
    let stage = Stage::at_rest().await;
    let plan = stage.deploy_to_the_end().await;
    stage.account.ecs.fault("UpdateService", &Fault::Hang(Duration::from_mins(1)), 1);
    let begun = tokio::time::Instant::now();
    let failure = stage.roll_back(&plan).await.expect_err("no answer");
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
    let ActFailure::Transient(words) = failure else { panic!("{failure:?}") };
    assert!(words.starts_with("UpdateService: no answer in time; after 3 looks"), "{words}");
    assert_eq!(stage.calls("UpdateService"), 2, "the deployment, and one try");
}

#[tokio::test]
async fn reads_are_tried_again_before_acting() {
    let stage = Stage::at_rest().await;
    let plan = stage.deploy_to_the_end().await;
    stage.account.ecs.fault("DescribeServices", &Fault::Throttle, 2);
    stage.account.ecs.fault("ListServiceDeployments", &Fault::Error5xx, 1);
    stage.account.ecs.fault("DescribeTaskDefinition", &Fault::Html(403), 1);
    let acted = stage.roll_back(&plan).await.expect("rolled back");
    assert_eq!(acted.route, Route::UpdateService);
}

#[tokio::test]
async fn a_newer_deployment_supersedes() {
    let stage = Stage::at_rest().await;
    let plan = stage.deploy_to_the_end().await;
    let third = stage.account.register(&[("N", "3")]).await;
    stage.account.update(&third).await;
    let before = stage.changes();
    let failure = stage.roll_back(&plan).await.expect_err("superseded");
    let ActFailure::Superseded(words) = failure else { panic!("{failure:?}") };
    assert!(words.contains("(api:3) has been in place since"), "{words}");
    assert_eq!(stage.changes(), before);
}

#[tokio::test]
async fn what_cannot_be_put_back_is_refused_and_nothing_is_called() {
    let stage = Stage::at_rest().await;
    let plan = stage.deploy_to_the_end().await;
    let before = stage.changes();
    let same = RollbackPlan { target: plan.judged_revision.clone(), ..plan.clone() };
    let absent = RollbackPlan {
        target: Revision::named(&plan.target.name.replace(":1", ":77")),
        ..plan.clone()
    };
    for plan in [same, absent] {
        let failure = stage.roll_back(&plan).await.expect_err("refused");
        assert!(matches!(failure, ActFailure::Refused(_)), "{failure:?}");
    }
    let deregister = stage.account.client.deregister_task_definition();
    deregister.task_definition("api:1").send().await.expect("deregistered");
    let failure = stage.roll_back(&plan).await.expect_err("refused");
    assert_eq!(failure, ActFailure::Refused("task definition api:1 is INACTIVE".into()));
    assert_eq!(stage.changes(), before);
}

#[tokio::test]
async fn the_platforms_own_rollback_is_reported_and_never_fought() {
    let stage = Stage::of(Account::with_service(Some(true)).await).await;
    let target = stage.sighting().await.primary.revision;
    let second = stage.account.register(&[("CRASH", "1")]).await;
    stage.account.update(&second).await;
    let plan = stage.plan(target).await;
    stage.account.ecs.wait_stable(SERVICE).await;
    let before = stage.changes();
    let acted = stage.roll_back(&plan).await.expect("in place");
    assert_eq!(acted.route, Route::AlreadyInPlace);
    assert_eq!(stage.changes(), before);
}

#[tokio::test]
async fn a_service_that_a_third_party_deploys_is_seen_and_left_alone_with_what_to_do() {
    let stage = Stage::at_rest().await;
    let plan = stage.deploy_to_the_end().await;
    let service = ServiceKey { service: "by-others".into(), ..key() };
    let external = DeploymentController::builder().r#type(DeploymentControllerType::External);
    let creation = stage.account.client.create_service().cluster(CLUSTER);
    let creation = creation.service_name(&service.service).task_definition("api:2");
    let creation = creation.deployment_controller(external.build().expect("a type"));
    creation.send().await.expect("created");
    let look = stage.ecs.look(std::slice::from_ref(&service), now()).await.remove(0).1;
    let seen = look.expect("seen").expect("in place");
    assert_eq!(seen.controller, Controller::External);
    let plan = RollbackPlan { service, judged: seen.primary.id, ..plan.clone() };
    let inspect = stage.ecs.inspect(&plan.service, &plan.judged_revision, &plan.target, false);
    let obstacle = inspect.await.expect("inspected").obstacle.expect("an obstacle");
    assert!(obstacle.contains("Have that controller put api:1 back"), "{obstacle}");
    let failure = stage.roll_back(&plan).await.expect_err("refused");
    assert_eq!(failure, ActFailure::Refused(obstacle));
    assert_eq!(stage.calls("UpdateService"), 1, "only the deployment itself");
}

#[tokio::test]
async fn a_deployment_that_comes_after_a_lost_answer_supersedes_and_is_not_fought() {
    let stage = Stage::at_rest().await;
    let plan = stage.deploy_to_the_end().await;
    let third = stage.account.register(&[("N", "3")]).await;
    // Ours has its effect, its answer is lost, and somebody deploys api:3 on top.
    let before = stage.changes();
    stage.account.ecs.fault("UpdateService", &Fault::DropConnectionAfterApplying, 1);
    let (acted, ()) = tokio::join!(stage.roll_back(&plan), async {
        stage.account.ecs.wait_running(SERVICE, &plan.target.name, 1).await;
        stage.account.update(&third).await;
    });
    let failure = acted.expect_err("api:3 is in place");
    assert!(matches!(failure, ActFailure::Superseded(_)), "{failure:?}");
    assert_eq!(stage.changes_after(before), ["UpdateService", "UpdateService"]);
}
