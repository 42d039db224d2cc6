use aws_sdk_ecs::primitives::DateTime;
use aws_sdk_ecs::types::{Container, Deployment, Task};

use super::decode::stop;
use super::*;
use crate::aws::AccountSettings;
use crate::model::{ServiceKey, StopKind, Ticks};

const DEFINITION: &str = "arn:aws:ecs:eu-west-1:1:task-definition/api:42";

fn judged() -> TasksOf {
    let key = |text: &str| text.to_owned();
    TasksOf {
        service: ServiceKey { target: key("main"), cluster: key("prod"), service: key("api") },
        deployment: "ecs-svc/42".into(),
        task_definition: DEFINITION.into(),
    }
}

fn stopped(code: &str, reason: &str, containers: &[(&str, Option<i32>, &str)]) -> Task {
    let containers = containers.iter().map(|(name, exit_code, reason)| {
        let reason = Some((*reason).to_owned()).filter(|reason| !reason.is_empty());
        Container::builder().name(*name).set_exit_code(*exit_code).set_reason(reason).build()
    });
    let task = Task::builder()
        .task_arn("arn:aws:ecs:eu-west-1:1:task/prod/0123abcd")
        .task_definition_arn(DEFINITION)
        .started_by("ecs-svc/42")
        .last_status("STOPPED")
        .memory("512")
        .stopped_at(DateTime::from_secs(1_000))
        .stopped_reason(reason)
        .set_containers(Some(containers.collect()));
    if code.is_empty() { task.build() } else { task.stop_code(code.into()).build() }
}

/// `stopCode`, `stoppedReason`, containers, and what they come to.
type Row<'a> = (&'a str, &'a str, &'a [(&'a str, Option<i32>, &'a str)], StopKind);

#[test]
fn what_ended_a_task_is_read_off_its_code_and_words() {
    let exited = "Essential container in task exited";
    let oom = "OutOfMemoryError: Container killed due to memory usage";
    let pull = "CannotPullContainerError: pull image manifest has been retried 5 time(s)";
    let elb = "Task failed ELB health checks in (target-group arn:aws:tg/api)";
    let scaled = "Scaling activity initiated by (deployment ecs-svc/42)";
    let scheduler = "ServiceSchedulerInitiated";
    let table: &[Row<'_>] = &[
        ("EssentialContainerExited", exited, &[("app", Some(137), oom)], StopKind::OutOfMemory),
        ("EssentialContainerExited", exited, &[("app", Some(3), "")], StopKind::Exited(Some(3))),
        ("EssentialContainerExited", exited, &[("app", None, "")], StopKind::Exited(None)),
        (
            "EssentialContainerExited",
            exited,
            &[("log", Some(0), ""), ("proxy", Some(143), ""), ("app", Some(1), "")],
            StopKind::Exited(Some(1)),
        ),
        (scheduler, "Task failed container health checks", &[], StopKind::Unhealthy),
        (scheduler, elb, &[("app", Some(137), "")], StopKind::UnhealthyTarget),
        ("TaskFailedToStart", pull, &[("app", None, pull)], StopKind::ImagePull),
        ("TaskFailedToStart", "ResourceInitializationError: no secret", &[], StopKind::NotStarted),
        // Of a scale-in the exit code is the signal's.
        (scheduler, scaled, &[("app", Some(137), "")], StopKind::Asked),
        ("UserInitiated", "Task stopped by user", &[("app", Some(143), "")], StopKind::Asked),
        ("SpotInterruption", "Your Spot Task was interrupted.", &[], StopKind::Interrupted),
        ("TerminationNotice", "ECS is performing maintenance", &[], StopKind::Interrupted),
        ("InfrastructureHealth", "", &[], StopKind::Interrupted),
        ("", "Host EC2 (instance i-1) terminated.", &[], StopKind::Interrupted),
        ("", exited, &[("app", Some(1), "")], StopKind::Exited(Some(1))),
        ("SomethingNew", "who knows", &[("app", Some(1), "")], StopKind::Asked),
        ("", "", &[], StopKind::Asked),
    ];
    for (code, reason, containers, expected) in table {
        let task = stopped(code, reason, containers);
        assert_eq!(stop(&task, &judged()).unwrap().kind, *expected, "{code} {reason}");
    }
}

#[test]
fn only_stopped_tasks_of_the_judged_deployment_and_definition_are_looked_at() {
    let task = stopped("EssentialContainerExited", "x", &[("app", Some(1), "")]);
    assert!(stop(&task, &judged()).is_some());
    let other = TasksOf { deployment: "ecs-svc/41".into(), ..judged() };
    assert_eq!(stop(&task, &other), None);
    let other = TasksOf { task_definition: format!("{DEFINITION}1"), ..judged() };
    assert_eq!(stop(&task, &other), None);
    let mut running = task.clone();
    running.last_status = Some("RUNNING".into());
    assert_eq!(stop(&running, &judged()), None);
}

#[test]
fn the_container_that_failed_is_named_and_its_words_are_bounded() {
    let long = format!("OutOfMemoryError:\u{1b}[31m {}", "x".repeat(5_000));
    let containers = [("proxy", Some(0), ""), ("app", Some(137), long.as_str())];
    let task =
        stopped("EssentialContainerExited", "Essential container in task exited", &containers);
    let stop = stop(&task, &judged()).unwrap();
    assert_eq!(stop.container.as_deref(), Some("app"));
    assert_eq!(stop.reason.chars().count(), 300);
    assert!(!stop.reason.contains('\u{1b}'));
    assert_eq!(stop.memory, Some(512));
}

fn service(state: &str, running_count: i32, desired: i32) -> Service {
    let own = Deployment::builder().id("ecs-svc/42").rollout_state(state.into());
    let own = own.running_count(running_count).desired_count(desired).build();
    Service::builder().deployments(own).build()
}

#[test]
fn tasks_that_do_not_run_count_once_the_roll_out_is_over() {
    let share = |state, run, desired| running(&service(state, run, desired), &judged());
    assert!((share("COMPLETED", 1, 4) - 0.25).abs() < 1e-9);
    assert!((share("IN_PROGRESS", 1, 4) - 1.0).abs() < 1e-9);
    assert!((share("COMPLETED", 0, 0) - 1.0).abs() < 1e-9, "scaled in to nothing");
    assert!((share("COMPLETED", 5, 4) - 1.0).abs() < 1e-9, "scaling in");
}

#[test]
fn an_answer_is_one_number_at_the_last_tick_with_the_stops_beside_it() {
    let at = Timestamp::from_second(2_000).unwrap();
    let ask = Ask::Tasks(Box::new(TasksAsk { gauge: TaskGauge::Failures, of: Some(judged()) }));
    let ticks = Ticks::ending_at(at, SignedDuration::from_secs(10), 3);
    let task = stopped("EssentialContainerExited", "x", &[("app", Some(1), "")]);
    let own = stop(&task, &judged()).unwrap();
    let request = Request { ask, ticks };
    let got = fetched(&request, Ok(counted(vec![own.clone(); 30])));
    assert_eq!(got.tracks[0].samples, [(2_000_000, 30.0)]);
    assert_eq!(got.tracks.len(), 1 + TOLD);
    assert_eq!(serde_json::from_str::<TaskStop>(&got.tracks[1].labels[TASK_STOP]).unwrap(), own);
    assert!(got.why_not(1).is_some() && got.why_not(2).is_none());
}

#[tokio::test]
async fn a_turn_that_is_waited_for_belongs_to_the_request_that_it_is_for() {
    let region = Some("eu-west-1".to_owned());
    let account = Account::connect(AccountSettings { region, ..AccountSettings::default() }).await;
    let health = TaskHealth::of(&account);
    let all = u32::try_from(CONCURRENT).unwrap();
    let _others = health.turns.clone().acquire_many_owned(all).await.unwrap();
    let ask = Ask::Tasks(Box::new(TasksAsk { gauge: TaskGauge::Failures, of: Some(judged()) }));
    let at = Timestamp::from_second(2_000).unwrap();
    let ticks = Ticks::once(at, SignedDuration::from_secs(10));
    tokio::time::pause();
    health.fetch(&[Request { ask, ticks }]).await;
    let told = health.tally().take();
    let told: Vec<_> = told.iter().map(|one| (one.result, one.took.as_secs())).collect();
    assert_eq!(told, [(Answered::Unreachable, PATIENCE.as_secs())]);
}
