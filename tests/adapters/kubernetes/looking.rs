//! What is seen of Deployments and of Services that are switched.

use deployguard::model::{Controller, RollOut, Sighting};
use deployguard::platform::{LookError, Platform};
use serde_json::json;

use super::{NAMESPACE, SWITCH, Stage, connect, image_of, key};
use crate::world::kubernetes::{Fault, objects};

#[tokio::test]
async fn a_deployment_is_seen_with_its_revision_its_progress_and_what_was_before() {
    let stage = Stage::with_api().await;
    let first = stage.sighting("api").await;
    assert_eq!(first.controller, Controller::Rollout);
    assert_eq!(first.primary.revision.short(), "api revision 1 (api:v1)");
    assert_eq!((first.primary.desired, first.primary.running), (3, 3));
    assert!(first.is_stable() && first.source.is_none(), "{first:?}");

    stage.cluster.never_starts("example.com/api:v2");
    stage.set_image("example.com/api:v2");
    let second = loop {
        let seen = stage.sighting("api").await;
        if seen.primary.id != first.primary.id {
            break seen;
        }
    };
    assert_eq!(second.primary.roll_out, RollOut::InProgress);
    assert_eq!(second.primary.revision.short(), "api revision 2 (api:v2)");
    assert_eq!(second.primary.running, 0);
    assert_eq!(second.others.len(), 1, "{:?}", second.others);
    assert_eq!(second.others[0].id, first.primary.id);
    assert_eq!(second.source.as_ref(), Some(&first.primary.revision));
}

#[tokio::test]
async fn an_undo_is_another_deployment_of_the_same_revision_and_its_time_does_not_move() {
    let stage = Stage::with_api().await;
    let first = stage.sighting("api").await.primary;
    stage.deploy("example.com/api:v2").await;
    let second = stage.sighting("api").await.primary;
    stage.deploy("example.com/api:v1").await;
    let third = stage.sighting("api").await;
    assert_eq!(third.primary.revision.name, first.revision.name);
    assert_ne!(third.primary.id, first.id);
    assert!(third.primary.created_at >= second.created_at, "an undo comes after what it undoes");
    assert_eq!(third.source.map(|source| source.name), Some(second.revision.name));
    tokio::time::sleep(std::time::Duration::from_millis(1100)).await;
    stage.patch("deployments", "api", &json!({ "spec": { "replicas": 4 } }));
    stage.cluster.wait_complete("api").await;
    let scaled = stage.sighting("api").await.primary;
    assert_eq!(scaled.desired, 4);
    assert_eq!((scaled.id, scaled.created_at), (third.primary.id, third.primary.created_at));
}

#[tokio::test]
async fn a_roll_out_that_misses_its_deadline_has_failed_and_a_paused_one_says_so() {
    let stage = Stage::with_api().await;
    stage.cluster.never_starts("example.com/api:v2");
    let mut change = image_of("api", "example.com/api:v2");
    change["spec"]["progressDeadlineSeconds"] = json!(1);
    stage.patch("deployments", "api", &change);
    let failed = loop {
        let seen = stage.sighting("api").await.primary;
        if seen.roll_out == RollOut::Failed {
            break seen;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    };
    assert!(failed.reason.is_some());
    let stage = Stage::with_api().await;
    stage.cluster.never_starts("example.com/api:v2");
    stage.set_image("example.com/api:v2");
    while stage.sighting("api").await.primary.revision.short().contains("v1") {}
    stage.patch("deployments", "api", &json!({ "spec": { "paused": true } }));
    let paused = loop {
        let seen = stage.sighting("api").await.primary;
        if let Some(reason) = seen.reason {
            break reason;
        }
    };
    assert!(paused.contains("kubectl rollout resume"), "{paused}");
}

#[tokio::test]
async fn a_switch_of_the_selector_is_told_by_what_it_leads_to_whoever_reads_it() {
    let stage = Stage::blue_and_green().await;
    let blue = stage.sighting(SWITCH).await;
    assert_eq!(blue.controller, Controller::Selector);
    assert_eq!(blue.primary.revision.short(), "taskflow-api-blue revision 1 (taskflow:v1.0.0)");
    assert_eq!(blue.source, None, "what stands by may never have been in place");
    assert!(blue.is_stable(), "what stands by gets no requests: {blue:?}");

    let mut seen = vec![blue.primary];
    for side in ["green", "blue", "green"] {
        // The API keeps whole seconds.
        tokio::time::sleep(std::time::Duration::from_millis(1100)).await;
        stage.switch(side);
        let now = stage.sighting(SWITCH).await.primary;
        assert!(now.revision.name.contains(side), "{now:?}");
        assert!(seen.iter().all(|before| before.created_at < now.created_at), "{now:?}");
        seen.push(now);
    }
    let ids: Vec<&str> = seen.iter().map(|one| one.id.as_str()).collect();
    assert_ne!(ids[0], ids[1]);
    assert_eq!(ids[0], ids[2], "the engine remembers what was in place in between");
    assert_eq!(ids[1], ids[3]);
    assert_eq!(fresh(&stage, SWITCH).await.primary, seen[3], "another daemon sees the same");
}

/// As a daemon that was just started sees it.
async fn fresh(stage: &Stage, service: &str) -> Sighting {
    let looks = connect(&stage.cluster).await.look(&[key(service)], crate::world::now()).await;
    looks[0].1.clone().expect("seen").expect("in place")
}

#[tokio::test]
async fn the_same_template_rolled_out_again_under_a_service_is_another_deployment() {
    let stage = Stage::with_api().await;
    stage.create("services", objects::service("api", &json!({ "app": "api" })));
    let mut ids = vec![stage.sighting("service/api").await.primary.id];
    for image in ["example.com/api:v2", "example.com/api:v1", "example.com/api:v2"] {
        stage.deploy(image).await;
        ids.push(stage.sighting("service/api").await.primary.id);
    }
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 4, "v2 is judged both times: {ids:?}");
}

#[tokio::test]
async fn what_is_written_to_a_service_beside_its_selector_is_no_deployment() {
    let stage = Stage::blue_and_green().await;
    let before = stage.sighting(SWITCH).await;
    tokio::time::sleep(std::time::Duration::from_millis(1100)).await;
    let ports = json!({ "spec": { "ports": [{ "port": 8080, "targetPort": 3000 }] } });
    stage.patch("services", "taskflow-api", &ports);
    stage.switch("blue");
    let after = stage.sighting(SWITCH).await;
    assert!(after.shows_the_same_as(&before), "{after:?}");
    let fresh = fresh(&stage, SWITCH).await.primary;
    assert_eq!(fresh.id, before.primary.id, "nor for who has not seen it before");
}

#[tokio::test]
async fn what_leads_to_no_one_deployment_is_told_with_what_to_do() {
    let stage = Stage::blue_and_green().await;
    let both = objects::service("both", &json!({ "app": "taskflow" }));
    stage.create("services", both);
    stage.create("services", objects::service("none", &json!({ "app": "none" })));
    let told = stage.look("service/both").await.unwrap_err();
    assert!(
        matches!(&told, LookError::Permanent(words)
        if words.contains("taskflow-api-blue and taskflow-api-green together")),
        "{told}"
    );
    let told = stage.look("service/none").await.unwrap_err();
    assert!(matches!(told, LookError::Transient(_)), "{told}");
    assert_eq!(stage.look("service/gone").await, Ok(None));
    assert_eq!(stage.look("gone").await, Ok(None));
    let told = stage.look("pod/x").await.unwrap_err();
    assert!(matches!(told, LookError::Permanent(_)), "{told}");
}

#[tokio::test]
async fn a_namespace_lists_deployments_and_what_leads_to_one() {
    let stage = Stage::blue_and_green().await;
    stage.create("services", objects::service("both", &json!({ "app": "taskflow" })));
    stage.create("ingresses", objects::ingress("taskflow", "taskflow-api", None));
    stage.create("ingresses", objects::ingress("canary", "taskflow-api", Some(0)));
    let listed = stage.platform.services(NAMESPACE).await.expect("listed");
    let names: Vec<&str> = listed.iter().map(|key| key.service.as_str()).collect();
    let expected =
        ["taskflow-api-blue", "taskflow-api-green", "service/taskflow-api", "ingress/taskflow"];
    assert_eq!(names, expected);
    assert_eq!(stage.platform.clusters().await.expect("namespaces"), [NAMESPACE]);
}

#[tokio::test]
async fn a_look_that_fails_says_for_whom_and_what_to_do() {
    let stage = Stage::with_api().await;
    for (fault, everywhere) in
        [(Fault::Status(503), true), (Fault::Status(401), true), (Fault::Status(429), true)]
    {
        stage.cluster.faults().plan("list deployments.apps", &fault, 1);
        let told = stage.look("api").await.unwrap_err();
        assert_eq!(matches!(told, LookError::Everywhere(_)), everywhere, "{told}");
    }
    stage.cluster.forbid("list replicasets.apps");
    let told = stage.look("api").await.unwrap_err();
    let LookError::Permanent(words) = told else { panic!("{told}") };
    assert!(words.contains("the verb `list` on `replicasets.apps`"), "{words}");
    assert!(words.contains("rbac.yaml"), "{words}");
    let tried = stage.platform.probe(NAMESPACE).await;
    let lacking: Vec<&str> =
        tried.iter().filter(|one| one.allowed == Ok(false)).map(|one| one.what.as_str()).collect();
    assert_eq!(lacking, ["list replicasets.apps"]);
}
