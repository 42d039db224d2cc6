//! An Amazon CloudWatch of our own: metrics with late and lost data points, metric math, and
//! alarms that tests move.

pub mod alarms;
pub mod cbor;
mod data;
pub(super) mod edge;
mod error;
mod list;
mod math;
pub mod metric;
mod publish;
mod requests;
mod statistic;

use std::sync::Mutex;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::world::{lock, now};
use alarms::{Alarms, Kind};
use error::CloudWatchError;
use metric::{Content, Lag, Metric, Metrics, Series, StatisticSet, Trouble};

/// The metrics and alarms of one account and region.
#[derive(Default)]
pub struct CloudWatch(Mutex<State>);

#[derive(Default)]
struct State {
    metrics: Metrics,
    alarms: Alarms,
    /// What its clock is ahead of ours.
    offset: SignedDuration,
}

impl CloudWatch {
    /// One data point. Several values make percentiles, and a sum that grows while they arrive.
    pub fn put(&self, metric: &Metric, at: Timestamp, values: &[f64]) {
        let values = values.iter().map(|value| (*value, 1.0)).collect();
        self.change(metric, |series| series.put(at, Content::Values(values)));
    }

    /// One data point that is a summary already: it has no percentiles.
    pub fn put_set(&self, metric: &Metric, at: Timestamp, set: StatisticSet) {
        self.change(metric, |series| series.put(at, Content::Set(set)));
    }

    /// From now on, and for all time before, a function makes the metric's data points, one
    /// `every` so often on the clock. No values: no data point.
    pub fn generate(
        &self,
        metric: &Metric,
        every: Duration,
        values: impl Fn(Timestamp) -> Vec<f64> + Send + 'static,
    ) {
        self.change(metric, |series| series.generate(every, Box::new(values)));
    }

    /// How late the metric's values come.
    pub fn set_lag(&self, metric: &Metric, lag: Lag) {
        self.change(metric, |series| series.lag = lag);
    }

    /// What its results say instead of `Complete`, until it is set to `None`.
    pub fn set_trouble(&self, metric: &Metric, trouble: Option<Trouble>) {
        self.change(metric, |series| series.trouble = trouble);
    }

    /// Stores it by the second, so that periods below a minute are there for three hours.
    pub fn set_high_resolution(&self, metric: &Metric) {
        self.change(metric, |series| series.high_resolution = true);
    }

    /// Sets its clock ahead of ours.
    pub fn set_offset(&self, offset: SignedDuration) {
        lock(&self.0).offset = offset;
    }

    /// Creates or changes a metric alarm, as `PutMetricAlarm` takes it. Panics if it is refused.
    pub fn put_alarm(&self, alarm: &Value) {
        let done = lock(&self.0).alarms.put(Kind::Metric, alarm, now());
        done.expect("CloudWatch takes the alarm");
    }

    /// Sets an alarm's state as of a time. Panics if there is no such alarm.
    pub fn set_alarm(&self, name: &str, state: &str, at: Timestamp) {
        let body = json!({ "AlarmName": name, "StateValue": state, "StateReason": "by hand" });
        let done = lock(&self.0).alarms.set_state(&body, at);
        done.expect("there is the alarm");
    }

    fn change(&self, metric: &Metric, change: impl FnOnce(&mut Series)) {
        change(lock(&self.0).metrics.entry(metric));
    }

    /// Answers an operation.
    fn call(&self, operation: &str, body: &Value) -> Result<Value, CloudWatchError> {
        let mut state = lock(&self.0);
        let now = now() + state.offset;
        match operation {
            "DeleteAlarms" => state.alarms.delete(body),
            "DescribeAlarmHistory" => state.alarms.describe_history(body),
            "DescribeAlarms" => state.alarms.describe(body),
            "GetMetricData" => data::get(&state.metrics, body, now),
            "ListMetrics" => list::list(&state.metrics, body, now),
            "PutCompositeAlarm" => state.alarms.put(Kind::Composite, body, now),
            "PutMetricAlarm" => state.alarms.put(Kind::Metric, body, now),
            "SetAlarmState" => state.alarms.set_state(body, now),
            "PutMetricData" => publish::publish(&mut state.metrics, body, now),
            other => Err(CloudWatchError::not_modelled(other)),
        }
    }
}
