//! What AWS itself reports to CloudWatch about a service, its load balancer and its database,
//! second by second. The names that a document does not say are `FILL-IN`, as in the policies.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::Timestamp;
use serde_json::json;

use super::aws::cloudwatch::metric::{Lag, Metric};
use super::{World, lock, now};

const SECOND: Duration = Duration::from_secs(1);
/// Requests that the load balancer counts in a second.
const REQUESTS: f64 = 80.0;

/// The task definitions in service, by the time from which on they are.
type History = Vec<(Timestamp, Vec<String>)>;

/// The share of bad answers of each task definition (`family:2`) that has any.
#[derive(Clone, Default)]
pub struct Rates(Arc<Mutex<BTreeMap<String, f64>>>);

impl Rates {
    /// Tasks of this definition fail so often.
    pub fn set(&self, task_definition: &str, rate: f64) {
        lock(&self.0).insert(task_definition.to_owned(), rate);
    }

    fn of(&self, arn: &str) -> f64 {
        let name = arn.rsplit('/').next().unwrap_or_default();
        lock(&self.0).get(name).copied().unwrap_or(0.0)
    }
}

/// From now on CloudWatch has it; the past was as now.
pub fn begin(world: &World) -> Rates {
    let balancer = ("LoadBalancer", "app/FILL-IN/FILL-IN");
    let group = [balancer, ("TargetGroup", "targetgroup/FILL-IN/FILL-IN")];
    let config = world.config();
    let service = [("ClusterName", &*config.cluster), ("ServiceName", &*config.service)];
    let database = [("DBInstanceIdentifier", "FILL-IN")];
    let elb = "AWS/ApplicationELB";
    let steady = [
        (Metric::new(elb, "RequestCount", &group), vec![REQUESTS]),
        (Metric::new(elb, "HTTPCode_ELB_5XX_Count", &[balancer]), vec![0.0]),
        (Metric::new(elb, "UnHealthyHostCount", &group), vec![0.0]),
        (Metric::new(elb, "TargetResponseTime", &group), vec![0.18; 4]),
        (Metric::new("AWS/ECS", "CPUUtilization", &service), vec![35.0]),
        (Metric::new("AWS/ECS", "MemoryUtilization", &service), vec![50.0]),
        (Metric::new("AWS/RDS", "DatabaseConnections", &database), vec![40.0]),
        (Metric::new("AWS/RDS", "FreeStorageSpace", &database), vec![60e9]),
    ];
    for (metric, values) in steady {
        keep(world, &metric, move |_| values.clone());
    }
    let rates = Rates::default();
    let share = errors(world, rates.clone());
    // An error count is there only where there were errors.
    // One value a second, which is their sum: two hours of single requests take the stand-in
    // seconds to add up.
    keep(world, &Metric::new(elb, "HTTPCode_Target_5XX_Count", &group), move |at| {
        let bad = (REQUESTS * share(at)).floor();
        if bad > 0.0 { vec![bad] } else { Vec::new() }
    });
    world.ecs.cloudwatch().put_alarm(&json!({
        "AlarmName": "FILL-IN", "Namespace": "AWS/RDS", "MetricName": "CPUUtilization",
        "Statistic": "Average", "Period": 60, "EvaluationPeriods": 1, "Threshold": 80.0,
        "ComparisonOperator": "GreaterThanThreshold",
    }));
    world.ecs.cloudwatch().set_alarm("FILL-IN", "OK", now());
    rates
}

fn keep(world: &World, metric: &Metric, values: impl Fn(Timestamp) -> Vec<f64> + Send + 'static) {
    let cloudwatch = world.ecs.cloudwatch();
    cloudwatch.generate(metric, SECOND, values);
    cloudwatch.set_high_resolution(metric);
    cloudwatch.set_lag(metric, Lag { first: SECOND, last: SECOND });
}

/// The share of bad answers at a time, over the tasks that were in service then.
fn errors(world: &World, rates: Rates) -> impl Fn(Timestamp) -> f64 + Send + 'static {
    let history = Arc::<Mutex<History>>::default();
    let known = Arc::clone(&history);
    let mut tasks = world.ecs.in_service();
    tokio::spawn(async move {
        loop {
            let running = tasks.borrow_and_update().clone();
            let definitions = running.into_iter().map(|task| task.task_definition).collect();
            lock(&known).push((now(), definitions));
            if tasks.changed().await.is_err() {
                return;
            }
        }
    });
    move |at| {
        let known = lock(&history);
        let Some((_, running)) = known.iter().rev().find(|(since, _)| *since <= at) else {
            return 0.0;
        };
        #[expect(clippy::cast_precision_loss, reason = "a handful of tasks")]
        let tasks = running.len().max(1) as f64;
        running.iter().map(|task| rates.of(task)).sum::<f64>() / tasks
    }
}
