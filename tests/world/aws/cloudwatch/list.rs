//! `ListMetrics`.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::error::CloudWatchError;
use super::metric::{Metric, Metrics};
use super::requests::{ListMetrics, read};

/// Metrics of an answer.
const PAGE: usize = 500;
const HOUR: i64 = 3600;

/// The metrics that had data in the past two weeks, or three hours if asked so, in pages.
pub fn list(metrics: &Metrics, body: &Value, now: Timestamp) -> Result<Value, CloudWatchError> {
    let request: ListMetrics = read("ListMetrics", body)?;
    let window = match request.recently_active.as_deref() {
        None => 14 * 24 * HOUR,
        Some("PT3H") => 3 * HOUR,
        Some(other) => {
            return Err(CloudWatchError::invalid(format!("RecentlyActive is PT3H, not {other}")));
        }
    };
    if request.dimensions.as_ref().is_some_and(|filters| filters.len() > 10) {
        let message = "The collection Dimensions must not have a size greater than 10.";
        return Err(CloudWatchError::invalid(message));
    }
    let since = now.as_second() - window;
    let found = metrics.iter().filter(|(metric, _)| fits(&request, metric));
    let found = found.filter(|(_, series)| series.has_data_since(since, now));
    let found: Vec<Value> = found.map(|(metric, _)| metric.view()).collect();
    let from = match &request.next_token {
        None => 0,
        Some(token) => token
            .parse()
            .ok()
            .filter(|from| *from < found.len())
            .ok_or_else(|| CloudWatchError::invalid("Request parameter NextToken is invalid"))?,
    };
    let until = found.len().min(from + PAGE);
    let mut answer = json!({ "Metrics": found[from..until] });
    if until < found.len() {
        answer["NextToken"] = json!(until.to_string());
    }
    Ok(answer)
}

fn fits(request: &ListMetrics, metric: &Metric) -> bool {
    let is =
        |wanted: &Option<String>, value: &str| wanted.as_ref().is_none_or(|wanted| wanted == value);
    is(&request.namespace, &metric.namespace)
        && is(&request.metric_name, &metric.name)
        && request.dimensions.iter().flatten().all(|filter| {
            metric.dimensions.get(&filter.name).is_some_and(|value| is(&filter.value, value))
        })
}
