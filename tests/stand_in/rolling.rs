//! A rolling update, as ECS shows it.

use aws_sdk_ecs::types::{DeploymentRolloutState, ServiceDeploymentStatus};

use crate::client::{Account, CLUSTER, SERVICE, revision, shape};

#[tokio::test]
async fn a_new_deployment_is_primary_with_an_id_of_its_own_while_the_old_one_drains() {
    let account = Account::with_service(None).await;
    let before = account.service().await;
    let second = account.register(&[]).await;
    let updated = account.update("api:2").await;
    let old = before.deployments()[0].id().expect("an id");
    let new = updated.deployments()[0].id().expect("an id");
    assert_ne!(old, new);
    let digits = new.strip_prefix("ecs-svc/").expect("the prefix");
    assert!(digits.len() == 19 && digits.bytes().all(|b| b.is_ascii_digit()), "{new}");
    assert_eq!(
        shape(&updated),
        [("PRIMARY".into(), "api:2".into(), 0), ("ACTIVE".into(), "api:1".into(), 3)]
    );
    assert!(updated.current_service_deployment().is_some());
    account.ecs.wait_running(SERVICE, &second, 1).await;
    let halfway = account.service().await;
    assert_eq!(halfway.deployments().len(), 2);
    assert!(halfway.running_count() >= 3, "never fewer tasks than desired");
    account.ecs.wait_stable(SERVICE).await;
    let after = account.service().await;
    assert_eq!(shape(&after), [("PRIMARY".into(), "api:2".into(), 3)]);
    assert_eq!(after.deployments()[0].id(), Some(new));
    assert_eq!(after.deployments()[0].rollout_state(), Some(&DeploymentRolloutState::Completed));
    let reason = format!("ECS deployment {new} completed.");
    assert_eq!(after.deployments()[0].rollout_state_reason(), Some(reason.as_str()));
    assert_eq!(after.current_service_deployment(), None);
}

#[tokio::test]
async fn the_history_names_what_was_replaced_by_what() {
    let account = Account::with_service(None).await;
    account.register(&[]).await;
    account.update("api:2").await;
    account.ecs.wait_stable(SERVICE).await;
    let deployment = account.newest_deployment().await;
    assert_eq!(deployment.status(), Some(&ServiceDeploymentStatus::Successful));
    assert!(deployment.finished_at().is_some() && deployment.rollback().is_none());
    let source = deployment.source_service_revisions()[0].arn().expect("an ARN");
    let target = deployment.target_service_revision().and_then(|t| t.arn()).expect("an ARN");
    let revisions = account.client.describe_service_revisions();
    let revisions = revisions.service_revision_arns(source).service_revision_arns(target);
    let revisions = revisions.send().await.expect("described");
    let definitions = revisions.service_revisions().iter();
    let definitions = definitions.map(|r| revision(r.task_definition().unwrap_or_default()));
    assert_eq!(definitions.collect::<Vec<_>>(), ["api:1", "api:2"]);
}

#[tokio::test]
async fn one_mutable_tag_means_what_was_pushed_when_the_deployment_began() {
    let account = Account::with_service(None).await;
    account.ecs.push_image("registry.example/api:latest", "sha256:new");
    let forced = account.client.update_service().cluster(CLUSTER).service(SERVICE);
    forced.force_new_deployment(true).send().await.expect("updated");
    account.ecs.wait_stable(SERVICE).await;
    let deployment = account.newest_deployment().await;
    let arns = [
        deployment.source_service_revisions()[0].arn().map(str::to_owned),
        deployment.target_service_revision().and_then(|t| t.arn()).map(str::to_owned),
    ];
    let arns = arns.into_iter().flatten().collect();
    let revisions = account.client.describe_service_revisions();
    let revisions = revisions.set_service_revision_arns(Some(arns)).send().await.expect("these");
    let [before, after] = revisions.service_revisions() else { panic!("two revisions") };
    assert_eq!(before.task_definition(), after.task_definition());
    let digest = |at: usize| revisions.service_revisions()[at].container_images()[0].image_digest();
    assert_ne!(digest(0), digest(1));
    assert_eq!(digest(1), Some("sha256:new"));
}

#[tokio::test]
async fn naming_the_same_task_definition_starts_nothing_unless_forced() {
    let account = Account::with_service(None).await;
    let before = account.service().await;
    let same = account.update("api:1").await;
    assert_eq!(same.deployments()[0].id(), before.deployments()[0].id());
    let forced = account.client.update_service().cluster(CLUSTER).service(SERVICE);
    let forced = forced.force_new_deployment(true).send().await.expect("updated");
    let forced = forced.service().expect("a service").clone();
    assert_ne!(forced.deployments()[0].id(), before.deployments()[0].id());
    assert_eq!(account.ecs.mutations(SERVICE).len(), 2, "creation and the forced one");
}

#[tokio::test]
async fn a_newer_deployment_supersedes_the_one_in_flight() {
    let account = Account::with_service(None).await;
    let second = account.register(&[]).await;
    account.register(&[]).await;
    account.update("api:2").await;
    account.ecs.wait_running(SERVICE, &second, 1).await;
    let superseded = account.newest_deployment().await;
    let updated = account.update("api:3").await;
    let revisions: Vec<_> = shape(&updated).into_iter().map(|(_, revision, _)| revision).collect();
    assert_eq!(revisions, ["api:3", "api:2", "api:1"]);
    account.ecs.wait_stable(SERVICE).await;
    let arn = superseded.service_deployment_arn().expect("an ARN");
    let described = account.client.describe_service_deployments().service_deployment_arns(arn);
    let described = described.send().await.expect("described");
    let status = described.service_deployments()[0].status();
    assert_eq!(status, Some(&ServiceDeploymentStatus::Stopped));
    assert_eq!(shape(&account.service().await), [("PRIMARY".into(), "api:3".into(), 3)]);
}

#[tokio::test]
async fn tasks_can_be_listed_and_described() {
    let account = Account::with_service(None).await;
    let list = account.client.list_tasks().cluster(CLUSTER).service_name(SERVICE);
    let list = list.send().await.expect("listed");
    assert_eq!(list.task_arns().len(), 3);
    let described = account.client.describe_tasks().cluster(CLUSTER);
    let described = described.set_tasks(list.task_arns.clone()).tasks("nobody").send().await;
    let described = described.expect("described");
    assert!(described.tasks().iter().all(|task| task.last_status() == Some("RUNNING")));
    assert_eq!(described.failures()[0].reason(), Some("MISSING"));
}
