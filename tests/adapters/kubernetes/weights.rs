//! Canaries by weight: an Ingress with a canary beside it, and a route of the Gateway API.

use deployguard::model::{ActFailure, Controller, RollOut, Route, ShiftPlan, StopSwitch};
use deployguard::platform::Platform;
use serde_json::json;

use super::{Stage, connect, key};
use crate::world::kubernetes::objects;
use crate::world::now;

const INGRESS: &str = "ingress/taskflow";
const ROUTE: &str = "httproute/taskflow";
const WEIGHT: &str = "nginx.ingress.kubernetes.io/canary-weight";

/// Document 002, step 2: the Ingress leads to blue, and its canary to green.
async fn with_ingress(weight: u8) -> Stage {
    let stage = Stage::blue_and_green().await;
    stage.create("services", objects::service("taskflow-api-green", &objects::side("green")));
    stage.create("ingresses", objects::ingress("taskflow", "taskflow-api", None));
    let canary = objects::ingress("taskflow-canary", "taskflow-api-green", Some(weight));
    stage.create("ingresses", canary);
    stage
}

fn weigh(stage: &Stage, weight: u8) {
    let merge = json!({ "metadata": { "annotations": { WEIGHT: weight.to_string() } } });
    stage.patch("ingresses", "taskflow-canary", &merge);
}

fn weight(stage: &Stage) -> String {
    let ingress = stage.cluster.get("ingresses", "taskflow-canary").expect("a canary");
    ingress["metadata"]["annotations"][WEIGHT].as_str().expect("a weight").to_owned()
}

#[tokio::test]
async fn a_canary_is_one_deployment_from_its_first_request_to_the_cutover() {
    let stage = with_ingress(0).await;
    let blue = stage.sighting(INGRESS).await;
    assert_eq!((blue.controller, blue.primary.weight), (Controller::Weights, Some(100)));
    assert!(blue.primary.revision.name.contains("blue") && blue.is_stable(), "{blue:?}");
    let mut ids = Vec::new();
    for (share, rest, roll_out) in [
        (10, Some(90), RollOut::InProgress),
        (50, Some(50), RollOut::InProgress),
        (100, None, RollOut::Completed),
    ] {
        weigh(&stage, share);
        let seen = stage.sighting(INGRESS).await;
        assert!(seen.primary.revision.name.contains("green"), "{seen:?}");
        assert_eq!((seen.primary.weight, seen.primary.roll_out), (Some(share), roll_out));
        assert_eq!(seen.others.first().map(|old| old.weight), rest.map(Some));
        assert_eq!(seen.source.as_ref(), Some(&blue.primary.revision));
        ids.push(seen.primary.id);
    }
    stage.switch("green");
    ids.push(stage.sighting(INGRESS).await.primary.id);
    stage.cluster.delete("ingresses", "taskflow-canary");
    ids.push(stage.sighting(INGRESS).await.primary.id);
    let another = connect(&stage.cluster).await.look(&[key(INGRESS)], now()).await;
    let another = another[0].1.as_ref().expect("seen").as_ref().expect("in place");
    ids.push(another.primary.id.clone());
    ids.dedup();
    assert_eq!(ids.len(), 1, "{ids:?}");
    assert_ne!(ids[0], blue.primary.id);
}

#[tokio::test]
async fn a_canary_tried_again_is_not_rolled_back_by_what_was_decided_of_the_first_try() {
    let stage = with_ingress(10).await;
    let seen = stage.sighting(INGRESS).await;
    let plan = stage.plan(INGRESS, seen.source.expect("blue")).await;
    weigh(&stage, 0);
    stage.sighting(INGRESS).await;
    weigh(&stage, 10);
    let second = stage.sighting(INGRESS).await.primary;
    assert_eq!(seen.primary.id, second.id, "whoever reads it; the engine tells the tries apart");
    let told = stage.roll_back(&plan).await.unwrap_err();
    assert!(matches!(told, ActFailure::Superseded(_)), "{told}");
    assert_eq!(weight(&stage), "10");
    let plan = stage.plan(INGRESS, plan.target).await;
    stage.roll_back(&plan).await.expect("decided of the second try");
    assert_eq!(weight(&stage), "0");
}

#[tokio::test]
async fn a_switch_without_a_canary_began_when_it_was_switched() {
    let stage = with_ingress(0).await;
    let blue = stage.sighting(INGRESS).await.primary;
    tokio::time::sleep(std::time::Duration::from_millis(1100)).await;
    stage.switch("green");
    let green = stage.sighting(INGRESS).await.primary;
    assert_ne!(green.id, blue.id);
    assert!(green.created_at > blue.created_at, "not when green's pods were made: {green:?}");
    let service = stage.cluster.get("services", "taskflow-api").expect("a Service");
    let writers = service["metadata"]["managedFields"].as_array().expect("writers").clone();
    let switched = writers.iter().filter_map(|one| one["time"].as_str()).max();
    assert_eq!(switched.map(str::to_owned), Some(green.created_at.to_string()));
}

#[tokio::test]
async fn an_ingress_to_several_services_is_still_seen_when_its_canary_is_gone() {
    let stage = with_ingress(10).await;
    stage.create("services", objects::service("admin", &json!({ "app": "admin" })));
    let mut ingress = stage.cluster.get("ingresses", "taskflow").expect("an Ingress");
    let admin = json!({
        "path": "/admin", "pathType": "Prefix",
        "backend": { "service": { "name": "admin", "port": { "number": 80 } } },
    });
    let paths = ingress["spec"]["rules"][0]["http"]["paths"].as_array_mut().expect("paths");
    paths.push(admin);
    stage.patch("ingresses", "taskflow", &json!({ "spec": { "rules": ingress["spec"]["rules"] } }));
    let canary = stage.sighting(INGRESS).await;
    weigh(&stage, 100);
    stage.switch("green");
    stage.cluster.delete("ingresses", "taskflow-canary");
    let after = stage.sighting(INGRESS).await.primary;
    assert_eq!(after.id, canary.primary.id);
    let plan = stage.plan(INGRESS, canary.source.expect("blue")).await;
    let acted = stage.roll_back(&plan).await.expect("possible");
    assert_eq!(acted.route, Route::SwitchSelector);

    // Who has not seen the canary goes by the name.
    ingress["metadata"] = json!({ "name": "taskflow-api", "namespace": super::NAMESPACE });
    stage.create("ingresses", ingress);
    let fresh = connect(&stage.cluster).await;
    for (name, is_seen) in [("ingress/taskflow-api", true), (INGRESS, false)] {
        let looks = fresh.look(&[key(name)], now()).await;
        assert_eq!(looks[0].1.is_ok(), is_seen, "{looks:?}");
    }
    // Or by what is to be rolled back, and knows it from then on.
    stage.switch("green");
    let plan = deployguard::model::RollbackPlan { decided_at: now(), ..plan };
    let acted = fresh.roll_back(&super::permit(), &plan).await.expect("possible");
    assert_eq!(acted.route, Route::SwitchSelector);
    let looks = fresh.look(&[key(INGRESS)], now()).await;
    let seen = looks[0].1.as_ref().expect("seen").as_ref().expect("in place");
    assert_eq!(seen.primary.revision.name, plan.target.name);
}

#[tokio::test]
async fn of_several_services_that_lead_to_what_is_rolled_back_none_is_taken() {
    let stage = with_ingress(100).await;
    let target = stage.sighting(INGRESS).await.source.expect("blue");
    stage.switch("green");
    let plan = stage.plan(INGRESS, target).await;
    let mut ingress = stage.cluster.get("ingresses", "taskflow").expect("an Ingress");
    let preview = json!({
        "path": "/preview", "pathType": "Prefix",
        "backend": { "service": { "name": "taskflow-api-green", "port": { "number": 80 } } },
    });
    let paths = ingress["spec"]["rules"][0]["http"]["paths"].as_array_mut().expect("paths");
    paths.push(preview);
    stage.patch("ingresses", "taskflow", &json!({ "spec": { "rules": ingress["spec"]["rules"] } }));
    stage.cluster.delete("ingresses", "taskflow-canary");
    let fresh = connect(&stage.cluster).await;
    let told = fresh.roll_back(&super::permit(), &plan).await.unwrap_err();
    assert!(told.to_string().contains("leads to several Services"), "{told}");
    assert!(stage.cluster.mutations().is_empty());
}

#[tokio::test]
async fn a_share_of_another_total_than_a_hundred_is_reached() {
    let stage = with_ingress(10).await;
    let total = "nginx.ingress.kubernetes.io/canary-weight-total";
    let notes = json!({ "metadata": { "annotations": { total: "15", WEIGHT: "2" } } });
    stage.patch("ingresses", "taskflow-canary", &notes);
    let judged = stage.sighting(INGRESS).await.primary.id;
    let plan = ShiftPlan { service: key(INGRESS), judged, weight: 50 };
    stage.platform.shift(&plan, &StopSwitch::default()).await.expect("moved");
    assert_eq!(weight(&stage), "8");
    assert_eq!(stage.sighting(INGRESS).await.primary.weight, Some(53));
}

#[tokio::test]
async fn the_share_is_moved_up_and_never_down() {
    let stage = with_ingress(10).await;
    let judged = stage.sighting(INGRESS).await.primary.id;
    let shift = |weight: u8| ShiftPlan { service: key(INGRESS), judged: judged.clone(), weight };
    let stop = StopSwitch::default();
    for (to, becomes, calls) in [(50, "50", 1), (50, "50", 1), (10, "50", 1), (100, "100", 2)] {
        stage.platform.shift(&shift(to), &stop).await.expect("moved, or there");
        assert_eq!((weight(&stage).as_str(), stage.cluster.mutations().len()), (becomes, calls));
    }
    weigh(&stage, 0);
    let told = stage.platform.shift(&shift(100), &stop).await.unwrap_err();
    assert!(matches!(told, ActFailure::Superseded(_)), "{told}");
    weigh(&stage, 10);
    let anew = stage.sighting(INGRESS).await.primary.id;
    stop.stop("paused");
    let plan = ShiftPlan { judged: anew, ..shift(50) };
    let told = stage.platform.shift(&plan, &stop).await.unwrap_err();
    assert!(matches!(told, ActFailure::Stopped(_)), "{told}");
    assert_eq!(weight(&stage), "10");
}

#[tokio::test]
async fn a_canary_goes_back_to_nothing_and_after_the_cutover_the_selector_too() {
    let stage = with_ingress(50).await;
    let seen = stage.sighting(INGRESS).await;
    let plan = stage.plan(INGRESS, seen.source.expect("blue")).await;
    let acted = stage.roll_back(&plan).await.expect("done");
    assert_eq!(acted.route, Route::ResetWeights);
    assert_eq!(weight(&stage), "0");
    let back = stage.sighting(INGRESS).await.primary;
    assert_eq!((back.revision.name, Some(back.id)), (plan.target.name, acted.deployment));

    let stage = with_ingress(100).await;
    let target = stage.sighting(INGRESS).await.source.expect("blue");
    stage.switch("green");
    let plan = stage.plan(INGRESS, target).await;
    let acted = stage.roll_back(&plan).await.expect("done");
    assert_eq!(acted.route, Route::SwitchSelector);
    assert_eq!(weight(&stage), "0");
    let what: Vec<String> = stage.cluster.mutations().into_iter().map(|one| one.what).collect();
    assert_eq!(what, ["ingresses/taskflow-canary", "services/taskflow-api"]);
    assert!(stage.sighting(INGRESS).await.primary.revision.name.contains("blue"));
}

#[tokio::test]
async fn a_route_is_split_between_its_two_backends() {
    let stage = Stage::blue_and_green().await;
    stage.create("services", objects::service("taskflow-api-green", &objects::side("green")));
    let route = objects::route("taskflow", ("taskflow-api", 90), ("taskflow-api-green", 10));
    stage.create("httproutes", route);
    let seen = stage.sighting(ROUTE).await;
    assert_eq!((seen.primary.weight, seen.others[0].weight), (Some(10), Some(90)));
    let weights = || {
        let route = stage.cluster.get("httproutes", "taskflow").expect("a route");
        let backends = &route["spec"]["rules"][0]["backendRefs"];
        (backends[0]["weight"].clone(), backends[1]["weight"].clone())
    };
    let judged = seen.primary.id.clone();
    let shift = ShiftPlan { service: key(ROUTE), judged, weight: 50 };
    stage.platform.shift(&shift, &StopSwitch::default()).await.expect("moved");
    assert_eq!(weights(), (json!(50), json!(50)));
    let plan = stage.plan(ROUTE, seen.source.expect("blue")).await;
    let acted = stage.roll_back(&plan).await.expect("done");
    assert_eq!(acted.route, Route::ResetWeights);
    assert_eq!(weights(), (json!(100), json!(0)));
}

#[tokio::test]
async fn what_has_no_weights_is_not_shifted() {
    let stage = Stage::blue_and_green().await;
    for service in ["taskflow-api-blue", super::SWITCH] {
        let judged = stage.sighting(service).await.primary.id;
        let plan = ShiftPlan { service: key(service), judged, weight: 50 };
        let told = stage.platform.shift(&plan, &StopSwitch::default()).await.unwrap_err();
        assert!(matches!(told, ActFailure::Permanent(_)), "{told}");
    }
    assert!(stage.cluster.mutations().is_empty());
}
