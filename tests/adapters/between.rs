//! What happens between the last look and the call: a proxy that lets the world
//! move on before it passes a call on.

use std::sync::Arc;

use aws_sdk_ecs::types::ServiceDeploymentLifecycleStage;
use axum::Router;
use axum::body::Bytes;
use axum::http::{HeaderMap, StatusCode, header};
use deployguard::model::Route;
use deployguard::platform::Platform;
use deployguard::platform::ecs::Ecs;

use crate::client::SERVICE;
use crate::ecs::{Stage, aws_at, permit};
use crate::states::pausing;
use crate::world::aws::Soon;
use crate::world::http::client_builder;
use crate::world::server::Server;

/// Done before a call of the operation is passed on.
type Meanwhile = Arc<dyn for<'a> Fn(&'a Stage, &'a str) -> Soon<'a, ()> + Send + Sync>;

/// The adapter in front of `stage`, with `meanwhile` on the way of every call.
async fn adapter(stage: &Arc<Stage>, meanwhile: Meanwhile) -> (Ecs, Server) {
    let (client, stage) = (client_builder().build().expect("a client"), Arc::clone(stage));
    let pass_on = move |headers: HeaderMap, body: Bytes| {
        let (client, stage) = (client.clone(), Arc::clone(&stage));
        let meanwhile = Arc::clone(&meanwhile);
        async move {
            let text = |name: &str| {
                headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
            };
            meanwhile(&stage, text("x-amz-target").rsplit('.').next().unwrap_or_default()).await;
            let mut call = client.post(stage.account.ecs.url()).body(body);
            for name in ["x-amz-target", "content-type", "authorization"] {
                call = call.header(name, text(name));
            }
            let answer = call.send().await.expect("an answer");
            let status = StatusCode::from_u16(answer.status().as_u16()).expect("a status");
            let json = [(header::CONTENT_TYPE, "application/x-amz-json-1.1")];
            (status, json, answer.bytes().await.expect("a body"))
        }
    };
    let proxy = Server::start(Router::new().fallback(pass_on)).await.expect("a free port");
    let ecs = Ecs::of(&aws_at(proxy.url()).await);
    (ecs, proxy)
}

#[tokio::test]
async fn a_deployment_that_ends_before_it_could_be_stopped_is_updated() {
    let stage = Arc::new(Stage::at_rest().await);
    let plan = stage.deploy().await;
    let too_late: Meanwhile = Arc::new(|stage, operation| {
        Box::pin(async move {
            if operation == "StopServiceDeployment" {
                stage.account.ecs.wait_stable(SERVICE).await;
            }
        })
    });
    let (ecs, _proxy) = adapter(&stage, too_late).await;
    let before = stage.changes();
    let acted = ecs.roll_back(&permit(true), &plan).await.expect("rolled back");
    assert_eq!((acted.route, acted.mismatch), (Route::UpdateService, None));
    assert_eq!(stage.calls("StopServiceDeployment"), 1);
    assert_eq!(stage.changes_after(before), ["UpdateService"]);
}

#[tokio::test]
async fn replacing_what_was_not_judged_is_told_as_a_mismatch() {
    let stage = Arc::new(Stage::at_rest().await);
    let plan = stage.deploy_to_the_end().await;
    stage.account.register(&[("N", "3")]).await;
    let somebody_deploys: Meanwhile = Arc::new(|stage, operation| {
        Box::pin(async move {
            if operation == "UpdateService" {
                let third = stage.account.update("api:3").await;
                let third = third.task_definition().expect("api:3").to_owned();
                stage.account.ecs.wait_running(SERVICE, &third, 1).await;
            }
        })
    });
    let (ecs, _proxy) = adapter(&stage, somebody_deploys).await;
    let acted = ecs.roll_back(&permit(true), &plan).await.expect("called");
    assert_eq!(acted.route, Route::UpdateService);
    let words = acted.mismatch.expect("people must look");
    assert!(words.contains("(api:3)") && words.contains("not only what was judged"), "{words}");
}

#[tokio::test]
async fn a_service_that_changes_while_it_is_read_is_read_again() {
    let stage = Arc::new(Stage::at_rest().await);
    let plan = stage.deploy_to_the_end().await;
    stage.account.register(&[("N", "3")]).await;
    let somebody_deploys: Meanwhile = Arc::new(|stage, operation| {
        Box::pin(async move {
            if operation == "DescribeTaskDefinition" && stage.changes() == 2 {
                stage.account.update("api:3").await;
            }
        })
    });
    let (ecs, _proxy) = adapter(&stage, somebody_deploys).await;
    let failure = ecs.roll_back(&permit(true), &plan).await.expect_err("superseded");
    assert!(failure.to_string().starts_with("superseded"), "{failure}");
    assert_eq!(stage.changes(), 3, "only what somebody deployed");
}

#[tokio::test]
async fn a_hook_that_somebody_passes_meanwhile_is_followed_by_a_stop() {
    let stage = Arc::new(pausing().await);
    let plan =
        stage.deploy_until(ServiceDeploymentLifecycleStage::PostTestTrafficShift, true).await;
    let somebody_goes_on: Meanwhile = Arc::new(|stage, operation| {
        Box::pin(async move {
            if operation == "ContinueServiceDeployment" {
                let newest = stage.account.newest_deployment().await;
                let hook = newest.lifecycle_hook_details()[0].hook_id().unwrap_or_default();
                let arn = newest.service_deployment_arn().unwrap_or_default();
                let go = stage.account.client.continue_service_deployment();
                let go = go.service_deployment_arn(arn).hook_id(hook);
                go.send().await.expect("went on");
            }
        })
    });
    let (ecs, _proxy) = adapter(&stage, somebody_goes_on).await;
    let before = stage.changes();
    let acted = ecs.roll_back(&permit(true), &plan).await.expect("rolled back");
    assert_eq!((acted.route, acted.mismatch), (Route::StopServiceDeployment, None));
    stage.is_back().await;
    assert_eq!(stage.changes_after(before), ["StopServiceDeployment"]);
}
