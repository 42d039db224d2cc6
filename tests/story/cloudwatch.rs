//! A team with nothing but CloudWatch: no Prometheus is in the settings.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::Context;
use jiff::Timestamp;
use serde_json::json;

use crate::BINARY;
use crate::world::aws::cloudwatch::metric::{Lag, Metric};
use crate::world::daemon::{Daemon, announcement};
use crate::world::{World, WorldConfig, lock, now};

const MINUTE: Duration = Duration::from_mins(1);
/// What the service and its load balancer report, second by second instead of by the minute.
const POLICY: &str = r#"
version: 1
policy: shopflow
environment: production
match: { cluster: shopflow-production, service: "shopflow-*" }
mode: auto
phases:
  immediate:  { until: 12s, interval: 1s }
  short-term: { until: 18s, interval: 1s }
grace: 2s
checks:
  error rate:
    ratio:
      bad: { cloudwatch: { namespace: AWS/ApplicationELB, metric: HTTPCode_Target_5XX_Count, dimensions: { LoadBalancer: app/shop/1, TargetGroup: "targetgroup/${service}/1" }, period: 1s, delay: 2s } }
      total: { cloudwatch: { namespace: AWS/ApplicationELB, metric: RequestCount, dimensions: { LoadBalancer: app/shop/1, TargetGroup: "targetgroup/${service}/1" }, period: 1s, delay: 2s } }
    normal: "< 0.1%"
    breach: { SEV1: "> 5%" }
    window: 5s
  cpu:
    cloudwatch: { namespace: AWS/ECS, metric: CPUUtilization, dimensions: { ClusterName: "${cluster}", ServiceName: "${service}" }, stat: Average, period: 1s, delay: 2s }
    normal: "< 60%"
    breach: { SEV2: "> 80% for 5s" }
  alarms:
    alarm: { names: ["${service}-5xx", database] }
    breach: { SEV3: 2 failures }
actions: { SEV1: rollback, SEV2: { ask: 15m, on_timeout: escalate }, SEV3: notify }
rollback: { to: known-good, known_good_after: immediate, fallback: previous, recover_within: 60s, cooldown: 1h }
notify: { slack: { channel: C0DEPLOYS01, page: [S0ONCALL] } }
"#;

/// The share of bad answers, by the time from which on it holds.
type History = Arc<Mutex<Vec<(Timestamp, f64)>>>;

/// CloudWatch keeps what the tasks in service do: those of the third revision fail.
fn measured(world: &World) -> History {
    let history: History = Arc::default();
    let mut tasks = world.ecs.in_service();
    let known = Arc::clone(&history);
    tokio::spawn(async move {
        loop {
            let running = tasks.borrow_and_update().clone();
            let bad = running.iter().filter(|task| task.task_definition.ends_with(":3")).count();
            #[expect(clippy::cast_precision_loss, reason = "a handful of tasks")]
            let share = 0.4 * bad as f64 / running.len().max(1) as f64;
            lock(&known).push((now(), share));
            if tasks.changed().await.is_err() {
                return;
            }
        }
    });
    let share = {
        let history = Arc::clone(&history);
        move |at: Timestamp| {
            let known = lock(&history);
            known.iter().rev().find(|(since, _)| *since <= at).map_or(0.0, |(_, share)| *share)
        }
    };
    let cloudwatch = world.ecs.cloudwatch();
    let group = [("LoadBalancer", "app/shop/1"), ("TargetGroup", "targetgroup/shopflow-api/1")];
    let service = [("ClusterName", "shopflow-production"), ("ServiceName", "shopflow-api")];
    let requests = Metric::new("AWS/ApplicationELB", "RequestCount", &group);
    let errors = Metric::new("AWS/ApplicationELB", "HTTPCode_Target_5XX_Count", &group);
    let cpu = Metric::new("AWS/ECS", "CPUUtilization", &service);
    let second = Duration::from_secs(1);
    cloudwatch.generate(&requests, second, |_| vec![1.0; 80]);
    cloudwatch.generate(&cpu, second, |_| vec![35.0]);
    // An error count is there only where there were errors.
    cloudwatch.generate(&errors, second, move |at| {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let bad = (80.0 * share(at)) as usize;
        vec![1.0; bad]
    });
    for metric in [&requests, &errors, &cpu] {
        cloudwatch.set_high_resolution(metric);
        cloudwatch.set_lag(metric, Lag { first: second, last: second });
    }
    history
}

fn alarm(world: &World, name: &str, state: &str) {
    world.ecs.cloudwatch().put_alarm(&json!({
        "AlarmName": name, "Namespace": "AWS/RDS", "MetricName": "CPUUtilization",
        "Statistic": "Average", "Period": 60, "EvaluationPeriods": 1, "Threshold": 80.0,
        "ComparisonOperator": "GreaterThanThreshold",
    }));
    world.ecs.cloudwatch().set_alarm(name, state, now());
}

/// What was said in Slack, in one text.
fn said(world: &World) -> String {
    format!("{:?}", world.slack.messages())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_team_with_nothing_but_cloudwatch_gets_the_whole_guard() -> anyhow::Result<()> {
    let world = World::start(WorldConfig::default()).await?;
    let _history = measured(&world);
    alarm(&world, "shopflow-api-5xx", "OK");
    alarm(&world, "database", "ALARM");
    let mut daemon = Daemon::at_home(Path::new(BINARY), &world, POLICY)?;
    daemon.settle(|settings| {
        let Some(settings) = settings.as_object_mut() else { return };
        settings.remove("prometheus");
    })?;
    daemon.start().await?;
    daemon.knows_its_world(&world).await?;

    world.deploy("v2", &[])?;
    daemon.announce(&announcement("v2", "shopflow-api:2")).await?;
    let good = daemon.outcome_of("v2", MINUTE).await?;
    assert_eq!(good["outcome"], "passed", "{good:#}");
    assert!(said(&world).contains("in ALARM since before"), "{}", said(&world));

    world.deploy("v3", &[])?;
    daemon.announce(&announcement("v3", "shopflow-api:3")).await?;
    let bad = daemon.outcome_of("v3", 2 * MINUTE).await?;
    assert_eq!(bad["outcome"], "rolled_back", "{bad:#}");
    assert_eq!(world.task_definition_in_place(), "shopflow-api:2");
    assert_eq!(world.mutations_by_client().len(), 1, "exactly one rollback");
    let metrics = daemon.text("/metrics").await?;
    let asked =
        metrics.lines().find(|line| line.starts_with("deployguard_cloudwatch_metrics_total"));
    println!("{}", asked.context("CloudWatch was asked")?);
    Ok(())
}
