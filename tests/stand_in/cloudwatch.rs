//! CloudWatch of the tests' own, and the real SDK client in front of it.

mod alarms;
mod data;
mod late;
mod listing;
mod math;
mod moto;

use std::sync::{Arc, LazyLock};

use aws_sdk_cloudwatch::Client;
use aws_sdk_cloudwatch::operation::get_metric_data::builders::GetMetricDataFluentBuilder;
use aws_sdk_cloudwatch::primitives::DateTime;
use aws_sdk_cloudwatch::types::{
    Dimension, Metric as Named, MetricDataQuery, MetricDataResult, MetricStat,
};
use jiff::{SignedDuration, Timestamp};

use crate::client::config;
use crate::protocol::{as_json, validate};
use crate::world::aws::cloudwatch::CloudWatch;
use crate::world::aws::cloudwatch::metric::Metric;
use crate::world::aws::model::Settings;
use crate::world::aws::{Ecs, NoProcesses};
use crate::world::now;
use crate::world::timeline::Timeline;

/// The stand-in and a client of it.
pub struct Account {
    pub aws: Ecs,
    pub client: Client,
}

impl Account {
    pub async fn start() -> Self {
        let aws = Ecs::start(Settings::default(), Arc::new(NoProcesses), Timeline::default()).await;
        let aws = aws.expect("a free port");
        let client = client(&aws.url());
        Self { aws, client }
    }

    pub fn cloudwatch(&self) -> &CloudWatch {
        self.aws.cloudwatch()
    }

    /// A call over the minutes from `from` until `until` after the metrics' begin.
    pub fn ask(
        &self,
        queries: Vec<MetricDataQuery>,
        from: i64,
        until: i64,
    ) -> GetMetricDataFluentBuilder {
        let call = self.client.get_metric_data().set_metric_data_queries(Some(queries));
        call.start_time(wire(minute(from))).end_time(wire(minute(until)))
    }

    /// The one result of a call, as (minute, value) in the answer's order.
    pub async fn points(&self, query: MetricDataQuery, from: i64, until: i64) -> Vec<(i64, f64)> {
        let answer = self.ask(vec![query], from, until).send().await.expect("data");
        points(&answer.metric_data_results()[0])
    }

    /// Every call so far fits the service model; answers the last line of the verdict.
    pub fn validated(&self) -> String {
        let calls: Vec<_> = self.aws.calls().iter().map(as_json).collect();
        validate(&calls).expect("no faults")
    }
}

/// A client as the daemon has it, without retries of its own.
pub fn client(url: &str) -> Client {
    Client::new(&config(url))
}

/// The minute number `n` of the tests: minute 0 is the full hour before the last one, so that
/// everything until minute 60 is over.
pub fn minute(n: i64) -> Timestamp {
    static ZERO: LazyLock<i64> = LazyLock::new(|| now().as_second().div_euclid(3600) * 3600 - 3600);
    Timestamp::from_second(*ZERO + 60 * n).expect("a time")
}

pub fn wire(at: Timestamp) -> DateTime {
    DateTime::from_millis(at.as_millisecond())
}

pub fn days(count: i64) -> SignedDuration {
    SignedDuration::from_hours(24 * count)
}

/// The CPU of the service `api`.
pub fn cpu() -> Metric {
    Metric::new("AWS/ECS", "CPUUtilization", &[("ClusterName", "shop"), ("ServiceName", "api")])
}

/// A metric of the load balancer of that service.
pub fn of_target_group(name: &str) -> Metric {
    let dimensions = [("LoadBalancer", "app/shop/1"), ("TargetGroup", "targetgroup/api/1")];
    Metric::new("AWS/ApplicationELB", name, &dimensions)
}

/// A query `id` of a metric by the minute.
pub fn query(id: &str, metric: &Metric, stat: &str) -> MetricDataQuery {
    per(60, id, metric, stat)
}

pub fn per(period: i32, id: &str, metric: &Metric, stat: &str) -> MetricDataQuery {
    let dimensions = (metric.dimensions.iter())
        .map(|(name, value)| Dimension::builder().name(name).value(value).build());
    let named = Named::builder()
        .namespace(&metric.namespace)
        .metric_name(&metric.name)
        .set_dimensions(Some(dimensions.collect()))
        .build();
    let stat = MetricStat::builder().metric(named).period(period).stat(stat).build();
    MetricDataQuery::builder().id(id).metric_stat(stat).build()
}

pub fn expression(id: &str, text: &str) -> MetricDataQuery {
    MetricDataQuery::builder().id(id).expression(text).build()
}

/// A result as (minute, value).
pub fn points(result: &MetricDataResult) -> Vec<(i64, f64)> {
    let minutes = result.timestamps().iter().map(|at| (at.secs() - minute(0).as_second()) / 60);
    minutes.zip(result.values().iter().copied()).collect()
}
