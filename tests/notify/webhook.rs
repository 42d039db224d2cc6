use std::time::Duration;

use deployguard::model::Turn;
use deployguard::notify::DeliverError;
use deployguard::notify::webhook::{Format, Webhook, cdevents, generic};
use deployguard::outbound::signature;
use reqwest::header::{HeaderMap, HeaderValue};
use serde_json::{Value, json};

use crate::call::{INCIDENT, call, hostile, turns};
use crate::world::called::HttpFault;
use crate::world::called::webhook::{Receiver, SECRET};
use crate::world::http::client_builder;

async fn pair(format: Format) -> (Receiver, Webhook) {
    drop(client_builder());
    let there = Receiver::start().await.unwrap();
    let token = HeaderMap::from_iter([(
        reqwest::header::AUTHORIZATION,
        HeaderValue::from_static("Bearer receiver-token"),
    )]);
    let here = Webhook::connect(&there.url(), SECRET, format, token).unwrap();
    (there, here.with_time_out(Duration::from_millis(500)))
}

#[tokio::test]
async fn a_delivery_is_signed_named_and_whole() {
    let (there, here) = pair(Format::Generic).await;
    for (number, turn) in (1..).zip(turns()) {
        here.call(&call(number, turn)).await.unwrap();
    }
    assert_eq!(there.refused(), [""; 0], "every signature holds");
    let names =
        ["opened", "escalated", "acknowledged", "needs_help", "rolled_back", "resolved", "closed"];
    assert_eq!(there.events(), names.map(|name| format!("incident.{name}")));
    let deliveries = there.deliveries();
    for (number, delivery) in (1..).zip(&deliveries) {
        assert_eq!(delivery.id, format!("shopflow-api-1a2b3c4d/{number}"));
        assert_eq!(delivery.headers["authorization"], "Bearer receiver-token");
        let body = &delivery.body;
        assert_eq!((&body["version"], &body["event"]), (&json!(1), &json!(delivery.event)));
        assert_eq!(body["delivery"], delivery.id.as_str());
        assert_eq!(body["incident"]["id"], INCIDENT);
        assert_eq!(body["incident"]["severity"], "SEV1");
        assert_eq!(
            body["incident"]["fields"][0],
            json!({ "label": "Status", "value": "Identified" })
        );
        assert_eq!(body["deployment"]["ecs"]["cluster"], "shopflow-production");
        assert_eq!(body["deployment"]["version"], "v1.5.0");
    }
    assert_eq!(deliveries[2].body["by"], "dana");
    assert_eq!(deliveries[4].body["to"], "shopflow-api:41");
}

#[tokio::test]
async fn who_signs_otherwise_or_late_is_refused_by_a_careful_receiver() {
    let (there, _) = pair(Format::Generic).await;
    let other =
        Webhook::connect(&there.url(), "another-secret-00", Format::Generic, HeaderMap::new());
    let error = other.unwrap().call(&call(1, Turn::Opened)).await.unwrap_err();
    assert!(matches!(error, DeliverError::Transient { .. }), "people mend a secret: {error:?}");
    let here = Webhook::connect(&there.url(), SECRET, Format::Generic, HeaderMap::new()).unwrap();
    let mut late = call(1, Turn::Opened);
    late.now = late.at - jiff::SignedDuration::from_mins(10);
    here.call(&late).await.unwrap_err();
    assert_eq!(there.refused(), ["another signature", "too old, or from the future"]);
    assert!(there.deliveries().is_empty());
}

/// What the receiver in docs/settings.md says of a signature over `body`.
fn python_takes(header: &str, body: &str) -> String {
    let document = std::fs::read_to_string("docs/settings.md").unwrap();
    let shown = document.split("```python\n").nth(1).unwrap().split("```").next().unwrap();
    let program = format!(
        "{shown}\nimport sys\nprint(is_deployguards(sys.argv[1], sys.argv[2].encode(), sys.argv[3]))"
    );
    let mut command = std::process::Command::new("python3");
    let done = command.args(["-c", &program, header, body, SECRET]).output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    String::from_utf8(done.stdout).unwrap().trim().to_owned()
}

#[test]
fn the_receiver_of_the_document_takes_what_is_signed_and_fresh() {
    let call = call(1, Turn::Opened);
    let body = generic::document(&call).body.to_string();
    let signed = |at| signature(SECRET, at, body.as_bytes()).unwrap();
    assert_eq!(python_takes(&signed(call.now), &body), "True");
    assert_eq!(python_takes(&signed(call.now), &body.replace("SEV1", "SEV3")), "False");
    let late = call.now - jiff::SignedDuration::from_secs(301);
    assert_eq!(python_takes(&signed(late), &body), "False");
}

#[test]
fn the_body_that_the_document_shows_has_the_keys_that_are_sent() {
    fn keys(value: &Value, path: &str, all: &mut Vec<String>) {
        for (key, value) in value.as_object().into_iter().flatten() {
            let path = format!("{path}.{key}");
            keys(value, &path, all);
            all.push(path);
        }
    }
    let document = std::fs::read_to_string("docs/settings.md").unwrap();
    let shown = document.split("```json\n").nth(1).unwrap().split("```").next().unwrap();
    let (mut ours, mut told) = (Vec::new(), Vec::new());
    keys(&generic::document(&call(1, Turn::Opened)).body, "", &mut ours);
    keys(&serde_json::from_str(shown).unwrap(), "", &mut told);
    ours.sort();
    told.sort();
    assert_eq!(told, ours);
}

#[tokio::test]
async fn a_repeated_delivery_keeps_its_id() {
    let (there, here) = pair(Format::Generic).await;
    there.fault(&HttpFault::TakenButNoAnswer, 1);
    here.call(&call(1, Turn::Opened)).await.unwrap_err();
    here.call(&call(1, Turn::Opened)).await.unwrap();
    let repeated: Vec<_> = there.deliveries().iter().map(|one| one.repeated).collect();
    assert_eq!(repeated, [false, true]);
}

#[tokio::test]
async fn a_redirect_is_not_followed_because_it_would_carry_the_token_elsewhere() {
    let (there, here) = pair(Format::Generic).await;
    let elsewhere = Receiver::start().await.unwrap();
    there.fault(&HttpFault::Redirect(elsewhere.url()), 1);
    let error = here.call(&call(1, Turn::Opened)).await.unwrap_err();
    let DeliverError::Permanent(why) = &error else { panic!("{error:?}") };
    assert!(why.contains("give the address that it is at"), "{why}");
    assert!(elsewhere.deliveries().is_empty() && elsewhere.refused().is_empty());
    let shown = format!("{here:?} {error:?}");
    assert!(!shown.contains("receiver-token") && !shown.contains(SECRET), "{shown}");
}

#[tokio::test]
async fn no_words_break_a_delivery() {
    for format in [Format::Generic, Format::CdEvents] {
        let (there, here) = pair(format).await;
        here.call(&hostile(Turn::Opened)).await.unwrap();
        let delivery = there.deliveries().remove(0);
        assert!(!delivery.id.contains(['\r', '\n']), "{}", delivery.id);
    }
}

#[tokio::test]
async fn the_same_goes_as_cdevents_in_structured_cloudevents() {
    let (there, here) = pair(Format::CdEvents).await;
    for (number, turn) in (1..).zip(turns()) {
        here.call(&call(number, turn)).await.unwrap();
    }
    let deliveries = there.deliveries();
    let kinds: Vec<_> =
        deliveries.iter().map(|one| one.body["type"].as_str().unwrap().to_owned()).collect();
    let detected = "dev.cdevents.incident.detected.0.3.0";
    let rolled_back = "dev.cdevents.service.rolledback.0.3.0";
    let resolved = "dev.cdevents.incident.resolved.0.3.0";
    // No word for an acknowledgement, for help that is needed, nor for what is closed unresolved.
    assert_eq!(kinds, [detected, detected, rolled_back, resolved]);
    for delivery in &deliveries {
        assert_eq!(delivery.content_type, "application/cloudevents+json");
        is_cloud_event(&delivery.body);
        is_cd_event(&delivery.body["data"]);
    }
    let subject = |index: usize| deliveries[index].body["data"]["subject"].clone();
    assert_eq!(subject(0)["id"], INCIDENT);
    let judged = "pkg:oci/api@sha256%3A0b31?repository_url=registry.example:5000/shopflow/api";
    assert_eq!(subject(0)["content"]["artifactId"], judged);
    let in_place = "pkg:oci/api@sha256%3A9f00?repository_url=registry.example:5000/shopflow/api";
    assert_eq!(subject(2)["content"]["artifactId"], in_place);
    assert_eq!(deliveries[0].body["data"]["customData"]["incident"]["severity"], "SEV1");
}

#[test]
fn a_target_whose_image_is_not_known_is_named_by_its_task_definition() {
    let mut call = call(1, turns()[4].clone());
    call.signal.deployment.source = None;
    let body = cdevents::document(&call).unwrap().body;
    is_cd_event(&body["data"]);
    let artifact = &body["data"]["subject"]["content"]["artifactId"];
    assert_eq!(artifact, "pkg:generic/shopflow-api@41");
}

/// CloudEvents 1.0, and the binding of CDEvents to it.
fn is_cloud_event(event: &Value) {
    let data = &event["data"];
    assert_eq!(event["specversion"], "1.0");
    assert_eq!(event["datacontenttype"], "application/json");
    let same = [
        (&event["id"], &data["context"]["id"]),
        (&event["source"], &data["context"]["source"]),
        (&event["type"], &data["context"]["type"]),
        (&event["time"], &data["context"]["timestamp"]),
        (&event["subject"], &data["subject"]["id"]),
    ];
    for (outside, inside) in same {
        assert_eq!(outside, inside);
        assert!(outside.as_str().is_some_and(|text| !text.is_empty()), "{event:#}");
    }
}

/// The schemas of CDEvents 0.5.1 for our three events.
fn is_cd_event(event: &Value) {
    let has = |value: &Value, needed: &[&str], also: &[&str]| {
        let map = value.as_object().unwrap_or_else(|| panic!("no object: {value}"));
        for key in needed {
            assert!(map.contains_key(*key), "{key} is missing: {value:#}");
        }
        for key in map.keys() {
            let known = needed.contains(&key.as_str()) || also.contains(&key.as_str());
            assert!(known, "{key} is unknown: {value:#}");
        }
    };
    has(event, &["context", "subject"], &["customData", "customDataContentType"]);
    let (context, subject) = (&event["context"], &event["subject"]);
    let needed = ["specversion", "id", "source", "type", "timestamp"];
    has(context, &needed, &["schemaUri", "chainId", "links"]);
    assert_eq!(context["specversion"], "0.5.1");
    assert!(context["timestamp"].as_str().unwrap().parse::<jiff::Timestamp>().is_ok());
    has(subject, &["id", "content"], &["source"]);
    let content = &subject["content"];
    if context["type"].as_str().unwrap().contains(".service.") {
        has(content, &["environment", "artifactId"], &[]);
    } else {
        has(content, &["environment"], &["description", "service", "artifactId"]);
        has(&content["service"], &["id"], &["source"]);
    }
    has(&content["environment"], &["id"], &["source"]);
    for source in [&context["source"], &subject["source"]] {
        let reference = format!("https://base.example{}", source.as_str().unwrap());
        assert!(reqwest::Url::parse(&reference).is_ok(), "{source}");
    }
}
