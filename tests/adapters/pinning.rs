//! One task definition on both sides: the images are what differs.

use deployguard::model::{ActFailure, RollbackPlan, Route};
use deployguard::platform::Platform;

use crate::client::{Account, CLUSTER, SERVICE};
use crate::ecs::{Stage, key, permit, spawnable};
use crate::world::aws::Fault;

const OLD: &str = "sha256:aaaa";
const NEW: &str = "sha256:bbbb";

/// api:1 runs; its tag is moved over to another image, and a new deployment forced.
pub async fn forced() -> (Stage, RollbackPlan) {
    let account = Account::empty().await;
    account.push(OLD);
    account.register(&[("SECRET", "kept")]).await;
    let creation = account.client.create_service().cluster(CLUSTER).service_name(SERVICE);
    let creation = creation.task_definition("api:1").desired_count(3);
    creation.send().await.expect("a service");
    account.ecs.wait_stable(SERVICE).await;
    let stage = Stage::of(account).await;
    let target = stage.sighting().await.primary.revision;
    stage.account.push(NEW);
    let update = stage.account.client.update_service().cluster(CLUSTER).service(SERVICE);
    update.force_new_deployment(true).send().await.expect("forced");
    stage.account.ecs.wait_stable(SERVICE).await;
    let plan = RollbackPlan { pin_digests: true, ..stage.plan(target).await };
    (stage, plan)
}

async fn image(stage: &Stage) -> String {
    stage.account.ecs.wait_stable(SERVICE).await;
    let tasks = stage.account.client.list_tasks().cluster(CLUSTER).send().await.expect("listed");
    let tasks = tasks.task_arns;
    let asked = stage.account.client.describe_tasks().cluster(CLUSTER).set_tasks(tasks);
    let tasks = asked.send().await.expect("described");
    tasks.tasks()[0].containers()[0].image_digest().unwrap_or_default().to_owned()
}

#[tokio::test]
async fn the_known_good_image_comes_back_as_a_revision_pinned_to_its_digest() {
    let (stage, plan) = forced().await;
    assert_eq!(image(&stage).await, NEW);
    let before = stage.changes();
    let acted = stage.roll_back(&plan).await.expect("rolled back");
    assert_eq!((acted.route, &acted.mismatch), (Route::UpdateService, &None));
    let pinned = acted.pinned.expect("said");
    assert_eq!(pinned.short(), "api:2");
    assert_eq!(image(&stage).await, OLD);
    assert_eq!(stage.changes_after(before), ["UpdateService"]);
    let seen = stage.sighting().await.primary.revision;
    assert!(seen.same_images(&plan.target), "{seen:?}");

    let calls = stage.account.ecs.calls();
    let registered = calls.iter().rfind(|call| call.operation == "RegisterTaskDefinition");
    let body = &registered.expect("registered").body;
    assert_eq!(body["containerDefinitions"][0]["image"], format!("registry.example/api@{OLD}"));
    assert_eq!(body["containerDefinitions"][0]["environment"][0]["value"], "kept");
    assert_eq!(body["memory"], "512");

    let again = stage.ecs.roll_back(&permit(false), &plan).await.expect("in place");
    assert_eq!(again.route, Route::AlreadyInPlace);
    assert_eq!(again.pinned.expect("said").short(), "api:2");
}

#[tokio::test]
async fn a_lost_answer_registers_nothing_twice_and_updates_once() {
    for (operation, fault) in [
        ("RegisterTaskDefinition", Fault::DropConnectionAfterApplying),
        ("UpdateService", Fault::DropConnectionAfterApplying),
    ] {
        let (stage, plan) = forced().await;
        let before = (stage.changes(), stage.calls("RegisterTaskDefinition"));
        stage.account.ecs.fault(operation, &fault, 1);
        let acted = stage.roll_back(&plan).await.expect("rolled back");
        assert_eq!(acted.pinned.expect("said").short(), "api:2", "{operation}");
        assert_eq!(image(&stage).await, OLD);
        assert_eq!(stage.changes_after(before.0), ["UpdateService"], "{operation}");
        assert_eq!(stage.calls("RegisterTaskDefinition") - before.1, 1, "{operation}");
    }
}

#[tokio::test]
async fn without_the_key_it_is_refused_with_its_name_and_nothing_is_registered() {
    let (stage, plan) = forced().await;
    let plan = RollbackPlan { pin_digests: false, ..plan };
    let before = stage.changes();
    let failure = stage.roll_back(&plan).await.expect_err("refused");
    let ActFailure::Refused(words) = &failure else { panic!("{failure:?}") };
    assert!(words.contains("pin_digests: true"), "{words}");
    assert_eq!((stage.changes(), stage.calls("RegisterTaskDefinition")), (before, 1));

    for (pin, obstacle) in [(false, true), (true, false)] {
        let (judged, target) = (&plan.judged_revision, &plan.target);
        let found = spawnable(stage.ecs.inspect(&key(), judged, target, pin)).await;
        let found = found.expect("inspected");
        assert_eq!((found.obstacle.is_some(), found.pins), (obstacle, pin), "{found:?}");
    }
}
