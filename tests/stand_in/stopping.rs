//! Rolling back: by a person or a guard, and by ECS itself.

use aws_sdk_ecs::error::ProvideErrorMetadata;
use aws_sdk_ecs::types::{
    DeploymentRolloutState, ServiceDeploymentRollbackMonitorsStatus, ServiceDeploymentStatus,
    StopServiceDeploymentStopType,
};

use crate::client::{Account, SERVICE, shape};

impl Account {
    async fn stop(&self, arn: &str) -> Result<(), (Option<String>, Option<String>)> {
        let stop = self.client.stop_service_deployment().service_deployment_arn(arn);
        let answer = stop.stop_type(StopServiceDeploymentStopType::Rollback).send().await;
        let pair = |e: &dyn ProvideErrorMetadata| {
            (e.code().map(str::to_owned), e.message().map(str::to_owned))
        };
        answer.map(drop).map_err(|error| pair(&error))
    }
}

#[tokio::test]
async fn stopping_a_deployment_in_flight_makes_its_source_primary_again() {
    let account = Account::with_slow_service().await;
    let original = account.service().await.deployments()[0].id().map(str::to_owned);
    let second = account.register(&[]).await;
    account.update("api:2").await;
    account.ecs.wait_running(SERVICE, &second, 1).await;
    let arn = account.service().await.current_service_deployment().expect("in flight").to_owned();
    account.stop(&arn).await.expect("stopped");
    let asked = account.newest_deployment().await;
    assert!(matches!(
        asked.status(),
        Some(
            ServiceDeploymentStatus::RollbackRequested
                | ServiceDeploymentStatus::RollbackInProgress
        )
    ));
    account.stop(&arn).await.expect("asking again lets it go on");
    account.ecs.wait_stable(SERVICE).await;
    let service = account.service().await;
    assert_eq!(shape(&service), [("PRIMARY".into(), "api:1".into(), 3)]);
    assert_ne!(service.deployments()[0].id().map(str::to_owned), original, "a new deployment");
    let ended = account.newest_deployment().await;
    assert_eq!(ended.status(), Some(&ServiceDeploymentStatus::RollbackSuccessful));
    let rollback = ended.rollback().expect("a rollback");
    assert_eq!(rollback.service_revision_arn(), ended.source_service_revisions()[0].arn());
    assert!(rollback.reason().is_some() && rollback.started_at().is_some());
    let mutations = account.ecs.mutations(SERVICE);
    let last = mutations.last().expect("a mutation");
    assert_eq!(mutations.len(), 3, "creation, update, one stop: {mutations:?}");
    assert_eq!(last.operation, "StopServiceDeployment");
    assert_eq!(last.before.as_deref(), Some(second.as_str()));
    assert!(last.after.ends_with("api:1"));
}

#[tokio::test]
async fn a_deployment_that_is_over_cannot_be_stopped() {
    let account = Account::with_service(None).await;
    account.register(&[]).await;
    account.update("api:2").await;
    account.ecs.wait_stable(SERVICE).await;
    let over = account.newest_deployment().await;
    let arn = over.service_deployment_arn().expect("an ARN");
    let refused = account.stop(arn).await.expect_err("it is over");
    assert_eq!(refused.0.as_deref(), Some("ConflictException"));
    account.register(&[]).await;
    account.update("api:3").await;
    let while_another_is = account.stop(arn).await.expect_err("it is still over");
    assert_eq!(while_another_is.0.as_deref(), Some("ConflictException"));
    account.ecs.wait_stable(SERVICE).await;
    let unknown = account.stop(&format!("{arn}x")).await.expect_err("unknown");
    assert_eq!(unknown.0.as_deref(), Some("ServiceDeploymentNotFoundException"));
    assert_eq!(shape(&account.service().await), [("PRIMARY".into(), "api:3".into(), 3)]);
}

#[tokio::test]
async fn tasks_of_the_source_that_still_run_are_kept_by_a_rollback() {
    let account = Account::with_service(None).await;
    let second = account.register(&[]).await;
    account.update("api:2").await;
    account.ecs.wait_running(SERVICE, &second, 1).await;
    let first = account.ecs.in_service().borrow().clone();
    let arn = account.service().await.current_service_deployment().expect("in flight").to_owned();
    account.stop(&arn).await.expect("stopped");
    account.ecs.wait_stable(SERVICE).await;
    let last = account.ecs.in_service().borrow().clone();
    let kept = last.iter().filter(|task| first.contains(task)).count();
    assert!(kept >= 2 && last.len() == 3, "{kept} of {} are old", last.len());
}

#[tokio::test]
async fn the_circuit_breaker_rolls_back_after_three_tasks_that_never_ran() {
    let account = Account::with_service(Some(true)).await;
    account.register(&[("CRASH", "1")]).await;
    account.update("api:2").await;
    account.ecs.wait_stable(SERVICE).await;
    let service = account.service().await;
    assert_eq!(shape(&service), [("PRIMARY".into(), "api:1".into(), 3)]);
    let ended = account.newest_deployment().await;
    assert_eq!(ended.status(), Some(&ServiceDeploymentStatus::RollbackSuccessful));
    let breaker = ended.deployment_circuit_breaker().expect("a breaker");
    assert_eq!(breaker.status(), Some(&ServiceDeploymentRollbackMonitorsStatus::Triggered));
    assert_eq!((breaker.failure_count(), breaker.threshold()), (3, 3));
    let reason = ended.rollback().and_then(|rollback| rollback.reason());
    assert_eq!(reason, Some("ECS deployment circuit breaker: tasks failed to start."));
    assert_eq!(account.ecs.mutations(SERVICE).len(), 2, "ECS acted by itself");
}

#[tokio::test]
async fn the_circuit_breaker_without_rollback_leaves_the_deployment_failed() {
    let account = Account::with_service(Some(false)).await;
    account.register(&[("CRASH", "1")]).await;
    account.update("api:2").await;
    let failed = async {
        loop {
            let service = account.service().await;
            let primary = &service.deployments()[0];
            if primary.rollout_state() == Some(&DeploymentRolloutState::Failed) {
                return service;
            }
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    };
    let failed = tokio::time::timeout(std::time::Duration::from_secs(10), failed).await;
    let service = failed.expect("it fails");
    assert_eq!(service.deployments()[0].failed_tasks(), 3);
    assert_eq!(
        shape(&service),
        [("PRIMARY".into(), "api:2".into(), 0), ("ACTIVE".into(), "api:1".into(), 3)]
    );
}
