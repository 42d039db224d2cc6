//! Checks of tasks: no metric, and on by default where a bundle is extended.

use deployguard::model::{Severity, TaskGauge};
use deployguard::policy::{Gauged, Heartbeat, Measure, Policy, Stated, Unit};
use jiff::SignedDuration;

use super::*;

fn shop(checks: &str) -> Result<Policy, String> {
    let head = "version: 1\npolicy: shop\nenvironment: e\nmatch: { cluster: c, service: s }\n";
    let read = read_one(format!("{head}extends: ecs-cloudwatch\nchecks: {{ {checks} }}\n"));
    match read {
        Ok(set) => Ok(Policy::clone(&set.named("shop").unwrap().policy)),
        Err(mistakes) => Err(told(Err(mistakes))),
    }
}

#[test]
fn a_bundle_brings_task_health_and_a_policy_may_turn_it_off_or_say_otherwise() {
    let policy = shop("running tasks: off, task failures: { breach: { SEV1: '> 9' } }").unwrap();
    assert!(policy.check("running tasks").is_none());
    assert!(policy.check("healthy targets").is_some());
    let failures = policy.check("task failures").unwrap();
    let of = Measure::Gauge { of: Gauged::Tasks(TaskGauge::Failures), unit: Unit::Number };
    assert_eq!(failures.measure, of);
    assert!((failures.breach[&Severity::Sev1].bound.value - 9.0).abs() < 1e-9);
    assert!((failures.breach[&Severity::Sev2].bound.value - 2.0).abs() < 1e-9);
}

#[test]
fn what_has_happened_to_tasks_needs_no_further_samples_unless_the_policy_says_so() {
    let policy = shop("own: { tasks: failures, breach: { SEV1: '> 9 for 1m', SEV2: '> 5' } }");
    let policy = policy.unwrap();
    let limits = &policy.check("own").unwrap().breach;
    assert_eq!(limits[&Severity::Sev1].hold, Some(SignedDuration::from_mins(1)));
    assert_eq!(limits[&Severity::Sev2].hold, Some(SignedDuration::ZERO));
    assert_eq!(limits[&Severity::Sev2].to_string(), "> 5");
}

#[test]
fn what_tasks_can_not_have_is_refused() {
    for wrong in [
        "own: { tasks: failures, breach: { SEV1: '> 9%' } }",
        "own: { tasks: running, breach: { SEV1: '< 9' } }",
        "own: { tasks: failures, window: 5m, breach: { SEV1: '> 9' } }",
        "own: { tasks: failures, baseline: { worse_by: 2x } }",
        "own: { tasks: failures, query: up, breach: { SEV1: '> 9' } }",
        "own: { tasks: deaths, breach: { SEV1: '> 9' } }",
        "own: { tasks: failures }",
    ] {
        assert!(shop(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn a_heartbeat_needs_a_job_and_its_schedule_and_says_the_rest_by_itself() {
    let policy = shop(
        "push: { heartbeat: { job: auto-push, schedule: '0 * * * *' }, breach: { SEV3: 1 failure } }",
    );
    let policy = policy.unwrap();
    let heartbeat = Heartbeat {
        job: "auto-push".into(),
        schedule: "0 * * * *".into(),
        time_zone: "UTC".into(),
        late: SignedDuration::from_mins(10),
        misses: 1,
    };
    let check = policy.check("push").unwrap();
    assert_eq!(check.measure, Measure::Status { of: Stated::Heartbeat(Box::new(heartbeat)) });
    assert!(!check.is_of_prometheus() && !check.has_past());
}
