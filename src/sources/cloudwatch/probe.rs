//! Both calls, tried once.

use aws_sdk_cloudwatch::primitives::DateTime;
use aws_sdk_cloudwatch::types::{Metric, MetricDataQuery, MetricStat};
use jiff::Timestamp;

use super::CloudWatch;
use crate::aws::Fault;

impl CloudWatch {
    /// Asks for one metric that nobody has: $0.00001.
    pub async fn try_metrics(&self, now: Timestamp) -> Result<(), Fault> {
        let metric =
            Metric::builder().namespace("deployguard/doctor").metric_name("nothing").build();
        let stat = MetricStat::builder().metric(metric).period(60).stat("Sum").build();
        let query = MetricDataQuery::builder().id("nothing").metric_stat(stat).build();
        self.count(1);
        let end = now.as_second() / 60 * 60;
        let asked = self.client.get_metric_data().metric_data_queries(query);
        let asked = asked.start_time(DateTime::from_secs(end - 300));
        let sent = asked.end_time(DateTime::from_secs(end)).send().await;
        sent.map(drop).map_err(|error| Fault::of("GetMetricData", &error))
    }

    /// Asks for an alarm that nobody has.
    pub async fn try_alarms(&self) -> Result<(), Fault> {
        self.count(0);
        let sent = self.client.describe_alarms().alarm_names("deployguard-doctor").send().await;
        sent.map(drop).map_err(|error| Fault::of("DescribeAlarms", &error))
    }
}
