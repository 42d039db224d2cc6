use jiff::{SignedDuration, Timestamp};

use super::*;
use crate::engine::{Health, Status};

/// The rows of the table in docs/metrics.md, from what is made.
fn rows() -> Vec<String> {
    let mut make = Maker::default();
    Daemon::made(&mut make).unwrap();
    Watching::made(&mut make).unwrap();
    Sources::made(&mut make).unwrap();
    Messages::made(&mut make).unwrap();
    make.made.sort_by(|one, other| one[1].cmp(&other[1]));
    let row = |[kind, name, labels, help]: &[String; 4]| {
        format!("| `{name}` | {kind} | {labels} | {help} |")
    };
    make.made.iter().map(row).collect()
}

#[test]
fn the_document_has_each_metric_as_it_is_and_no_other() {
    let document = std::fs::read_to_string("docs/metrics.md").unwrap();
    let told: Vec<&str> =
        document.lines().filter(|line| line.starts_with("| `deployguard_")).collect();
    let rows = rows();
    assert_eq!(told, rows, "docs/metrics.md is to have this table:\n{}", rows.join("\n"));
}

#[test]
fn what_a_rate_may_be_taken_of_is_there_from_the_start() {
    let metrics = Metrics::new().unwrap();
    metrics.may_ask("prometheus");
    metrics.may_hear("sqs");
    let text = metrics.text().unwrap();
    for series in [
        r#"rollbacks_total{outcome="rollback_failed"} 0"#,
        r#"rollbacks_total{outcome="rolled_back"} 0"#,
        r#"rollbacks_total{outcome="superseded"} 0"#,
        r#"rollback_attempts_total{result="failed"} 0"#,
        r#"rollback_attempts_total{result="refused"} 0"#,
        r#"watches_ended_total{outcome="inconclusive"} 0"#,
        r#"source_requests_total{result="refused",source="prometheus"} 0"#,
        r#"source_requests_total{result="unreachable",source="prometheus"} 0"#,
        r#"source_request_duration_seconds_count{source="prometheus"} 0"#,
        r#"notification_deliveries_total{channel="pagerduty",result="given_up"} 0"#,
        r#"notification_deliveries_total{channel="slack",result="store_error"} 0"#,
        r#"events_total{path="sqs",result="unreadable"} 0"#,
        r#"platform_looks_total{result="failed"} 0"#,
        r#"policy_reloads_total{result="broken"} 0"#,
        r#"readings_total{result="unreachable"} 0"#,
        "tick_lag_seconds_count 0",
        "takeovers_total 0",
    ] {
        assert!(text.contains(&format!("\ndeployguard_{series}\n")), "no {series} in\n{text}");
    }
    assert!(!text.contains("\ndeployguard_last_step_timestamp_seconds "), "{text}");
}

#[test]
fn what_cannot_be_asked_is_shown_while_people_are_told_of_it_and_no_longer() {
    let metrics = Metrics::new().unwrap();
    let (status, start) = (Status::default(), Timestamp::from_second(1_700_000_000).unwrap());
    let mut health = status.read();
    health.stepped_at = Some(start);
    let shown = |health: &Health, after| -> Vec<String> {
        metrics.health(health, start + SignedDuration::from_secs(after));
        let text = metrics.text().unwrap();
        let lines = text.lines().filter(|line| line.starts_with("deployguard_blind"));
        lines.map(str::to_owned).collect()
    };
    let none: Vec<String> = Vec::new();
    health.looked("default/shop", Some("denied".to_owned()), start);
    assert_eq!(shown(&health, 1), none, "one failed look is no news");
    assert_eq!(shown(&health, 61), [r#"deployguard_blind{place="default/shop"} 1"#]);
    health.looked("default/shop", None, start);
    assert_eq!(shown(&health, 62), none);
    let text = metrics.text().unwrap();
    assert!(text.contains("\ndeployguard_last_step_timestamp_seconds 1700000000\n"), "{text}");
    metrics.health(&status.read(), start);
    assert!(!metrics.text().unwrap().contains("\ndeployguard_last_step_timestamp_seconds "));
}

#[test]
fn a_method_that_is_none_makes_no_series_of_its_own() {
    let metrics = Metrics::new().unwrap();
    for method in ["GET", "BREW", "get"] {
        metrics.request(method, "/healthz", 200, std::time::Duration::from_millis(30));
    }
    let text = metrics.text().unwrap();
    for series in [
        r#"http_requests_total{code="200",method="_OTHER",route="/healthz"} 2"#,
        r#"http_requests_total{code="200",method="GET",route="/healthz"} 1"#,
        r#"http_request_duration_seconds_bucket{method="GET",route="/healthz",le="0.025"} 0"#,
        r#"http_request_duration_seconds_bucket{method="GET",route="/healthz",le="0.05"} 1"#,
    ] {
        assert!(text.contains(&format!("\ndeployguard_{series}\n")), "no {series} in\n{text}");
    }
}
