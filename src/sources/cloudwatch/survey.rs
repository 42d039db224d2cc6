//! The alarms that are there.

use aws_sdk_cloudwatch::types::{Dimension, MetricAlarm, StateValue};

use super::CloudWatch;
use crate::aws::Fault;
use crate::model::KnownAlarm;

/// Alarms of an answer, and answers that are read.
const PAGE: i32 = 100;
const MOST_PAGES: usize = 50;

impl CloudWatch {
    /// Every metric alarm of the account and region, and whether these are all: of very many
    /// only the first are read.
    pub async fn every_alarm(&self) -> Result<(Vec<KnownAlarm>, bool), Fault> {
        let (mut alarms, mut token) = (Vec::new(), None);
        for _ in 0..MOST_PAGES {
            self.count(0);
            let asked = self.client.describe_alarms().max_records(PAGE);
            let sent = asked.set_next_token(token.take()).send().await;
            let answer = sent.map_err(|error| Fault::of("DescribeAlarms", &error))?;
            alarms.extend(answer.metric_alarms().iter().filter_map(known));
            token = answer.next_token().map(str::to_owned).filter(|token| !token.is_empty());
            if token.is_none() {
                return Ok((alarms, true));
            }
        }
        Ok((alarms, false))
    }
}

fn known(alarm: &MetricAlarm) -> Option<KnownAlarm> {
    let of = |dimensions: &[Dimension]| {
        let pairs = dimensions.iter();
        pairs.filter_map(|one| Some((one.name()?.to_owned(), one.value()?.to_owned()))).collect()
    };
    let stats = alarm.metrics().iter().filter_map(|query| query.metric_stat()?.metric());
    let mut dimensions: Vec<_> = stats.map(|metric| of(metric.dimensions())).collect();
    dimensions.push(of(alarm.dimensions()));
    let name = alarm.alarm_name()?.to_owned();
    let scaling = |arn: &String| arn.contains(":autoscaling:");
    let actions = alarm.alarm_actions();
    let scales =
        name.starts_with("TargetTracking-") || (!actions.is_empty() && actions.iter().all(scaling));
    let is_ringing = alarm.state_value() == Some(&StateValue::Alarm);
    Some(KnownAlarm { name, dimensions, is_ringing, scales })
}
