//! Every request and answer, held against AWS's own service model.

use std::io::Write;
use std::path::PathBuf;
use std::process::Command;

use aws_sdk_ecs::types::{DeploymentController, DeploymentControllerType, DesiredStatus};
use aws_sdk_ecs::types::{ServiceDeploymentStatus, TaskDefinitionField};
use serde_json::{Value, json};
use tempfile::NamedTempFile;

use crate::client::{Account, CLUSTER, SERVICE};
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
