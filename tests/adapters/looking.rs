//! Looking at ECS.

use deployguard::model::{Revision, RollOut, ServiceKey};
use deployguard::platform::{LookError, Platform};

use crate::client::{Account, CLUSTER, SERVICE};
use crate::ecs::{Stage, key, spawnable};
use crate::world::aws::Fault;
use crate::world::now;

#[tokio::test]
async fn a_service_at_rest_is_seen_with_its_revision_and_costs_one_call_from_then_on() {
    let stage = Stage::at_rest().await;
    let first = stage.sighting().await;
    assert!(first.is_stable());
    assert_eq!((first.in_flight.as_ref(), first.native_rollback.as_ref()), (None, None));
    assert!(first.primary.revision.service_revision.is_some());
    assert!(first.primary.revision.digests[0].starts_with("registry.example/api:latest@sha256:"));
    let before = stage.account.ecs.calls().len();
    let second = stage.sighting().await;
    assert!(second.shows_the_same_as(&first));
    let calls: Vec<_> = stage.account.ecs.calls().drain(before..).map(|c| c.operation).collect();
    assert_eq!(calls, ["DescribeServices"]);
}

#[tokio::test]
async fn a_roll_out_is_seen_with_where_it_came_from() {
    let stage = Stage::at_rest().await;
    let plan = stage.deploy().await;
    let seen = stage.sighting().await;
    assert_eq!(seen.primary.roll_out, RollOut::InProgress);
    assert_eq!(seen.primary.revision.short(), "api:2");
    assert_eq!(seen.others[0].revision, plan.target);
    assert_eq!(seen.source, Some(plan.target));
    assert!(seen.in_flight.is_some());
    stage.account.ecs.wait_stable(SERVICE).await;
    let seen = stage.sighting().await;
    assert!(seen.is_stable() && seen.in_flight.is_none());
    assert_eq!(seen.source.expect("still told").short(), "api:1");
}

#[tokio::test]
async fn ecs_rolling_back_by_itself_is_not_taken_for_a_deployment() {
    let stage = Stage::of(Account::with_service(Some(true)).await).await;
    let second = stage.account.register(&[("CRASH", "1")]).await;
    stage.account.update(&second).await;
    stage.account.ecs.wait_stable(SERVICE).await;
    let seen = stage.sighting().await;
    assert_eq!(seen.primary.revision.short(), "api:1");
    let reason = seen.native_rollback.expect("said");
    assert!(reason.contains("circuit breaker"), "{reason}");
}

#[tokio::test]
async fn without_permission_for_the_history_a_look_still_shows_what_is_in_place() {
    let stage = Stage::at_rest().await;
    stage.account.ecs.fault("ListServiceDeployments", &Fault::Html(403), 1);
    let seen = stage.sighting().await;
    assert_eq!(seen.primary.revision, Revision::named(&seen.primary.revision.name));
    assert!(seen.is_stable());
}

#[tokio::test]
async fn a_failed_batch_costs_only_its_own_services() {
    let stage = Stage::at_rest().await;
    let mut keys = vec![key()];
    for n in 0..11 {
        let name = format!("other-{n}");
        let creation = stage.account.client.create_service().cluster(CLUSTER).service_name(&name);
        creation.task_definition("api:1").desired_count(0).send().await.expect("a service");
        keys.push(ServiceKey { service: name, ..key() });
    }
    let listed = spawnable(stage.ecs.services(CLUSTER)).await.expect("listed");
    assert_eq!(listed.len(), keys.len());
    let calls = stage.calls("DescribeServices");
    let looks = stage.ecs.look(&keys, now()).await;
    assert!(looks.len() == 12 && looks.iter().all(|(_, look)| look.is_ok()));
    assert_eq!(stage.calls("DescribeServices") - calls, 2, "ten services a call");

    // Two batches of at most three tries each: five failures end exactly one of them.
    stage.account.ecs.fault("DescribeServices", &Fault::Throttle, 5);
    let looks = stage.ecs.look(&keys, now()).await;
    let failed: Vec<_> = looks.iter().filter(|(_, look)| look.is_err()).collect();
    assert!(failed.len() == 10 || failed.len() == 2, "{} failed", failed.len());
    assert!(failed.iter().all(|(_, look)| matches!(look, Err(LookError::Everywhere(_)))));
}

#[tokio::test]
async fn what_is_missing_is_told_from_what_cannot_be_asked() {
    let stage = Stage::at_rest().await;
    let absent = ServiceKey { service: "absent".into(), ..key() };
    let no_cluster = ServiceKey { cluster: "absent".into(), ..key() };
    let elsewhere = ServiceKey { target: "elsewhere".into(), ..key() };
    let keys = [key(), absent.clone(), no_cluster.clone(), elsewhere.clone()];
    let looks = stage.ecs.look(&keys, now()).await;
    let of = |key: &ServiceKey| &looks.iter().find(|(one, _)| one == key).expect("answered").1;
    assert!(matches!(of(&key()), Ok(Some(_))));
    assert_eq!(of(&absent), &Ok(None));
    let Err(LookError::Permanent(words)) = of(&no_cluster) else { panic!("{looks:?}") };
    assert!(words.contains("ClusterNotFoundException"), "{words}");
    assert!(matches!(of(&elsewhere), Err(LookError::Permanent(_))));
    assert!(matches!(stage.ecs.services("absent").await, Err(LookError::Permanent(_))));
}

#[tokio::test]
async fn an_inspection_names_every_obstacle() {
    let stage = Stage::at_rest().await;
    let plan = stage.deploy_to_the_end().await;
    let (judged, target) = (&plan.judged_revision, &plan.target);
    let inspect = |target: Revision| {
        let ecs = stage.ecs.clone();
        let judged = judged.clone();
        async move { spawnable(ecs.inspect(&key(), &judged, &target, false)).await.expect("inspected") }
    };
    let fine = inspect(target.clone()).await;
    assert_eq!((fine.obstacle, fine.not_restored), (None, Vec::new()));

    let same = inspect(judged.clone()).await.obstacle.expect("an obstacle");
    assert_eq!(same, "both sides are api:2: putting it back would restore nothing");

    let moved =
        Revision { digests: vec!["registry.example/api:latest@sha256:0".into()], ..target.clone() };
    let moved = inspect(moved).await;
    assert_eq!(moved.obstacle, None);
    assert!(moved.not_restored[0].contains("the tag has moved on"), "{moved:?}");

    let unknown = target.name.replace("api:1", "api:77");
    let unknown = inspect(Revision::named(&unknown)).await.obstacle;
    assert!(
        unknown.as_ref().expect("an obstacle").contains("api:77 does not exist"),
        "{unknown:?}"
    );

    let deregister = stage.account.client.deregister_task_definition();
    deregister.task_definition("api:1").send().await.expect("deregistered");
    let inactive = inspect(target.clone()).await.obstacle;
    assert_eq!(inactive.as_deref(), Some("task definition api:1 is INACTIVE"));
}
