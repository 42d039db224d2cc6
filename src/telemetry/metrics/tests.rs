use jiff::SignedDuration;

use super::*;
use crate::engine::Status;
use crate::model::{ActFailure, Command, Outcome, RollOut, Route, Sighting, Way};
use crate::store::{Letterbox, Pause};
use crate::watch::Event;
use crate::watch::tests::world::{Guard, policy, sighting};

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
    metrics.may_be_posted("/hooks/sns");
    let text = metrics.text().unwrap();
    for series in [
        r#"rollbacks_total{outcome="rollback_failed"} 0"#,
        r#"rollbacks_total{outcome="rolled_back"} 0"#,
        r#"rollbacks_total{outcome="superseded"} 0"#,
        r#"rollback_attempts_total{result="braked"} 0"#,
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
        r#"http_requests_total{code="200",method="POST",route="/hooks/sns"} 0"#,
        r#"http_requests_total{code="504",method="POST",route="/hooks/sns"} 0"#,
        r#"http_request_duration_seconds_count{method="POST",route="/hooks/sns"} 0"#,
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
        let now = start + SignedDuration::from_secs(after);
        let text = metrics.text_with(health, now).unwrap();
        let lines = text.lines().filter(|line| line.starts_with("deployguard_blind"));
        lines.map(str::to_owned).collect()
    };
    let none: Vec<String> = Vec::new();
    let second = |after| start + SignedDuration::from_secs(after);
    health.looked("default/shop", Some("denied".to_owned()), start);
    assert_eq!(shown(&health, 1), none, "one failed look is no news");
    assert_eq!(shown(&health, 61), none, "nor is it later");
    health.looked("default/shop", Some("denied".to_owned()), second(60));
    assert_eq!(shown(&health, 61), [r#"deployguard_blind{place="default/shop"} 1"#]);
    health.looked("default/shop", None, start);
    assert_eq!(shown(&health, 62), none);
    let text = metrics.text().unwrap();
    assert!(text.contains("\ndeployguard_last_step_timestamp_seconds 1700000000\n"), "{text}");
    let text = metrics.text_with(&status.read(), start).unwrap();
    assert!(!text.contains("\ndeployguard_last_step_timestamp_seconds "), "{text}");
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

/// The series of a metric that are not 0.
fn counted(metrics: &Metrics, name: &str) -> Vec<String> {
    let text = metrics.text().unwrap();
    let own = text.lines().filter_map(|line| line.strip_prefix(&format!("deployguard_{name}")));
    own.filter(|line| !line.ends_with(" 0")).map(str::to_owned).collect()
}

/// Takes the watch on, each time as a step does, and says which rollbacks were counted.
fn rollbacks(guard: &mut Guard, steps: &[&dyn Fn(&mut Guard)]) -> Vec<String> {
    let metrics = Metrics::new().unwrap();
    for step in steps {
        let before = guard.watch.clone();
        step(guard);
        metrics.watch_moved(Some(&before), &guard.watch);
    }
    counted(&metrics, "rollbacks_total")
}

#[test]
fn a_rollback_that_fails_is_counted_at_once_and_once_whatever_its_watch_ends_as() {
    let failed = [r#"{outcome="rollback_failed"} 1"#];
    let breaks = |guard: &mut Guard| guard.breaks(40.0);
    let fails = |guard: &mut Guard| {
        guard.take(Event::Acted(Err(ActFailure::Permanent("denied".into())))).unwrap();
    };
    let superseded = |guard: &mut Guard| {
        guard.take(Event::Superseded { by: "api:3".into(), older: false }).unwrap();
    };
    let cancelled = |guard: &mut Guard| guard.presses(Command::Cancel).unwrap();
    let mut guard = Guard::settled(policy());
    assert_eq!(rollbacks(&mut guard, &[&breaks, &fails]), failed);
    assert!(guard.watch.is_open());
    assert_eq!(rollbacks(&mut guard, &[&superseded]), [""; 0], "it is counted already");
    assert_eq!(guard.watch.outcome(), Some(Outcome::Superseded));
    let all: [&dyn Fn(&mut Guard); 3] = [&breaks, &fails, &superseded];
    assert_eq!(rollbacks(&mut Guard::settled(policy()), &all), failed);
    let all: [&dyn Fn(&mut Guard); 3] = [&breaks, &fails, &cancelled];
    assert_eq!(rollbacks(&mut Guard::settled(policy()), &all), failed);
}

#[test]
fn a_rollback_counts_as_its_watch_ends_and_the_platforms_own_is_none() {
    let breaks = |guard: &mut Guard| guard.breaks(40.0);
    let accepts = |guard: &mut Guard| guard.accepts(Route::UpdateService);
    let placed = |guard: &mut Guard| {
        guard.sees(sighting(guard.clock, "ecs-svc/3", 1, RollOut::Completed));
    };
    let lives = |guard: &mut Guard| {
        while guard.watch.is_open() {
            guard.lives(0.0, 10);
        }
    };
    let all: [&dyn Fn(&mut Guard); 4] = [&breaks, &accepts, &placed, &lives];
    let back = [r#"{outcome="rolled_back"} 1"#];
    assert_eq!(rollbacks(&mut Guard::settled(policy()), &all), back);
    let mut guard = Guard::settled(policy());
    let never_placed: [&dyn Fn(&mut Guard); 3] = [&breaks, &accepts, &lives];
    assert_eq!(rollbacks(&mut guard, &never_placed), [r#"{outcome="rollback_failed"} 1"#]);
    assert_eq!(guard.watch.rollback_spent, None, "it never ended");

    let by_itself = |guard: &mut Guard| {
        let native_rollback = Some("circuit breaker".to_owned());
        let seen = sighting(guard.clock, "ecs-svc/3", 1, RollOut::Failed);
        guard.sees(Sighting { native_rollback, ..seen });
    };
    let mut guard = Guard::settled(policy());
    assert_eq!(rollbacks(&mut guard, &[&by_itself]), [""; 0]);
    assert!(guard.watch.rollback_spent.is_some());
}

#[test]
fn what_was_not_permitted_is_braked_and_what_was_stopped_is_no_try() {
    let metrics = Metrics::new().unwrap();
    metrics.not_permitted(&ActFailure::Refused("3 rollbacks within 10m".into()));
    metrics.not_permitted(&ActFailure::Stopped("paused by dana".into()));
    metrics.acted(&Err(ActFailure::Refused("INACTIVE".into())));
    let told = [r#"{result="braked"} 1"#, r#"{result="refused"} 1"#];
    assert_eq!(counted(&metrics, "rollback_attempts_total"), told);
}

#[test]
fn who_stands_by_shows_no_messages_and_a_late_look_at_them_brings_none_back() {
    let metrics = Metrics::new().unwrap();
    let now = Timestamp::from_second(1_700_000_000).unwrap();
    let letterbox = Letterbox {
        way: Way::Slack,
        pending: 2,
        undeliverable: 0,
        unreadable: 0,
        oldest: Some(now - SignedDuration::from_secs(90)),
        routes: Vec::new(),
    };
    let shown = |leads| {
        metrics.letterboxes(std::slice::from_ref(&letterbox), now, || leads);
        counted(&metrics, "outbox_")
    };
    let waits = [
        r#"messages{channel="slack",status="pending"} 2"#,
        r#"oldest_seconds{channel="slack"} 90"#,
    ];
    assert_eq!(shown(true), waits);
    metrics.stands_by();
    assert_eq!(shown(false), [""; 0]);
    assert!(
        !metrics.text().unwrap().contains("\ndeployguard_outbox_"),
        "nor a 0 that is not known"
    );
}

#[test]
fn nobody_is_shown_the_moment_between_emptying_and_filling() {
    let metrics = Metrics::new().unwrap();
    let (scope, by, at) = ("all".to_owned(), "dana".to_owned(), Timestamp::UNIX_EPOCH);
    let pauses = [Pause { scope, by, reason: None, at }];
    metrics.paused(&pauses);
    std::thread::scope(|threads| {
        let reader = threads.spawn(|| {
            let shown = |_: &u32| counted(&metrics, "paused") == [r#"{scope="all"} 1"#];
            (0..300).filter(shown).count()
        });
        while !reader.is_finished() {
            metrics.paused(&pauses);
            // The lock is not fair.
            std::thread::yield_now();
        }
        assert_eq!(reader.join().unwrap(), 300);
    });
}
