//! What comes from outside: alerts and overrides, which are told and decide nothing.

use super::world::{Guard, at, key, policy};
use crate::model::{Alert, Body, GateOverride, GateReason, GateRule, GateVerdict, Named};
use crate::watch::Event;

fn alert(name: &str, ended: Option<i64>) -> Alert {
    Alert {
        fingerprint: name.to_owned(),
        service: key(),
        name: name.to_owned(),
        severity: Some("critical".to_owned()),
        summary: Some("12 % of requests fail".to_owned()),
        since: at(40),
        ended: ended.map(at),
        heard: at(50),
    }
}

fn alerted(guard: &mut Guard, alert: Alert) {
    guard.take(Event::Alerted(Box::new(alert))).unwrap();
}

fn timeline(guard: &Guard) -> Vec<&str> {
    let lines = guard.watch.timeline.iter().map(|entry| entry.text.as_str());
    lines.filter(|text| text.to_lowercase().starts_with("alert ")).collect()
}

#[test]
fn an_alert_is_in_the_timeline_once_and_decides_nothing() {
    let mut guard = Guard::settled(policy());
    alerted(&mut guard, alert("HighErrorRate", None));
    alerted(&mut guard, alert("HighErrorRate", None));
    let fires = "alert HighErrorRate (critical) fires since 22:14 UTC (not counted)";
    assert_eq!(timeline(&guard), [fires]);
    assert!(!guard.watch.has_open_incident() && guard.said().is_empty());
    alerted(&mut guard, alert("HighErrorRate", Some(80)));
    let over = "alert HighErrorRate (critical) is over: it fired from 22:14 UTC to 22:14 UTC (not counted)";
    assert_eq!(timeline(&guard), [fires, over]);
    assert_eq!(guard.replayed(), guard.watch);
}

#[test]
fn while_an_incident_is_open_its_alerts_are_in_the_thread() {
    let mut guard = Guard::settled(policy());
    alerted(&mut guard, alert("HighErrorRate", None));
    guard.breaks(30.0);
    let lines: Vec<String> = guard
        .notices
        .iter()
        .filter_map(|notice| match &notice.body {
            Body::Reply(reply) => Some(reply.lines.clone()),
            Body::Card(_) | Body::Signal { .. } | Body::Files { .. } | Body::GitHub(_) => None,
        })
        .flatten()
        .collect();
    let fires = "alert HighErrorRate (critical) fires since 22:14 UTC (not counted)";
    assert!(lines.iter().any(|line| line == fires), "{lines:?}");
    alerted(&mut guard, alert("QueueFull", None));
    let said = guard.said();
    assert_eq!(
        said.last().map(String::as_str),
        Some("Alert QueueFull (critical) fires since 22:14 UTC (not counted)")
    );
}

#[test]
fn a_watch_keeps_twenty_alerts_and_says_that_there_are_more() {
    let mut guard = Guard::settled(policy());
    for number in 0..30 {
        alerted(&mut guard, alert(&format!("a{number}"), None));
    }
    assert_eq!(guard.watch.alerts.len(), 20);
    let more = guard.watch.timeline.iter().filter(|one| one.text.starts_with("more than 20"));
    assert_eq!(more.count(), 1);
}

#[test]
fn an_override_is_told_in_the_thread_once_with_what_the_gate_had_said() {
    let mut guard = Guard::settled(policy());
    let reason = GateReason {
        rule: GateRule::Freeze,
        verdict: GateVerdict::No,
        words: "year end is a freeze".to_owned(),
        until: None,
    };
    let over = GateOverride {
        id: "1".to_owned(),
        service: key(),
        environment: "production".to_owned(),
        named: Named::default(),
        by: "dana".to_owned(),
        via: Some("oncall".to_owned()),
        reason: "checkout is down".to_owned(),
        at: at(0),
        until: at(600),
        reasons: vec![reason],
        watch: None,
    };
    for _ in 0..2 {
        guard.take(Event::WentThrough(Box::new(over.clone()))).unwrap();
    }
    let headline =
        "Deployed through the gate: dana (by the token oncall) overrode it: checkout is down";
    assert_eq!(guard.said(), [headline]);
    assert_eq!(guard.replayed(), guard.watch);
}
