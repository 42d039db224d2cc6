//! Task health in front of the stand-in, and its calls held to AWS's service models.

use aws_credential_types::provider::SharedCredentialsProvider;
use aws_sdk_ecs::config::Credentials;
use deployguard::aws::{Account as Guarded, AccountSettings};
use deployguard::model::{
    Ask, LogsAsk, Measured, Measurement, Question, ServiceKey, Shape, StopKind, TASK_STOP,
    TaskGauge, TaskStop, TasksAsk, TasksOf, Ticks, Unusable,
};
use deployguard::sources::{Due, Logs, Sources, TaskHealth, measure};
use jiff::SignedDuration;
use serde_json::{Value, json};

use crate::client::{Account, CLUSTER, SERVICE};
use crate::protocol::{as_json, validate};
use crate::world::aws::Fault;
use crate::world::now;

const GROUP: &str = "arn:aws:elasticloadbalancing:us-east-1:123456789012:targetgroup/blue/1";

async fn tasks(account: &Account) -> TaskHealth {
    TaskHealth::of(&guarded(account).await)
}

async fn guarded(account: &Account) -> Guarded {
    let credentials = Credentials::new("AKIDEXAMPLE", "secret", None, None, "test");
    let guarded = Guarded::connect(AccountSettings {
        target: "main".into(),
        region: Some("us-east-1".into()),
        endpoint: Some(account.ecs.url()),
        credentials: Some(SharedCredentialsProvider::new(credentials)),
        role: None,
    });
    guarded.await
}

/// What is measured now of the deployment in place.
async fn measured(account: &Account, gauge: TaskGauge) -> Measured {
    let key = |text: &str| text.to_owned();
    let of = TasksOf {
        service: ServiceKey { target: key("main"), cluster: key(CLUSTER), service: key(SERVICE) },
        deployment: account.ecs.primary_id(SERVICE).expect("an id"),
        task_definition: account.ecs.task_definition(SERVICE).expect("an ARN"),
    };
    let ask = Ask::Tasks(Box::new(TasksAsk { gauge, of: Some(of) }));
    let mut question = Question::plain(Shape::Gauge, vec![ask]);
    question.labels.insert(TASK_STOP.to_owned());
    let ticks = Ticks::once(now(), SignedDuration::from_secs(10));
    let sources = Sources { tasks: Some(tasks(account).await), ..Sources::default() };
    measure(&sources, vec![Due { key: (), question, ticks }]).await.remove(0).1
}

fn value(measured: &Measured) -> Result<f64, Unusable> {
    match measured.readings[0].clone()? {
        Measurement::Gauge { values } => Ok(values["value"]),
        Measurement::Counts(_) | Measurement::Histogram(_) => Err(Unusable::WrongType),
    }
}

fn stops(measured: &Measured) -> Vec<TaskStop> {
    let told = measured.seen[TASK_STOP].iter();
    told.map(|stop| serde_json::from_str(stop).expect("a stop")).collect()
}

/// Deploys tasks that die so, and waits until some have.
async fn dying(account: &Account, of: &str) -> Vec<TaskStop> {
    let definition = account.register(&[("DIES", of)]).await;
    account.update(&definition).await;
    loop {
        let found = measured(account, TaskGauge::Failures).await;
        if value(&found).expect("measured") >= 2.0 {
            return stops(&found);
        }
    }
}

/// How many events of a log match a pattern, over two pages.
async fn counted(account: &Account) {
    let at = now();
    for n in 0..2_500 {
        account.ecs.log_at("/ecs/shop", at.as_millisecond() - n, &format!("ERROR {n}"));
    }
    let (group, pattern) = ("/ecs/shop".to_owned(), "ERROR".to_owned());
    let ask = Ask::Logs(LogsAsk { group, pattern, window: SignedDuration::from_mins(5) });
    let ticks = Ticks::once(at, SignedDuration::from_secs(15));
    let due = Due { key: (), question: Question::plain(Shape::Gauge, vec![ask]), ticks };
    let sources = Sources { logs: Some(Logs::of(&guarded(account).await)), ..Sources::default() };
    let ((), found) = measure(&sources, vec![due]).await.remove(0);
    assert_eq!(value(&found), Ok(2_500.0));
}

/// What the stopped task has logged is read, of a definition with `awslogs`.
async fn logged(account: &Account, stop: TaskStop) {
    let options = json!({ "awslogs-group": "/ecs/api", "awslogs-stream-prefix": "ecs" });
    let logs = json!({ "logDriver": "awslogs", "options": options });
    let container = json!({ "name": "app", "image": "api:1", "logConfiguration": logs });
    let body = json!({
        "family": "logs", "cpu": "256", "memory": "512", "containerDefinitions": [container],
    });
    account.ecs.call("RegisterTaskDefinition", &body).expect("registered");
    let stop = TaskStop { definition: "logs:1".into(), ..stop };
    let read = async || tasks(account).await.last_lines(&stop).await;
    assert!(read().await.expect_err("no group").contains("ResourceNotFoundException"));
    account.ecs.set_log("/ecs/api", &["first", "last"]);
    assert_eq!(read().await.expect("read"), ["first", "last"]);
    for fault in [Fault::Denied, Fault::Expired] {
        account.ecs.fault("GetLogEvents", &fault, 1);
        assert!(read().await.expect_err("a fault").starts_with("GetLogEvents: "), "{fault:?}");
    }
    // Tried again by the SDK.
    for fault in [Fault::Throttle, Fault::Error5xx] {
        account.ecs.fault("GetLogEvents", &fault, 1);
        assert_eq!(read().await.expect("read").len(), 2, "{fault:?}");
    }
    assert_eq!(account.ecs.calls().iter().filter(|call| call.service == "logs").count(), 8);
}

#[tokio::test]
async fn tasks_are_counted_with_what_ended_them_and_every_call_fits_the_service_models() {
    let account = Account::with_service(None).await;
    assert_eq!(value(&measured(&account, TaskGauge::Failures).await), Ok(0.0));
    assert_eq!(value(&measured(&account, TaskGauge::Running).await), Ok(1.0));
    let targets = [("10.0.0.1", "healthy"), ("10.0.0.2", "unhealthy"), ("10.0.0.3", "draining")];
    account.ecs.set_targets(GROUP, &targets);
    assert_eq!(value(&measured(&account, TaskGauge::HealthyTargets).await), Ok(0.5));
    account.ecs.fault("DescribeTargetHealth", &Fault::Denied, 1);
    let denied = value(&measured(&account, TaskGauge::HealthyTargets).await);
    assert!(matches!(&denied, Err(Unusable::Refused(why)) if why.contains("AccessDenied")));
    for (of, kind) in [
        ("oom", StopKind::OutOfMemory),
        ("exit:3", StopKind::Exited(Some(3))),
        ("health", StopKind::Unhealthy),
        ("elb", StopKind::UnhealthyTarget),
    ] {
        let stops = dying(&account, of).await;
        assert!(stops.iter().all(|stop| stop.kind == kind), "{of}: {stops:?}");
    }
    let stops = dying(&account, "exit:1").await;
    let none = tasks(&account).await.last_lines(&stops[0]).await;
    assert!(none.expect_err("no awslogs").contains("awslogs"));
    logged(&account, stops[0].clone()).await;
    counted(&account).await;
    let calls: Vec<Value> = account.ecs.calls().iter().map(as_json).collect();
    let verdict = validate(&calls).expect("no faults");
    assert!(verdict.contains("0 faults"), "{verdict}");
}

#[tokio::test]
async fn a_scale_in_and_the_death_of_an_old_task_are_no_harm() {
    let account = Account::with_service(None).await;
    let definition = account.register(&[]).await;
    account.update(&definition).await;
    account.ecs.wait_stable(SERVICE).await;
    let fewer = account.client.update_service().cluster(CLUSTER).service(SERVICE).desired_count(1);
    fewer.send().await.expect("scaled in");
    account.ecs.wait_stable(SERVICE).await;
    assert_eq!(value(&measured(&account, TaskGauge::Failures).await), Ok(0.0));
    assert_eq!(value(&measured(&account, TaskGauge::Running).await), Ok(1.0));
}
