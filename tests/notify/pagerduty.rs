use std::time::Duration;

use deployguard::model::{Severity, Turn};
use deployguard::notify::DeliverError;
use deployguard::notify::pagerduty::{PagerDuty, event};
use serde_json::json;

use crate::call::{INCIDENT, call, hostile, turns};
use crate::world::called::HttpFault;
use crate::world::called::pagerduty::{PagerDuty as StandIn, ROUTING_KEY};
use crate::world::http::client_builder;

async fn pair() -> (StandIn, PagerDuty) {
    drop(client_builder());
    let there = StandIn::start().await.unwrap();
    let here = PagerDuty::connect(&there.url(), ROUTING_KEY).unwrap();
    (there, here.with_time_out(Duration::from_millis(500)))
}

#[tokio::test]
async fn an_incident_is_one_alert_from_its_opening_to_its_end() {
    let (there, here) = pair().await;
    for (number, turn) in (1..).zip(turns()) {
        here.call(&call(number, turn)).await.unwrap();
    }
    assert_eq!(there.refused(), [""; 0]);
    assert_eq!(
        there.actions(),
        ["trigger", "trigger", "acknowledge", "trigger", "trigger", "resolve", "resolve"]
    );
    let alerts = there.alerts();
    assert_eq!(alerts.len(), 1, "{alerts:?}");
    assert_eq!((alerts[0].key.as_str(), alerts[0].status), (INCIDENT, "resolved"));
    let log = alerts[0].log.iter().map(|line| line.split(':').next().unwrap());
    let log: Vec<_> = log.collect();
    let called = "nobody has acknowledged yet";
    let opened = "SEV1 shopflow-api v1.5.0 in production";
    assert_eq!(log, [opened, called, "a person is needed", "rolled back to shopflow-api"]);
}

#[test]
fn an_event_says_what_is_broken_where_and_how_badly() {
    let mut call = call(1, Turn::Opened);
    let sent = event(&call, Some("https://guard.example"));
    assert_eq!(sent["payload"]["source"], "default/shopflow-production/shopflow-api");
    assert_eq!(sent["payload"]["component"], "shopflow-api");
    assert_eq!(sent["payload"]["group"], "production");
    assert_eq!(sent["payload"]["timestamp"], call.at.to_string());
    assert_eq!(sent["payload"]["custom_details"]["Status"], "Identified");
    assert_eq!(
        sent["payload"]["custom_details"]["measured"],
        json!(["error rate 12.4%, limit 10%"])
    );
    let watch = "https://guard.example/api/v1/watches/shopflow-api-1a2b3c4d";
    let links = json!([
        { "href": "https://ci.example/runs/18231?a=1&b=2", "text": "the deployment" },
        { "href": watch, "text": "the watch in deployguard" },
    ]);
    assert_eq!((&sent["links"], &sent["client_url"]), (&links, &json!(watch)));
    let alone = event(&call, None);
    assert_eq!(alone["client_url"], "https://ci.example/runs/18231?a=1&b=2");
    let details = &sent["payload"]["custom_details"];
    assert_eq!(details["acknowledge"], "here, or deployguard ack shopflow-api-1a2b3c4d");
    let of = [(Severity::Sev1, "critical"), (Severity::Sev2, "error"), (Severity::Sev3, "warning")];
    for (severity, told) in of {
        call.signal.severity = severity;
        assert_eq!(event(&call, None)["payload"]["severity"], told);
    }
    call.signal.headline = "the rollback failed".to_owned();
    let broken = "SEV3 shopflow-api v1.5.0 in production: error rate 12.4%, limit 10%";
    assert_eq!(event(&call, None)["payload"]["summary"], broken);
    call.signal.turn = Turn::NeedsHelp;
    let summary = event(&call, None)["payload"]["summary"].clone();
    assert_eq!(summary, format!("a person is needed: the rollback failed; {broken}"));
    call.signal.turn = Turn::Called;
    call.signal.evidence.push("p95 latency 2 s, limit 500 ms".to_owned());
    let summary = event(&call, None)["payload"]["summary"].clone();
    assert_eq!(summary, format!("nobody has acknowledged yet: {broken} and 1 more"));
}

#[tokio::test]
async fn no_words_break_pagerdutys_limits() {
    let (there, here) = pair().await;
    for turn in turns() {
        here.call(&hostile(turn)).await.unwrap();
    }
    assert_eq!(there.refused(), [""; 0]);
    assert_eq!(there.alerts().len(), 1, "a long key is still one key");
    let summary = there.alerts()[0].log[0].clone();
    assert!(!summary.contains(['\r', '\n', '\u{202e}']), "{summary}");
    assert!(there.events()[0]["links"].is_null(), "javascript is no link");
}

#[tokio::test]
async fn a_key_that_pagerduty_does_not_know_is_told_and_never_shown() {
    let (there, _) = pair().await;
    let key = "ffffffffffffffffffffffffffffffff";
    let here = PagerDuty::connect(&there.url(), key).unwrap();
    let error = here.call(&call(1, Turn::Opened)).await.unwrap_err();
    let DeliverError::Permanent(why) = &error else { panic!("{error:?}") };
    assert!(why.contains("Invalid routing key"), "{why}");
    assert!(!format!("{here:?} {why}").contains(key), "{here:?} {why}");
}

#[tokio::test]
async fn a_limit_without_a_time_is_waited_for_as_pagerduty_recommends() {
    let (there, here) = pair().await;
    there.fault(&HttpFault::Status(429), 1);
    let error = here.call(&call(1, Turn::Opened)).await.unwrap_err();
    let wait = match error {
        DeliverError::Transient { retry_after, .. } => retry_after,
        DeliverError::Permanent(why) => panic!("{why}"),
    };
    assert_eq!(wait, Some(Duration::from_mins(1)));
}

#[tokio::test]
async fn a_probe_wakes_nobody() {
    let (there, here) = pair().await;
    assert_eq!(here.probe().await.unwrap(), "answers (HTTP 405)");
    assert!(there.events().is_empty() && there.refused().is_empty());
    let nobody = PagerDuty::connect("http://127.0.0.1:1/v2/enqueue", ROUTING_KEY).unwrap();
    let why = nobody.probe().await.unwrap_err();
    assert!(why.contains("refused") && !why.contains("127.0.0.1:1/v2"), "{why}");
}

#[tokio::test]
async fn people_who_are_to_be_called_once_more_are_though_somebody_had_acknowledged() {
    let (there, here) = pair().await;
    let acked = Turn::Acknowledged { by: "dana".to_owned() };
    here.call(&call(1, Turn::Opened)).await.unwrap();
    here.call(&call(2, acked)).await.unwrap();
    here.call(&call(3, Turn::Called)).await.unwrap();
    assert_eq!(there.rings(INCIDENT), 1, "PagerDuty calls nobody about what is acknowledged");
    let mut again = call(4, Turn::Called);
    again.signal.anew = true;
    here.call(&again).await.unwrap();
    assert_eq!(there.rings(INCIDENT), 2);
    assert_eq!(there.alerts().last().unwrap().status, "triggered");
    assert_eq!(there.refused(), [""; 0]);
    here.call(&call(5, Turn::Resolved)).await.unwrap();
    assert!(there.alerts().iter().all(|alert| alert.status == "resolved"));
}

#[tokio::test]
async fn a_call_that_is_brought_twice_calls_once() {
    let (there, here) = pair().await;
    for turn in [Turn::Opened, Turn::Called] {
        here.call(&call(1, turn.clone())).await.unwrap();
        here.call(&call(1, turn)).await.unwrap();
    }
    assert_eq!(there.rings(INCIDENT), 1);
}

#[tokio::test]
async fn a_call_anew_that_broke_off_between_its_two_events_is_made_up_for_by_the_next_try() {
    let (there, here) = pair().await;
    here.call(&call(1, Turn::Opened)).await.unwrap();
    let resolve = call(2, Turn::Resolved);
    here.call(&resolve).await.unwrap();
    let mut again = call(3, Turn::NeedsHelp);
    again.signal.anew = true;
    here.call(&again).await.unwrap();
    assert_eq!(there.rings(INCIDENT), 2);
    assert_eq!(there.alerts().last().unwrap().status, "triggered");
}
