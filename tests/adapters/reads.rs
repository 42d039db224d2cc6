//! Faults x calls that only read, each failing for as long as it is tried: the adapter says what
//! it states, which is never that something is well or bad, and sees again once it is over.

use std::collections::BTreeMap;
use std::time::Duration;

use deployguard::aws::{self, AccountSettings, Role};
use deployguard::model::{
    ActFailure, AlarmsAsk, Ask, Fold, LogsAsk, Measurement, Metric, MetricAsk, MetricOf,
    MetricStat, MetricUnit, Question, RollbackPlan, Shape, StopKind, TaskGauge, TaskStop, TasksAsk,
    TasksOf, Ticks, Unusable,
};
use deployguard::platform::ecs::Ecs;
use deployguard::platform::{Balancers, LookError, Platform};
use deployguard::sources::{CloudWatch, Due, Logs, Sources, TaskHealth, measure};
use deployguard::triggers::sqs::Queue;
use jiff::SignedDuration;
use serde_json::json;
use tokio::task::JoinSet;

use crate::client::{CLUSTER, SERVICE};
use crate::code_deploy::Shop;
use crate::ecs::{Stage, aws_at, key, permit};
use crate::faults::passing;
use crate::operations::READS;
use crate::world::aws::Fault;
use crate::world::now;

const ROLE: &str = "arn:aws:iam::123456789012:role/deployguard";
const GROUP: &str = "arn:aws:elasticloadbalancing:us-east-1:123456789012:targetgroup/blue/1";
const BALANCER: &str =
    "arn:aws:elasticloadbalancing:us-east-1:123456789012:loadbalancer/app/shop/1";
/// More than anything tries.
const ALWAYS: usize = 1000;

/// What an adapter says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Told {
    /// What there is to be seen.
    Seen,
    /// That it can't be seen now, and another try may succeed.
    Passing,
    /// That people must mend something.
    Refused,
}

use Told::{Passing, Refused, Seen};

/// What is said while a call fails in a way that passes, and while it is refused.
fn stated(operation: &str) -> (Told, Told) {
    match operation {
        // A look shows what is in place without the history; a target is checked without the
        // registry, and says so.
        "ListServiceDeployments"
        | "DescribeServiceDeployments"
        | "DescribeServiceRevisions"
        | "BatchGetImage" => (Seen, Seen),
        // Without the former AppSpec one is made of what ECS shows.
        "GetApplicationRevision" => (Passing, Seen),
        // The SDK does not tell why there are no credentials.
        "AssumeRole" => (Passing, Passing),
        _ => (Passing, Refused),
    }
}

/// An account where each call has something to answer.
struct Place {
    stage: Stage,
    plan: RollbackPlan,
    queue: String,
    stop: TaskStop,
}

impl Place {
    async fn open(operation: &str) -> Self {
        let stage = Stage::at_rest().await;
        let mut plan = stage.deploy_in_ecr().await;
        let account = &stage.account;
        let targets = [("10.0.0.1", "healthy"), ("10.0.0.2", "unhealthy")];
        account.ecs.set_targets(GROUP, &targets);
        account.ecs.set_balancer(GROUP, Some(BALANCER));
        account.ecs.set_log("/ecs/api", &["panic: out of cheese"]);
        let options = json!({ "awslogs-group": "/ecs/api", "awslogs-stream-prefix": "ecs" });
        let logs = json!({ "logDriver": "awslogs", "options": options });
        let container = json!({ "name": "app", "image": "api:1", "logConfiguration": logs });
        let logging = json!({
            "family": "logs", "cpu": "256", "memory": "512", "containerDefinitions": [container],
        });
        account.ecs.call("RegisterTaskDefinition", &logging).expect("registered");
        let tasks = account.client.list_tasks().cluster(CLUSTER).send().await.expect("listed");
        let task = tasks.task_arns()[0].rsplit('/').next().unwrap_or_default().to_owned();
        let stop = TaskStop {
            at: now(),
            task,
            definition: "logs:1".into(),
            kind: StopKind::OutOfMemory,
            container: Some("app".into()),
            reason: String::new(),
            memory: None,
        };
        if ["ListTasks", "DescribeTasks"].contains(&operation) {
            let definition = account.register(&[("DIES", "exit:1")]).await;
            account.update(&definition).await;
            plan = stage.plan(plan.target.clone()).await;
        }
        let queue = account.ecs.events_to("events", 1000);
        let sent = json!({ "QueueUrl": queue, "MessageBody": "a message" });
        account.ecs.call_sqs("SendMessage", &sent).expect("sent");
        account.ecs.cloudwatch().put_alarm(&json!({
            "AlarmName": "calm", "Namespace": "AWS/RDS", "MetricName": "CPUUtilization",
            "Statistic": "Average", "Period": 60, "EvaluationPeriods": 1, "Threshold": 80.0,
            "ComparisonOperator": "GreaterThanThreshold",
        }));
        Self { stage, plan, queue, stop }
    }

    /// Has the operation called by a new adapter, which knows nothing.
    async fn told(&self, operation: &str) -> Told {
        let account = aws_at(self.stage.account.ecs.url()).await;
        let ecs = Ecs::of(&account);
        match operation {
            "ListClusters" => of_look(&ecs.clusters().await),
            "ListServices" => of_look(&ecs.services(CLUSTER).await),
            "DescribeServices"
            | "ListServiceDeployments"
            | "DescribeServiceDeployments"
            | "DescribeServiceRevisions" => self.looks(&ecs).await,
            "DescribeTaskDefinition" | "BatchGetImage" => {
                let (judged, target) = (&self.plan.judged_revision, &self.plan.target);
                let found = ecs.inspect(&key(), judged, target, false).await;
                if let Ok(found) = &found {
                    assert_eq!(found.obstacle, None, "{operation}");
                }
                of_look(&found)
            }
            "ListTasks" | "DescribeTasks" => self.tasks(&account, TaskGauge::Failures).await,
            "DescribeTargetHealth" => self.tasks(&account, TaskGauge::HealthyTargets).await,
            "DescribeTargetGroups" => {
                let found = Balancers::of(&account).before(&[GROUP.to_owned()]).await;
                if let Ok(found) = &found {
                    assert_eq!(found[GROUP], BALANCER, "{operation}");
                }
                of_fault(found)
            }
            "GetLogEvents" => match TaskHealth::of(&account).last_lines(&self.stop).await {
                Ok(lines) => {
                    assert_eq!(lines, ["panic: out of cheese"]);
                    Seen
                }
                Err(why) if why.contains("AccessDenied") => Refused,
                Err(_) => Passing,
            },
            "FilterLogEvents" => {
                let (group, pattern) = ("/ecs/api".to_owned(), "ERROR".to_owned());
                self.stage.account.ecs.log_at(&group, now().as_millisecond(), "ERROR: no cheese");
                let window = SignedDuration::from_mins(5);
                measured(&account, Ask::Logs(LogsAsk { group, pattern, window })).await
            }
            "GetMetricData" => measured(&account, metric()).await,
            "DescribeAlarms" => {
                let names = vec!["calm".to_owned()];
                let ask = Ask::Alarms(AlarmsAsk { names, since: None, clear: None });
                measured(&account, ask).await
            }
            "GetQueueAttributes" => of_fault(Queue::of(&account, &self.queue).state().await),
            "ReceiveMessage" => {
                let found = Queue::of(&account, &self.queue).receive(Duration::ZERO).await;
                of_fault(found)
            }
            "AssumeRole" => {
                let role = Role { arn: ROLE.into(), external_id: Some("right".into()) };
                let account = self.in_role(role).await;
                of_look(&Ecs::of(&account).clusters().await)
            }
            other => panic!("nothing here calls {other}: say how it is asked"),
        }
    }

    async fn looks(&self, ecs: &Ecs) -> Told {
        let (_, seen) = ecs.look(&[key()], now()).await.remove(0);
        if let Ok(seen) = &seen {
            let seen = seen.as_ref().expect("it is in place");
            assert_eq!((seen.primary.id.as_str(), seen.is_stable()), (&*self.plan.judged, true));
        }
        of_look(&seen)
    }

    async fn tasks(&self, account: &aws::Account, gauge: TaskGauge) -> Told {
        let of = TasksOf {
            service: key(),
            deployment: self.plan.judged.clone(),
            task_definition: self.plan.judged_revision.name.clone(),
        };
        measured(account, Ask::Tasks(Box::new(TasksAsk { gauge, of: Some(of) }))).await
    }

    async fn in_role(&self, role: Role) -> aws::Account {
        let plain = aws_at(self.stage.account.ecs.url()).await;
        aws::Account::connect(AccountSettings {
            target: "test".into(),
            region: Some("us-east-1".into()),
            endpoint: Some(self.stage.account.ecs.url()),
            credentials: plain.config().credentials_provider(),
            role: Some(role),
        })
        .await
    }
}

fn of_look<T>(look: &Result<T, LookError>) -> Told {
    match look {
        Ok(_) => Seen,
        Err(LookError::Everywhere(_) | LookError::Transient(_)) => Passing,
        Err(LookError::Permanent(_)) => Refused,
    }
}

fn of_fault<T>(answer: Result<T, aws::Fault>) -> Told {
    match answer {
        Ok(_) => Seen,
        Err(fault) if fault.is_transient() => Passing,
        Err(_) => Refused,
    }
}

fn metric() -> Ask {
    let stat = MetricStat {
        namespace: "AWS/RDS".into(),
        metric: "CPUUtilization".into(),
        dimensions: BTreeMap::new(),
        stat: "Average".into(),
    };
    let (period, delay) = (SignedDuration::from_mins(1), SignedDuration::from_mins(2));
    let of = MetricOf::Statistic(stat);
    let metric = Metric { of, period, delay, unit: MetricUnit::Base };
    Ask::Metric(Box::new(MetricAsk { metric, fold: Fold::Highest }))
}

async fn measured(account: &aws::Account, ask: Ask) -> Told {
    let (cloudwatch, tasks) = (CloudWatch::of(account), TaskHealth::of(account));
    let (cloudwatch, tasks) = (Some(cloudwatch), Some(tasks));
    let logs = Some(Logs::of(account));
    let sources = Sources { cloudwatch, tasks, logs, ..Sources::default() };
    let ticks = Ticks::once(now(), SignedDuration::from_mins(1));
    let due = Due { key: (), question: Question::plain(Shape::Gauge, vec![ask]), ticks };
    let ((), measured) = measure(&sources, vec![due]).await.remove(0);
    match &measured.readings[0] {
        Ok(Measurement::Gauge { .. }) | Err(Unusable::Empty) => Seen,
        Err(Unusable::Unreachable(_)) => Passing,
        Err(Unusable::Refused(_)) => Refused,
        other => panic!("{other:?}"),
    }
}

/// Each fault at each try of the operation, one fault after the other.
async fn holds(operation: &'static str) {
    let place = Place::open(operation).await;
    let aws = &place.stage.account.ecs;
    if operation == "AssumeRole" {
        aws.trust(ROLE, "right");
    }
    let (passing_is, denied_is) = stated(operation);
    for fault in passing().into_iter().chain([Fault::Denied]) {
        let expected = if matches!(fault, Fault::Denied) { denied_is } else { passing_is };
        let before = aws.calls().len();
        aws.fault(operation, &fault, ALWAYS);
        assert_eq!(place.told(operation).await, expected, "{operation} {fault:?}");
        aws.clear_faults();
        let calls = aws.calls();
        assert!(calls[before..].iter().any(|call| call.operation == operation), "{operation}");
        assert_eq!(place.told(operation).await, Seen, "{operation} after {fault:?}");
    }
    aws.time_out_messages();
    assert_eq!(aws.queued("events"), ["a message"], "{operation}: no message is lost");
    assert_eq!(aws.mutations(SERVICE).len(), place.stage.changes(), "nothing was changed");
}

/// What is read of CodeDeploy only matters to a rollback: it waits, and is made once.
async fn holds_of_code_deploy(operation: &'static str, fault: Fault) {
    let shop = Shop::open().await;
    let plan = shop.deploy_to_the_end().await;
    let (stage, before) = (&shop.stage, shop.stage.changes());
    stage.account.ecs.fault(operation, &fault, ALWAYS);
    let told = match stage.ecs.roll_back(&permit(true), &plan).await {
        Ok(_) => Seen,
        Err(ActFailure::Transient(_)) => Passing,
        Err(ActFailure::Permanent(_)) => Refused,
        Err(other) => panic!("{operation} {fault:?}: {other:?}"),
    };
    let (passing_is, denied_is) = stated(operation);
    let expected = if matches!(fault, Fault::Denied) { denied_is } else { passing_is };
    assert_eq!(told, expected, "{operation} {fault:?}");
    let changes = stage.changes_after(before);
    assert_eq!(changes.is_empty(), told != Seen, "{operation} {fault:?}");
    stage.account.ecs.clear_faults();
    stage.ecs.roll_back(&permit(false), &plan).await.expect("rolled back");
    shop.is_back().await;
    assert_eq!(stage.changes_after(before), ["CreateDeployment"], "{operation} {fault:?}");
}

#[tokio::test]
async fn every_call_that_reads_says_what_it_states_while_it_fails_and_sees_again_after() {
    let mut holding = JoinSet::new();
    for called in READS {
        let (service, operation) = called.split_once(':').expect("a service and an operation");
        if service == "codedeploy" {
            for fault in passing().into_iter().chain([Fault::Denied]) {
                holding.spawn(holds_of_code_deploy(operation, fault));
            }
        } else {
            holding.spawn(holds(operation));
        }
    }
    while let Some(held) = holding.join_next().await {
        held.expect("it holds");
    }
}

#[tokio::test]
async fn who_we_are_can_be_asked_again_whatever_went_wrong() {
    let stage = Stage::at_rest().await;
    for fault in passing().into_iter().chain([Fault::Denied]) {
        stage.account.ecs.fault("GetCallerIdentity", &fault, ALWAYS);
        let account = aws_at(stage.account.ecs.url()).await;
        let expected = if matches!(fault, Fault::Denied) { Refused } else { Passing };
        assert_eq!(of_fault(account.identity().await), expected, "{fault:?}");
        stage.account.ecs.clear_faults();
        assert_eq!(of_fault(account.identity().await), Seen, "{fault:?}");
    }
}
