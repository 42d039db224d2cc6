//! Every combination of strategy, controller, state and native guard that AWS can
//! show, generated over the service models' own enumerations -> the calls made.

use aws_sdk_codedeploy::types::{DeploymentInfo, DeploymentStatus, RollbackInfo};
use aws_sdk_ecs::primitives::DateTime;
use aws_sdk_ecs::types::{
    Deployment, DeploymentConfiguration, DeploymentController, DeploymentControllerType,
    DeploymentLifecycleHookDetail, DeploymentLifecycleHookStatus,
    DeploymentLifecycleHookTargetType, DeploymentStrategy, Rollback, Service, ServiceDeployment,
    ServiceDeploymentAlarms, ServiceDeploymentCircuitBreaker, ServiceDeploymentLifecycleStage,
    ServiceDeploymentRollbackMonitorsStatus as Monitors, ServiceDeploymentStatus,
    ServiceRevisionSummary, TaskSet,
};
use std::collections::HashMap;

use super::super::decode::{deployer, in_place};
use super::super::release::Release;
use super::*;
use crate::model::{Means, ServiceKey};

const JUDGED: &str = "ecs-svc/2";

/// Which images both sides run, and what may be done about them.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Images {
    /// Two task definitions.
    Apart,
    /// One task definition whose tag has moved on; pinning is not allowed.
    Moved,
    /// The same, allowed; nothing is registered yet.
    MovedMayPin,
    /// The same, and an earlier try has registered it.
    MovedPinned,
}

const IMAGES: [Images; 4] =
    [Images::Apart, Images::Moved, Images::MovedMayPin, Images::MovedPinned];

fn revision(images: Images, judged: bool) -> Revision {
    let number = if judged && images == Images::Apart { 2 } else { 1 };
    let (arn, digest) = if judged { ("arn:revision/2", "b") } else { ("arn:revision/1", "a") };
    let tag = if images == Images::Apart { if judged { "2" } else { "1" } } else { "latest" };
    Revision {
        service_revision: Some(arn.into()),
        digests: vec![format!("api:{tag}@sha256:{digest}")],
        ..Revision::named(&format!("arn:aws:ecs:x:1:task-definition/api:{number}"))
    }
}

fn plan(images: Images) -> RollbackPlan {
    RollbackPlan {
        service: ServiceKey { target: "t".into(), cluster: "c".into(), service: "api".into() },
        judged: JUDGED.into(),
        judged_revision: revision(images, true),
        target: revision(images, false),
        target_because: "it was good".into(),
        decided_at: Timestamp::from_second(1_000).unwrap(),
        pin_digests: matches!(images, Images::MovedMayPin | Images::MovedPinned),
        means: Means::default(),
    }
}

/// The calls that a step leads to, in order, or what is said instead.
fn calls(step: &Step, seen: &Seen, plan: &RollbackPlan) -> Vec<&'static str> {
    match step {
        Step::InPlace { .. } => vec!["(in place)"],
        Step::Superseded(_) => vec!["(superseded)"],
        Step::Refuse(_) => vec!["(refused)"],
        Step::Wait(_) => vec!["(waits)"],
        Step::Continue { .. } => vec!["ContinueServiceDeployment"],
        Step::Stop { .. } => vec!["StopServiceDeployment"],
        Step::Update if plan.pins() && seen.pinned.is_none() => {
            vec!["RegisterTaskDefinition", "UpdateService"]
        }
        Step::Update => vec!["UpdateService"],
        Step::StopRelease { .. } => vec!["StopDeployment"],
        Step::Deploy { .. } => vec!["CreateDeployment"],
    }
}

fn of_ecs(status: &str, waits: bool, images: Images) -> Vec<&'static str> {
    let allowed = images != Images::Moved;
    match (status, images) {
        ("ROLLBACK_REQUESTED" | "ROLLBACK_IN_PROGRESS", _) => vec!["(in place)"],
        _ if !allowed => vec!["(refused)"],
        ("STOP_REQUESTED", _) => vec!["(waits)"],
        ("PENDING" | "IN_PROGRESS", Images::Apart) if waits => vec!["ContinueServiceDeployment"],
        ("PENDING" | "IN_PROGRESS", Images::Apart) => vec!["StopServiceDeployment"],
        (
            "PENDING"
            | "IN_PROGRESS"
            | "SUCCESSFUL"
            | "STOPPED"
            | "ROLLBACK_SUCCESSFUL"
            | "ROLLBACK_FAILED",
            Images::MovedMayPin,
        ) => vec!["RegisterTaskDefinition", "UpdateService"],
        (
            "PENDING"
            | "IN_PROGRESS"
            | "SUCCESSFUL"
            | "STOPPED"
            | "ROLLBACK_SUCCESSFUL"
            | "ROLLBACK_FAILED",
            _,
        ) => vec!["UpdateService"],
        other => panic!("ECS has a status that nobody has thought about: {other:?}"),
    }
}

fn of_code_deploy(status: &str, rollback: Option<&str>, images: Images) -> Vec<&'static str> {
    let over = || if images == Images::Apart { "CreateDeployment" } else { "(refused)" };
    match (rollback, status) {
        (Some("Failed" | "Stopped"), _) | (None, "Succeeded" | "Failed" | "Stopped") => {
            vec![over()]
        }
        // The judged task set stands though its rollback is said to have succeeded.
        (Some("Succeeded"), _) => vec![over()],
        (Some("Created" | "Queued" | "InProgress" | "Baking" | "Ready"), _) => vec!["(in place)"],
        (None, "Created" | "Queued" | "InProgress" | "Baking" | "Ready") => vec!["StopDeployment"],
        other => panic!("CodeDeploy has a status that nobody has thought about: {other:?}"),
    }
}

fn time(second: i64) -> DateTime {
    DateTime::from_secs(second)
}

/// The judged deployment is PRIMARY, what it replaced is ACTIVE.
fn by_deployments(images: Images, kind: &str) -> Service {
    let one = |id: &str, status: &str, judged: bool, created| {
        Deployment::builder()
            .id(id)
            .status(status)
            .task_definition(revision(images, judged).name)
            .created_at(time(created))
            .build()
    };
    service(kind)
        .deployments(one(JUDGED, "PRIMARY", true, 500))
        .deployments(one("ecs-svc/1", "ACTIVE", false, 100))
        .build()
}

/// The judged task set, before the requests were moved over to it or after.
fn by_task_sets(images: Images, kind: &str, moved_over: bool) -> Service {
    let one = |id: &str, primary: bool, judged: bool, created| {
        TaskSet::builder()
            .id(id)
            .status(if primary { "PRIMARY" } else { "ACTIVE" })
            .task_definition(revision(images, judged).name)
            .created_at(time(created))
            .build()
    };
    service(kind)
        .task_sets(one("ecs-svc/1", !moved_over, false, 100))
        .task_sets(one(JUDGED, moved_over, true, 500))
        .build()
}

fn service(kind: &str) -> aws_sdk_ecs::types::builders::ServiceBuilder {
    let kind = DeploymentController::builder().r#type(DeploymentControllerType::from(kind));
    Service::builder().status("ACTIVE").deployment_controller(kind.build().unwrap())
}

/// Something of ECS's own that has gone off.
fn guarded(
    native: usize,
    built: aws_sdk_ecs::types::builders::ServiceDeploymentBuilder,
) -> aws_sdk_ecs::types::builders::ServiceDeploymentBuilder {
    let off = Monitors::Triggered;
    match native {
        0 => built,
        1 => built.deployment_circuit_breaker(
            ServiceDeploymentCircuitBreaker::builder().status(off).failure_count(3).build(),
        ),
        _ => built.alarms(
            ServiceDeploymentAlarms::builder().status(off).triggered_alarm_names("5xx").build(),
        ),
    }
}

/// Every (strategy, status, lifecycle stage, hook, native guard), with whether it waits
/// at a hook.
fn service_deployments() -> Vec<(ServiceDeployment, bool)> {
    let summary = |arn: &str| ServiceRevisionSummary::builder().arn(arn).build();
    let mut hooks = vec![None];
    for target in DeploymentLifecycleHookTargetType::values() {
        hooks.extend(DeploymentLifecycleHookStatus::values().iter().map(|at| Some((*target, *at))));
    }
    let stages = ServiceDeploymentLifecycleStage::values().iter().map(|stage| Some(*stage));
    let stages: Vec<_> = std::iter::once(None).chain(stages).collect();
    let mut all = Vec::new();
    for strategy in DeploymentStrategy::values() {
        for status in ServiceDeploymentStatus::values() {
            for stage in &stages {
                for hook in &hooks {
                    for native in 0..3 {
                        let configuration =
                            DeploymentConfiguration::builder().strategy((*strategy).into()).build();
                        let hook_of = |(target, at): (&str, &str)| {
                            DeploymentLifecycleHookDetail::builder()
                                .hook_id("hook")
                                .target_type(target.into())
                                .status(at.into())
                                .build()
                        };
                        let back = Rollback::builder().service_revision_arn("arn:revision/1");
                        let is_rollback = status.starts_with("ROLLBACK");
                        let built = ServiceDeployment::builder()
                            .service_deployment_arn("arn:flight")
                            .deployment_configuration(configuration)
                            .status((*status).into())
                            .set_lifecycle_stage(stage.map(ServiceDeploymentLifecycleStage::from))
                            .set_lifecycle_hook_details(hook.map(|hook| vec![hook_of(hook)]))
                            .set_rollback(is_rollback.then(|| back.build()))
                            .source_service_revisions(summary("arn:revision/1"))
                            .target_service_revision(summary("arn:revision/2"));
                        let waits = *hook == Some(("PAUSE", "AWAITING_ACTION"));
                        all.push((guarded(native, built).build(), waits));
                    }
                }
            }
        }
    }
    all
}

fn seen(service: &Service, flight: Option<Flight>, release: Option<Release>, at: Images) -> Seen {
    let found = in_place(service, flight.as_ref()).unwrap().unwrap();
    Seen {
        controller: deployer(service),
        primary: found.primary,
        others: found.others,
        flight,
        release,
        unplaceable: None,
        pinned: (at == Images::MovedPinned).then(|| "api:7".to_owned()),
    }
}

#[test]
fn every_combination_that_ecs_can_show_leads_to_the_calls_of_the_table() {
    let mut looked_at = 0;
    for images in IMAGES {
        let revisions: HashMap<String, Revision> = [true, false]
            .map(|judged| revision(images, judged))
            .into_iter()
            .map(|one| (one.service_revision.clone().unwrap(), one))
            .collect();
        let service = by_deployments(images, "ECS");
        for (found, waits) in service_deployments() {
            let flight = Flight::of(&found, &revisions);
            let seen = seen(&service, flight, None, images);
            let status = found.status().unwrap().as_str();
            let step = choose(&seen, &plan(images));
            let expected = of_ecs(status, waits, images);
            assert_eq!(calls(&step, &seen, &plan(images)), expected, "{images:?} {found:?}");
            looked_at += 1;
        }
    }
    assert!(looked_at > 50_000, "only {looked_at}");
}

#[test]
fn every_combination_that_code_deploy_can_show_leads_to_the_calls_of_the_table() {
    let info = |id: &str, status: &str, undone_by: Option<&str>| {
        let back = RollbackInfo::builder().set_rollback_deployment_id(undone_by.map(Into::into));
        DeploymentInfo::builder()
            .deployment_id(id)
            .application_name("app")
            .deployment_group_name("group")
            .status(DeploymentStatus::from(status))
            .rollback_info(back.build())
            .build()
    };
    let values = DeploymentStatus::values();
    let rollbacks: Vec<_> = values.iter().map(|one| Some(*one)).chain([None]).collect();
    for images in [Images::Apart, Images::Moved, Images::MovedMayPin] {
        for moved_over in [false, true] {
            let service = by_task_sets(images, "CODE_DEPLOY", moved_over);
            for (status, rollback) in
                values.iter().flat_map(|one| rollbacks.iter().map(move |back| (*one, *back)))
            {
                let found = info("d-1", status, rollback.map(|_| "d-2"));
                let undoes = rollback.map(|status| info("d-2", status, None));
                let release = Release::of(&found, undoes.as_ref());
                let seen = seen(&service, None, release, images);
                let step = choose(&seen, &plan(images));
                let expected = of_code_deploy(status, rollback, images);
                let told = calls(&step, &seen, &plan(images));
                assert_eq!(told, expected, "{images:?} {moved_over} {status} {rollback:?}");
            }
        }
    }
}

#[test]
fn every_controller_is_thought_about_and_a_third_partys_is_refused_with_what_to_do() {
    for kind in DeploymentControllerType::values() {
        for moved_over in [false, true] {
            let service = match *kind {
                "ECS" => by_deployments(Images::Apart, kind),
                "CODE_DEPLOY" | "EXTERNAL" => by_task_sets(Images::Apart, kind, moved_over),
                other => panic!("ECS has a controller that nobody has thought about: {other}"),
            };
            let seen = seen(&service, None, None, Images::Apart);
            let step = choose(&seen, &plan(Images::Apart));
            match (*kind, &step) {
                ("ECS", Step::Update) => {}
                ("CODE_DEPLOY", Step::Refuse(words)) => {
                    assert!(words.contains("names no deployment of CodeDeploy's"), "{words}");
                }
                ("EXTERNAL", Step::Refuse(words)) => {
                    assert!(words.contains("Have that controller put api:1 back"), "{words}");
                }
                other => panic!("{other:?}"),
            }
        }
    }
}

#[test]
fn a_refusal_to_pin_names_the_key_that_would_allow_it() {
    let images = Images::Moved;
    let seen = seen(&by_deployments(images, "ECS"), None, None, images);
    let Step::Refuse(words) = choose(&seen, &plan(images)) else { panic!() };
    assert!(words.contains("pin_digests: true"), "{words}");
}
