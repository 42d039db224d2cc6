//! Every request and answer, held against AWS's own service model.

use std::io::Write;
use std::path::PathBuf;
use std::process::Command;

use aws_sdk_codedeploy::types::{AppSpecContent, RevisionLocation, RevisionLocationType};
use aws_sdk_ecs::types::{
    CanaryConfiguration, DeploymentAlarms, DeploymentConfiguration, DeploymentLifecycleHook,
    DeploymentLifecycleHookStage, DeploymentLifecycleHookTargetType, DeploymentStrategy,
};
use aws_sdk_ecs::types::{DeploymentController, DeploymentControllerType, DesiredStatus};
use aws_sdk_ecs::types::{ServiceDeploymentStatus, TaskDefinitionField};
use serde_json::{Value, json};
use tempfile::NamedTempFile;

use crate::client::{Account, CLUSTER, SERVICE, ecr, shape};
use crate::world::aws::{Call, Fault};

/// The Python that tests/world/install.sh made.
pub fn python(program: &str) -> PathBuf {
    let target = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("..");
    let program = target.join("venv/bin").join(program);
    assert!(program.exists(), "{} is missing: run tests/world/install.sh", program.display());
    program
}

/// What the service model has against these calls: nothing, or a list.
pub fn validate(calls: &[Value]) -> Result<String, String> {
    let mut file = NamedTempFile::new().expect("a file");
    for call in calls {
        writeln!(file, "{call}").expect("written");
    }
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/world/aws/validate.py");
    let output = Command::new(python("python")).arg(script).arg(file.path()).output();
    let output = output.expect("Python runs");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let complaints = String::from_utf8_lossy(&output.stderr);
    if output.status.success() { Ok(text) } else { Err(format!("{text}{complaints}")) }
}

pub fn as_json(call: &Call) -> Value {
    json!({
        "service": call.service, "operation": call.operation, "body": call.body, "status": call.status,
        "answer": call.answer,
    })
}

#[tokio::test]
async fn every_request_and_answer_fits_the_service_model_of_aws() {
    let account = Account::with_service(Some(true)).await;
    good_calls(&account).await;
    refused_calls(&account).await;
    let calls: Vec<Value> = account.ecs.calls().iter().map(as_json).collect();
    let verdict = validate(&calls).expect("no faults");
    assert!(verdict.contains("of 15 operations, 0 faults"), "{verdict}");
}

#[tokio::test]
async fn deployments_with_stages_and_those_of_code_deploy_fit_the_service_models_too() {
    let mut calls = staged_calls().await;
    calls.extend(code_deploy_calls().await);
    let calls: Vec<Value> = calls.iter().map(as_json).collect();
    let verdict = validate(&calls).expect("no faults");
    assert!(verdict.contains("of 18 operations, 0 faults"), "{verdict}");
}

/// Blue/green with a hook and an alarm, sent on, rolled back by the alarm; and ECR.
async fn staged_calls() -> Vec<Call> {
    let hook = DeploymentLifecycleHook::builder()
        .target_type(DeploymentLifecycleHookTargetType::Pause)
        .lifecycle_stages(DeploymentLifecycleHookStage::PostScaleUp);
    let alarms = DeploymentAlarms::builder().alarm_names("bad").enable(true).rollback(true);
    let canary = CanaryConfiguration::builder().canary_percent(10.0).canary_bake_time_in_minutes(1);
    let configuration = DeploymentConfiguration::builder()
        .strategy(DeploymentStrategy::Canary)
        .bake_time_in_minutes(30)
        .canary_configuration(canary.build())
        .lifecycle_hooks(hook.build())
        .alarms(alarms.build().expect("alarms"));
    let account = Account::deployed_by(configuration.build()).await;
    account.register(&[]).await;
    account.update("api:2").await;
    let hooked = async {
        loop {
            let newest = account.newest_deployment().await;
            if let Some(hook) = newest.lifecycle_hook_details().first() {
                let arn = newest.service_deployment_arn().expect("an ARN").to_owned();
                return (arn, hook.hook_id().expect("an id").to_owned());
            }
        }
    };
    let (arn, hook) = hooked.await;
    let go = || account.client.continue_service_deployment().service_deployment_arn(&arn);
    go().hook_id("none").send().await.expect_err("no such hook");
    go().hook_id(&hook).send().await.expect("goes on");
    let second = account.newest_deployment().await;
    assert!(second.lifecycle_hook_details().is_empty());
    account.ecs.set_alarm("bad", true);
    account.ecs.wait_stable(SERVICE).await;
    assert_eq!(shape(&account.service().await), [("PRIMARY".into(), "api:1".into(), 3)]);
    let ended = account.newest_deployment().await;
    let revision = ended.target_service_revision().and_then(|one| one.arn()).unwrap_or_default();
    let described = account.client.describe_service_revisions().service_revision_arns(revision);
    described.send().await.expect("described");
    // It was on before this one began: it is not held against it.
    account.update("api:2").await;
    let newest = account.newest_deployment().await;
    assert_eq!(newest.alarms().map(|a| a.triggered_alarm_names().len()), Some(0));
    account.ecs.delete_image("api", "gone");
    let id = |tag: &str| aws_sdk_ecr::types::ImageIdentifier::builder().image_tag(tag).build();
    let ecr = ecr(&account.ecs.url());
    let asked = ecr.batch_get_image().repository_name("api").image_ids(id("v1"));
    let answer = asked.image_ids(id("gone")).send().await.expect("answered");
    assert_eq!((answer.images().len(), answer.failures().len()), (1, 1));
    account.ecs.calls()
}

async fn code_deploy_calls() -> Vec<Call> {
    let (account, client) = Account::with_code_deploy().await;
    let deploy = |definition: String| {
        let content = format!("Resources: [{{TargetService: {{TaskDefinition: {definition}}}}}]");
        let revision = RevisionLocation::builder()
            .revision_type(RevisionLocationType::AppSpecContent)
            .app_spec_content(AppSpecContent::builder().content(content).build());
        let call = client.create_deployment().application_name("shop").deployment_group_name("api");
        call.revision(revision.build()).description("a test").send()
    };
    let second = account.register(&[]).await;
    let created = deploy(second.clone()).await.expect("deployed");
    let id = created.deployment_id().expect("an id").to_owned();
    deploy(second.clone()).await.expect_err("one at a time");
    account.ecs.wait_running(SERVICE, &second, 3).await;
    account.service().await;
    let stop = || client.stop_deployment().deployment_id(&id).auto_rollback_enabled(true).send();
    stop().await.expect("stopped");
    stop().await.expect_err("it is over");
    account.service().await;
    account.ecs.wait_stable(SERVICE).await;
    let got = client.get_deployment().deployment_id(&id).send().await.expect("told");
    let info = got.deployment_info().expect("told");
    let revision = info.revision().expect("a revision").clone();
    let asked = client.get_application_revision().application_name("shop").revision(revision);
    asked.send().await.expect("told");
    let list = client.list_deployments().application_name("shop").deployment_group_name("api");
    let listed = list.send().await.expect("listed").deployments.unwrap_or_default();
    assert_eq!(listed.len(), 2, "with its rollback");
    client.batch_get_deployments().set_deployment_ids(Some(listed)).send().await.expect("told");
    client.get_deployment().deployment_id("d-none").send().await.expect_err("unknown");
    account.ecs.calls()
}

#[tokio::test]
async fn the_service_model_finds_what_does_not_fit() {
    let account = Account::with_service(None).await;
    account.service().await;
    let calls: Vec<Value> = account.ecs.calls().iter().map(as_json).collect();
    let good = calls.last().expect("a call").clone();
    let broken = |change: &dyn Fn(&mut Value)| {
        let mut call = good.clone();
        change(&mut call);
        validate(&[call]).expect_err("it does not fit")
    };
    let unknown = broken(&|call| call["answer"]["services"][0]["mood"] = json!("good"));
    assert!(unknown.contains("services[0].mood is unknown"), "{unknown}");
    let wrong = broken(&|call| call["answer"]["services"][0]["desiredCount"] = json!("3"));
    assert!(wrong.contains("'3' is no integer"), "{wrong}");
    let wrong = broken(&|call| call["body"]["services"] = json!("api"));
    assert!(wrong.contains("'api' is no list"), "{wrong}");
    let missing = broken(&|call| {
        drop(call["body"].as_object_mut().expect("an object").remove("services"));
    });
    assert!(missing.contains("request.services is missing"), "{missing}");
    let state = "rolloutState";
    let path = "services[0].deployments[0].rolloutState: 'DONE' is none of";
    let wrong =
        broken(&|call| call["answer"]["services"][0]["deployments"][0][state] = json!("DONE"));
    assert!(wrong.contains(path), "{wrong}");
    let error = broken(&|call| {
        call["status"] = json!(400);
        call["answer"] = json!({ "__type": "ConflictException", "message": "" });
    });
    assert!(error.contains("does not declare the error ConflictException"), "{error}");
}

async fn good_calls(account: &Account) {
    let client = &account.client;
    let second = account.register(&[("VERSION", "v2")]).await;
    account.update("api:2").await;
    account.ecs.wait_running(SERVICE, &second, 1).await;
    account.service().await;
    let arn = account.newest_deployment().await.service_deployment_arn().map(str::to_owned);
    let stop = client.stop_service_deployment().set_service_deployment_arn(arn);
    stop.send().await.expect("stopped");
    account.newest_deployment().await;
    account.ecs.wait_stable(SERVICE).await;
    account.register(&[("CRASH", "1")]).await;
    account.update("api:3").await;
    account.ecs.wait_stable(SERVICE).await;
    let ended = account.newest_deployment().await;
    let target = ended.target_service_revision().and_then(|t| t.arn()).unwrap_or_default();
    let revisions = client.describe_service_revisions().service_revision_arns(target);
    revisions.service_revision_arns("arn:of:nothing").send().await.expect("described");
    let since = client.list_service_deployments().cluster(CLUSTER).service(SERVICE);
    let window = aws_sdk_ecs::types::CreatedAt::builder()
        .after(aws_sdk_ecs::primitives::DateTime::from_secs(1_700_000_000))
        .build();
    let since = since.created_at(window).status(ServiceDeploymentStatus::RollbackSuccessful);
    assert_eq!(since.max_results(1).send().await.expect("listed").service_deployments().len(), 1);
    client.list_clusters().max_results(1).send().await.expect("listed");
    client.list_services().cluster(CLUSTER).send().await.expect("listed");
    for status in [DesiredStatus::Running, DesiredStatus::Stopped] {
        let tasks = client.list_tasks().cluster(CLUSTER).desired_status(status);
        let tasks = tasks.send().await.expect("listed").task_arns;
        let described = client.describe_tasks().cluster(CLUSTER).set_tasks(tasks).tasks("gone");
        described.send().await.expect("described");
    }
    let describe = client.describe_task_definition().task_definition("api");
    describe.include(TaskDefinitionField::Tags).send().await.expect("described");
    client.deregister_task_definition().task_definition("api:3").send().await.expect("gone");
    let external = DeploymentController::builder().r#type(DeploymentControllerType::External);
    let external = external.build().expect("a type");
    let creation = client.create_service().cluster(CLUSTER).service_name("external");
    let creation = creation.task_definition("api:1").deployment_controller(external);
    creation.send().await.expect("created");
    let both = client.describe_services().cluster(CLUSTER).services("external").services("none");
    both.send().await.expect("described");
}

async fn refused_calls(account: &Account) {
    let client = &account.client;
    account.ecs.fault("ListServices", &Fault::Throttle, 1);
    account.ecs.fault("ListServices", &Fault::Error5xx, 1);
    for _ in 0..2 {
        client.list_services().cluster(CLUSTER).send().await.expect_err("a fault");
    }
    client.list_services().cluster("none").send().await.expect_err("no such cluster");
    client.describe_services().services(SERVICE).send().await.expect_err("no such cluster");
    let update = || client.update_service().cluster(CLUSTER);
    update().service("none").desired_count(1).send().await.expect_err("no such service");
    update().service(SERVICE).task_definition("api:3").send().await.expect_err("inactive");
    update().service("external").task_definition("api:1").send().await.expect_err("not so");
    update().service(SERVICE).platform_version("1").send().await.expect_err("not modelled");
    client.describe_task_definition().task_definition("none").send().await.expect_err("unknown");
    let over = account.newest_deployment().await;
    let stop = client.stop_service_deployment();
    let stop = stop.set_service_deployment_arn(over.service_deployment_arn().map(str::to_owned));
    stop.send().await.expect_err("it is over");
    let stop = client.stop_service_deployment().service_deployment_arn("arn:of:nothing");
    stop.send().await.expect_err("unknown");
}
