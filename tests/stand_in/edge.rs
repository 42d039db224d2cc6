//! Limits, refusals and faults of the API.

use std::time::Duration;

use aws_sdk_ecs::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_ecs::types::{DeploymentController, DeploymentControllerType, ServiceDeploymentStatus};

use crate::client::{Account, CLUSTER, SERVICE};
use crate::world::aws::Fault;

#[tokio::test]
async fn describing_more_than_ten_services_is_refused_and_missing_ones_are_named() {
    let account = Account::with_service(None).await;
    let names = |count: usize| Some((0..count).map(|n| format!("s{n}")).collect::<Vec<_>>());
    let eleven = account.client.describe_services().cluster(CLUSTER).set_services(names(11));
    let refused = eleven.send().await.expect_err("too many");
    assert_eq!(refused.code(), Some("InvalidParameterException"));
    let some = account.client.describe_services().cluster(CLUSTER).set_services(names(2));
    let some = some.services(SERVICE).send().await.expect("described");
    assert_eq!((some.services().len(), some.failures().len()), (1, 2));
    assert_eq!(some.failures()[0].reason(), Some("MISSING"));
}

#[tokio::test]
async fn long_lists_come_in_pages() {
    let account = Account::with_service(None).await;
    for n in 0..4 {
        let creation = account.client.create_service().cluster(CLUSTER);
        let creation = creation.service_name(format!("other-{n}")).task_definition("api:1");
        creation.desired_count(0).send().await.expect("a service");
    }
    let pages = account.client.list_services().cluster(CLUSTER).max_results(2).into_paginator();
    let all = pages.items().send().collect::<Result<Vec<_>, _>>().await.expect("all pages");
    assert_eq!(all.len(), 5);
    account.register(&[]).await;
    for definition in ["api:2", "api:1", "api:2"] {
        account.update(definition).await;
    }
    let list = || account.client.list_service_deployments().cluster(CLUSTER).service(SERVICE);
    let first = list().max_results(3).send().await.expect("a page");
    let token = first.next_token().expect("more").to_owned();
    let second = list().max_results(3).next_token(token).send().await.expect("a page");
    assert_eq!((first.service_deployments().len(), second.service_deployments().len()), (3, 1));
    let stopped = list().status(ServiceDeploymentStatus::Stopped).send().await.expect("filtered");
    assert_eq!(stopped.service_deployments().len(), 2);
    let wrong = list().next_token("nonsense").send().await.expect_err("no such page");
    assert_eq!(wrong.code(), Some("InvalidParameterException"));
}

#[tokio::test]
async fn an_inactive_task_definition_cannot_be_placed() {
    let account = Account::with_service(None).await;
    account.register(&[]).await;
    account.client.deregister_task_definition().task_definition("api:2").send().await.expect("ok");
    let update = account.client.update_service().cluster(CLUSTER).service(SERVICE);
    let refused = update.task_definition("api:2").send().await.expect_err("inactive");
    assert_eq!(refused.code(), Some("ClientException"));
    assert_eq!(refused.message(), Some("TaskDefinition is inactive"));
    let family = account.client.describe_task_definition().task_definition("api");
    let family = family.send().await.expect("described");
    let newest_active = family.task_definition().expect("a task definition").revision();
    assert_eq!(newest_active, 1);
}

#[tokio::test]
async fn a_service_of_another_controller_refuses_a_task_definition() {
    let account = Account::with_service(None).await;
    for kind in [DeploymentControllerType::CodeDeploy, DeploymentControllerType::External] {
        let name = format!("by-{kind}");
        let controller = DeploymentController::builder().r#type(kind).build().expect("a type");
        let creation = account.client.create_service().cluster(CLUSTER).service_name(&name);
        let creation = creation.task_definition("api:1").deployment_controller(controller);
        creation.send().await.expect("created");
        let update = account.client.update_service().cluster(CLUSTER).service(&name);
        let refused = update.task_definition("api:1").send().await.expect_err("refused");
        assert_eq!(refused.code(), Some("InvalidParameterException"));
    }
}

#[tokio::test]
async fn what_is_not_modelled_is_refused_rather_than_ignored() {
    let account = Account::with_service(None).await;
    let update = account.client.update_service().cluster(CLUSTER).service(SERVICE);
    let refused = update.health_check_grace_period_seconds(5).send().await.expect_err("refused");
    assert_eq!(refused.code(), Some("UnsupportedFeatureException"));
}

#[tokio::test]
async fn a_planned_fault_meets_the_next_calls_and_then_no_more() {
    let account = Account::with_service(None).await;
    let describe = || account.client.describe_services().cluster(CLUSTER).services(SERVICE).send();
    account.ecs.fault("DescribeServices", &Fault::Throttle, 2);
    account.ecs.fault("DescribeServices", &Fault::Error5xx, 1);
    account.ecs.fault("DescribeServices", &Fault::Html(200), 1);
    for code in ["ThrottlingException", "ThrottlingException", "ServerException"] {
        assert_eq!(describe().await.expect_err("a fault").code(), Some(code));
    }
    let html = describe().await.expect_err("HTML is no answer");
    assert!(matches!(html, SdkError::ResponseError(_)), "{html:?}");
    assert!(describe().await.is_ok());
    account.ecs.fault("DescribeServices", &Fault::Hang(Duration::from_millis(50)), 1);
    let hung = describe().await.expect_err("no answer");
    assert!(matches!(hung, SdkError::DispatchFailure(_)), "{hung:?}");
}

#[tokio::test]
async fn an_answer_can_be_lost_after_the_call_took_effect() {
    let account = Account::with_service(None).await;
    let second = account.register(&[]).await;
    account.ecs.fault("UpdateService", &Fault::DropConnectionAfterApplying, 1);
    let update = account.client.update_service().cluster(CLUSTER).service(SERVICE);
    let lost = update.task_definition("api:2").send().await.expect_err("no answer");
    assert!(matches!(lost, SdkError::DispatchFailure(_)), "{lost:?}");
    assert_eq!(account.ecs.task_definition(SERVICE), Some(second));
    let calls = account.ecs.calls();
    let update = calls.iter().find(|call| call.operation == "UpdateService").expect("recorded");
    assert_eq!((update.status, update.body["taskDefinition"].as_str()), (0, Some("api:2")));
    assert_eq!(account.ecs.mutations(SERVICE).len(), 2);
}
