//! What each operation takes. A member that is not listed here is refused, never ignored.

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::error::CloudWatchError;
use super::metric::Metric;

/// Reads a request's body.
pub fn read<T: DeserializeOwned>(operation: &str, body: &Value) -> Result<T, CloudWatchError> {
    T::deserialize(body).map_err(|error| {
        let text = error.to_string();
        if text.starts_with("missing field") {
            CloudWatchError::missing(format!("{operation}: {text}"))
        } else {
            CloudWatchError::not_modelled(format!("{operation}: {text}"))
        }
    })
}

/// Seconds since 1970, as requests carry them, in milliseconds.
#[allow(clippy::cast_possible_truncation)] // A time far beyond every clock may be cut.
pub fn millis(seconds: f64) -> i64 {
    (seconds * 1000.0).round() as i64
}

macro_rules! request {
    ($name:ident { $($field:ident: $kind:ty),* $(,)? }) => {
        #[derive(Debug, Clone, Deserialize)]
        #[serde(rename_all = "PascalCase", deny_unknown_fields)]
        #[allow(clippy::struct_field_names)] // As the API names them.
        pub struct $name { $(pub $field: $kind),* }
    };
}

request!(GetMetricData {
    metric_data_queries: Vec<MetricDataQuery>,
    start_time: f64,
    end_time: f64,
    next_token: Option<String>,
    scan_by: Option<String>,
    max_datapoints: Option<usize>,
});
request!(MetricDataQuery {
    id: String,
    metric_stat: Option<MetricStat>,
    expression: Option<String>,
    label: Option<String>,
    return_data: Option<bool>,
});
request!(MetricStat { metric: MetricName, period: i64, stat: String, unit: Option<String> });
request!(MetricName {
    namespace: String,
    metric_name: String,
    dimensions: Option<Vec<Dimension>>,
});
request!(Dimension { name: String, value: String });

impl MetricName {
    /// The metric of this name.
    pub fn metric(&self) -> Result<Metric, CloudWatchError> {
        metric(&self.namespace, &self.metric_name, self.dimensions.as_deref().unwrap_or_default())
    }
}

/// A metric's name, checked.
pub fn metric(
    namespace: &str,
    name: &str,
    dimensions: &[Dimension],
) -> Result<Metric, CloudWatchError> {
    if namespace.is_empty() || namespace.starts_with(':') || name.is_empty() {
        return Err(CloudWatchError::invalid("Namespace and MetricName must not be empty."));
    }
    if dimensions.len() > 30 {
        let message = "The collection Dimensions must not have a size greater than 30.";
        return Err(CloudWatchError::invalid(message));
    }
    let pairs = dimensions.iter().map(|one| (one.name.as_str(), one.value.as_str()));
    Ok(Metric::new(namespace, name, &pairs.collect::<Vec<_>>()))
}

request!(PutMetricData { namespace: String, metric_data: Vec<MetricDatum> });
request!(MetricDatum {
    metric_name: String,
    dimensions: Option<Vec<Dimension>>,
    timestamp: Option<f64>,
    value: Option<f64>,
    values: Option<Vec<f64>>,
    counts: Option<Vec<f64>>,
    statistic_values: Option<StatisticValues>,
    unit: Option<String>,
    storage_resolution: Option<u32>,
});
request!(StatisticValues { sample_count: f64, sum: f64, minimum: f64, maximum: f64 });
request!(ListMetrics {
    namespace: Option<String>,
    metric_name: Option<String>,
    dimensions: Option<Vec<DimensionFilter>>,
    next_token: Option<String>,
    recently_active: Option<String>,
});
request!(DimensionFilter { name: String, value: Option<String> });

request!(SetAlarmState {
    alarm_name: String,
    state_value: String,
    state_reason: String,
    state_reason_data: Option<String>,
});
request!(DeleteAlarms { alarm_names: Vec<String> });
request!(DescribeAlarms {
    alarm_names: Option<Vec<String>>,
    alarm_name_prefix: Option<String>,
    alarm_types: Option<Vec<String>>,
    state_value: Option<String>,
    action_prefix: Option<String>,
    max_records: Option<usize>,
    next_token: Option<String>,
});
request!(DescribeAlarmHistory {
    alarm_name: Option<String>,
    alarm_types: Option<Vec<String>>,
    history_item_type: Option<String>,
    start_date: Option<f64>,
    end_date: Option<f64>,
    max_records: Option<usize>,
    next_token: Option<String>,
    scan_by: Option<String>,
});
