//! What a rollback does, and does not, whatever happens meanwhile.

use std::sync::Arc;

use deployguard::model::{ActFailure, Inspection, Revision, Route, StopSwitch};
use deployguard::platform::Platform;
use serde_json::json;

use super::{SWITCH, Stage, image_of, key, permit};
use crate::world::kubernetes::{Fault, objects};
use crate::world::now;

/// v2 is in place, and v1 is to be put back.
async fn judged() -> (Stage, deployguard::model::RollbackPlan) {
    let stage = Stage::with_api().await;
    let target = stage.sighting("api").await.primary.revision;
    stage.deploy("example.com/api:v2").await;
    let plan = stage.plan("api", target).await;
    (stage, plan)
}

/// The selector is at green, and blue is to be put back.
async fn switched() -> (Stage, deployguard::model::RollbackPlan) {
    let stage = Stage::blue_and_green().await;
    let target = stage.sighting(SWITCH).await.primary.revision;
    tokio::time::sleep(std::time::Duration::from_millis(1100)).await;
    stage.switch("green");
    let plan = stage.plan(SWITCH, target).await;
    (stage, plan)
}

fn selected(stage: &Stage) -> String {
    let service = stage.cluster.get("services", "taskflow-api").expect("a Service");
    service["spec"]["selector"]["version"].as_str().expect("a side").to_owned()
}

#[tokio::test]
async fn a_deployment_is_undone_and_its_scale_stays() {
    let (stage, plan) = judged().await;
    stage.patch("deployments", "api", &json!({ "spec": { "replicas": 5 } }));
    stage.cluster.wait_complete("api").await;
    assert!(stage.platform.foresee(&plan).await.expect("possible").contains("rollout undo"));
    let acted = stage.roll_back(&plan).await.expect("done");
    assert_eq!(acted.route, Route::UndoRollout);
    assert_eq!(acted.mismatch, None);
    stage.cluster.wait_complete("api").await;
    let back = stage.sighting("api").await.primary;
    assert_eq!(back.revision.name, plan.target.name, "the very same ReplicaSet");
    assert_eq!(back.desired, 5);
    assert_eq!(stage.cluster.image("api"), "example.com/api:v1");
    assert_eq!(stage.cluster.mutations().len(), 1);
    let again = stage.roll_back(&plan).await.expect("a repetition finds it");
    assert_eq!((again.route, again.deployment), (Route::AlreadyInPlace, Some(back.id)));
    assert_eq!(stage.cluster.mutations().len(), 1);
}

#[tokio::test]
async fn the_selector_goes_back_to_blue_and_the_deployments_stay_as_they_are() {
    let (stage, plan) = switched().await;
    let foreseen = stage.platform.foresee(&plan).await.expect("possible");
    assert!(foreseen.contains("app=taskflow,version=blue"), "{foreseen}");
    let acted = stage.roll_back(&plan).await.expect("done");
    assert_eq!(acted.route, Route::SwitchSelector);
    let seen = stage.sighting(SWITCH).await.primary;
    assert_eq!(acted.deployment, Some(seen.id));
    assert_eq!(seen.revision.name, plan.target.name);
    assert_eq!(selected(&stage), "blue");
    let what: Vec<String> = stage.cluster.mutations().into_iter().map(|one| one.what).collect();
    assert_eq!(what, ["services/taskflow-api"]);
}

#[tokio::test]
async fn what_was_deployed_meanwhile_is_never_rolled_back() {
    let (stage, plan) = judged().await;
    stage.deploy("example.com/api:v3").await;
    let told = stage.roll_back(&plan).await.unwrap_err();
    assert!(matches!(told, ActFailure::Superseded(_)), "{told}");
    // In the moment between the look and the change.
    let (stage, plan) = judged().await;
    let patch = stage.cluster.patcher();
    let deploys = move || patch("deployments", "api", &image_of("api", "example.com/api:v3"));
    let meanwhile = Fault::Meanwhile(Arc::new(deploys));
    stage.cluster.faults().plan("patch deployments.apps", &meanwhile, 1);
    let told = stage.roll_back(&plan).await.unwrap_err();
    assert!(matches!(told, ActFailure::Superseded(_) | ActFailure::Transient(_)), "{told}");
    stage.cluster.wait_complete("api").await;
    assert_eq!(stage.cluster.image("api"), "example.com/api:v3");
    assert!(stage.cluster.mutations().is_empty());
}

#[tokio::test]
async fn a_switch_and_back_between_look_and_change_is_seen() {
    let (stage, plan) = switched().await;
    let patch = stage.cluster.patcher();
    let switches = move || {
        patch(
            "services",
            "taskflow-api",
            &json!({ "spec": { "selector": { "version": "blue" } } }),
        );
    };
    let meanwhile = Fault::Meanwhile(Arc::new(switches));
    stage.cluster.faults().plan("patch services", &meanwhile, 1);
    let acted = stage.roll_back(&plan).await.expect("somebody has done it");
    assert_eq!(acted.route, Route::AlreadyInPlace);
    assert!(stage.cluster.mutations().is_empty());
}

#[tokio::test]
async fn a_lost_answer_is_looked_for_and_the_change_is_sent_once() {
    for (fault, sent) in [(Fault::Lost, true), (Fault::Status(503), false)] {
        let (stage, plan) = switched().await;
        stage.cluster.faults().plan("patch services", &fault, 1);
        let told = stage.roll_back(&plan).await;
        let calls = stage.cluster.calls();
        assert_eq!(calls.iter().filter(|call| *call == "patch services").count(), 1);
        if sent {
            assert_eq!(told.expect("found").route, Route::SwitchSelector);
            assert_eq!(selected(&stage), "blue");
        } else {
            let told = told.unwrap_err();
            assert!(matches!(told, ActFailure::Transient(_)), "{told}");
            assert_eq!(selected(&stage), "green");
        }
    }
}

#[tokio::test]
async fn a_call_without_an_answer_ends() {
    let (stage, plan) = switched().await;
    stage.cluster.faults().plan("patch services", &Fault::Hang, 1);
    let told = stage.roll_back(&plan).await.unwrap_err();
    let ActFailure::Transient(words) = told else { panic!("{told}") };
    assert!(words.contains("no answer within 10 s"), "{words}");
}

#[tokio::test]
async fn a_status_that_is_written_meanwhile_stops_no_rollback() {
    let (stage, plan) = judged().await;
    let patch = stage.cluster.patcher();
    let notes = move || {
        let at = now().to_string();
        patch("deployments", "api", &json!({ "metadata": { "annotations": { "at": at } } }));
    };
    let meanwhile = Fault::Meanwhile(Arc::new(notes));
    stage.cluster.faults().plan("patch deployments.apps", &meanwhile, 2);
    let acted = stage.roll_back(&plan).await.expect("done");
    assert_eq!(acted.route, Route::UndoRollout);
    assert_eq!(stage.cluster.mutations().len(), 1);
}

#[tokio::test]
async fn nothing_is_called_once_it_is_stopped() {
    let (stage, plan) = switched().await;
    let stop = StopSwitch::default();
    stop.stop("paused by dana");
    let told = stage.platform.roll_back(&permit().unless(stop), &plan).await.unwrap_err();
    assert!(matches!(told, ActFailure::Stopped(_)), "{told}");
    assert!(stage.cluster.mutations().is_empty());
}

#[tokio::test]
async fn what_stands_in_the_way_is_told_at_the_start_and_refused_at_the_end() {
    let obstacle = |stage: &Stage, service: &'static str, judged: Revision, target: Revision| {
        let platform = stage.platform.clone();
        async move {
            let seen = platform.inspect(&key(service), &judged, &target, false).await;
            seen.expect("inspected").obstacle
        }
    };
    let (stage, plan) = judged().await;
    let judged_revision = plan.judged_revision.clone();
    let none = obstacle(&stage, "api", judged_revision.clone(), plan.target.clone()).await;
    assert_eq!(none, None);
    stage.cluster.delete("replicasets", &plan.target.name);
    let gone = obstacle(&stage, "api", judged_revision, plan.target.clone()).await;
    assert!(gone.is_some_and(|words| words.contains("revisionHistoryLimit")));
    let told = stage.roll_back(&plan).await.unwrap_err();
    assert!(matches!(told, ActFailure::Refused(_)), "{told}");

    let (stage, plan) = switched().await;
    stage.patch("deployments", "taskflow-api-blue", &json!({ "spec": { "replicas": 0 } }));
    stage.cluster.wait_complete("taskflow-api-blue").await;
    let judged_revision = plan.judged_revision.clone();
    let scaled = obstacle(&stage, SWITCH, judged_revision, plan.target.clone()).await;
    assert!(scaled.is_some_and(|words| words.contains("has no pod that is ready")));
    let told = stage.roll_back(&plan).await.unwrap_err();
    assert!(matches!(told, ActFailure::Refused(_)), "{told}");
    assert_eq!(selected(&stage), "green");
}

/// Green gets this pod template and the selector, and blue is to be put back.
async fn switched_to(
    stage: &Stage,
    template: serde_json::Value,
) -> deployguard::model::RollbackPlan {
    let target = stage.sighting(SWITCH).await.primary.revision;
    let change = json!({ "spec": { "template": template } });
    stage.patch("deployments", "taskflow-api-green", &change);
    stage.cluster.wait_complete("taskflow-api-green").await;
    stage.switch("green");
    stage.plan(SWITCH, target).await
}

async fn inspected(stage: &Stage, plan: &deployguard::model::RollbackPlan) -> Inspection {
    let (judged, target) = (&plan.judged_revision, &plan.target);
    let seen = stage.platform.inspect(&plan.service, judged, target, false).await;
    seen.expect("inspected")
}

#[tokio::test]
async fn blue_is_put_back_whatever_containers_green_has_and_nothing_else_is() {
    let stage = Stage::blue_and_green().await;
    let labels = json!({ "app": "worker", "version": "green" });
    stage.create("deployments", objects::deployment("worker", &labels, "worker:v3", &[]));
    stage.cluster.wait_complete("worker").await;
    let mut template = objects::template(&objects::side("green"), "elsewhere/taskflow:v2", &[]);
    template["spec"]["containers"] = json!([
        { "name": "taskflow", "image": "elsewhere/taskflow:v2" },
        { "name": "proxy", "image": "proxy:v1" },
    ]);
    let plan = switched_to(&stage, template).await;
    assert_eq!(inspected(&stage, &plan).await.obstacle, None);
    let acted = stage.roll_back(&plan).await.expect("done");
    assert_eq!(acted.route, Route::SwitchSelector);
    assert_eq!(selected(&stage), "blue");
    assert_eq!(stage.sighting(SWITCH).await.primary.revision.name, plan.target.name);
}

#[tokio::test]
async fn the_same_pods_under_another_colour_are_no_way_back() {
    let stage = Stage::blue_and_green().await;
    let image = format!("taskflow@sha256:{}", "0a".repeat(32));
    let blue = objects::template(&objects::side("blue"), &image, &[]);
    stage.patch("deployments", "taskflow-api-blue", &json!({ "spec": { "template": blue } }));
    stage.cluster.wait_complete("taskflow-api-blue").await;
    let green = objects::template(&objects::side("green"), &image, &[]);
    let plan = switched_to(&stage, green.clone()).await;
    let obstacle = inspected(&stage, &plan).await.obstacle.expect("an obstacle");
    assert!(obstacle.contains("would restore nothing"), "{obstacle}");
    let told = stage.roll_back(&plan).await.unwrap_err();
    assert!(matches!(told, ActFailure::Refused(_)), "{told}");
    assert!(stage.cluster.mutations().is_empty());

    // An annotation may put something into pods.
    stage.switch("blue");
    let mut noted = green;
    noted["metadata"]["annotations"] = json!({ "sidecar/inject": "secret words" });
    let plan = switched_to(&stage, noted).await;
    let seen = inspected(&stage, &plan).await;
    assert_eq!(seen.obstacle, None);
    assert_eq!(seen.differences, ["annotations of the pods: sidecar/inject added"]);
    assert_eq!(stage.roll_back(&plan).await.expect("done").route, Route::SwitchSelector);
}

#[tokio::test]
async fn the_same_tag_on_both_sides_may_be_another_image_and_blue_is_put_back() {
    let stage = Stage::blue_and_green().await;
    let green = objects::template(&objects::side("green"), "taskflow:v1.0.0", &[]);
    let plan = switched_to(&stage, green).await;
    let seen = inspected(&stage, &plan).await;
    assert_eq!(seen.obstacle, None);
    let told = &seen.differences[..];
    assert!(
        matches!(told, [only] if only.starts_with("what taskflow:v1.0.0 stands for")),
        "{told:?}"
    );
    assert_eq!(stage.roll_back(&plan).await.expect("done").route, Route::SwitchSelector);
    assert_eq!(selected(&stage), "blue");
}

#[tokio::test]
async fn an_undo_that_would_start_the_same_pods_is_none_and_a_restart_is_undone() {
    let (stage, plan) = judged().await;
    let mut same = objects::template(&json!({ "app": "api" }), "example.com/api:v1", &[]);
    same["metadata"]["labels"]["build"] = json!("2");
    stage.patch("deployments", "api", &json!({ "spec": { "template": same } }));
    stage.cluster.wait_complete("api").await;
    let plan = stage.plan("api", plan.target).await;
    let obstacle = inspected(&stage, &plan).await.obstacle.expect("an obstacle");
    assert!(obstacle.contains("would restore nothing"), "{obstacle}");
    let notes = json!({ "kubectl.kubernetes.io/restartedAt": "2026-11-01T00:00:00Z" });
    let change = json!({ "spec": { "template": { "metadata": { "annotations": notes } } } });
    stage.patch("deployments", "api", &change);
    stage.cluster.wait_complete("api").await;
    let plan = stage.plan("api", plan.target).await;
    assert_eq!(inspected(&stage, &plan).await.obstacle, None);
    assert_eq!(stage.roll_back(&plan).await.expect("done").route, Route::UndoRollout);
}

#[tokio::test]
async fn what_differs_is_told_by_name_and_git_that_keeps_the_service_is_told() {
    let (stage, plan) = switched().await;
    let (judged, target) = (&plan.judged_revision, &plan.target);
    let seen = stage.platform.inspect(&key(SWITCH), judged, target, false).await;
    let differences = seen.expect("inspected").differences;
    assert_eq!(differences, ["image of api: taskflow:v1.0.0 -> taskflow:v1.1.0"]);
    let labels = json!({ "metadata": { "labels": { "argocd.argoproj.io/instance": "taskflow" } } });
    stage.patch("services", "taskflow-api", &labels);
    let acted = stage.roll_back(&plan).await.expect("done");
    assert!(acted.beside[0].starts_with("Argo CD keeps taskflow-api"), "{:?}", acted.beside);
}
