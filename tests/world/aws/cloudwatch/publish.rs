//! `PutMetricData`.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::error::CloudWatchError;
use super::metric::{Content, Metrics, StatisticSet};
use super::requests::{MetricDatum, PutMetricData, metric, millis, read};

const DAY_MILLIS: i64 = 24 * 3600 * 1000;
/// Data points of a call.
const MOST_DATA: usize = 1000;
/// Different values of a data point.
const MOST_VALUES: usize = 150;

/// Takes in the data points: all of them, or none.
pub fn publish(
    metrics: &mut Metrics,
    body: &Value,
    now: Timestamp,
) -> Result<Value, CloudWatchError> {
    let request: PutMetricData = read("PutMetricData", body)?;
    if request.namespace.starts_with("AWS/") {
        let message = "The value AWS/ for parameter Namespace is invalid.";
        return Err(CloudWatchError::invalid(message));
    }
    if request.metric_data.len() > MOST_DATA {
        let message = "The collection MetricData must not have a size greater than 1000.";
        return Err(CloudWatchError::invalid(message));
    }
    let mut accepted = Vec::new();
    for datum in &request.metric_data {
        let dimensions = datum.dimensions.as_deref().unwrap_or_default();
        let metric = metric(&request.namespace, &datum.metric_name, dimensions)?;
        let unit = datum.unit.clone().unwrap_or_else(|| "None".to_owned());
        let known = metrics.get(&metric).and_then(|series| series.unit.clone());
        if known.is_some_and(|known| known != unit) {
            return Err(CloudWatchError::not_modelled("a metric of several units"));
        }
        accepted.push((metric, unit, time(datum, now)?, content(datum)?, datum.storage_resolution));
    }
    for (metric, unit, at, content, resolution) in accepted {
        let series = metrics.entry(&metric);
        series.unit = Some(unit);
        series.high_resolution |= resolution == Some(1);
        series.put(at, content);
    }
    Ok(json!({}))
}

/// From two weeks ago until two hours ahead.
fn time(datum: &MetricDatum, now: Timestamp) -> Result<Timestamp, CloudWatchError> {
    let Some(at) = datum.timestamp.map(millis) else { return Ok(now) };
    let now = now.as_millisecond();
    if !(now - 14 * DAY_MILLIS..=now + DAY_MILLIS / 12).contains(&at) {
        let message = "The parameter MetricData.member.1.Timestamp must specify a time within the \
                       past two weeks and no more than two hours in the future.";
        return Err(CloudWatchError::invalid(message));
    }
    Timestamp::from_millisecond(at).map_err(|error| CloudWatchError::invalid(error.to_string()))
}

fn content(datum: &MetricDatum) -> Result<Content, CloudWatchError> {
    let counts = datum.counts.as_ref();
    match (datum.value, &datum.values, &datum.statistic_values) {
        (Some(value), None, None) => Ok(Content::Values(vec![(value, 1.0)])),
        (None, Some(values), None) => {
            if values.len() > MOST_VALUES {
                let message = "The collection MetricData.member.1.Values must not have a size \
                               greater than 150.";
                return Err(CloudWatchError::invalid(message));
            }
            if counts.is_some_and(|counts| counts.len() != values.len()) {
                let message = "The parameters Values and Counts must have the same size.";
                return Err(CloudWatchError::invalid(message));
            }
            let count = |index| counts.map_or(1.0, |counts: &Vec<f64>| counts[index]);
            let values = values.iter().enumerate().map(|(index, value)| (*value, count(index)));
            Ok(Content::Values(values.collect()))
        }
        (None, None, Some(set)) => Ok(Content::Set(StatisticSet {
            count: set.sample_count,
            sum: set.sum,
            minimum: set.minimum,
            maximum: set.maximum,
        })),
        (None, None, None) => {
            let message = "One of the parameters Value, Values or StatisticValues is required.";
            Err(CloudWatchError::missing(message))
        }
        _ => {
            let message =
                "The parameters Value, Values and StatisticValues are mutually exclusive.";
            Err(CloudWatchError::combination(message))
        }
    }
}
